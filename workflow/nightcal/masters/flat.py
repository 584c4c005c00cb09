"""Flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from astropy.io import fits

from nightcal.flags import Flag
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.io.product import Product
from nightcal.masters.common import (
    USUAL_REJECTION,
    Rejection,
    _add_variance,
    _check_pedestal,
    _header,
    _mask,
    _product,
    _stacked,
    _usable_master,
)
from nightcal.masters.flat_selection import CHIP_SPOTS, USUAL, FlatLimits, select_flats
from nightcal.masters.flat_stars import find_stars_in_flat
from nightcal.masters.keywords import inherit_warnings, note_dark_scaling, note_skipped, used_cards
from nightcal.masters.noise_check import note_gain
from nightcal.stacking.calibration_frame import CalibrationFrame, RejectedFrame, in_order, make_stack_input
from nightcal.stacking.stack import StackInput

LOW_FLAT = 0.2


UNSTEADY = 2.0  # times the limit of departure


ALIKE = 2.0  # ratio of variances up to which frames count alike


def make_master_flat(
    exposures: Sequence[CalibrationFrame],
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    rejection: Rejection = USUAL_REJECTION,
    refused: Sequence[RejectedFrame] = (),
    threads: int = 1,
    limits: FlatLimits = USUAL,
) -> Product:
    """Stack flats of one filter, each divided by the clipped mean of its central quarter, after bias and dark.

    Parameters
    ----------
    exposures : sequence of CalibrationFrame
        Levels and exposure times may differ.
    bias, dark : MasterFrame or None
        Pixels that they flag are left out of the normalisation.
    rejection : Rejection
    refused : sequence of RejectedFrame
        As for a bias.
    threads : int
    limits : FlatLimits
        What is asked of the frames.

    Returns
    -------
    Product
        A ratio near 1; pixels below 0.2 are set to 1 and flagged ``LOW_FLAT``.

    Raises
    ------
    FrameRejectedError
        If no frame could be read, none has light in it, or the bias level of one cannot be taken off.
    """
    exposures = in_order(exposures)
    bias = _usable_master("bias", bias, exposures)
    dark = _usable_master("dark", dark, exposures, per_second=True)
    judged, departure = select_flats(exposures, refused, bias, dark, rejection.frame_sigma, limits)
    good, lights = judged.exposures, np.array(judged.levels)
    _check_pedestal(bias, good)
    times = np.array([exposure.exposure_time for exposure in good])
    inputs = _flat_inputs(good, judged.levels, bias, dark)
    stacked = _stacked(
        good, lambda exposures: _flat_inputs(exposures, judged.levels, bias, dark), rejection, [bias, dark], threads
    )
    weights = [stack_input.weight for stack_input in inputs]
    shares = np.average(1 / lights, weights=weights), np.average(times / lights, weights=weights)
    for master, share in zip((bias, dark), shares, strict=True):
        if master is not None:
            _add_variance(stacked, master, share)
    mask = _mask(stacked, bias, dark)
    low = stacked.mean < LOW_FLAT
    mask[low] |= Flag.LOW_FLAT
    stacked.mean[low], stacked.uncertainty[low] = 1.0, 0.0
    spots = find_stars_in_flat(stacked.mean, mask != 0)
    header = _header("flat", good, judged.refused, stacked)
    cards = [
        ("FLATLVL", float(lights.mean()), "[electron] mean light in the central quarter"),
        ("FLATLOW", int(np.count_nonzero(low)), "pixels below 0.2, set to 1"),
        ("NRESID", len(spots), "compact bright spots, as of stars"),
        *used_cards("bias", bias),
        *used_cards("dark", dark),
    ]
    set_cards(header, cards)
    note_gain(header, good, bias)
    note_dark_scaling(header, dark, float(times.max()), "flat frames: ")
    if departure is not None:
        set_cards(header, [("FLATDEP", departure, "[percent] largest departure from the shape of the set")])
    _warn_of_flat(header, good, len(spots), departure, limits)
    inherit_warnings(header, bias, dark)
    note_skipped(header, {"bias": bias, "dark": dark}, "steps that the frames did not have")
    return _product(stacked, mask, "", header, fill=1.0)


def _warn_of_flat(
    header: fits.Header, exposures: Sequence[CalibrationFrame], spots: int, departure: float | None, limits: FlatLimits
) -> None:
    if departure is not None and departure > UNSTEADY * limits.departure:
        warn(header, f"flat frames differ in shape by up to {departure:.1f} percent: unsteady light?")
    if spots > CHIP_SPOTS and any(exposure.flat_source != "dome" for exposure in exposures):
        warn(header, f"flat has {spots} compact bright spots: stars?")


def _flat_inputs(
    exposures: Sequence[CalibrationFrame], lights: Sequence[float], bias: MasterFrame | None, dark: MasterFrame | None
) -> list[StackInput]:
    def stack_input(exposure: CalibrationFrame, light: float) -> StackInput:
        shares = ((bias, 1 / light), (dark, exposure.exposure_time / light))
        factors = tuple(share for master, share in shares if master is not None)
        weight = 1 / (exposure.read_variance / light**2 + 1 / light)
        return make_stack_input(exposure, scale=1 / light, factors=factors, weight=weight, per_signal=1 / light)

    return _plain_if_alike([stack_input(*pair) for pair in zip(exposures, lights, strict=True)])


def _plain_if_alike(inputs: Sequence[StackInput]) -> list[StackInput]:
    """Take the weights away from frames that differ too little for weights to help: a plain mean is easier to check."""
    weights = [stack_input.weight for stack_input in inputs]
    return (
        [replace(stack_input, weight=1.0) for stack_input in inputs]
        if max(weights) <= ALIKE * min(weights)
        else list(inputs)
    )
