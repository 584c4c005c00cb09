"""Make a master bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightcal.flags import Flag
from nightcal.io.keywords import set_cards
from nightcal.io.product import Product
from nightcal.masters.common import USUAL_REJECTION, Rejection, make_header, make_mask, make_product, stack_frames
from nightcal.masters.noise_check import note_read_noise
from nightcal.stacking.calibration_frame import (
    CalibrationFrame,
    RejectedFrame,
    accept_frames,
    find_whole_level,
    make_stack_input,
    sort_frames,
)
from nightcal.stacking.stack import StackInput


def stack_biases(
    frames: Sequence[CalibrationFrame],
    rejection: Rejection = USUAL_REJECTION,
    rejected: Sequence[RejectedFrame] = (),
    threads: int = 1,
) -> Product:
    """Stack bias frames after bringing each to the mean level.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
        Of equal shape.
    rejection : Rejection
    rejected : sequence of RejectedFrame
        Frames that could not be opened, for the header.
    threads : int

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
    accepted = accept_frames(frames, rejected, lambda frame: find_whole_level(frame, rejection.frame_sigma))
    mean_level = float(np.mean(accepted.levels))

    def make_inputs(frames: Sequence[CalibrationFrame]) -> list[StackInput]:
        return [make_stack_input(frame, shift=level) for frame, level in zip(frames, accepted.levels, strict=True)]

    stacked = stack_frames(accepted.frames, make_inputs, rejection, [], threads)
    mask = make_mask(stacked)
    np.bitwise_or(mask, Flag.BAD, out=mask, where=stacked.noisy)
    header = make_header("bias", accepted, stacked)
    drift, noisy = float(np.std(accepted.levels)), int(np.count_nonzero(stacked.noisy))
    set_cards(header, {"BIASLVL": mean_level, "BIASDRFT": drift, "NOISY": noisy})
    note_read_noise(header, accepted.frames)
    return make_product(stacked, mask, "electron", header, fill=mean_level, pedestal=-mean_level)
