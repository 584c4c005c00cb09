"""Compare the summaries of two masters of a kind: where, how much and how significantly they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master_maps import MasterMaps
from nightcal.numerics.blocks import average_nine
from nightcal.numerics.robust import RSTD

COARSE = 4
"""Fine blocks on a side of a coarse one: 64 pixels."""

BLOCK = 16
"""Pixels on a side of a fine block."""

SIGNIFICANT = 5.0
"""Departures below this many standard errors are noise: with 16,384 blocks one master in a hundred exceeds it."""

FEWEST_LINES = 5
"""Rows or columns of blocks that show a slope."""

NEIGHBOURS = 11
"""Columns whose median a column is compared with, its own among them."""

LINE_SIGMA = 8.0
"""Smallest change of a column in units of the scatter of all: one of 10^14 by chance, but few columns are Gaussian."""

Map = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """The largest significant departure of one map from another.

    Attributes
    ----------
    size : float
        Signed, in the unit of the maps; 0 if no departure is significant.
    sigma : float
        In standard errors, significant or not.
    place : str
        Such as ``near pixel 312, 88``; empty if nothing is significant.
    """

    size: float = 0.0
    sigma: float = 0.0
    place: str = ""


class Grid(NamedTuple):
    """Values of blocks and their standard errors; NaN where unknown."""

    values: Map
    errors: Map


def are_alike(one: MasterMaps, other: MasterMaps) -> bool:
    """Check whether two masters have the same number of pixels and the same amplifiers."""
    same = one.fine.shape == other.fine.shape and one.columns.shape == other.columns.shape
    return same and one.rows.shape == other.rows.shape and np.array_equal(one.amplifiers, other.amplifiers)


def subtract_maps(new: MasterMaps, old: MasterMaps, factor: float = 1.0) -> Grid:
    """Subtract an earlier master from a later one, with the level of each amplifier removed.

    Parameters
    ----------
    new, old : MasterMaps
    factor : float
        By which the difference is multiplied.

    Returns
    -------
    Grid
        Of fine blocks.
    """
    values = (new.fine.astype(np.float64) - old.fine) * factor
    errors = np.hypot(new.fine_error.astype(np.float64), old.fine_error) * abs(factor)
    return Grid(_remove_levels(values, new.amplifiers), errors)


def divide_maps(new: MasterMaps, old: MasterMaps) -> Grid:
    """Divide a later flat by an earlier one, less 1, with the level of each amplifier removed."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = new.fine.astype(np.float64) / old.fine
        errors = ratio * np.hypot(new.fine_error / new.fine, old.fine_error / old.fine)
    values = ratio - 1
    values[~np.isfinite(values)] = np.nan
    return Grid(_remove_levels(values, new.amplifiers), errors)


def _remove_levels(values: Map, amplifiers: NDArray[np.int8]) -> Map:
    """Subtract the median of each amplifier; blocks that several amplifiers read become unknown."""
    rest = np.where(amplifiers < 0, np.nan, values)
    for number in np.unique(amplifiers[amplifiers >= 0]):
        its = amplifiers == number
        known = rest[its][np.isfinite(rest[its])]
        rest[its] -= np.median(known) if known.size else np.nan
    return rest


def find_change(grid: Grid) -> Change:
    """Find the largest significant departure, in blocks of 16 x 16 and of 64 x 64 pixels and around them.

    The errors are those of the masters, or what neighbouring blocks scatter, if that is more: readout noise that is
    common to a row or a block is no change.
    """
    coarse = average_blocks(grid)
    found = [_find_largest(calibrate_errors(each), side) for each, side in ((grid, BLOCK), (coarse, BLOCK * COARSE))]
    return max(found, key=lambda change: (abs(change.size), change.sigma))


