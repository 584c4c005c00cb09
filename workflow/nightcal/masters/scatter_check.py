"""Warn if the frames of a master scatter otherwise than gain and read noise predict, and say what divides them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.io.keywords import warn
from nightcal.masters.dividing_card import describe_division, find_groups
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.warning_names import name_warning

USUAL_RATIO = (0.67, 1.5)
"""Measured over modelled noise."""

OTHER_CAUSES = "wrong gain or read noise, a bias of another level"

SAMPLED_ROWS = 16

Sample = Callable[[CalibrationFrame, slice], NDArray[np.float32]]
"""Reads some rows of a frame as they enter the stack."""


def warn_of_scatter(
    header: fits.Header, kind: str, frames: Sequence[CalibrationFrame], ratio: float, read: Sample
) -> None:
    """Warn of a set that scatters too much, too little, or not at all.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the master; changed in place.
    kind : str
        ``bias``, ``dark`` or ``flat``.
    frames : sequence of CalibrationFrame
    ratio : float
        Measured over modelled noise; 0 if the frames do not scatter at all.
    read : function
        As they enter the stack; only called to find out what divides a set that scatters too much.
    """
    low, high = USUAL_RATIO
    if ratio == 0:
        warn(header, name_warning("no scatter", f"all {kind} frames have the same pixels: not raw frames of a CCD"))
        return
    if low <= ratio <= high:
        return
    text = f"{kind} frames scatter {ratio:.2f} times as much as gain and read noise predict"
    if ratio > high:
        rows = _choose_rows(frames[0].readout.shape[0])
        images = [np.concatenate([read(frame, strip).ravel() for strip in rows]) for frame in frames]
        groups = find_groups(images)
        division = describe_division(frames, groups) if groups else f"{OTHER_CAUSES}, or drifting frames"
    else:
        division = f"{OTHER_CAUSES}, or averages of several exposures"
    warn(header, name_warning("unexpected scatter", f"{text}: {division}"))


def _choose_rows(ny: int) -> list[slice]:
    rows = sorted({int(row) for row in np.linspace(0, ny - 1, SAMPLED_ROWS + 2)[1:-1]})
    return [slice(row, row + 1) for row in rows]
