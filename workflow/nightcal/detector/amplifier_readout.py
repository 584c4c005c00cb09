"""Read the pixels of one amplifier row by row: overscan, linearity, gain and trim."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.amplifier import Amplifier
from nightcal.detector.linearity import linearise
from nightcal.detector.overscan import OverscanLevel, OverscanMethods
from nightcal.detector.readout import Readout
from nightcal.detector.saturation import flag_bleed, flag_raw
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area, as_dictionaries

SMALL = 2
"""Largest size of integers that 32-bit floats hold exactly [bytes]."""

PLACE_IN_FILE = ("detector", "plane", "from_right", "from_top")
"""Attributes that `list_settings` leaves to the mosaic, which records where the pixels go."""

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
        self.saturation_level = image.largest if amplifier.saturation is None else amplifier.saturation
        self.saturation = min(self.saturation_level, np.inf if amplifier.linearity is None else amplifier.linearity)
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

    @property
    def saturation_source(self) -> str:
        """Origin of the limit: ``linearity``, ``saturation``, or ``file`` (its largest integer)."""
        if self.saturation < self.saturation_level:
            return "linearity"
        return "file" if self.amplifier.saturation is None else "saturation"

    def rows(self, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read rows of the light-sensitive pixels; see `Readout.rows`."""
        electrons, flags, _ = self._measure(start, stop)
        return electrons, flags

    def measure(self, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
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

    def _measure(
        self, start: int, stop: int
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32] | None]:
        rows = Area(self.area.xmin, self.area.xmax, self.area.ymin + start, self.area.ymin + stop)
        adu, flags = self.subtract_overscan(rows)
        slope = None
        if self.amplifier.polynomial:
            adu, slope = linearise(adu, self.amplifier.polynomial)
        adu *= np.float32(self.gain)
        return adu, flags, slope

    def subtract_overscan(self, area: Area) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read pixels and subtract the overscan level.

        Parameters
        ----------
        area : Area
            Inside the image as read out.

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
        settings = {name: value for name, value in asdict(self.amplifier).items() if name not in PLACE_IN_FILE}
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
            level = method.find_level(stored, self.amplifier.overscans, slice(self.area.ymin, self.area.ymax))
        except ValueError as error:
            raise FrameRejectedError(f"overscan: {error}") from error
        return OverscanLevel(level.value + (zero or 0), level.variance)
