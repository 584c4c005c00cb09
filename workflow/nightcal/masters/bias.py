"""Make a master bias."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nightcal.flags import Flag
from nightcal.io.keywords import set_cards
from nightcal.io.product import Product
from nightcal.masters.common import USUAL_REJECTION, Rejection, make_header, make_mask, make_product, stack_frames
from nightcal.masters.doubts import note_doubt
from nightcal.masters.flagged_pixels import warn_of_flagged_pixels
from nightcal.masters.level_drift import warn_of_level_drift
from nightcal.masters.noise_check import note_read_noise
from nightcal.masters.portraits import Portrait, draw_portrait
from nightcal.masters.scatter_check import warn_of_scatter
from nightcal.masters.self_check import note_residuals
from nightcal.masters.set_agreement import compare_with_set
from nightcal.stacking.calibration_frame import (
    Accepted,
    CalibrationFrame,
    RejectedFrame,
    accept_frames,
    find_whole_level,
    make_stack_input,
    read_signal,
    reject_frames,
    sort_frames,
)
from nightcal.stacking.stack import StackInput


def stack_biases(
    frames: Sequence[CalibrationFrame],
    rejection: Rejection = USUAL_REJECTION,
    rejected: Sequence[RejectedFrame] = (),
    threads: int = 1,
    serves: float | None = None,
) -> Product:
    """Stack bias frames after bringing each to the mean level.

    For a night without bias frames, stack its shortest darks. The result contains their dark current, and serves as a
    bias for everything else if exposure times are counted from theirs (``PEDEXP``).

    Parameters
    ----------
    frames : sequence of CalibrationFrame
        Of equal shape. Those with an exposure time are darks.
    rejection : Rejection
    rejected : sequence of RejectedFrame
        Frames that could not be opened, for the header.
    threads : int
    serves : float, optional
        Mean time of the science frames [MJD], to choose between two groups of frames.

    Returns
    -------
    Product
        In electrons; the mean level is in the image and in the header (``BIASLVL``). Rejected frames are listed in the
        header.

    Raises
    ------
    FrameRejectedError
        If no frame could be read.
    """
    frames = sort_frames(frames)
    accepted, doubt = _select_biases(frames, rejected, rejection.frame_sigma, serves)
    mean_level = float(np.mean(accepted.levels))

    def make_inputs(frames: Sequence[CalibrationFrame]) -> list[StackInput]:
        return [make_stack_input(frame, shift=level) for frame, level in zip(frames, accepted.levels, strict=True)]

    stacked = stack_frames(accepted.frames, make_inputs, rejection, [], threads)
    mask = make_mask(stacked)
    np.bitwise_or(mask, Flag.BAD, out=mask, where=stacked.noisy)
    seconds = float(np.mean([frame.exposure_time for frame in accepted.frames]))
    read_variance = float(np.mean([frame.read_variance for frame in accepted.frames]))
    dark_variance = max(0.0, stacked.ratio**2 - 1) * read_variance if seconds > 0 else 0.0
    may_be_dark = 0 < dark_variance < mean_level  # no frame has more dark current than signal
    header = make_header("bias", accepted, stacked)
    drift, noisy = float(np.std(accepted.levels)), int(np.count_nonzero(stacked.noisy))
    set_cards(header, {"BIASLVL": mean_level, "BIASDRFT": drift, "NOISY": noisy})
    if seconds > 0:
        set_cards(header, {"PEDEXP": seconds, "PEDVAR": dark_variance})
    note_read_noise(header, accepted.frames, with_dark=seconds > 0)
    if doubt:
        note_doubt(header, "frames disagree", doubt)
    warn_of_level_drift(header, accepted.frames, accepted.levels)
    levels = {frame.path: np.float32(level) for frame, level in zip(accepted.frames, accepted.levels, strict=True)}
    if not may_be_dark:
        warn_of_scatter(
            header,
            "bias",
            accepted.frames,
            stacked.ratio,
            lambda frame, rows: read_signal(frame, None, None, rows)[0] - levels[frame.path],
        )
    warn_of_flagged_pixels(header, {"noisy in the bias": noisy}, mask.size)
    note_residuals(
        header,
        accepted.frames,
        stacked.mean,
        mask,
        lambda frame, rows, step: read_signal(frame, None, None, rows)[0][:, ::step] - levels[frame.path],
        lambda frame, master: np.full_like(master, frame.read_variance + dark_variance),
    )
    return make_product(stacked, mask, "electron", header, fill=mean_level, pedestal=-mean_level)


def _select_biases(
    frames: Sequence[CalibrationFrame], rejected: Sequence[RejectedFrame], k: float, serves: float | None
) -> tuple[Accepted, str]:
    """Find the level of each bias, and reject frames that depart from the others; say if nothing can be believed."""
    portraits: dict[Path, Portrait] = {}

    def find_level(frame: CalibrationFrame) -> float:
        level = find_whole_level(frame, k)
        portraits[frame.path] = draw_portrait(frame)
        return level

    accepted = accept_frames(frames, rejected, find_level)
    good = accepted.frames
    agreement = compare_with_set(good, [portraits[frame.path] for frame in good], serves=serves)
    return reject_frames(accepted, agreement.departing), agreement.doubt
