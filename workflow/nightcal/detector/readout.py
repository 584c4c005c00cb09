"""One raw frame on its way to electrons: overscan, gain and trim, by rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.amplifier_area import Part
from nightcal.detector.linearity import linearise
from nightcal.detector.overscan import OverscanLevel, OverscanMethod, OverscanMethods
from nightcal.detector.saturation import NO_BLEED, Bleed, flag_bleed, flag_raw
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area
from nightcal.numerics.robust import QUANTISATION

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
    polynomial : tuple of float
        Coefficients of the correction for non-linearity, as `nightcal.detector.linearity.linearise` takes them.
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
    polynomial: tuple[float, ...] = ()
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
    FrameRejectedError
        If an area lies outside the image; later if the overscan holds nothing, or the pixels cannot be read.
    """

    def __init__(self, image: RawImage, electronics: Electronics) -> None:
        self.image = image
        self.electronics = electronics
        self.area = electronics.image_area or Area(0, image.shape[1], 0, image.shape[0])
        for what, area in [("image area", self.area), *(("overscan area", area) for area in electronics.overscans)]:
            if not area.fits_in(image.shape):
                raise FrameRejectedError(
                    f"the {what} {area} lies outside the image of {image.shape[1]} x {image.shape[0]} pixels"
                )
        self.full = image.largest if electronics.saturation is None else electronics.saturation
        self.saturation = min(self.full, np.inf if electronics.linearity is None else electronics.linearity)
        self._level: OverscanLevel | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the light-sensitive area."""
        return self.area.shape

    @property
    def whole_level(self) -> OverscanLevel | None:
        """Overscan level [ADU] of all rows that were read out, found when first asked for; None without overscan."""
        if self._level is None and self.electronics.overscans:
            self._level = self._find_level()
        return self._level

    @property
    def level(self) -> OverscanLevel | None:
        """Overscan level [ADU] of the rows of the light-sensitive area; None without overscan."""
        level = self.whole_level
        return None if level is None else level.rows(self.area.ymin, self.area.ymax)

    @property
    def columns(self) -> int:
        """Columns as read out."""
        return self.image.shape[1]

    @property
    def has_overscan(self) -> bool:
        """Whether an overscan level is taken off."""
        return bool(self.electronics.overscans)

    @property
    def mean_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""
        return None if self.level is None else float(np.nanmean(self.level.value))

    @property
    def parts(self) -> tuple[Part, ...]:
        """The one amplifier's part of the image: all of it."""
        ny, nx = self.shape
        return (Part("1", Area(0, nx, 0, ny), self.electronics.gain, self.electronics.read_noise),)

    @property
    def shares(self) -> tuple[tuple[Area, Any], ...]:
        """What each amplifier read: its pixels in the image, and a readout of them alone."""
        return ((self.parts[0].area, self),)

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
        by_row = level is None or level.value.size <= self.image.shape[0]
        return self.image.zero is not None and by_row and not self.electronics.polynomial

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
        FrameRejectedError
            If the pixels cannot be read.
        """
        electrons, flags, _ = self._measure(start, stop)
        return electrons, flags

    def measure(self, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
        """Rows of the light-sensitive area, with the noise that they would have without light.

        Parameters
        ----------
        start, stop : int
            As for `rows`.

        Returns
        -------
        electrons, flags : ndarray
            As `rows` gives them.
        variance : ndarray of float32, shape (stop - start, 1) or (stop - start, nx)
            Of read noise and overscan level [e-^2].

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """
        electrons, flags, slope = self._measure(start, stop)
        variance = self.noise(start, stop)
        return electrons, flags, variance if slope is None else variance * slope**2

    def noise(self, start: int, stop: int) -> NDArray[np.float32]:
        """Variance of rows without light, as `measure` gives it where the response is linear."""
        ny, nx = self.shape
        variance = np.broadcast_to(self.electronics.read_variance + self.level_variance, (ny, nx))
        by_row = variance.strides[1] == 0
        return (variance[start:stop, :1] if by_row else variance[start:stop]).astype(np.float32)

    def _measure(
        self, start: int, stop: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32] | None]:
        rows = Area(self.area.xmin, self.area.xmax, self.area.ymin + start, self.area.ymin + stop)
        adu, flags = self.above_bias(rows)
        slope = None
        if self.electronics.polynomial:
            adu, slope = linearise(adu, self.electronics.polynomial)
        adu *= np.float32(self.electronics.gain)
        return adu, flags, slope

    def above_bias(self, area: Area) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Pixels as read out, less the overscan level.

        Parameters
        ----------
        area : Area
            Of the image as read out, inside of it.

        Returns
        -------
        adu : ndarray of float32
            [ADU]
        flags : ndarray of uint8
            ``SATURATED`` and ``NO_DATA`` bits.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """
        raw = self.image.rows(area.ymin, area.ymax)[:, area.slices[1]]
        flags = flag_raw(raw, self.saturation)
        adu = self._less_level(raw, area)
        if raw.dtype.kind == "f" or self.whole_level is not None:
            flags[~np.isfinite(adu)] |= Flag.NO_DATA
        return adu, flags

    def signal(self, area: Area) -> NDArray[np.float32]:
        """Pixels less the overscan level [ADU] as `above_bias` gives them, 0 where there is no number."""
        adu = self._less_level(self.image.rows(area.ymin, area.ymax)[:, area.slices[1]], area)
        finite = np.isfinite(adu)
        if not finite.all():
            adu[~finite] = 0.0
        return adu

    def _less_level(self, raw: NDArray[Any], area: Area) -> NDArray[np.float32]:
        level = self.whole_level
        value = np.zeros(()) if level is None else level.rows(area.ymin, area.ymax).columns(area.slices[1]).value
        if raw.dtype.kind == "f" or raw.dtype.itemsize > SMALL or value.size > len(raw):
            adu = (raw.astype(np.float64) - value).astype(np.float32)
        else:  # whole ADU less whole ADU is exact in 32 bits
            adu = raw.astype(np.float32)
            adu -= np.rint(value).astype(np.float32)
            adu -= (value - np.rint(value)).astype(np.float32)
        return np.asarray(adu)

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
        FrameRejectedError
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

    def _find_level(self) -> OverscanLevel:
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
            return OverscanLevel(raw.astype(np.float64) - corrected, np.zeros(()))

    def _level_by(self, method: OverscanMethod) -> OverscanLevel:
        """Find the level in what is stored, which spares the decoding of all pixels for that of a few columns."""
        zero = self.image.zero
        stored = self.image.read() if zero is None else self.image.words(0, self.image.shape[0]).view(">i2")
        try:
            level = method.level(stored, self.electronics.overscans, slice(self.area.ymin, self.area.ymax))
        except ValueError as error:
            raise FrameRejectedError(f"overscan: {error}") from error
        return OverscanLevel(level.value + (zero or 0), level.variance)


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
