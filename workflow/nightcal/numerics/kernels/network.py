"""Sort the frames of a tile of pixels by compiled networks that run on many pixels at once.

A tile is a flat array of rows, one a frame, of ``STRIDE`` values each, the first ``TILE`` of which are pixels.
Constants and unsigned indices let the compiler see that rows do not overlap, so that it works on eight pixels at once.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nightcal.numerics.kernels.order import BLOCK

TILE = 256
STRIDE = TILE + 16  # not a power of two, or all rows would compete for the same part of the cache

U = np.uint64
Tile = NDArray[np.float32]


@njit(nogil=True, error_model="numpy", cache=True)
def lower(a, b):  # type: ignore[no-untyped-def]
    """Find the smaller of two numbers."""
    return a if a < b else b


@njit(nogil=True, error_model="numpy", cache=True)
def upper(a, b):  # type: ignore[no-untyped-def]
    """Find the larger of two numbers."""
    return b if a < b else a


@njit(nogil=True, error_model="numpy", cache=True)
def row(tile: Tile, i: np.uint64) -> Tile:
    """Get the pixels of frame ``i``."""
    return tile[i * U(STRIDE) : i * U(STRIDE) + U(TILE)]


@njit(nogil=True, error_model="numpy", cache=True)
def sort_tile(tile: Tile, blocks: int, merges: NDArray[np.int64]) -> None:
    """Sort each pixel along its frames, in place.

    Parameters
    ----------
    tile : ndarray of float32, shape (blocks * 16 * STRIDE,)
        Rows beyond the frames hold infinity; no NaN.
    blocks : int
        Groups of 16 rows.
    merges : ndarray of int64, shape (m, 2)
        Pairs of blocks to merge, as `nightcal.numerics.kernels.order.merge_order` gives them.
    """
    size = U(BLOCK * STRIDE)
    for block in range(U(blocks)):
        _sort_block(tile, U(block) * size)
    for merge in range(U(len(merges))):
        low, high = U(merges[merge, 0]) * size, U(merges[merge, 1]) * size
        _split(tile[low : low + size], tile[high : high + size])
        _finish_block(tile, low)
        _finish_block(tile, high)


@njit(nogil=True, error_model="numpy", cache=True)
def _split(low: Tile, high: Tile) -> None:
    """Leave the smaller half of two sorted blocks in the first, the larger in the second, each bitonic by halves."""
    for i in range(U(BLOCK // 2)):
        _split_rows(row(low, U(i)), row(low, U(i) + U(8)), row(high, U(7) - U(i)), row(high, U(15) - U(i)))


@njit(nogil=True, error_model="numpy", cache=True)
def _split_rows(low0: Tile, low8: Tile, high7: Tile, high15: Tile) -> None:
    for k in range(U(TILE)):
        j = U(k)
        a, b = lower(low0[j], high15[j]), lower(low8[j], high7[j])
        c, d = upper(low8[j], high7[j]), upper(low0[j], high15[j])
        low0[j], low8[j] = lower(a, b), upper(a, b)
        high7[j], high15[j] = lower(c, d), upper(c, d)


@njit(nogil=True, error_model="numpy", cache=True)
def _sort_block(tile: Tile, base: np.uint64) -> None:
    """Sort 16 rows: 60 comparisons in 10 inputs, the fewest known (Knuth, The Art of Computer Programming 3, 5.3.4)."""
    for j in range(U(TILE)):
        p = base + U(j)
        x0 = tile[p]
        x1 = tile[p + U(1 * STRIDE)]
        x2 = tile[p + U(2 * STRIDE)]
        x3 = tile[p + U(3 * STRIDE)]
        x4 = tile[p + U(4 * STRIDE)]
        x5 = tile[p + U(5 * STRIDE)]
        x6 = tile[p + U(6 * STRIDE)]
        x7 = tile[p + U(7 * STRIDE)]
        x8 = tile[p + U(8 * STRIDE)]
        x9 = tile[p + U(9 * STRIDE)]
        x10 = tile[p + U(10 * STRIDE)]
        x11 = tile[p + U(11 * STRIDE)]
        x12 = tile[p + U(12 * STRIDE)]
        x13 = tile[p + U(13 * STRIDE)]
        x14 = tile[p + U(14 * STRIDE)]
        x15 = tile[p + U(15 * STRIDE)]
        x0, x13 = lower(x0, x13), upper(x0, x13)
        x1, x12 = lower(x1, x12), upper(x1, x12)
        x2, x15 = lower(x2, x15), upper(x2, x15)
        x3, x14 = lower(x3, x14), upper(x3, x14)
        x4, x8 = lower(x4, x8), upper(x4, x8)
        x5, x6 = lower(x5, x6), upper(x5, x6)
        x7, x11 = lower(x7, x11), upper(x7, x11)
        x9, x10 = lower(x9, x10), upper(x9, x10)
        x0, x5 = lower(x0, x5), upper(x0, x5)
        x1, x7 = lower(x1, x7), upper(x1, x7)
        x2, x9 = lower(x2, x9), upper(x2, x9)
        x3, x4 = lower(x3, x4), upper(x3, x4)
        x6, x13 = lower(x6, x13), upper(x6, x13)
        x8, x14 = lower(x8, x14), upper(x8, x14)
        x10, x15 = lower(x10, x15), upper(x10, x15)
        x11, x12 = lower(x11, x12), upper(x11, x12)
        x0, x1 = lower(x0, x1), upper(x0, x1)
        x2, x3 = lower(x2, x3), upper(x2, x3)
        x4, x5 = lower(x4, x5), upper(x4, x5)
        x6, x8 = lower(x6, x8), upper(x6, x8)
        x7, x9 = lower(x7, x9), upper(x7, x9)
        x10, x11 = lower(x10, x11), upper(x10, x11)
        x12, x13 = lower(x12, x13), upper(x12, x13)
        x14, x15 = lower(x14, x15), upper(x14, x15)
        x0, x2 = lower(x0, x2), upper(x0, x2)
        x1, x3 = lower(x1, x3), upper(x1, x3)
        x4, x10 = lower(x4, x10), upper(x4, x10)
        x5, x11 = lower(x5, x11), upper(x5, x11)
        x6, x7 = lower(x6, x7), upper(x6, x7)
        x8, x9 = lower(x8, x9), upper(x8, x9)
        x12, x14 = lower(x12, x14), upper(x12, x14)
        x13, x15 = lower(x13, x15), upper(x13, x15)
        x1, x2 = lower(x1, x2), upper(x1, x2)
        x3, x12 = lower(x3, x12), upper(x3, x12)
        x4, x6 = lower(x4, x6), upper(x4, x6)
        x5, x7 = lower(x5, x7), upper(x5, x7)
        x8, x10 = lower(x8, x10), upper(x8, x10)
        x9, x11 = lower(x9, x11), upper(x9, x11)
        x13, x14 = lower(x13, x14), upper(x13, x14)
        x1, x4 = lower(x1, x4), upper(x1, x4)
        x2, x6 = lower(x2, x6), upper(x2, x6)
        x5, x8 = lower(x5, x8), upper(x5, x8)
        x7, x10 = lower(x7, x10), upper(x7, x10)
        x9, x13 = lower(x9, x13), upper(x9, x13)
        x11, x14 = lower(x11, x14), upper(x11, x14)
        x2, x4 = lower(x2, x4), upper(x2, x4)
        x3, x6 = lower(x3, x6), upper(x3, x6)
        x9, x12 = lower(x9, x12), upper(x9, x12)
        x11, x13 = lower(x11, x13), upper(x11, x13)
        x3, x5 = lower(x3, x5), upper(x3, x5)
        x6, x8 = lower(x6, x8), upper(x6, x8)
        x7, x9 = lower(x7, x9), upper(x7, x9)
        x10, x12 = lower(x10, x12), upper(x10, x12)
        x3, x4 = lower(x3, x4), upper(x3, x4)
        x5, x6 = lower(x5, x6), upper(x5, x6)
        x7, x8 = lower(x7, x8), upper(x7, x8)
        x9, x10 = lower(x9, x10), upper(x9, x10)
        x11, x12 = lower(x11, x12), upper(x11, x12)
        x6, x7 = lower(x6, x7), upper(x6, x7)
        x8, x9 = lower(x8, x9), upper(x8, x9)
        tile[p] = x0
        tile[p + U(1 * STRIDE)] = x1
        tile[p + U(2 * STRIDE)] = x2
        tile[p + U(3 * STRIDE)] = x3
        tile[p + U(4 * STRIDE)] = x4
        tile[p + U(5 * STRIDE)] = x5
        tile[p + U(6 * STRIDE)] = x6
        tile[p + U(7 * STRIDE)] = x7
        tile[p + U(8 * STRIDE)] = x8
        tile[p + U(9 * STRIDE)] = x9
        tile[p + U(10 * STRIDE)] = x10
        tile[p + U(11 * STRIDE)] = x11
        tile[p + U(12 * STRIDE)] = x12
        tile[p + U(13 * STRIDE)] = x13
        tile[p + U(14 * STRIDE)] = x14
        tile[p + U(15 * STRIDE)] = x15


@njit(nogil=True, error_model="numpy", cache=True)
def _finish_block(tile: Tile, base: np.uint64) -> None:
    """Sort 16 rows whose halves are bitonic and in order: the last three inputs of Batcher's bitonic merge."""
    for j in range(U(TILE)):
        p = base + U(j)
        x0 = tile[p]
        x1 = tile[p + U(1 * STRIDE)]
        x2 = tile[p + U(2 * STRIDE)]
        x3 = tile[p + U(3 * STRIDE)]
        x4 = tile[p + U(4 * STRIDE)]
        x5 = tile[p + U(5 * STRIDE)]
        x6 = tile[p + U(6 * STRIDE)]
        x7 = tile[p + U(7 * STRIDE)]
        x8 = tile[p + U(8 * STRIDE)]
        x9 = tile[p + U(9 * STRIDE)]
        x10 = tile[p + U(10 * STRIDE)]
        x11 = tile[p + U(11 * STRIDE)]
        x12 = tile[p + U(12 * STRIDE)]
        x13 = tile[p + U(13 * STRIDE)]
        x14 = tile[p + U(14 * STRIDE)]
        x15 = tile[p + U(15 * STRIDE)]
        x0, x4 = lower(x0, x4), upper(x0, x4)
        x1, x5 = lower(x1, x5), upper(x1, x5)
        x2, x6 = lower(x2, x6), upper(x2, x6)
        x3, x7 = lower(x3, x7), upper(x3, x7)
        x8, x12 = lower(x8, x12), upper(x8, x12)
        x9, x13 = lower(x9, x13), upper(x9, x13)
        x10, x14 = lower(x10, x14), upper(x10, x14)
        x11, x15 = lower(x11, x15), upper(x11, x15)
        x0, x2 = lower(x0, x2), upper(x0, x2)
        x1, x3 = lower(x1, x3), upper(x1, x3)
        x4, x6 = lower(x4, x6), upper(x4, x6)
        x5, x7 = lower(x5, x7), upper(x5, x7)
        x8, x10 = lower(x8, x10), upper(x8, x10)
        x9, x11 = lower(x9, x11), upper(x9, x11)
        x12, x14 = lower(x12, x14), upper(x12, x14)
        x13, x15 = lower(x13, x15), upper(x13, x15)
        x0, x1 = lower(x0, x1), upper(x0, x1)
        x2, x3 = lower(x2, x3), upper(x2, x3)
        x4, x5 = lower(x4, x5), upper(x4, x5)
        x6, x7 = lower(x6, x7), upper(x6, x7)
        x8, x9 = lower(x8, x9), upper(x8, x9)
        x10, x11 = lower(x10, x11), upper(x10, x11)
        x12, x13 = lower(x12, x13), upper(x12, x13)
        x14, x15 = lower(x14, x15), upper(x14, x15)
        tile[p] = x0
        tile[p + U(1 * STRIDE)] = x1
        tile[p + U(2 * STRIDE)] = x2
        tile[p + U(3 * STRIDE)] = x3
        tile[p + U(4 * STRIDE)] = x4
        tile[p + U(5 * STRIDE)] = x5
        tile[p + U(6 * STRIDE)] = x6
        tile[p + U(7 * STRIDE)] = x7
        tile[p + U(8 * STRIDE)] = x8
        tile[p + U(9 * STRIDE)] = x9
        tile[p + U(10 * STRIDE)] = x10
        tile[p + U(11 * STRIDE)] = x11
        tile[p + U(12 * STRIDE)] = x12
        tile[p + U(13 * STRIDE)] = x13
        tile[p + U(14 * STRIDE)] = x14
        tile[p + U(15 * STRIDE)] = x15
