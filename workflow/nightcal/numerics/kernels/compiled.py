"""The hot loops of a stack, compiled by numba: 256 pixels of all frames at a time, in the first-level cache.

`nightcal.numerics.kernels.plain` has the same functions in numpy, with the same results to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nightcal.numerics.kernels.network import STRIDE, TILE, U, lower, row, sort_tile, upper
from nightcal.numerics.kernels.order import BLOCK, merge_order
from nightcal.numerics.robust import RSTD

MEDIAN, WIDTH, LOW, HIGH, COUNT, WEIGHT, SUM, SQUARES = (U(i * (TILE + 8)) for i in range(8))
WORK = 8 * (TILE + 8)
INFINITE = np.float32(np.inf)
APART = 65536 + 1040
"""Distance between histograms; at a multiple of 4096 bytes they would compete for the same cache lines."""

Work = NDArray[np.float64]


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
    """Stack some rows of all frames; parameters as for `nightcal.numerics.kernels.plain.clip`."""
    blocks = -(-len(raw) // BLOCK)
    merges = np.array(merge_order(blocks), dtype=np.int64).reshape(-1, 2)
    affine = offsets, scales, limits, images, factors
    results = mean, scatter, survivors
    if weights is None:
        _clip(raw, first, affine, (blocks, merges), k, floor, results)
    else:
        _clip_weighted(raw, first, affine, (blocks, merges), weights, noises, k, floor, (*results, weight))


def histogram(words: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Count how often each 16-bit integer occurs; as `nightcal.numerics.kernels.plain.histogram`."""
    counts = np.zeros(4 * APART, dtype=np.uint32)
    words = np.require(words, requirements="A")
    whole = len(words) - len(words) % 4
    _count(words[:whole].view(np.uint64), counts)
    stored = counts.reshape(4, APART)[:, :65536].sum(axis=0, dtype=np.int64)
    stored += np.bincount(words[whole:], minlength=65536)
    return np.roll(stored.reshape(256, 256).T.ravel(), 0x8000)


@njit(nogil=True, error_model="numpy", cache=True)
def _count(fours, counts):  # type: ignore[no-untyped-def]
    """Count words as stored in four histograms, so that equal neighbours do not wait for each other."""
    for i in range(U(len(fours))):
        four = fours[U(i)]
        counts[four & U(0xFFFF)] += np.uint32(1)
        counts[U(APART) + ((four >> U(16)) & U(0xFFFF))] += np.uint32(1)
        counts[U(2 * APART) + ((four >> U(32)) & U(0xFFFF))] += np.uint32(1)
        counts[U(3 * APART) + (four >> U(48))] += np.uint32(1)


@njit(nogil=True, error_model="numpy", cache=True)
def _swapped(word):  # type: ignore[no-untyped-def]
    return np.uint16((np.uint32(word) >> np.uint32(8)) | (np.uint32(word) << np.uint32(8)))


@njit(nogil=True, error_model="numpy", cache=True)
def _clip(raw, first, affine, order, k, floor, results):  # type: ignore[no-untyped-def]
    n, columns = U(raw.shape[0]), U(results[0].shape[1])
    tile = np.full(order[0] * BLOCK * STRIDE, INFINITE, dtype=np.float32)
    work = np.zeros(WORK, dtype=np.float64)
    for y in range(U(raw.shape[1])):
        for x in range(U(0), columns, U(TILE)):
            width = min(U(TILE), columns - U(x))
            _load_tile(tile, raw, U(first), U(y), U(x), width, affine)
            sort_tile(tile, order[0], order[1])
            _middle(tile, n, work)
            _spread(tile, n, work)
            _half_widths(work, n % U(2), k, floor)
            _mend(tile, n, width, k, floor, work)
            for i in range(U(0), n, U(4)):
                _add(row(tile, U(i)), row(tile, U(i) + U(1)), row(tile, U(i) + U(2)), row(tile, U(i) + U(3)), work)
            _store(work, U(y), U(x), width, results)


