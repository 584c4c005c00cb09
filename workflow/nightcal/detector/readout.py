"""One raw frame on its way to electrons: overscan, gain and trim, by rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.overscan import Level, OverscanMethod, OverscanMethods
from nightcal.detector.saturation import NO_BLEED, Bleed, flag_bleed, flag_raw
from nightcal.errors import SetAside
from nightcal.flags import Flag
from nightcal.raw_image import RawImage
from nightcal.robust import QUANTISATION
from nightcal.sections import Area

SMALL = 2
"""Bytes of integers that 32-bit numbers hold exactly."""

STRIP = 256
"""Rows that are searched for saturation at a time."""

UserMethod = Callable[[NDArray[Any], list[dict[str, int]]], NDArray[Any]]
"""A user's overscan correction: image and overscan areas in, corrected image of floats out."""


@dataclass(frozen=True, slots=True)
class Electronics:
    """How a readout becomes electrons.

    Attributes
    ----------
    overscans : tuple of Area
        None: no overscan correction.
    overscan_method : OverscanMethod or function
    image_area : Area or None
        Light-sensitive pixels; None for the whole image.
    gain : float
        [e-/ADU]
    read_noise : float
        [e-], with the noise of digitisation in it.
    saturation : float or None
        [ADU]; None for the largest value that the file can hold.
    linearity : float or None
        [ADU]; values from here on are flagged like saturated ones; None for no such limit.
    bleed : Bleed
        Where the charge of saturated pixels leaks to.
    """

    overscans: tuple[Area, ...] = ()
    overscan_method: OverscanMethod | UserMethod = OverscanMethods.clipped_mean
    image_area: Area | None = None
    gain: float = 1.0
    read_noise: float = 0.0
    saturation: float | None = None
    linearity: float | None = None
    bleed: Bleed = NO_BLEED

    @property
    def read_variance(self) -> float:
        """Variance [e-^2] of a pixel without light; that of digitisation where no read noise is known."""
        return max(self.read_noise, QUANTISATION * self.gain) ** 2


