"""A plate: the tangent plane of the sky, and polynomials from pixels to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nightcal.numerics.sphere import angles, unit_vectors

Floats = NDArray[np.float64]

WORST_CONDITION = 1e12
"""Of the normal equations: beyond it the stars lie on a line, or are too few for the order."""


@dataclass(frozen=True, slots=True)
class Plate:
    """Polynomials from pixels to standard coordinates, those of the plane that touches the sky at one point.

    Attributes
    ----------
    ra, dec : float
        Tangent point [deg].
    x, y : float
        Pixel from which positions are counted; the first pixel is 1.
    size : float
        Length [pix] by which positions are divided, so that their powers stay of order 1.
    order : int
        Of the polynomials.
    coefficients : ndarray of float64, shape (2, terms)
        Of xi and eta [deg], in the order of `powers`.
    """

    ra: float
    dec: float
    x: float
    y: float
    size: float
    order: int
    coefficients: Floats

    def standard(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Tell the standard coordinates xi, eta [deg] of pixels, shape (2, n)."""
        terms = _terms(self._scaled(x, self.x), self._scaled(y, self.y), self.order)
        return np.stack([sum_of_products(row, terms) for row in self.coefficients])

    def sky(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Right ascension and declination [deg] of pixels."""
        xi, eta = self.standard(x, y)
        return deproject(xi, eta, self.ra, self.dec)

    def fitted(self, x: Floats, y: Floats, standard: Floats, weights: Floats, order: int) -> Plate | None:
        """Fit polynomials of an order to pixels and their standard coordinates by weighted least squares.

        Returns
        -------
        Plate or None
            None where the positions do not determine the polynomials.

        Notes
        -----
        Normal equations of sums, without a BLAS: the result does not depend on the number of threads.
        """
        terms = _terms(self._scaled(x, self.x), self._scaled(y, self.y), order)
        matrix = np.array([[(weights * a * b).sum() for a in terms] for b in terms])
        right = np.array([[(weights * a * values).sum() for values in standard] for a in terms])
        if len(x) < len(terms) or not np.linalg.cond(matrix) < WORST_CONDITION:
            return None
        return replace(self, order=order, coefficients=np.linalg.solve(matrix, right).T)

    def rigid(self, x: Floats, y: Floats, standard: Floats, weights: Floats) -> Plate | None:
        """Fit shift, rotation and scale alone to pixels and their standard coordinates; the parity stays.

        Returns
        -------
        Plate or None
            None where the positions do not determine them.
        """
        u, v = self._scaled(x, self.x), self._scaled(y, self.y)
        hand = 1.0 if np.linalg.det(self.matrix()) > 0 else -1.0
        place, target = u + 1j * hand * v, standard[0] + 1j * standard[1]
        place_mean, target_mean = ((weights * values).sum() / weights.sum() for values in (place, target))
        length = (weights * np.abs(place - place_mean) ** 2).sum()
        if len(x) < 2 or not length > 0:
            return None
        turn = (weights * np.conj(place - place_mean) * (target - target_mean)).sum() / length
        shift = target_mean - turn * place_mean
        rows = [[shift.real, turn.real, -hand * turn.imag], [shift.imag, turn.imag, hand * turn.real]]
        return replace(self, order=1, coefficients=np.array(rows))

    def recentred(self) -> Plate:
        """Put the tangent point where the reference pixel looks; the polynomials are to be fitted anew."""
        ra, dec = self.sky([self.x], [self.y])
        return replace(self, ra=float(ra[0]), dec=float(dec[0]))

    def matrix(self) -> Floats:
        """Linear part [deg/pix], shape (2, 2): rows xi and eta, columns x and y."""
        return self.coefficients[:, 1:3] / self.size

    @property
    def scale(self) -> float:
        """Size of a pixel at the reference pixel [arcsec]."""
        return 3600 * float(np.sqrt(abs(np.linalg.det(self.matrix()))))

    def _scaled(self, values: ArrayLike, origin: float) -> Floats:
        return (np.asarray(values, dtype=np.float64) - origin) / self.size


def plate_of(sky: Callable[[Floats, Floats], tuple[Floats, Floats]], shape: tuple[int, int]) -> Plate | None:
    """Linear plate of a frame from any function that tells the sky of its pixels.

    Parameters
    ----------
    sky : callable
        From x and y (the first pixel is 1) to right ascension and declination [deg].
    shape : (int, int)
        Rows and columns.

    Returns
    -------
    Plate or None
        None where the function gives no plane piece of the sky.
    """
    rows, columns = shape
    x, y = (values.ravel() for values in np.meshgrid(np.linspace(1, columns, 5), np.linspace(1, rows, 5)))
    centre = (columns + 1) / 2, (rows + 1) / 2
    ra, dec = sky(np.array([centre[0]]), np.array([centre[1]]))
    empty = Plate(float(ra[0]), float(dec[0]), *centre, max(rows, columns) / 2, 1, np.zeros((2, 3)))
    standard = project(*sky(x, y), empty.ra, empty.dec)
    if not np.isfinite(standard).all():
        return None
    return empty.fitted(x, y, standard, np.ones(len(x)), 1)


def powers(order: int) -> list[tuple[int, int]]:
    """Powers of x and y of each term, the constant first, then x, y, x^2, xy, ..."""
    return [(total - q, q) for total in range(order + 1) for q in range(total + 1)]


def sum_of_products(coefficients: Floats, terms: list[Floats]) -> Floats:
    """Sum of each coefficient times its term, in that order."""
    return np.asarray(sum(c * term for c, term in zip(coefficients, terms, strict=True)))


def _terms(u: Floats, v: Floats, order: int) -> list[Floats]:
    return [u**p * v**q for p, q in powers(order)]


def project(ra: ArrayLike, dec: ArrayLike, ra0: float, dec0: float) -> Floats:
    """Gnomonic projection of the sky [deg] about a tangent point [deg].

    Returns
    -------
    ndarray of float64, shape (2, n)
        Standard coordinates xi (to the east) and eta (to the north) [deg]; NaN on the far half of the sky.

    Notes
    -----
    As scalar products of unit vectors, so that poles and right ascension 0 are places like any other.
    """
    axes = _axes(ra0, dec0)
    along, east, north = (
        (unit_vectors(np.asarray(ra, float), np.asarray(dec, float)) * axis).sum(axis=-1) for axis in axes
    )
    along = np.where(along > 0, along, np.nan)
    return np.degrees(np.stack([east / along, north / along]))


def deproject(xi: Floats, eta: Floats, ra0: float, dec0: float) -> tuple[Floats, Floats]:
    """Right ascension and declination [deg] of standard coordinates [deg] about a tangent point [deg]."""
    along, east, north = _axes(ra0, dec0)
    return angles(along + np.radians(xi)[..., None] * east + np.radians(eta)[..., None] * north)


def _axes(ra0: float, dec0: float) -> tuple[Floats, Floats, Floats]:
    """Find the unit vectors to the tangent point, and from there to the east and north."""
    alpha, delta = np.radians(ra0), np.radians(dec0)
    along = unit_vectors(np.asarray(ra0), np.asarray(dec0))
    east = np.array([-np.sin(alpha), np.cos(alpha), 0.0])
    north = np.array([-np.sin(delta) * np.cos(alpha), -np.sin(delta) * np.sin(alpha), np.cos(delta)])
    return along, east, north