@njit(nogil=True, error_model="numpy", cache=True)
def _clip_weighted(raw, first, affine, order, weights, noises, k, floor, results):  # type: ignore[no-untyped-def]
    """Clip as `_clip`, with deviations in units of each frame's own noise, which must be sorted separately."""
    n, columns = U(raw.shape[0]), U(results[0].shape[1])
    tile = np.full(order[0] * BLOCK * STRIDE, INFINITE, dtype=np.float32)
    values = tile.copy()
    work = np.zeros(WORK, dtype=np.float64)
    for y in range(U(raw.shape[1])):
        for x in range(U(0), columns, U(TILE)):
            width = min(U(TILE), columns - U(x))
            _load_tile(values, raw, U(first), U(y), U(x), width, affine)
            tile[:] = values
            sort_tile(tile, order[0], order[1])
            _middle(tile, n, work)
            _mend_middle(tile, n, width, work)
            for i in range(n):
                _deviate(row(values, U(i)), row(tile, U(i)), noises[i], work)
            sort_tile(tile, order[0], order[1])
            _weighted_half_widths(tile, n, width, k, floor, work)
            for i in range(n):
                _add_weighted(row(values, U(i)), weights[i], noises[i], work)
            _store(work, U(y), U(x), width, results[:3])
            for j in range(width):
                results[3][U(y), U(x) + U(j)] = work[WEIGHT + U(j)]


@njit(nogil=True, error_model="numpy", cache=True)
def _load_tile(tile, raw, first, y, x, width, affine):  # type: ignore[no-untyped-def]
    offsets, scales, limits, images, factors = affine
    for i in range(U(len(raw))):
        pixels = raw[i, y][first + x : first + x + width]
        out = row(tile, U(i))
        _load(pixels, out, offsets[i, y, U(0)], offsets[i, y, U(1)], scales[i], limits[i])
        for m in range(U(len(images))):
            _subtract(images[m, y][x : x + width], factors[i, m], out)


@njit(nogil=True, error_model="numpy", cache=True)
def _value(pixel, itemsize):  # type: ignore[no-untyped-def]
    """Decode a stored word; leave a number as it is."""
    return np.float32(np.int16(_swapped(pixel))) if itemsize == 2 else np.float32(pixel)


@njit(nogil=True, error_model="numpy", cache=True)
def _load(pixels, out, whole, part, scale, limit):  # type: ignore[no-untyped-def]
    """Load pixels; saturated or undefined pixels become infinite, so that sorting puts them last."""
    for j in range(U(len(pixels))):
        stored = _value(pixels[U(j)], pixels.itemsize)
        value = ((stored - whole) - part) * scale
        out[U(j)] = value if (stored < limit) & (abs(value) < INFINITE) else INFINITE


@njit(nogil=True, error_model="numpy", cache=True)
def _subtract(image, factor, out):  # type: ignore[no-untyped-def]
    for j in range(U(len(image))):
        out[U(j)] = out[U(j)] - factor * image[U(j)]


