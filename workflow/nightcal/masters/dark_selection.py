"""Dark frames judged before they are stacked, and what their stack tells of the electronics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nightcal.io.master import MasterFrame
from nightcal.masters.amplifier_glow import BlockMap, Glow, block_map, find_glow
from nightcal.planning.dark_scaling import same_exposure
from nightcal.stacking.calibration_frame import Accepted, CalibrationFrame, RejectedFrame, central_level, judge
from nightcal.stacking.stack import StackInput


def select_darks(
    exposures: Sequence[CalibrationFrame], bias: MasterFrame | None, refused: Sequence[RejectedFrame], k: float
) -> tuple[Accepted, Glow | None]:
    """Find the level of each dark, and light that does not scale with exposure.

    Parameters
    ----------
    exposures : sequence of CalibrationFrame
        As `nightcal.stacking.calibration_frame.in_order` puts them.
    bias : MasterFrame or None
        In electrons.
    refused : sequence of RejectedFrame
        Frames that could not even be opened.
    k : float
        Half-width of what is kept of a level, in rstd.

    Returns
    -------
    judged : Accepted
    glow : Glow or None
        None if the frames have one exposure, or no bias was taken off: its pattern does not scale either.

    Raises
    ------
    FrameRejectedError
        If no frame is left.
    """
    maps: dict[Path, BlockMap] = {}
    mixed = bias is not None and _mixed(exposures)

    def level(exposure: CalibrationFrame) -> float:
        found = central_level(exposure, bias, None, k)
        if mixed and bias is not None:
            maps[exposure.path] = block_map(exposure, bias, k)
        return found

    judged = judge(exposures, refused, level)
    good = judged.exposures
    if not mixed or not _mixed(good):
        return judged, None
    readout = good[0].readout
    areas = [part.area for part in readout.parts]
    return judged, find_glow([maps[e.path] for e in good], [e.exposure_time for e in good], readout.shape, areas)


def _mixed(exposures: Sequence[CalibrationFrame]) -> bool:
    times = [exposure.exposure_time for exposure in exposures]
    return bool(times) and not same_exposure(min(times), max(times))


def scattered_read_noise(
    exposures: Sequence[CalibrationFrame], inputs: Sequence[StackInput], ratio: float, current: float
) -> float | None:
    """Read noise by which the frames of a stack scatter.

    Parameters
    ----------
    exposures : sequence of CalibrationFrame
    inputs : sequence of StackInput
        As they were stacked, per second.
    ratio : float
        Measured over modelled noise, pooled over the image.
    current : float
        Typical dark current [e-/s].

    Returns
    -------
    float or None
        [e-], with the noise of digitisation in it; None for a single frame, or where dark current makes all of the
        scatter.

    Notes
    -----
    The scatter of a stack is ``sum(w_i (x_i - mean)^2) / (N - 1)``, which is expected to be
    ``sum(w_i (1 - w_i / N) v_i) / (N - 1)`` for frames of the variance ``v_i``, whatever the weights (of mean 1). What
    dark current makes of ``v_i`` is known; the rest, without light, is found by how much it must be larger than the
    model has it. What the overscan levels add is taken off.
    """
    if len(exposures) < 2:
        return None
    weights = np.array([stack_input.weight for stack_input in inputs])
    weights /= weights.mean()
    light = np.array([stack_input.variance_per_signal for stack_input in inputs]) * max(0.0, current)
    dark = np.array([stack_input.variance for stack_input in inputs])
    scatter = ratio**2 * np.mean(weights**2 * (dark + light))
    shares = weights * (1 - weights / len(inputs)) / (len(inputs) - 1)
    true_over_expected = float((scatter - np.sum(shares * light)) / np.sum(shares * dark))
    expected = float(np.mean([exposure.read_variance for exposure in exposures]))
    of_levels = expected - float(np.mean([exposure.readout.electronics.read_variance for exposure in exposures]))
    variance = true_over_expected * expected - of_levels
    return variance**0.5 if variance > 0 else None
