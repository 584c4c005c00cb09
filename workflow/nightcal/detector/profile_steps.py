"""Steps of the level from column to column or row to row: borders of amplifiers and of overscan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.robust import clipped_mean, rstd

SIDE, FEWEST = 24, 4
"""Largest and smallest number of columns or rows on each side of a step whose level is compared."""

WINDOW = 5
"""Columns or rows in a running median, which removes odd ones and keeps steps sharp."""

SIGNIFICANT = 8.0
"""Smallest step in units of its error."""

SMALLEST = 0.3
"""Smallest step [ADU]."""

SHARP = 0.5
"""Smallest part of a step between two neighbours; on a slope it is less."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a profile: the first column or row behind it, counted from 1 as in FITS, and its height [ADU]."""

    first: int
    height: float


def find_steps(image: NDArray[np.generic], axis: int) -> list[Step]:
    """Find where the level of an image without light steps, and stays.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        [ADU]
    axis : int
        1 for steps from column to column, 0 from row to row.

    Returns
    -------
    list of Step
        In order. A single odd column, and a slope, are no steps.
    """
    numbers = np.asarray(image if axis == 1 else np.transpose(image), np.float32)
    profile = clipped_mean(numbers, k=3.5, floor=0.5).mean
    padded = np.pad(profile, WINDOW // 2, mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(padded, WINDOW), axis=1)
    jumps = np.diff(smooth, prepend=smooth[:1])
    heights, strength = np.zeros(profile.size), np.zeros(profile.size)
    for n in range(FEWEST, profile.size - FEWEST + 1):
        heights[n], error = _measure_step(profile, n)
        if abs(heights[n]) >= SMALLEST and jumps[n] * np.sign(heights[n]) >= SHARP * abs(heights[n]):
            strength[n] = abs(heights[n]) / error
    steps = []
    while strength.max() > SIGNIFICANT:
        best = int(np.argmax(strength))
        steps.append(Step(best + 1, float(heights[best])))
        strength[max(0, best - FEWEST) : best + FEWEST + 1] = 0.0
    return sorted(steps, key=lambda step: step.first)


def _measure_step(profile: NDArray[np.float64], place: int) -> tuple[float, float]:
    """Measure the difference of the levels behind and before a place, and its error."""
    before, after = profile[max(0, place - SIDE) : place], profile[place : place + SIDE]
    scatter = max(float(rstd(side - np.median(side))) for side in (before, after))
    error = scatter * np.sqrt(1 / before.size + 1 / after.size)
    return float(np.median(after) - np.median(before)), max(float(error), 0.01)
