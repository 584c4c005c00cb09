"""The hot loops of a stack in numpy: where numba is absent, or not worth its start."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.kernels.order import merge_order
from nightcal.numerics.robust import RSTD, median_of_sorted

PIXELS = 8192
"""Pixels of a tile: small enough that all its frames stay in the cache."""

WORDS = 65536
"""Integers that are counted at a time."""

LARGEST_WORD = 0xFFFFFFFF

Values = NDArray[np.float32]


def clip(
    raw: NDArray[Any],
    first: int,
    offsets: NDArray[np.float32],
    scales: NDArray[np.float32],
    limits: NDArray[np.float32],
    images: NDArray[np.float32],
    factors: NDArray[np.float32],
    weights: NDArray[np.float64] | None,
    noises: NDArray[np.float64],
    k: float,
    floor: tuple[float, float],
    mean: NDArray[np.float32],
    scatter: NDArray[np.float32],
    survivors: NDArray[np.int16],
    weight: NDArray[np.float32],
) -> None:
    """Stack some rows of all frames: median, rstd, and the mean of what lies within ``k`` of it.

    Parameters
    ----------
    raw : ndarray of uint16 or float32, shape (n, rows, columns), C-contiguous
        Of n frames: signed big-endian 16-bit integers as a FITS file holds them, or numbers.
    first : int
        The first of the columns that are stacked.
    offsets : ndarray of float32, shape (n, rows, 2)
        Whole and fractional part of what is subtracted first.
    scales : ndarray of float32, shape (n,)
        What is multiplied next.
    limits : ndarray of float32, shape (n,)
        Stored values from here on do not enter, nor what is not finite.
    images : ndarray of float32, shape (m, rows, nx)
        Masters that are subtracted last.
    factors : ndarray of float32, shape (n, m)
        By which.
    weights : ndarray of float64, shape (n,), or None
        Of a weighted mean; None for a plain one.
    noises : ndarray of float64, shape (n,)
        Noise of each frame's deviation in units of the typical one; used with weights.
    k : float
        Half-width of what is kept, in rstd.
    floor : (float, float)
        Smallest variance that is believed, and what a unit of the median adds to it.
    mean, scatter : ndarray of float32, shape (rows, nx)
        Results: the mean, NaN where nothing survived; the variance of the survivors, per unit weight, NaN for fewer
        than two.
    survivors : ndarray of int16, shape (rows, nx)
        Result.
    weight : ndarray of float32, shape (rows, nx)
        Result: sum of the weights of the survivors; untouched without weights.
    """
    width = min(mean.shape[1], PIXELS)
    height = max(1, PIXELS // width)
    for top in range(0, mean.shape[0], height):
        rows = slice(top, top + height)
        for start in range(0, mean.shape[1], width):
            part = rows, slice(start, min(start + width, mean.shape[1]))
            columns = slice(first + part[1].start, first + part[1].stop)
            values = _load(raw[:, rows, columns], offsets[:, rows], scales, limits, images[:, *part], factors)
            if weights is None:
                total, found = clip_pixels(values, k, floor)
            else:
                total, found = clip_weighted(values, weights, noises, k, floor)
                weight[part] = total.reshape(weight[part].shape)
            results: tuple[NDArray[Any], ...] = (mean, scatter, survivors)
            for out, image in zip(results, found, strict=True):
                out[part] = image.reshape(out[part].shape)


def histogram(words: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Count how often each 16-bit integer occurs.

    Parameters
    ----------
    words : ndarray of uint16, shape (n,), C-contiguous
        Signed and big-endian, as a FITS file holds them.

    Returns
    -------
    ndarray of int64, shape (65536,)
        The first is for -32768.
    """
    counts = np.zeros(65536, dtype=np.int64)
    for start in range(0, len(words), WORDS):
        values = words[start : start + WORDS].byteswap() ^ np.uint16(0x8000)
        lowest = values.min()
        found = np.bincount(values - lowest)
        counts[lowest : int(lowest) + len(found)] += found
    return counts


