"""Find the pixels whose dark current hurts in an exposure: by its noise, or by its signal where no dark is subtracted.

A limit in units of the scatter of a dark would flag every pixel of a long exposure, whose dark current is measured
well, and few of a short one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master import Plane
from nightcal.numerics.blocks import cut_strips

OWN_SIGMA = 5.0
"""Currents less than this many of their own errors above the typical one are noise."""

STRIP = 64

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Exposure:
    """An exposure, and the noise that every pixel has in it.

    Attributes
    ----------
    time : float
        [s]
    read_noise : float
        [e-]
    typical : float
        Typical dark current [e-/s].
    """

    time: float
    read_noise: float
    typical: float = 0.0

    @property
    def noise(self) -> float:
        """Noise without light: read noise and that of the typical dark current [e-]."""
        return float(np.sqrt(self.read_noise**2 + max(0.0, self.typical) * self.time))

    def find_hot_current(self, limit: float) -> float:
        """Find the dark current whose own noise is ``limit`` times that of every pixel [e-/s]."""
        return (limit * self.noise) ** 2 / self.time

    def find_warm_current(self, limit: float) -> float:
        """Find the excess of dark current that adds ``limit`` times the noise of every pixel [e-/s]."""
        return limit * self.noise / self.time


def find_above(current: Plane, variance: Plane, least: float, typical: float = 0.0) -> Mask:
    """Find the pixels whose dark current exceeds a limit, and the typical one by 5 of its own errors.

    Parameters
    ----------
    current, variance : ndarray of float32, shape (ny, nx), or StoredPlane
        [e-/s], [e-^2/s^2]
    least : float
        From `Exposure.find_hot_current` or `Exposure.find_warm_current` [e-/s]; infinity finds nothing.
    typical : float
        [e-/s]

    Returns
    -------
    ndarray of bool, shape (ny, nx)
    """
    found = np.zeros(current.shape, dtype=bool)
    for strip in cut_strips(len(found), STRIP):
        part = np.asarray(current[strip], np.float32)
        own = np.float32(OWN_SIGMA) * np.sqrt(np.asarray(variance[strip], np.float32))
        found[strip] = (part > np.float32(least)) & (part - np.float32(typical) > own)
    return found
