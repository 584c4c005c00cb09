"""Van Dokkum's Laplacian test for cosmic rays, compiled, with medians only where a pixel can still pass.

The results are those of astroscrappy's ``detect_cosmics(..., sepmed=False)`` to the last bit, and so are borders: a
median over 5 x 5 pixels leaves two rows and columns as they are, and so on. The order of additions is that in which
astroscrappy's compiled wheels for x86-64 do them.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nightcal.kernels.medians import median_of_9, median_of_25, middle_of

ZERO, TWO, FOUR = np.float32(0), np.float32(2), np.float32(4)
LEAST_VARIANCE, LEAST_STRUCTURE = np.float32(0.00001), np.float32(0.01)
SAFE = np.float32(0.9999)
"""Takes care of rounding, where a bound rather than the number itself is compared."""

REACH = 4
"""Distance within which a pixel's own test depends on others [pixels]."""

BORDER = 2
"""Rows and columns at each edge in which nothing is ever found."""

UNKNOWN = np.float32(np.nan)


def search(
    image: NDArray[np.float32],
    variance: NDArray[np.float32],
    excluded: NDArray[np.bool_],
    limits: tuple[float, float, float],
    iterations: int,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Find the pixels of cosmic rays, replace them, and look again.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx), C-contiguous
        [e-] and [e-^2], finite; 5 or more pixels on each side. They stay as they are.
    excluded : ndarray of bool, shape (ny, nx)
        Where nothing is looked for.
    limits : tuple of float
        `sigclip`, `sigfrac` and `objlim`.
    iterations : int

    Returns
    -------
    hits : ndarray of bool, shape (ny, nx)
    cleaned : ndarray of float32, shape (ny, nx)

    Notes
    -----
    After the first iteration only pixels are looked at near which something was replaced: elsewhere nothing that the
    test depends on has changed, and what it found there then would have been replaced.
    """
    cleaned, noise = image.copy(), variance.copy()
    hits, known = np.zeros(image.shape, dtype=bool), np.zeros_like(image)
    sigclip, sigfrac, objlim = (np.float32(limit) for limit in limits)
    levels = (UNKNOWN, UNKNOWN)
    places = scan(cleaned, noise, excluded, sigclip)
    for _ in range(iterations):
        found = detect(cleaned, noise, excluded, known, places, (sigclip, sigfrac * sigclip, objlim))
        new = found[~hits.reshape(-1)[found]]
        if not len(new):
            break
        hits.reshape(-1)[new] = True
        changed, lacking = replace(cleaned, noise, excluded, hits, new, levels)
        if lacking:
            levels = (_lower_median(image[~excluded]), _lower_median(variance[~excluded]))
            changed, _ = replace(cleaned, noise, excluded, hits, new, levels)
        places = around(changed, known)
    return hits, cleaned


def _lower_median(values: NDArray[np.float32]) -> np.float32:
    """Median; of an even number of values the smaller of the two in the middle."""
    middle = (len(values) - 1) // 2
    return np.float32(np.partition(values, middle)[middle])


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
                found = _with_room(found, n)
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
def _with_room(found, n):  # type: ignore[no-untyped-def]
    if n < len(found):
        return found
    larger = np.empty(2 * len(found), np.int64)
    larger[:n] = found
    return larger


@njit(nogil=True, error_model="numpy", cache=True)
def _laplacian_inside(c, left, right, above, below):  # type: ignore[no-untyped-def]
    """Mean of the positive Laplacians of the four quarters of a pixel that has four neighbours.

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
def _laplacian(image, y, x):  # type: ignore[no-untyped-def]
    """Do the same anywhere; outside the image there is 0, and additions are in another order."""
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
    """Positive Laplacian of a quarter of a pixel, at any edge."""
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


