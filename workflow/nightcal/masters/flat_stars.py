"""Compact bright spots in a flat, such as stars leave."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nightcal.numerics.robust import RSTD

BLOCK = 32
"""Pixels on a side from which the surroundings are found: several stars wide."""

SAMPLES = 11
"""Rows and columns of a block that tell its level: about every third, to see even and odd ones."""

MOST_OF_ONE = 4.0
"""Significance that one pixel counts for at most, so that a cosmic ray of a few pixels is no star."""

SIGNIFICANT = 6.0
LARGEST = 24

RIM = 4
"""Distance [pixels] at which something dark makes a bright place its rim."""

LINE = 14
"""Distance [pixels] up to which a bright row or column is looked for on either side, from half of it on."""

SAMPLED_PIXELS = 2**18

Image = NDArray[np.float32]
Bad = NDArray[np.bool_]
Place = tuple[slice, slice]


def find_stars_in_flat(image: Image, bad: Bad) -> NDArray[np.float64]:
    """Find compact places that are brighter than what surrounds them, as stars are.

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
    excess over them in units of the rstd about them in its block, or in the 3 x 3 blocks about it if that is larger; it
    contains the noise and the fixed pattern of the chip. The significance is cut at 4 either way. A third of the sum of
    nine is that of Gaussian noise again. Spots are where it exceeds 6, times the rstd of these sums where neighbours
    are alike for another reason: about five pixels of 3 x 3 must be bright.

    What extends over more than 24 pixels in a row or column is no star. Nor is the rim of a speck of dust, beside which
    pixels are dark, or part of a bright row or column, which goes on on either side.
    """
    if min(image.shape) < BLOCK:
        return np.empty((0, 2))
    surroundings = _Surroundings(image, bad)
    starts = range(0, len(image), BLOCK)
    every = ceil(image.size / SAMPLED_PIXELS)
    sample = np.concatenate([_sums(image, bad, surroundings, start).ravel() for start in starts[::every]])
    limit = SIGNIFICANT * max(1.0, RSTD * float(np.median(np.abs(sample - np.median(sample)))))
    found = np.zeros(image.shape, dtype=bool)
    for start in starts:
        found[start : start + BLOCK] = _sums(image, bad, surroundings, start) > limit
    spots = [_middle(place) for place in _compact(found) if _is_star(image, bad, surroundings, place)]
    return np.array(spots).reshape(-1, 2)


class _Surroundings:
    """Level of what surrounds each pixel, and the rstd about it, from blocks of the image.

    Both are kept for each row of blocks and each column of pixels.
    """

    def __init__(self, image: Image, bad: Bad) -> None:
        self._down, along = (_edges(length) for length in image.shape)
        rows, columns = _inside(self._down), _inside(along)
        level = _filled(np.stack([_medians(image[block], bad[block], columns) for block in rows]))
        low, high, part = _between(np.arange(image.shape[1]), along)
        self._level = level[:, low] * (1 - part) + level[:, high] * part
        excess = (np.abs(image[block] - self._level_of(block)) for block in rows)
        spread = RSTD * np.stack([_medians(e, bad[block], columns) for e, block in zip(excess, rows, strict=True)])
        spread = np.fmax(spread, _means_of_nine(spread))  # the rstd of a hundred pixels may be too small by chance
        spread = np.where(spread > 0, spread, np.inf)
        self._weight = np.repeat((1 / spread).astype(np.float32), np.diff(along), axis=1)

    def significance(self, image: Image, bad: Bad, rows: slice, columns: slice = slice(None)) -> Image:
        """Excess of some pixels in units of the rstd about them; 0 for those that do not count."""
        places = np.arange(*rows.indices(len(image)))
        with np.errstate(invalid="ignore"):
            excess = image[rows, columns] - self._level_of(places, columns)
            excess *= self._weight[np.searchsorted(self._down, places, "right") - 1, columns]
        excess[bad[rows, columns]] = 0.0
        return np.asarray(excess)

    def _level_of(self, rows: NDArray[np.int64], columns: slice = slice(None)) -> Image:
        """Level of some pixels, interpolated between the middles of the blocks, and on beyond them."""
        low, high, part = _between(rows, self._down)
        part = part[:, np.newaxis]
        return np.asarray(self._level[low, columns] * (1 - part) + self._level[high, columns] * part)


def _medians(rows: Image, bad: Bad, columns: NDArray[np.int64]) -> Image:
    """Medians of sampled pixels of a row of blocks, shape (blocks,)."""
    values = np.where(bad[:, columns], np.float32(np.nan), rows[:, columns])
    return median_of_known(values.transpose(1, 0, 2).reshape(len(columns), -1))


def _edges(length: int) -> NDArray[np.int64]:
    """Where blocks of about 32 pixels begin, and the last one ends."""
    return np.linspace(0, length, max(1, round(length / BLOCK)) + 1).astype(np.int64)


def _inside(edges: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every third pixel of each block, shape (blocks, 11)."""
    return edges[:-1, np.newaxis] + np.arange(SAMPLES) * np.diff(edges)[:, np.newaxis] // SAMPLES


