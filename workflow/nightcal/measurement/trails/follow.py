"""Follow a line through a frame, to see whether it is a trail and where it begins and ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.trails.cells import Cells
from nightcal.numerics.radon import Point
from nightcal.numerics.robust import median

ACROSS = np.arange(-16, 17)
"""Distances from a line that are looked at [cells]."""

ROUNDS = 2
"""How often a line is followed, each time along the best line of the time before."""

BLOCK = 12
"""Length of the pieces of a line whose medians are taken [cells]: most cells of a piece must be brighter."""

FLANK = (4, 8)
"""Cells on both sides between these distances are the background of a trail."""

TILT = 6
"""Largest change of the distance between a trail and the line that was found, over the whole frame [cells]."""

SEEN = 3.5
"""A piece of a trail must outshine its background by this many times the noise of such a median."""

SPREAD = 0.3
"""Largest median deviation of the brightness of pieces from their median, in its natural logarithm: a trail is uniform,
the spikes of a bright star and galaxies fade away from their middle."""

ALIKE = 2.0
"""Pieces within this factor of the typical one belong to the trail alone; brighter ones contain stars."""

MOST_FADING = 2
"""Largest number of fainter pieces at an end of a trail: light ends abruptly, or at the edge of the frame."""

GAP = 0.5
"""What a piece that is not seen counts against a run of pieces that are; two of five may be dark."""

CAP = 6.0
SAME = 4
"""Lines whose ends differ by less are followed only once [cells]."""

MEDIAN_NOISE = 1.2533
"""Standard deviation of the median of n normal values, times sqrt(n)."""


@dataclass(frozen=True, slots=True, eq=False)
class Followed:
    """A straight trail.

    Attributes
    ----------
    first, last : (float, float)
        x and y of both ends, one piece beyond those that are seen unless the frame ends before [cells].
    bright : ndarray of float64, shape (n,)
        Distances from the first end to where its light is seen without stars [cells].
    pieces : int
        Number of pieces in which it is seen.
    length : float
        From the first piece to the last [cells].
    """

    first: Point
    last: Point
    bright: NDArray[np.float64]
    pieces: int
    length: float


def follow_line(cells: Cells, line: tuple[Point, Point]) -> Followed | None:
    """Follow a line through a frame.

    Parameters
    ----------
    cells : Cells
        The frame.
    line : (Point, Point)
        Two points of it [cells].

    Returns
    -------
    Followed or None
        The longest trail on the line; None if there is none.
    """
    shape = cells.signal.shape
    ends = cross_frame(shape, line)
    for _ in range(ROUNDS):
        if ends is None or ends[2] < 2 * BLOCK:
            return None
        start, direction, length = ends
        pieces = int(length) // BLOCK
        along = np.arange(pieces * BLOCK)
        level = _measure_pieces(sample(cells.signal, start, direction, along, ACROSS))
        contrast, noise = _subtract_sides(level), _measure_scatter(level)
        ridge = _find_ridge(contrast / noise[:, np.newaxis])
        scale = _measure_pieces(sample(cells.noise, start, direction, along, np.arange(1)))[:, 0]
        found = _find_trail(contrast, noise, scale, ridge)
        if found is None:
            return None
        run, uniform = found
        offset, slope = _fit_line(contrast, ridge, uniform)
        edges = BLOCK * np.array([max(run.start - 1, 0), min(run.stop + 1, pieces)], np.float64)
        first, last = (_move(start, direction, place, offset + slope * place) for place in edges)
        ends = cross_frame(shape, (first, last))
    bright = (along.reshape(-1, BLOCK)[uniform] - edges[0]).ravel()
    return Followed(first, last, bright, int(uniform.sum()), float(BLOCK * (run.stop - run.start)))


def _measure_pieces(strip: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measure the median along each piece of a line, at each distance from it."""
    blocks = strip.reshape(-1, BLOCK, strip.shape[1])
    level = median(blocks, axis=1)
    level[np.isfinite(blocks).sum(axis=1) < BLOCK // 3] = np.nan
    return level


def _measure_scatter(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure how much the medians of a piece scatter, across the line; at least what noise makes them."""
    deviation = np.abs(level - median(level, axis=1)[:, np.newaxis])
    return np.fmax(1.4826 * median(deviation, axis=1), MEDIAN_NOISE / np.sqrt(BLOCK))


def _find_trail(
    contrast: NDArray[np.float64], noise: NDArray[np.float64], scale: NDArray[np.float64], ridge: NDArray[np.int_]
) -> tuple[slice, NDArray[np.bool_]] | None:
    """Find the pieces of a trail, and which of them are of its typical brightness."""
    rows = np.arange(len(ridge))[:, np.newaxis]
    near = np.clip(ridge[:, np.newaxis] + np.arange(-1, 2), 0, len(ACROSS) - 1)
    height = np.nan_to_num(contrast[rows, near], nan=-np.inf).max(axis=1)
    seen = height > SEEN * noise
    if not seen.any():
        return None
    first, last = _find_best_run(seen)
    run = slice(first, last + 1)
    light = np.where(seen, height * scale, np.nan)  # a trail is as bright in a cluster, where the sky is noisier
    deviation = np.log(light / median(light[run]))
    if not median(np.abs(deviation[run])) <= SPREAD:
        return None
    uniform = np.zeros(len(seen), bool)
    uniform[run] = np.abs(deviation[run]) < np.log(ALIKE)
    bright = np.flatnonzero(uniform)
    fading = max(seen[first : bright[0]].sum(), seen[bright[-1] + 1 : last + 1].sum())
    if fading > MOST_FADING:
        return None
    return run, uniform


def _fit_line(
    contrast: NDArray[np.float64], ridge: NDArray[np.int_], uniform: NDArray[np.bool_]
) -> tuple[float, float]:
    """Fit the middle of a trail: distance from the line at its beginning, and its change per cell."""
    rows = np.flatnonzero(uniform)
    near = np.clip(ridge[rows, np.newaxis] + np.arange(-3, 4), 0, len(ACROSS) - 1)
    weight = np.maximum(np.nan_to_num(contrast[rows[:, np.newaxis], near]), 0)
    middle = (weight * ACROSS[near]).sum(axis=1) / weight.sum(axis=1)
    along = (rows + 0.5) * BLOCK
    if len(rows) < 3:
        return float(np.median(middle)), 0.0
    slope, offset = np.polyfit(along, middle, 1)
    good = np.abs(middle - offset - slope * along) < 1.5
    if 3 <= good.sum() < len(rows):
        slope, offset = np.polyfit(along[good], middle[good], 1)
    return float(offset), float(slope)


def _move(start: Point, direction: Point, along: float, across: float) -> Point:
    """Find the point at a place along a line and a distance from it."""
    return (
        float(start[0] + along * direction[0] - across * direction[1]),
        float(start[1] + along * direction[1] + across * direction[0]),
    )


def cross_frame(shape: tuple[int, int], line: tuple[Point, Point]) -> tuple[Point, Point, float] | None:
    """Find where a line enters the frame, its direction and its length within the frame; None if it misses it."""
    origin = np.array(line[0])
    direction = np.array(line[1]) - origin
    direction /= np.hypot(*direction)
    low, high = -np.inf, np.inf
    for axis, side in enumerate(shape[::-1]):
        if abs(direction[axis]) < 1e-9:
            if not -0.5 <= origin[axis] <= side - 0.5:
                return None
            continue
        edges = np.sort((np.array([-0.5, side - 0.5]) - origin[axis]) / direction[axis])
        low, high = max(low, edges[0]), min(high, edges[1])
    if high <= low:
        return None
    start = origin + low * direction
    return (float(start[0]), float(start[1])), (float(direction[0]), float(direction[1])), float(high - low)


def sample(
    image: NDArray[Any], start: Point, direction: Point, along: NDArray[np.int_], across: NDArray[np.int_]
) -> NDArray[np.float32]:
    """Take the nearest pixels along and across a line, NaN beyond the image; shape (along, across)."""
    x = np.rint(start[0] + along[:, np.newaxis] * direction[0] - across * direction[1]).astype(np.int64)
    y = np.rint(start[1] + along[:, np.newaxis] * direction[1] + across * direction[0]).astype(np.int64)
    inside = (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
    return np.where(inside, image[np.where(inside, y, 0), np.where(inside, x, 0)], np.float32(np.nan))


def drop_repeated_lines(shape: tuple[int, int], lines: list[tuple[Point, Point]]) -> Iterator[tuple[Point, Point]]:
    """Drop lines that cross the frame where an earlier one does.

    Parameters
    ----------
    shape : (int, int)
        Of the frame [cells].
    lines : list of (Point, Point)

    Yields
    ------
    (Point, Point)
    """
    kept: list[NDArray[np.float64]] = []
    for line in lines:
        crossing = cross_frame(shape, line)
        if crossing is None:
            continue
        start, direction, length = crossing
        ends = np.array([start, _move(start, direction, length, 0)])
        if not any(min(np.abs(ends - other).max(), np.abs(ends[::-1] - other).max()) < SAME for other in kept):
            kept.append(ends)
            yield line


def _subtract_sides(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the mean of both sides, as on the slope of a nebula."""
    near, far = FLANK
    width = far - near + 1
    padded = np.pad(level, ((0, 0), (far, far)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)
    means = median(windows, axis=2)
    columns = level.shape[1]
    left, right = means[:, :columns], means[:, far + near : far + near + columns]
    return level - 0.5 * (left + right)  # NaN at the edge of the frame


def _find_ridge(snr: NDArray[np.float64]) -> NDArray[np.int_]:
    """Find the straight line through the pieces along which they are brightest; its column in each piece."""
    pieces, columns = snr.shape
    capped = np.nan_to_num(np.clip(snr, -CAP, CAP))
    first = np.arange(columns)[:, np.newaxis, np.newaxis]
    tilt = np.arange(-TILT, TILT + 1)[:, np.newaxis] * np.linspace(0, 1, pieces)
    place = np.rint(first + tilt).astype(np.int64)
    inside = (place >= 0) & (place < columns)
    sums = np.where(inside, capped[np.arange(pieces), np.where(inside, place, 0)], -CAP).sum(axis=2)
    best = np.unravel_index(np.argmax(sums), sums.shape)
    return np.clip(place[best], 0, columns - 1)


def _find_best_run(seen: NDArray[np.bool_]) -> tuple[int, int]:
    """Find the run in which the pieces that are seen outnumber the others most."""
    score, start, best = 0.0, 0, (0.0, 0, 0)
    for index, present in enumerate(seen):
        score += 1 if present else -GAP
        if score <= 0:
            score, start = 0.0, index + 1
        elif score > best[0]:
            best = (score, start, index)
    return best[1], best[2]
