"""Find the trails of a frame, their widths and their pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag, MaskBits
from nightcal.measurement.options import TrailOptions
from nightcal.measurement.trails.candidates import find_lines
from nightcal.measurement.trails.cells import CELL, bin_frame
from nightcal.measurement.trails.follow import MEDIAN_NOISE, Followed, drop_repeated_lines, follow_line, sample
from nightcal.numerics.radon import Point
from nightcal.numerics.robust import median

LEAST_SIDE = 128
"""Smallest side of a frame that is searched [pix]."""

REACH = 40
"""Distance from a trail at which its profile is measured [pix]."""

EDGE = 0.25
"""A trail ends where its profile falls below this many times the noise of a pixel."""

WIDEST = 16
"""Largest full width at half maximum of a trail [pix]; wider ones are galaxies or nebulae."""

WINGS = 3.0
"""Largest width of a trail down to its edge, in widths at half maximum (and two cells); clouds have wider wings."""

SAMPLES = np.array([0, 2])
"""Pixels of a bright cell at which the profile is measured."""

MOST_TRAILS = 6
"""Largest number of trails in a frame; more are stars, trailed by a telescope that does not follow them."""

BESIDE = 4 * CELL
"""Lines closer to a trail are its own light [pix]."""

FEWEST_PIECES = 4
"""Smallest number of pieces in which a trail must be seen."""


@dataclass(frozen=True, slots=True)
class Trail:
    """A straight trail.

    Attributes
    ----------
    first, last : (float, float)
        x and y of both ends, 0-based [pix].
    half_width : float
        Distance from its middle to its edge [pix].
    height : float
        At the middle of its profile, in units of the noise of a pixel of the sky.
    """

    first: Point
    last: Point
    half_width: float
    height: float

    @property
    def length(self) -> float:
        """Distance of its ends [pix]."""
        return float(np.hypot(self.last[0] - self.first[0], self.last[1] - self.first[1]))


@dataclass(frozen=True, slots=True, eq=False)
class FoundTrails:
    """Trails of a frame.

    Attributes
    ----------
    trails : tuple of Trail
        Those of a rejected result as well.
    pixels : ndarray of bool, shape (ny, nx)
        Whether a pixel lies in a trail; none does if there is a reason.
    reason : str
        Why nothing was searched, or the result is rejected, in one sentence; else empty.
    """

    trails: tuple[Trail, ...]
    pixels: NDArray[np.bool_]
    reason: str = ""


def find_trails(data: NDArray[Any], mask: MaskBits, options: TrailOptions | None = None) -> FoundTrails:
    """Find the straight trails of a frame.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Sky included [e-].
    mask : ndarray of int16, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    options : TrailOptions, optional

    Returns
    -------
    FoundTrails
    """
    options = options or TrailOptions()
    pixels = np.zeros(data.shape, bool)
    if min(data.shape) < LEAST_SIDE:
        return FoundTrails((), pixels, f"the frame has fewer than {LEAST_SIDE} pixels on a side")
    good = (mask & ~Flag.COSMIC_RAY) == 0
    good &= np.isfinite(data)
    if not good.any():
        return FoundTrails((), pixels, "every pixel is masked")
    cells = bin_frame(data, good, mask & (Flag.SATURATED | Flag.BLEED) > 0)
    if cells is None:
        return FoundTrails((), pixels, "the sky has no noise")
    noise = float(np.median(cells.noise))
    trails: list[Trail] = []
    for line in drop_repeated_lines(cells.signal.shape, find_lines(cells.signal)):
        if _is_known(trails, line):
            continue
        followed = follow_line(cells, line)
        if followed is None or followed.pieces < FEWEST_PIECES or CELL * followed.length < options.minimum_length:
            continue
        if _is_known(trails, (followed.first, followed.last)):
            continue
        trail = _measure_width(data, good, noise, options.margin, followed)
        if trail is not None:
            trails.append(trail)
    if len(trails) > MOST_TRAILS:
        return FoundTrails(
            tuple(trails), pixels, f"more than {MOST_TRAILS} lines: the stars themselves are probably trailed"
        )
    for trail in trails:
        mark_trail(pixels, trail)
    return FoundTrails(tuple(trails), pixels)


def _find_pixel(cell: Point) -> Point:
    """Convert a position in cells to pixels."""
    return CELL * (cell[0] + 0.5) - 0.5, CELL * (cell[1] + 0.5) - 0.5


def _measure_width(
    data: NDArray[Any], good: NDArray[np.bool_], noise: float, margin: float, followed: Followed
) -> Trail | None:
    """Measure the profile of a trail at full resolution; None if it is too wide."""
    first, last = (_find_pixel(point) for point in (followed.first, followed.last))
    length = float(np.hypot(last[0] - first[0], last[1] - first[1]))
    direction = ((last[0] - first[0]) / length, (last[1] - first[1]) / length)
    along = (CELL * followed.bright[:, np.newaxis] + SAMPLES).ravel().astype(np.int64)
    across = np.arange(-REACH, REACH + 1)
    values = sample(data, first, direction, along, across)
    values[sample(good, first, direction, along, across) != 1] = np.nan
    sides = np.abs(across) > REACH // 2
    profile = median(values - median(values[:, sides], axis=1)[:, np.newaxis].astype(np.float32), axis=0) / noise
    profile = np.nan_to_num(profile)  # a bad column along the trail
    floor = max(EDGE, 3 * MEDIAN_NOISE / np.sqrt(len(along)))
    middle = REACH - CELL * 3 + int(np.argmax(profile[REACH - CELL * 3 : REACH + CELL * 3 + 1]))
    top = float(profile[middle])
    if not top > floor:
        return None
    left, right = _walk_down(profile, middle, 0.5 * top)
    widest = WINGS * (right - left + 1) + 2 * CELL
    if right - left > WIDEST:
        return None
    left, right = _walk_down(profile, middle, floor)
    if right - left > widest:
        return None
    shift = across[middle] + 0.5 * (left + right) - middle
    moved = [(x - shift * direction[1], y + shift * direction[0]) for x, y in (first, last)]
    return Trail(moved[0], moved[1], 0.5 * (right - left + 1) + margin, top)


def _walk_down(profile: NDArray[np.float64], middle: int, limit: float) -> tuple[int, int]:
    """Find the last places on both sides of the middle that are above a limit."""
    above = profile > limit
    left, right = middle, middle
    while left > 0 and above[left - 1]:
        left -= 1
    while right < len(above) - 1 and above[right + 1]:
        right += 1
    return left, right


def _is_known(trails: Iterable[Trail], line: tuple[Point, Point]) -> bool:
    """Tell whether most of a line [cells] is the light of a trail that was found."""
    first, last = map(_find_pixel, line)
    x, y = np.linspace(first, last, 9).T
    for trail in trails:
        along, across = _project(trail, x, y)
        near = (np.abs(across) < trail.half_width + BESIDE) & (along > 0) & (along < trail.length)
        if near.sum() > len(near) // 2:
            return True
    return False


def _project(trail: Trail, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Find the place along a trail and the distance from its middle [pix]."""
    ux, uy = ((last - first) / trail.length for first, last in zip(trail.first, trail.last, strict=True))
    dx, dy = x - trail.first[0], y - trail.first[1]
    return dx * ux + dy * uy, dy * ux - dx * uy


def mark_trail(pixels: NDArray[np.bool_], trail: Trail) -> None:
    """Mark the pixels of a trail.

    Parameters
    ----------
    pixels : ndarray of bool, shape (ny, nx)
        Changed in place.
    trail : Trail
    """
    (x, y), (x_last, y_last) = trail.first, trail.last
    if abs(x_last - x) > abs(y_last - y):
        return mark_trail(pixels.T, Trail((y, x), (y_last, x_last), trail.half_width, trail.height))
    half = trail.half_width
    low, high = sorted((y, y_last))
    rows = np.arange(max(0, int(low - half)), min(len(pixels), int(high + half) + 2))[:, np.newaxis]
    middle = np.rint(x + (rows - y) * ((x_last - x) / (y_last - y))).astype(np.int64)
    columns = middle + np.arange(-int(2 * half) - 1, int(2 * half) + 2)
    along, across = _project(trail, columns, rows)
    inside = (np.abs(across) <= half) & (along >= -half) & (along <= trail.length + half)
    inside &= (columns >= 0) & (columns < pixels.shape[1])
    pixels[np.broadcast_to(rows, columns.shape)[inside], columns[inside]] = True
    return None
