"""Find how the shape of flats changes over a set: a drift of the light, or a shutter that opens from the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.blocks import average_nine
from nightcal.numerics.robust import median

FEWEST = 3
"""Frames that show a trend."""

SIGNIFICANT = 5.0
"""Trends below this many standard errors are noise."""

UNLIKE_TIMES = 1.5
"""Ratio of the longest to the shortest exposure time from which on a shutter shows."""

DARK = 0.2
"""Blocks with less than this fraction of the typical signal are left out."""

Maps = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trend:
    """A change of the shape over a set.

    Attributes
    ----------
    drift : float
        Change of the shape from the first to the last frame, as a fraction of the signal; 0 if not significant.
    shutter : float
        Departure of the shortest exposure from an endless one, as a fraction of the signal; 0 if not significant, or if
        a drift explains it better.
    seconds : float
        The difference in exposure time across the image that makes ``shutter`` [s].
    """

    drift: float = 0.0
    shutter: float = 0.0
    seconds: float = 0.0


def find_trend(signals: Sequence[Maps], errors: Sequence[Maps], times: Sequence[float], mjds: Sequence[float]) -> Trend:
    """Find the trend of the shapes of a set with time and with the inverse exposure time.

    Parameters
    ----------
    signals, errors : sequence of ndarray, shape (rows, columns)
        Median signal of the blocks of each frame and its error [e-].
    times : sequence of float
        Exposure times [s].
    mjds : sequence of float
        Mean times of the exposures [d].

    Returns
    -------
    Trend
        Of the two explanations the one that explains more of the changes.

    Notes
    -----
    Least squares in each block, averaged over 3 x 3 blocks. The errors are at least what the frames scatter about the
    lines. A shutter adds the same seconds to each exposure at one place: the shape departs as 1/t.
    """
    if len(signals) < FEWEST:
        return Trend()
    rest, noise = compare_with_typical(np.stack(signals), np.stack(errors))
    drift, explained = _fit(rest, noise, np.asarray(mjds, np.float64))
    exposures = np.asarray(times, np.float64)
    if exposures.min() > 0 and exposures.max() >= UNLIKE_TIMES * exposures.min():
        slope, by_shutter = _fit(rest, noise, 1 / exposures)
        if by_shutter > explained:
            return Trend(shutter=abs(slope) / float(exposures.min()), seconds=abs(slope))
    return Trend(drift=abs(drift) * float(np.ptp(mjds)))


def compare_with_typical(signal: Maps, error: Maps, chosen: NDArray[np.bool_] | None = None) -> tuple[Maps, Maps]:
    """Compare the shape of each frame with the median shape of the chosen ones.

    Parameters
    ----------
    signal, error : ndarray of float64, shape (n, rows, columns)
        [e-]; each frame may have another unit.
    chosen : ndarray of bool, shape (n,), optional
        All frames unless given.

    Returns
    -------
    departure, error : ndarray of float64, shape (n, rows, columns)
        As fractions of the signal; NaN where the set has less than a fifth of its typical signal.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        level = _find_level(signal)
        shapes = signal / level
        typical = median(shapes if chosen is None else shapes[chosen])
        typical[~(typical > DARK)] = np.nan
        ratio = shapes / typical
        return ratio / _find_level(ratio) - 1, error / level / typical


def _find_level(maps: Maps) -> Maps:
    """Find the median of each map, shape (n, 1, 1)."""
    return median(maps.reshape(len(maps), -1), axis=1)[:, np.newaxis, np.newaxis]


def _fit(rest: Maps, noise: Maps, places: NDArray[np.float64]) -> tuple[float, float]:
    """Fit a line through each block; find the largest significant slope, and how much all slopes explain."""
    x = (places - places.mean())[:, np.newaxis, np.newaxis]
    squares = float(np.sum(x**2))
    if squares == 0:
        return 0.0, 0.0
    slope = np.sum(x * rest, axis=0) / squares
    error = np.sqrt(np.sum(x**2 * noise**2, axis=0)) / squares
    left = rest - rest.mean(axis=0) - x * slope
    freedom = max(1, len(places) - 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        scatter = np.sqrt(np.sum((left / noise) ** 2, axis=0) / freedom)
        error = error * max(1.0, float(np.nanmedian(scatter)) if np.isfinite(scatter).any() else 1.0)
        slope, error = average_nine(slope, error)
        sigma = np.where(np.isfinite(slope / error), np.abs(slope) / error, 0.0)
    largest = float(np.max(np.where(sigma > SIGNIFICANT, np.abs(np.nan_to_num(slope)), 0.0)))
    return largest, float(np.sum(sigma**2))
