"""The time axis that all plots of a night share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from nightcal.io.header_values import format_clock

STEPS = (5, 10, 15, 30, 60, 120, 180, 360, 720)
"""Distances of the marks [min]."""

MOST_MARKS = 9


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """From the first frame to the last.

    Attributes
    ----------
    first, last : float
        [MJD]
    """

    first: float
    last: float

    def place(self, mjd: float) -> float:
        """Find the place of a time, from 0 to 1."""
        return (mjd - self.first) / (self.last - self.first)

    def find_marks(self) -> list[tuple[float, str]]:
        """Find the places of full hours or minutes, and how they are written [UT]."""
        minutes = (self.last - self.first) * 1440
        step = next((step for step in STEPS if minutes / step < MOST_MARKS), STEPS[-1])
        start = math.ceil(self.first * 1440 / step) * step
        times = range(start, math.floor(self.last * 1440) + 1, step)
        return [(self.place(time / 1440), format_clock(time / 1440)) for time in times]


def make_axis(times: Iterable[float]) -> TimeAxis | None:
    """Make the axis for some times [MJD]; None without any."""
    known = sorted(times)
    if not known:
        return None
    margin = max(0.01 * (known[-1] - known[0]), 2 / 1440)
    return TimeAxis(known[0] - margin, known[-1] + margin)
