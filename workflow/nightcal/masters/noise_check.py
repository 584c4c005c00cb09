"""Gain and read noise of each amplifier as the frames of a stack show them, next to what was used."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np
from astropy.io import fits

from nightcal.detector.amplifier_area import Part
from nightcal.detector.photon_transfer import (
    FLOOR,
    Measured,
    Pairs,
    bias_variance,
    gain_from,
    noise_per_signal,
    read_noise_from,
)
from nightcal.detector.readout import Readout
from nightcal.detector.subimages import grids_of, read_subimages
from nightcal.io.keywords import set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.numerics.robust import QUANTISATION
from nightcal.stacking.calibration_frame import CalibrationFrame

log = logging.getLogger(__name__)

LARGEST_DEPARTURE = 0.15
"""Of a measured number from the one that was used, without a warning."""

SIGNIFICANT = 4.0
LARGEST_ERROR = 0.05
"""Relative error from which on a measurement is not worth a card."""


def note_read_noise(header: fits.Header, exposures: Sequence[CalibrationFrame]) -> None:
    """Put the read noise of each amplifier into the header of a master bias; warn if it is not what was used.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    exposures : sequence of CalibrationFrame
        The bias frames, in the order of time. Subimages of the first few are read.

    Raises
    ------
    FrameRejectedError
        If pixels cannot be read.
    """
    readout = exposures[0].readout
    parts = readout.parts
    pairs = [Pairs(partial(bias_variance, floor=FLOOR * part.gain)) for part in parts]
    _compare(pairs, exposures, None)
    for n, (part, each) in enumerate(zip(parts, pairs, strict=True), start=1):
        noise = read_noise_from(each, _level_variance(readout, part))
        if noise is None or noise.error > LARGEST_ERROR * noise.value:
            continue
        cards = [
            (f"RNMEAS{n}", _rounded(noise.value), "[electron] measured read noise"),
            (f"RNERR{n}", _rounded(noise.error), "[electron] its error"),
            (f"RNADU{n}", _rounded(noise.value / part.gain), "[adu] the same"),
        ]
        set_cards(header, cards)
        if part.read_noise > 0:
            used = _used_noise(part)
            text = f"read noise of {used:.3g} e- used, {noise.value:.3g} measured with {part.gain:.3g} e-/ADU"
            _warn_if_far(header, parts, part, noise, used, text)


def note_gain(header: fits.Header, exposures: Sequence[CalibrationFrame], bias: MasterFrame | None) -> None:
    """Put the gain of each amplifier into the header of a master flat; warn if it is not what was used.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    exposures : sequence of CalibrationFrame
        The flats, in the order of time. Subimages are read of as many as are needed.
    bias : MasterFrame or None
        Their master bias, in electrons; the read noise in its header counts before the one that is used.

    Raises
    ------
    FrameRejectedError
        If pixels cannot be read.
    """
    readout = exposures[0].readout
    parts = readout.parts
    pairs = []
    for n, part in enumerate(parts, start=1):
        measured = None if bias is None else bias.header.get(f"RNADU{n}")
        noise = measured * part.gain if isinstance(measured, int | float) else _used_noise(part)
        variance = noise**2 + _level_variance(readout, part)
        pairs.append(Pairs(partial(noise_per_signal, read_variance=variance, floor=FLOOR * part.gain)))
    _compare(pairs, exposures, bias)
    for n, (part, each) in enumerate(zip(parts, pairs, strict=True), start=1):
        relative = gain_from(each)
        if relative is None or relative.error > LARGEST_ERROR * relative.value:
            continue
        gain = Measured(relative.value * part.gain, relative.error * part.gain)
        cards = [
            (f"GNMEAS{n}", _rounded(gain.value), "[electron/adu] measured gain"),
            (f"GNERR{n}", _rounded(gain.error), "[electron/adu] its error"),
        ]
        set_cards(header, cards)
        _warn_if_far(
            header, parts, part, gain, part.gain, f"gain of {part.gain:.3g} e-/ADU used, {gain.value:.3g} measured"
        )


def _compare(pairs: Sequence[Pairs], exposures: Sequence[CalibrationFrame], bias: MasterFrame | None) -> None:
    """Add one frame after the other, until enough is known."""
    if len(exposures) < 2:
        return
    grids = grids_of(exposures[0].readout)
    for exposure in exposures:
        frame = read_subimages(exposure.readout, grids, bias)
        if not exposure.keep_open:
            exposure.readout.image.close()
        for each, tiles in zip(pairs, frame, strict=True):
            each.add(tiles)
        if all(each.enough for each in pairs):
            return


def _used_noise(part: Part) -> float:
    """Read noise [e-] that a part's pixels are taken to have: not less than that of digitisation."""
    return max(part.read_noise, QUANTISATION * part.gain)


def _level_variance(readout: Readout, part: Part) -> float:
    """Mean variance [e-^2] that the overscan level adds to the pixels of a part."""
    variance = np.broadcast_to(readout.level_variance, readout.shape)
    return float(np.mean(variance[part.area.slices]))


def _warn_if_far(
    header: fits.Header, parts: Sequence[Part], part: Part, measured: Measured, used: float, text: str
) -> None:
    departure = abs(measured.value - used)
    if departure > LARGEST_DEPARTURE * used and departure > SIGNIFICANT * measured.error:
        text = f"amplifier {part.name}: {text}" if len(parts) > 1 else text
        log.warning("%s.", text)
        warn(header, text)


def _rounded(number: float) -> float:
    return float(f"{number:.5g}")
