"""A science frame, compiled: all steps on 256 pixels at a time, in the first-level cache.

`nightcal.science.arithmetic` has the same steps in numpy, with the same results to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nightcal.numerics.kernels.network import TILE, U, upper

SIGNAL, VARIANCE, NOISE, ROWS = U(0), U(TILE + 8), U(2 * (TILE + 8)), U(3 * (TILE + 8))
WORK = 4 * (TILE + 8)
NINTH = np.float32(1 / 9)


@njit(nogil=True, error_model="numpy", cache=True)
def calibrate(words, first, top, offsets, gain, limit, noise, has, images, numbers, data, uncertainty, saturated):  # type: ignore[no-untyped-def]
    """Calibrate some rows.

    Parameters
    ----------
    words : ndarray of uint16, shape (rows, columns), C-contiguous
        Signed big-endian integers, with an extra row above and below if the image has one.
    first : int
        First column of the light-sensitive area.
    top : int
        Number of extra rows above.
    offsets : ndarray of float32, shape (rows, 2)
        Whole and fractional part of what is subtracted from each row.
    gain, limit : float32
        [e-/ADU]; stored values at or above are saturated.
    noise : ndarray of float32, shape (rows,)
        Variance of a pixel without light [e-^2].
    has : tuple of bool
        Whether there is a bias, a dark, a flat.
    images : tuple of ndarray of float32, shape (rows, nx)
        Bias, its variance, dark, its variance, sensitivity, its relative variance; of any shape if there is none.
    numbers : tuple of float32
        Exposure time; square of the part of it whose dark current the bias lacks; fraction of the bias variance that is
        counted twice; scale of the result.
    data, uncertainty : ndarray of float32, shape (result rows, nx)
        Results.
    saturated : ndarray of bool, shape (result rows, nx)
        Result.
    """
    rows, columns = U(words.shape[0]), U(data.shape[1])
    signal = np.empty((rows, columns), dtype=np.float32)
    work = np.zeros(WORK, dtype=np.float32)
    for y in range(rows):
        _load(words[U(y)][U(first) : U(first) + columns], signal[U(y)], offsets[U(y), 0], offsets[U(y), 1], gain)
        if has[0]:
            _subtract(signal[U(y)], images[0][U(y)])
    for y in range(U(data.shape[0])):
        i = U(y) + U(top)
        above, below = i - U(1) if i > U(0) else i, min(i + U(1), rows - U(1))
        _find_saturated(words[i][U(first) : U(first) + columns], limit, saturated[U(y)])
        for x in range(U(0), columns, U(TILE)):
            part = slice(U(x), min(U(x) + U(TILE), columns))
            _sum_three(signal[above], signal[i], signal[below], U(x), work)
            _expect(signal[i][part], noise[i], work)
            if has[0]:
                _floor(images[1][i][part], work)
            _shot_noise(work)
            if has[1]:
                _take_dark(images[2][i][part], images[3][i][part], numbers[0], numbers[1], work)
                if numbers[2] != np.float32(0):
                    _share(images[1][i][part], images[3][i][part], numbers[2], work)
            if has[2]:
                _divide(images[4][i][part], images[5][i][part], work)
            _store(work, numbers[3], data[U(y)][part], uncertainty[U(y)][part])


@njit(nogil=True, error_model="numpy", cache=True)
def _load(words, out, whole, part, gain):  # type: ignore[no-untyped-def]
    for k in range(U(len(out))):
        word = np.uint32(words[U(k)])
        stored = np.float32(np.int16(np.uint16((word >> np.uint32(8)) | (word << np.uint32(8)))))
        out[U(k)] = ((stored - whole) - part) * gain


@njit(nogil=True, error_model="numpy", cache=True)
def _subtract(signal, bias):  # type: ignore[no-untyped-def]
    for k in range(U(len(signal))):
        signal[U(k)] = signal[U(k)] - bias[U(k)]


@njit(nogil=True, error_model="numpy", cache=True)
def _find_saturated(words, limit, out):  # type: ignore[no-untyped-def]
    for k in range(U(len(out))):
        word = np.uint32(words[U(k)])
        out[U(k)] = np.float32(np.int16(np.uint16((word >> np.uint32(8)) | (word << np.uint32(8))))) >= limit


@njit(nogil=True, error_model="numpy", cache=True)
def _sum_three(above, row, below, start, work):  # type: ignore[no-untyped-def]
    """Sum three rows for a tile and a pixel on each side; pixels at the edge of the image count again."""
    last = U(len(row)) - U(1)
    width = min(U(TILE), last + U(1) - start)
    a, r, b = above[start : start + width], row[start : start + width], below[start : start + width]
    for k in range(width):
        work[ROWS + U(1) + U(k)] = (r[U(k)] + a[U(k)]) + b[U(k)]
    left, right = start - U(1) if start > U(0) else start, min(start + width, last)
    work[ROWS] = (row[left] + above[left]) + below[left]
    work[ROWS + U(1) + width] = (row[right] + above[right]) + below[right]


@njit(nogil=True, error_model="numpy", cache=True)
def _expect(signal, noise, work):  # type: ignore[no-untyped-def]
    for k in range(U(len(signal))):
        j = U(k)
        work[SIGNAL + j] = signal[j]
        work[NOISE + j] = noise
        nine = (work[ROWS + U(1) + j] + work[ROWS + j]) + work[ROWS + U(2) + j]
        work[VARIANCE + j] = upper(nine * NINTH, np.float32(0))


@njit(nogil=True, error_model="numpy", cache=True)
def _floor(bias_variance, work):  # type: ignore[no-untyped-def]
    for k in range(U(len(bias_variance))):
        work[NOISE + U(k)] = work[NOISE + U(k)] + bias_variance[U(k)]


@njit(nogil=True, error_model="numpy", cache=True)
def _shot_noise(work):  # type: ignore[no-untyped-def]
    for k in range(U(TILE)):
        j = U(k)
        signal, smooth, noise = work[SIGNAL + j], work[VARIANCE + j], work[NOISE + j]
        distance = (signal - smooth) * (signal - smooth)
        agrees = distance <= smooth * np.float32(9) + np.float32(9) * noise
        work[VARIANCE + j] = (smooth if agrees else upper(signal, np.float32(0))) + noise


@njit(nogil=True, error_model="numpy", cache=True)
def _take_dark(dark, dark_variance, time, time_squared, work):  # type: ignore[no-untyped-def]
    for k in range(U(len(dark))):
        j = U(k)
        work[SIGNAL + j] = work[SIGNAL + j] - time * dark[j]
        work[VARIANCE + j] = work[VARIANCE + j] + time_squared * dark_variance[j]


@njit(nogil=True, error_model="numpy", cache=True)
def _share(bias_variance, dark_variance, share, work):  # type: ignore[no-untyped-def]
    for k in range(U(len(bias_variance))):
        j = U(k)
        holds = dark_variance[j] > np.float32(0)
        work[VARIANCE + j] = work[VARIANCE + j] - (share * bias_variance[j] if holds else np.float32(0))


@njit(nogil=True, error_model="numpy", cache=True)
def _divide(sensitivity, relative_variance, work):  # type: ignore[no-untyped-def]
    for k in range(U(len(sensitivity))):
        j = U(k)
        signal = work[SIGNAL + j] * sensitivity[j]
        work[SIGNAL + j] = signal
        variance = (work[VARIANCE + j] * sensitivity[j]) * sensitivity[j]
        work[VARIANCE + j] = variance + (signal * signal) * relative_variance[j]


@njit(nogil=True, error_model="numpy", cache=True)
def _store(work, scale, data, uncertainty):  # type: ignore[no-untyped-def]
    for k in range(U(len(data))):
        data[U(k)] = work[SIGNAL + U(k)] * scale
        uncertainty[U(k)] = np.sqrt(work[VARIANCE + U(k)]) * scale


def swap_and_sum(image: NDArray[Any]) -> tuple[NDArray[np.uint32], int]:
    """Swap the bytes of 4-byte numbers and sum them as 32-bit words, in one go.

    Parameters
    ----------
    image : ndarray of float32, C-contiguous

    Returns
    -------
    ndarray of uint32
        Big-endian, flat.
    int
        As `nightcal.numerics.kernels.plain.sum_of_words`.
    """
    words = image.reshape(-1).view(np.uint32)
    out = np.empty_like(words)
    return out, int(_swap(words, out))


@njit(nogil=True, error_model="numpy", cache=True)
def _swap(words, out):  # type: ignore[no-untyped-def]
    total = U(0)
    for k in range(U(len(words))):
        w = words[U(k)]
        total += U(w)
        out[U(k)] = (
            ((w & np.uint32(0xFF)) << np.uint32(24))
            | ((w & np.uint32(0xFF00)) << np.uint32(8))
            | ((w >> np.uint32(8)) & np.uint32(0xFF00))
            | (w >> np.uint32(24))
        )
    return total
