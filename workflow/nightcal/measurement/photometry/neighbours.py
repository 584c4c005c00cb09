"""Estimate the flux of neighbours in the apertures of sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.photometry.growth_curve import GrowthCurve, interpolate_growth_curve
from nightcal.measurement.sources.table import find_reliable_sources, read_column

if TYPE_CHECKING:
    from astropy.table import Table

MOST_STARS = 200
"""Largest number of stars for growth curve and aperture corrections, the brightest first."""

GOOD_SNR = 20.0
"""Smallest signal-to-noise ratio in the largest aperture of a star for the growth curve."""

WANTED_STARS = 10
ISOLATED = 3
"""The growth curve is that of the most isolated third of the bright stars, at least ten."""

ROUNDS = 4
"""Rounds of subtracting neighbours from each other, and of measuring the growth curve again."""

DOUBT = 0.2
"""Relative 1 sigma error of the flux of neighbours: interpolating the growth curve adds 7 percent within 2.5 FWHM, up
to half further out, where little flux falls, and more if the shape of stars varies over the field."""

Vector = NDArray[np.float64]
Indices = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourFlux:
    """Flux of other stars in the apertures of n sources.

    Attributes
    ----------
    curve : GrowthCurve
        Of the stars of the frame.
    radii : ndarray of float64, shape (apertures + 1,)
        Of the circular apertures [pix], and last that of a circle with the flux of a typical Kron aperture.
    own : ndarray of float64, shape (n,)
        Total flux of each source without that of its neighbours [e-]; 0 if unknown.
    flux : ndarray of float64, shape (n, apertures + 1)
        Flux of the neighbours in each aperture [e-]; below 0 where the sky contains more of them than the aperture.
    unseen, unseen_scatter : ndarray of float64, shape (n, apertures + 1), or float
        Part of `flux` that is expected of companions which neither frame nor catalogue shows, and its standard
        deviation from source to source [e-].
    """

    curve: GrowthCurve
    radii: Vector
    own: Vector
    flux: Vector
    unseen: Vector | float = 0.0
    unseen_scatter: Vector | float = 0.0

    @property
    def error(self) -> Vector:
        """1 sigma error of `flux` [e-], same shape."""
        return np.hypot(DOUBT * (self.flux - self.unseen), self.unseen_scatter)

    def scale(self, factor: float) -> NeighbourFlux:
        """Multiply the flux of all neighbours, as if it were wrong by this factor."""
        return replace(self, flux=factor * self.flux, unseen=factor * self.unseen)

    def measure_crowding(self, aperture: int) -> Vector:
        """Measure the flux of neighbours in an aperture relative to that of the source; infinite if unknown."""
        own = self.own * self.curve.integrate_within(self.radii[aperture])
        return np.divide(self.flux[:, aperture], own, out=np.full(len(own), np.inf), where=own > 0)


def estimate_neighbour_flux(table: Table) -> NeighbourFlux:
    """Estimate the flux of each source in the apertures of the others.

    Parameters
    ----------
    table : astropy.table.Table
        With XWIN_IMAGE, YWIN_IMAGE, FLUX_APER, FLUXERR_APER, FLUX_AUTO, FWHM_IMAGE and FLAGS; diameters of the
        apertures [pix] in ``meta["APERTURES"]``.

    Returns
    -------
    NeighbourFlux

    Notes
    -----
    The total flux of a source is that in the smallest aperture, where neighbours contribute least, divided by the
    fraction of a star's flux in it. The flux of neighbours is subtracted from this and from the stars of the growth
    curve in turn, starting with Gaussian stars.
    """
    radii = np.array(table.meta["APERTURES"], dtype=np.float64) / 2
    small, large = int(np.argmin(radii)), int(np.argmax(radii))
    flux = np.column_stack([read_column(table, "FLUX_APER"), read_column(table, "FLUX_AUTO")])
    measured = np.maximum(np.nan_to_num(flux[:, small], posinf=0), 0)
    bright = _select_bright_stars(table, flux[:, large])
    half_light_radius = _estimate_half_light_radius(table, radii)
    one, two, distance = _find_pairs(table, 2 * radii[large])
    spill, stars = np.zeros_like(flux), bright[:0]
    for _ in range(ROUNDS):
        curve, kron = _measure_growth_curve(radii, (flux - spill)[stars], half_light_radius)
        apertures = np.append(radii, kron)
        shares = np.stack([curve.integrate_aperture(radius, distance) for radius in apertures], axis=1)
        own = _estimate_own_flux(measured, one, two, shares[:, small], curve.integrate_within(radii[small]))
        spill = np.stack([np.bincount(one, share * own[two], len(own)) for share in shares.T], axis=1)
        found = NeighbourFlux(curve, apertures, own, spill)
        isolated = np.argsort(found.measure_crowding(large)[bright], kind="stable")
        stars = bright[isolated[: max(WANTED_STARS, len(bright) // ISOLATED)]]
    return found


def read_places(table: Table) -> Vector:
    """Read the positions of sources [pix], shape (n, 2); the centre of the first pixel is 1."""
    return np.stack([read_column(table, "XWIN_IMAGE"), read_column(table, "YWIN_IMAGE")], axis=1)


def _measure_growth_curve(radii: Vector, flux: Vector, half_light_radius: float) -> tuple[GrowthCurve, float]:
    """Measure the growth curve of stars, and the radius with the flux of their Kron apertures (the last column)."""
    order = np.argsort(radii)
    total = flux[:, order[-1]][:, None]
    parts = (
        np.median(flux / total, axis=0) if len(flux) else 1 - 0.5 ** (np.append(radii, np.inf) / half_light_radius) ** 2
    )
    ascending, held = radii[order], parts[order]
    if len(radii) == 1:
        ascending, held = np.append(half_light_radius, ascending), np.append(0.5, held)
    curve = interpolate_growth_curve(ascending, held)
    return curve, curve.find_radius(float(np.nan_to_num(parts[-1], nan=1.0)))


def _estimate_own_flux(measured: Vector, one: Indices, two: Indices, share: Vector, inside: float) -> Vector:
    """Estimate the total flux of each source from that in an aperture, less the flux of the others in it."""
    own = measured / inside
    for _ in range(ROUNDS):
        own = np.maximum(measured - np.bincount(one, share * own[two], len(own)), 0) / inside
    return own


def _select_bright_stars(table: Table, total: Vector) -> Indices:
    """Select the rows of the stars for the growth curve."""
    error = read_column(table, "FLUXERR_APER")[:, int(np.argmax(table.meta["APERTURES"]))]
    good = (
        find_reliable_sources(table)
        & (total > 0)
        & (total >= GOOD_SNR * error)
        & np.isfinite(read_column(table, "FLUX_AUTO"))
    )
    rows = np.flatnonzero(good & np.isfinite(read_column(table, "FLUX_APER")).all(axis=1))
    return rows[np.argsort(-total[rows], kind="stable")[:MOST_STARS]]


def _estimate_half_light_radius(table: Table, radii: Vector) -> float:
    """Estimate the half-light radius of a star [pix], assumed Gaussian; less than the largest aperture."""
    widths = read_column(table, "FWHM_IMAGE")
    widths = widths[np.isfinite(widths) & (widths > 0)]
    return float(min(np.median(widths) if len(widths) else np.inf, radii.max()) / 2)


def _find_pairs(table: Table, reach: float) -> tuple[Indices, Indices, Vector]:
    """Find pairs of nearby sources, each pair in both orders, and their distances [pix]."""
    from scipy.spatial import cKDTree

    places = read_places(table)
    known = np.flatnonzero(np.isfinite(places).all(axis=1))
    pairs = cKDTree(places[known]).query_pairs(reach, output_type="ndarray") if len(known) else np.zeros((0, 2), int)
    one, two = known[pairs[np.lexsort(pairs.T)]].T
    distance = np.linalg.norm(places[one] - places[two], axis=1)
    return np.append(one, two), np.append(two, one), np.append(distance, distance)
