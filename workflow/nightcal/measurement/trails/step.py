"""The step ``trails``."""

from __future__ import annotations

import numpy as np

from nightcal.flags import Flag
from nightcal.io.keywords import warn
from nightcal.measurement.frame import MeasuredFrame, Values
from nightcal.measurement.options import TrailOptions
from nightcal.measurement.trails.find import find_trails
from nightcal.warning_names import name_warning


def flag_trails(frame: MeasuredFrame, options: TrailOptions) -> Values:
    """Flag the pixels in trails of satellites and aeroplanes.

    Parameters
    ----------
    frame : MeasuredFrame
    options : TrailOptions

    Returns
    -------
    dict
        Values by keyword.
    """
    found = find_trails(frame.data, frame.mask, options)
    np.bitwise_or(frame.mask, Flag.TRAIL, out=frame.mask, where=found.pixels)
    number, pixels = len(found.trails), int(np.count_nonzero(found.pixels))
    if number:
        covers = "1 trail covers" if number == 1 else f"{number} trails cover"
        share = f"{covers} {pixels / found.pixels.size:.1%} of the pixels"
        text = f"none is flagged: {found.reason}" if found.reason else share
        warn(frame.header, name_warning("trail in the frame", text))
    return {"TRLSTAT": found.reason or "done", "NTRAILS": 0 if found.reason else number, "TRLNPIX": pixels}
