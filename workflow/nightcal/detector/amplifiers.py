"""A raw frame that several amplifiers read out: overscan, crosstalk, gain and mosaic, by rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.amplifier_area import Part
from nightcal.detector.crosstalk import Order, read_together
from nightcal.detector.linearity import linearise
from nightcal.detector.mosaic import extent, place
from nightcal.detector.readout import Electronics, Readout
from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area

STRIP = 64
"""Rows that are put together at a time."""

Image = NDArray[np.float32]
Measured = tuple[Image, NDArray[np.uint8], Image]


@dataclass(frozen=True, slots=True)
class Amplifier:
    """One amplifier of a frame.

    Attributes
    ----------
    electronics : Electronics
        Its sections are those of its own image plane; a flip of the image area turns the pixels round.
    detector : Area or None
        What it saw, in unbinned pixels of the detector; a flip tells that it reads backwards. None for an amplifier
        that is alone: its image area is the image.
    plane : int
        Which image plane of the file holds it, from 0.
    from_right, from_top : bool
        Whether its plane is stored with the column or row that is read first at the right or at the top.
    """

    electronics: Electronics
    detector: Area | None = None
    plane: int = 0
    from_right: bool = False
    from_top: bool = False


def readout_of(
    image: RawImage,
    amplifiers: Sequence[Amplifier],
    binning: tuple[int, int] = (1, 1),
    crosstalk: Sequence[Sequence[float]] = (),
) -> Readout | Mosaic:
    """Open a frame of one amplifier or of several; parameters and errors as for `Mosaic`.

    Returns
    -------
    Readout or Mosaic
        A frame of one amplifier that reads forwards needs no mosaic.
    """
    first = amplifiers[0]
    areas = first.electronics.image_area, first.detector
    if len(amplifiers) == 1 and len(image.planes) > 1:
        raise FrameRejectedError(
            f"the file holds {len(image.planes)} image planes; expected one, or an amplifier for each"
        )
    forwards = not any(area is not None and (area.flip_x or area.flip_y) for area in areas)
    if len(amplifiers) == 1 and forwards:
        return Readout(image, first.electronics)
    return Mosaic(image, amplifiers, binning, crosstalk)


class Mosaic:
    """Electrons of the light-sensitive pixels of a frame with several amplifiers.

    It serves wherever a `Readout` does.

    Parameters
    ----------
    image : RawImage
    amplifiers : sequence of Amplifier
    binning : (int, int)
        In x and y.
    crosstalk : sequence of sequence of float
        Row ``i``, column ``j``: the share of the signal of amplifier ``i`` [ADU] that appears on ``j``; empty for none.

    Raises
    ------
    FrameRejectedError
        If the file does not hold these amplifiers, or sections do not fit.

    Notes
    -----
    Electrons of amplifier ``j`` are ``g_j (D_j - sum_i c_ij D_i)`` with ``D`` the signal above the overscan level, of
    the pixels that are read at the same time; its variance is that of ``D_j`` and ``c_ij^2`` times that of each
    ``D_i``.
    """

    def __init__(
        self,
        image: RawImage,
        amplifiers: Sequence[Amplifier],
        binning: tuple[int, int] = (1, 1),
        crosstalk: Sequence[Sequence[float]] = (),
    ) -> None:
        self.image = image
        self.amplifiers = tuple(amplifiers)
        needed = max(amplifier.plane for amplifier in amplifiers) + 1
        if needed > len(image.planes):
            raise FrameRejectedError(
                f"the file holds {len(image.planes)} image planes; its camera file tells of {needed}"
            )
        self.readouts = tuple(Readout(image.planes[a.plane], a.electronics) for a in amplifiers)
        areas = [readout.area for readout in self.readouts]
        self.places = place(areas, [amplifier.detector for amplifier in amplifiers], binning)
        self.crosstalk = np.zeros((len(amplifiers),) * 2) if len(crosstalk) == 0 else np.array(crosstalk, float)
        if self.crosstalk.shape != (len(amplifiers),) * 2:
            raise FrameRejectedError(f"crosstalk is told for {len(crosstalk)} amplifiers; expected {len(amplifiers)}")
        gains = [readout.electronics.gain for readout in self.readouts]
        noises = [readout.electronics.read_noise for readout in self.readouts]
        bleed = self.readouts[0].electronics.bleed
        self.electronics = Electronics(
            bleed=bleed, gain=float(np.mean(gains)), read_noise=float(np.sqrt(np.mean(np.square(noises))))
        )
        self.saturation = min(readout.saturation for readout in self.readouts)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the mosaic."""
        return extent(self.places)

    @property
    def area(self) -> Area:
        """All of the mosaic."""
        ny, nx = self.shape
        return Area(0, nx, 0, ny)

    @property
    def columns(self) -> int:
        """Columns that its rows have."""
        return self.shape[1]

    @property
    def has_overscan(self) -> bool:
        """Whether an overscan level is taken off every amplifier."""
        return all(readout.has_overscan for readout in self.readouts)

    @property
    def mean_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""
        levels = [readout.mean_level for readout in self.readouts]
        known = [level for level in levels if level is not None]
        return float(np.mean(known)) if known else None

    @property
    def level_variance(self) -> NDArray[np.float64]:
        """Mean variance [e-^2] of the overscan levels."""
        return np.asarray(np.mean([float(np.mean(readout.level_variance)) for readout in self.readouts]))

    @property
    def limit_source(self) -> str:
        """What sets the smallest limit, as `Readout.limit_source` says it."""
        return min(self.readouts, key=lambda readout: readout.saturation).limit_source

    def bleed(self) -> NDArray[np.bool_] | None:
        """Find the pixels of the mosaic that charge may have leaked into, as `Readout.bleed` does."""
        found = [readout.bleed() for readout in self.readouts]
        if all(one is None for one in found):
            return None
        reached = np.zeros(self.shape, dtype=bool)
        for where, one in zip(self.places, found, strict=True):
            if one is not None:
                reached[where.area.slices] = one[_turned(where.flip_y, where.flip_x)]
        return reached

    @property
    def in_words(self) -> bool:
        """Never: rows are put together from those of several amplifiers."""
        return False

    @property
    def parts(self) -> tuple[Part, ...]:
        """What each amplifier read."""
        return tuple(
            Part(str(n), where.area, readout.electronics.gain, readout.electronics.read_noise)
            for n, (where, readout) in enumerate(zip(self.places, self.readouts, strict=True), start=1)
        )

    @cached_property
    def shares(self) -> tuple[tuple[Area, Any], ...]:
        """What each amplifier read: its pixels in the mosaic, and a readout of them alone."""
        return tuple((where.area, Share(self, n)) for n, where in enumerate(self.places))

    def rows(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8]]:
        """Rows of the mosaic; parameters, results and errors as for `Readout.rows`."""
        electrons, flags = self._empty(start, stop)
        for where, share, first, last in self._cuts(start, stop):
            electrons[where], flags[where] = share.rows(first, last)
        return electrons, flags

    def measure(self, start: int, stop: int) -> Measured:
        """Rows of the mosaic with their noise; parameters, results and errors as for `Readout.measure`.

        Pixels that no amplifier saw are 0 and flagged ``NO_DATA``.
        """
        electrons, flags = self._empty(start, stop)
        variance = np.full(electrons.shape, self.electronics.read_variance, np.float32)
        for where, share, first, last in self._cuts(start, stop):
            electrons[where], flags[where], variance[where] = share.measure(first, last)
        return electrons, flags, variance

    def _empty(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8]]:
        shape = stop - start, self.shape[1]
        return np.zeros(shape, np.float32), np.full(shape, Flag.NO_DATA, MASK_DTYPE)

    def _cuts(self, start: int, stop: int) -> Iterator[tuple[tuple[slice, slice], Share, int, int]]:
        """Cut rows into pieces of one amplifier and few rows: where they go, and which rows of which share they are."""
        for area, share in self.shares:
            for first in range(max(start, area.ymin), min(stop, area.ymax), STRIP):
                last = min(first + STRIP, stop, area.ymax)
                where = slice(first - start, last - start), slice(area.xmin, area.xmax)
                yield where, share, first - area.ymin, last - area.ymin

    def read(self) -> tuple[Image, NDArray[np.uint8]]:
        """Read the whole mosaic, as `rows` does."""
        return self.rows(0, self.shape[0])

    def order(self, number: int) -> Order:
        """In which order an amplifier reads the pixels of its plane, or of its own area where it shares the plane."""
        amplifier, readout = self.amplifiers[number], self.readouts[number]
        ny, nx = readout.image.shape
        alone = sum(other.plane == amplifier.plane for other in self.amplifiers) == 1
        region = Area(0, nx, 0, ny) if alone else readout.area
        return Order(region, amplifier.from_right, amplifier.from_top)


