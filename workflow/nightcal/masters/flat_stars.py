"""Find stars in a flat: compact bright spots."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.blocks import (
    cut_blocks,
    cut_strips,
    find_middles,
    find_neighbours,
    interpolate,
    sample_blocks,
    space_evenly,
)
from nightcal.numerics.robust import RSTD, lower_median

BLOCK = 32
"""Side of the blocks that define the surroundings [pixels]: several stars wide."""

SAMPLES = 11
"""Columns of a block that are sampled for its level: about every third, so that even and odd ones are seen."""

MOST_OF_ONE = 4.0
"""Largest significance of one pixel, so that a cosmic ray of a few pixels does not count as a star."""

SIGNIFICANT = 6.0
LARGEST = 24

RIM = 4
"""Distance [pixels] within which a dark pixel makes a bright spot the rim of a dust speck."""

LINE = 14
"""Distance [pixels] up to which a bright row or column is searched for on either side, starting at half of it."""

SAMPLED_PIXELS = 2**18

Image = NDArray[np.float32]
Bad = NDArray[np.bool_]
Place = tuple[slice, slice]


def find_stars_in_flat(image: Image, bad: Bad) -> NDArray[np.float64]:
    """Find compact spots that are brighter than their surroundings, as stars are.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        A flat in any unit.
    bad : ndarray of bool, shape (ny, nx)
        Pixels that do not count.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Row and column of the middle of each spot, 0-based; none in an image of fewer than 32 rows or columns.

    Notes
    -----
    The surroundings are the medians of blocks of 32 x 32 pixels, linearly interpolated. A pixel's significance is its
    excess over them in units of the rstd about them in its block, or in the 3 x 3 blocks around it if that is larger;
    this rstd contains the noise and the fixed pattern of the chip. The significance is cut at -4 and 4. A third of the
    sum over nine pixels then has the scatter of one pixel. Spots are where it exceeds 6, or 6 times its own rstd if
    neighbouring pixels are correlated: about five of 3 x 3 pixels must be bright.

    Three things are not stars: a spot of more than 24 pixels in a row or column; the rim of a dust speck, with dark
    pixels beside it; and part of a bright row or column, which continues on either side.
    """
    if min(image.shape) < BLOCK:
        return np.empty((0, 2))
    surroundings = _Surroundings(image, bad)
    strips = cut_strips(len(image), BLOCK)
    every = ceil(image.size / SAMPLED_PIXELS)
    sample = np.concatenate([_sum_nine(image, bad, surroundings, strip).ravel() for strip in strips[::every]])
    limit = SIGNIFICANT * max(1.0, RSTD * float(np.median(np.abs(sample - np.median(sample)))))
    found = np.zeros(image.shape, dtype=bool)
    for strip in strips:
        found[strip] = _sum_nine(image, bad, surroundings, strip) > limit
    spots = [_find_middle(place) for place in _find_compact(found) if _is_star(image, bad, surroundings, place)]
    return np.array(spots).reshape(-1, 2)


class _Surroundings:
    """Level around each pixel and the rstd about it, from blocks of the image.

    Both are kept for each row of blocks and each column of pixels.
    """

    def __init__(self, image: Image, bad: Bad) -> None:
        self._down, along = (cut_blocks(length, max(1, round(length / BLOCK))) for length in image.shape)
        self._middles = find_middles(self._down)
        rows = space_evenly(self._down, SAMPLES)
        levels = _fill_gaps(np.stack([_find_medians(image[block], bad[block], along) for block in rows]))
        self._levels = interpolate(levels, find_middles(along), np.arange(image.shape[1]), axis=1)
        excess = (np.abs(image[block] - self._interpolate_levels(block)) for block in rows)
        spread = RSTD * np.stack([_find_medians(e, bad[block], along) for e, block in zip(excess, rows, strict=True)])
        spread = np.fmax(spread, _average_nine(spread))  # the rstd of a hundred pixels may be too small by chance
        spread = np.where(spread > 0, spread, np.inf)
        self._weight = np.repeat((1 / spread).astype(np.float32), np.diff(along), axis=1)

    def find_significance(self, image: Image, bad: Bad, rows: slice, columns: slice = slice(None)) -> Image:
        """Find the excess of some pixels in units of the rstd about them; 0 for those that do not count."""
        places = np.arange(*rows.indices(len(image)))
        with np.errstate(invalid="ignore"):
            excess = image[rows, columns] - self._interpolate_levels(places, columns)
            excess *= self._weight[np.searchsorted(self._down, places, "right") - 1, columns]
        excess[bad[rows, columns]] = 0.0
        return np.asarray(excess)

    def _interpolate_levels(self, rows: NDArray[np.int64], columns: slice = slice(None)) -> Image:
        return interpolate(self._levels[:, columns], self._middles, rows)


def _find_medians(rows: Image, bad: Bad, columns: NDArray[np.int64]) -> Image:
    """Find the medians of sampled pixels of a row of blocks, shape (blocks,)."""
    values, ignored = (sample_blocks(part, columns, SAMPLES) for part in (rows, bad))
    return lower_median(np.where(ignored, np.float32(np.nan), values))


def _fill_gaps(level: Image) -> Image:
    """Give blocks without a usable pixel the mean of their neighbours; 0 if there are no usable pixels at all."""
    while 0 < np.isnan(level).sum() < level.size:
        level = np.where(np.isnan(level), _average_nine(level), level)
    return np.nan_to_num(level)


def _average_nine(grid: Image) -> Image:
    """Average the finite values of the 3 x 3 blocks around each block; NaN if there are none."""
    around = find_neighbours(grid)
    known = np.isfinite(around)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sum(around, axis=(-2, -1), where=known) / known.sum(axis=(-2, -1)), np.float32)


def _sum_nine(image: Image, bad: Bad, surroundings: _Surroundings, rows: slice) -> Image:
    """Sum the significance of the 3 x 3 pixels around each pixel of some rows, in units of the sum's own scatter."""
    start, stop = rows.start, rows.stop
    first, last = max(0, start - 1), min(len(image), stop + 1)
    significance = surroundings.find_significance(image, bad, slice(first, last))
    np.clip(significance, -MOST_OF_ONE, MOST_OF_ONE, out=significance)
    padded = np.zeros((stop - start + 2, image.shape[1] + 2), np.float32)
    padded[first - start + 1 : last - start + 1, 1:-1] = significance
    along = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    sums = along[:-2] + along[1:-1] + along[2:]
    sums /= np.float32(3)
    return np.asarray(sums)


