"""Median, MAD and the rstd-clipped mean: the reference that every fast path is tested against.

Statistics are in float64 and along the first axis unless said otherwise, so that a list of frames, a tile of a stack
and the pixels of one frame are treated alike. Values that are not finite never enter.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RSTD = 1.4826
"""Standard deviation of a Gaussian in units of its median absolute deviation, as the specification defines rstd."""

QUANTISATION = 1 / np.sqrt(12)
"""Standard deviation [ADU] that digitising to whole ADU adds."""

TRIM = 0.95
"""Fraction of the pixels, the quieter ones, whose scatter is pooled, so that bad pixels stay out."""

TRIALS = 1_000_000
"""Gaussian values of a Monte Carlo."""


class Clipped(NamedTuple):
    """A clipped mean and its survivors; arrays without the first axis of the input.

    ``mean`` is NaN where nothing survived, ``scatter`` (of the survivors, per unit weight) is NaN for fewer than two.
    """

    mean: NDArray[np.float64]
    survivors: NDArray[np.int64]
    weight: NDArray[np.float64]
    scatter: NDArray[np.float64]


def median(values: ArrayLike, axis: int = 0) -> NDArray[np.float64]:
    """Find the median of the finite values along an axis; NaN where there are none.

    Parameters
    ----------
    values : array_like, shape (n, ...)
        One or more.
    axis : int

    Returns
    -------
    ndarray of float64, shape (...)
    """
    array = np.asarray(values)
    ordered = np.sort(_keep_finite(array, array.dtype if array.dtype.kind == "f" else np.float64), axis=axis)
    return median_of_sorted(ordered, np.isfinite(ordered).sum(axis=axis), axis)


def median_of_sorted(ordered: NDArray[Any], count: NDArray[Any], axis: int = 0) -> NDArray[np.float64]:
    """Find the median of the first ``count`` of sorted values along an axis; NaN where that is 0."""
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, ordered.shape[axis] - 1)
    low, high = (np.take_along_axis(ordered, np.expand_dims(n, axis), axis).squeeze(axis) for n in (low, high))
    return np.where(count > 0, 0.5 * (low.astype(np.float64) + high), np.nan)


def lower_median(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find the median of the finite values along the last axis; of an even number, the lower of the middle two.

    Parameters
    ----------
    values : ndarray of float32, shape (..., n)
        Not finite only by NaN or by positive infinity.

    Returns
    -------
    ndarray of float32, shape (...)
        NaN, or infinite, where nothing is finite.
    """
    ordered = np.sort(values, axis=-1)
    last = np.maximum(np.isfinite(ordered).sum(axis=-1) - 1, 0)
    return np.asarray(np.take_along_axis(ordered, last[..., np.newaxis] // 2, axis=-1)[..., 0])


def median_of_many(values: NDArray[np.float32]) -> np.float32:
    """Find the median of finite values in their precision, faster than numpy, which partitions twice."""
    half = len(values) // 2
    parted = np.partition(values, half)
    high = parted[half]
    return high if len(values) % 2 else np.float32(0.5 * (np.float64(parted[:half].max()) + np.float64(high)))


def rstd(values: ArrayLike) -> NDArray[np.float64]:
    """Find the robust standard deviation along the first axis: 1.4826 x MAD about the median.

    Parameters
    ----------
    values : array_like, shape (n, ...)

    Returns
    -------
    ndarray of float64, shape (...)

    Notes
    -----
    Las Cumbres Observatory's pipeline description, "Robust Sigma-Clipped Mean". The median absolute deviation of a
    Gaussian is 0.6745 sigma.
    """
    finite = _keep_finite(values)
    return RSTD * median(np.abs(finite - median(finite)))


def clipped_mean(
    values: ArrayLike,
    k: float = 3.0,
    floor: ArrayLike | Callable[[NDArray[np.float64]], NDArray[np.float64]] = 0.0,
    weights: ArrayLike | None = None,
) -> Clipped:
    """Find the mean along the first axis of the values within ``k`` rstd of the median, in one pass.

    Parameters
    ----------
    values : array_like, shape (n, ...)
        Values that are not finite are left out.
    k : float
        Half-width of the clipping, in rstd.
    floor : array_like, broadcastable to (...), or function
        Smallest rstd to use, in the units of the values, or a function that finds it from the median. The MAD of
        quantised data can be 0, and the MAD of a few values is often far too small: without a floor
        ``[1000] * 5 + [1001, 1004]`` loses all but the mode.
    weights : array_like, shape (n,), optional
        Inverse variances relative to the typical frame's. Deviations are then in units of each frame's own noise.

    Returns
    -------
    Clipped
        Sums are taken in sorted order, so that the result does not depend on the order of the frames.

    Notes
    -----
    Keeps ``|x - median| <= max(k rstd, k floor)``. One or two values are always kept: their MAD spans them.
    """
    ordered = _keep_finite(values)
    per_frame = np.ones(len(ordered)) if weights is None else np.asarray(weights, dtype=np.float64)
    weight = np.broadcast_to(per_frame.reshape(-1, *(1,) * (ordered.ndim - 1)), ordered.shape)
    if weights is None:
        ordered = np.sort(ordered, axis=0)
    else:
        order = np.lexsort((weight, ordered), axis=0)
        noise = np.broadcast_to(deviation_noise(per_frame).reshape(-1, *(1,) * (ordered.ndim - 1)), ordered.shape)
        ordered, weight, noise = (np.take_along_axis(one, order, axis=0) for one in (ordered, weight, noise))
    center = median_of_sorted(ordered, np.isfinite(ordered).sum(axis=0))
    deviation = np.abs(ordered - center)
    if weights is not None:
        deviation /= noise
    with np.errstate(invalid="ignore"):
        smallest = floor(center) if callable(floor) else floor
        keep = deviation <= k * np.maximum(RSTD * median(deviation), smallest)
    survivors = keep.sum(axis=0)
    weight_sum = np.sum(weight, axis=0, where=keep)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.sum(ordered * weight, axis=0, where=keep) / weight_sum
        squares = np.sum(weight * (ordered - mean) ** 2, axis=0, where=keep)
        scatter = np.sqrt(squares / np.where(survivors > 1, survivors - 1, np.nan))
    return Clipped(mean, survivors, weight_sum, scatter)


def pool_scatter(variances: NDArray[np.float64]) -> float:
    """Find the root mean square scatter of the quieter 95 percent of many pixels.

    Parameters
    ----------
    variances : ndarray
        Any shape; values that are not finite are left out.

    Returns
    -------
    float
        NaN if nothing is finite. Compare only with the same statistic of Gaussian data, as
        `nightcal.stacking.clipping_bias.find_clipping_bias` does.
    """
    finite = variances[np.isfinite(variances)]
    if finite.size == 0:
        return float("nan")
    kept = np.sort(finite)[: max(1, round(TRIM * finite.size))]
    return float(np.sqrt(np.mean(kept, dtype=np.float64)))


def deviation_noise(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the noise of each value's deviation from the median of all, in units of that of values of weight 1.

    Parameters
    ----------
    weights : ndarray of float64, shape (n,)
        Inverse variances relative to the typical one.

    Returns
    -------
    ndarray of float64, shape (n,)
        The same for equal weights; 1 if all are 1.

    Notes
    -----
    Value and median both scatter: without the noise of the median, the best frame would be rejected for the noise of
    the others. The noise of the median of a few values of very unequal noise has no closed form, so it comes from a
    Monte Carlo of a million Gaussian values with a fixed seed. (The variance for many values,
    ``pi / 2 n / sum(sqrt(w))^2``, is a fifth of the true noise for one good value among eight bad ones: the good value
    would be lost in every fourth pixel.)
    """
    order = np.argsort(weights, kind="stable")
    noise = np.empty(len(order))
    noise[order] = _deviation_noise(tuple(weights[order].tolist()))
    return noise


@lru_cache(maxsize=64)
def _deviation_noise(weights: tuple[float, ...]) -> tuple[float, ...]:
    """Find the noise for weights in ascending order, so that it does not depend on the order of the frames."""
    n = len(weights)
    sigmas, kinds = np.unique(1 / np.sqrt(np.array(weights)), return_inverse=True)
    values = np.random.default_rng(n).standard_normal((n, max(2, TRIALS // n)), dtype=np.float32)
    equal = np.mean(np.square(values - np.median(values, axis=0)), dtype=np.float64)
    values *= sigmas[kinds].astype(np.float32)[:, np.newaxis]
    each = np.mean(np.square(values - np.median(values, axis=0)), axis=1, dtype=np.float64)
    alike = np.bincount(kinds, weights=each) / np.bincount(kinds)
    return tuple(np.sqrt(alike / equal)[kinds].tolist()) if len(sigmas) > 1 else (float(sigmas[0]),) * n


def _keep_finite(values: ArrayLike, dtype: Any = np.float64) -> NDArray[Any]:
    """Turn what is not finite into NaN."""
    array = np.asarray(values, dtype=dtype)
    return np.where(np.isfinite(array), array, array.dtype.type(np.nan))
