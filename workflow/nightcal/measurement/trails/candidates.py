"""Find straight lines along which a frame is brighter than on both sides."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.radon import LineSums, Point, sum_along_lines

CLIP = 3.0
"""Cells brighter than this many times their noise count no more, so that stars do not outweigh a trail."""

SHORTEST = 48
"""Height of the lowest strips in which lines are summed [pairs of cells]."""

LEAST = 16
"""Lines of fewer pairs of cells are not looked at."""

FLANK = 4
"""Distance of the lines on both sides that a line must outshine [pairs of cells]."""

LIMIT = 5.0
"""A line must stand out by this many times the scatter of all lines."""

MOST = 8
"""Largest number of lines from strips of one height."""

APART = 8
"""Lines whose ends differ by less are the same [pairs of cells]."""


Candidate = tuple[float, tuple[Point, Point]]
"""Significance of a line, and its ends [cells]."""


def find_lines(signal: NDArray[np.float32]) -> list[tuple[Point, Point]]:
    """Find the lines along which cells are brighter than on both sides, the most significant first.

    Parameters
    ----------
    signal : ndarray of float32, shape (ny, nx)
        Cells in units of their noise; NaN if unknown.

    Returns
    -------
    list of (Point, Point)
        Two points of each line [cells].
    """
    pairs = _add_pairs(np.nan_to_num(np.clip(signal, -CLIP, CLIP)))
    found: list[Candidate] = []
    for lines, weights in zip(sum_along_lines(pairs, SHORTEST), _weigh_lines(pairs.shape), strict=True):
        contrast = _subtract_flanks(lines.sums * weights, weights)
        found += _find_peaks(lines, contrast, weights)
    return [ends for _, ends in sorted(found, reverse=True)]


def _find_cell(pair: Point) -> Point:
    """Convert a position in pairs of cells to cells."""
    return 2 * pair[0] + 0.5, 2 * pair[1] + 0.5


def _add_pairs(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Add cells 2 by 2, in units of the noise of their sum."""
    ny, nx = (side // 2 * 2 for side in image.shape)
    image = image[:ny, :nx]
    rows = image[0::2] + image[1::2]
    return (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.5)


@lru_cache(maxsize=1)
def _weigh_lines(shape: tuple[int, int]) -> tuple[NDArray[np.float32], ...]:
    """Compute 1 / sqrt(number of pixels) of each line, 0 for short and repeated ones, for the frames of one size."""
    weights = []
    for lines in sum_along_lines(np.ones(shape, np.float32), SHORTEST):
        weight = np.where(lines.sums < LEAST, np.float32(0), 1 / np.sqrt(np.maximum(lines.sums, 1)))
        weight[1::2, :, 0] = 0  # along columns and rows, mirrored views show the same lines again
        weights.append(weight)
    return tuple(weights)


def _subtract_flanks(sums: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the mean of the lines on both sides, in units of the scatter of all lines."""
    contrast = np.zeros_like(sums)
    inner = contrast[..., FLANK:-FLANK]
    np.add(sums[..., : -2 * FLANK], sums[..., 2 * FLANK :], out=inner)
    inner *= np.float32(-0.5)
    inner += sums[..., FLANK:-FLANK]
    some = (..., slice(None, None, 5), slice(None, None, 5))
    scatter = 1.4826 * np.median(np.abs(contrast[some][weights[some] > 0]))
    contrast /= max(float(scatter), 1.0)
    return contrast


def _find_peaks(lines: LineSums, contrast: NDArray[np.float32], weights: NDArray[np.float32]) -> list[Candidate]:
    """Find the highest peaks, one for each line."""
    above = np.flatnonzero(contrast > LIMIT)
    above = above[weights.ravel()[above] > 0]
    heights = contrast.ravel()[above]
    order = np.argsort(-heights, kind="stable")
    heights, places = heights[order], np.stack(np.unravel_index(above[order], contrast.shape), axis=1)
    ends = lines.locate(places)
    steep = places[:, 0] < 2
    peaks: list[Candidate] = []
    while len(heights) and len(peaks) < MOST:
        first, last = ((float(x), float(y)) for x, y in ends[0])
        peaks.append((float(heights[0]), (_find_cell(first), _find_cell(last))))
        others = (np.abs(ends - ends[0]) >= APART).any(axis=(1, 2)) | (steep != steep[0])
        heights, ends, steep = heights[others], ends[others], steep[others]
    return peaks
