"""Statistics of blocks of an image, and surfaces through the middles of blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nightcal.numerics.kernels.order import merge_order

TYPICAL_PIXELS = 2**20
"""Pixels that suffice for the scatter of an image."""

Image = NDArray[np.float32]
Values = NDArray[np.float64]
Indices = NDArray[np.int64]


def cut_strips(rows: int, height: int) -> list[slice]:
    """Cut the rows of an image into strips; the last one may be lower."""
    return [slice(start, min(start + height, rows)) for start in range(0, rows, height)]


def thin_rows(image: Image) -> Image:
    """Take every n-th row, such that about a million pixels are left of a large image."""
    return image[:: ceil(image.size / TYPICAL_PIXELS)]


def cut_blocks(length: int, blocks: int, nearest: bool = False) -> Indices:
    """Cut an axis into blocks of nearly equal size.

    Parameters
    ----------
    length, blocks : int
    nearest : bool
        Cut at the nearest pixel, not at the one below.

    Returns
    -------
    ndarray of int64, shape (blocks + 1,)
        The first pixel of each block, and the length.
    """
    edges = np.linspace(0, length, blocks + 1)
    return (edges.round() if nearest else edges).astype(np.int64)


def cut_equal_blocks(length: int, size: int) -> list[int]:
    """Cut an axis into blocks of one size: where they begin. The last one ends with the axis and may overlap."""
    return [*range(0, length - size, size), max(0, length - size)]


def find_middles(edges: Indices) -> Values:
    """Find the middles of blocks [pixels] from the edges of `cut_blocks`."""
    return np.asarray((edges[:-1] + edges[1:] - 1) / 2)


def space_evenly(edges: Indices, samples: int) -> Indices:
    """Choose evenly spaced pixels of each block, shape (blocks, samples)."""
    return np.asarray(edges[:-1, np.newaxis] + np.arange(samples) * np.diff(edges)[:, np.newaxis] // samples)


def sample_blocks(rows: NDArray[Any], edges: Indices, samples: int) -> NDArray[Any]:
    """Take evenly spaced columns of each block.

    Parameters
    ----------
    rows : ndarray, shape (ny, nx)
    edges : ndarray of int64, shape (n + 1,)
        Of blocks of columns.
    samples : int
        Columns of each block.

    Returns
    -------
    ndarray, shape (n, ny * samples)
    """
    return rows[:, space_evenly(edges, samples)].transpose(1, 0, 2).reshape(len(edges) - 1, -1)


def measure_blocks(rows: Image, width: int, statistic: Callable[[Image], Any]) -> Any:
    """Find a statistic of each block of columns.

    Parameters
    ----------
    rows : ndarray of float32, shape (ny, nx)
    width : int
        Columns of a block; the last one ends with the rows and may overlap with the one before.
    statistic : function
        Of an array of shape (blocks, pixels), along its second axis.

    Returns
    -------
    ndarray, shape (blocks,)
    """
    height, nx = rows.shape
    width = min(width, nx)
    whole = nx // width
    blocks = rows[:, : whole * width].reshape(height, whole, width).swapaxes(0, 1).reshape(whole, height * width)
    found = statistic(blocks)
    if whole * width == nx:
        return found
    return np.append(found, statistic(rows[:, nx - width :].reshape(1, height * width)))


def find_neighbours(grid: NDArray[Any], **edge: Any) -> NDArray[Any]:
    """See the 3 x 3 values around each value of a grid.

    Parameters
    ----------
    grid : ndarray, shape (..., ny, nx)
    **edge
        How `numpy.pad` goes on beyond the edges; NaN unless said.

    Returns
    -------
    ndarray, shape (..., ny, nx, 3, 3)
    """
    beyond = [(0, 0)] * (grid.ndim - 2) + [(1, 1)] * 2
    return sliding_window_view(np.pad(grid, beyond, **(edge or {"constant_values": np.nan})), (3, 3), axis=(-2, -1))


def average_nine(values: NDArray[Any], noise: NDArray[Any]) -> tuple[Values, Values]:
    """Average the finite values of the 3 x 3 blocks around each block.

    Parameters
    ----------
    values, noise : ndarray, shape (..., ny, nx)
        Values of blocks, and the standard error of each.

    Returns
    -------
    mean, noise : ndarray of float64, shape (..., ny, nx)
        NaN where no value is known.
    """
    around, variances = find_neighbours(values), find_neighbours(np.square(noise))
    known = np.isfinite(around) & np.isfinite(variances)
    count = known.sum(axis=(-2, -1))
    mean = np.sum(around, axis=(-2, -1), where=known) / count
    return mean, np.sqrt(np.sum(variances, axis=(-2, -1), where=known)) / count


def bracket(places: NDArray[Any], middles: Values, hold: bool = False) -> tuple[Indices, Indices, Values]:
    """Find the blocks between whose middles each place lies.

    Parameters
    ----------
    places : ndarray, shape (n,)
        [pixels]
    middles : ndarray of float64, shape (m,)
        Of the blocks, ascending.
    hold : bool
        Beyond the outermost middles a surface stays level; otherwise it is extrapolated.

    Returns
    -------
    low, high : ndarray of int64, shape (n,)
    part : ndarray of float64, shape (n,)
        How far the place is on the way from one to the other.
    """
    last = len(middles) - 1
    if hold or last == 0:
        where = np.interp(places, middles, np.arange(len(middles)))
        low = np.minimum(where.astype(np.int64), max(last - 1, 0))
        return low, np.minimum(low + 1, last), where - low
    low = np.clip(np.searchsorted(middles, places, side="right") - 1, 0, last - 1)
    return low, low + 1, (places - middles[low]) / (middles[low + 1] - middles[low])


def interpolate(
    values: NDArray[Any], middles: Values, places: NDArray[Any], axis: int = 0, hold: bool = False
) -> NDArray[Any]:
    """Interpolate linearly along one axis of a grid, in its precision.

    Parameters
    ----------
    values : ndarray, shape (m, n)
    middles, places, hold
        As for `bracket`.
    axis : int

    Returns
    -------
    ndarray, of as many values along the axis as places
    """
    low, high, part = bracket(places, middles, hold)
    part = np.expand_dims(part.astype(values.dtype), 1 - axis)
    return np.asarray(values.take(low, axis) * (1 - part) + values.take(high, axis) * part)


@dataclass(frozen=True, slots=True)
class MedianSurface:
    """Large-scale structure of an image: medians of blocks, interpolated linearly between their middles.

    Attributes
    ----------
    medians : ndarray of float32, shape (blocks in y, blocks in x)
    y, x : ndarray of float64
        Middles of the blocks [pixels].
    width : int
        Columns of the image.
    """

    medians: Image
    y: Values
    x: Values
    width: int

    @staticmethod
    def fit(image: Any, block: tuple[int, int]) -> MedianSurface:
        """Find the medians.

        Parameters
        ----------
        image : ndarray of float32, shape (ny, nx), or any image of rows that can be sliced
        block : (int, int)
            Rows and columns of a block; those of the image, if it has fewer. The last block of a row or column of
            blocks may overlap with the one before.
        """
        sizes = [min(pair) for pair in zip(image.shape, block, strict=True)]
        starts = [cut_equal_blocks(*pair) for pair in zip(image.shape, sizes, strict=True)]
        rows = [
            measure_blocks(image[top : top + sizes[0]], sizes[1], lambda blocks: np.median(blocks, axis=1))
            for top in starts[0]
        ]
        y, x = (np.array(start) + (size - 1) / 2 for start, size in zip(starts, sizes, strict=True))
        return MedianSurface(np.stack(rows), y, x, image.shape[1])

    def rows(self, rows: slice) -> Image:
        """Interpolate for some rows of the image; beyond the middles of the outermost blocks, extrapolate."""
        low, high, part = bracket(np.arange(rows.start, rows.stop), self.y)
        mixed = _mix(self.medians[low], self.medians[high], part[:, np.newaxis])
        low, high, part = bracket(np.arange(self.width), self.x)
        return mixed if len(self.x) == self.width else _mix(mixed[:, low], mixed[:, high], part)


def _mix(low: Image, high: Image, part: Values) -> Image:
    mixed = high - low
    mixed *= part.astype(np.float32)
    mixed += low
    return mixed


def find_running_median(image: Image, start: int, stop: int, size: int) -> Image:
    """Find the median of ``size`` rows' medians of ``size`` pixels around each pixel of some rows.

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
    y = _mirror(np.arange(start - half, stop + half), len(image))
    x = _mirror(np.arange(-half, nx + half), nx)
    around = image[y][:, x]
    by_row = _find_median_image([around[:, n : n + nx] for n in range(size)])
    return _find_median_image([by_row[n : n + rows] for n in range(size)])


def _find_median_image(images: list[Image]) -> Image:
    """Find the median of an odd number of images pixel by pixel, by a sorting network: numpy is fast at whole rows."""
    for low, high in merge_order(len(images)):
        images[low], images[high] = np.minimum(images[low], images[high]), np.maximum(images[low], images[high])
    return images[len(images) // 2]


def _mirror(places: Indices, length: int) -> Indices:
    """Reflect places beyond the edges; the pixel at the edge counts again."""
    places = places % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
