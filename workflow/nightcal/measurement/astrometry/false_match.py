"""Whether a match of sources with stars could be chance."""

from __future__ import annotations

import numpy as np

from nightcal.measurement.astrometry.patterns import Search
from nightcal.measurement.astrometry.plate_fit import Refined, Sources, Stars, density


def chance_of(found: Refined, sources: Sources, stars: Stars, search: Search) -> float:
    """Tell the probability that chance puts as many sources within the radius of stars, for any plate searched.

    Parameters
    ----------
    found : Refined
    sources : Sources
    stars : Stars
    search : Search

    Returns
    -------
    float

    Notes
    -----
    The Poisson tail for one plate, times the number of plates that differ by a matching radius somewhere in the frame:
    their shifts, rotations, scales, and two parities.
    """
    from scipy.special import gammainc

    radius = found.radius
    expected = len(sources.x) * -np.expm1(-np.pi * radius**2 * density(sources, stars, found.plate))
    half_diagonal = np.hypot(*sources.shape) / 2
    shifts = max(1.0, np.pi * (search.radius * 3600 / search.scale / radius) ** 2)
    turns = max(1.0, np.pi * half_diagonal / radius)
    scales = max(1.0, search.tolerance * half_diagonal / radius)
    tail = gammainc(len(found.sources), max(expected, 1e-12))
    return float(min(1.0, tail * 2 * shifts * turns * scales))
