"""How the light of a star spreads: the part of it within a radius, and in an aperture some way off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RINGS = 120
"""Into which the light of a star is divided."""

STEPS = 60
"""Distances for which the light in an aperture is worked out; between them it is interpolated."""

LEAST_LIGHT = 1e-6
"""Outside each aperture but the largest, and by which each holds more than the one before."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GrowthCurve:
    """Light of a star of unit light in narrow rings.

    Attributes
    ----------
    radii : ndarray of float64, shape (rings,)
        Middle of each ring [pix].
    light : ndarray of float64, shape (rings,)
        In each ring; the sum is 1.
    reach : float
        Outer radius of the last ring: no light is known beyond.
    """

    radii: Vector
    light: Vector
    reach: float

    def within(self, radius: float) -> float:
        """Part of the light that an aperture around the star holds, of radius in pixels."""
        edges = np.linspace(0, self.reach, len(self.radii) + 1)
        return float(np.interp(radius, edges, np.append(0, self.light.cumsum())))

    def radius_of(self, part: float) -> float:
        """Radius [pix] that holds a part of the light, at most all of it."""
        edges = np.linspace(0, self.reach, len(self.radii) + 1)
        return float(np.interp(part, np.append(0, self.light.cumsum()), edges))

    def share(self, radius: float, distance: Vector) -> Vector:
        """Part of the light that falls into an aperture away from the star.

        Parameters
        ----------
        radius : float
            Of the aperture [pix].
        distance : ndarray of float64
            Of its centre from the star [pix].

        Returns
        -------
        ndarray of float64

        Notes
        -----
        Of a ring of radius r about the star, the part arccos((d^2 + r^2 - radius^2) / 2 d r) / pi is in the aperture.
        """
        steps = np.linspace(0, self.reach + radius, STEPS + 1)[1:]
        cosine = (steps[:, None] ** 2 + self.radii**2 - radius**2) / (2 * steps[:, None] * self.radii)
        parts = np.sum(self.light * np.arccos(np.clip(cosine, -1, 1)), axis=1) / np.pi
        return np.interp(distance, np.append(0, steps), np.append(self.within(radius), parts), right=0.0)


def growth_curve(radii: Vector, parts: Vector) -> GrowthCurve:
    """Interpolate the light that apertures hold.

    Parameters
    ----------
    radii : ndarray of float64, shape (n,)
        Of two apertures or more [pix], ascending. A star has no light beyond the last.
    parts : ndarray of float64, shape (n,)
        Light in each, in parts of that in the last.

    Returns
    -------
    GrowthCurve

    Notes
    -----
    The logarithm of -log(1 - part) is interpolated linearly over the logarithm of the radius: exact for a Gaussian,
    where it has a slope of 2 everywhere, and near enough for stars with wings. Within the smallest aperture the slope
    is 2, as of any profile with a flat top; to the largest, that of the ring before is continued and scaled.
    """
    inner, held = radii[:-1], _rising(parts[:-1])
    places, values = np.log(inner), np.log(-np.log1p(-held))
    slope = (values[-1] - values[-2]) / (places[-1] - places[-2]) if len(inner) > 1 else 2.0
    edges = np.linspace(0, float(radii[-1]), RINGS + 1)[1:]

    def outside(radius: Vector) -> Vector:
        place = np.log(radius)
        value = np.interp(place, places, values) + 2 * np.minimum(place - places[0], 0)
        return np.exp(-np.exp(value + slope * np.maximum(place - places[-1], 0)))

    missed = outside(edges)
    first, last = outside(np.array([inner[-1], radii[-1]]))
    beyond = edges > inner[-1]
    missed[beyond] = first * (missed[beyond] - last) / max(first - last, LEAST_LIGHT * first)
    missed[-1] = 0.0
    return GrowthCurve(edges - edges[0] / 2, -np.diff(missed, prepend=1.0), float(radii[-1]))


def _rising(parts: Vector) -> Vector:
    """Make each part larger than the one before, and all less than 1: noise can have them otherwise."""
    steps = LEAST_LIGHT * np.arange(1, len(parts) + 1)
    rising = np.maximum.accumulate(np.nan_to_num(parts) - steps)
    return np.clip(rising, 0, 1 - 2 * steps[-1]) + steps
