"""Match sources with stars on a plate, and refine the plate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.astrometry.plate import Floats, Plate, list_powers, project

MEDIAN_OF_TWO = 2 * np.log(2)
"""Median of chi-square with two degrees of freedom."""

CLIP = 4.0  # standard deviations along a radius: one good star of 3000 is lost
SMALLEST_RADIUS = 1.0  # [pix]; the scatter of faint centroids
LARGEST_CROWDING = 0.3  # stars expected by chance within the first matching radius
SMALLEST_SCATTER = 0.01  # [pix]; no centroid on a real CCD is better
SHRINK = 0.7  # ratio of the radii of successive fits
ROUNDS = 12
ORDERS = ((3, 50), (2, 30))
"""Orders of distortion, and the number of stars that each needs."""

RIGID = 12
"""With fewer stars only shift, rotation and scale are fitted, unless unequal scales fit clearly better."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Positions of the sources of a frame.

    Attributes
    ----------
    x, y : ndarray of float64
        The first pixel is 1.
    sigma : ndarray of float64
        Error along an axis [pix].
    good : ndarray of bool
        Whether the position is reliable; other sources are matched but not fitted.
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
    """Positions of stars [deg] at the epoch of the frame."""

    ra: Floats
    dec: Floats


@dataclass(frozen=True, slots=True)
class RefinedPlate:
    """A plate and the pairs of sources and stars fitted.

    Attributes
    ----------
    plate : Plate
    sources, stars : ndarray of int
        Indices of the pairs.
    used : ndarray of bool
        Which pairs were fitted.
    distances : ndarray of float64
        Distance of each pair [pix].
    radius : float
        Matching radius [pix].
    scatter : float
        Scatter of the residuals along an axis in excess of the errors of the sources [pix].
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
        """Root mean square distance of the fitted pairs [pix]."""
        return float(np.sqrt(np.mean(self.distances[self.used] ** 2)))


def refine_plate(sources: Sources, stars: Stars, start: Plate, distortion: int, smallest: int) -> RefinedPlate | None:
    """Refine a plate: match all sources within a shrinking radius, and fit by least squares with clipping.

    Parameters
    ----------
    sources : Sources
    stars : Stars
    start : Plate
        Correct to a few pixels.
    distortion : int
        Highest order of the polynomials; 1 for none.
    smallest : int
        Smallest number of pairs.

    Returns
    -------
    RefinedPlate or None
        None if there are too few pairs. A higher order is used if there are enough stars and the Bayesian information
        criterion prefers it.
    """
    linear = _iterate(sources, stars, start, 1, smallest)
    if linear is None:
        return None
    for order, needed in ORDERS:
        if order <= distortion and len(sources.x) >= needed:
            curved = _iterate(sources, stars, start, order, needed)
            kept = curved is not None and curved.used.sum() > 0.9 * linear.used.sum()
            if curved is not None and kept and _is_better(sources, stars, curved, 1):
                return _finish(sources, stars, curved)
    return _finish(sources, stars, linear)


def choose_first_radius(sources: Sources, stars: Stars, plate: Plate) -> float:
    """Choose the first matching radius [pix]: at least 4 and enough for 0.4 percent distortion, less in a crowd."""
    rows, columns = sources.shape
    half_diagonal = np.hypot(rows, columns) / 2
    crowded = np.sqrt(LARGEST_CROWDING / (np.pi * max(measure_density(sources, stars, plate), 1e-12)))
    return float(max(SMALLEST_RADIUS, min(max(4.0, 0.004 * half_diagonal), crowded)))


def measure_density(sources: Sources, stars: Stars, plate: Plate) -> float:
    """Measure the number of stars per pixel within the frame."""
    rows, columns = sources.shape
    standard = project(stars.ra, stars.dec, plate.ra, plate.dec) - plate.coefficients[:, :1]
    x, y = np.linalg.solve(plate.matrix, np.nan_to_num(standard, nan=1e6))
    inside = (np.abs(x + plate.x - (columns + 1) / 2) <= columns / 2) & (
        np.abs(y + plate.y - (rows + 1) / 2) <= rows / 2
    )
    return float(inside.sum()) / (rows * columns)


def _iterate(sources: Sources, stars: Stars, start: Plate, order: int, smallest: int) -> RefinedPlate | None:
    """Match and fit within a shrinking radius, and then within five times the scatter.

    Shrinking to the smallest radius first removes chance pairs, which are many in a cluster.
    """
    plate = start.recentre()
    standard = project(stars.ra, stars.dec, plate.ra, plate.dec)
    widest = choose_first_radius(sources, stars, start)
    radii = widest * SHRINK ** np.arange(np.ceil(np.log(widest / SMALLEST_RADIUS) / -np.log(SHRINK)) + 1)
    found = None
    for radius in np.maximum(radii, SMALLEST_RADIUS):
        found = _match_and_fit(sources, standard, plate, float(radius), order, smallest)
        if found is None:
            return None
        plate = found.plate
    if found is None:
        return None
    width = float(np.hypot(found.scatter, np.median(sources.sigma[found.sources])))
    radius = max(SMALLEST_RADIUS, min(5 * width, widest))
    for _ in range(ROUNDS):
        before = found
        found = _match_and_fit(sources, standard, before.plate, radius, order, smallest)
        if found is None:
            return None
        if np.array_equal(found.sources, before.sources) and np.array_equal(found.stars, before.stars):
            break
    return found


def _match_and_fit(
    sources: Sources, standard: Floats, plate: Plate, radius: float, order: int, smallest: int
) -> RefinedPlate | None:
    """Match within a radius and fit; None if either leaves too few pairs."""
    pairs = match_stars(sources, standard, plate, radius)
    if len(pairs[0]) < smallest:
        return None
    found = _fit_pairs(sources, standard, plate, pairs, radius, order)
    return found if found is not None and found.used.sum() >= smallest else None


def match_stars(
    sources: Sources, standard: Floats, plate: Plate, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match each source with the nearest star within a radius [pix]; a star keeps only its nearest source.

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
    distance, nearest = tree.query(plate.project_pixels(sources.x, sources.y).T, distance_upper_bound=reach)
    near = np.flatnonzero(np.isfinite(distance))
    by_star = near[np.lexsort((near, distance[near], nearest[near]))]
    _, first = np.unique(nearest[by_star], return_index=True)
    kept = np.sort(by_star[first])
    return kept, known[nearest[kept]]


def _fit_pairs(
    sources: Sources,
    standard: Floats,
    plate: Plate,
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]],
    radius: float,
    order: int,
) -> RefinedPlate | None:
    """Fit a plate to pairs, weighted by errors and a common scatter, and clip until the pairs stay the same."""
    which, whose = pairs
    x, y, sigma, there = sources.x[which], sources.y[which], sources.sigma[which], standard[:, whose]
    trusted = sources.good[which]
    if trusted.sum() < 2 * len(list_powers(order)):
        trusted = np.ones(len(which), dtype=bool)
    used, scatter = trusted, 0.0
    better, distances = plate, _measure_distances(plate, x, y, there)
    for _ in range(ROUNDS):
        variance = sigma**2 + max(scatter, SMALLEST_SCATTER) ** 2
        fitted = plate.fit(x[used], y[used], there[:, used], 1 / variance[used], order)
        if fitted is None:
            return None
        better = fitted
        distances = _measure_distances(better, x, y, there)
        scatter = _estimate_scatter(distances[trusted], sigma[trusted])
        kept = trusted & (distances <= CLIP * np.sqrt(sigma**2 + max(scatter, SMALLEST_SCATTER) ** 2))
        if np.array_equal(kept, used):
            break
        used = kept
    return RefinedPlate(better, which, whose, used, distances, radius, scatter)


def _measure_distances(plate: Plate, x: Floats, y: Floats, standard: Floats) -> Floats:
    """Measure the distances of sources from their stars [pix]."""
    across, along = plate.project_pixels(x, y) - standard
    return np.hypot(across, along) * 3600 / plate.scale


def _estimate_scatter(distances: Floats, sigma: Floats) -> float:
    """Find the scatter [pix] that gives (distance / error)^2 the median of chi-square, by bisection."""
    low, high = 0.0, float(np.max(distances, initial=0.0))
    if not len(distances) or np.median(distances**2 / np.maximum(sigma, 1e-9) ** 2) <= MEDIAN_OF_TWO:
        return 0.0
    for _ in range(20):
        middle = (low + high) / 2
        wide = np.median(distances**2 / (sigma**2 + middle**2)) > MEDIAN_OF_TWO
        low, high = (middle, high) if wide else (low, middle)
    return high


def _is_better(sources: Sources, stars: Stars, found: RefinedPlate, lower_order: int) -> bool:
    """Compare a plate with one of lower order (0 for a rigid one) by the Bayesian information criterion."""
    x, y, standard, variance = _select_fitted_pairs(sources, stars, found, found.plate)
    lower = _fit_order(found.plate, x, y, standard, variance, lower_order)
    if lower is None:
        return False
    better = _measure_distances(found.plate, x, y, standard)
    gain = (_measure_distances(lower, x, y, standard) ** 2 - better**2) / variance
    added = _count_parameters(found.plate.order) - _count_parameters(lower_order)
    return bool(gain.sum() > added * np.log(2 * len(x)))


def _finish(sources: Sources, stars: Stars, found: RefinedPlate) -> RefinedPlate | None:
    """Move the tangent point to the reference pixel, and fit the same pairs again."""
    order = found.plate.order
    if order == 1 and found.used.sum() < RIGID and not _is_better(sources, stars, found, 0):
        order = 0
    plate: Plate | None = found.plate
    for _ in range(3):  # the constant terms shrink a millionfold each time
        if plate is None:
            return None
        plate = plate.recentre()
        plate = _fit_order(plate, *_select_fitted_pairs(sources, stars, found, plate), order)
    if plate is None:
        return None
    which, whose = found.sources, found.stars
    standard = project(stars.ra[whose], stars.dec[whose], plate.ra, plate.dec)
    return replace(
        found, plate=plate, distances=_measure_distances(plate, sources.x[which], sources.y[which], standard)
    )


def _select_fitted_pairs(
    sources: Sources, stars: Stars, found: RefinedPlate, plate: Plate
) -> tuple[Floats, Floats, Floats, Floats]:
    """Select the fitted pairs: pixels, standard coordinates on a plate, and variances."""
    which, whose = found.sources[found.used], found.stars[found.used]
    variance = sources.sigma[which] ** 2 + max(found.scatter, SMALLEST_SCATTER) ** 2
    standard = project(stars.ra[whose], stars.dec[whose], plate.ra, plate.dec)
    return sources.x[which], sources.y[which], standard, variance


def _fit_order(plate: Plate, x: Floats, y: Floats, standard: Floats, variance: Floats, order: int) -> Plate | None:
    if order == 0:
        return plate.fit_rigid(x, y, standard, 1 / variance)
    return plate.fit(x, y, standard, 1 / variance, order)


def _count_parameters(order: int) -> int:
    return 2 * len(list_powers(order)) if order > 0 else 4
