"""Growth curve of stars: the fraction of the flux within a radius, or in an aperture at some distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RINGS = 120
"""Number of rings."""

STEPS = 60
"""Number of distances at which the flux in an aperture is computed; it is interpolated between them."""

LEAST_FLUX = 1e-6
"""Smallest fraction outside each aperture but the largest, and between successive apertures."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class GrowthCurve:
    """Flux of a star in narrow rings.

    Attributes
    ----------
    radii : ndarray of float64, shape (rings,)
        Middle of each ring [pix].
    flux : ndarray of float64, shape (rings,)
        Fraction in each ring; the sum is 1.
    reach : float
        Outer radius of the last ring: flux beyond is unknown.
    """

    radii: Vector
    flux: Vector
    reach: float

    def integrate_within(self, radius: float) -> float:
        """Compute the fraction of the flux within a radius [pix]."""
        edges = np.linspace(0, self.reach, len(self.radii) + 1)
        return float(np.interp(radius, edges, np.append(0, self.flux.cumsum())))

    def find_radius(self, fraction: float) -> float:
        """Find the radius [pix] that encloses a fraction of the flux."""
        edges = np.linspace(0, self.reach, len(self.radii) + 1)
        return float(np.interp(fraction, np.append(0, self.flux.cumsum()), edges))

    def integrate_aperture(self, radius: float, distance: Vector) -> Vector:
        """Compute the fraction of the flux in an aperture at some distance from the star.

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
        The fraction arccos((d^2 + r^2 - radius^2) / 2 d r) / pi of a ring of radius r lies in the aperture.
        """
        steps = np.linspace(0, self.reach + radius, STEPS + 1)[1:]
        cosine = (steps[:, None] ** 2 + self.radii**2 - radius**2) / (2 * steps[:, None] * self.radii)
        parts = np.sum(self.flux * np.arccos(np.clip(cosine, -1, 1)), axis=1) / np.pi
        return np.interp(distance, np.append(0, steps), np.append(self.integrate_within(radius), parts), right=0.0)


def interpolate_growth_curve(radii: Vector, parts: Vector) -> GrowthCurve:
    """Interpolate a growth curve between apertures.

    Parameters
    ----------
    radii : ndarray of float64, shape (n,)
        Of two or more apertures [pix], ascending. A star has no flux beyond the last.
    parts : ndarray of float64, shape (n,)
        Flux in each, as a fraction of that in the last.

    Returns
    -------
    GrowthCurve

    Notes
    -----
    The logarithm of -log(1 - fraction) is interpolated linearly over the logarithm of the radius: exact for a Gaussian,
    where the slope is 2 everywhere, and close for stars with wings. Within the smallest aperture the slope is 2, as for
    any profile with a flat top; out to the largest aperture, the slope of the previous ring is continued and scaled.
    """
    inner, held = radii[:-1], _make_rising(parts[:-1])
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
    missed[beyond] = first * (missed[beyond] - last) / max(first - last, LEAST_FLUX * first)
    missed[-1] = 0.0
    return GrowthCurve(edges - edges[0] / 2, -np.diff(missed, prepend=1.0), float(radii[-1]))


def _make_rising(parts: Vector) -> Vector:
    """Make the fractions increase and stay below 1, which noise may violate."""
    steps = LEAST_FLUX * np.arange(1, len(parts) + 1)
    rising = np.maximum.accumulate(np.nan_to_num(parts) - steps)
    return np.clip(rising, 0, 1 - 2 * steps[-1]) + steps
