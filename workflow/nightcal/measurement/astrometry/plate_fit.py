"""Matching sources with stars on a plate, and refining the plate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.astrometry.plate import Floats, Plate, powers, project

MEDIAN_OF_TWO = 2 * np.log(2)
"""Median of chi-square with two degrees of freedom."""

CLIP = 4.0  # standard deviations along a radius: one good star of 3000 is lost
SMALLEST_RADIUS = 1.0  # [pix]; centroids of faint stars are not better
LARGEST_CROWDING = 0.3  # stars that chance puts into the first matching radius
SMALLEST_SCATTER = 0.01  # [pix]; no centroid is better than that on a real CCD
SHRINK = 0.7  # of the radius from one fit to the next
ROUNDS = 12
ORDERS = ((3, 50), (2, 30))
"""Orders of distortion with the number of stars that each takes."""

RIGID = 12
"""Below this number of stars shift, rotation and scale are fitted alone, unless unequal scales fit clearly better."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources of a frame, for astrometry.

    Attributes
    ----------
    x, y : ndarray of float64
        The first pixel is 1.
    sigma : ndarray of float64
        Error along an axis [pix].
    good : ndarray of bool
        Whether the position can be believed; the others are matched but not fitted.
    shape : (int, int)
        Rows and columns of the frame.
    """

    x: Floats
    y: Floats
    sigma: Floats
    good: NDArray[np.bool_]
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stars:
    """Places of stars [deg] at the epoch of the frame."""

    ra: Floats
    dec: Floats


@dataclass(frozen=True, slots=True)
class Refined:
    """A plate with the pairs that it was fitted to.

    Attributes
    ----------
    plate : Plate
    sources, stars : ndarray of int
        Indices of the pairs.
    used : ndarray of bool
        Which pairs were fitted.
    distances : ndarray of float64
        Of each pair [pix].
    radius : float
        Within which pairs were looked for [pix].
    scatter : float
        Of the residuals along an axis beyond the errors of the sources [pix].
    """

    plate: Plate
    sources: NDArray[np.intp]
    stars: NDArray[np.intp]
    used: NDArray[np.bool_]
    distances: Floats
    radius: float
    scatter: float

    @property
    def rms(self) -> float:
        """Root mean square of the distances of the fitted pairs [pix]."""
        return float(np.sqrt(np.mean(self.distances[self.used] ** 2)))


def refine(sources: Sources, stars: Stars, start: Plate, distortion: int, smallest: int) -> Refined | None:
    """Refine a plate by least squares with clipping and matching of all sources within a shrinking radius.

    Parameters
    ----------
    sources : Sources
    stars : Stars
    start : Plate
        Right to a few pixels.
    distortion : int
        Highest order of the polynomials; 1 for none.
    smallest : int
        Fewest pairs.

    Returns
    -------
    Refined or None
        None where too few pairs are found. A higher order is taken where enough stars determine it and the Bayesian
        information criterion prefers it.
    """
    linear = _iterate(sources, stars, start, 1, smallest)
    if linear is None:
        return None
    for order, needed in ORDERS:
        if order <= distortion and len(sources.x) >= needed:
            curved = _iterate(sources, stars, start, order, needed)
            kept = curved is not None and curved.used.sum() > 0.9 * linear.used.sum()
            if curved is not None and kept and _is_better(sources, stars, curved, 1):
                return _finished(sources, stars, curved)
    return _finished(sources, stars, linear)


def first_radius(sources: Sources, stars: Stars, plate: Plate) -> float:
    """Choose the matching radius to begin with [pix]: 4, or for 0.4 percent distortion; fewer in a crowd."""
    rows, columns = sources.shape
    half_diagonal = np.hypot(rows, columns) / 2
    crowded = np.sqrt(LARGEST_CROWDING / (np.pi * max(density(sources, stars, plate), 1e-12)))
    return float(max(SMALLEST_RADIUS, min(max(4.0, 0.004 * half_diagonal), crowded)))


def density(sources: Sources, stars: Stars, plate: Plate) -> float:
    """Stars a pixel within the frame."""
    rows, columns = sources.shape
    standard = project(stars.ra, stars.dec, plate.ra, plate.dec) - plate.coefficients[:, :1]
    x, y = np.linalg.solve(plate.matrix(), np.nan_to_num(standard, nan=1e6))
    inside = (np.abs(x + plate.x - (columns + 1) / 2) <= columns / 2) & (
        np.abs(y + plate.y - (rows + 1) / 2) <= rows / 2
    )
    return float(inside.sum()) / (rows * columns)


def _iterate(sources: Sources, stars: Stars, start: Plate, order: int, smallest: int) -> Refined | None:
    """Match and fit within a radius that shrinks, whatever the scatter, and then within five times the scatter.

    Shrinking first leaves behind the pairs that chance made while the radius was wide, as it does in a cluster.
    """
    plate = start.recentred()
    standard = project(stars.ra, stars.dec, plate.ra, plate.dec)
    widest = first_radius(sources, stars, start)
    radii = widest * SHRINK ** np.arange(np.ceil(np.log(widest / SMALLEST_RADIUS) / -np.log(SHRINK)) + 1)
    found = None
    for radius in np.maximum(radii, SMALLEST_RADIUS):
        found = _matched(sources, standard, plate, float(radius), order, smallest)
        if found is None:
            return None
        plate = found.plate
    if found is None:
        return None
    width = float(np.hypot(found.scatter, np.median(sources.sigma[found.sources])))
    radius = max(SMALLEST_RADIUS, min(5 * width, widest))
    for _ in range(ROUNDS):
        before = found
        found = _matched(sources, standard, before.plate, radius, order, smallest)
        if found is None:
            return None
        if np.array_equal(found.sources, before.sources) and np.array_equal(found.stars, before.stars):
            break
    return found


def _matched(
    sources: Sources, standard: Floats, plate: Plate, radius: float, order: int, smallest: int
) -> Refined | None:
    """Match within a radius and fit, None where either leaves too few."""
    pairs = match(sources, standard, plate, radius)
    if len(pairs[0]) < smallest:
        return None
    found = _fit(sources, standard, plate, pairs, radius, order)
    return found if found is not None and found.used.sum() >= smallest else None


def match(sources: Sources, standard: Floats, plate: Plate, radius: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair each source with the star nearest to it within a radius [pix]; of two sources of a star the nearer stays.

    Returns
    -------
    sources, stars : ndarray of int
        Indices, by source.
    """
    from scipy.spatial import KDTree

    known = np.flatnonzero(np.isfinite(standard).all(axis=0))
    if not len(known):
        return np.array([], dtype=np.intp), np.array([], dtype=np.intp)
    reach = radius * plate.scale / 3600
    tree = KDTree(standard[:, known].T)
    distance, nearest = tree.query(plate.standard(sources.x, sources.y).T, distance_upper_bound=reach)
    near = np.flatnonzero(np.isfinite(distance))
    by_star = near[np.lexsort((near, distance[near], nearest[near]))]
    _, first = np.unique(nearest[by_star], return_index=True)
    kept = np.sort(by_star[first])
    return kept, known[nearest[kept]]