class Readout:
    """Electrons of the light-sensitive pixels of one raw frame.

    Parameters
    ----------
    image : RawImage
    electronics : Electronics

    Raises
    ------
    SetAside
        If an area lies outside the image; later if the overscan holds nothing, or the pixels cannot be read.
    """

    def __init__(self, image: RawImage, electronics: Electronics) -> None:
        self.image = image
        self.electronics = electronics
        self.area = electronics.image_area or Area(0, image.shape[1], 0, image.shape[0])
        for what, area in [("image area", self.area), *(("overscan area", area) for area in electronics.overscans)]:
            if not area.fits_in(image.shape):
                raise SetAside(
                    f"the {what} {area} lies outside the image of {image.shape[1]} x {image.shape[0]} pixels"
                )
        self.full = image.largest if electronics.saturation is None else electronics.saturation
        self.saturation = min(self.full, np.inf if electronics.linearity is None else electronics.linearity)
        self._level: Level | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the light-sensitive area."""
        return self.area.shape

    @property
    def whole_level(self) -> Level | None:
        """Overscan level [ADU] of all rows that were read out, found when first asked for; None without overscan."""
        if self._level is None and self.electronics.overscans:
            self._level = self._find_level()
        return self._level

    @property
    def level(self) -> Level | None:
        """Overscan level [ADU] of the rows of the light-sensitive area; None without overscan."""
        level = self.whole_level
        return None if level is None else level.rows(self.area.ymin, self.area.ymax)

    @property
    def level_variance(self) -> NDArray[np.float64]:
        """Variance [e-^2] of the overscan level, broadcastable to the light-sensitive area."""
        if self.level is None:
            return np.zeros(())
        return self.level.columns(self.area.slices[1]).variance * self.electronics.gain**2

    @property
    def in_words(self) -> bool:
        """Whether the pixels are 16-bit integers, from each row of which one number is subtracted."""
        level = self.whole_level
        return self.image.zero is not None and (level is None or level.value.size <= self.image.shape[0])

    @property
    def offset(self) -> NDArray[np.float64]:
        """What is to be subtracted from stored integers, overscan level and all; shape () or (ny,)."""
        level = self.level
        value = np.zeros(()) if level is None else level.value.reshape(level.value.shape[:1])
        return value - (self.image.zero or 0)

    @property
    def limit(self) -> float:
        """Stored integers from here on are saturated."""
        return self.saturation - (self.image.zero or 0)

    @property
    def limit_source(self) -> str:
        """What sets the limit: ``linearity``, ``saturation``, or ``file``, whose integers hold no more."""
        if self.saturation < self.full:
            return "linearity"
        return "file" if self.electronics.saturation is None else "saturation"

    def rows(self, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Rows of the light-sensitive area.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, counted from the first row of the area.

        Returns
        -------
        electrons : ndarray of float32, shape (stop - start, nx)
            Overscan-subtracted signal [e-].
        flags : ndarray of uint8, shape (stop - start, nx)
            ``SATURATED`` and ``NO_DATA`` bits.

        Raises
        ------
        SetAside
            If the pixels cannot be read.
        """
        first, last, columns = self.area.ymin + start, self.area.ymin + stop, self.area.slices[1]
        raw = self.image.rows(first, last)[:, columns]
        level = self.whole_level
        value = np.zeros(()) if level is None else level.rows(first, last).columns(columns).value
        flags = flag_raw(raw, self.saturation)
        if raw.dtype.kind == "f" or raw.dtype.itemsize > SMALL or value.size > len(raw):
            adu = (raw.astype(np.float64) - value).astype(np.float32)
        else:  # whole ADU less whole ADU is exact in 32 bits
            adu = raw.astype(np.float32)
            adu -= np.rint(value).astype(np.float32)
            adu -= (value - np.rint(value)).astype(np.float32)
        if raw.dtype.kind == "f" or level is not None:
            flags[~np.isfinite(adu)] |= Flag.NO_DATA
        adu *= np.float32(self.electronics.gain)
        return adu, flags

    def read(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read the whole light-sensitive area, as `rows` does."""
        return self.rows(0, self.shape[0])

    def bleed(self) -> NDArray[np.bool_] | None:
        """Find the pixels that charge of saturated ones may have leaked into.

        Returns
        -------
        ndarray of bool, shape of the light-sensitive area, or None
            None where the camera leaks nowhere, or nothing is saturated.

        Raises
        ------
        SetAside
            If the pixels cannot be read.
        """
        where = self.electronics.bleed
        if not where.directions:
            return None
        saturated = np.zeros(self.shape, dtype=bool)
        for start in range(0, len(saturated), STRIP):
            rows = saturated[start : start + STRIP]
            first = self.area.ymin + start
            raw = self.image.rows(first, first + len(rows))[:, self.area.slices[1]]
            np.greater_equal(raw, self.full, out=rows)
        return flag_bleed(saturated, where.directions, where.pixels) if saturated.any() else None

    def _find_level(self) -> Level:
        method = self.electronics.overscan_method
        if isinstance(method, OverscanMethod):
            return self._level_by(method)
        raw = self.image.read()
        corrected = np.asarray(method(raw.copy(), as_dictionaries(self.electronics.overscans)))
        if corrected.shape != raw.shape or corrected.dtype.kind != "f":
            raise TypeError(
                f"overscan_method returned {corrected.dtype} of shape {corrected.shape}; "
                f"expected a corrected image of floats of shape {raw.shape}"
            )
        with np.errstate(invalid="ignore"):  # infinity less infinity
            return Level(raw.astype(np.float64) - corrected, np.zeros(()))

    def _level_by(self, method: OverscanMethod) -> Level:
        """Find the level in what is stored, which spares the decoding of all pixels for that of a few columns."""
        zero = self.image.zero
        stored = self.image.read() if zero is None else self.image.words(0, self.image.shape[0]).view(">i2")
        try:
            level = method.level(stored, self.electronics.overscans, slice(self.area.ymin, self.area.ymax))
        except ValueError as error:
            raise SetAside(f"overscan: {error}") from error
        return Level(level.value + (zero or 0), level.variance)


def as_dictionaries(areas: Sequence[Area]) -> list[dict[str, int]]:
    """Areas as the dictionaries that users write: ``xmin``, ``xmax``, ``ymin``, ``ymax``."""
    return [{"xmin": a.xmin, "xmax": a.xmax, "ymin": a.ymin, "ymax": a.ymax} for a in areas]


def as_area(entry: Area | Mapping[str, int]) -> Area:
    """Turn a dictionary with ``xmin``, ``xmax``, ``ymin``, ``ymax`` into an area.

    Raises
    ------
    ValueError
        If a key is missing or unknown, a value is no whole number, or the area is empty, inverted or negative.
    """
    if isinstance(entry, Area):
        area = entry
    else:
        names = ("xmin", "xmax", "ymin", "ymax")
        if not isinstance(entry, Mapping) or set(entry) != set(names):
            raise ValueError("expected xmin, xmax, ymin and ymax")
        if not all(isinstance(entry[n], int | np.integer) and not isinstance(entry[n], bool) for n in names):
            raise ValueError("expected whole numbers of pixels")
        xmin, xmax, ymin, ymax = (int(entry[n]) for n in names)
        area = Area(xmin, xmax, ymin, ymax)
    if not (0 <= area.xmin < area.xmax and 0 <= area.ymin < area.ymax):
        raise ValueError("expected 0 <= xmin < xmax and 0 <= ymin < ymax")
    return area
