"""Select the frames of a master dark, and measure its amplifier glow and read noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nightcal.io.master import MasterFrame, find_dark_time
from nightcal.masters.amplifier_glow import BlockMap, Glow, find_glow, map_blocks
from nightcal.masters.common import check_pedestal
from nightcal.masters.pedestal import check_longer
from nightcal.masters.portraits import Portrait, draw_portrait
from nightcal.masters.set_agreement import compare_with_set
from nightcal.planning.dark_scaling import same_exposure
from nightcal.stacking.calibration_frame import (
    Accepted,
    CalibrationFrame,
    RejectedFrame,
    accept_frames,
    find_central_level,
    reject_frames,
)
from nightcal.stacking.stack import StackInput


def select_darks(
    frames: Sequence[CalibrationFrame], bias: MasterFrame | None, rejected: Sequence[RejectedFrame], k: float
) -> tuple[Accepted, Glow | None, str]:
    """Find the level of each dark, and the signal that does not scale with the exposure time.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
        Sorted by `nightcal.stacking.calibration_frame.sort_frames`.
    bias : MasterFrame or None
        In electrons.
    rejected : sequence of RejectedFrame
        Frames that could not be opened.
    k : float
        Half-width of the clipping of a frame's level, in rstd.

    Returns
    -------
    accepted : Accepted
    glow : Glow or None
        None if the frames have the same exposure time, or without a bias, whose pattern does not scale either.
    doubt : str
        Why none of the frames can be believed; empty if they mostly agree.

    Raises
    ------
    FrameRejectedError
        If no frame is accepted, or the bias level of a frame cannot be subtracted.
    """
    maps: dict[Path, BlockMap] = {}
    portraits: dict[Path, Portrait] = {}
    mixed = bias is not None and _have_mixed_times(frames)

    def find_level(frame: CalibrationFrame) -> float:
        check_longer(frame.exposure_time, bias)
        level = find_central_level(frame, bias, None, k)
        if mixed and bias is not None:
            maps[frame.path] = map_blocks(frame, bias, k)
        portraits[frame.path] = draw_portrait(frame, bias, profile=True)
        return level

    accepted = accept_frames(frames, rejected, find_level)
    check_pedestal(bias, accepted.frames)
    times = [find_dark_time(frame.exposure_time, bias) for frame in accepted.frames]
    agreement = compare_with_set(accepted.frames, [portraits[frame.path] for frame in accepted.frames], times)
    accepted = reject_frames(accepted, agreement.departing)
    good = accepted.frames
    if not mixed or not _have_mixed_times(good):
        return accepted, None, agreement.doubt
    readout = good[0].readout
    areas = [area for area, _ in readout.shares]
    times = [find_dark_time(frame.exposure_time, bias) for frame in good]
    glow = find_glow([maps[frame.path] for frame in good], times, readout.shape, areas)
    return accepted, glow, agreement.doubt


def _have_mixed_times(frames: Sequence[CalibrationFrame]) -> bool:
    times = [frame.exposure_time for frame in frames]
    return bool(times) and not same_exposure(min(times), max(times))


def measure_read_noise(
    frames: Sequence[CalibrationFrame], inputs: Sequence[StackInput], ratio: float, current: float
) -> float | None:
    """Measure the read noise from the scatter of the frames of a dark.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
    inputs : sequence of StackInput
        As stacked, per second.
    ratio : float
        Measured over modelled noise, pooled over the image.
    current : float
        Typical dark current [e-/s].

    Returns
    -------
    float or None
        [e-], including the noise of digitisation; None for a single frame, or if dark current explains all of the
        scatter.

    Notes
    -----
    The scatter of a stack is ``sum(w_i (x_i - mean)^2) / (N - 1)``, which is expected to be
    ``sum(w_i (1 - w_i / N) v_i) / (N - 1)`` for frames of variance ``v_i``, whatever the weights (of mean 1). The part
    of ``v_i`` from dark current is known; the ratio of the rest to the model follows. The variance of the overscan
    levels is then subtracted.
    """
    if len(frames) < 2:
        return None
    weights = np.array([stack_input.weight for stack_input in inputs])
    weights /= weights.mean()
    shot = np.array([stack_input.variance_per_signal for stack_input in inputs]) * max(0.0, current)
    read = np.array([stack_input.variance for stack_input in inputs])
    scatter = ratio**2 * np.mean(weights**2 * (read + shot))
    shares = weights * (1 - weights / len(inputs)) / (len(inputs) - 1)
    true_over_expected = float((scatter - np.sum(shares * shot)) / np.sum(shares * read))
    expected = float(np.mean([frame.read_variance for frame in frames]))
    of_levels = expected - float(np.mean([frame.readout.read_variance for frame in frames]))
    variance = true_over_expected * expected - of_levels
    return variance**0.5 if variance > 0 else None
