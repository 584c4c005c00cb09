"""Warn if the level of an overscan follows the light: its section is wrong, and lies in the image."""

from __future__ import annotations

import re

from astropy.io import fits

from nightcal.detector.readout import Readout
from nightcal.io.keywords import warn
from nightcal.io.master import MasterFrame
from nightcal.warning_names import name_warning

LEAST = 200.0
"""Rise of the level above that of the bias frames [ADU]; stable electronics stay below."""

LEAST_SHARE = 0.3
"""The same, as a fraction of all light; trailed charge gives much less."""


def warn_of_light_in_overscan(
    header: fits.Header, readout: Readout, level: float | None, bias: MasterFrame | None, signal: float
) -> None:
    """Warn if the overscan of a frame with light is much higher than that of the bias frames.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product; changed in place.
    readout : Readout
        Of the frame.
    level : float or None
        Mean overscan level of the frame [ADU].
    bias : MasterFrame or None
        Nothing is known without one whose frames have overscan.
    signal : float
        Typical signal after bias and overscan [e-].
    """
    without_light = None if bias is None else bias.header.get("OVSCLEV")
    if level is None or without_light is None:
        return
    rise = level - float(without_light)
    if rise < LEAST or rise < LEAST_SHARE * (rise + signal / readout.gain):
        return
    areas = [str(area) for name, area in readout.list_keywords().items() if re.fullmatch(r"OVSC\d{4}", name)]
    found = (
        f"the level of the overscan {areas[0] if areas else ''} is {level:.0f} ADU, {without_light:.0f} in bias frames"
    )
    cause = "light falls on it (a wrong BIASSEC or camera file), or the bias level moved"
    warn(header, name_warning("light in the overscan", f"{found}: {cause}"))
