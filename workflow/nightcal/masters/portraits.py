"""Small portraits of calibration frames, by which the frames of a set are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import MasterFrame
from nightcal.numerics.blocks import cut_blocks, sample_blocks
from nightcal.numerics.robust import lower_median
from nightcal.stacking.calibration_frame import FEWEST_USABLE, CalibrationFrame, read_signal, release

GRID, BAND, SAMPLES = 16, 16, 32
"""Largest number of blocks on a side; rows and columns of a block that are measured."""

WINSOR = 4.0
"""Values farther from the median than this many sigma of a pixel's noise count as if they were there."""

SAMPLED_ROWS, SAMPLED_COLUMNS = 16, 1024
"""Rows and columns whose pixels show the noise and the fixed pattern of a frame."""

PROFILE_COLUMNS = 96
"""Columns over which the median of each row of a dark is taken."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """What a frame looks like.

    Attributes
    ----------
    signal, error : ndarray of float64, shape (blocks in y, blocks in x)
        Mean signal of up to 16 x 16 blocks and its error [e-]; NaN where most pixels are unusable.
    sample : ndarray of float32, shape (n,)
        Signal of the pixels of some rows [e-]; NaN where unusable.
    profile : ndarray of float32, shape (ny,)
        Median signal of each row [e-]; empty unless asked for.
    """

    signal: Values
    error: Values
    sample: NDArray[np.float32]
    profile: NDArray[np.float32]


def draw_portrait(
    frame: CalibrationFrame, bias: MasterFrame | None = None, dark: MasterFrame | None = None, profile: bool = False
) -> Portrait:
    """Draw the portrait of a frame.

    Parameters
    ----------
    frame : CalibrationFrame
    bias, dark : MasterFrame or None
        Subtracted; in electrons and electrons per second.
    profile : bool
        Whether to find the median of each row.

    Returns
    -------
    Portrait
    """
    shape, variance = frame.readout.shape, frame.readout.read_variance
    signal, error = _map_blocks(
        lambda start, stop: read_signal(frame, bias, dark, slice(start, stop))[0], shape, variance
    )
    lines = np.empty(0, np.float32)
    if profile:
        columns = slice(None, None, -(-shape[1] // PROFILE_COLUMNS))
        lines = lower_median(np.ascontiguousarray(read_signal(frame, bias, dark, slice(None), columns)[0]))
    return Portrait(signal, error, sample_rows(frame, bias, dark), lines)


def sample_rows(
    frame: CalibrationFrame, bias: MasterFrame | None = None, dark: MasterFrame | None = None
) -> NDArray[np.float32]:
    """Take the signal of the pixels of some rows [e-], shape (n,); NaN where unusable."""
    rows, step = choose_samples(frame.readout.shape)
    sample = np.concatenate([read_signal(frame, bias, dark, slice(row, row + 1))[0][0, ::step] for row in rows])
    release(frame)
    return sample


def choose_samples(shape: tuple[int, ...]) -> tuple[list[int], int]:
    """Choose some rows of an image, and the step from one sampled pixel of a row to the next."""
    rows = sorted({int(row) for row in np.linspace(0, shape[0] - 1, SAMPLED_ROWS + 2)[1:-1]})
    return rows, -(-shape[1] // SAMPLED_COLUMNS)


def _map_blocks(
    rows: Callable[[int, int], NDArray[np.float32]], shape: tuple[int, int], variance: float
) -> tuple[Values, Values]:
    """Find the winsorised mean of each block, which whole ADU do not quantise as they do a median, and its error."""
    above, beside = (cut_blocks(n, max(1, min(GRID, n // 4))) for n in shape)
    signal = np.full((len(above) - 1, len(beside) - 1), np.nan)
    error = np.full_like(signal, np.nan)
    for n, (bottom, top) in enumerate(pairwise(above.tolist())):
        start = bottom + max(0, top - bottom - BAND) // 2
        values = sample_blocks(rows(start, min(start + BAND, top)), beside, SAMPLES)
        middle = lower_median(values)[:, np.newaxis]
        reach = WINSOR * np.sqrt(variance + np.maximum(middle, 0.0))
        known = np.isfinite(values)
        count = known.sum(axis=1)
        usable = count > FEWEST_USABLE * values.shape[1]
        clipped = np.clip(values, middle - reach, middle + reach)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.sum(clipped, axis=1, where=known, dtype=np.float64) / count
            error[n] = np.where(usable, np.sqrt((variance + np.maximum(mean, 0.0)) / count), np.nan)
        signal[n] = np.where(usable, mean, np.nan)
    return signal, error
