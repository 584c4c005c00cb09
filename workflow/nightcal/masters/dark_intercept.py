"""Compare darks of several exposure times with the bias: a line through their levels should begin at 0.

Where it does not, the level drifted between bias and darks, and the difference must not become dark current.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 4
"""Frames whose scatter about a line tells its error."""

LONGER = 1.5
"""Ratio of the longest to the shortest exposure time from which on a line is drawn."""

SIGNIFICANT = 5.0
"""Intercepts below this many standard errors are noise."""

MATTERS = 0.1
"""Intercepts below this many read noises do not matter."""

LEAST_SCATTER = 0.02
"""Scatter of the levels that is always assumed, in read noises: that of a few frames may be small by chance."""


@dataclass(frozen=True, slots=True)
class Intercept:
    """Level of darks at 0 s, above the bias, and its error [e-]."""

    level: float
    error: float

    def matters(self, read_noise: float) -> bool:
        """Check whether it is significant, and large against the read noise [e-]."""
        return abs(self.level) > max(SIGNIFICANT * self.error, MATTERS * read_noise)


def find_intercept(levels: Sequence[float], times: Sequence[float], read_noise: float) -> Intercept | None:
    """Find where a line through the levels of darks begins.

    Parameters
    ----------
    levels : sequence of float
        After bias [e-].
    times : sequence of float
        Exposure times [s].
    read_noise : float
        [e-]

    Returns
    -------
    Intercept or None
        None for fewer than 4 frames, or if their exposure times are too similar.

    Notes
    -----
    Least squares with equal weights: the levels of frames scatter by the drift of the electronics, not by their noise.
    """
    t, y = np.asarray(times, np.float64), np.asarray(levels, np.float64)
    if len(t) < FEWEST or t.min() <= 0 or t.max() < LONGER * t.min():
        return None
    spread = np.sum((t - t.mean()) ** 2)
    slope = np.sum((t - t.mean()) * (y - y.mean())) / spread
    level = y.mean() - slope * t.mean()
    variance = np.sum((y - level - slope * t) ** 2) / (len(t) - 2)
    variance = max(variance, (LEAST_SCATTER * read_noise) ** 2)
    return Intercept(float(level), float(np.sqrt(variance * np.sum(t**2) / (len(t) * spread))))
