"""Dark."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.flags import Flag
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.io.product import Product
from nightcal.masters.amplifier_glow import Glow
from nightcal.masters.common import (
    USUAL_REJECTION,
    Rejection,
    _add_variance,
    _check_pedestal,
    _header,
    _mask,
    _product,
    _stacked,
    _strips,
    _usable_master,
)
from nightcal.masters.dark_selection import scattered_read_noise, select_darks
from nightcal.masters.keywords import inherit_warnings, note_skipped, used_cards
from nightcal.numerics.clipped_level import level_of_values
from nightcal.stacking.calibration_frame import CalibrationFrame, RejectedFrame, in_order, make_stack_input
from nightcal.stacking.stack import Stack, StackInput

HOT_SIGMA = 5.0


TYPICAL_PIXELS = 2**20


def make_master_dark(
    exposures: Sequence[CalibrationFrame],
    bias: MasterFrame | None,
    rejection: Rejection = USUAL_REJECTION,
    refused: Sequence[RejectedFrame] = (),
    hot: float = 10.0,
    threads: int = 1,
) -> Product:
    """Stack dark frames per second of exposure, after bias.

    Parameters
    ----------
    exposures : sequence of CalibrationFrame
        Exposure times may differ: frames are weighted by their inverse variance.
    bias : MasterFrame or None
        Frames with overscan do without.
    rejection : Rejection
    refused : sequence of RejectedFrame
        As for a bias.
    hot : float
        A pixel whose current exceeds the typical one by more than this many rstd of all pixels, and by five times its
        own error, is hot.
    threads : int

    Returns
    -------
    Product
        In electrons per second. ``DARKTEFF`` is the exposure time by which an error of the bias entered. A typical
        current below 0 is a drift of the bias level, which must not be scaled to long exposures: the image is brought
        to 0, with a warning.

    Raises
    ------
    FrameRejectedError
        If no frame could be read, or the bias level of one cannot be taken off.
    """
    exposures = in_order(exposures)
    bias = _usable_master("bias", bias, exposures)
    judged, glow = select_darks(exposures, bias, refused, rejection.frame_sigma)
    good = judged.exposures
    _check_pedestal(bias, good)
    times = [exposure.exposure_time for exposure in good]
    inputs = _dark_inputs(good, judged.levels, bias)
    weights = np.array([stack_input.weight for stack_input in inputs])
    effective = float(f"{weights.sum() / np.sum(weights / times):.9g}")
    stacked = _stacked(good, lambda exposures: _dark_inputs(exposures, judged.levels, bias), rejection, [bias], threads)
    if bias is not None:
        _add_variance(stacked, bias, 1 / effective)
    mask = _mask(stacked, bias)
    sample = stacked.mean[:: ceil(stacked.mean.size / TYPICAL_PIXELS)]
    typical = level_of_values(sample, rejection.frame_sigma, 0.0)
    hot_pixels = _above(stacked, typical.mean, hot * typical.rstd, HOT_SIGMA)
    mask[hot_pixels] |= Flag.HOT
    np.bitwise_or(mask, Flag.BAD, out=mask, where=stacked.noisy)
    pedestal = min(0.0, typical.mean)
    header = _header("dark", good, judged.refused, stacked)
    cards = [
        ("DARKCURR", typical.mean, "[electron/s] typical dark current"),
        ("DARKTEFF", effective, "[s] by which an error of the bias enters"),
        ("EXPTIME", effective, "[s] of the frames; the image is per second"),
        ("EXPMIN", min(times), "[s] shortest exposure"),
        ("EXPMAX", max(times), "[s] longest exposure; frames are matched by it"),
        ("NHOT", int(np.count_nonzero(hot_pixels)), "hot pixels"),
        ("NOISY", int(np.count_nonzero(stacked.noisy)), "pixels much noisier than read and photon noise"),
        ("HOTLIMIT", typical.mean + hot * typical.rstd - pedestal, "[electron/s] a hot pixel exceeds this"),
        *used_cards("bias", bias),
    ]
    read_noise = scattered_read_noise(good, inputs, stacked.ratio, typical.mean)
    if read_noise is not None:
        cards.append(("RNDARK", read_noise, "[electron] read noise, by the scatter of frames"))
    set_cards(header, cards)
    inherit_warnings(header, bias)
    if glow is not None:
        _note_glow(header, glow, good[0].read_variance ** 0.5)
    if pedestal < 0:
        warn(header, f"dark current of {pedestal:.2g} e-/s is bias drift: set to 0")
    note_skipped(header, {"bias": bias}, "steps that the frames did not have")
    return _product(stacked, mask, "electron / s", header, fill=typical.mean - pedestal, pedestal=pedestal)


def _note_glow(header: fits.Header, glow: Glow, read_noise: float) -> None:
    cards = [
        ("DARKGLOW", glow.light, "[electron] light that does not scale, at most"),
        ("DARKGERR", glow.error, "[electron] its error"),
    ]
    set_cards(header, cards)
    if glow.matters(read_noise):
        where = f"{glow.light:+.2g} e- in each frame around pixel {glow.x}, {glow.y}"
        cause = "amplifier glow" if glow.light > 0 else "more in the bias"
        warn(header, f"dark does not scale with exposure: {where}, {cause}?")


def _dark_inputs(
    exposures: Sequence[CalibrationFrame], levels: Sequence[float], bias: MasterFrame | None
) -> list[StackInput]:
    """Electrons per second, weighted by the noise that read-out and the typical dark current make."""
    current = max(0.0, float(np.mean([level / e.exposure_time for e, level in zip(exposures, levels, strict=True)])))

    def stack_input(exposure: CalibrationFrame) -> StackInput:
        time = exposure.exposure_time
        factors = () if bias is None else (1 / time,)
        weight = 1 / (exposure.read_variance / time**2 + current / time)
        return make_stack_input(exposure, scale=1 / time, factors=factors, weight=weight, per_signal=1 / time)

    return [stack_input(exposure) for exposure in exposures]


def _above(stacked: Stack, typical: float, excess: float, sigmas: float) -> NDArray[np.bool_]:
    """Pixels that exceed the typical one by both, an excess and so many of their own errors."""
    above = np.zeros(stacked.mean.shape, dtype=bool)
    for strip in _strips(above):
        above[strip] = stacked.mean[strip] - typical > np.maximum(excess, sigmas * stacked.uncertainty[strip])
    return above