class Share:
    """The pixels of one amplifier, in the orientation of the mosaic; it serves wherever a `Readout` does."""

    def __init__(self, mosaic: Mosaic, number: int) -> None:
        self._mosaic = mosaic
        self._number = number
        self._place = mosaic.places[number]
        self._readout = mosaic.readouts[number]
        self.image = mosaic.image
        self.electronics = self._readout.electronics
        self.saturation = self._readout.saturation
        self.in_words = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its part of the mosaic."""
        return self._place.area.shape

    @property
    def columns(self) -> int:
        """Columns that its rows have."""
        return self.shape[1]

    @property
    def has_overscan(self) -> bool:
        """Whether an overscan level is taken off."""
        return self._readout.has_overscan

    @property
    def mean_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""
        return self._readout.mean_level

    @property
    def level_variance(self) -> NDArray[np.float64]:
        """Mean variance [e-^2] of the overscan level."""
        return np.asarray(np.mean(self._readout.level_variance))

    @property
    def parts(self) -> tuple[Part, ...]:
        """The one amplifier's part: all of it."""
        return (replace(self._mosaic.parts[self._number], area=self.area),)

    @property
    def shares(self) -> tuple[tuple[Area, Any], ...]:
        """Itself, all of it."""
        return ((self.area, self),)

    @property
    def area(self) -> Area:
        """All of it."""
        ny, nx = self.shape
        return Area(0, nx, 0, ny)

    def rows(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8]]:
        """Rows of its part; parameters, results and errors as for `Readout.rows`."""
        adu, flags, _, _ = self._signal(start, stop)
        adu *= np.float32(self.electronics.gain)
        index = _turned(self._place.flip_y, self._place.flip_x)
        return adu[index], flags[index]

    def read(self) -> tuple[Image, NDArray[np.uint8]]:
        """Read all of it, as `rows` does."""
        return self.rows(0, self.shape[0])

    def measure(self, start: int, stop: int) -> Measured:
        """Rows of its part with their noise; parameters, results and errors as for `Readout.measure`."""
        gain = np.float32(self.electronics.gain)
        first, last = self._stored(start, stop)
        adu, flags, ghosts, slope = self._signal(start, stop)
        variance = np.broadcast_to(self._readout.noise(first, last), adu.shape)
        for number, ghost in ghosts.items():
            source, share = self._mosaic.readouts[number].electronics, self._mosaic.crosstalk[number, self._number]
            noise = source.read_variance / source.gain**2 + np.maximum(ghost, 0) / np.float32(source.gain)
            variance = variance + np.float32(share**2) * gain**2 * noise.astype(np.float32)
        if slope is not None:
            variance = variance * slope**2
        index = _turned(self._place.flip_y, self._place.flip_x)
        return (adu * gain)[index], flags[index], variance[index]

    def _stored(self, start: int, stop: int) -> tuple[int, int]:
        """Rows of its image area, as stored, that some rows of its part are."""
        ny = self.shape[0]
        return (ny - stop, ny - start) if self._place.flip_y else (start, stop)

    def _signal(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8], dict[int, Image], Image | None]:
        """Signal [ADU] of some rows, as stored, without that of others; its flags, that of others, and the slope."""
        readout = self._readout
        first, last = self._stored(start, stop)
        pixels = Area(readout.area.xmin, readout.area.xmax, readout.area.ymin + first, readout.area.ymin + last)
        adu, flags = readout.above_bias(pixels)
        shares = self._mosaic.crosstalk[:, self._number]
        ghosts = {int(n): self._ghost(int(n), pixels) for n in np.flatnonzero(shares) if n != self._number}
        for number, ghost in ghosts.items():
            adu -= np.float32(shares[number]) * ghost
        if not self.electronics.polynomial:
            return adu, flags, ghosts, None
        adu, slope = linearise(adu, self.electronics.polynomial)
        return adu, flags, ghosts, slope

    def _ghost(self, number: int, pixels: Area) -> Image:
        """Signal [ADU] that another amplifier read at the same time; 0 where it read nothing."""
        source = self._mosaic.readouts[number]
        wanted = read_together(pixels, self._mosaic.order(self._number), self._mosaic.order(number))
        ny, nx = source.image.shape
        there = Area(max(0, wanted.xmin), min(nx, wanted.xmax), max(0, wanted.ymin), min(ny, wanted.ymax))
        index = _turned(wanted.flip_y, wanted.flip_x)
        if there.shape == pixels.shape:
            return source.signal(there)[index]
        signal = np.zeros(pixels.shape, np.float32)
        if there.fits_in(source.image.shape):
            rows = slice(there.ymin - wanted.ymin, there.ymax - wanted.ymin)
            signal[rows, there.xmin - wanted.xmin : there.xmax - wanted.xmin] = source.signal(there)
        return signal[index]


def _turned(flip_y: bool, flip_x: bool) -> tuple[slice, slice]:
    """Index that turns rows or columns round."""
    return slice(None, None, -1 if flip_y else 1), slice(None, None, -1 if flip_x else 1)
