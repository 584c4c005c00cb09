"""Select the stars of a frame to compare with a catalogue, and predict their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.options import FilterRule, PhotometryOptions
from nightcal.measurement.photometry.aperture_corrections import MAGNITUDE, ApertureCorrections, select_least_crowded
from nightcal.measurement.photometry.catalog_neighbours import Matches
from nightcal.measurement.photometry.line_fit import fit_line
from nightcal.measurement.photometry.neighbours import NeighbourFlux
from nightcal.measurement.sources.table import find_reliable_sources, read_column

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.star_catalog import StarCatalog

FEWEST_STARS = 3
"""Smallest number of stars for a zero point."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """Stars to compare with the catalogue.

    Attributes
    ----------
    difference : ndarray of float64, shape (n,)
        Catalogue magnitude minus instrumental magnitude of the total flux [e-/s].
    variance : ndarray of float64, shape (n,)
        Variance of the instrumental magnitude.
    errors : dict of str to ndarray of float64, shape (n,)
        1 sigma error of the catalogue by band [mag].
    colour : ndarray of float64, shape (n,)
        NaN where unknown.
    aperture : int
        Index of the aperture.
    """

    difference: Vector
    variance: Vector
    errors: dict[str, Vector]
    colour: Vector
    aperture: int

    def select(self, chosen: NDArray[np.bool_]) -> Sample:
        """Select some of the stars."""
        errors = {band: error[chosen] for band, error in self.errors.items()}
        return Sample(self.difference[chosen], self.variance[chosen], errors, self.colour[chosen], self.aperture)


def select_stars(
    table: Table,
    catalog: StarCatalog,
    matches: Matches,
    exposure_time: float,
    rule: FilterRule,
    corrections: ApertureCorrections,
    neighbours: NeighbourFlux,
    options: PhotometryOptions,
) -> Sample:
    """Select stars and the aperture to compare with the catalogue.

    Parameters
    ----------
    table : astropy.table.Table
    catalog : StarCatalog
    matches : tuple of two ndarray of int, shape (n,)
    exposure_time : float
        [s]
    rule : FilterRule
        Its band must be in the catalogue.
    corrections : ApertureCorrections
    neighbours : NeighbourFlux
        Flux of neighbours, subtracted first.
    options : PhotometryOptions

    Returns
    -------
    Sample
        In the aperture with the smallest expected error of the zero point; may be empty.
    """
    rows, stars = (np.asarray(each, dtype=np.int64) for each in matches)
    magnitude = np.asarray(catalog.magnitudes[rule.band], dtype=np.float64)[stars]
    bands = sorted({rule.band, *(rule.colour or ())} & set(catalog.magnitudes))
    errors = {band: _find_catalog_errors(catalog, band, options)[stars] for band in bands}
    colour = _compute_colours(catalog, rule)[stars]
    good = find_reliable_sources(table)[rows] & np.isfinite(magnitude) & (errors[rule.band] <= options.largest_error)
    fluxes = (read_column(table, "FLUX_APER") - neighbours.flux[:, :-1])[rows]
    samples = []
    for n, correction in enumerate(corrections.values):
        flux, variance = fluxes[:, n], read_column(table, "FLUXERR_APER")[rows, n] ** 2
        expected = _predict_variance(flux, variance, magnitude, good, options.minimum_snr)
        usable = good & (expected <= (MAGNITUDE / options.minimum_snr) ** 2) & math.isfinite(correction)
        crowding = neighbours.measure_crowding(n)[rows]
        usable = select_least_crowded(usable & np.isfinite(crowding), crowding, options.most_crowded)
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = magnitude + 2.5 * np.log10(flux / exposure_time) - correction
            expected += (MAGNITUDE * neighbours.error[rows, n] / flux) ** 2
        samples.append(Sample(difference, expected, errors, colour, n).select(usable))
    return min(samples, key=lambda sample: (_predict_error(sample, rule, corrections), -sample.aperture))


def _find_catalog_errors(catalog: StarCatalog, band: str, options: PhotometryOptions) -> Vector:
    """Find the errors of a band [mag]: 0 in a catalogue without errors, the largest allowed for a star without."""
    magnitude = np.asarray(catalog.magnitudes[band], dtype=np.float64)
    error = np.asarray(catalog.errors.get(band, np.zeros(len(magnitude))), dtype=np.float64)
    given = np.isfinite(error) & (error > 0)
    return np.where(given, error, options.largest_error) if given.any() else np.zeros(len(magnitude))


def _compute_colours(catalog: StarCatalog, rule: FilterRule) -> Vector:
    """Compute the colour of each star of the catalogue; NaN if unknown."""
    if rule.colour is None or not set(rule.colour) <= set(catalog.magnitudes):
        return np.full(len(catalog.magnitudes[rule.band]), np.nan)
    blue, red = (np.asarray(catalog.magnitudes[band], dtype=np.float64) for band in rule.colour)
    return blue - red


def _predict_variance(
    flux: Vector, variance: Vector, magnitude: Vector, good: NDArray[np.bool_], minimum_snr: float
) -> Vector:
    """Predict the variance [mag^2] of a flux from the catalogue magnitude; infinite if unknown."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bright = good & (flux > 0) & (flux >= minimum_snr / 2 * np.sqrt(variance))
        if not bright.any():
            return np.full(len(flux), np.inf)
        level = np.median(magnitude[bright] + 2.5 * np.log10(flux[bright]))
        model = 10 ** (0.4 * (level - magnitude))
        # the signal has a variance of one per electron; the rest is that of sky and detector
        expected = MAGNITUDE**2 * (np.maximum(variance - flux, 0) + model) / model**2
    return np.where((flux > 0) & np.isfinite(expected), expected, np.inf)


def _predict_error(sample: Sample, rule: FilterRule, corrections: ApertureCorrections) -> float:
    """Predict the variance of the zero point from a sample, with that of its aperture correction."""
    if len(sample.difference) < FEWEST_STARS:
        return math.inf
    slope = rule.colour_term or 0.0
    variance = sample.variance + sample.errors[rule.band] ** 2
    fit = fit_line(np.nan_to_num(sample.colour), sample.difference, variance, slope=slope, resamples=0)
    return fit.level_error**2 + corrections.errors[sample.aperture] ** 2
