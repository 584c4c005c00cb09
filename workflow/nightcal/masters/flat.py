"""Make a master flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.detector.gain import LARGEST_DEPARTURE
from nightcal.flags import Flag, MaskBits
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame, find_dark_time
from nightcal.io.product import Product
from nightcal.masters.common import (
    USUAL_REJECTION,
    Rejection,
    add_variance,
    check_master,
    check_pedestal,
    make_header,
    make_mask,
    make_product,
    note_masters,
    stack_frames,
)
from nightcal.masters.dark_worth import HURTS, find_factor, weigh_dark
from nightcal.masters.doubts import note_doubt
from nightcal.masters.flagged_pixels import warn_of_flagged_pixels
from nightcal.masters.flat_selection import CHIP_SPOTS, USUAL, FlatLimits, FlatSelection, select_flats
from nightcal.masters.flat_stars import find_stars_in_flat
from nightcal.masters.flat_trend import Trend
from nightcal.masters.hot_pixels import find_above
from nightcal.masters.keywords import note_dark_scaling
from nightcal.masters.noise_check import note_gain
from nightcal.masters.overscan_light import warn_of_light_in_overscan
from nightcal.masters.passing_stars import describe_stars, find_passing_stars, mark_stars
from nightcal.masters.pedestal import contains_dark, note_pedestal
from nightcal.masters.scatter_check import warn_of_scatter
from nightcal.masters.self_check import note_residuals
from nightcal.stacking.calibration_frame import (
    CalibrationFrame,
    RejectedFrame,
    make_stack_input,
    read_signal,
    sort_frames,
)
from nightcal.stacking.stack import StackInput
from nightcal.warning_names import name_warning

LOW_FLAT = 0.2

UNSTEADY = 2.0
"""Departure from the typical shape, in units of its limit, from which on there is a warning."""

MOST_DRIFT = 0.015
"""Change of the shape over the set, as a fraction of the signal, from which on there is a warning: the mean of the set
is off by half of it at most."""

MOST_SHUTTER = 0.005
"""Departure of the shortest exposure by the shutter, as a fraction of the signal, from which on there is a warning."""

ALIKE = 2.0
"""Ratio of variances up to which frames have equal weights."""


def stack_flats(
    frames: Sequence[CalibrationFrame],
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    rejection: Rejection = USUAL_REJECTION,
    rejected: Sequence[RejectedFrame] = (),
    threads: int = 1,
    limits: FlatLimits = USUAL,
    gain_limit: float = LARGEST_DEPARTURE,
) -> Product:
    """Stack flats of one filter after bias and dark, each divided by the clipped mean of its central quarter.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
        Levels and exposure times may differ.
    bias, dark : MasterFrame or None
        Pixels that they flag are left out of the normalisation.
    rejection : Rejection
    rejected : sequence of RejectedFrame
        As for a bias.
    threads : int
    limits : FlatLimits
        Requirements on the frames.
    gain_limit : float
        See `nightcal.masters.noise_check.note_gain`.

    Returns
    -------
    Product
        A ratio near 1; pixels below 0.2 are set to 1 and flagged ``LOW_FLAT``.

    Raises
    ------
    FrameRejectedError
        If no frame could be read, all are too faint, or the bias level of a frame cannot be subtracted.
    """
    frames = sort_frames(frames)
    bias = check_master("bias", bias, frames)
    dark = check_master("dark", dark, frames, per_second=True)
    dark, left_out = _settle_dark(dark, frames)
    selected = select_flats(frames, rejected, bias, dark, rejection.frame_sigma, limits)
    accepted = selected.accepted
    frames, levels = accepted.frames, np.array(accepted.levels)
    check_pedestal(bias, frames)
    exposures = [frame.exposure_time for frame in frames]
    times = np.array([find_dark_time(exposure, bias) for exposure in exposures])
    weights = [stack_input.weight for stack_input in _make_inputs(frames, accepted.levels, bias, dark)]
    stacked = stack_frames(
        frames, lambda some: _make_inputs(some, accepted.levels, bias, dark), rejection, [bias, dark], threads
    )
    add_variance(stacked, bias, np.average(1 / levels, weights=weights))
    add_variance(stacked, dark, np.average(times / levels, weights=weights))
    mask = make_mask(stacked, bias, dark)
    low = stacked.mean < LOW_FLAT
    mask[low] |= Flag.LOW_FLAT
    stacked.mean[low], stacked.uncertainty[low] = 1.0, 0.0
    spots = find_stars_in_flat(stacked.mean, mask != 0)
    passing = find_passing_stars(spots, frames, accepted.levels, bias, dark)
    mask[mark_stars(passing, mask.shape)] |= Flag.BAD
    header = make_header("flat", accepted, stacked)
    set_cards(header, {"FLATLVL": float(levels.mean()), "FLATLOW": int(np.count_nonzero(low)), "NRESID": len(spots)})
    note_gain(header, frames, bias, gain_limit)
    if left_out is not None:
        _flag_hot(header, mask, left_out, max(exposures), float(levels.mean()))
    photon_noise = float(np.sqrt(levels.mean() + frames[0].read_variance))
    note_dark_scaling(header, dark, max(exposures), "flat frames: ", photon_noise)
    gain, level = frames[0].readout.gain, float(levels.mean())
    note_pedestal(header, bias, dark, exposures, gain=gain, level=level, whose="flats")
    _note_quality(header, frames, len(spots), selected, limits)
    if passing:
        warn(header, name_warning("stars in flat", describe_stars(passing, len(frames))))
    warn_of_light_in_overscan(header, frames[0].readout, header.get("OVSCLEV"), bias, level)
    levels_by_path = dict(zip([frame.path for frame in frames], levels.astype(np.float32), strict=True))
    warn_of_scatter(
        header,
        "flat",
        frames,
        stacked.ratio,
        lambda frame, rows: read_signal(frame, bias, dark, rows)[0] / levels_by_path[frame.path],
    )
    note_residuals(
        header,
        frames,
        stacked.mean,
        mask,
        lambda frame, rows, step: read_signal(frame, bias, dark, rows)[0][:, ::step] / levels_by_path[frame.path],
        lambda frame, master: _promise(frame, master, float(levels_by_path[frame.path])),
    )
    warn_of_flagged_pixels(header, {"below 0.2 in the flat": int(np.count_nonzero(low))}, mask.size)
    done = ["dark"] if contains_dark(bias, exposures) or left_out is not None else ()
    note_masters(header, {"bias": bias, "dark": dark}, done=done)
    return make_product(stacked, mask, "", header, fill=1.0)


def _settle_dark(
    dark: MasterFrame | None, frames: Sequence[CalibrationFrame]
) -> tuple[MasterFrame | None, MasterFrame | None]:
    """Leave out a dark that would have to be scaled up and add more noise than it removes signal; return both."""
    longest = max((frame.exposure_time for frame in frames), default=0.0)
    if dark is None or find_factor(dark, longest) <= 1 or weigh_dark(dark, longest).is_positive:
        return dark, None
    return None, dark


def _flag_hot(header: fits.Header, mask: MaskBits, dark: MasterFrame, time: float, level: float) -> None:
    """Flag the pixels that a dark which is left out shows to be hot, and say why it is left out."""
    hot = find_above(dark.data, dark.variance, HURTS * level / time)
    mask[hot] |= Flag.HOT
    worth = weigh_dark(dark, time)
    text = (
        f"scaled up {find_factor(dark, time):.3g} times to {time:g} s it would add {worth.added:.2g} e- of noise to "
        f"the flats and remove {worth.removed:.2g} e-; {np.count_nonzero(hot)} hot pixels flagged"
    )
    warn(header, name_warning("dark left out", text))


def _promise(frame: CalibrationFrame, flat: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Find the variance that read and photon noise promise in a frame of a level [e-] that is divided by it."""
    return np.asarray((frame.read_variance + np.maximum(flat, 0.0) * level) / level**2)


