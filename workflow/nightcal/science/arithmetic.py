"""Calibrate the rows of a science frame with bias, dark and flat, and propagate errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.detector.readout import Readout
from nightcal.flags import Flag, MaskBits
from nightcal.numerics import kernels
from nightcal.numerics.blocks import cut_strips
from nightcal.numerics.kernels.arguments import not_below, whole_and_part
from nightcal.numerics.shot_noise import expected_signal
from nightcal.science.master_rows import MasterRows, MasterSet

STRIP = 32
"""Rows to calibrate at a time, few enough to stay in the cache."""

NO_DATA_SIGMA = 1e9
"""Uncertainty of a pixel without data: finite, but without weight."""

NO_PIXELS = np.zeros((1, 1), dtype=bool)
"""Mask of pixels without data in rows that have none."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CalibratedRows:
    """Rows of a calibrated frame: image, uncertainty (1 sigma) and mask, shape (rows, nx)."""

    data: Image
    uncertainty: Image
    mask: MaskBits


def calibrate_rows(
    readout: Readout,
    masters: MasterSet,
    exposure_time: float,
    scale: float = 1.0,
    sample: Sequence[slice] = (),
) -> Iterator[tuple[int, CalibratedRows]]:
    """Calibrate a frame a few rows at a time, ``data = (S - t D) / F``, and propagate errors.

    If the bias is made of darks, their dark current is taken from it.

    Parameters
    ----------
    readout : Readout
        Gives the signal above the overscan level, and the variance of read noise and overscan level.
    masters : MasterSet
    exposure_time : float
        [s]
    scale : float
        Factor from electrons to the unit of the result.
    sample : sequence of slice
        Only these rows, without a search for bleeding; all if empty.

    Yields
    ------
    (int, CalibratedRows)
        Number of the first row, and the calibrated rows.

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.

    Notes
    -----
    ``var = max(S, 0) + RN^2 + var_overscan + var_bias + t^2 var_dark``, then ``var / F^2 + data^2 var_F / F^2``. Shot
    noise comes from `nightcal.numerics.shot_noise.expected_signal` of the bias-subtracted signal. The error of a bias
    that the dark was made with is counted once. Frames of 16-bit integers use the compiled loops if these are loaded,
    with the same results.
    """
    ny = readout.shape[0]
    bleed = None if sample else readout.find_bleed()
    stored = readout.stored if kernels.are_loaded() else None
    time = masters.find_dark_time(exposure_time)
    pedestal_variance = masters.find_pedestal_variance(readout.gain)
    numbers = _Numbers(exposure_time, time**2, masters.find_shared_bias(time), scale, pedestal_variance)
    for start, stop in ((strip.start, strip.stop) for strip in sample or cut_strips(ny, STRIP)):
        first, last = max(0, start - 1), min(ny, stop + 1)  # one more row, for the neighbours of each pixel
        inner = slice(start - first, stop - first)
        rows = masters.read_rows(first, last)
        if stored is None:
            calibrated = _calibrate(readout, first, last, inner, rows, numbers)
        else:
            calibrated = _calibrate_stored(stored, first, last, inner, rows, numbers)
        if bleed is not None:
            np.bitwise_or(calibrated.mask, Flag.BLEED, out=calibrated.mask, where=bleed[start:stop])
        yield start, _weigh_down_empty(calibrated)


class _Numbers(NamedTuple):
    """Numbers for all pixels of a frame.

    Attributes
    ----------
    exposure_time : float
        [s]
    squared_time : float
        Square of the part of the exposure time whose dark current the bias lacks [s^2].
    shared_bias : float
        Fraction of the bias variance that is counted twice.
    scale : float
        Factor from electrons to the unit of the result.
    pedestal_variance : float
        Variance of the dark current in a bias made of darks, if there is no dark [e-^2].
    """

    exposure_time: float
    squared_time: float
    shared_bias: float
    scale: float
    pedestal_variance: float


def _calibrate(
    readout: Readout, first: int, last: int, inner: slice, masters: MasterRows, numbers: _Numbers
) -> CalibratedRows:
    signal, flags, noise = readout.measure(first, last)
    time = numbers.exposure_time
    empty = flags & Flag.NO_DATA > 0 if flags.any() else NO_PIXELS
    if masters.bias is not None and masters.bias_variance is not None:
        signal -= masters.bias
        noise = (noise + np.float32(numbers.pedestal_variance)) + masters.bias_variance
    if empty.any():
        signal[empty] = 0.0
    variance = expected_signal(signal, noise, valid=~empty)
    variance += noise
    if masters.dark is not None and masters.dark_variance is not None:
        signal -= np.float32(time) * masters.dark
        variance += np.float32(numbers.squared_time) * masters.dark_variance
        shared_bias = np.float32(numbers.shared_bias)
        if shared_bias != 0 and masters.bias_variance is not None:
            variance -= np.where(masters.dark_variance > 0, shared_bias * masters.bias_variance, np.float32(0))
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
    time, squared_time, shared_bias, scale, pedestal_variance = numbers
    kernels.calibrate(
        np.array(readout.image.words(area.ymin + first, area.ymin + last)),  # numba compiles read-only arrays again
        area.xmin,
        inner.start,
        whole_and_part(np.broadcast_to(readout.offset, readout.shape[0])[first:last]),
        np.float32(readout.gain),
        not_below(readout.stored_saturation_limit),
        readout.find_dark_variance(first, last)[:, 0] + np.float32(pedestal_variance),
        tuple(step is not None for step in (masters.bias, masters.dark, masters.sensitivity)),
        tuple(np.zeros((1, 1), np.float32) if image is None else image for image in masters.images),
        tuple(np.array([time, squared_time, shared_bias, scale], np.float32)),
        data,
        uncertainty,
        saturated,
    )
    return CalibratedRows(data, uncertainty, saturated * Flag.SATURATED | masters.mask[inner])


def _weigh_down_empty(rows: CalibratedRows) -> CalibratedRows:
    """Give pixels without data an uncertainty so large that they have no weight."""
    empty: Any = rows.mask & Flag.NO_DATA
    if empty.any():
        rows.uncertainty[(empty > 0) & (rows.uncertainty == 0)] = NO_DATA_SIGMA
    return rows
