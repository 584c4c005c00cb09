"""Estimate the flux of companions that neither the frame nor the catalogue shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.photometry.neighbours import NeighbourFlux, Vector

HIDDEN = 1.9
"""Companions within this distance are not resolved [FWHM]: half of those that are found further out are found at 1.6
FWHM from a star less than 2.5 times as bright as the faintest in the catalogue, and at 2 from a brighter one."""

FAINTER = 0.2
"""Largest flux of an unseen companion, as a fraction of the star's: a brighter one makes the star an outlier, or
shifts its position from that of the catalogue."""

STEPS = 100


def estimate_unseen_flux(
    found: NeighbourFlux, places: Vector, unknown: NDArray[np.bool_], fwhm: float
) -> tuple[Vector, Vector]:
    """Estimate the flux of unseen companions from the sources that are not in the catalogue.

    Parameters
    ----------
    found : NeighbourFlux
        Of all sources.
    places : ndarray of float64, shape (n, 2)
        Of the sources [pix]; NaN if unknown.
    unknown : ndarray of bool, shape (n,)
        Whether a source is not in the catalogue.
    fwhm : float
        Of a star [pix].

    Returns
    -------
    mean, scatter : ndarray of float64, shape (n, apertures + 1)
        Expected flux in each aperture, and its standard deviation from source to source [e-].

    Notes
    -----
    Sources that the catalogue lacks are as frequent next to a star as elsewhere, but within `HIDDEN` they are not
    resolved. Their number and flux elsewhere give mean and variance (a Poisson process) of what a star hides. Some of
    them are themselves hidden by brighter sources: their number is divided by the fraction of the frame where they
    would be seen.
    """
    nothing = np.zeros((len(places), len(found.radii)))
    known = np.isfinite(places).all(axis=1)
    area = float(np.prod(np.ptp(places[known], axis=0))) if known.any() else 0.0
    flux = np.sort(found.own[unknown & known & (found.own > 0)])
    if not (len(flux) and area > 0):
        return nothing, nothing
    every = np.sort(found.own[known])
    brighter = len(every) - np.searchsorted(every, flux, side="right")
    radius = HIDDEN * fwhm
    density = np.exp(np.pi * radius**2 * brighter / area) / area
    number = np.searchsorted(flux, FAINTER * found.own)
    mean, square = (np.append(0, np.cumsum(density * flux**power))[number] for power in (1, 2))
    distance = (np.arange(STEPS) + 0.5) / STEPS * radius
    share = np.stack([found.curve.integrate_aperture(each, distance) for each in found.radii])
    ring = 2 * np.pi * distance * radius / STEPS
    # the last bits of a matrix product depend on the number of threads
    areas = np.sum(share * ring, axis=1), np.sum(share**2 * ring, axis=1)
    return np.outer(mean, areas[0]), np.sqrt(np.outer(square, areas[1]))
