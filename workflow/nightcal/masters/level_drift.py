"""Warn if the bias level moved within a set of bias frames that have no overscan to follow it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from astropy.io import fits

from nightcal.io.keywords import warn
from nightcal.masters.dividing_card import describe_division, find_gap
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.warning_names import name_warning

LEAST = 1.0
"""Change of the level that matters [e-]."""

LEAST_NOISE = 0.5
"""The same, in units of the read noise. Stable cameras keep their level to a tenth of it."""


def warn_of_level_drift(header: fits.Header, frames: Sequence[CalibrationFrame], levels: Sequence[float]) -> None:
    """Warn if the level moved by what matters to a science frame.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the master bias; changed in place.
    frames : sequence of CalibrationFrame
    levels : sequence of float
        Of each frame [e-].
    """
    if all(frame.readout.has_overscan for frame in frames):
        return
    groups = find_gap(levels)
    low, high = min(levels), max(levels)
    if groups is not None:
        low, high = (float(np.mean([levels[place] for place in group])) for group in groups)
    if high - low > max(LEAST, LEAST_NOISE * frames[0].readout.read_noise):
        text = f"from {low:.1f} to {high:.1f} e- within the set, which has no overscan"
        warn(header, name_warning("bias level moved", f"{text}: {describe_division(frames, groups)}"))