def _fit(
    sources: Sources,
    standard: Floats,
    plate: Plate,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
    radius: float,
    order: int,
) -> Refined | None:
    """Fit a plate to pairs: weighted by the errors and a common scatter, clipped until the same pairs stay."""
    which, whose = pairs
    x, y, sigma, there = sources.x[which], sources.y[which], sources.sigma[which], standard[:, whose]
    trusted = sources.good[which]
    if trusted.sum() < 2 * len(powers(order)):
        trusted = np.ones(len(which), dtype=bool)
    used, scatter = trusted, 0.0
    better, distances = plate, _distances(plate, x, y, there)
    for _ in range(ROUNDS):
        variance = sigma**2 + max(scatter, SMALLEST_SCATTER) ** 2
        fitted = plate.fitted(x[used], y[used], there[:, used], 1 / variance[used], order)
        if fitted is None:
            return None
        better = fitted
        distances = _distances(better, x, y, there)
        scatter = _scatter(distances[trusted], sigma[trusted])
        kept = trusted & (distances <= CLIP * np.sqrt(sigma**2 + max(scatter, SMALLEST_SCATTER) ** 2))
        if np.array_equal(kept, used):
            break
        used = kept
    return Refined(better, which, whose, used, distances, radius, scatter)


def _distances(plate: Plate, x: Floats, y: Floats, standard: Floats) -> Floats:
    """Distances of sources from their stars [pix]."""
    across, along = plate.standard(x, y) - standard
    return np.hypot(across, along) * 3600 / plate.scale


