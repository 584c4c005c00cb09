"""Bias."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nightcal.flags import Flag
from nightcal.io.keywords import set_cards
from nightcal.io.product import Product
from nightcal.masters.common import USUAL_REJECTION, Rejection, _header, _mask, _product, _stacked
from nightcal.masters.noise_check import note_read_noise
from nightcal.stacking.calibration_frame import (
    CalibrationFrame,
    RejectedFrame,
    in_order,
    judge,
    make_stack_input,
    whole_level,
)
from nightcal.stacking.stack import StackInput


def make_master_bias(
    exposures: Sequence[CalibrationFrame],
    rejection: Rejection = USUAL_REJECTION,
    refused: Sequence[RejectedFrame] = (),
    threads: int = 1,
) -> Product:
    """Stack bias frames, each brought to the mean level first.

    Parameters
    ----------
    exposures : sequence of CalibrationFrame
        Of equal shape.
    rejection : Rejection
    refused : sequence of RejectedFrame
        Frames that could not even be opened, for the header.
    threads : int

    Returns
    -------
    Product
        In electrons; the mean level is in the image and in the header (``BIASLVL``).

    Raises
    ------
    FrameRejectedError
        If no frame could be read; one that cannot is left out and named in the header.
    """
    exposures = in_order(exposures)
    judged = judge(exposures, refused, lambda exposure: whole_level(exposure, rejection.frame_sigma))
    mean_level = float(np.mean(judged.levels))

    def inputs(exposures: Sequence[CalibrationFrame]) -> list[StackInput]:
        return [make_stack_input(e, shift=level) for e, level in zip(exposures, judged.levels, strict=True)]

    stacked = _stacked(judged.exposures, inputs, rejection, [], threads)
    mask = _mask(stacked)
    np.bitwise_or(mask, Flag.BAD, out=mask, where=stacked.noisy)
    header = _header("bias", judged.exposures, judged.refused, stacked)
    cards = [
        ("BIASLVL", mean_level, "[electron] mean level of the frames"),
        ("BIASDRFT", float(np.std(judged.levels)), "[electron] scatter of the levels"),
        ("NOISY", int(np.count_nonzero(stacked.noisy)), "pixels much noisier than the read noise"),
    ]
    set_cards(header, cards)
    note_read_noise(header, judged.exposures)
    return _product(stacked, mask, "electron", header, fill=mean_level, pedestal=-mean_level)
