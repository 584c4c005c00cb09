"""Gain, read noise and saturation of a product, for programs that read GAIN, RDNOISE, SATURATE and DATAMAX."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nightcal.detector.readout import Readout
from nightcal.io.master import MasterFrame

MIDDLE_ROWS = 16
"""Rows from which the typical level of a bias is found."""


def list_image_numbers(readout: Readout, bias: MasterFrame | None, unit: str) -> dict[str, Any]:
    """List gain, read noise and saturation of a product, by keyword.

    Parameters
    ----------
    readout : Readout
        Of the raw frame.
    bias : MasterFrame or None
        That was subtracted [e-].
    unit : str
        Unit of the product, ``electron`` or ``adu``.

    Returns
    -------
    dict
        ``GAIN`` is 1 in electrons, and the gain of the detector in ADU. ``SATURATE``, the lowest level of the
        amplifiers at which a pixel where the flat is 1 saturates, and ``DATAMAX`` are in the unit of the product; they
        are absent if no limit is known, and ``RDNOISE`` [e-] if the read noise is unknown.
    """
    scale = 1.0 if unit == "electron" else 1.0 / readout.gain
    values: dict[str, Any] = {"GAIN": 1.0 / scale}
    if readout.read_noise > 0:
        values["RDNOISE"] = readout.read_noise
    saturation = scale * (_find_saturation(readout) - find_typical_bias(bias))
    if math.isfinite(saturation) and saturation > 0:
        values |= {"SATURATE": saturation, "DATAMAX": saturation}
    return values


def _find_saturation(readout: Readout) -> float:
    """Find the lowest signal of a saturated pixel above the overscan level, before bias [e-]; infinite if unknown."""
    return min(share.gain * (share.saturation - (share.mean_overscan_level or 0.0)) for _, share in readout.shares)


def find_typical_bias(bias: MasterFrame | None) -> float:
    """Find the typical level of a master bias from its middle rows [e-]; 0 without a bias."""
    if bias is None:
        return 0.0
    start = max(0, (bias.data.shape[0] - MIDDLE_ROWS) // 2)
    return float(np.median(np.asarray(bias.data[start : start + MIDDLE_ROWS])))
