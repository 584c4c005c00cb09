"""Light of neighbours in the apertures of a frame's sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.photometry.growth_curve import GrowthCurve, growth_curve
from nightcal.numerics.sphere import unit_vectors

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.star_catalog import StarCatalog

SPOILED = 1 | 4 | 8 | 16
"""Bits of FLAGS: bad pixel, saturated, edge, cosmic ray. A neighbour (2) is judged by its light."""

MOST_STARS = 200
"""The brightest so many tell how light spreads, and what apertures miss; more would only add fainter ones."""

GOOD_SNR = 20.0
"""In the largest aperture, of a star that tells how light spreads."""

WANTED_STARS = 10
LONELY = 3
"""The loneliest of the bright stars, one in so many but ten if there are, tell how light spreads."""

ROUNDS = 4
"""Of taking neighbours' light away from each other, and of the growth curve that tells how much that is."""

DOUBT = 0.2
"""Of the light of neighbours, one sigma, as a part: 7 percent come from interpolating the growth curve within 2.5 FWHM,
up to half of it further out, where little falls, and more where stars change their shape over the field."""

Vector = NDArray[np.float64]
Indices = NDArray[np.integer[Any]]
Matches = tuple[Indices, Indices]


@dataclass(frozen=True, slots=True, eq=False)
class NeighbourFlux:
    """Light of other stars in the apertures of n sources.

    Attributes
    ----------
    curve : GrowthCurve
        Of the frame's stars.
    radii : ndarray of float64, shape (apertures + 1,)
        Of the circular apertures [pix], and last of one that holds as much light as the usual Kron aperture.
    own : ndarray of float64, shape (n,)
        All light of each source [e-], without that of the others; 0 where unknown.
    light : ndarray of float64, shape (n, apertures + 1)
        Of the others in each aperture [e-].
    """

    curve: GrowthCurve
    radii: Vector
    own: Vector
    light: Vector

    @property
    def error(self) -> Vector:
        """Of that light, one sigma [e-], of the same shape."""
        return DOUBT * self.light

    def crowding(self, aperture: int) -> Vector:
        """Light of the others in an aperture, in parts of the own light in it; infinite where that is unknown."""
        own = self.own * self.curve.within(self.radii[aperture])
        return np.divide(self.light[:, aperture], own, out=np.full(len(own), np.inf), where=own > 0)


