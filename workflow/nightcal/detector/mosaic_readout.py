"""A raw frame that several amplifiers read out: overscan, crosstalk, gain and mosaic, by rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.amplifier import Amplifier
from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.detector.crosstalk import Order, read_together
from nightcal.detector.linearity import linearise
from nightcal.detector.mosaic import extent, place
from nightcal.detector.readout import Readout
from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area

STRIP = 64
"""Rows that are put together at a time."""

Image = NDArray[np.float32]
Measured = tuple[Image, NDArray[np.uint8], Image]


def open_readout(
    image: RawImage,
    amplifiers: Sequence[Amplifier],
    binning: tuple[int, int] = (1, 1),
    crosstalk: Sequence[Sequence[float]] = (),
) -> Readout:
    """Open a frame of one amplifier or of several; parameters and errors as for `Mosaic`.

    Returns
    -------
    Readout
        A frame of one amplifier that reads forwards needs no mosaic.
    """
    first = amplifiers[0]
    if len(amplifiers) == 1 and len(image.planes) > 1:
        raise FrameRejectedError(
            f"the file holds {len(image.planes)} image planes; expected one, or an amplifier for each"
        )
    if len(amplifiers) == 1 and first.reads_forwards:
        return AmplifierReadout(image, first)
    return Mosaic(image, amplifiers, binning, crosstalk)


class Mosaic(Readout):
    """Electrons of the light-sensitive pixels of a frame with several amplifiers.

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
        self.readouts = tuple(AmplifierReadout(image.planes[a.plane], a) for a in amplifiers)
        areas = [readout.area for readout in self.readouts]
        self.places = place(areas, [amplifier.detector for amplifier in amplifiers], binning)
        self.crosstalk = np.zeros((len(amplifiers),) * 2) if len(crosstalk) == 0 else np.array(crosstalk, float)
        if self.crosstalk.shape != (len(amplifiers),) * 2:
            raise FrameRejectedError(f"crosstalk is told for {len(crosstalk)} amplifiers; expected {len(amplifiers)}")
        self.gain = float(np.mean([amplifier.gain for amplifier in amplifiers]))
        self.read_noise = float(np.sqrt(np.mean(np.square([amplifier.read_noise for amplifier in amplifiers]))))
        self.read_variance = Amplifier(gain=self.gain, read_noise=self.read_noise).read_variance
        self.saturation = min(readout.saturation for readout in self.readouts)
        self.bleeding = amplifiers[0].bleed

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the mosaic."""
        return extent(self.places)

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
        """What sets the smallest limit, as `AmplifierReadout.limit_source` says it."""
        return min(self.readouts, key=lambda readout: readout.saturation).limit_source

    def bleed(self) -> NDArray[np.bool_] | None:
        """Find the pixels of the mosaic that charge may have leaked into, as `AmplifierReadout.bleed` does."""
        found = [(area, part) for area, share in self.shares if (part := share.bleed()) is not None]
        reached = np.zeros(self.shape, dtype=bool)
        for area, part in found:
            reached[area.slices] = part
        return reached if found else None

    @cached_property
    def shares(self) -> tuple[tuple[Area, Readout], ...]:
        """What each amplifier read: its pixels in the mosaic, and a readout of them alone."""
        return tuple((where.area, Share(self, n)) for n, where in enumerate(self.places))

    def rows(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8]]:
        """Rows of the mosaic; parameters, results and errors as for `AmplifierReadout.rows`."""
        electrons, flags = self._empty(start, stop)
        for where, share, first, last in self._cuts(start, stop):
            electrons[where], flags[where] = share.rows(first, last)
        return electrons, flags

    def measure(self, start: int, stop: int) -> Measured:
        """Rows of the mosaic with their noise; parameters, results and errors as for `AmplifierReadout.measure`.

        Pixels that no amplifier saw are 0 and flagged ``NO_DATA``.
        """
        electrons, flags = self._empty(start, stop)
        variance = np.full(electrons.shape, self.read_variance, np.float32)
        for where, share, first, last in self._cuts(start, stop):
            electrons[where], flags[where], variance[where] = share.measure(first, last)
        return electrons, flags, variance

    def _empty(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8]]:
        shape = stop - start, self.shape[1]
        return np.zeros(shape, np.float32), np.full(shape, Flag.NO_DATA, MASK_DTYPE)

    def _cuts(self, start: int, stop: int) -> Iterator[tuple[tuple[slice, slice], Readout, int, int]]:
        """Cut rows into pieces of one amplifier and few rows: where they go, and which rows of which share they are."""
        for area, share in self.shares:
            for first in range(max(start, area.ymin), min(stop, area.ymax), STRIP):
                last = min(first + STRIP, stop, area.ymax)
                where = slice(first - start, last - start), slice(area.xmin, area.xmax)
                yield where, share, first - area.ymin, last - area.ymin

    def settings(self) -> dict[str, Any]:
        """List what must be known to repeat the calibration."""
        return {
            "amplifiers": [readout.settings() for readout in self.readouts],
            "places": [asdict(where) for where in self.places],
            "crosstalk": self.crosstalk.tolist(),
        }

    def keywords(self) -> dict[str, Any]:
        """Describe each amplifier: values for the header of a product, by keyword."""
        values: dict[str, Any] = {"NAMPS": len(self.readouts), "XTALKCOR": bool(self.crosstalk.any())}
        if any(readout.has_overscan for readout in self.readouts):
            values["OVSCMETH"] = self.amplifiers[0].method_name
        for n, (readout, where) in enumerate(zip(self.readouts, self.places, strict=True), start=1):
            values |= {
                f"AMPSEC{n:02d}": str(where.area),
                f"GAINUS{n:02d}": readout.gain,
                f"RNUSED{n:02d}": readout.read_noise,
            }
            if np.isfinite(readout.saturation):
                values[f"SATUSE{n:02d}"] = readout.saturation
            if readout.mean_level is not None:
                values[f"OVSCLV{n:02d}"] = readout.mean_level
                values[f"OVSCSE{n:02d}"] = " ".join(map(str, readout.amplifier.overscans))
        return values

    @property
    def kept_area(self) -> Area | None:
        """Area of the raw image that is kept, with its flips, of an amplifier that is alone."""
        if len(self.readouts) > 1:
            return None
        (where,), (alone,) = self.places, self.readouts
        area = replace(alone.area, flip_x=where.flip_x, flip_y=where.flip_y)
        return area if area.shape != alone.image.shape or area.flip_x or area.flip_y else None

    @property
    def warnings(self) -> list[str]:
        """Amplifiers whose binned pixels do not line up with those of the others."""
        return [
            f"amplifier {n}: its binned pixels lie between those of the others, moved by up to half a pixel"
            for n, where in enumerate(self.places, start=1)
            if where.off_grid
        ]

    def order(self, number: int) -> Order:
        """In which order an amplifier reads the pixels of its plane, or of its own area where it shares the plane."""
        amplifier, readout = self.amplifiers[number], self.readouts[number]
        ny, nx = readout.image.shape
        alone = sum(other.plane == amplifier.plane for other in self.amplifiers) == 1
        region = Area(0, nx, 0, ny) if alone else readout.area
        return Order(region, amplifier.from_right, amplifier.from_top)


class Share(Readout):
    """The pixels of one amplifier, in the orientation of the mosaic."""

    def __init__(self, mosaic: Mosaic, number: int) -> None:
        self._mosaic = mosaic
        self._number = number
        self._place = mosaic.places[number]
        self._readout = mosaic.readouts[number]
        self.image = mosaic.image
        self.gain, self.read_noise = self._readout.gain, self._readout.read_noise
        self.read_variance, self.bleeding = self._readout.read_variance, self._readout.bleeding
        self.saturation = self._readout.saturation

    @property
    def limit_source(self) -> str:
        """What sets the limit of saturation."""
        return self._readout.limit_source

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its part of the mosaic."""
        return self._place.area.shape

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

    def rows(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8]]:
        """Rows of its part; parameters, results and errors as for `AmplifierReadout.rows`."""
        adu, flags, _, _ = self._signal(start, stop)
        adu *= np.float32(self.gain)
        index = _turned(self._place.flip_y, self._place.flip_x)
        return adu[index], flags[index]

    def measure(self, start: int, stop: int) -> Measured:
        """Rows of its part with their noise; parameters, results and errors as for `AmplifierReadout.measure`."""
        gain = np.float32(self.gain)
        first, last = self._stored_rows(start, stop)
        adu, flags, ghosts, slope = self._signal(start, stop)
        variance = np.broadcast_to(self._readout.noise(first, last), adu.shape)
        for number, ghost in ghosts.items():
            source, share = self._mosaic.readouts[number], self._mosaic.crosstalk[number, self._number]
            noise = source.read_variance / source.gain**2 + np.maximum(ghost, 0) / np.float32(source.gain)
            variance = variance + np.float32(share**2) * gain**2 * noise.astype(np.float32)
        if slope is not None:
            variance = variance * slope**2
        index = _turned(self._place.flip_y, self._place.flip_x)
        return (adu * gain)[index], flags[index], variance[index]

    def bleed(self) -> NDArray[np.bool_] | None:
        """Find the pixels of its part that charge may have leaked into, as `AmplifierReadout.bleed` does."""
        found = self._readout.bleed()
        return None if found is None else found[_turned(self._place.flip_y, self._place.flip_x)]

    def settings(self) -> dict[str, Any]:
        """List what must be known to repeat the calibration."""
        return self._readout.settings()

    def keywords(self) -> dict[str, Any]:
        """Describe the overscan: values for the header of a product, by keyword."""
        return self._readout.keywords()

    @property
    def kept_area(self) -> None:
        """None: it is a part of a mosaic."""

    def _stored_rows(self, start: int, stop: int) -> tuple[int, int]:
        """Rows of its image area, as stored, that some rows of its part are."""
        ny = self.shape[0]
        return (ny - stop, ny - start) if self._place.flip_y else (start, stop)

    def _signal(self, start: int, stop: int) -> tuple[Image, NDArray[np.uint8], dict[int, Image], Image | None]:
        """Signal [ADU] of some rows, as stored, without that of others; its flags, that of others, and the slope."""
        readout = self._readout
        first, last = self._stored_rows(start, stop)
        pixels = Area(readout.area.xmin, readout.area.xmax, readout.area.ymin + first, readout.area.ymin + last)
        adu, flags = readout.above_bias(pixels)
        shares = self._mosaic.crosstalk[:, self._number]
        ghosts = {int(n): self._ghost(int(n), pixels) for n in np.flatnonzero(shares) if n != self._number}
        for number, ghost in ghosts.items():
            adu -= np.float32(shares[number]) * ghost
        if not self._readout.amplifier.polynomial:
            return adu, flags, ghosts, None
        adu, slope = linearise(adu, self._readout.amplifier.polynomial)
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
