"""Where each pixel of a frame looks."""

from nightcal.measurement.astrometry.solution import AstrometryOptions, Solution, add_positions, cards, solve, verify

__all__ = ["AstrometryOptions", "Solution", "add_positions", "cards", "solve", "verify"]
