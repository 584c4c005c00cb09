"""How bright the sources of a frame are."""

from nightcal.measurement.photometry.comparison_stars import FilterRule, PhotometryOptions
from nightcal.measurement.photometry.zero_point import ZeroPoint, calibrate, cards, with_magnitudes

__all__ = ["FilterRule", "PhotometryOptions", "ZeroPoint", "calibrate", "cards", "with_magnitudes"]
