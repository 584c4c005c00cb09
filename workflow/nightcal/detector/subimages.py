"""Cut small subimages out of the area of an amplifier, and measure the scatter of their pixels."""

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

SIDE = 32
"""Rows and columns of a subimage."""

MOST_ROWS = 16
MOST_SUBIMAGES = 256
"""Largest number of subimages of an area, in at most 16 rows if the columns suffice."""

REJECT = 4.0
KEPT_VARIANCE = 1 - 2 * REJECT * np.exp(-(REJECT**2) / 2) / np.sqrt(2 * np.pi)
"""Variance of a Gaussian within 4 sigma."""

PLANE = 3
"""Free parameters of a plane."""

Subimages = NDArray[np.float32]
"""Array of shape (subimages, ny, nx); saturated and missing pixels are NaN."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """Grid of subimages spread evenly over an area.

    Attributes
    ----------
    rows, columns : tuple of int
        First rows and first columns of the subimages, counted from 0.
    shape : (int, int)
        Rows and columns of a subimage.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    shape: tuple[int, int]

    @classmethod
    def spread_over(cls, area: Area) -> Grid:
        """Choose up to 256 subimages of 32 x 32 pixels, or smaller if the area is.

        Parameters
        ----------
        area : Area

        Returns
        -------
        Grid
        """
        ny, nx = (min(SIDE, length) for length in area.shape)
        down, across = area.shape[0] // ny, area.shape[1] // nx
        columns = min(across, MOST_SUBIMAGES // min(down, MOST_ROWS))
        rows = min(down, MOST_SUBIMAGES // columns)
        return cls(_space_evenly(area.ymin, ny, down, rows), _space_evenly(area.xmin, nx, across, columns), (ny, nx))

    def cut_row(self, rows: NDArray[Any]) -> Subimages:
        """Cut one row of subimages out of the rows of an image."""
        return np.stack([rows[:, column : column + self.shape[1]] for column in self.columns]).astype(np.float32)


def _space_evenly(start: int, size: int, possible: int, chosen: int) -> tuple[int, ...]:
    """Choose evenly spaced first pixels of subimages along one axis."""
    return tuple(start + size * ((2 * i + 1) * possible // (2 * chosen)) for i in range(chosen))


def read_subimages(readout: Readout, grids: Sequence[Grid], bias: MasterFrame | None = None) -> list[Subimages]:
    """Read the subimages of all amplifiers.

    Parameters
    ----------
    readout : Readout
    grids : sequence of Grid
        One per amplifier, as `make_grids` makes them.
    bias : MasterFrame, optional
        A master bias in electrons, subtracted.

    Returns
    -------
    list of ndarray of float32
        [e-], one array per amplifier; saturated and missing pixels are NaN.

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.
    """
    rows: list[list[Subimages]] = [[] for _ in grids]
    for start, stop in sorted({(row, row + grid.shape[0]) for grid in grids for row in grid.rows}):
        electrons, flags = readout.rows(start, stop)
        electrons[flags > 0] = np.nan
        if bias is not None:
            electrons -= bias.data[start:stop]
        for grid, cut in zip(grids, rows, strict=True):
            if start in grid.rows and stop - start == grid.shape[0]:
                cut.append(grid.cut_row(electrons))
    return [np.concatenate(cut) for cut in rows]


def make_grids(readout: Readout) -> list[Grid]:
    """Choose the subimages of each amplifier."""
    return [Grid.spread_over(area) for area, _ in readout.shares]


class SubimageValues(NamedTuple):
    """One value per subimage and its standard error, shape (subimages,)."""

    value: Values
    error: Values


def measure_subimage_variances(subimages: Subimages, floor: float) -> SubimageValues:
    """Measure the variance of the pixels of each subimage about a fitted plane.

    Parameters
    ----------
    subimages : ndarray of float32, shape (subimages, ny, nx)
    floor : float
        Lower limit of the rstd.

    Returns
    -------
    SubimageValues
        Scaled so that their median is unbiased; NaN for subimages with half of the pixels missing.

    Notes
    -----
    Pixels are clipped at 4 rstd, and the variance is corrected for the loss of Gaussian noise. The median of chi^2 with
    k degrees of freedom is ``k (1 - 2 / (9 k))^3`` (Wilson and Hilferty 1931). Sums instead of a matrix product, whose
    last bits depend on the machine.
    """
    residual, inside = _flatten(subimages, floor)
    kept = np.where(inside, residual, np.float32(0)).reshape(len(subimages), -1)
    count = np.count_nonzero(inside, axis=(1, 2))
    freedom = np.where(2 * count > max(kept.shape[1], 4 * PLANE), count - PLANE, np.nan)
    sums, squares = np.sum(kept, axis=1, dtype=np.float64), np.sum(kept**2, axis=1, dtype=np.float64)
    variance = (squares - sums**2 / np.maximum(count, 1)) / freedom / KEPT_VARIANCE
    variance /= (1 - 2 / (9 * freedom)) ** 3
    return SubimageValues(variance, variance * np.sqrt(2 / freedom))


def measure_neighbour_correlation(subimages: Subimages, floor: float) -> SubimageValues:
    """Measure the sum of the correlations of a pixel with its four neighbours; parameters as for the variances.

    Notes
    -----
    The plane that is subtracted takes 3 of n degrees of freedom, and correlates the residuals by ``-3 / n``.
    """
    residual, inside = _flatten(subimages, floor)
    kept = np.where(inside, residual, np.float32(0)).astype(np.float64)
    size = kept[0].size
    total, products = np.mean(kept**2, axis=(1, 2)), np.zeros(len(kept))
    for left, right in ((kept[:, :, :-1], kept[:, :, 1:]), (kept[:, :-1], kept[:, 1:])):
        products += 2 * np.mean(left * right, axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(np.count_nonzero(inside, axis=(1, 2)) * 2 > size, products / total + 4 * PLANE / size, np.nan)
    return SubimageValues(value, np.full(len(kept), 2 * np.sqrt(2 / size)))


def _flatten(subimages: Subimages, floor: float) -> tuple[Subimages, NDArray[np.bool_]]:
    """Subtract a plane from each subimage; also find the pixels within 4 rstd of it."""
    residual = subimages - _add_axes(find_subimage_medians(subimages))
    residual -= _fit_planes(residual, _find_inside(residual, floor))
    residual -= _add_axes(find_subimage_medians(residual))
    return residual, _find_inside(residual, floor)


def find_subimage_medians(subimages: Subimages) -> Values:
    """Find the median of the pixels of each subimage, ignoring missing ones; NaN if all are missing."""
    return median(subimages.reshape(len(subimages), -1), axis=1)


def _find_inside(residual: Subimages, floor: float) -> NDArray[np.bool_]:
    """Find the pixels within 4 rstd of 0, without missing ones."""
    deviation = np.abs(residual)
    spread = np.maximum(RSTD * find_subimage_medians(deviation), floor)
    with np.errstate(invalid="ignore"):
        return np.asarray(deviation <= _add_axes(REJECT * spread))


def _fit_planes(residual: Subimages, inside: NDArray[np.bool_]) -> Subimages:
    """Fit the slopes of each subimage in x and y, by least squares over the pixels inside."""
    kept = np.where(inside, residual, np.float32(0))
    planes = np.zeros_like(residual)
    for axis, other in ((1, 2), (2, 1)):
        place = np.arange(residual.shape[axis]) - (residual.shape[axis] - 1) / 2
        products = np.sum(np.sum(kept, axis=other, dtype=np.float64) * place, axis=1)
        squares = np.sum(np.count_nonzero(inside, axis=other) * place**2, axis=1)
        slope = products / np.maximum(squares, 1)
        planes += np.expand_dims(slope[:, None] * place, other).astype(np.float32)
    return planes


def _add_axes(values: Values) -> NDArray[np.float32]:
    """Add two axes to values of subimages, to broadcast over the pixels."""
    return values.astype(np.float32)[:, None, None]