def _make_inputs(
    frames: Sequence[CalibrationFrame], levels: Sequence[float], bias: MasterFrame | None, dark: MasterFrame | None
) -> list[StackInput]:
    """Scale frames by their levels; with equal weights if their noise is similar, which is easier to check."""

    def make_input(frame: CalibrationFrame, level: float) -> StackInput:
        subtracted = ((bias, 1 / level), (dark, find_dark_time(frame.exposure_time, bias) / level))
        factors = tuple(factor for master, factor in subtracted if master is not None)
        weight = 1 / (frame.read_variance / level**2 + 1 / level)
        return make_stack_input(frame, scale=1 / level, factors=factors, weight=weight, per_signal=1 / level)

    inputs = [make_input(*pair) for pair in zip(frames, levels, strict=True)]
    weights = [stack_input.weight for stack_input in inputs]
    alike = max(weights) <= ALIKE * min(weights)
    return [replace(stack_input, weight=1.0) for stack_input in inputs] if alike else inputs


def _note_quality(
    header: fits.Header, frames: Sequence[CalibrationFrame], spots: int, selected: FlatSelection, limits: FlatLimits
) -> None:
    """Note how alike the frames are, and warn of unsteady illumination, of a shutter and of stars."""
    if selected.doubt:
        note_doubt(header, "frames disagree", selected.doubt)
    if selected.departure is not None:
        set_cards(header, {"FLATDEP": selected.departure})
        if selected.departure > UNSTEADY * limits.departure:
            text = f"flat frames differ in shape by up to {selected.departure:.1f} percent"
            warn(header, name_warning("unsteady illumination", text))
    _note_trend(header, frames, selected.trend)
    if spots > CHIP_SPOTS and any(frame.flat_source != "dome" for frame in frames):
        warn(header, name_warning("stars in flat", f"{spots} compact bright spots in the flat"))


def _note_trend(header: fits.Header, frames: Sequence[CalibrationFrame], trend: Trend) -> None:
    """Note how the shape changes from the first to the last frame, or with the exposure time."""
    if trend.drift:
        set_cards(header, {"FLATDRFT": 100 * trend.drift})
    if trend.drift > MOST_DRIFT:
        text = f"drift: the shape changes by {100 * trend.drift:.1f} percent from the first to the last frame"
        warn(header, name_warning("unsteady illumination", text))
    if trend.shutter:
        set_cards(header, {"FLATSHUT": trend.seconds})
    if trend.shutter > MOST_SHUTTER:
        shortest = min(frame.exposure_time for frame in frames)
        text = (
            f"exposures differ by {1000 * trend.seconds:.0f} ms across the image, {100 * trend.shutter:.1f} percent of "
            f"{shortest:g} s; expose flats for {trend.seconds / MOST_SHUTTER:.0f} s or longer"
        )
        warn(header, name_warning("shutter in flat", text))
