"""Find the spots of a master flat that only some of its frames have: stars that passed, not marks of the chip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import MasterFrame
from nightcal.stacking.calibration_frame import CalibrationFrame, read_signal, release

CORE, INNER, OUTER = 2, 5, 10
"""Half widths [pixels] of the square that is measured, and of the frame around it that tells the level."""

REACH = 8
"""Half width of the square that a star spoils [pixels]."""

SIGNIFICANT = 6.0
"""Smallest difference among the frames in units of its error: of a thousand spots none reaches it by chance."""

LEAST = 0.005
"""Smallest difference among the frames, as a fraction of the signal."""

MOST_SPOTS = 60
"""Spots that are measured; a flat with more is full of stars or marks, and has a warning of its own."""

Bad = NDArray[np.bool_]


class PassingStar(NamedTuple):
    """Row and column of a spot, 0-based, and how many frames have it."""

    row: int
    column: int
    frames: int


def find_passing_stars(
    spots: NDArray[np.float64],
    frames: Sequence[CalibrationFrame],
    levels: Sequence[float],
    bias: MasterFrame | None = None,
    dark: MasterFrame | None = None,
) -> list[PassingStar]:
    """Find the spots that not all frames have.

    Parameters
    ----------
    spots : ndarray of float64, shape (n, 2)
        Rows and columns of bright spots in the master, from `nightcal.masters.flat_stars.find_stars_in_flat`; of more
        than 60 the first are measured.
    frames : sequence of CalibrationFrame
        The frames of the master.
    levels : sequence of float
        Their levels [e-].
    bias, dark : MasterFrame or None
        Subtracted; in electrons and electrons per second.

    Returns
    -------
    list of PassingStar
        Empty for fewer than two frames.
    """
    places = [(round(row), round(column)) for row, column in spots[:MOST_SPOTS]]
    if len(frames) < 2 or not places:
        return []
    excess, error = np.empty((2, len(frames), len(places)))
    for n, (frame, level) in enumerate(zip(frames, levels, strict=True)):
        for m, place in enumerate(places):
            excess[n, m], error[n, m] = _measure_excess(frame, level, place, bias, dark)
        release(frame)
    found = []
    for place, values, errors in zip(places, excess.T, error.T, strict=True):
        bright = values > 0.5 * (values.min() + values.max())
        apart = values[bright].min() - values[~bright].max() if not bright.all() else 0.0
        if apart > max(LEAST, SIGNIFICANT * float(errors.max()) * 2**0.5):
            found.append(PassingStar(*place, int(np.count_nonzero(bright))))
    return found


def _measure_excess(
    frame: CalibrationFrame, level: float, place: tuple[int, int], bias: MasterFrame | None, dark: MasterFrame | None
) -> tuple[float, float]:
    """Measure the excess of a spot over its surroundings and its error, as fractions of the level; 0 if unusable."""
    ny, nx = frame.readout.shape
    top, left = (max(0, n - OUTER) for n in place)
    rows, columns = slice(top, min(ny, place[0] + OUTER + 1)), slice(left, min(nx, place[1] + OUTER + 1))
    signal = np.asarray(read_signal(frame, bias, dark, rows, columns)[0], np.float64)
    y, x = np.ogrid[rows, columns]
    distance = np.maximum(np.abs(y - place[0]), np.abs(x - place[1]))
    core, around = signal[distance <= CORE], signal[distance > INNER]
    core, around = core[np.isfinite(core)], around[np.isfinite(around)]
    if not core.size or not around.size:
        return 0.0, np.inf
    error = np.sqrt((max(level, 0.0) + frame.read_variance) * (1 / core.size + 1.6 / around.size))
    return (core.mean() - np.median(around)) / level, error / level


def mark_stars(stars: Sequence[PassingStar], shape: tuple[int, ...]) -> Bad:
    """Mark the pixels that stars spoil."""
    spoilt = np.zeros(shape, dtype=bool)
    for star in stars:
        spoilt[
            max(0, star.row - REACH) : star.row + REACH + 1, max(0, star.column - REACH) : star.column + REACH + 1
        ] = True
    return spoilt


def describe_stars(stars: Sequence[PassingStar], frames: int, most: int = 3) -> str:
    """Say where stars are, and in how many of the frames."""
    places = [f"pixel {star.column + 1}, {star.row + 1} in {star.frames} of {frames} frames" for star in stars[:most]]
    more = f", and {len(stars) - most} more" if len(stars) > most else ""
    return f"a star at {'; '.join(places)}{more}: flagged there"
