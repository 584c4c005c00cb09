"""Read the pixels of one amplifier row by row: overscan, linearity, gain and trim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.adc import FEWEST_AT_TOP, MOST_ABOVE, find_step, find_top
from nightcal.detector.amplifier import Amplifier
from nightcal.detector.linearity import linearise
from nightcal.detector.overscan import OverscanLevel, OverscanMethods
from nightcal.detector.readout import Readout
from nightcal.detector.saturation import flag_bleed, flag_raw
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag, MaskBits
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area, as_dictionaries
from nightcal.warning_names import name_warning

SMALL = 2
"""Largest size of integers that 32-bit floats hold exactly [bytes]."""

PLACE_IN_FILE = ("detector", "plane", "from_right", "from_top")
"""Attributes that `list_settings` leaves to the mosaic, which records where the pixels go."""

ADC = ("step", "top", "searches_top", "saturation_card")
"""Attributes that `list_settings` leaves out: the saturation that follows from them is listed, and a step above 1."""

STRIP = 256
"""Rows to search for saturation at a time."""


class AmplifierReadout(Readout):
    """Signal of the light-sensitive pixels of one amplifier, in electrons.

    Parameters
    ----------
    image : RawImage
    amplifier : Amplifier

    Raises
    ------
    FrameRejectedError
        If an area lies outside the image; later, if the overscan has no valid pixel, or the pixels cannot be read.
    """

    def __init__(self, image: RawImage, amplifier: Amplifier) -> None:
        self.image = image
        self.amplifier = amplifier
        self.gain, self.read_noise = amplifier.gain, amplifier.read_noise
        self.read_variance, self.bleeding = amplifier.read_variance, amplifier.bleed
        self._area = amplifier.image_area or Area(0, image.shape[1], 0, image.shape[0])
        for name, area in [("image area", self._area), *(("overscan area", area) for area in amplifier.overscans)]:
            if not area.fits_in(image.shape):
                raise FrameRejectedError(
                    f"the {name} {area} lies outside the image of {image.shape[1]} x {image.shape[0]} pixels"
                )
        self.step = amplifier.step
        self._overscan_level: OverscanLevel | None = None

    @property
    def area(self) -> Area:
        """The light-sensitive area of the image."""
        return self._area

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the light-sensitive area."""
        return self.area.shape

    @property
    def full_overscan_level(self) -> OverscanLevel | None:
        """Overscan level [ADU] of all rows, measured when first needed; None without overscan."""
        if self._overscan_level is None and self.amplifier.overscans:
            self._overscan_level = self._measure_overscan()
        return self._overscan_level

    @property
    def overscan_level(self) -> OverscanLevel | None:
        """Overscan level [ADU] of the rows of the light-sensitive area; None without overscan."""
        level = self.full_overscan_level
        return None if level is None else level.cut_rows(self.area.ymin, self.area.ymax)

    @property
    def columns(self) -> int:
        """Columns as read out."""
        return self.image.shape[1]

    @property
    def has_overscan(self) -> bool:
        """Whether an overscan level is subtracted."""
        return bool(self.amplifier.overscans)

    @property
    def mean_overscan_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""
        return None if self.overscan_level is None else float(np.nanmean(self.overscan_level.value))

    @property
    def overscan_variance(self) -> NDArray[np.float64]:
        """Variance [e-^2] of the overscan level, broadcastable to the light-sensitive area."""
        if self.overscan_level is None:
            return np.zeros(())
        return self.overscan_level.cut_columns(self.area.slices[1]).variance * self.gain**2

    @property
    def stored(self) -> AmplifierReadout | None:
        """The same readout if it holds 16-bit integers and the overscan level is constant along a row; else None."""
        level = self.full_overscan_level
        by_row = level is None or level.value.size <= self.image.shape[0]
        return self if self.image.zero is not None and by_row and not self.amplifier.polynomial else None

    @property
    def offset(self) -> NDArray[np.float64]:
        """Number to subtract from stored integers, overscan level included; shape () or (ny,)."""
        level = self.overscan_level
        value = np.zeros(()) if level is None else level.value.reshape(level.value.shape[:1])
        return value - (self.image.zero or 0)

    @property
    def stored_saturation_limit(self) -> float:
        """Limit of saturation in stored integers; values at or above are saturated."""
        return self.saturation - (self.image.zero or 0)

    @cached_property
    def stated_saturation(self) -> float:
        """Saturation [ADU] of header or camera file, else the largest integer of the file."""
        stated = self.amplifier.saturation
        return self.image.largest if stated is None else stated

    @cached_property
    def top(self) -> float | None:
        """Top of the ADC [ADU] below `stated_saturation`, from the pixels; None if they do not show it."""
        if not self.amplifier.searches_top:
            return None
        known, found = self.amplifier.top, self._find_top()
        if found is None and known is not None and self._count_above(known) <= MOST_ABOVE:
            found = known
        return found if found is not None and found < self.stated_saturation else None

    @cached_property
    def saturation_level(self) -> float:
        """Raw values at or above are saturated [ADU], whatever the limit of linearity."""
        if self.top is not None:
            return self.top
        if self.amplifier.saturation is None:
            return self.image.largest + 1 - self.step  # the highest step of an ADC that fills the file
        return self.amplifier.saturation

    @cached_property
    def saturation(self) -> float:
        """Raw values at or above are flagged [ADU]."""
        return min(self.saturation_level, np.inf if self.amplifier.linearity is None else self.amplifier.linearity)

    @property
    def saturation_source(self) -> str:
        """Origin of the limit; see `Readout.saturation_source`."""
        if self.saturation < self.saturation_level:
            return "linearity"
        if self.top is not None:
            return "pixels"
        return "file" if self.amplifier.saturation is None else "saturation"

    @property
    def pixel_warnings(self) -> list[str]:
        """Warnings about the top of the ADC, and about scaled pixels."""
        found = []
        if self.image.scale != 1:
            text = f"pixels are floats from 0 to 1, multiplied by {self.image.scale} to get ADU"
            found.append(name_warning("scaled pixels", text))
        stated = self.amplifier.saturation
        if self.top is not None and stated is not None and self.saturation_source == "pixels":
            card = self.amplifier.saturation_card or "the saturation"
            text = f"{card} is {stated:g} ADU, but the brightest pixels pile up at {self.top:g} ADU: used instead"
            found.append(name_warning("saturation above the ADC", text))
        return found

    def _find_top(self) -> float | None:
        """Find the value at which the brightest pixels of this frame pile up, unless the file ends there."""
        peak, count = -np.inf, 0
        for raw in self._cut_raw():
            highest = float(np.fmax.reduce(raw, axis=None))
            if highest > peak:
                peak, count = highest, 0
            if highest == peak:
                count += int(np.count_nonzero(raw == highest))
        full = peak >= self.image.largest
        if (full and count >= FEWEST_AT_TOP) or (not full and count < FEWEST_AT_TOP and self.step == 1):
            return None
        pixels = self.image.read()[self.area.slices]
        step = self.step if self.step > 1 else find_step(pixels[: STRIP * STRIP // len(pixels[0]) + 1]) or 1
        top = find_top(pixels, step)
        return None if top == self.image.largest else top

    def _count_above(self, limit: float) -> int:
        """Count the pixels above a limit [ADU]."""
        return sum(int(np.count_nonzero(raw > limit)) for raw in self._cut_raw())

    def _cut_raw(self) -> Iterator[NDArray[Any]]:
        """Read the light-sensitive pixels [ADU], some rows at a time."""
        for start in range(self.area.ymin, self.area.ymax, STRIP):
            yield self.image.rows(start, min(start + STRIP, self.area.ymax))[:, self.area.slices[1]]

    def rows(self, start: int, stop: int) -> tuple[NDArray[np.float32], MaskBits]:
        """Read rows of the light-sensitive pixels; see `Readout.rows`."""
        electrons, flags, _ = self._measure(start, stop)
        return electrons, flags

    def measure(self, start: int, stop: int) -> tuple[NDArray[np.float32], MaskBits, NDArray[np.float32]]:
        """Read rows and their variance without light; see `Readout.measure`."""
        electrons, flags, slope = self._measure(start, stop)
        variance = self.find_dark_variance(start, stop)
        return electrons, flags, variance if slope is None else variance * slope**2

    def find_dark_variance(self, start: int, stop: int) -> NDArray[np.float32]:
        """Find the variance of rows without light [e-^2], for a linear response."""
        ny, nx = self.shape
        variance = np.broadcast_to(self.read_variance + self.overscan_variance, (ny, nx))
        by_row = variance.strides[1] == 0
        return (variance[start:stop, :1] if by_row else variance[start:stop]).astype(np.float32)

    def _measure(self, start: int, stop: int) -> tuple[NDArray[np.float32], MaskBits, NDArray[np.float32] | None]:
        rows = Area(self.area.xmin, self.area.xmax, self.area.ymin + start, self.area.ymin + stop)
        adu, flags = self.subtract_overscan(rows)
        slope = None
        if self.amplifier.polynomial:
            adu, slope = linearise(adu, self.amplifier.polynomial)
        adu *= np.float32(self.gain)
        return adu, flags, slope

    def subtract_overscan(self, area: Area) -> tuple[NDArray[np.float32], MaskBits]:
        """Read pixels and subtract the overscan level.

        Parameters
        ----------
        area : Area
            Inside the image as read out.

        Returns
        -------
        adu : ndarray of float32
            [ADU]
        flags : ndarray of int16
            ``SATURATED`` and ``NO_DATA`` bits.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """
        raw = self.image.rows(area.ymin, area.ymax)[:, area.slices[1]]
        flags = flag_raw(raw, self.saturation)
        adu = self._subtract_level(raw, area)
        if raw.dtype.kind == "f" or self.full_overscan_level is not None:
            flags[~np.isfinite(adu)] |= Flag.NO_DATA
        return adu, flags

    def read_signal(self, area: Area) -> NDArray[np.float32]:
        """Read pixels as `subtract_overscan` does [ADU]; 0 for those that are not finite."""
        adu = self._subtract_level(self.image.rows(area.ymin, area.ymax)[:, area.slices[1]], area)
        finite = np.isfinite(adu)
        if not finite.all():
            adu[~finite] = 0.0
        return adu

    def _subtract_level(self, raw: NDArray[Any], area: Area) -> NDArray[np.float32]:
        level = self.full_overscan_level
        value = (
            np.zeros(()) if level is None else level.cut_rows(area.ymin, area.ymax).cut_columns(area.slices[1]).value
        )
        if raw.dtype.kind == "f" or raw.dtype.itemsize > SMALL or value.size > len(raw):
            adu = (raw.astype(np.float64) - value).astype(np.float32)
        else:  # whole ADU less whole ADU is exact in 32 bits
            adu = raw.astype(np.float32)
            adu -= np.rint(value).astype(np.float32)
            adu -= (value - np.rint(value)).astype(np.float32)
        return np.asarray(adu)

    def find_bleed(self) -> NDArray[np.bool_] | None:
        """Find the pixels next to saturated ones in the leak direction; see `Readout.find_bleed`."""
        if not self.bleeding.directions:
            return None
        saturated = np.zeros(self.shape, dtype=bool)
        for start in range(0, len(saturated), STRIP):
            rows = saturated[start : start + STRIP]
            first = self.area.ymin + start
            raw = self.image.rows(first, first + len(rows))[:, self.area.slices[1]]
            np.greater_equal(raw, self.saturation_level, out=rows)
        return flag_bleed(saturated, self.bleeding.directions, self.bleeding.pixels) if saturated.any() else None

    def list_settings(self) -> dict[str, Any]:
        """List the settings of the amplifier, for the provenance."""
        left_out = {*PLACE_IN_FILE, *(ADC if self.step == 1 else ADC[1:])}
        settings = {name: value for name, value in asdict(self.amplifier).items() if name not in left_out}
        return settings | {"overscan_method": self.amplifier.method_name, "saturation": self.saturation}

    def list_keywords(self) -> dict[str, Any]:
        """List the overscan method and areas, by keyword of a product's header."""
        if not self.has_overscan:
            return {}
        areas = enumerate(self.amplifier.overscans, start=1)
        return {"OVSCMETH": self.amplifier.method_name} | {f"OVSC{n:04d}": str(overscan) for n, overscan in areas}

    @property
    def kept_area(self) -> Area | None:
        """Area of the raw image that is kept; None if the whole image is."""
        return None if self.area.shape == self.image.shape else self.area

    def _measure_overscan(self) -> OverscanLevel:
        method = self.amplifier.overscan_method
        if isinstance(method, OverscanMethods):
            return self._apply_method(method)
        raw = self.image.read()
        areas = as_dictionaries(self.amplifier.overscans)
        corrected = np.asarray(method(raw.copy(), areas[0] if len(areas) == 1 else areas))
        if corrected.shape != raw.shape or corrected.dtype.kind != "f":
            raise TypeError(
                f"overscan_method returned {corrected.dtype} of shape {corrected.shape}; "
                f"expected a corrected image of floats of shape {raw.shape}"
            )
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            return OverscanLevel(raw.astype(np.float64) - corrected, np.zeros(()))

    def _apply_method(self, method: OverscanMethods) -> OverscanLevel:
        """Find the level in the stored integers, so that only the overscan columns are decoded."""
        zero = self.image.zero
        stored = self.image.read() if zero is None else self.image.words(0, self.image.shape[0]).view(">i2")
        try:
            level = method.find_level(
                stored, self.amplifier.overscans, slice(self.area.ymin, self.area.ymax), self.step
            )
        except ValueError as error:
            raise FrameRejectedError(f"overscan: {error}") from error
        return OverscanLevel(level.value + (zero or 0), level.variance)