@njit(nogil=True, error_model="numpy", cache=True)
def _middle(tile, n, work):  # type: ignore[no-untyped-def]
    """Find the median of pixels with data in all frames; reset the sums."""
    low, high = row(tile, (n - U(1)) // U(2)), row(tile, n // U(2))
    for j in range(U(TILE)):
        i = U(j)
        work[MEDIAN + i] = 0.5 * (np.float64(low[i]) + np.float64(high[i]))
        work[LOW + i] = -np.inf
        work[HIGH + i] = np.inf
        work[COUNT + i] = 0.0
        work[WEIGHT + i] = 0.0
        work[SUM + i] = 0.0
        work[SQUARES + i] = 0.0


@njit(nogil=True, error_model="numpy", cache=True)
def _spread(tile, n, work):  # type: ignore[no-untyped-def]
    """Find the two middle deviations from the median, by merging those below it with those above it from both ends.

    With ``h = n // 2``, ``a_i = median - x_i`` falls and ``b_i = x_(i + h + odd) - median`` rises: the h smallest of
    both are the ``min(a_i, b_i)``. Two at a time, to go to memory half as often.
    """
    half, shift = n // U(2), n // U(2) + n % U(2)
    for i in range(U(0), half - half % U(2), U(2)):
        j = U(i) + shift
        _spread_two(row(tile, U(i)), row(tile, j), row(tile, U(i) + U(1)), row(tile, j + U(1)), work)
    if half % U(2):
        low, high = row(tile, half - U(1)), row(tile, half - U(1) + shift)
        _spread_two(low, high, low, high, work)


@njit(nogil=True, error_model="numpy", cache=True)
def _spread_two(low0, high0, low1, high1, work):  # type: ignore[no-untyped-def]
    for k in range(U(TILE)):
        j = U(k)
        median = work[MEDIAN + j]
        a, b = median - np.float64(low0[j]), np.float64(high0[j]) - median
        c, d = median - np.float64(low1[j]), np.float64(high1[j]) - median
        # adding 0 keeps the compiler from storing only what changed, which is ten times slower
        work[LOW + j] = upper(work[LOW + j], upper(lower(a, b), lower(c, d))) + 0.0
        work[HIGH + j] = lower(work[HIGH + j], lower(upper(a, b), upper(c, d))) + 0.0


@njit(nogil=True, error_model="numpy", cache=True)
def _half_width(k, deviation, median, floor):  # type: ignore[no-untyped-def]
    return k * upper(RSTD * deviation, np.sqrt(floor[0] + floor[1] * upper(median, 0.0)))


@njit(nogil=True, error_model="numpy", cache=True)
def _half_widths(work, odd, k, floor):  # type: ignore[no-untyped-def]
    for i in range(U(TILE)):
        j = U(i)
        deviation = upper(work[LOW + j], 0.0) if odd else 0.5 * (work[LOW + j] + work[HIGH + j])
        work[WIDTH + j] = _half_width(k, deviation, work[MEDIAN + j], floor)


@njit(nogil=True, error_model="numpy", cache=True)
def _seen(tile, n, j):  # type: ignore[no-untyped-def]
    """Count the finite values of a sorted pixel."""
    start, stop = U(0), n
    while start < stop:
        i = (start + stop) // U(2)
        if tile[i * U(STRIDE) + j] < INFINITE:
            start = i + U(1)
        else:
            stop = i
    return start


@njit(nogil=True, error_model="numpy", cache=True)
def _median_of(tile, seen, j):  # type: ignore[no-untyped-def]
    if seen == U(0):
        return np.nan
    low, high = tile[(seen - U(1)) // U(2) * U(STRIDE) + j], tile[seen // U(2) * U(STRIDE) + j]
    return 0.5 * (np.float64(low) + np.float64(high))


@njit(nogil=True, error_model="numpy", cache=True)
def _mend(tile, n, width, k, floor, work):  # type: ignore[no-untyped-def]
    """Correct median and half-width of the pixels without data in some frame."""
    last = row(tile, n - U(1))
    for i in range(width):
        j = U(i)
        if last[j] == INFINITE:
            seen = _seen(tile, n, j)
            median = _median_of(tile, seen, j)
            work[MEDIAN + j] = median
            work[WIDTH + j] = _half_width(k, _deviation(tile, seen, j, median), median, floor)


@njit(nogil=True, error_model="numpy", cache=True)
def _mend_middle(tile, n, width, work):  # type: ignore[no-untyped-def]
    last = row(tile, n - U(1))
    for i in range(width):
        j = U(i)
        if last[j] == INFINITE:
            work[MEDIAN + j] = _median_of(tile, _seen(tile, n, j), j)


@njit(nogil=True, error_model="numpy", cache=True)
def _deviation(tile, seen, j, median):  # type: ignore[no-untyped-def]
    """Find the MAD of a sorted pixel: how many of the smallest deviations lie below the median, by bisection."""
    half = seen // U(2)
    if half == U(0):
        return 0.0
    shift = half + seen % U(2)
    start, stop = U(0), half
    while start < stop:
        below = (start + stop) // U(2)
        above = half - below
        if median - tile[(half - U(1) - below) * U(STRIDE) + j] < tile[(shift + above - U(1)) * U(STRIDE) + j] - median:
            start = below + U(1)
        else:
            stop = below
    below, above = start, half - start
    low, high = -np.inf, np.inf
    if below > U(0):
        low = upper(low, median - np.float64(tile[(half - below) * U(STRIDE) + j]))
    if above > U(0):
        low = upper(low, np.float64(tile[(shift + above - U(1)) * U(STRIDE) + j]) - median)
    if below < half:
        high = lower(high, median - np.float64(tile[(half - U(1) - below) * U(STRIDE) + j]))
    if above < half:
        high = lower(high, np.float64(tile[(shift + above) * U(STRIDE) + j]) - median)
    return low if seen % U(2) else 0.5 * (low + high)


@njit(nogil=True, error_model="numpy", cache=True)
def _deviate(values, out, noise, work):  # type: ignore[no-untyped-def]
    for i in range(U(TILE)):
        j = U(i)
        deviation = np.float32(abs(np.float64(values[j]) - work[MEDIAN + j]) / noise)
        out[j] = deviation if deviation < INFINITE else INFINITE


@njit(nogil=True, error_model="numpy", cache=True)
def _weighted_half_widths(tile, n, width, k, floor, work):  # type: ignore[no-untyped-def]
    for i in range(width):
        j = U(i)
        deviation = _median_of(tile, _seen(tile, n, j), j)
        work[WIDTH + j] = _half_width(k, deviation, work[MEDIAN + j], floor)


@njit(nogil=True, error_model="numpy", cache=True)
def _add(values0, values1, values2, values3, work):  # type: ignore[no-untyped-def]
    """Add the values within the half-width, in sorted order; four frames at a time, for fewer memory accesses."""
    for i in range(U(TILE)):
        j = U(i)
        median, width = work[MEDIAN + j], work[WIDTH + j]
        d0, d1 = np.float64(values0[j]) - median, np.float64(values1[j]) - median
        d2, d3 = np.float64(values2[j]) - median, np.float64(values3[j]) - median
        keep0, keep1, keep2, keep3 = abs(d0) <= width, abs(d1) <= width, abs(d2) <= width, abs(d3) <= width
        d0, c0 = d0 if keep0 else 0.0, 1.0 if keep0 else 0.0
        d1, c1 = d1 if keep1 else 0.0, 1.0 if keep1 else 0.0
        d2, c2 = d2 if keep2 else 0.0, 1.0 if keep2 else 0.0
        d3, c3 = d3 if keep3 else 0.0, 1.0 if keep3 else 0.0
        work[COUNT + j] += (c0 + c1) + (c2 + c3)
        work[SUM + j] = (((work[SUM + j] + d0) + d1) + d2) + d3
        work[SQUARES + j] = (((work[SQUARES + j] + d0 * d0) + d1 * d1) + d2 * d2) + d3 * d3


@njit(nogil=True, error_model="numpy", cache=True)
def _add_weighted(values, weight, noise, work):  # type: ignore[no-untyped-def]
    for i in range(U(TILE)):
        j = U(i)
        d = np.float64(values[j]) - work[MEDIAN + j]
        keep = abs(d) <= work[WIDTH + j] * noise
        d, c = d if keep else 0.0, 1.0 if keep else 0.0
        work[COUNT + j] += c
        work[WEIGHT + j] += c * weight
        work[SUM + j] += weight * d
        work[SQUARES + j] += weight * d * d


@njit(nogil=True, error_model="numpy", cache=True)
def _store(work, y, x, width, results):  # type: ignore[no-untyped-def]
    mean, scatter, survivors = results[0][y], results[1][y], results[2][y]
    for i in range(width):
        j = U(i)
        total = work[WEIGHT + j] if work[WEIGHT + j] > 0.0 else work[COUNT + j]
        count = work[COUNT + j]
        mean[x + j] = work[MEDIAN + j] + work[SUM + j] / total
        squares = upper(work[SQUARES + j] - work[SUM + j] * work[SUM + j] / total, 0.0)
        scatter[x + j] = squares / (count - 1.0) if count > 1.0 else np.nan
        survivors[x + j] = np.int16(count)
