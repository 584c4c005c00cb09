"""Read a raw frame of several amplifiers row by row: overscan, crosstalk, gain and mosaic."""

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
from nightcal.detector.mosaic import find_mosaic_shape, place_amplifiers
from nightcal.detector.readout import Readout
from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag, MaskBits
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area
from nightcal.warning_names import name_warning

STRIP = 64
"""Rows to assemble at a time."""

Image = NDArray[np.float32]
Measured = tuple[Image, MaskBits, Image]


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
        An `AmplifierReadout` for one amplifier that reads forwards, else a `Mosaic`.
    """
    first = amplifiers[0]
    if len(amplifiers) == 1 and len(image.planes) > 1:
        raise FrameRejectedError(
            f"the file holds {len(image.planes)} image planes; expected one, or one amplifier per plane"
        )
    if len(amplifiers) == 1 and first.reads_forwards:
        return AmplifierReadout(image, first)
    return Mosaic(image, amplifiers, binning, crosstalk)


class Mosaic(Readout):
    """Signal of the light-sensitive pixels of a frame with several amplifiers, in electrons.

    Parameters
    ----------
    image : RawImage
    amplifiers : sequence of Amplifier
    binning : (int, int)
        In x and y.
    crosstalk : sequence of sequence of float
        Row ``i``, column ``j``: the fraction of the signal of amplifier ``i`` [ADU] that appears on ``j``; or empty.

    Raises
    ------
    FrameRejectedError
        If the file has too few image planes, or sections do not fit.

    Notes
    -----
    The signal of amplifier ``j`` is ``g_j (D_j - sum_i c_ij D_i)``, with ``D`` the signal above the overscan level of
    pixels that are read at the same time; its variance is that of ``D_j`` plus ``c_ij^2`` times that of each ``D_i``.
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
                f"the file holds {len(image.planes)} image planes; expected {needed} from its camera file"
            )
        self.readouts = tuple(AmplifierReadout(image.planes[a.plane], a) for a in amplifiers)
        areas = [readout.area for readout in self.readouts]
        self.places = place_amplifiers(areas, [amplifier.detector for amplifier in amplifiers], binning)
        self.crosstalk = np.zeros((len(amplifiers),) * 2) if len(crosstalk) == 0 else np.array(crosstalk, float)
        if self.crosstalk.shape != (len(amplifiers),) * 2:
            raise FrameRejectedError(f"crosstalk is given for {len(crosstalk)} amplifiers; expected {len(amplifiers)}")
        self.gain = float(np.mean([amplifier.gain for amplifier in amplifiers]))
        self.read_noise = float(np.sqrt(np.mean(np.square([amplifier.read_noise for amplifier in amplifiers]))))
        self.step = max(amplifier.step for amplifier in amplifiers)
        self.read_variance = Amplifier(gain=self.gain, read_noise=self.read_noise, step=self.step).read_variance
        self.bleeding = amplifiers[0].bleed

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the mosaic."""
        return find_mosaic_shape(self.places)

    @property
    def has_overscan(self) -> bool:
        """Whether an overscan level is subtracted from every amplifier."""
        return all(readout.has_overscan for readout in self.readouts)

    @property
    def mean_overscan_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""
        levels = [readout.mean_overscan_level for readout in self.readouts]
        known = [level for level in levels if level is not None]
        return float(np.mean(known)) if known else None

    @property
    def overscan_variance(self) -> NDArray[np.float64]:
        """Mean variance [e-^2] of the overscan levels."""
        return np.asarray(np.mean([float(np.mean(readout.overscan_variance)) for readout in self.readouts]))

    @property
    def saturation(self) -> float:
        """Lowest limit of the amplifiers [ADU]."""
        return min(readout.saturation for readout in self.readouts)

    @property
    def saturation_source(self) -> str:
        """Origin of the lowest limit; see `Readout.saturation_source`."""
        return min(self.readouts, key=lambda readout: readout.saturation).saturation_source

    def find_bleed(self) -> NDArray[np.bool_] | None:
        """Find the bleed pixels of all amplifiers; see `Readout.find_bleed`."""
        parts = [(area, part) for area, share in self.shares if (part := share.find_bleed()) is not None]
        bleed = np.zeros(self.shape, dtype=bool)
        for area, part in parts:
            bleed[area.slices] = part
        return bleed if parts else None

    @cached_property
    def shares(self) -> tuple[tuple[Area, Readout], ...]:
        """Area of each amplifier in the mosaic, and a readout of its pixels alone."""
        return tuple((place.area, Share(self, n)) for n, place in enumerate(self.places))

    def rows(self, start: int, stop: int) -> tuple[Image, MaskBits]:
        """Read rows of the mosaic; see `Readout.rows`."""
        electrons, flags = self._empty(start, stop)
        for where, share, first, last in self._cut(start, stop):
            electrons[where], flags[where] = share.rows(first, last)
        return electrons, flags

    def measure(self, start: int, stop: int) -> Measured:
        """Read rows of the mosaic and their variance without light; see `Readout.measure`."""
        electrons, flags = self._empty(start, stop)
        variance = np.full(electrons.shape, self.read_variance, np.float32)
        for where, share, first, last in self._cut(start, stop):
            electrons[where], flags[where], variance[where] = share.measure(first, last)
        return electrons, flags, variance

    def _empty(self, start: int, stop: int) -> tuple[Image, MaskBits]:
        shape = stop - start, self.shape[1]
        return np.zeros(shape, np.float32), np.full(shape, Flag.NO_DATA, MASK_DTYPE)

    def _cut(self, start: int, stop: int) -> Iterator[tuple[tuple[slice, slice], Readout, int, int]]:
        """Cut rows into pieces of one amplifier: slices in the result, readout, first and last row in it."""
        for area, share in self.shares:
            for first in range(max(start, area.ymin), min(stop, area.ymax), STRIP):
                last = min(first + STRIP, stop, area.ymax)
                where = slice(first - start, last - start), slice(area.xmin, area.xmax)
                yield where, share, first - area.ymin, last - area.ymin

    def list_settings(self) -> dict[str, Any]:
        """List the settings of all amplifiers, for the provenance."""
        return {
            "amplifiers": [readout.list_settings() for readout in self.readouts],
            "places": [asdict(place) for place in self.places],
            "crosstalk": self.crosstalk.tolist(),
        }

    def list_keywords(self) -> dict[str, Any]:
        """List the numbers of each amplifier, by keyword of a product's header."""
        values: dict[str, Any] = {"NAMPS": len(self.readouts), "XTALKCOR": bool(self.crosstalk.any())}
        if any(readout.has_overscan for readout in self.readouts):
            values["OVSCMETH"] = self.amplifiers[0].method_name
        for n, (readout, place) in enumerate(zip(self.readouts, self.places, strict=True), start=1):
            values |= {
                f"AMPSEC{n:02d}": str(place.area),
                f"GAINUS{n:02d}": readout.gain,
                f"RNUSED{n:02d}": readout.read_noise,
            }
            if np.isfinite(readout.saturation):
                values[f"SATUSE{n:02d}"] = readout.saturation
            if readout.mean_overscan_level is not None:
                values[f"OVSCLV{n:02d}"] = readout.mean_overscan_level
                values[f"OVSCSE{n:02d}"] = " ".join(map(str, readout.amplifier.overscans))
        return values

    @property
    def kept_area(self) -> Area | None:
        """Area of the raw image that is kept, with its flips; None for several amplifiers, or if all is kept."""
        if len(self.readouts) > 1:
            return None
        (place,), (readout,) = self.places, self.readouts
        area = replace(readout.area, flip_x=place.flip_x, flip_y=place.flip_y)
        return area if area.shape != readout.image.shape or area.flip_x or area.flip_y else None

    @property
    def warnings(self) -> list[str]:
        """Warnings of amplifiers whose binned pixels do not line up with those of the others."""
        return [
            name_warning(
                "amplifier off the grid",
                f"amplifier {n}: its binned pixels lie between those of the others, moved by up to half a pixel",
            )
            for n, place in enumerate(self.places, start=1)
            if place.off_grid
        ]

    @property
    def pixel_warnings(self) -> list[str]:
        """Warnings about the pixels of the amplifiers, each once."""
        return list(dict.fromkeys(text for readout in self.readouts for text in readout.pixel_warnings))

    def find_order(self, number: int) -> Order:
        """Find the order in which an amplifier reads its plane, or its own area if it shares the plane."""
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
        self.step = self._readout.step

    @property
    def saturation(self) -> float:
        """Raw values at or above are flagged [ADU]."""
        return self._readout.saturation

    @property
    def pixel_warnings(self) -> list[str]:
        """Warnings about the pixels of this amplifier."""
        return self._readout.pixel_warnings

    @property
    def saturation_source(self) -> str:
        """Origin of the limit of saturation."""
        return self._readout.saturation_source

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of this part of the mosaic."""
        return self._place.area.shape

    @property
    def has_overscan(self) -> bool:
        """Whether an overscan level is subtracted."""
        return self._readout.has_overscan

    @property
    def mean_overscan_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""
        return self._readout.mean_overscan_level

    @property
    def overscan_variance(self) -> NDArray[np.float64]:
        """Mean variance [e-^2] of the overscan level."""
        return np.asarray(np.mean(self._readout.overscan_variance))

    def rows(self, start: int, stop: int) -> tuple[Image, MaskBits]:
        """Read rows of this part; see `Readout.rows`."""
        adu, flags, _, _ = self._read_signal(start, stop)
        adu *= np.float32(self.gain)
        index = _flip(self._place.flip_y, self._place.flip_x)
        return adu[index], flags[index]

    def measure(self, start: int, stop: int) -> Measured:
        """Read rows of this part and their variance without light; see `Readout.measure`."""
        gain = np.float32(self.gain)
        first, last = self._find_stored_rows(start, stop)
        adu, flags, ghosts, slope = self._read_signal(start, stop)
        variance = np.broadcast_to(self._readout.find_dark_variance(first, last), adu.shape)
        for number, ghost in ghosts.items():
            source, share = self._mosaic.readouts[number], self._mosaic.crosstalk[number, self._number]
            noise = source.read_variance / source.gain**2 + np.maximum(ghost, 0) / np.float32(source.gain)
            variance = variance + np.float32(share**2) * gain**2 * noise.astype(np.float32)
        if slope is not None:
            variance = variance * slope**2
        index = _flip(self._place.flip_y, self._place.flip_x)
        return (adu * gain)[index], flags[index], variance[index]

    def find_bleed(self) -> NDArray[np.bool_] | None:
        """Find the bleed pixels of this part; see `Readout.find_bleed`."""
        bleed = self._readout.find_bleed()
        return None if bleed is None else bleed[_flip(self._place.flip_y, self._place.flip_x)]

    def list_settings(self) -> dict[str, Any]:
        """List the settings of the amplifier, for the provenance."""
        return self._readout.list_settings()

    def list_keywords(self) -> dict[str, Any]:
        """List the overscan method and areas, by keyword of a product's header."""
        return self._readout.list_keywords()

    @property
    def kept_area(self) -> None:
        """None, as for every part of a mosaic."""

    def _find_stored_rows(self, start: int, stop: int) -> tuple[int, int]:
        """Find the stored rows of the image area for rows of this part."""
        ny = self.shape[0]
        return (ny - stop, ny - start) if self._place.flip_y else (start, stop)

    def _read_signal(self, start: int, stop: int) -> tuple[Image, MaskBits, dict[int, Image], Image | None]:
        """Read rows as stored [ADU] and remove crosstalk: signal, flags, other amplifiers' signal, linearity slope."""
        readout = self._readout
        first, last = self._find_stored_rows(start, stop)
        pixels = Area(readout.area.xmin, readout.area.xmax, readout.area.ymin + first, readout.area.ymin + last)
        adu, flags = readout.subtract_overscan(pixels)
        shares = self._mosaic.crosstalk[:, self._number]
        ghosts = {int(n): self._read_ghost(int(n), pixels) for n in np.flatnonzero(shares) if n != self._number}
        for number, ghost in ghosts.items():
            adu -= np.float32(shares[number]) * ghost
        if not self._readout.amplifier.polynomial:
            return adu, flags, ghosts, None
        adu, slope = linearise(adu, self._readout.amplifier.polynomial)
        return adu, flags, ghosts, slope

    def _read_ghost(self, number: int, pixels: Area) -> Image:
        """Read the signal [ADU] of another amplifier at the same time; 0 beyond its edges."""
        source = self._mosaic.readouts[number]
        wanted = read_together(pixels, self._mosaic.find_order(self._number), self._mosaic.find_order(number))
        ny, nx = source.image.shape
        there = Area(max(0, wanted.xmin), min(nx, wanted.xmax), max(0, wanted.ymin), min(ny, wanted.ymax))
        index = _flip(wanted.flip_y, wanted.flip_x)
        if there.shape == pixels.shape:
            return source.read_signal(there)[index]
        signal = np.zeros(pixels.shape, np.float32)
        if there.fits_in(source.image.shape):
            rows = slice(there.ymin - wanted.ymin, there.ymax - wanted.ymin)
            signal[rows, there.xmin - wanted.xmin : there.xmax - wanted.xmin] = source.read_signal(there)
        return signal[index]


def _flip(flip_y: bool, flip_x: bool) -> tuple[slice, slice]:
    """Make an index that reverses rows or columns."""
    return slice(None, None, -1 if flip_y else 1), slice(None, None, -1 if flip_x else 1)
