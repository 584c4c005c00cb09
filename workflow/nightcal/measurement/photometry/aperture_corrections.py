"""How much light of a point source each aperture misses, measured on the bright lonely stars of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.photometry.line_fit import fit_line
from nightcal.measurement.photometry.neighbours import MOST_STARS, NeighbourFlux, column, neighbour_flux, unspoiled

if TYPE_CHECKING:
    from astropy.table import Table

MAGNITUDE = 2.5 / np.log(10)
"""Magnitudes in a small relative change of flux."""

FEWEST_STARS = 3
WANTED_STARS = 10
"""In a crowded frame, the least crowded so many are used."""

ENOUGH_FOR_SKY = 100
"""Stars needed to tell light that an aperture misses from light of the sky in the ring around it."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ApertureCorrections:
    """What to add to the magnitude in an aperture to get that of all light: 0 or less.

    Attributes
    ----------
    diameters : tuple of float
        Of the apertures [pix]. All light is what the largest holds.
    values, errors : tuple of float
        Correction of each aperture and one sigma [mag]; NaN where too few stars tell.
    scatters : tuple of float
        Scatter of it from star to star [mag] that noise does not explain: a point-spread function that varies.
    kron, kron_error : float
        The same for FLUX_AUTO.
    number : int
        Stars that were measured.
    crowded : bool
        No lonely stars were found, so that those with the faintest neighbours had to serve.
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
    stray: NeighbourFlux | None = None,
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
    stray : NeighbourFlux, optional
        Light of neighbours, which is taken off; estimated from the table if not given.
    minimum_snr : float
        Signal-to-noise ratio in the largest aperture that a star must have.
    most_crowded : float
        Light of neighbours in the largest aperture, in parts of the star's, that a star may have.
    seed : int
        Of the bootstrap that gives the errors.

    Returns
    -------
    ApertureCorrections

    Notes
    -----
    Fitted is the ratio of the fluxes, not of the magnitudes: nearly all its noise is that of the ring between the
    apertures and has no bias. Apertures share their pixels, so the variance of the ring is the difference of the two
    variances. Light of unseen neighbours, or of a sky taken too low, does not grow with the star: where many stars are
    at hand, the ratio is that for a star of any brightness, at 0 of a line over 1 / flux.
    """
    diameters = tuple(float(d) for d in table.meta["APERTURES"])
    stray = stray or neighbour_flux(table)
    flux, error = column(table, "FLUX_APER") - stray.light[:, :-1], column(table, "FLUXERR_APER")
    kron, kron_error = column(table, "FLUX_AUTO") - stray.light[:, -1], column(table, "FLUXERR_AUTO")
    largest = int(np.argmax(diameters))
    good = unspoiled(table) & (flux[:, largest] > 0) & (flux[:, largest] >= minimum_snr * error[:, largest])
    neighbours = stray.crowding(largest)
    good &= np.isfinite(flux).all(axis=1) & np.isfinite(error).all(axis=1) & np.isfinite(neighbours)
    stars = np.flatnonzero(least_crowded(good, neighbours, most_crowded))
    stars = stars[np.argsort(-flux[stars, largest], kind="stable")[:MOST_STARS]]
    total, doubt = flux[stars, largest], stray.error[stars] ** 2
    variance = error[stars, largest] ** 2 + doubt[:, largest]

    def correction(part: Vector, part_variance: Vector) -> tuple[float, float, float]:
        return _correction(total, part, variance, part_variance, seed)

    each = [
        (0.0, 0.0, 0.0) if n == largest else correction(flux[stars, n], error[stars, n] ** 2 + doubt[:, n])
        for n in range(len(diameters))
    ]
    values, errors, scatters = zip(*each, strict=True)
    auto = correction(kron[stars], kron_error[stars] ** 2 + doubt[:, -1])
    crowded = bool(len(stars)) and bool((neighbours[stars] > most_crowded).any())
    return ApertureCorrections(diameters, values, errors, scatters, auto[0], auto[1], len(stars), crowded)


def _correction(
    total: Vector, part: Vector, variance: Vector, part_variance: Vector, seed: int
) -> tuple[float, float, float]:
    """Correction from one flux to the total, its error and its scatter [mag]."""
    usable = np.isfinite(part) & np.isfinite(part_variance) & (part > 0)
    if usable.sum() < FEWEST_STARS:
        return np.nan, np.nan, np.nan
    total, part, variance, part_variance = (each[usable] for each in (total, part, variance, part_variance))
    outside = np.median(total / part) - 1
    variance = np.abs(variance - part_variance) + outside**2 * part_variance
    # stars of one brightness would else have weights of rounding errors
    variance = np.maximum(variance / part**2, 1e-8)
    faintness = np.median(part) / part
    slope = None if len(part) >= ENOUGH_FOR_SKY else 0.0
    fit = fit_line(faintness, total / part, variance, slope=slope, seed=seed)
    level, error = fit.level - fit.slope * fit.centre, float(np.hypot(fit.level_error, fit.slope_error * fit.centre))
    if level <= 0:
        return np.nan, np.nan, np.nan
    scale = MAGNITUDE / level
    return -2.5 * float(np.log10(level)), float(scale * error), float(scale * fit.intrinsic)


def least_crowded(candidates: NDArray[np.bool_], neighbours: Vector, limit: float) -> NDArray[np.bool_]:
    """Select candidates with little light of neighbours; where there are few, those with the least of it.

    Parameters
    ----------
    candidates : ndarray of bool, shape (n,)
    neighbours : ndarray of float64, shape (n,)
        As `NeighbourFlux.crowding` gives it.
    limit : float

    Returns
    -------
    ndarray of bool, shape (n,)
        The ten least crowded candidates, or as many as there are, if fewer keep within the limit.
    """
    if not candidates.any():
        return candidates
    ordered = np.sort(neighbours[candidates])
    return candidates & (neighbours <= max(limit, ordered[min(WANTED_STARS, len(ordered)) - 1]))
