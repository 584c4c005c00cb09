"""Find amplifier glow: signal that comes with each readout, whatever the exposure time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import MasterFrame
from nightcal.io.sections import Area
from nightcal.numerics.blocks import cut_blocks
from nightcal.numerics.clipped_level import measure_level
from nightcal.numerics.robust import RSTD
from nightcal.stacking.calibration_frame import CalibrationFrame

BLOCKS = 16
"""Blocks along each axis."""

SAMPLE = 4096
"""Pixels of a block that are measured, in its middle rows."""

SIGNIFICANT = 5.0
"""Smallest glow that matters, in its errors; by chance one master in several thousand has a block above it."""

RELEVANT = 0.1
"""Smallest glow that matters, in read noises."""

Levels = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BlockMap:
    """Levels of the blocks of a frame after bias; arrays of shape (BLOCKS, BLOCKS), fewer on a tiny chip.

    Attributes
    ----------
    level : ndarray of float64
        [e-]; NaN for a block without a usable pixel.
    variance : ndarray of float64
        Of the level, from the noise of the frame [e-^2].
    bias_variance : ndarray of float64
        Of the level, from the error of the master bias [e-^2].
    """

    level: Levels
    variance: Levels
    bias_variance: Levels


@dataclass(frozen=True, slots=True)
class Glow:
    """The most significant signal that does not scale with the exposure time.

    Attributes
    ----------
    signal, error : float
        Signal in each frame above that of the typical block, and one standard error [e-].
    x, y : int
        Middle of the block in the light-sensitive area [pixel], 1-based.
    """

    signal: float
    error: float
    x: int
    y: int

    def matters(self, read_noise: float) -> bool:
        """Tell whether the glow is significant and not lost in the read noise [e-]."""
        return abs(self.signal) > max(SIGNIFICANT * self.error, RELEVANT * read_noise)


def map_blocks(frame: CalibrationFrame, bias: MasterFrame, k: float) -> BlockMap:
    """Find the levels of the blocks of a frame after bias: clipped means of the middle rows of each block.

    Parameters
    ----------
    frame : CalibrationFrame
    bias : MasterFrame
        In electrons. Pixels that it flags are left out.
    k : float
        Half-width of the clipping, in rstd.

    Returns
    -------
    BlockMap

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.
    """
    readout = frame.readout
    ny, nx = readout.shape
    noise, level_variance = readout.read_variance, readout.overscan_variance
    by_row = float(np.mean(level_variance)) if level_variance.size > 1 else 0.0  # shared by the pixels of a block
    bands, columns = _cut_axis(ny), _cut_axis(nx)
    found = BlockMap(*np.full((3, len(bands), len(columns)), np.nan))
    for row, band in enumerate(bands):
        rows = _take_middle(band, max(1, SAMPLE * len(columns) // nx))
        signal, flags = readout.rows(rows.start, rows.stop)
        signal -= bias.data[rows]
        signal[(flags > 0) | (bias.mask[rows] > 0)] = np.nan
        bias_variance = bias.variance[rows]
        for column, cut in enumerate(columns):
            level = measure_level(signal[:, cut], k, noise**0.5)
            if level.survivors > 0:
                found.level[row, column] = level.mean
                found.variance[row, column] = (noise + max(0.0, level.mean)) / level.survivors + by_row
                found.bias_variance[row, column] = float(np.mean(bias_variance[:, cut])) / level.survivors
    return found


def find_glow(
    maps: Sequence[BlockMap], times: Sequence[float], shape: tuple[int, int], areas: Sequence[Area] = ()
) -> Glow | None:
    """Find the signal of darks that does not grow with the exposure time.

    Parameters
    ----------
    maps : sequence of BlockMap
        Of darks.
    times : sequence of float
        Their exposure times [s], not all equal.
    shape : (int, int)
        Rows and columns of the light-sensitive area.
    areas : sequence of Area
        The part of it that each amplifier read; empty for one amplifier. Blocks that several amplifiers read are left
        out.

    Returns
    -------
    Glow or None
        Of the block where it is most significant; None if no block has data in all frames.

    Notes
    -----
    The median block of each amplifier is subtracted from each frame, so that a drift of its bias level does not count.
    For each block a line ``level = signal + current * exposure_time`` is fitted with inverse variances. The error of
    the signal is that of the fit and that of the bias, which is the same in all frames, or what the blocks scatter: in
    a warm detector the clipped mean of a block depends a little on which of its warm pixels are clipped.
    """
    whole = np.stack([frame.level for frame in maps])
    amplifiers = _number_amplifiers(areas or [Area(0, shape[1], 0, shape[0])], shape, whole.shape[1:])
    known = np.isfinite(whole).all(axis=0) & (amplifiers >= 0)
    if not known.any():
        return None
    levels = whole[:, known]
    for amplifier in np.unique(amplifiers[known]):
        its = amplifiers[known] == amplifier
        levels[:, its] -= np.median(levels[:, its], axis=1, keepdims=True)
    w, t = 1 / np.stack([frame.variance[known] for frame in maps]), np.asarray(times)[:, np.newaxis]
    s, st, stt = (np.sum(w * t**power, axis=0) for power in range(3))
    signal = (stt * np.sum(w * levels, axis=0) - st * np.sum(w * t * levels, axis=0)) / (s * stt - st**2)
    signal -= np.median(signal)
    error = np.sqrt(stt / (s * stt - st**2) + maps[0].bias_variance[known])
    error *= max(1.0, RSTD * float(np.median(np.abs(signal / error))))
    most = int(np.argmax(np.abs(signal) / error))
    row, column = np.argwhere(known)[most]
    (ny, nx), (bands, columns) = shape, known.shape
    x, y = _cut_axis(nx, columns)[column], _cut_axis(ny, bands)[row]
    return Glow(float(signal[most]), float(error[most]), (x.start + x.stop + 1) // 2, (y.start + y.stop + 1) // 2)


def _number_amplifiers(areas: Sequence[Area], shape: tuple[int, int], blocks: tuple[int, ...]) -> NDArray[np.int64]:
    """Find the amplifier that read all of each block, from 0; -1 for a block that several amplifiers read."""
    bands, columns = (_cut_axis(length, n) for length, n in zip(shape, blocks, strict=True))
    found = np.full(blocks, -1)
    for number, area in enumerate(areas):
        rows = [area.ymin <= band.start and band.stop <= area.ymax for band in bands]
        across = [area.xmin <= column.start and column.stop <= area.xmax for column in columns]
        found[np.outer(rows, across)] = number
    return found


def _cut_axis(pixels: int, blocks: int = BLOCKS) -> list[slice]:
    edges = cut_blocks(pixels, min(blocks, pixels)).tolist()
    return list(map(slice, edges[:-1], edges[1:]))


def _take_middle(band: slice, rows: int) -> slice:
    """Take some rows in the middle of a band, or all if it has fewer."""
    start = max(band.start, (band.start + band.stop - rows) // 2)
    return slice(start, min(band.stop, start + rows))