def neighbour_flux(table: Table) -> NeighbourFlux:
    """Estimate the light of each source in the apertures of the others.

    Parameters
    ----------
    table : astropy.table.Table
        Sources, with XWIN_IMAGE, YWIN_IMAGE, FLUX_APER, FLUXERR_APER, FLUX_AUTO, FWHM_IMAGE and FLAGS; diameters of the
        apertures [pix] in ``meta["APERTURES"]``.

    Returns
    -------
    NeighbourFlux

    Notes
    -----
    The light of a source is that in the smallest aperture, where neighbours are least, over the part of a star's light
    that this holds. Neighbours' light is taken off that, and off the stars that tell the growth curve, in turns; to
    begin with, stars are Gaussians.
    """
    radii = np.array(table.meta["APERTURES"], dtype=np.float64) / 2
    small, large = int(np.argmin(radii)), int(np.argmax(radii))
    flux = np.column_stack([column(table, "FLUX_APER"), column(table, "FLUX_AUTO")])
    measured = np.maximum(np.nan_to_num(flux[:, small], posinf=0), 0)
    bright = _bright(table, flux[:, large])
    half_light = _half_light(table, radii)
    one, two, distance = _pairs(table, 2 * radii[large])
    light, stars = np.zeros_like(flux), bright[:0]
    for _ in range(ROUNDS):
        curve, kron = _spread(radii, (flux - light)[stars], half_light)
        apertures = np.append(radii, kron)
        shares = np.stack([curve.share(radius, distance) for radius in apertures], axis=1)
        own = _own_light(measured, one, two, shares[:, small], curve.within(radii[small]))
        light = np.stack([np.bincount(one, share * own[two], len(own)) for share in shares.T], axis=1)
        found = NeighbourFlux(curve, apertures, own, light)
        loneliest = np.argsort(found.crowding(large)[bright], kind="stable")
        stars = bright[loneliest[: max(WANTED_STARS, len(bright) // LONELY)]]
    return found


def with_catalog(
    found: NeighbourFlux, table: Table, catalog: StarCatalog, band: str, matches: Matches
) -> NeighbourFlux:
    """Count the stars of a catalogue where they tell of more light: it also knows what the frame does not resolve.

    Parameters
    ----------
    found : NeighbourFlux
        Of the table.
    table : astropy.table.Table
    catalog : StarCatalog
    band : str
        One of the catalogue's.
    matches : tuple of two ndarray of int, shape (n,)
        Indices into the table and into the catalogue.

    Returns
    -------
    NeighbourFlux
    """
    from scipy.spatial import cKDTree

    rows, stars = (np.asarray(each, dtype=np.int64) for each in matches)
    light = 10 ** (-0.4 * np.nan_to_num(np.asarray(catalog.magnitudes[band], dtype=np.float64), nan=np.inf))
    places, scale = _directions(catalog), _scale(table, catalog, rows, stars)
    lit = (found.own[rows] > 0) & (light[stars] > 0)
    if not (scale > 0 and lit.any()):
        return found
    electrons = light * float(np.median(found.own[rows][lit] / light[stars][lit]))
    reach = (found.radii.max() + found.curve.reach) * scale
    near = cKDTree(places).query_ball_point(places[stars], reach, return_sorted=True)
    star = np.repeat(np.arange(len(stars)), [len(some) for some in near])
    other = np.concatenate([np.asarray(some, dtype=np.int64) for some in near])
    star, other = (each[other != stars[star]] for each in (star, other))
    distance = np.linalg.norm(places[other] - places[stars[star]], axis=1) / scale
    each = [
        np.bincount(star, found.curve.share(radius, distance) * electrons[other], len(rows)) for radius in found.radii
    ]
    more = found.light.copy()
    more[rows] = np.maximum(more[rows], np.stack(each, axis=1))
    return replace(found, light=more)


def _spread(radii: Vector, flux: Vector, half_light: float) -> tuple[GrowthCurve, float]:
    """Growth curve of stars, and the radius that holds as much light as their Kron apertures, the last column."""
    order = np.argsort(radii)
    total = flux[:, order[-1]][:, None]
    parts = np.median(flux / total, axis=0) if len(flux) else 1 - 0.5 ** (np.append(radii, np.inf) / half_light) ** 2
    ascending, held = radii[order], parts[order]
    if len(radii) == 1:
        ascending, held = np.append(half_light, ascending), np.append(0.5, held)
    curve = growth_curve(ascending, held)
    return curve, curve.radius_of(float(np.nan_to_num(parts[-1], nan=1.0)))


def _own_light(measured: Vector, one: Indices, two: Indices, share: Vector, inside: float) -> Vector:
    """All light of each source from that in an aperture, less what falls there of the others."""
    own = measured / inside
    for _ in range(ROUNDS):
        own = np.maximum(measured - np.bincount(one, share * own[two], len(own)), 0) / inside
    return own


def _bright(table: Table, total: Vector) -> Indices:
    """Rows of the stars that tell how light spreads."""
    error = column(table, "FLUXERR_APER")[:, int(np.argmax(table.meta["APERTURES"]))]
    good = unspoiled(table) & (total > 0) & (total >= GOOD_SNR * error) & np.isfinite(column(table, "FLUX_AUTO"))
    rows = np.flatnonzero(good & np.isfinite(column(table, "FLUX_APER")).all(axis=1))
    return rows[np.argsort(-total[rows], kind="stable")[:MOST_STARS]]


def _half_light(table: Table, radii: Vector) -> float:
    """Radius [pix] of half the light of a Gaussian as wide as the frame's stars, less than the largest aperture."""
    widths = column(table, "FWHM_IMAGE")
    widths = widths[np.isfinite(widths) & (widths > 0)]
    return float(min(np.median(widths) if len(widths) else np.inf, radii.max()) / 2)


def _pairs(table: Table, reach: float) -> tuple[Indices, Indices, Vector]:
    """Find sources that are near each other, each pair twice, and their distances [pix]."""
    from scipy.spatial import cKDTree

    places = np.stack([column(table, "XWIN_IMAGE"), column(table, "YWIN_IMAGE")], axis=1)
    known = np.flatnonzero(np.isfinite(places).all(axis=1))
    pairs = cKDTree(places[known]).query_pairs(reach, output_type="ndarray") if len(known) else np.zeros((0, 2), int)
    one, two = known[pairs[np.lexsort(pairs.T)]].T
    distance = np.linalg.norm(places[one] - places[two], axis=1)
    return np.append(one, two), np.append(two, one), np.append(distance, distance)


def _directions(catalog: StarCatalog) -> Vector:
    """Make unit vectors to the stars of a catalogue."""
    ra, dec = (np.asarray(each, dtype=np.float64) for each in (catalog.ra, catalog.dec))
    return np.nan_to_num(unit_vectors(ra, dec))


def _scale(table: Table, catalog: StarCatalog, rows: Indices, stars: Indices) -> float:
    """Radians in a pixel, from pairs of matched stars; 0 where there is none."""
    pixels = np.stack([column(table, "XWIN_IMAGE"), column(table, "YWIN_IMAGE")], axis=1)[rows]
    apart = np.linalg.norm(np.diff(pixels, axis=0), axis=1)
    known = apart > 0
    if not known.any():
        return 0.0
    return float(np.median(np.linalg.norm(np.diff(_directions(catalog)[stars], axis=0), axis=1)[known] / apart[known]))


def unspoiled(table: Table) -> NDArray[np.bool_]:
    """Tell sources without bad pixel, saturation, edge and cosmic ray."""
    flags: Any = np.asarray(table["FLAGS"]).astype(np.int64)
    return (flags & SPOILED) == 0


def column(table: Table, name: str) -> Vector:
    """Values of a column as float64, without unit; what is masked is NaN."""
    # not a Column: arithmetic with that is ten times slower
    return np.asarray(np.ma.filled(table[name].astype(np.float64), np.nan))