def find_slope(grid: Grid) -> Change:
    """Find the rise of a plane across the image, through blocks that scatter as their neighbours do.

    Parameters
    ----------
    grid : Grid
        Of fine blocks.

    Returns
    -------
    Change
        The larger one of the rises from left to right and from bottom to top; 0 if it is not significant.

    Notes
    -----
    Least squares. Rows of blocks share the noise of their readout, so the errors are at least those of the means of
    rows and of columns of blocks.
    """
    values, errors = calibrate_errors(grid)
    found = Change()
    for axis, sides in ((0, "left to right"), (1, "bottom to top")):
        known = np.isfinite(values) & np.isfinite(errors)
        count = known.sum(axis=axis)
        if np.count_nonzero(count) < FEWEST_LINES:
            continue
        with np.errstate(invalid="ignore", divide="ignore"):
            line = np.sum(values, axis=axis, where=known) / count
            error = np.sqrt(np.sum(errors**2, axis=axis, where=known)) / count
        line, error = line[count > 0], error[count > 0]
        place = np.linspace(-0.5, 0.5, len(line))
        place -= place.mean()
        slope = float(np.sum(place * line) / np.sum(place**2))
        rest = line - line.mean() - slope * place
        scatter = float(np.sqrt(np.mean(np.maximum(error**2, np.sum(rest**2) / (len(line) - 2)))))
        sigma = abs(slope) / (scatter / float(np.sqrt(np.sum(place**2))))
        if sigma > SIGNIFICANT and abs(slope) > abs(found.size):
            found = Change(slope, sigma, f"from {sides}")
    return found


def average_blocks(grid: Grid, side: int = COARSE) -> Grid:
    """Average 4 x 4 blocks; those at the end of a row or column may be fewer."""
    ny, nx = (-(-length // side) for length in grid.values.shape)
    padded = np.full((2, ny * side, nx * side), np.nan)
    padded[:, : grid.values.shape[0], : grid.values.shape[1]] = grid.values, np.square(grid.errors)
    values, variances = padded.reshape(2, ny, side, nx, side)
    known = np.isfinite(values) & np.isfinite(variances)
    count = known.sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.sum(values, axis=(1, 3), where=known) / count
        error = np.sqrt(np.sum(variances, axis=(1, 3), where=known)) / count
    return Grid(mean, error)


def calibrate_errors(grid: Grid) -> Grid:
    """Raise errors to the scatter of neighbouring blocks, which a gradient hardly changes.

    Parameters
    ----------
    grid : Grid
        Arrays of shape (..., rows, columns); all maps have one factor.
    """
    ratios = [1.0]
    for axis in (-2, -1):
        with np.errstate(invalid="ignore", divide="ignore"):
            steps = np.diff(grid.values, axis=axis) / np.sqrt(_add_neighbours(grid.errors, axis))
        known = np.abs(steps[np.isfinite(steps)])
        ratios += [RSTD * float(np.median(known))] if known.size else []
    return Grid(grid.values, grid.errors * max(ratios))


def _add_neighbours(errors: Map, axis: int) -> Map:
    squares = np.moveaxis(np.square(errors), axis, 0)
    return np.moveaxis(squares[1:] + squares[:-1], 0, axis)


def _find_largest(grid: Grid, side: int) -> Change:
    """Find the largest significant departure of the averages of 3 x 3 blocks."""
    if not np.isfinite(grid.values).any():
        return Change()
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, error = average_nine(grid.values, grid.errors)
        sigma = np.abs(mean) / error
    sigma = np.where(np.isfinite(sigma), sigma, 0.0)
    significant = np.where(sigma > SIGNIFICANT, np.abs(mean), 0.0)
    largest = float(sigma.max())
    if not significant.any():
        return Change(sigma=largest)
    row, column = np.unravel_index(int(np.argmax(significant)), significant.shape)
    x, y = (int((n + 0.5) * side) + 1 for n in (column, row))
    return Change(float(mean[row, column]), largest, f"near pixel {x}, {y}")


def find_changed_lines(new: NDArray[np.float32], old: NDArray[np.float32], least: float) -> list[int]:
    """Find columns (or rows) whose difference from their neighbours' has changed.

    Parameters
    ----------
    new, old : ndarray of float32, shape (n,)
        Medians of the columns.
    least : float
        Smallest change that counts, in their unit.

    Returns
    -------
    list of int
        Places from 0, where the change exceeds this and 8 times the scatter of all changes.
    """
    change = np.asarray(new, np.float64) - old
    if len(change) < NEIGHBOURS or not np.isfinite(change).all():
        return []
    half = NEIGHBOURS // 2
    around = np.lib.stride_tricks.sliding_window_view(np.pad(change, half, mode="reflect"), NEIGHBOURS)
    rest = change - np.median(around, axis=-1)
    scatter = RSTD * float(np.median(np.abs(rest)))
    return np.flatnonzero(np.abs(rest) > max(least, LINE_SIGMA * scatter)).tolist()
