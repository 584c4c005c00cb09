"""Measure the level of a frame: the mean of its pixels within 3.5 rstd of their median."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.robust import RSTD, median_of_many


class FrameLevel(NamedTuple):
    """Clipped mean of many values, their rstd, and their number before and after clipping."""

    mean: float
    rstd: float
    values: int
    survivors: int


NOTHING = FrameLevel(float("nan"), float("nan"), 0, 0)


def measure_histogram_level(counts: NDArray[np.int64], lowest: int, k: float, floor: float) -> FrameLevel:
    """Find the exact clipped mean of integers from their histogram.

    Parameters
    ----------
    counts : ndarray of int64, shape (n,)
        Numbers of values ``lowest``, ``lowest + 1``, ...
    lowest : int
    k : float
        Half-width of the clipping, in rstd.
    floor : float
        Smallest rstd to use.

    Returns
    -------
    FrameLevel
        `NOTHING` if there are no values.
    """
    filled = np.flatnonzero(counts)
    counts, values = counts[filled], filled + lowest
    total = int(counts.sum())
    if total == 0:
        return NOTHING
    median = _median_of_counts(values, counts)
    deviations = np.abs(values - median)
    order = np.argsort(deviations, kind="stable")
    spread = RSTD * _median_of_counts(deviations[order], counts[order])
    kept = np.where(deviations <= k * max(spread, floor), counts, 0)
    survivors = int(kept.sum())
    return FrameLevel(int(np.dot(kept, values)) / survivors, spread, total, survivors)


def measure_level(values: NDArray[np.float32], k: float, floor: float) -> FrameLevel:
    """Find the clipped mean of numbers.

    Parameters
    ----------
    values : ndarray of float32
        Any shape; values that are not finite are left out.
    k, floor : float
        As for `measure_histogram_level`.

    Returns
    -------
    FrameLevel
        For integers below 2^23 the same as from their histogram.
    """
    finite = np.isfinite(values)
    known = values.ravel() if finite.all() else values[finite]
    if known.size == 0:
        return NOTHING
    median = median_of_many(known)
    deviations = np.abs(known - median)  # exact in either precision for whole and half numbers
    spread = RSTD * float(median_of_many(deviations))
    keep = deviations <= _not_above(k * max(spread, floor), deviations.dtype)
    survivors = int(np.count_nonzero(keep))
    mean = float(np.sum(known, dtype=np.float64, where=keep)) / survivors
    return FrameLevel(mean, spread, known.size, survivors)


def _median_of_counts(values: NDArray[Any], counts: NDArray[np.int64]) -> float:
    reached = np.cumsum(counts)
    last = int(reached[-1])
    low, high = np.searchsorted(reached, [(last - 1) // 2 + 1, last // 2 + 1])
    return 0.5 * (float(values[low]) + float(values[high]))


def _not_above(limit: float, dtype: np.dtype[Any]) -> Any:
    """Find the largest number of a type that is not above a limit."""
    rounded = dtype.type(limit)
    return np.nextafter(rounded, dtype.type(-np.inf)) if float(rounded) > limit else rounded
