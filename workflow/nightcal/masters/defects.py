"""Defects of a detector, each found by what it does to a master: pure functions of images.

Images may be arrays, or stay on disk and are read by rows (`nightcal.io.master.StoredPlane`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import Plane
from nightcal.numerics.clipped_level import level_of_values
from nightcal.numerics.kernels.order import merge_order

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

STRIP = 64
TYPICAL_PIXELS = 2**20

OWN_SIGMA = 5.0
"""Nothing is called a defect that the errors of the master itself might make."""

COLUMN_AND_ROW = ((64, 1), (1, 64))
"""Blocks whose medians follow the structure that reading out leaves: along a column, then along a row."""

AROUND = ((32, 32),)
"""Blocks whose medians follow glow and illumination."""

MEDIAN, SIGMA_BLOCK, RATIO_SIGMAS = 7, 15, 10.0
PERCENTILES = (30.9, 69.1)
"""What IRAF's ccdmask takes half the distance of for sigma (of a Gaussian, it is half of that)."""

RATIO_LEAST = 0.05
"""A ratio that differs by less is no defect: bright flats of two colours show differences that each one corrects."""

RUN, MOST = 32, 0.5
"""A run of a column is bad as a whole if this share of so many pixels is bad."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an image is like on a larger scale: medians of blocks, interpolated linearly between their middles.

    Attributes
    ----------
    medians : ndarray of float32, shape (blocks in y, blocks in x)
    y, x : ndarray of float64
        Middles of the blocks [pixels].
    width : int
        Columns of the image.
    """

    medians: Image
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    width: int

    @staticmethod
    def of(image: Plane, block: tuple[int, int]) -> Surroundings:
        """Find the medians.

        Parameters
        ----------
        image : ndarray of float32, shape (ny, nx), or StoredPlane
        block : (int, int)
            Rows and columns of a block; those of the image, if it has fewer. The last block of a row or column of
            blocks may overlap with the one before.
        """
        (ny, nx), (height, width) = image.shape, block
        tops = _starts(ny, height)
        medians = [_by_blocks(image[top : top + height], width, _medians) for top in tops]
        return Surroundings(np.stack(medians), _middles(tops, ny, height), _middles(_starts(nx, width), nx, width), nx)

    def rows(self, start: int, stop: int) -> Image:
        """Interpolate for some rows of the image; beyond the middles of the outermost blocks, extrapolate."""
        low, share = _between(self.y, np.arange(start, stop))
        high = np.minimum(low + 1, len(self.y) - 1)
        mixed = _mix(self.medians[low], self.medians[high], share[:, np.newaxis])
        low, share = _between(self.x, np.arange(self.width))
        high = np.minimum(low + 1, len(self.x) - 1)
        return mixed if len(self.x) == self.width else _mix(mixed[:, low], mixed[:, high], share)


def departure(image: Plane, blocks: tuple[tuple[int, int], ...]) -> Image:
    """Take from an image what it is like on a larger scale.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx), or StoredPlane
        Finite.
    blocks : tuple of (int, int)
        Sizes of the blocks whose medians are taken off, one after the other.

    Returns
    -------
    ndarray of float32, shape (ny, nx)
    """
    rest = np.array(image[:], dtype=np.float32)
    for block in blocks:
        around = Surroundings.of(rest, block)
        for start, stop in _strips(len(rest)):
            rest[start:stop] -= around.rows(start, stop)
    return rest


def outliers(rest: Image, variance: Plane, k: float, both: bool = True) -> Mask:
    """Pixels that depart by more than ``k`` rstd of all pixels, and by more than 5 times their own error.

    Parameters
    ----------
    rest : ndarray of float32, shape (ny, nx)
        As `departure` leaves it.
    variance : ndarray of float32, shape (ny, nx), or StoredPlane
        Of the image.
    k : float
        Nothing departs by infinity.
    both : bool
        Whether pixels that are too low count, too.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Nothing departs where more than half of the pixels are equal and have no error: nobody knows by how much
        they scatter.
    """
    found = np.zeros(rest.shape, dtype=bool)
    if np.isinf(k):
        return found
    sample = rest[:: ceil(rest.size / TYPICAL_PIXELS)]
    limit = np.float32(k * level_of_values(sample, k, 0.0).rstd)
    for start, stop in _strips(len(rest)):
        part = np.abs(rest[start:stop]) if both else rest[start:stop]
        own = np.float32(OWN_SIGMA) * np.sqrt(variance[start:stop])
        least = np.maximum(own, limit)
        found[start:stop] = (part > least) & (least > 0)
    return found


