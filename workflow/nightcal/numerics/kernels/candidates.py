"""Find candidate pixels of cosmic rays from the Laplacians of all pixels, compiled.

Each pixel is divided into four quarters of the same value. The additions are in the order in which astroscrappy's
compiled wheels for x86-64 do them, so that not even rounding differs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ZERO, TWO, FOUR = np.float32(0), np.float32(2), np.float32(4)
LEAST_VARIANCE = np.float32(0.00001)

SAFE = np.float32(0.9999)
"""Margin for rounding of the bound that is compared."""

BORDER = 2
"""Rows and columns at each edge that are not searched."""


@njit(nogil=True, error_model="numpy", cache=True)
def scan(image, variance, excluded, sigclip):  # type: ignore[no-untyped-def]
    """Find the pixels that may pass, from bounds that need no median.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx), C-contiguous
        5 or more pixels on each side.
    excluded : ndarray of bool, shape (ny, nx)
    sigclip : float32

    Returns
    -------
    ndarray of int64
        Flat indices.

    Notes
    -----
    The signal-to-noise ratio is the Laplacian over twice the root of a median of 25 variances, less a median that is
    never negative: it is not above the Laplacian over twice the root of the least of those variances.
    """
    ny, nx = image.shape
    found, n = np.empty(1024, np.int64), 0
    least, passes = np.empty(nx, np.float32), np.empty(nx, np.bool_)
    limit = SAFE * FOUR * sigclip * sigclip
    for y in range(BORDER, ny - BORDER):
        _least_of_five(variance[y - 2], variance[y - 1], variance[y], variance[y + 1], variance[y + 2], least)
        _may_pass(image[y - 1], image[y], image[y + 1], least, limit, passes)
        if not _any(passes):
            continue
        for x in range(BORDER, nx - BORDER):
            if passes[x] and not excluded[y, x]:
                found = with_room(found, n)
                found[n] = y * nx + x
                n += 1
    return found[:n].copy()


@njit(nogil=True, error_model="numpy", cache=True)
def _least_of_five(a, b, c, d, e, out):  # type: ignore[no-untyped-def]
    for x in range(len(out)):
        ab = a[x] if a[x] < b[x] else b[x]
        cd = c[x] if c[x] < d[x] else d[x]
        abcd = ab if ab < cd else cd
        out[x] = abcd if abcd < e[x] else e[x]


@njit(nogil=True, error_model="numpy", cache=True)
def _may_pass(above, row, below, least, limit, out):  # type: ignore[no-untyped-def]
    out[:BORDER], out[-BORDER:] = False, False
    for x in range(BORDER, len(out) - BORDER):
        ab = least[x - 2] if least[x - 2] < least[x - 1] else least[x - 1]
        cd = least[x + 1] if least[x + 1] < least[x + 2] else least[x + 2]
        abcd = ab if ab < cd else cd
        lowest = abcd if abcd < least[x] else least[x]
        lowest = lowest if lowest > LEAST_VARIANCE else LEAST_VARIANCE
        laplacian = _laplacian_inside(row[x], row[x - 1], row[x + 1], above[x], below[x])
        out[x] = laplacian * laplacian > limit * lowest


@njit(nogil=True, error_model="numpy", cache=True)
def _any(passes):  # type: ignore[no-untyped-def]
    total = np.uint8(0)
    for x in range(len(passes)):
        total |= np.uint8(passes[x])
    return total != 0


@njit(nogil=True, error_model="numpy", cache=True)
def with_room(found, n):  # type: ignore[no-untyped-def]
    """Return an array with room for more after ``n`` numbers."""
    if n < len(found):
        return found
    larger = np.empty(2 * len(found), np.int64)
    larger[:n] = found
    return larger


@njit(nogil=True, error_model="numpy", cache=True)
def _laplacian_inside(c, left, right, above, below):  # type: ignore[no-untyped-def]
    """Average the positive Laplacians of the four quarters of a pixel that has four neighbours.

    ``above`` is the row before; a quarter has two neighbours in its own pixel.
    """
    four = FOUR * c
    from_left, from_right = (four - c) - left, (four - right) - c
    up, down = c + above, below + c
    a, b, d, e = from_left - up, from_left - down, from_right - down, from_right - up
    a, b = a if a > ZERO else ZERO, b if b > ZERO else ZERO
    d, e = d if d > ZERO else ZERO, e if e > ZERO else ZERO
    return ((a + d) + (b + e)) / FOUR


@njit(nogil=True, error_model="numpy", cache=True)
def laplacian_at(image, y, x):  # type: ignore[no-untyped-def]
    """Average the positive Laplacians of the four quarters of any pixel; outside the image there is 0."""
    ny, nx = image.shape
    c = image[y, x]
    if 0 < y < ny - 1 and 0 < x < nx - 1:
        return _laplacian_inside(c, image[y, x - 1], image[y, x + 1], image[y - 1, x], image[y + 1, x])
    left = image[y, x - 1] if x > 0 else ZERO
    right = image[y, x + 1] if x < nx - 1 else ZERO
    above = image[y - 1, x] if y > 0 else ZERO
    below = image[y + 1, x] if y < ny - 1 else ZERO
    top, bottom, first, last = y == 0, y == ny - 1, x == 0, x == nx - 1
    a = _quarter(c, left, c, above, c, top, False, first, False)
    b = _quarter(c, left, c, c, below, False, bottom, first, False)
    d = _quarter(c, c, right, c, below, False, bottom, False, last)
    e = _quarter(c, c, right, above, c, top, False, False, last)
    return ((a + d) + (b + e)) / FOUR


@njit(nogil=True, error_model="numpy", cache=True)
def _quarter(c, left, right, above, below, top, bottom, first, last):  # type: ignore[no-untyped-def]
    """Find the positive Laplacian of a quarter of a pixel, at any edge."""
    four = FOUR * c
    if top:
        value = np.float32(np.float64(four) - np.float64(right) - np.float64(left) - np.float64(below))
    elif bottom and first:
        value = four - (right + above)
    elif bottom and last:
        value = (four - left) - above
    elif bottom:
        value = (four - above) - (right + left)
    elif first:
        value = (four - right) - (below + above)
    elif last:
        value = (four - below) - (left + above)
    else:
        value = ((four - right) - left) - (below + above)
    return value if value > ZERO else ZERO
