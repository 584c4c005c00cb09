"""Plate models: polynomials from pixels to a tangent plane on the sky."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nightcal.numerics.sphere import angles, unit_vectors

Floats = NDArray[np.float64]

WORST_CONDITION = 1e12
"""Largest condition number of the normal equations: beyond it, stars lie on a line or are too few for the order."""


@dataclass(frozen=True, slots=True)
class Plate:
    """Polynomials from pixels to standard coordinates, in the plane tangent to the sky at one point.

    Attributes
    ----------
    ra, dec : float
        Tangent point [deg].
    x, y : float
        Reference pixel, the origin of positions; the first pixel is 1.
    size : float
        Length [pix] by which positions are divided, so that their powers are of order 1.
    order : int
        Order of the polynomials.
    coefficients : ndarray of float64, shape (2, terms)
        Coefficients of xi and eta [deg], in the order of `list_powers`.
    """

    ra: float
    dec: float
    x: float
    y: float
    size: float
    order: int
    coefficients: Floats

    def project_pixels(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Compute the standard coordinates xi, eta [deg] of pixels, shape (2, n)."""
        terms = _list_terms(self._normalise(x, self.x), self._normalise(y, self.y), self.order)
        return np.stack([sum_products(row, terms) for row in self.coefficients])

    def locate_pixels(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Compute right ascension and declination [deg] of pixels."""
        xi, eta = self.project_pixels(x, y)
        return deproject(xi, eta, self.ra, self.dec)

    def fit(self, x: Floats, y: Floats, standard: Floats, weights: Floats, order: int) -> Plate | None:
        """Fit polynomials to pixels and their standard coordinates by weighted least squares.

        Returns
        -------
        Plate or None
            None if the positions do not determine the polynomials.

        Notes
        -----
        The normal equations are summed without BLAS: the result does not depend on the number of threads.
        """
        terms = _list_terms(self._normalise(x, self.x), self._normalise(y, self.y), order)
        matrix = np.array([[(weights * a * b).sum() for a in terms] for b in terms])
        right = np.array([[(weights * a * values).sum() for values in standard] for a in terms])
        if len(x) < len(terms) or not np.linalg.cond(matrix) < WORST_CONDITION:
            return None
        return replace(self, order=order, coefficients=np.linalg.solve(matrix, right).T)

    def fit_rigid(self, x: Floats, y: Floats, standard: Floats, weights: Floats) -> Plate | None:
        """Fit only shift, rotation and scale to pixels and their standard coordinates; keep the parity.

        Returns
        -------
        Plate or None
            None if the positions do not determine them.
        """
        u, v = self._normalise(x, self.x), self._normalise(y, self.y)
        hand = 1.0 if np.linalg.det(self.matrix) > 0 else -1.0
        place, target = u + 1j * hand * v, standard[0] + 1j * standard[1]
        place_mean, target_mean = ((weights * values).sum() / weights.sum() for values in (place, target))
        length = (weights * np.abs(place - place_mean) ** 2).sum()
        if len(x) < 2 or not length > 0:
            return None
        turn = (weights * np.conj(place - place_mean) * (target - target_mean)).sum() / length
        shift = target_mean - turn * place_mean
        rows = [[shift.real, turn.real, -hand * turn.imag], [shift.imag, turn.imag, hand * turn.real]]
        return replace(self, order=1, coefficients=np.array(rows))

    def recentre(self) -> Plate:
        """Move the tangent point to the reference pixel; the polynomials must then be fitted again."""
        ra, dec = self.locate_pixels([self.x], [self.y])
        return replace(self, ra=float(ra[0]), dec=float(dec[0]))

    @property
    def matrix(self) -> Floats:
        """Linear part [deg/pix], shape (2, 2): rows xi and eta, columns x and y."""
        return self.coefficients[:, 1:3] / self.size

    @property
    def scale(self) -> float:
        """Pixel scale at the reference pixel [arcsec/pix]."""
        return 3600 * float(np.sqrt(abs(np.linalg.det(self.matrix))))

    def _normalise(self, values: ArrayLike, origin: float) -> Floats:
        return (np.asarray(values, dtype=np.float64) - origin) / self.size


def fit_linear_plate(sky: Callable[[Floats, Floats], tuple[Floats, Floats]], shape: tuple[int, int]) -> Plate | None:
    """Fit a linear plate to any function from pixels to sky coordinates.

    Parameters
    ----------
    sky : callable
        From x and y (the first pixel is 1) to right ascension and declination [deg].
    shape : (int, int)
        Rows and columns of the frame.

    Returns
    -------
    Plate or None
        None if the function maps the frame to no tangent plane.
    """
    rows, columns = shape
    x, y = (values.ravel() for values in np.meshgrid(np.linspace(1, columns, 5), np.linspace(1, rows, 5)))
    centre = (columns + 1) / 2, (rows + 1) / 2
    ra, dec = sky(np.array([centre[0]]), np.array([centre[1]]))
    empty = Plate(float(ra[0]), float(dec[0]), *centre, max(rows, columns) / 2, 1, np.zeros((2, 3)))
    standard = project(*sky(x, y), empty.ra, empty.dec)
    if not np.isfinite(standard).all():
        return None
    return empty.fit(x, y, standard, np.ones(len(x)), 1)


def list_powers(order: int) -> list[tuple[int, int]]:
    """List the powers of x and y of each term: the constant first, then x, y, x^2, xy, ..."""
    return [(total - q, q) for total in range(order + 1) for q in range(total + 1)]


def sum_products(coefficients: Floats, terms: list[Floats]) -> Floats:
    """Sum the products of coefficients and terms, in this order."""
    return np.asarray(sum(c * term for c, term in zip(coefficients, terms, strict=True)))


def _list_terms(u: Floats, v: Floats, order: int) -> list[Floats]:
    """Compute each term of the polynomials."""
    return [u**p * v**q for p, q in list_powers(order)]


def project(ra: ArrayLike, dec: ArrayLike, ra0: float, dec0: float) -> Floats:
    """Project the sky [deg] to the plane tangent at a point [deg] (gnomonic projection).

    Returns
    -------
    ndarray of float64, shape (2, n)
        Standard coordinates xi (east) and eta (north) [deg]; NaN on the far half of the sky.

    Notes
    -----
    Scalar products of unit vectors, so that the poles and right ascension 0 need no special case.
    """
    axes = _find_axes(ra0, dec0)
    along, east, north = (
        (unit_vectors(np.asarray(ra, float), np.asarray(dec, float)) * axis).sum(axis=-1) for axis in axes
    )
    along = np.where(along > 0, along, np.nan)
    return np.degrees(np.stack([east / along, north / along]))


def deproject(xi: Floats, eta: Floats, ra0: float, dec0: float) -> tuple[Floats, Floats]:
    """Compute right ascension and declination [deg] from standard coordinates and the tangent point [deg]."""
    along, east, north = _find_axes(ra0, dec0)
    return angles(along + np.radians(xi)[..., None] * east + np.radians(eta)[..., None] * north)


def _find_axes(ra0: float, dec0: float) -> tuple[Floats, Floats, Floats]:
    """Find the unit vectors to the tangent point, and from there to east and north."""
    alpha, delta = np.radians(ra0), np.radians(dec0)
    along = unit_vectors(np.asarray(ra0), np.asarray(dec0))
    east = np.array([-np.sin(alpha), np.cos(alpha), 0.0])
    north = np.array([-np.sin(delta) * np.cos(alpha), -np.sin(delta) * np.sin(alpha), np.cos(delta)])
    return along, east, north
