"""Find detector defects in the images of masters.

Images may be arrays, or stay on disk and are read by rows (`nightcal.io.master.StoredPlane`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import Plane
from nightcal.numerics.blocks import (
    MedianSurface,
    cut_equal_blocks,
    cut_strips,
    find_running_median,
    measure_blocks,
    thin_rows,
)
from nightcal.numerics.clipped_level import measure_level

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

STRIP = 64

OWN_SIGMA = 5.0
"""Departures below this many times the error of the master itself are noise, not defects."""

COLUMN_AND_ROW = ((64, 1), (1, 64))
"""Blocks whose medians follow the readout pattern: along a column, then along a row."""

AROUND = ((32, 32),)
"""Blocks whose medians follow glow and illumination."""

MEDIAN, SIGMA_BLOCK, RATIO_SIGMAS = 7, 15, 10.0
PERCENTILES = (30.9, 69.1)
"""IRAF's ccdmask takes half the distance between these as sigma (for a Gaussian it is half a sigma)."""

RATIO_LEAST = 0.05
"""Smaller departures of a ratio are not defects: bright flats of two colours differ in ways that each one corrects."""

RUN, MOST = 32, 0.5
"""A run of 32 pixels in a column is bad as a whole if this fraction of them is bad."""


def subtract_structure(image: Plane, blocks: tuple[tuple[int, int], ...]) -> Image:
    """Subtract the large-scale structure.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx), or StoredPlane
        Finite.
    blocks : tuple of (int, int)
        Sizes of the blocks whose medians are subtracted, one after the other.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
    """
    rest = np.array(image[:], dtype=np.float32)
    for block in blocks:
        structure = MedianSurface.fit(rest, block)
        for strip in cut_strips(len(rest), STRIP):
            rest[strip] -= structure.rows(strip)
    return rest


def find_outliers(rest: Image, variance: Plane, k: float, both: bool = True) -> Mask:
    """Find pixels that deviate by more than ``k`` rstd of all pixels and by more than 5 times their own error.

    Parameters
    ----------
    rest : ndarray of float32, shape (ny, nx)
        An image after `subtract_structure`.
    variance : ndarray of float32, shape (ny, nx), or StoredPlane
        Of the image.
    k : float
        Infinity finds nothing.
    both : bool
        Whether pixels that are too low count as well.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Empty if more than half of the pixels are equal and have no error: their scatter is then unknown.
    """
    found = np.zeros(rest.shape, dtype=bool)
    if np.isinf(k):
        return found
    limit = np.float32(k * measure_level(thin_rows(rest), k, 0.0).rstd)
    for strip in cut_strips(len(rest), STRIP):
        part = np.abs(rest[strip]) if both else rest[strip]
        least = np.maximum(np.float32(OWN_SIGMA) * np.sqrt(variance[strip]), limit)
        found[strip] = (part > least) & (least > 0)
    return found


def find_unresponsive(flat: Plane, variance: Plane, limit: float) -> Mask:
    """Find pixels whose response differs from their surroundings' by more than a fraction and 5 times their own error.

    Parameters
    ----------
    flat, variance : ndarray of float32, shape (ny, nx), or StoredPlane
        Master flat, near 1, and its variance.
    limit : float
        Fraction of the response around, such as 0.3.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    around = MedianSurface.fit(flat, AROUND[0])
    found = np.zeros(flat.shape, dtype=bool)
    for strip in cut_strips(flat.shape[0], STRIP):
        expected = around.rows(strip)
        own = np.float32(OWN_SIGMA) * np.sqrt(variance[strip])
        found[strip] = np.abs(flat[strip] - expected) > np.maximum(np.float32(limit) * expected, own)
    return found


def find_ratio_outliers(ratio: Image, k: float = RATIO_SIGMAS, least: float = RATIO_LEAST) -> Mask:
    """Find pixels where the ratio of two flats differs from its surroundings.

    Parameters
    ----------
    ratio : ndarray of float32, shape (ny, nx)
        Finite; 1 where one of the two flats has no data.
    k : float
        In units of half the distance between the 30.9th and the 69.1th percentile.
    least : float
        Smallest difference that counts, as a fraction of the ratio around.

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Notes
    -----
    As IRAF's ccdmask and ``ccdproc.ccdmask(..., byblocks=True)``: a running median of 7 x 7 pixels is subtracted, and
    the remainder is compared with its own scatter in blocks of 15 x 15. Two things differ: for speed the running
    median is the median of seven rows' medians of seven, and at the edges the last block is as large as the others.
    """
    ny, nx = ratio.shape
    found = np.zeros(ratio.shape, dtype=bool)
    tops = cut_equal_blocks(ny, SIGMA_BLOCK)
    block_of = np.minimum(np.arange(nx) // SIGMA_BLOCK, len(cut_equal_blocks(nx, SIGMA_BLOCK)) - 1)
    for n, top in enumerate(tops):
        bottom = min(top + SIGMA_BLOCK, ny)
        around = find_running_median(ratio, top, bottom, MEDIAN)
        rest = ratio[top:bottom] - around
        sigma = measure_blocks(rest, SIGMA_BLOCK, _find_half_distance)[block_of]
        first = n * SIGMA_BLOCK - top
        limit = np.maximum(np.float32(k) * sigma, np.float32(least) * around)
        found[top + first : bottom] = (np.abs(rest) > limit)[first:]
    return found


def fill_columns(bad: Mask, run: int = RUN, most: float = MOST) -> Mask:
    """Find the good pixels in runs of a column that are mostly bad.

    Parameters
    ----------
    bad : ndarray of bool, shape (ny, nx)
    run : int
        Rows of which the given fraction must be bad; those of the image, if it has fewer.
    most : float
        Fraction of bad pixels.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Without the pixels that are bad already; the first and the last pixel of a run were bad.
    """
    run = min(run, len(bad))
    filled = np.zeros_like(bad)
    for column in np.flatnonzero(np.count_nonzero(bad, axis=0) >= most * run):
        filled[:, column] = _fill_runs(bad[:, column], run, most)
    return filled & ~bad


def _fill_runs(bad: Mask, run: int, most: float) -> Mask:
    """Fill the mostly bad runs of one column, from their first to their last bad pixel."""
    counts = np.concatenate([[0], np.cumsum(bad)])
    mostly = counts[run:] - counts[:-run] >= most * run  # of the rows from here on
    inside = np.cumsum(np.concatenate([mostly, np.zeros(run, int)]) - np.concatenate([np.zeros(run, int), mostly]))
    filled = np.zeros_like(bad)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside[: len(bad)] > 0, [0]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        rows = first + np.flatnonzero(bad[first:last])
        filled[rows[0] : rows[-1] + 1] = True
    return filled


def _find_half_distance(blocks: Image) -> Image:
    low, high = np.percentile(blocks, PERCENTILES, axis=1)
    return np.asarray(0.5 * (high - low), np.float32)
