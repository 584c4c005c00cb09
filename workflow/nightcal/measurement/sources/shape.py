"""Describe the shape of the stars over a frame: the FWHM in nine parts, the direction of their long axes, trails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.moments import Moments

PARTS = 3
"""Number of parts of a frame along each axis."""

FEWEST = 3
"""Fewest stars for the shape of a frame or of a part of it."""

RANGE = 0.3
"""Stars elsewhere in a frame may be wider or sharper than the typical ones by this fraction."""

TRAILED = 0.25
"""Stars are trailed if they share one direction in which they are longer by this fraction."""


@dataclass(frozen=True, slots=True)
class StarShape:
    """Shape of the stars of a frame.

    Attributes
    ----------
    angle : float
        Common direction of the long axes, from x towards y, -90 to 90 [deg]; NaN if unknown.
    elongation : float
        Length of the mean of 1 - b/a as a vector of twice that direction: 0 if the directions differ.
    fwhm_map : tuple of nine float
        Median FWHM in each part of the frame, row by row from the first pixel [pix]; NaN with fewer than three stars.
    """

    angle: float = float("nan")
    elongation: float = float("nan")
    fwhm_map: tuple[float, ...] = (float("nan"),) * PARTS**2

    @property
    def trailed(self) -> bool:
        """Whether the telescope moved: all stars are long in one direction."""
        return self.elongation >= TRAILED


def measure_star_shape(moments: Moments, bright: NDArray[np.bool_], fwhm: float, shape: tuple[int, int]) -> StarShape:
    """Measure the shape of the stars of a frame.

    Parameters
    ----------
    moments : Moments
        Of all sources.
    bright : ndarray of bool, shape (n,)
        Bright sources, however long.
    fwhm : float
        Of typical stars; NaN if unknown [pix].
    shape : (int, int)
        Of the frame.

    Returns
    -------
    StarShape
    """
    cells = [
        np.clip((PARTS * (place + 0.5) / length).astype(np.int64), 0, PARTS - 1)
        for place, length in ((moments.y, shape[0]), (moments.x, shape[1]))
    ]
    part = PARTS * cells[0] + cells[1]
    stars = bright & (np.abs(moments.fwhm / fwhm - 1) < RANGE)
    members = [moments.fwhm[stars & (part == k)] for k in range(PARTS**2)]
    widths = tuple(float(np.median(some)) if len(some) >= FEWEST else float("nan") for some in members)
    if np.count_nonzero(bright) < FEWEST:
        return StarShape(fwhm_map=widths)
    length, turn = 1 - moments.b[bright] / moments.a[bright], 2 * np.radians(moments.theta[bright])
    along, across = float(np.median(length * np.cos(turn))), float(np.median(length * np.sin(turn)))
    return StarShape(float(np.degrees(np.arctan2(across, along)) / 2), float(np.hypot(along, across)), widths)