def _load(
    pixels: NDArray[Any],
    offsets: Values,
    scales: Values,
    limits: Values,
    images: Values,
    factors: Values,
) -> Values:
    """Scale the pixels of all frames to the units of the stack; infinite where they do not enter."""
    values = np.empty(pixels.shape, dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for i, stored in enumerate(pixels):
            number = stored.view(">i2").astype(np.float32) if stored.dtype == np.uint16 else stored
            value = np.subtract(number, offsets[i, :, :1], out=values[i])
            value -= offsets[i, :, 1:]
            value *= scales[i]
            value[~((number < limits[i]) & (np.abs(value) < np.inf))] = np.inf
            for image, factor in zip(images, factors[i], strict=True):
                value -= factor * image
    return values.reshape(len(values), -1)


def clip_pixels(values: Values, k: float, floor: tuple[float, float]) -> tuple[Any, tuple[Any, Any, Any]]:
    """Clip some pixels of all frames, as `clip` does.

    Parameters
    ----------
    values : ndarray of float32, shape (n, pixels)
        Infinite where a pixel does not enter.
    k, floor : float, (float, float)
        As for `clip`.

    Returns
    -------
    weight : ndarray of float64, shape (pixels,)
        The survivors, each of weight 1.
    results : tuple of ndarray of float64, shape (pixels,)
        Mean, scatter and survivors.
    """
    ordered = _sort_rows(values)
    n = len(ordered)
    with np.errstate(invalid="ignore"):
        median = 0.5 * (ordered[(n - 1) // 2].astype(np.float64) + ordered[n // 2].astype(np.float64))
        deviation = _find_deviation(ordered, median)
        incomplete = np.flatnonzero(ordered[-1] == np.inf)
        if incomplete.size:
            part = np.stack([row[incomplete] for row in ordered])
            median[incomplete] = _find_median(part)
            deviation[incomplete] = _find_median(np.sort(np.abs(part - median[incomplete]), axis=0))
        width = _find_half_width(k, deviation, median, floor)
        count, total, squares = (np.zeros_like(median) for _ in range(3))
        difference, size = np.empty_like(median), np.empty_like(median)
        keep = np.empty(median.shape, dtype=bool)
        for row in ordered:
            np.subtract(row, median, out=difference)
            np.abs(difference, out=size)
            np.less_equal(size, width, out=keep)
            np.copyto(difference, 0.0, where=~keep)
            count += keep
            total += difference
            np.multiply(difference, difference, out=size)
            squares += size
    return count, _make_results(median, count, count, total, squares)


def clip_weighted(
    values: Values, weights: NDArray[np.float64], noises: NDArray[np.float64], k: float, floor: tuple[float, float]
) -> tuple[Any, tuple[Any, Any, Any]]:
    """Clip as `clip_pixels`, with deviations in units of each frame's own noise."""
    with np.errstate(invalid="ignore"):
        median = _find_median(np.stack(_sort_rows(values)))
        deviations = np.empty_like(values)
        for deviation, value, noise in zip(deviations, values, noises, strict=True):
            deviation[:] = np.abs(value - median) / noise
        deviations[np.isnan(deviations)] = np.inf
        width = _find_half_width(k, _find_median(np.stack(_sort_rows(deviations))), median, floor)
        count, total, weight, squares = (np.zeros_like(median) for _ in range(4))
        for value, one, noise in zip(values, weights, noises, strict=True):
            difference = value - median
            keep = np.abs(difference) <= width * noise
            difference = np.where(keep, difference, 0.0)
            count += keep
            weight += keep * one
            total += one * difference
            squares += one * difference * difference
    return weight, _make_results(median, count, weight, total, squares)


def _make_results(median: Any, count: Any, weight: Any, total: Any, squares: Any) -> tuple[Any, Any, Any]:
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = median + total / weight
        scatter = np.maximum(squares - total * total / weight, 0.0) / np.where(count > 1, count - 1.0, np.nan)
    return mean, scatter, count


def _find_half_width(k: float, deviation: Any, median: Any, floor: tuple[float, float]) -> Any:
    return k * np.maximum(RSTD * deviation, np.sqrt(floor[0] + floor[1] * np.maximum(median, 0.0)))


def _sort_rows(values: Values) -> list[Values]:
    """Sort rows pixel by pixel, by Batcher's network: numpy is far faster at rows than at columns."""
    rows = list(values.copy())
    spare = np.empty_like(values[0])
    for low, high in merge_order(len(rows)):
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows


def _find_deviation(ordered: list[Values], median: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the MAD of pixels with data in all frames; `nightcal.numerics.kernels.compiled` explains how."""
    half, odd = divmod(len(ordered), 2)
    low, high = np.full_like(median, -np.inf), np.full_like(median, np.inf)
    for i in range(half):
        below, above = median - ordered[i], ordered[i + half + odd] - median
        np.maximum(low, np.minimum(below, above), out=low)
        np.minimum(high, np.maximum(below, above), out=high)
    return np.maximum(low, 0.0) if odd else 0.5 * (low + high)


def _find_median(ordered: NDArray[Any]) -> NDArray[np.float64]:
    """Find the median along the first axis of the finite part of sorted values that end in infinity."""
    return median_of_sorted(ordered, np.count_nonzero(ordered < np.inf, axis=0))


def swap_and_sum(image: NDArray[np.float32]) -> tuple[NDArray[Any], int]:
    """Turn 4-byte numbers into those of a FITS file, and sum them as 32-bit words for a checksum.

    Parameters
    ----------
    image : ndarray of float32, C-contiguous

    Returns
    -------
    ndarray
        Big-endian, flat.
    int
        As `sum_of_words`.
    """
    return image.astype(image.dtype.newbyteorder(">")).reshape(-1), sum_of_words(image)


def sum_of_words(words: NDArray[Any]) -> int:
    """Sum of 32-bit words in the byte order of the machine, as those of an image before it is written are.

    Parameters
    ----------
    words : ndarray of 4-byte items, C-contiguous
    """
    flat = words.reshape(-1).view(np.uint32)
    odd = int(flat[-1]) if flat.size % 2 else 0
    pairs = flat[: flat.size - flat.size % 2].view(np.uint64)
    low, high = np.bitwise_and(pairs, np.uint64(LARGEST_WORD)).sum(), np.right_shift(pairs, np.uint64(32)).sum()
    return odd + int(low) + int(high)