def unresponsive(flat: Plane, variance: Plane, limit: float) -> Mask:
    """Pixels whose response differs from that around them by more than a part of it, and 5 times their own error.

    Parameters
    ----------
    flat, variance : ndarray of float32, shape (ny, nx), or StoredPlane
        Master flat, near 1, and its variance.
    limit : float
        Part of the response around, as 0.3.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    around = Surroundings.of(flat, AROUND[0])
    found = np.zeros(flat.shape, dtype=bool)
    for start, stop in _strips(flat.shape[0]):
        expected = around.rows(start, stop)
        own = np.float32(OWN_SIGMA) * np.sqrt(variance[start:stop])
        found[start:stop] = np.abs(flat[start:stop] - expected) > np.maximum(np.float32(limit) * expected, own)
    return found


def ratio_outliers(ratio: Image, k: float = RATIO_SIGMAS, least: float = RATIO_LEAST) -> Mask:
    """Pixels where the ratio of two flats is unlike that around them.

    Parameters
    ----------
    ratio : ndarray of float32, shape (ny, nx)
        Finite; 1 where one of the two flats says nothing.
    k : float
        In units of half the distance between the 30.9th and the 69.1th percentile.
    least : float
        Smallest difference, as a part of the ratio around, that counts.

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Notes
    -----
    As IRAF's ccdmask and ``ccdproc.ccdmask(..., byblocks=True)``: a running median of 7 x 7 pixels is taken off, and
    what is left is compared with its own scatter in blocks of 15 x 15. Two things differ, for the sake of speed and
    of the edges: the running median is the median of seven rows' medians of seven, and the last block of a row or a
    column of blocks is as large as the others.
    """
    ny, nx = ratio.shape
    found = np.zeros(ratio.shape, dtype=bool)
    tops = _starts(ny, SIGMA_BLOCK)
    block_of = np.minimum(np.arange(nx) // SIGMA_BLOCK, len(_starts(nx, SIGMA_BLOCK)) - 1)
    for n, top in enumerate(tops):
        bottom = min(top + SIGMA_BLOCK, ny)
        around = running_median(ratio, top, bottom)
        rest = ratio[top:bottom] - around
        sigma = _by_blocks(rest, SIGMA_BLOCK, _half_distance)[block_of]
        first = n * SIGMA_BLOCK - top
        limit = np.maximum(np.float32(k) * sigma, np.float32(least) * around)
        found[top + first : bottom] = (np.abs(rest) > limit)[first:]
    return found


def running_median(image: Image, start: int, stop: int, size: int = MEDIAN) -> Image:
    """Median of ``size`` rows' medians of ``size`` pixels around each pixel of some rows.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Mirrored at its edges.
    start, stop : int
        0-based, half-open.
    size : int
        Odd.

    Returns
    -------
    ndarray of float32, shape (stop - start, nx)
    """
    half, rows, nx = size // 2, stop - start, image.shape[1]
    y = _mirrored(np.arange(start - half, stop + half), len(image))
    x = _mirrored(np.arange(-half, nx + half), nx)
    around = image[y][:, x]
    by_row = _median_of([around[:, n : n + nx] for n in range(size)])
    return _median_of([by_row[n : n + rows] for n in range(size)])


def fill_columns(bad: Mask, run: int = RUN, most: float = MOST) -> Mask:
    """Find the pixels between bad ones of a column that is bad as a whole along a run.

    Parameters
    ----------
    bad : ndarray of bool, shape (ny, nx)
    run : int
        Rows of which the given share must be bad; those of the image, if it has fewer.
    most : float
        Share of bad pixels.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Without the pixels that are bad already; the first and the last pixel of a run were bad.
    """
    run = min(run, len(bad))
    filled = np.zeros_like(bad)
    for column in np.flatnonzero(np.count_nonzero(bad, axis=0) >= most * run):
        filled[:, column] = _between_bad(bad[:, column], run, most)
    return filled & ~bad


def _between_bad(bad: Mask, run: int, most: float) -> Mask:
    """Fill, in one column, the runs of which the given share is bad, from their first to their last bad pixel."""
    counts = np.concatenate([[0], np.cumsum(bad)])
    mostly = counts[run:] - counts[:-run] >= most * run  # of the rows from here on
    inside = np.cumsum(np.concatenate([mostly, np.zeros(run, int)]) - np.concatenate([np.zeros(run, int), mostly]))
    filled = np.zeros_like(bad)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside[: len(bad)] > 0, [0]]).astype(int)))
    for first, last in edges.reshape(-1, 2):
        rows = first + np.flatnonzero(bad[first:last])
        filled[rows[0] : rows[-1] + 1] = True
    return filled


def _strips(rows: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + STRIP, rows)) for start in range(0, rows, STRIP))


def _starts(length: int, size: int) -> list[int]:
    """Where blocks begin; the last one ends with the image."""
    return [*range(0, length - size, size), max(0, length - size)]


def _middles(starts: list[int], length: int, size: int) -> NDArray[np.float64]:
    return np.array(starts) + (min(size, length) - 1) / 2


def _between(middles: NDArray[np.float64], places: NDArray[np.int64]) -> tuple[NDArray[np.int64], Image]:
    """Middle below each place (or the first, or the last but one), and how far on the way to the next."""
    if len(middles) == 1:
        return np.zeros(len(places), np.int64), np.zeros(len(places), np.float32)
    low = np.clip(np.searchsorted(middles, places, side="right") - 1, 0, len(middles) - 2)
    return low, ((places - middles[low]) / (middles[low + 1] - middles[low])).astype(np.float32)


def _mix(low: Image, high: Image, share: Image) -> Image:
    mixed = high - low
    mixed *= share
    mixed += low
    return mixed


def _by_blocks(rows: Image, width: int, statistic: Callable[[Image], Any]) -> Any:
    """Statistic of each block of so many columns; the last one ends with the image."""
    height, nx = rows.shape
    width = min(width, nx)
    whole = nx // width
    blocks = rows[:, : whole * width].reshape(height, whole, width).swapaxes(0, 1).reshape(whole, height * width)
    found = statistic(blocks)
    if whole * width == nx:
        return found
    return np.append(found, statistic(rows[:, nx - width :].reshape(1, height * width)))


def _medians(blocks: Image) -> Image:
    return np.median(blocks, axis=1)


def _half_distance(blocks: Image) -> Image:
    low, high = np.percentile(blocks, PERCENTILES, axis=1)
    return np.asarray(0.5 * (high - low), np.float32)


def _median_of(images: list[Image]) -> Image:
    """Median pixel by pixel of an odd number of images, by a sorting network: numpy is fast at whole rows."""
    images = list(images)
    for low, high in merge_order(len(images)):
        images[low], images[high] = np.minimum(images[low], images[high]), np.maximum(images[low], images[high])
    return images[len(images) // 2]


def _mirrored(places: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Reflect places beyond the edges; the pixel at the edge counts again."""
    places = places % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
