"""The arithmetic of a science frame, by rows: bias, dark and flat, each with its error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.detector.readout import Readout
from nightcal.flags import Flag
from nightcal.numerics import kernels
from nightcal.numerics.kernels.arguments import not_below, whole_and_part
from nightcal.numerics.shot_noise import expected_signal
from nightcal.science.master_rows import MasterRows, MasterSet

STRIP = 32
"""Rows that are calibrated at a time: few enough to stay in the cache."""

NO_DATA_SIGMA = 1e9
"""Uncertainty of a pixel that holds no data: finite, and of no weight."""

NONE = np.zeros((1, 1), dtype=bool)
"""Pixels that hold no number, where all do."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CalibratedRows:
    """Some rows of a calibrated frame: image, one standard error, mask; shape (rows, nx)."""

    data: Image
    uncertainty: Image
    mask: NDArray[np.uint8]


def calibrate_rows(
    readout: Readout, masters: MasterSet, exposure_time: float, scale: float = 1.0
) -> Iterator[tuple[int, CalibratedRows]]:
    """Calibrate a frame, a few rows at a time: ``data = (S - t D) / F``, with the error carried along.

    Parameters
    ----------
    readout : Readout
        Signal above the overscan level; its read noise and the error of that level count.
    masters : MasterSet
    exposure_time : float
        [s]
    scale : float
        From electrons to the unit of the result.

    Yields
    ------
    (int, CalibratedRows)
        The first row, and the rows.

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.

    Notes
    -----
    ``var = max(S, 0) + RN^2 + var_overscan + var_bias + t^2 var_dark``, then ``var / F^2 + data^2 var_F / F^2``; the
    shot noise is that of `nightcal.numerics.shot_noise.expected_signal` after bias, and what bias and dark share is
    counted once. Frames of 16-bit integers take the compiled loops where these are loaded, with the same results.
    """
    ny = readout.shape[0]
    bleed = readout.bleed()
    stored = readout.stored if kernels.are_loaded() else None
    numbers = _Numbers(exposure_time, masters.shared_bias(exposure_time), scale)
    for start in range(0, ny, STRIP):
        stop = min(start + STRIP, ny)
        first, last = max(0, start - 1), min(ny, stop + 1)  # a row more, for the neighbours of each pixel
        inner = slice(start - first, stop - first)
        rows = masters.rows(first, last)
        if stored is None:
            calibrated = _calibrate(readout, first, last, inner, rows, numbers)
        else:
            calibrated = _calibrate_stored(stored, first, last, inner, rows, numbers)
        if bleed is not None:
            np.bitwise_or(calibrated.mask, Flag.BLEED, out=calibrated.mask, where=bleed[start:stop])
        yield start, _weigh_down_empty(calibrated)


class _Numbers(NamedTuple):
    """Exposure time [s], the share of the variance of the bias that is counted twice, and the scale of the result."""

    exposure_time: float
    share: float
    scale: float


def _calibrate(
    readout: Readout, first: int, last: int, inner: slice, masters: MasterRows, numbers: _Numbers
) -> CalibratedRows:
    signal, flags, noise = readout.measure(first, last)
    time = numbers.exposure_time
    empty = flags & Flag.NO_DATA > 0 if flags.any() else NONE
    if masters.bias is not None and masters.bias_variance is not None:
        signal -= masters.bias
        noise = noise + masters.bias_variance
    if empty.any():
        signal[empty] = 0.0
    variance = expected_signal(signal, noise, valid=~empty)
    variance += noise
    if masters.dark is not None and masters.dark_variance is not None:
        signal -= np.float32(time) * masters.dark
        variance += np.float32(time**2) * masters.dark_variance
        share = np.float32(numbers.share)
        if share > 0 and masters.bias_variance is not None:
            variance -= np.where(masters.dark_variance > 0, share * masters.bias_variance, np.float32(0))
    if masters.sensitivity is not None and masters.relative_variance is not None:
        signal *= masters.sensitivity
        variance *= masters.sensitivity
        variance *= masters.sensitivity
        variance += signal * signal * masters.relative_variance
    if empty.any():
        signal[empty], variance[empty] = 0.0, 0.0
    uncertainty = np.sqrt(variance[inner])
    data = signal[inner]
    if numbers.scale != 1:
        data, uncertainty = data * np.float32(numbers.scale), uncertainty * np.float32(numbers.scale)
    return CalibratedRows(data, uncertainty, flags[inner] | masters.mask[inner])


def _calibrate_stored(
    readout: AmplifierReadout, first: int, last: int, inner: slice, masters: MasterRows, numbers: _Numbers
) -> CalibratedRows:
    area = readout.area
    shape = inner.stop - inner.start, readout.shape[1]
    data, uncertainty = np.empty(shape, np.float32), np.empty(shape, np.float32)
    saturated = np.empty(shape, dtype=bool)
    time, share, scale = numbers
    kernels.calibrate(
        np.array(readout.image.words(area.ymin + first, area.ymin + last)),  # a type of its own if read-only
        area.xmin,
        inner.start,
        whole_and_part(np.broadcast_to(readout.offset, readout.shape[0])[first:last]),
        np.float32(readout.gain),
        not_below(readout.limit),
        readout.noise(first, last)[:, 0].copy(),
        tuple(step is not None for step in (masters.bias, masters.dark, masters.sensitivity)),
        tuple(np.zeros((1, 1), np.float32) if image is None else image for image in masters.images),
        tuple(np.array([time, time**2, share, scale], np.float32)),
        data,
        uncertainty,
        saturated,
    )
    return CalibratedRows(data, uncertainty, saturated * np.uint8(Flag.SATURATED) | masters.mask[inner])


def _weigh_down_empty(rows: CalibratedRows) -> CalibratedRows:
    """Give pixels that hold no data, and so no error, an error that leaves them no weight."""
    empty: Any = rows.mask & Flag.NO_DATA
    if empty.any():
        rows.uncertainty[(empty > 0) & (rows.uncertainty == 0)] = NO_DATA_SIGMA
    return rows
