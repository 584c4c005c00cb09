"""Decide by noise whether a dark that is scaled up to long flats is worth subtracting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nightcal.io.master import MasterFrame
from nightcal.numerics.robust import rstd
from nightcal.planning.dark_scaling import amplification

SAMPLED_ROWS = 64

HURTS = 0.01
"""Dark signal of a pixel, as a fraction of a flat's level, from which on it spoils the response."""


@dataclass(frozen=True, slots=True)
class DarkWorth:
    """What a dark adds to the pixels of a frame, and what it takes away [e-].

    Attributes
    ----------
    added : float
        Noise of the dark, scaled to the exposure time.
    removed : float
        Typical dark signal and its pattern, added in quadrature, without that noise.
    """

    added: float
    removed: float

    @property
    def is_positive(self) -> bool:
        """Whether more is removed than added."""
        return self.removed >= self.added


def weigh_dark(dark: MasterFrame, time: float) -> DarkWorth:
    """Weigh the noise that a dark adds against the signal that it removes.

    Parameters
    ----------
    dark : MasterFrame
        [e-/s]
    time : float
        Exposure time by which it is multiplied [s].

    Returns
    -------
    DarkWorth
        From some rows.
    """
    rows = slice(None, None, -(-dark.data.shape[0] // SAMPLED_ROWS))
    current = np.asarray(dark.data[rows], np.float64)
    variance = float(np.median(np.asarray(dark.variance[rows])))
    typical, pattern = float(np.median(current)), float(rstd(current.ravel()))
    removed = typical**2 + max(0.0, pattern**2 - variance)
    return DarkWorth(time * variance**0.5, time * removed**0.5)


def find_factor(dark: MasterFrame, exposure: float) -> float:
    """Find the factor by which a dark is scaled up to an exposure time [s]; 1 if it is not, or if nobody knows."""
    longest = dark.longest_exposure_time
    return 1.0 if longest is None else amplification((longest, longest), (exposure, exposure), dark.pedestal_exposure)
