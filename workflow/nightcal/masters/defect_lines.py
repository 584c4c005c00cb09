"""Find columns and rows, and parts of them, that stand off those beside them in a master."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import Plane
from nightcal.io.sections import Area
from nightcal.numerics.blocks import cut_equal_blocks
from nightcal.numerics.robust import median

SEGMENT = 64
"""Pixels of a part of a column or row: long enough that its mean is good to an eighth of a pixel's noise."""

NEIGHBOURS = 11
"""Columns whose median a column is compared with, its own among them: five bad ones side by side still stand out."""

SIGMA = 10.0
"""Smallest departure in units of the scatter of all columns (parts of columns): columns are not quite Gaussian."""

MANY, MANY_SIGMA = 90.0, 1.645
"""The scatter is that of a Gaussian of which 90 percent lie as close: in a smooth rise most differences from a median
are 0, and those at its ends are not."""

OWN_SIGMA = 5.0
"""Smallest departure in units of its own error."""

WINSOR = 4.0
"""Pixels farther from the median than this many times their error count as if they were there."""

FEWEST_GOOD = 0.25
"""Smallest fraction of good pixels in a part; one with fewer is not judged."""

MOST_EMPTY = 0.5
"""A column of which more is without data is saturated as a whole: charge and ringing spoil those beside it."""

BESIDE = 2
"""Columns on either side of a saturated one that are spoilt: real ones depart by 57 and 3 e-."""

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]


def find_bad_lines(
    image: Plane, variance: Plane, unusable: Mask, areas: Sequence[Area] = (), least: float = 0.0
) -> Mask:
    """Find columns and rows, whole or in parts of 64 pixels and more, that stand off those beside them.

    Parameters
    ----------
    image, variance : ndarray of float32, shape (ny, nx), or StoredPlane
        A master and its variance.
    unusable : ndarray of bool, shape (ny, nx)
        Pixels that do not count.
    areas : sequence of Area, optional
        What each amplifier read; columns of one are not compared with those of another.
    least : float
        Smallest departure that counts, in the unit of the master.

    Returns
    -------
    ndarray of bool, shape (ny, nx)

    Notes
    -----
    The mean of each part of a column, less the median of the eleven around, is compared with its own error and with
    the scatter of all such differences; so is the mean of a whole column. A smooth slope leaves no difference.
    """
    found = np.zeros(image.shape, dtype=bool)
    for area in areas or [Area(0, image.shape[1], 0, image.shape[0])]:
        rows, columns = area.slices
        values = np.where(unusable[area.slices], np.nan, np.asarray(image[rows][:, columns], np.float32))
        errors = np.sqrt(np.asarray(variance[rows][:, columns], np.float32))
        found[area.slices] = _find_columns(values, errors, least)
        found[area.slices] |= _find_columns(values.T, errors.T, least).T
    return found


def find_beside_saturated(no_data: Mask) -> Mask:
    """Find the pixels beside those columns that are without data for most of their length.

    Parameters
    ----------
    no_data : ndarray of bool, shape (ny, nx)

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Two pixels on either side.
    """
    saturated = no_data & (no_data.mean(axis=0) > MOST_EMPTY)
    beside = np.zeros_like(saturated)
    for step in range(1, BESIDE + 1):
        beside[:, step:] |= saturated[:, :-step]
        beside[:, :-step] |= saturated[:, step:]
    return beside & ~no_data


def _find_columns(values: NDArray[np.float32], errors: NDArray[np.float32], least: float) -> Mask:
    """Find the columns of one amplifier that stand off, whole or in parts."""
    found = np.zeros(values.shape, dtype=bool)
    height = min(SEGMENT, values.shape[0])
    tops = cut_equal_blocks(values.shape[0], height)
    if values.shape[1] < NEIGHBOURS:
        return found
    parts = [_measure_part(values[top : top + height], errors[top : top + height]) for top in tops]
    mean, error = (np.stack(each) for each in zip(*parts, strict=True))
    rest = mean - _find_around(mean)
    off = _find_departing(rest, error, least)
    known = np.isfinite(rest) & ~off  # a column that is bad in part is not bad as a whole
    count = np.count_nonzero(known, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = np.sum(rest, axis=0, where=known) / count
        whole_error = np.sqrt(np.sum(error**2, axis=0, where=known)) / count
    for top, columns in zip(tops, off, strict=True):
        found[top : top + height, columns] = True
    found[:, _find_departing(whole, whole_error, least)] = True
    return found


def _measure_part(values: NDArray[np.float32], errors: NDArray[np.float32]) -> tuple[Values, Values]:
    """Find the winsorised mean of each column of some rows, and its error; NaN with too few good pixels."""
    known = np.isfinite(values)
    count = np.count_nonzero(known, axis=0)
    middle, few = median(values), count < FEWEST_GOOD * len(values)
    reach = WINSOR * np.median(errors, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        clipped = np.clip(values, middle - reach, middle + reach)
        mean = np.sum(clipped, axis=0, where=known, dtype=np.float64) / count
        error = np.sqrt(np.sum(np.square(errors), axis=0, where=known, dtype=np.float64)) / count
    mean[few], error[few] = np.nan, np.nan
    return mean, error


def _find_departing(rest: Values, error: Values, least: float) -> Mask:
    """Find the differences from the columns around that are too large."""
    known = np.abs(rest[np.isfinite(rest)])
    scatter = float(np.percentile(known, MANY)) / MANY_SIGMA if known.size else 0.0
    with np.errstate(invalid="ignore"):
        return np.asarray(np.abs(rest) > np.maximum(OWN_SIGMA * error, max(SIGMA * scatter, least)))


def _find_around(mean: Values) -> Values:
    """Find the median of the columns around, in each row of means."""
    filled = np.stack([_fill(line) for line in mean])
    padded = np.concatenate([_go_on(filled[:, ::-1])[:, ::-1], filled, _go_on(filled)], axis=1)
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, NEIGHBOURS, axis=1), axis=-1))


def _go_on(lines: Values) -> Values:
    """Go on beyond the end of each line with its slope: a mirror image about the median of the last few."""
    half = NEIGHBOURS // 2
    beyond = lines[:, -half - 1 : -NEIGHBOURS : -1]
    return 2 * np.median(lines[:, -half:], axis=1, keepdims=True) - beyond


def _fill(line: Values) -> Values:
    """Fill unknown values from those beside them."""
    known = np.isfinite(line)
    if known.all() or not known.any():
        return np.where(known, line, 0.0)
    places = np.arange(len(line))
    return np.interp(places, places[known], line[known])
