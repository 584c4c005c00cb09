"""The arithmetic of a science frame: bias, dark and flat, each with its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.calibration import Calibration
from nightcal.detector.readout import Readout
from nightcal.flags import Flag
from nightcal.shot_noise import expected_signal


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Signal [e-], variance [e-^2] and mask of a calibrated frame, shape (ny, nx)."""

    data: NDArray[np.float64]
    variance: NDArray[np.float64]
    mask: NDArray[np.uint8]


def calibrate_signal(
    signal: NDArray[np.float64],
    flags: NDArray[np.uint8],
    readout: Readout,
    exposure: float,
    bias: Calibration | None,
    dark: Calibration | None,
    flat: Calibration | None,
    bpm: Calibration | None,
) -> Calibrated:
    """Subtract bias and dark, divide by the flat, and carry the errors: ``data = (S - t D) / F``.

    Parameters
    ----------
    signal : ndarray of float64, shape (ny, nx)
        Overscan-subtracted electrons; changed in place.
    flags : ndarray of uint8, shape (ny, nx)
        Saturated and missing pixels.
    readout : Readout
        For read noise and the error of the overscan level.
    exposure : float
        [s]
    bias, dark, flat, bpm : Calibration or None
        In electrons, electrons per second, and ratios; None is skipped.

    Returns
    -------
    Calibrated
        ``var = max(S, 0) + RN^2 + var_overscan + var_bias + t^2 var_dark``, then ``(var + data^2 var_F) / F^2``; the
        shot noise is that of `expected_signal`, and what bias and dark share is counted once.
    """
    mask = flags.copy()
    empty = flags & Flag.NO_DATA > 0
    signal[empty] = 0.0
    for master in (bias, dark, flat, bpm):
        if master is not None:
            mask |= master.mask
    variance = np.full(signal.shape, readout.electronics.read_variance)
    variance += readout.level_variance
    if bias is not None:
        signal -= bias.data
        variance += bias.variance
    variance += expected_signal(signal, variance, valid=~empty)
    if dark is not None:
        signal -= exposure * dark.data
        variance += exposure**2 * dark.variance
        variance -= _shared_bias(bias, dark, exposure)
    if flat is not None:
        divisor = np.where(flat.data > 0, flat.data, 1.0)
        signal /= divisor
        variance = (variance + signal**2 * flat.variance) / divisor**2
        mask[flat.data <= 0] |= Flag.LOW_FLAT
    signal[empty], variance[empty] = 0.0, 0.0
    return Calibrated(signal, variance, mask)


def _shared_bias(bias: Calibration | None, dark: Calibration | None, exposure: float) -> NDArray[np.float64] | float:
    """Variance counted twice when the dark was made with the very bias that is subtracted here [e-^2].

    Then ``S - B - t (X - B) / t_d`` holds the bias with a weight of ``1 - t / t_d`` only: for an exposure as long as
    the dark's, it cancels.
    """
    if bias is None or dark is None or dark.header.get("BIASSHA") != bias.digest:
        return 0.0
    holds_bias = dark.mask & Flag.NO_DATA == 0  # where nothing survived, the dark is filled and has no error
    return 2 * exposure / float(dark.header["DARKTEFF"]) * bias.variance * holds_bias
