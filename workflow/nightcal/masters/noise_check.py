"""Measure gain and read noise of each amplifier from the frames of a stack, and compare them with the values used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np
from astropy.io import fits

from nightcal.detector.gain import LARGEST_DEPARTURE, SIGNIFICANT
from nightcal.detector.photon_transfer import (
    FLOOR,
    Measured,
    Pairs,
    compute_gain,
    compute_read_noise,
    measure_bias_variance,
    measure_noise_per_signal,
)
from nightcal.detector.readout import Readout
from nightcal.detector.subimages import make_grids, read_subimages
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.io.sections import Area
from nightcal.numerics.robust import QUANTISATION
from nightcal.stacking.calibration_frame import CalibrationFrame, release
from nightcal.warning_names import name_warning

log = logging.getLogger(__name__)

FAR_OFF = 0.15
"""Departure of a measured value from the one used, as a fraction of it, up to which there is no warning.

For a gain that the run has not measured itself, `nightcal.detector.gain.LARGEST_DEPARTURE` is the limit.
"""

LARGEST_ERROR = 0.05
"""Relative error from which on a measurement does not enter the header."""


def note_read_noise(header: fits.Header, frames: Sequence[CalibrationFrame], with_dark: bool = False) -> None:
    """Note the read noise of each amplifier in the header of a master bias; warn if another value was used.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    frames : sequence of CalibrationFrame
        The bias frames, sorted by time. Subimages of the first few are read.
    with_dark : bool
        Whether the frames are darks, whose noise may exceed the read noise.

    Raises
    ------
    FrameRejectedError
        If pixels cannot be read.
    """
    readout = frames[0].readout
    shares = readout.shares
    pairs = [Pairs(partial(measure_bias_variance, floor=FLOOR * share.step * share.gain)) for _, share in shares]
    _compare_frames(pairs, frames, None)
    for n, ((area, share), each) in enumerate(zip(shares, pairs, strict=True), start=1):
        noise = compute_read_noise(each, _average_level_variance(readout, area))
        if noise is None or noise.error > LARGEST_ERROR * noise.value:
            continue
        numbers = {"RNMEAS": noise.value, "RNERR": noise.error, "RNADU": noise.value / share.gain}
        set_cards(header, {f"{name}{n}": _round(number) for name, number in numbers.items()})
        if share.read_noise > 0:
            used = _find_used_noise(share)
            if with_dark and noise.value > used:
                continue
            text = f"read noise of {used:.3g} e- used, {noise.value:.3g} measured with {share.gain:.3g} e-/ADU"
            which = f"amplifier {n}: " if len(shares) > 1 else ""
            _warn_if_far(header, "read noise differs", which + text, noise, used, FAR_OFF)


def note_gain(
    header: fits.Header,
    frames: Sequence[CalibrationFrame],
    bias: MasterFrame | None,
    limit: float = LARGEST_DEPARTURE,
) -> None:
    """Note the gain of each amplifier in the header of a master flat; warn if another value was used.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    frames : sequence of CalibrationFrame
        The flats, sorted by time. Subimages of as many as are needed are read.
    bias : MasterFrame or None
        Their master bias, in electrons; the read noise measured in its header is preferred to the one used.
    limit : float
        Departure of the measured gain from the one used, as a fraction of it, up to which there is no warning.

    Raises
    ------
    FrameRejectedError
        If pixels cannot be read.
    """
    readout = frames[0].readout
    shares = readout.shares
    pairs = []
    for n, (area, share) in enumerate(shares, start=1):
        measured = None if bias is None else bias.read_noise_in_adu(n)
        noise = _find_used_noise(share) if measured is None else measured * share.gain
        variance = noise**2 + _average_level_variance(readout, area)
        pairs.append(
            Pairs(partial(measure_noise_per_signal, read_variance=variance, floor=FLOOR * share.step * share.gain))
        )
    _compare_frames(pairs, frames, bias)
    for n, ((_, share), each) in enumerate(zip(shares, pairs, strict=True), start=1):
        relative = compute_gain(each)
        if relative is None or relative.error > LARGEST_ERROR * relative.value:
            continue
        gain = Measured(relative.value * share.gain, relative.error * share.gain)
        set_cards(header, {f"GNMEAS{n}": _round(gain.value), f"GNERR{n}": _round(gain.error)})
        text = f"gain of {share.gain:.3g} e-/ADU used, {gain.value:.3g} measured"
        which = f"amplifier {n}: " if len(shares) > 1 else ""
        _warn_if_far(header, "gain differs", which + text, gain, share.gain, limit)


def _compare_frames(pairs: Sequence[Pairs], frames: Sequence[CalibrationFrame], bias: MasterFrame | None) -> None:
    """Add frames one by one, until there are enough subimages."""
    if len(frames) < 2:
        return
    grids = make_grids(frames[0].readout)
    for frame in frames:
        subimages = read_subimages(frame.readout, grids, bias)
        release(frame)
        for each, amplifier in zip(pairs, subimages, strict=True):
            each.add(amplifier)
        if all(each.is_enough for each in pairs):
            return


def _find_used_noise(share: Readout) -> float:
    """Find the read noise [e-] used for an amplifier: at least that of digitisation."""
    return max(share.read_noise, QUANTISATION * share.step * share.gain)


def _average_level_variance(readout: Readout, area: Area) -> float:
    """Average the variance [e-^2] that the overscan level adds to the pixels of an amplifier."""
    variance = np.broadcast_to(readout.overscan_variance, readout.shape)
    return float(np.mean(variance[area.slices]))


def _warn_if_far(header: fits.Header, name: str, text: str, measured: Measured, used: float, limit: float) -> None:
    departure = abs(measured.value - used)
    if departure > limit * used and departure > SIGNIFICANT * measured.error:
        named = name_warning(name, text)
        log.warning("%s.", named)
        warn(header, named)


def _round(number: float) -> float:
    return float(f"{number:.5g}")
