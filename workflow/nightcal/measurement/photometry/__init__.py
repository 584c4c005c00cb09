"""Photometric calibration."""

from nightcal.measurement.photometry.comparison_stars import FilterRule, PhotometryOptions
from nightcal.measurement.photometry.zero_point import ZeroPoint, add_magnitudes, fit_zero_point, make_keywords

__all__ = ["FilterRule", "PhotometryOptions", "ZeroPoint", "add_magnitudes", "fit_zero_point", "make_keywords"]