def median_of_known(values: Image) -> Image:
    """Median along the last axis of what is finite.

    Parameters
    ----------
    values : ndarray of float32, shape (n, m)

    Returns
    -------
    ndarray of float32, shape (n,)
        The lower of the two in the middle; NaN where nothing is finite.
    """
    ordered = np.sort(values, axis=-1)
    last = np.maximum(np.isfinite(ordered).sum(axis=-1) - 1, 0)
    return np.asarray(np.take_along_axis(ordered, last[:, np.newaxis] // 2, axis=-1)[:, 0])


def _filled(level: Image) -> Image:
    """Give blocks without a pixel the mean of their neighbours; 0 if there is no pixel at all."""
    while 0 < np.isnan(level).sum() < level.size:
        level = np.where(np.isnan(level), _means_of_nine(level), level)
    return np.nan_to_num(level)


def _means_of_nine(grid: Image) -> Image:
    """Mean of what is finite of the 3 x 3 blocks about each; NaN where nothing is."""
    around = sliding_window_view(np.pad(grid, 1, constant_values=np.nan), (3, 3))
    known = np.isfinite(around)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sum(around, axis=(-2, -1), where=known) / known.sum(axis=(-2, -1)), np.float32)


def _between(places: NDArray[np.int64], edges: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], Image]:
    """Blocks between whose middles each pixel lies, and how far it is from one to the other."""
    middles = (edges[:-1] + edges[1:] - 1) / 2
    if len(middles) == 1:
        nothing = np.zeros(len(places), np.int64)
        return nothing, nothing, nothing.astype(np.float32)
    low = np.clip(np.searchsorted(middles, places) - 1, 0, len(middles) - 2)
    return low, low + 1, ((places - middles[low]) / (middles[low + 1] - middles[low])).astype(np.float32)


def _sums(image: Image, bad: Bad, surroundings: _Surroundings, start: int) -> Image:
    """Significance of the 3 x 3 pixels about each pixel of a row of blocks."""
    stop = min(start + BLOCK, len(image))
    first, last = max(0, start - 1), min(len(image), stop + 1)
    significance = surroundings.significance(image, bad, slice(first, last))
    np.clip(significance, -MOST_OF_ONE, MOST_OF_ONE, out=significance)
    padded = np.zeros((stop - start + 2, image.shape[1] + 2), np.float32)
    padded[first - start + 1 : last - start + 1, 1:-1] = significance
    along = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    sums = along[:-2] + along[1:-1] + along[2:]
    sums /= np.float32(3)
    return np.asarray(sums)


def _compact(found: Bad) -> list[Place]:
    """Places of what hangs together, if it is compact."""
    if not found.any():
        return []
    from scipy import ndimage

    labels, _ = ndimage.label(found, np.ones((3, 3)))
    return [p for p in ndimage.find_objects(labels) if max(side.stop - side.start for side in p) <= LARGEST]


def _middle(place: Place) -> list[float]:
    return [(side.start + side.stop - 1) / 2 for side in place]


def _is_star(image: Image, bad: Bad, surroundings: _Surroundings, place: Place) -> bool:
    """Whether a bright place is neither the rim of something dark nor part of a bright row or column."""
    near = tuple(slice(max(0, side.start - RIM), side.stop + RIM) for side in place)
    if surroundings.significance(image, bad, *near).min() < -SIGNIFICANT:
        return False
    middle = [round(n) for n in _middle(place)]
    around = tuple(slice(max(0, n - LINE), n + LINE + 1) for n in middle)
    significance = np.clip(surroundings.significance(image, bad, *around), -MOST_OF_ONE, MOST_OF_ONE)
    off = [np.abs(np.arange(n)[s] - m) for n, s, m in zip(image.shape, around, middle, strict=True)]
    across_columns = np.median(significance[off[0] > LINE // 2], axis=0)
    across_rows = np.median(significance[:, off[1] > LINE // 2], axis=1)
    return all(
        profile[distance <= 1].mean() - np.median(profile) < MOST_OF_ONE / 4
        for profile, distance in ((across_columns, off[1]), (across_rows, off[0]))
    )
