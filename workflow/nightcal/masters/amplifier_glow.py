"""Amplifier glow: light that comes with each readout, whatever the exposure, and is no dark current."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import MasterFrame
from nightcal.io.sections import Area
from nightcal.numerics.clipped_level import level_of_values
from nightcal.stacking.calibration_frame import CalibrationFrame

BLOCKS = 16
"""Blocks along each axis."""

SAMPLE = 4096
"""Pixels of a block that are looked at, in the rows in its middle."""

SIGNIFICANT = 5.0
"""Errors that a light must exceed; by chance one of 256 blocks does in one master of several thousand."""

RELEVANT = 0.1
"""Part of the read noise that it must exceed."""

Levels = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BlockMap:
    """Levels of the blocks of a frame after bias; arrays of shape (BLOCKS, BLOCKS), fewer on a tiny chip.

    Attributes
    ----------
    level : ndarray of float64
        [e-]; NaN for a block without a usable pixel.
    variance : ndarray of float64
        Of the level, by the noise of the frame [e-^2].
    bias_variance : ndarray of float64
        Of the level, by the error of the master bias [e-^2].
    """

    level: Levels
    variance: Levels
    bias_variance: Levels


@dataclass(frozen=True, slots=True)
class Glow:
    """The most significant light that does not scale with exposure.

    Attributes
    ----------
    light, error : float
        What each frame has of it above the typical block, and one standard error [e-].
    x, y : int
        Middle of its block in the light-sensitive area [pixel], 1-based.
    """

    light: float
    error: float
    x: int
    y: int

    def matters(self, read_noise: float) -> bool:
        """Whether it is more than chance, and not lost in the read noise [e-]."""
        return abs(self.light) > max(SIGNIFICANT * self.error, RELEVANT * read_noise)


def block_map(exposure: CalibrationFrame, bias: MasterFrame, k: float) -> BlockMap:
    """Find the levels of the blocks of a frame after bias: clipped means of some rows in the middle of each.

    Parameters
    ----------
    exposure : CalibrationFrame
    bias : MasterFrame
        In electrons. Pixels that it flags are left out.
    k : float
        Half-width of what is kept, in rstd.

    Returns
    -------
    BlockMap

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.
    """
    readout = exposure.readout
    ny, nx = readout.shape
    noise, own_level = readout.electronics.read_variance, readout.level_variance
    by_row = float(np.mean(own_level)) if own_level.size > 1 else 0.0  # an error that the pixels of a block share
    bands, columns = _cuts(ny), _cuts(nx)
    found = BlockMap(*np.full((3, len(bands), len(columns)), np.nan))
    for row, band in enumerate(bands):
        rows = _middle(band, max(1, SAMPLE * len(columns) // nx))
        signal, flags = readout.rows(rows.start, rows.stop)
        signal -= bias.data[rows]
        signal[(flags > 0) | (bias.mask[rows] > 0)] = np.nan
        bias_variance = bias.variance[rows]
        for column, cut in enumerate(columns):
            level = level_of_values(signal[:, cut], k, noise**0.5)
            if level.survivors > 0:
                found.level[row, column] = level.mean
                found.variance[row, column] = (noise + max(0.0, level.mean)) / level.survivors + by_row
                found.bias_variance[row, column] = float(np.mean(bias_variance[:, cut])) / level.survivors
    return found


def find_glow(
    maps: Sequence[BlockMap], times: Sequence[float], shape: tuple[int, int], areas: Sequence[Area] = ()
) -> Glow | None:
    """Find what frames of different exposures have in common besides what grows with exposure.

    Parameters
    ----------
    maps : sequence of BlockMap
        Of darks.
    times : sequence of float
        Their exposures [s], not all equal.
    shape : (int, int)
        Rows and columns of the light-sensitive area.
    areas : sequence of Area
        What each amplifier read of it; all of it was read by one if there is none. Blocks of several are left out.

    Returns
    -------
    Glow or None
        Of the block where it is most significant; None if no block has data in all frames.

    Notes
    -----
    The median block of each amplifier is taken off each frame, so that a drift of its bias level does not count.
    Through each block a line ``level = light + current * exposure`` is fitted with inverse variances. The error of the
    light is that of the fit and that of the bias, which is the same in all frames.
    """
    whole = np.stack([one.level for one in maps])
    amplifiers = _amplifiers(areas or [Area(0, shape[1], 0, shape[0])], shape, whole.shape[1:])
    known = np.isfinite(whole).all(axis=0) & (amplifiers >= 0)
    if not known.any():
        return None
    levels = whole[:, known]
    for amplifier in np.unique(amplifiers[known]):
        its = amplifiers[known] == amplifier
        levels[:, its] -= np.median(levels[:, its], axis=1, keepdims=True)
    w, t = 1 / np.stack([one.variance[known] for one in maps]), np.asarray(times)[:, np.newaxis]
    s, st, stt = (np.sum(w * t**power, axis=0) for power in range(3))
    light = (stt * np.sum(w * levels, axis=0) - st * np.sum(w * t * levels, axis=0)) / (s * stt - st**2)
    light -= np.median(light)
    error = np.sqrt(stt / (s * stt - st**2) + maps[0].bias_variance[known])
    most = int(np.argmax(np.abs(light) / error))
    row, column = np.argwhere(known)[most]
    (ny, nx), (bands, columns) = shape, known.shape
    x, y = _cuts(nx, columns)[column], _cuts(ny, bands)[row]
    return Glow(float(light[most]), float(error[most]), (x.start + x.stop + 1) // 2, (y.start + y.stop + 1) // 2)


def _amplifiers(areas: Sequence[Area], shape: tuple[int, int], blocks: tuple[int, ...]) -> NDArray[np.int64]:
    """Which amplifier read all of each block, from 0; -1 where none did."""
    bands, columns = (_cuts(length, n) for length, n in zip(shape, blocks, strict=True))
    found = np.full(blocks, -1)
    for number, area in enumerate(areas):
        rows = [area.ymin <= band.start and band.stop <= area.ymax for band in bands]
        across = [area.xmin <= column.start and column.stop <= area.xmax for column in columns]
        found[np.outer(rows, across)] = number
    return found


def _cuts(pixels: int, blocks: int = BLOCKS) -> list[slice]:
    """Cut an axis into blocks of nearly equal length."""
    blocks = min(blocks, pixels)
    return [slice(pixels * n // blocks, pixels * (n + 1) // blocks) for n in range(blocks)]


def _middle(band: slice, rows: int) -> slice:
    """Take some rows in the middle of a band, all if it has no more."""
    start = max(band.start, (band.start + band.stop - rows) // 2)
    return slice(start, min(band.stop, start + rows))
