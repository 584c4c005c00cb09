"""Make a master dark."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from nightcal.flags import Flag
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame, find_dark_time
from nightcal.io.product import Product
from nightcal.masters.amplifier_glow import Glow
from nightcal.masters.common import (
    USUAL_REJECTION,
    Rejection,
    add_variance,
    check_master,
    make_header,
    make_mask,
    make_product,
    note_masters,
    stack_frames,
)
from nightcal.masters.dark_intercept import Intercept, find_intercept
from nightcal.masters.dark_selection import measure_read_noise, select_darks
from nightcal.masters.doubts import note_doubt
from nightcal.masters.flagged_pixels import warn_of_flagged_pixels
from nightcal.masters.hot_pixels import Exposure, find_above
from nightcal.masters.scatter_check import warn_of_scatter
from nightcal.masters.self_check import note_residuals
from nightcal.numerics.blocks import thin_rows
from nightcal.numerics.clipped_level import measure_level
from nightcal.stacking.calibration_frame import (
    CalibrationFrame,
    RejectedFrame,
    make_stack_input,
    read_signal,
    sort_frames,
)
from nightcal.stacking.stack import StackInput
from nightcal.warning_names import name_warning


def stack_darks(
    frames: Sequence[CalibrationFrame],
    bias: MasterFrame | None,
    rejection: Rejection = USUAL_REJECTION,
    rejected: Sequence[RejectedFrame] = (),
    hot: float = 3.0,
    threads: int = 1,
) -> Product:
    """Stack dark frames, after bias, as dark current per second.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
        Exposure times may differ: frames are weighted by their inverse variance.
    bias : MasterFrame or None
        Frames with overscan can do without. If it is made of darks, the dark current is that of the time by which the
        frames are longer.
    rejection : Rejection
    rejected : sequence of RejectedFrame
        As for a bias.
    hot : float
        A pixel is hot if the noise of its dark current in the longest of these exposures is this many times the other
        noise, and its current exceeds the typical one by 5 times its own error: see `nightcal.masters.hot_pixels`.
    threads : int

    Returns
    -------
    Product
        In electrons per second. ``DARKTEFF`` is the exposure time with which an error of the bias enters. A typical
        current below 0 comes from a drift of the bias level, which must not be scaled to long exposures: the image is
        raised to 0, with a warning.

    Raises
    ------
    FrameRejectedError
        If no frame could be read, or the bias level of a frame cannot be subtracted.
    """
    frames = sort_frames(frames)
    bias = check_master("bias", bias, frames)
    accepted, glow, doubt = select_darks(frames, bias, rejected, rejection.frame_sigma)
    frames = accepted.frames
    intercept = _find_drift(frames, accepted.levels, bias)
    drift = intercept.level if intercept is not None else 0.0
    inputs = _make_inputs(frames, accepted.levels, bias, drift)
    time = _find_effective_time(frames, inputs, bias)
    stacked = stack_frames(
        frames, lambda some: _make_inputs(some, accepted.levels, bias, drift), rejection, [bias], threads
    )
    add_variance(stacked, bias, 1 / time)
    typical = measure_level(thin_rows(stacked.mean), rejection.frame_sigma, 0.0)
    pedestal = min(0.0, typical.mean)
    times = [frame.exposure_time for frame in frames]
    limit = Exposure(max(times), frames[0].readout.read_noise, typical.mean).find_hot_current(hot)
    hot_pixels = find_above(stacked.mean, stacked.uncertainty**2, limit + pedestal, typical.mean)
    mask = make_mask(stacked, bias)
    mask[hot_pixels] |= Flag.HOT
    np.bitwise_or(mask, Flag.BAD, out=mask, where=stacked.noisy)
    header = make_header("dark", accepted, stacked)
    if doubt:
        note_doubt(header, "frames disagree", doubt)
    if bias is not None and bias.pedestal_exposure > 0:
        set_cards(header, {"PEDEXP": bias.pedestal_exposure})
    n_hot, n_noisy = int(np.count_nonzero(hot_pixels)), int(np.count_nonzero(stacked.noisy))
    cards = {
        "DARKCURR": typical.mean,
        "DARKTEFF": time,
        "EXPTIME": 1.0,
        "EXPMIN": min(times),
        "EXPMAX": max(times),
        "NHOT": n_hot,
        "NOISY": n_noisy,
        "HOTLIMIT": limit,
    }
    read_noise = measure_read_noise(frames, inputs, stacked.ratio, typical.mean)
    set_cards(header, cards if read_noise is None else cards | {"RNDARK": read_noise})
    warn_of_scatter(
        header,
        "dark",
        frames,
        stacked.ratio,
        lambda frame, rows: read_signal(frame, bias, None, rows)[0] / np.float32(frame.exposure_time),
    )
    spans = {frame.path: np.float32(t) for frame, t in zip(frames, _find_times(frames, bias), strict=True)}
    note_residuals(
        header,
        frames,
        stacked.mean,
        mask,
        lambda frame, rows, step: (
            (read_signal(frame, bias, None, rows)[0][:, ::step] - np.float32(drift)) / spans[frame.path]
        ),
        lambda frame, master: (
            (frame.read_variance + np.maximum(master, 0.0) * frame.exposure_time) / float(spans[frame.path]) ** 2
        ),
    )
    warn_of_flagged_pixels(header, {"hot in the dark": n_hot, "noisy in the dark": n_noisy}, mask.size)
    note_masters(header, {"bias": bias})
    if glow is not None:
        _note_glow(header, glow, frames[0].read_variance ** 0.5)
    if intercept is not None:
        _note_intercept(header, intercept)
    if pedestal < 0:
        text = f"{pedestal:.2g} e-/s (the bias level drifted): set to 0"
        warn(header, name_warning("negative dark current", text))
    return make_product(stacked, mask, "electron / s", header, fill=typical.mean - pedestal, pedestal=pedestal)


def _find_drift(
    frames: Sequence[CalibrationFrame], levels: Sequence[float], bias: MasterFrame | None
) -> Intercept | None:
    """Find the drift of the level between bias and darks, if darks of several exposure times show that it matters."""
    if bias is None:
        return None
    noise = frames[0].readout.read_noise
    intercept = find_intercept(levels, _find_times(frames, bias), noise)
    return intercept if intercept is not None and intercept.matters(noise) else None


def _note_intercept(header: fits.Header, intercept: Intercept) -> None:
    set_cards(header, {"DARKZERO": intercept.level, "DARKZERR": intercept.error})
    text = f"darks of several exposure times begin at {intercept.level:+.2g} e- at 0 s, above the bias: subtracted"
    warn(header, name_warning("level drifted after bias", text))


def _make_inputs(
    frames: Sequence[CalibrationFrame], levels: Sequence[float], bias: MasterFrame | None, drift: float
) -> list[StackInput]:
    """Scale frames to electrons per second, weighted by their read noise and the noise of the typical dark current.

    The drift is what the level of the darks is above the bias [e-].
    """
    times = _find_times(frames, bias)
    current = max(0.0, float(np.mean([(level - drift) / time for time, level in zip(times, levels, strict=True)])))

    def make_input(frame: CalibrationFrame, time: float) -> StackInput:
        per_signal = frame.exposure_time / time**2  # dark current of the whole exposure makes noise
        return make_stack_input(
            frame,
            scale=1 / time,
            shift=drift,
            factors=() if bias is None else (1 / time,),
            weight=1 / (frame.read_variance / time**2 + current * per_signal),
            per_signal=per_signal,
        )

    return [make_input(*pair) for pair in zip(frames, times, strict=True)]


def _find_times(frames: Sequence[CalibrationFrame], bias: MasterFrame | None) -> list[float]:
    """Find the exposure time [s] whose dark current is left in each frame after bias."""
    return [find_dark_time(frame.exposure_time, bias) for frame in frames]


def _find_effective_time(
    frames: Sequence[CalibrationFrame], inputs: Sequence[StackInput], bias: MasterFrame | None
) -> float:
    """Find the exposure time [s] with which an error of the bias enters the stack."""
    weights = np.array([stack_input.weight for stack_input in inputs])
    return float(f"{weights.sum() / np.sum(weights / _find_times(frames, bias)):.9g}")


def _note_glow(header: fits.Header, glow: Glow, read_noise: float) -> None:
    set_cards(header, {"DARKGLOW": glow.signal, "DARKGERR": glow.error})
    if glow.matters(read_noise):
        place = f"{glow.signal:+.2g} e- in each frame near pixel {glow.x}, {glow.y}"
        cause = "amplifier glow" if glow.signal > 0 else "excess in the bias"
        warn(header, name_warning("dark does not scale", f"{place} ({cause}?)"))
