"""Add the stars of a catalogue, and those that neither frame nor catalogue shows, to the flux of neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.photometry.neighbours import Indices, NeighbourFlux, Vector, read_places
from nightcal.measurement.photometry.unseen_companions import estimate_unseen_flux
from nightcal.measurement.sources.search import SKY_BEYOND
from nightcal.measurement.sources.table import read_column
from nightcal.numerics.sphere import unit_vectors

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.star_catalog import StarCatalog

Matches = tuple[Indices, Indices]

AROUND = 5
"""Number of matched stars around a star of the catalogue that correct its position on the frame."""

SAME = 1.0
"""A source within this distance of a star of the catalogue is that star, or a blend with it [FWHM]."""

GRID = 100
"""Points along each side of the frame, to measure the area between the sources."""

SURELY_SEEN = 10.0
"""Signal-to-noise ratio, in the smallest aperture, of a star that the frame cannot miss."""

SHORTEST = 1e-9
"""Vectors shorter than this have no direction."""

FEWEST_FREE = 0.01
"""Smallest fraction of the frame between the sources that tells what the sky contains."""


def add_catalog_stars(
    found: NeighbourFlux, table: Table, catalog: StarCatalog, band: str, matches: Matches
) -> NeighbourFlux:
    """Take the neighbours from a catalogue, which also contains stars that the frame does not resolve.

    Parameters
    ----------
    found : NeighbourFlux
        From the table alone.
    table : astropy.table.Table
    catalog : StarCatalog
    band : str
        Of the catalogue.
    matches : tuple of two ndarray of int, shape (n,)
        Indices into the table and into the catalogue.

    Returns
    -------
    NeighbourFlux
        Unchanged with fewer than two matched stars.

    Notes
    -----
    The flux of a star is that of the catalogue; sources that are not in the catalogue have that of the table. Faint
    stars far from any source raise the level of the sky by their mean: an aperture contains only what departs from it.
    """
    rows, stars = (np.asarray(each, dtype=np.int64) for each in matches)
    relative = 10 ** (-0.4 * np.nan_to_num(np.asarray(catalog.magnitudes[band], dtype=np.float64), nan=np.inf))
    known = (found.own[rows] > 0) & (relative[stars] > 0)
    fwhm = _measure_width(table, rows[known])
    if known.sum() < 2 or not fwhm > 0:
        return found
    sources, places = read_places(table), place_stars(table, catalog, matches)
    electrons = relative * float(np.median(found.own[rows][known] / relative[stars][known]))
    electrons[~np.isfinite(places).all(axis=1)] = 0.0
    if not electrons.any():
        return found
    itself, unknown = _identify_sources(sources, places, electrons > 0, matches, SAME * fwhm)
    flux = _sum_neighbours(found, sources, places, electrons, itself)
    flux += _sum_neighbours(found, sources, sources, np.where(unknown, found.own, 0.0), np.arange(len(table)))
    faint = np.where(electrons < _estimate_limit(found, table), electrons, 0.0)
    flux -= np.pi * found.radii**2 * _estimate_sky_of_stars(sources, places, faint, fwhm)
    unseen, scatter = estimate_unseen_flux(found, sources, unknown, fwhm)
    return replace(found, flux=flux + unseen, unseen=unseen, unseen_scatter=scatter)


def place_stars(table: Table, catalog: StarCatalog, matches: Matches) -> Vector:
    """Find the positions of the stars of a catalogue on the frame, from those that are matched.

    Parameters
    ----------
    table : astropy.table.Table
    catalog : StarCatalog
    matches : tuple of two ndarray of int, shape (n,)

    Returns
    -------
    ndarray of float64, shape (stars, 2)
        [pix], the centre of the first pixel is 1; NaN far from the frame, or if the matched stars are at one place.

    Notes
    -----
    The tangent plane is shifted, turned, scaled and perhaps mirrored; what is left, as distortion, is that of the
    matched stars around.
    """
    from scipy.spatial import cKDTree

    rows, stars = (np.asarray(each, dtype=np.int64) for each in matches)
    x, y = read_places(table).T
    plane = _project(catalog, stars)
    good = np.isfinite(x[rows]) & np.isfinite(y[rows]) & np.isfinite(plane[stars])
    rows, stars = rows[good], stars[good]
    if len(rows) < 2 or not np.any(plane[stars] != plane[stars[0]]):
        return np.full((len(plane), 2), np.nan)
    seen = x[rows] + 1j * y[rows]
    # as complex numbers, both handednesses are a shift and one factor
    fits = [_fit_plane(each, seen, stars) for each in (plane, plane.conj())]
    guess = min(fits, key=lambda each: float(np.sum(np.abs(seen - each[stars]))))
    inside = np.flatnonzero(np.isfinite(guess))
    tree = cKDTree(np.column_stack([guess[stars].real, guess[stars].imag]))
    near = tree.query(np.column_stack([guess[inside].real, guess[inside].imag]), k=range(1, min(AROUND, len(rows)) + 1))
    guess[inside] += (seen - guess[stars])[near[1]].mean(axis=1)
    return np.column_stack([guess.real, guess.imag])


def _project(catalog: StarCatalog, stars: Indices) -> NDArray[np.complex128]:
    """Project a catalogue on the tangent plane at the centre of some stars; NaN for the opposite half of the sky."""
    vectors = unit_vectors(*(np.asarray(each, dtype=np.float64) for each in (catalog.ra, catalog.dec)))
    centre = vectors[stars][np.isfinite(vectors[stars]).all(axis=1)].sum(axis=0)
    first = np.cross(np.eye(3)[np.argmin(np.abs(centre))], centre)
    lengths = [max(float(np.linalg.norm(each)), SHORTEST) for each in (centre, first)]
    centre, first = centre / lengths[0], first / lengths[1]
    # the last bits of a matrix product depend on the number of threads
    along, x, y = (np.sum(vectors * axis, axis=1) for axis in (centre, first, np.cross(centre, first)))
    along[~(along > SHORTEST)] = np.nan
    return np.asarray(x / along + 1j * (y / along), dtype=np.complex128)


def _fit_plane(plane: NDArray[np.complex128], seen: NDArray[np.complex128], stars: Indices) -> NDArray[np.complex128]:
    """Shift, turn and scale a plane to positions that some stars have on the frame."""
    middle = plane[stars].mean(), seen.mean()
    centred = plane[stars] - middle[0]
    factor = np.sum(centred.conj() * (seen - middle[1])) / np.sum(np.abs(centred) ** 2)
    return middle[1] + factor * (plane - middle[0])


def _measure_width(table: Table, rows: Indices) -> float:
    """Measure the FWHM of some sources [pix]; 0 if it is unknown."""
    width = read_column(table, "FWHM_IMAGE")[rows]
    width = width[np.isfinite(width) & (width > 0)]
    return float(np.median(width)) if len(width) else 0.0


def _identify_sources(
    sources: Vector, places: Vector, usable: NDArray[np.bool_], matches: Matches, reach: float
) -> tuple[Indices, NDArray[np.bool_]]:
    """Find the star that each source is (-1: none), also where no match was made, and the sources without a star."""
    itself, free = np.full(len(sources), -1), usable.copy()
    itself[matches[0]], free[matches[1]] = matches[1], False
    distance, nearest = _find_nearest(sources, places, free)
    itself = np.where((itself < 0) & (distance <= reach), nearest, itself)
    unknown = (itself < 0) & (_find_nearest(sources, places, usable)[0] > reach)
    return itself, unknown


def _sum_neighbours(
    found: NeighbourFlux, sources: Vector, places: Vector, electrons: Vector, itself: Indices
) -> Vector:
    """Sum the flux of stars in the apertures of sources; `itself` is the star, if any, that the source is."""
    from scipy.spatial import cKDTree

    here, there = np.flatnonzero(np.isfinite(sources).all(axis=1)), np.flatnonzero(electrons > 0)
    near = cKDTree(places[there]).query_ball_point(
        sources[here], found.radii.max() + found.curve.reach, return_sorted=True
    )
    one = np.repeat(here, [len(some) for some in near])
    other = there[np.concatenate([np.zeros(0, np.int64), *(np.asarray(some, dtype=np.int64) for some in near)])]
    one, other = (each[other != itself[one]] for each in (one, other))
    distance = np.linalg.norm(sources[one] - places[other], axis=1)
    flux = [found.curve.integrate_aperture(radius, distance) * electrons[other] for radius in found.radii]
    return np.stack([np.bincount(one, each, len(sources)).astype(np.float64) for each in flux], axis=1)


def _find_nearest(places: Vector, others: Vector, usable: NDArray[np.bool_]) -> tuple[Vector, Indices]:
    """Find the distance from each place to the nearest usable other one [pix], and its index; infinite without one."""
    from scipy.spatial import cKDTree

    known, index = np.isfinite(places).all(axis=1), np.flatnonzero(usable)
    distance, nearest = np.full(len(places), np.inf), np.zeros(len(places), dtype=np.int64)
    if len(index):
        distance[known], found = cKDTree(others[index]).query(places[known])
        nearest[known] = index[found]
    return distance, nearest


def _estimate_limit(found: NeighbourFlux, table: Table) -> float:
    """Estimate the flux of a star that the frame surely shows [e-]: one that the sky contains is fainter."""
    small = int(np.argmin(found.radii[:-1]))
    error = read_column(table, "FLUXERR_APER")[:, small]
    error = error[np.isfinite(error)]
    share = found.curve.integrate_within(found.radii[small])
    return SURELY_SEEN * float(np.median(error)) / share if len(error) else 0.0


def _estimate_sky_of_stars(sources: Vector, places: Vector, electrons: Vector, fwhm: float) -> float:
    """Estimate what stars that are no sources add to the level of the sky [e-/pix]."""
    known = np.asarray(np.isfinite(sources).all(axis=1))
    low, high = sources[known].min(axis=0), sources[known].max(axis=0)
    columns, rows = (np.linspace(*ends, GRID) for ends in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    free = float(np.mean(_find_nearest(grid, sources, known)[0] > SKY_BEYOND * fwhm))
    area = free * float(np.prod(high - low))
    if free < FEWEST_FREE or not area > 0:
        return 0.0
    beyond = _find_nearest(places, sources, known)[0] > SKY_BEYOND * fwhm
    beyond &= ((places >= low) & (places <= high)).all(axis=1)
    return float(electrons[beyond].sum()) / area
