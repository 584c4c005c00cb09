"""Measure aperture corrections on the bright isolated stars of a frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.photometry.line_fit import fit_line
from nightcal.measurement.photometry.neighbours import MOST_STARS, NeighbourFlux, estimate_neighbour_flux
from nightcal.measurement.sources.table import find_reliable_sources, read_column

if TYPE_CHECKING:
    from astropy.table import Table

MAGNITUDE = 2.5 / np.log(10)
"""Magnitudes per small relative change of flux."""

FEWEST_STARS = 3
WANTED_STARS = 10
"""In a crowded frame, the least crowded stars are used, at least this many."""

ENOUGH_FOR_SKY = 100
"""Number of stars needed to separate the flux outside an aperture from a sky error in the ring around it."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ApertureCorrections:
    """Corrections to add to aperture magnitudes for the total flux: 0 or less.

    Attributes
    ----------
    diameters : tuple of float
        Of the apertures [pix]. The total flux is that in the largest.
    values, errors : tuple of float
        Correction of each aperture and its 1 sigma error [mag]; NaN with too few stars.
    scatters : tuple of float
        Scatter from star to star in excess of the noise [mag]: a point-spread function that varies.
    kron, kron_error : float
        Correction of FLUX_AUTO and its error [mag].
    number : int
        Number of stars measured.
    crowded : bool
        There are too few isolated stars: those with the faintest neighbours were used.
    """

    diameters: tuple[float, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    scatters: tuple[float, ...]
    kron: float
    kron_error: float
    number: int
    crowded: bool = False

    @property
    def largest(self) -> int:
        """Index of the largest aperture."""
        return int(np.argmax(self.diameters))


def measure_corrections(
    table: Table,
    neighbours: NeighbourFlux | None = None,
    *,
    minimum_snr: float = 20.0,
    most_crowded: float = 0.05,
    seed: int = 0,
) -> ApertureCorrections:
    """Measure aperture corrections to the largest aperture.

    Parameters
    ----------
    table : astropy.table.Table
        Sources, with XWIN_IMAGE, YWIN_IMAGE, FLUX_APER, FLUXERR_APER, FLUX_AUTO, FLUXERR_AUTO, FWHM_IMAGE and FLAGS;
        diameters of the apertures [pix] in ``meta["APERTURES"]``.
    neighbours : NeighbourFlux, optional
        Flux of neighbours, subtracted first; by default estimated from the table.
    minimum_snr : float
        Smallest signal-to-noise ratio of a star in the largest aperture.
    most_crowded : float
        Largest flux of neighbours in the largest aperture, as a fraction of the star's.
    seed : int
        Of the bootstrap for the errors.

    Returns
    -------
    ApertureCorrections

    Notes
    -----
    The ratio of fluxes is fitted, not the difference of magnitudes: nearly all its noise is that of the ring between
    the apertures, without bias. Apertures share pixels, so the variance of the ring is the difference of the two
    variances. Flux of unseen neighbours, or of an underestimated sky, does not scale with the star: with many stars,
    the ratio is the value at 0 of a line over 1 / flux.
    """
    diameters = tuple(float(d) for d in table.meta["APERTURES"])
    neighbours = neighbours or estimate_neighbour_flux(table)
    flux, error = read_column(table, "FLUX_APER") - neighbours.flux[:, :-1], read_column(table, "FLUXERR_APER")
    kron, kron_error = read_column(table, "FLUX_AUTO") - neighbours.flux[:, -1], read_column(table, "FLUXERR_AUTO")
    largest = int(np.argmax(diameters))
    good = find_reliable_sources(table) & (flux[:, largest] > 0) & (flux[:, largest] >= minimum_snr * error[:, largest])
    crowding = neighbours.measure_crowding(largest)
    good &= np.isfinite(flux).all(axis=1) & np.isfinite(error).all(axis=1) & np.isfinite(crowding)
    stars = np.flatnonzero(select_least_crowded(good, crowding, most_crowded))
    stars = stars[np.argsort(-flux[stars, largest], kind="stable")[:MOST_STARS]]
    total, doubt = flux[stars, largest], neighbours.error[stars] ** 2
    variance = error[stars, largest] ** 2 + doubt[:, largest]

    def correction(part: Vector, part_variance: Vector) -> tuple[float, float, float]:
        return _fit_correction(total, part, variance, part_variance, seed)

    each = [
        (0.0, 0.0, 0.0) if n == largest else correction(flux[stars, n], error[stars, n] ** 2 + doubt[:, n])
        for n in range(len(diameters))
    ]
    values, errors, scatters = zip(*each, strict=True)
    auto = correction(kron[stars], kron_error[stars] ** 2 + doubt[:, -1])
    crowded = bool(len(stars)) and bool((crowding[stars] > most_crowded).any())
    return ApertureCorrections(diameters, values, errors, scatters, auto[0], auto[1], len(stars), crowded)


def _fit_correction(
    total: Vector, part: Vector, variance: Vector, part_variance: Vector, seed: int
) -> tuple[float, float, float]:
    """Fit the correction from one flux to the total, its error and its scatter [mag]."""
    usable = np.isfinite(part) & np.isfinite(part_variance) & (part > 0)
    if usable.sum() < FEWEST_STARS:
        return np.nan, np.nan, np.nan
    total, part, variance, part_variance = (each[usable] for each in (total, part, variance, part_variance))
    outside = np.median(total / part) - 1
    variance = np.abs(variance - part_variance) + outside**2 * part_variance
    # stars of equal brightness would otherwise be weighted by rounding errors
    variance = np.maximum(variance / part**2, 1e-8)
    faintness = np.median(part) / part
    slope = None if len(part) >= ENOUGH_FOR_SKY else 0.0
    fit = fit_line(faintness, total / part, variance, slope=slope, seed=seed)
    level, error = fit.level - fit.slope * fit.centre, float(np.hypot(fit.level_error, fit.slope_error * fit.centre))
    if level <= 0:
        return np.nan, np.nan, np.nan
    scale = MAGNITUDE / level
    return -2.5 * float(np.log10(level)), float(scale * error), float(scale * fit.intrinsic)


def select_least_crowded(candidates: NDArray[np.bool_], crowding: Vector, limit: float) -> NDArray[np.bool_]:
    """Select the candidates with little flux of neighbours, at least ten if there are as many.

    Parameters
    ----------
    candidates : ndarray of bool, shape (n,)
    crowding : ndarray of float64, shape (n,)
        From `NeighbourFlux.measure_crowding`.
    limit : float
        Largest crowding.

    Returns
    -------
    ndarray of bool, shape (n,)
        The ten least crowded candidates, or all candidates, if fewer are within the limit.
    """
    if not candidates.any():
        return candidates
    ordered = np.sort(crowding[candidates])
    return candidates & (crowding <= max(limit, ordered[min(WANTED_STARS, len(ordered)) - 1]))
