"""Van Dokkum's Laplacian test for cosmic rays, compiled, with medians only where a pixel can still pass.

The results are those of astroscrappy's ``detect_cosmics(..., sepmed=False)`` to the last bit, also at the borders: a
median of 5 x 5 pixels does not change two rows and columns, and so on.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nightcal.numerics.kernels.candidates import BORDER, LEAST_VARIANCE, TWO, ZERO, laplacian_at, scan, with_room
from nightcal.numerics.kernels.medians import median_of_9, median_of_25, middle_of

LEAST_STRUCTURE = np.float32(0.01)

REACH = 4
"""Distance within which the test of a pixel depends on other pixels [pixels]."""

UNKNOWN = np.float32(np.nan)


def search(
    image: NDArray[np.float32],
    variance: NDArray[np.float32],
    excluded: NDArray[np.bool_],
    limits: tuple[float, float, float],
    iterations: int,
    most: float = np.inf,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Find the pixels of cosmic rays, replace them, and search again.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx), C-contiguous
        [e-] and [e-^2], finite; 5 or more pixels on each side. Not changed.
    excluded : ndarray of bool, shape (ny, nx)
        Pixels that are not searched.
    limits : tuple of float
        `sigclip`, `sigfrac` and `objlim`.
    iterations : int
    most : float
        Number of hits above which the search ends.

    Returns
    -------
    hits : ndarray of bool, shape (ny, nx)
    cleaned : ndarray of float32, shape (ny, nx)

    Notes
    -----
    After the first iteration only pixels near replaced ones are tested: elsewhere the result would be the same.
    """
    cleaned, noise = image.copy(), variance.copy()
    hits, known = np.zeros(image.shape, dtype=bool), np.zeros_like(image)
    sigclip, sigfrac, objlim = (np.float32(limit) for limit in limits)
    levels, total = (UNKNOWN, UNKNOWN), 0
    places = scan(cleaned, noise, excluded, sigclip)
    for _ in range(iterations):
        found = detect(cleaned, noise, excluded, known, places, (sigclip, sigfrac * sigclip, objlim))
        new = found[~hits.reshape(-1)[found]]
        if not len(new):
            break
        hits.reshape(-1)[new] = True
        total += len(new)
        if total > most:
            break
        changed, lacking = replace(cleaned, noise, excluded, hits, new, levels)
        if lacking:
            levels = (_lower_median(image[~excluded]), _lower_median(variance[~excluded]))
            changed, _ = replace(cleaned, noise, excluded, hits, new, levels)
        places = around(changed, known)
    return hits, cleaned


def _lower_median(values: NDArray[np.float32]) -> np.float32:
    """Find the median; of an even number of values, the smaller of the middle two."""
    middle = (len(values) - 1) // 2
    return np.float32(np.partition(values, middle)[middle])


@njit(nogil=True, error_model="numpy", cache=True)
def detect(image, variance, excluded, known, places, limits):  # type: ignore[no-untyped-def]
    """Find the pixels of cosmic rays, in one iteration, among and around some pixels.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx)
        With earlier hits replaced.
    excluded : ndarray of bool, shape (ny, nx)
    known : ndarray of float32, shape (ny, nx)
        Signal-to-noise ratios computed so far, else 0; changed in place.
    places : ndarray of int64
        Flat indices of pixels that may pass on their own.
    limits : tuple of float32
        `sigclip`, `sigfrac` times it, `objlim`.

    Returns
    -------
    ndarray of int64
        Flat indices of the hits and their neighbours, without repetition.
    """
    nx = image.shape[1]
    first, n = np.empty(1024, np.int64), 0
    for place in places:
        if _passes(image, variance, excluded, known, place // nx, place % nx, limits):
            first = with_room(first, n)
            first[n] = place
            n += 1
    second = _neighbours(image, variance, excluded, known, first[:n], limits[0])
    return _neighbours(image, variance, excluded, known, second, limits[1])


@njit(nogil=True, error_model="numpy", cache=True)
def _passes(image, variance, excluded, known, y, x, limits):  # type: ignore[no-untyped-def]
    """Check that a pixel stands out of the noise, and more sharply than a star."""
    if excluded[y, x] or not _signal(image, variance, known, y, x) > limits[0]:
        return False
    excess = _excess(image, variance, known, y, x)
    if not excess > limits[0]:
        return False
    return excess / _structure(image, variance, y, x) > limits[2]


@njit(nogil=True, error_model="numpy", cache=True)
def _neighbours(image, variance, excluded, known, found, limit):  # type: ignore[no-untyped-def]
    """Find the pixels above a limit among and around those found."""
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
                    out = with_room(out, n)
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
    """Find the Laplacian signal-to-noise ratio of a pixel; the noise is not needed if the signal is 0."""
    if known[y, x] == ZERO:
        laplacian = laplacian_at(image, y, x)
        if laplacian > ZERO:
            known[y, x] = laplacian / (TWO * _noise(variance, y, x))
    return known[y, x]


@njit(nogil=True, error_model="numpy", cache=True)
def _excess(image, variance, known, y, x):  # type: ignore[no-untyped-def]
    """Find the signal-to-noise ratio of a pixel above the median of its surroundings, not at the border."""
    for k in range(25):
        _signal(image, variance, known, y - 2 + k // 5, x - 2 + k % 5)
    return known[y, x] - median_of_25(known, y, x)


@njit(nogil=True, error_model="numpy", cache=True)
def _structure(image, variance, y, x):  # type: ignore[no-untyped-def]
    """Find the fine structure in units of the noise: a 3 x 3 median less its 7 x 7 median."""
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
    """Replace the pixels found, and earlier ones near them, by the mean of the good pixels among 5 x 5.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx)
        Changed in place.
    excluded : ndarray of bool, shape (ny, nx)
    hits : ndarray of bool, shape (ny, nx)
        All hits so far.
    found : ndarray of int64
        Flat indices of new hits.
    levels : tuple of float32
        Medians of the image and of its variance, for pixels without a good neighbour; NaN if unknown.

    Returns
    -------
    ndarray of int64
        Flat indices of replaced pixels.
    bool
        Whether an unknown level is needed; then call again with it.
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
                changed = with_room(changed, n)
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
    """Forget results that depend on changed pixels, and find the pixels whose test may now differ.

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
                    out = with_room(out, n)
                    out[n] = here
                    n += 1
    return out[:n].copy()