def _find_compact(found: Bad) -> list[Place]:
    """Find where bright pixels touch each other, if the spot is compact."""
    if not found.any():
        return []
    from scipy import ndimage

    labels, _ = ndimage.label(found, np.ones((3, 3)))
    return [p for p in ndimage.find_objects(labels) if max(side.stop - side.start for side in p) <= LARGEST]


def _find_middle(place: Place) -> list[float]:
    return [(side.start + side.stop - 1) / 2 for side in place]


def _is_star(image: Image, bad: Bad, surroundings: _Surroundings, place: Place) -> bool:
    """Check that a bright spot is neither the rim of a dark one nor part of a bright row or column."""
    near = tuple(slice(max(0, side.start - RIM), side.stop + RIM) for side in place)
    if surroundings.find_significance(image, bad, *near).min() < -SIGNIFICANT:
        return False
    middle = [round(n) for n in _find_middle(place)]
    around = tuple(slice(max(0, n - LINE), n + LINE + 1) for n in middle)
    significance = np.clip(surroundings.find_significance(image, bad, *around), -MOST_OF_ONE, MOST_OF_ONE)
    off = [np.abs(np.arange(n)[s] - m) for n, s, m in zip(image.shape, around, middle, strict=True)]
    across_columns = np.median(significance[off[0] > LINE // 2], axis=0)
    across_rows = np.median(significance[:, off[1] > LINE // 2], axis=1)
    return all(
        profile[distance <= 1].mean() - np.median(profile) < MOST_OF_ONE / 4
        for profile, distance in ((across_columns, off[1]), (across_rows, off[0]))
    )