@njit(nogil=True, error_model="numpy", cache=True)
def detect(image, variance, excluded, known, places, limits):  # type: ignore[no-untyped-def]
    """Find the pixels of cosmic rays, in one iteration, among and around some pixels.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx)
        With what was found before replaced.
    excluded : ndarray of bool, shape (ny, nx)
    known : ndarray of float32, shape (ny, nx)
        Signal-to-noise ratios, as far as they have been computed; else 0. Filled on the way.
    places : ndarray of int64
        Flat indices of pixels that may pass on their own.
    limits : tuple of float32
        `sigclip`, `sigfrac` times it, `objlim`.

    Returns
    -------
    ndarray of int64
        Flat indices of what was found, neighbours included, each once.
    """
    nx = image.shape[1]
    first, n = np.empty(1024, np.int64), 0
    for place in places:
        if _passes(image, variance, excluded, known, place // nx, place % nx, limits):
            first = _with_room(first, n)
            first[n] = place
            n += 1
    second = _neighbours(image, variance, excluded, known, first[:n], limits[0])
    return _neighbours(image, variance, excluded, known, second, limits[1])


@njit(nogil=True, error_model="numpy", cache=True)
def _passes(image, variance, excluded, known, y, x, limits):  # type: ignore[no-untyped-def]
    """Whether a pixel stands out of noise, and more than a star does."""
    if excluded[y, x] or not _signal(image, variance, known, y, x) > limits[0]:
        return False
    excess = _excess(image, variance, known, y, x)
    if not excess > limits[0]:
        return False
    return excess / _structure(image, variance, y, x) > limits[2]


@njit(nogil=True, error_model="numpy", cache=True)
def _neighbours(image, variance, excluded, known, found, limit):  # type: ignore[no-untyped-def]
    """Pixels among and around those found that are above a limit."""
    ny, nx = image.shape
    out, n = np.empty(1024, np.int64), 0
    done = {np.int64(-1)}
    for place in found:
        y0, x0 = place // nx, place % nx
        for y in range(max(y0 - 1, BORDER), min(y0 + 2, ny - BORDER)):
            for x in range(max(x0 - 1, BORDER), min(x0 + 2, nx - BORDER)):
                here = np.int64(y * nx + x)
                if here in done:
                    continue
                done.add(here)
                if not excluded[y, x] and _excess(image, variance, known, y, x) > limit:
                    out = _with_room(out, n)
                    out[n] = here
                    n += 1
    return out[:n].copy()


@njit(nogil=True, error_model="numpy", cache=True)
def _noise(variance, y, x):  # type: ignore[no-untyped-def]
    ny, nx = variance.shape
    inside = 2 <= y < ny - 2 and 2 <= x < nx - 2
    median = median_of_25(variance, y, x) if inside else variance[y, x]
    return np.sqrt(median if not median < LEAST_VARIANCE else LEAST_VARIANCE)


@njit(nogil=True, error_model="numpy", cache=True)
def _signal(image, variance, known, y, x):  # type: ignore[no-untyped-def]
    """Laplacian signal-to-noise ratio of a pixel; one of 0 costs no median, so that it need not be known."""
    if known[y, x] == ZERO:
        laplacian = _laplacian(image, y, x)
        if laplacian > ZERO:
            known[y, x] = laplacian / (TWO * _noise(variance, y, x))
    return known[y, x]


@njit(nogil=True, error_model="numpy", cache=True)
def _excess(image, variance, known, y, x):  # type: ignore[no-untyped-def]
    """Signal-to-noise ratio above the median of its surroundings, of a pixel not at the border."""
    for k in range(25):
        _signal(image, variance, known, y - 2 + k // 5, x - 2 + k % 5)
    return known[y, x] - median_of_25(known, y, x)


@njit(nogil=True, error_model="numpy", cache=True)
def _structure(image, variance, y, x):  # type: ignore[no-untyped-def]
    """Fine structure, in units of the noise: what a 3 x 3 median leaves and a 7 x 7 median takes away."""
    ny, nx = image.shape
    if y < 3 or x < 3 or y >= ny - 3 or x >= nx - 3:
        return LEAST_STRUCTURE
    smooth = np.empty(49, np.float32)
    for k in range(49):
        smooth[k] = _smooth(image, y - 3 + k // 7, x - 3 + k % 7)
    centre = smooth[24]
    structure = (centre - middle_of(smooth, 49)) / _noise(variance, y, x)
    return structure if not structure < LEAST_STRUCTURE else LEAST_STRUCTURE


@njit(nogil=True, error_model="numpy", cache=True)
def _smooth(image, y, x):  # type: ignore[no-untyped-def]
    ny, nx = image.shape
    return median_of_9(image, y, x) if 0 < y < ny - 1 and 0 < x < nx - 1 else image[y, x]


@njit(nogil=True, error_model="numpy", cache=True)
def replace(image, variance, excluded, hits, found, levels):  # type: ignore[no-untyped-def]
    """Replace what was found, and found before near it, by the mean of the good pixels among 5 x 5.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx)
        Changed in place.
    excluded : ndarray of bool, shape (ny, nx)
    hits : ndarray of bool, shape (ny, nx)
        All that was found, in this iteration too.
    found : ndarray of int64
        Flat indices of what is new.
    levels : tuple of float32
        Of the whole image and of its variance, for pixels without a good one near; NaN if not known yet.

    Returns
    -------
    ndarray of int64
        Flat indices of what was replaced.
    bool
        Whether a level was needed that is not known: to be called again with it.
    """
    ny, nx = image.shape
    changed, n, lacks = np.empty(1024, np.int64), 0, False
    done = {np.int64(-1)}
    for place in found:
        y0, x0 = place // nx, place % nx
        for y in range(max(y0 - 2, BORDER), min(y0 + 3, ny - BORDER)):
            for x in range(max(x0 - 2, BORDER), min(x0 + 3, nx - BORDER)):
                here = np.int64(y * nx + x)
                if not hits[y, x] or here in done:
                    continue
                done.add(here)
                image[y, x] = _mean_around(image, excluded, hits, y, x, levels[0])
                variance[y, x] = _mean_around(variance, excluded, hits, y, x, levels[1])
                lacks |= image[y, x] != image[y, x]
                changed = _with_room(changed, n)
                changed[n] = here
                n += 1
    return changed[:n].copy(), lacks


@njit(nogil=True, error_model="numpy", cache=True)
def _mean_around(image, excluded, hits, y, x, level):  # type: ignore[no-untyped-def]
    total, n = ZERO, 0
    for k in range(25):
        i, j = y - 2 + k // 5, x - 2 + k % 5
        if not hits[i, j] and not excluded[i, j]:
            total = np.float32(total + image[i, j])
            n += 1
    return np.float32(total / np.float32(n)) if n else level


@njit(nogil=True, error_model="numpy", cache=True)
def around(changed, known):  # type: ignore[no-untyped-def]
    """Forget what depends on pixels that were changed, and tell whose test may have another result now.

    Parameters
    ----------
    changed : ndarray of int64
    known : ndarray of float32, shape (ny, nx)
        As in `detect`; changed in place.

    Returns
    -------
    ndarray of int64
        Flat indices.
    """
    ny, nx = known.shape
    out, n = np.empty(1024, np.int64), 0
    done = {np.int64(-1)}
    for place in changed:
        y0, x0 = place // nx, place % nx
        known[max(y0 - 2, 0) : y0 + 3, max(x0 - 2, 0) : x0 + 3] = 0
        for y in range(max(y0 - REACH, BORDER), min(y0 + REACH + 1, ny - BORDER)):
            for x in range(max(x0 - REACH, BORDER), min(x0 + REACH + 1, nx - BORDER)):
                here = np.int64(y * nx + x)
                if here not in done:
                    done.add(here)
                    out = _with_room(out, n)
                    out[n] = here
                    n += 1
    return out[:n].copy()
