"""Astrometric calibration."""

from nightcal.measurement.astrometry.solution import (
    AstrometryOptions,
    Solution,
    add_positions,
    make_keywords,
    solve,
    verify,
)

__all__ = ["AstrometryOptions", "Solution", "add_positions", "make_keywords", "solve", "verify"]
