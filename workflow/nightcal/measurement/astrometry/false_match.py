"""Estimate whether a match of sources with stars could be chance."""

from __future__ import annotations

import numpy as np

from nightcal.measurement.astrometry.patterns import Search
from nightcal.measurement.astrometry.plate_fit import RefinedPlate, Sources, Stars, measure_density


def estimate_chance(found: RefinedPlate, sources: Sources, stars: Stars, search: Search) -> float:
    """Estimate the probability that any of the plates searched matches as many stars by chance.

    Parameters
    ----------
    found : RefinedPlate
    sources : Sources
    stars : Stars
    search : Search

    Returns
    -------
    float

    Notes
    -----
    The Poisson tail for one plate, times the number of distinct plates: shifts, rotations and scales that move some
    part of the frame by a matching radius, and two parities.
    """
    from scipy.special import gammainc

    radius = found.radius
    expected = len(sources.x) * -np.expm1(-np.pi * radius**2 * measure_density(sources, stars, found.plate))
    half_diagonal = np.hypot(*sources.shape) / 2
    shifts = max(1.0, np.pi * (search.radius * 3600 / search.scale / radius) ** 2)
    turns = max(1.0, np.pi * half_diagonal / radius)
    scales = max(1.0, search.tolerance * half_diagonal / radius)
    tail = gammainc(len(found.sources), max(expected, 1e-12))
    return float(min(1.0, tail * 2 * shifts * turns * scales))
