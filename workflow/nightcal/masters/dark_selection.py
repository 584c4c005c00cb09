"""Dark frames judged before they are stacked, and what their stack tells of the electronics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nightcal.io.master import Calibration
from nightcal.masters.amplifier_glow import BlockMap, Glow, block_map, find_glow
from nightcal.planning.dark_scaling import same_exposure
from nightcal.stacking.calibration_frame import Exposure, Judged, Refusal, central_level, judge
from nightcal.stacking.stack import Layer


def judge_darks(
    exposures: Sequence[Exposure], bias: Calibration | None, refused: Sequence[Refusal], k: float
) -> tuple[Judged, Glow | None]:
    """Find the level of each dark, and light that does not scale with exposure.

    Parameters
    ----------
    exposures : sequence of Exposure
        As `nightcal.stacking.calibration_frame.in_order` puts them.
    bias : Calibration or None
        In electrons.
    refused : sequence of Refusal
        Frames that could not even be opened.
    k : float
        Half-width of what is kept of a level, in rstd.

    Returns
    -------
    judged : Judged
    glow : Glow or None
        None if the frames have one exposure, or no bias was taken off: its pattern does not scale either.

    Raises
    ------
    SetAside
        If no frame is left.
    """
    maps: dict[Path, BlockMap] = {}
    mixed = bias is not None and _mixed(exposures)

    def level(exposure: Exposure) -> float:
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
    return judged, find_glow([maps[e.path] for e in good], [e.exposure for e in good], readout.shape, areas)


def _mixed(exposures: Sequence[Exposure]) -> bool:
    times = [exposure.exposure for exposure in exposures]
    return bool(times) and not same_exposure(min(times), max(times))


def scattered_read_noise(
    exposures: Sequence[Exposure], layers: Sequence[Layer], ratio: float, current: float
) -> float | None:
    """Read noise by which the frames of a stack scatter.

    Parameters
    ----------
    exposures : sequence of Exposure
    layers : sequence of Layer
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
    weights = np.array([layer.weight for layer in layers])
    weights /= weights.mean()
    light = np.array([layer.variance_per_signal for layer in layers]) * max(0.0, current)
    dark = np.array([layer.variance for layer in layers])
    scatter = ratio**2 * np.mean(weights**2 * (dark + light))
    shares = weights * (1 - weights / len(layers)) / (len(layers) - 1)
    true_over_expected = float((scatter - np.sum(shares * light)) / np.sum(shares * dark))
    expected = float(np.mean([exposure.read_variance for exposure in exposures]))
    of_levels = expected - float(np.mean([exposure.readout.electronics.read_variance for exposure in exposures]))
    variance = true_over_expected * expected - of_levels
    return variance**0.5 if variance > 0 else None
