"""Squares of pixels spread evenly over what each amplifier read, and the scatter of the pixels in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.readout import Readout
from nightcal.io.master import MasterFrame
from nightcal.io.sections import Area
from nightcal.numerics.robust import RSTD, median

TILE = 32
MOST_ROWS = 16
MOST_SUBIMAGES = 256
"""Subimages of an area, in up to 16 rows of tiles where that suffices."""

REJECT = 4.0
KEPT_VARIANCE = 1 - 2 * REJECT * np.exp(-(REJECT**2) / 2) / np.sqrt(2 * np.pi)
"""Variance of a Gaussian within 4 sigma."""

PLANE = 3
"""Free parameters of a plane."""

Subimages = NDArray[np.float32]
"""Squares of pixels, shape (tiles, ny, nx), NaN where a pixel is saturated or missing."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Subimages spread evenly over an area.

    Attributes
    ----------
    rows, columns : tuple of int
        Where tiles begin, from 0; each row of tiles has one in each column.
    shape : (int, int)
        Of a tile.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    shape: tuple[int, int]

    @classmethod
    def over(cls, area: Area) -> Grid:
        """Choose up to 256 tiles of 32 x 32 pixels, less high or wide where the area is.

        Parameters
        ----------
        area : Area

        Returns
        -------
        Grid
        """
        ny, nx = (min(TILE, length) for length in area.shape)
        down, across = area.shape[0] // ny, area.shape[1] // nx
        columns = min(across, MOST_SUBIMAGES // min(down, MOST_ROWS))
        rows = min(down, MOST_SUBIMAGES // columns)
        return cls(_spread(area.ymin, ny, down, rows), _spread(area.xmin, nx, across, columns), (ny, nx))

    def cut_row(self, rows: NDArray[Any]) -> Subimages:
        """Cut one row of tiles out of the rows of an image that it covers."""
        return np.stack([rows[:, column : column + self.shape[1]] for column in self.columns]).astype(np.float32)


def _spread(start: int, size: int, possible: int, chosen: int) -> tuple[int, ...]:
    """Where some of the tiles of a row or column begin, the same distance apart."""
    return tuple(start + size * ((2 * i + 1) * possible // (2 * chosen)) for i in range(chosen))


def read_subimages(readout: Readout, grids: Sequence[Grid], bias: MasterFrame | None = None) -> list[Subimages]:
    """Read the tiles of each amplifier.

    Parameters
    ----------
    readout : Readout
    grids : sequence of Grid
        Over the area of each of ``readout.shares``.
    bias : MasterFrame, optional
        A master bias in electrons, subtracted.

    Returns
    -------
    list of ndarray of float32
        In electrons, NaN where saturated or missing.

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.
    """
    tiles: list[list[Subimages]] = [[] for _ in grids]
    for start, stop in sorted({(row, row + grid.shape[0]) for grid in grids for row in grid.rows}):
        electrons, flags = readout.rows(start, stop)
        electrons[flags > 0] = np.nan
        if bias is not None:
            electrons -= bias.data[start:stop]
        for grid, found in zip(grids, tiles, strict=True):
            if start in grid.rows and stop - start == grid.shape[0]:
                found.append(grid.cut_row(electrons))
    return [np.concatenate(found) for found in tiles]


def grids_of(readout: Readout) -> list[Grid]:
    """Subimages to be read of each amplifier."""
    return [Grid.over(area) for area, _ in readout.shares]


class SubimageValues(NamedTuple):
    """A number for each tile, and the standard error that the number of its pixels leaves; shape (tiles,)."""

    value: Values
    error: Values


def subimage_variances(tiles: Subimages, floor: float) -> SubimageValues:
    """Variance of the pixels of each tile about a plane, so that slopes do not count.

    Parameters
    ----------
    tiles : ndarray of float32, shape (tiles, ny, nx)
    floor : float
        Smallest rstd that is believed.

    Returns
    -------
    SubimageValues
        Such that their median is not biased; NaN for a tile half of whose pixels are missing.

    Notes
    -----
    Clipped at 4 rstd, whose loss for Gaussian noise is put back. The median of chi^2 of k degrees of freedom is
    ``k (1 - 2 / (9 k))^3`` (Wilson and Hilferty 1931). No matrix product: its last bits depend on the machine.
    """
    residual = tiles - _across(subimage_medians(tiles))
    residual -= _planes(residual, _inside(residual, floor))
    residual -= _across(subimage_medians(residual))
    inside = _inside(residual, floor)
    kept = np.where(inside, residual, np.float32(0)).reshape(len(tiles), -1)
    count = np.count_nonzero(inside, axis=(1, 2))
    freedom = np.where(2 * count > max(kept.shape[1], 4 * PLANE), count - PLANE, np.nan)
    sums, squares = np.sum(kept, axis=1, dtype=np.float64), np.sum(kept**2, axis=1, dtype=np.float64)
    variance = (squares - sums**2 / np.maximum(count, 1)) / freedom / KEPT_VARIANCE
    variance /= (1 - 2 / (9 * freedom)) ** 3
    return SubimageValues(variance, variance * np.sqrt(2 / freedom))


def subimage_medians(tiles: Subimages) -> Values:
    """Find the median of the pixels of each tile that are not missing; NaN if all are."""
    return median(tiles.reshape(len(tiles), -1), axis=1)


def _inside(residual: Subimages, floor: float) -> NDArray[np.bool_]:
    """Pixels within 4 rstd of 0; missing ones are not."""
    deviation = np.abs(residual)
    spread = np.maximum(RSTD * subimage_medians(deviation), floor)
    with np.errstate(invalid="ignore"):
        return np.asarray(deviation <= _across(REJECT * spread))


def _planes(residual: Subimages, inside: NDArray[np.bool_]) -> Subimages:
    """Slopes of each tile in x and y, by least squares over the pixels inside."""
    kept = np.where(inside, residual, np.float32(0))
    planes = np.zeros_like(residual)
    for axis, other in ((1, 2), (2, 1)):
        place = np.arange(residual.shape[axis]) - (residual.shape[axis] - 1) / 2
        products = np.sum(np.sum(kept, axis=other, dtype=np.float64) * place, axis=1)
        squares = np.sum(np.count_nonzero(inside, axis=other) * place**2, axis=1)
        slope = products / np.maximum(squares, 1)
        planes += np.expand_dims(slope[:, None] * place, other).astype(np.float32)
    return planes


def _across(values: Values) -> NDArray[np.float32]:
    """One number a tile, to be broadcast over its pixels."""
    return values.astype(np.float32)[:, None, None]