def _scatter(distances: Floats, sigma: Floats) -> float:
    """Scatter that makes the median of (distance / error)^2 what it should be, by bisection [pix]."""
    low, high = 0.0, float(np.max(distances, initial=0.0))
    if not len(distances) or np.median(distances**2 / np.maximum(sigma, 1e-9) ** 2) <= MEDIAN_OF_TWO:
        return 0.0
    for _ in range(20):
        middle = (low + high) / 2
        wide = np.median(distances**2 / (sigma**2 + middle**2)) > MEDIAN_OF_TWO
        low, high = (middle, high) if wide else (low, middle)
    return high


def _is_better(sources: Sources, stars: Stars, found: Refined, than: int) -> bool:
    """Whether a plate is worth its parameters next to one of a lower order, 0 for a rigid one, for the same pairs.

    By the Bayesian information criterion.
    """
    x, y, standard, variance = _fitted_pairs(sources, stars, found, found.plate)
    lower = _fit_order(found.plate, x, y, standard, variance, than)
    if lower is None:
        return False
    better = _distances(found.plate, x, y, standard)
    gain = (_distances(lower, x, y, standard) ** 2 - better**2) / variance
    added = _parameters(found.plate.order) - _parameters(than)
    return bool(gain.sum() > added * np.log(2 * len(x)))


def _finished(sources: Sources, stars: Stars, found: Refined) -> Refined | None:
    """Put the tangent point where the reference pixel looks, and fit the same pairs once more."""
    order = found.plate.order
    if order == 1 and found.used.sum() < RIGID and not _is_better(sources, stars, found, 0):
        order = 0
    plate: Plate | None = found.plate
    for _ in range(3):  # the constants shrink a millionfold each time
        if plate is None:
            return None
        plate = plate.recentred()
        plate = _fit_order(plate, *_fitted_pairs(sources, stars, found, plate), order)
    if plate is None:
        return None
    which, whose = found.sources, found.stars
    standard = project(stars.ra[whose], stars.dec[whose], plate.ra, plate.dec)
    return replace(found, plate=plate, distances=_distances(plate, sources.x[which], sources.y[which], standard))


def _fitted_pairs(
    sources: Sources, stars: Stars, found: Refined, plate: Plate
) -> tuple[Floats, Floats, Floats, Floats]:
    """Pixels, standard coordinates on a plate, and variances of the pairs that were fitted."""
    which, whose = found.sources[found.used], found.stars[found.used]
    variance = sources.sigma[which] ** 2 + max(found.scatter, SMALLEST_SCATTER) ** 2
    standard = project(stars.ra[whose], stars.dec[whose], plate.ra, plate.dec)
    return sources.x[which], sources.y[which], standard, variance


def _fit_order(plate: Plate, x: Floats, y: Floats, standard: Floats, variance: Floats, order: int) -> Plate | None:
    if order == 0:
        return plate.rigid(x, y, standard, 1 / variance)
    return plate.fitted(x, y, standard, 1 / variance, order)


def _parameters(order: int) -> int:
    return 2 * len(powers(order)) if order > 0 else 4
