"""Stars of a frame that are fit to be compared with a catalogue, and what one may expect of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nightcal.errors import ConfigurationError
from nightcal.measurement.photometry.aperture_corrections import MAGNITUDE, ApertureCorrections, least_crowded
from nightcal.measurement.photometry.line_fit import fit_line
from nightcal.measurement.photometry.neighbours import Matches, NeighbourFlux, column, unspoiled

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.star_catalog import StarCatalog

FEWEST_STARS = 3
"""For a zero point."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FilterRule:
    """What a filter of the camera is compared with.

    Attributes
    ----------
    band : str
        Of the catalogue, nearest to the filter.
    colour : tuple of two str, optional
        Bands whose difference is the colour, as ``("g", "r")`` for g - r. None: no colour term.
    colour_term : float, optional
        Known from better nights [mag per mag of colour]; taken where the stars of the frame cannot tell. None: 0.
    """

    band: str
    colour: tuple[str, str] | None = None
    colour_term: float | None = None


@dataclass(frozen=True, slots=True)
class PhotometryOptions:
    """Options of the zero point.

    Attributes
    ----------
    minimum_snr : float
        Expected signal-to-noise ratio that a star must have.
    largest_error : float
        Of a catalogue magnitude [mag], to be used. A star without an error in a catalogue that has them counts with
        this one.
    most_crowded : float
        Light of neighbours in the aperture, in parts of the star's, that a star may have; it is taken off. Where fewer
        than ten keep to it, the least crowded ten are used.
    clip : float
        Stars further than this many sigma from the fit are left out.
    fit_colour_term : bool
        False: always take the colour term of the filter's rule.
    fewest_for_colour : int
        Stars needed to fit the colour term.
    narrowest_colour : float
        Standard deviation of the stars' colour [mag] needed to fit it.
    resamples : int
        Of the bootstrap that gives the errors.
    seed : int
        Of its random numbers: the same frame always has the same errors.
    """

    minimum_snr: float = 20.0
    largest_error: float = 0.1
    most_crowded: float = 0.05
    clip: float = 3.5
    fit_colour_term: bool = True
    fewest_for_colour: int = 10
    narrowest_colour: float = 0.15
    resamples: int = 500
    seed: int = 1

    def __post_init__(self) -> None:
        for key, least in LEAST.items():
            value = getattr(self, key)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
                raise ConfigurationError(f"photometry.{key} is {value!r}; expected a number of {least} or more")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and not isinstance(value, int):
                raise ConfigurationError(f"photometry.{field.name} is {value!r}; expected a whole number")
            if field.type == "bool" and not isinstance(value, bool):
                raise ConfigurationError(f"photometry.{field.name} is {value!r}; expected true or false")


LEAST = {
    "minimum_snr": 3,
    "largest_error": 0.001,
    "most_crowded": 0,
    "clip": 2,
    "fewest_for_colour": 4,
    "narrowest_colour": 0.01,
    "resamples": 100,
    "seed": 0,
}
"""Smallest value of each option that is a number."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Usable stars.

    Attributes
    ----------
    difference : ndarray of float64, shape (n,)
        Catalogue minus instrumental magnitude, the latter of 1 electron per second and corrected to all light.
    variance : ndarray of float64, shape (n,)
        Of the instrumental magnitude.
    errors : dict of str to ndarray of float64, shape (n,)
        Of the catalogue by band, one sigma [mag].
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

    def of(self, chosen: NDArray[np.bool_]) -> Sample:
        """Take some of the stars."""
        errors = {band: error[chosen] for band, error in self.errors.items()}
        return Sample(self.difference[chosen], self.variance[chosen], errors, self.colour[chosen], self.aperture)


def select_stars(
    table: Table,
    catalog: StarCatalog,
    matches: Matches,
    exposure_time: float,
    rule: FilterRule,
    corrections: ApertureCorrections,
    stray: NeighbourFlux,
    options: PhotometryOptions,
) -> Sample:
    """Select stars and the aperture to compare.

    Parameters
    ----------
    table : astropy.table.Table
    catalog : StarCatalog
    matches : tuple of two ndarray of int, shape (n,)
    exposure : float
        Time [s].
    rule : FilterRule
        Its band is one of the catalogue's.
    corrections : ApertureCorrections
    stray : NeighbourFlux
        Light of neighbours, which is taken off.
    options : PhotometryOptions

    Returns
    -------
    Sample
        In the aperture that promises the smallest error of the zero point, without any star if none is left.
    """
    rows, stars = (np.asarray(each, dtype=np.int64) for each in matches)
    magnitude = np.asarray(catalog.magnitudes[rule.band], dtype=np.float64)[stars]
    bands = sorted({rule.band, *(rule.colour or ())} & set(catalog.magnitudes))
    errors = {band: _catalog_error(catalog, band, options)[stars] for band in bands}
    colour = _colour(catalog, rule)[stars]
    good = unspoiled(table)[rows] & np.isfinite(magnitude) & (errors[rule.band] <= options.largest_error)
    light = (column(table, "FLUX_APER") - stray.light[:, :-1])[rows]
    samples = []
    for n, correction in enumerate(corrections.values):
        flux, variance = light[:, n], column(table, "FLUXERR_APER")[rows, n] ** 2
        expected = _expected_variance(flux, variance, magnitude, good, options.minimum_snr)
        usable = good & (expected <= (MAGNITUDE / options.minimum_snr) ** 2) & math.isfinite(correction)
        crowding = stray.crowding(n)[rows]
        usable = least_crowded(usable & np.isfinite(crowding), crowding, options.most_crowded)
        with np.errstate(divide="ignore", invalid="ignore"):
            difference = magnitude + 2.5 * np.log10(flux / exposure_time) - correction
            expected += (MAGNITUDE * stray.error[rows, n] / flux) ** 2
        samples.append(Sample(difference, expected, errors, colour, n).of(usable))
    return min(samples, key=lambda sample: (_promise(sample, rule, corrections), -sample.aperture))


def _catalog_error(catalog: StarCatalog, band: str, options: PhotometryOptions) -> Vector:
    """Errors of a band [mag]; 0 in a catalogue that has none, the largest allowed where one star has none."""
    magnitude = np.asarray(catalog.magnitudes[band], dtype=np.float64)
    error = np.asarray(catalog.errors.get(band, np.zeros(len(magnitude))), dtype=np.float64)
    given = np.isfinite(error) & (error > 0)
    return np.where(given, error, options.largest_error) if given.any() else np.zeros(len(magnitude))


def _colour(catalog: StarCatalog, rule: FilterRule) -> Vector:
    """Colour of each star of the catalogue; NaN where unknown."""
    if rule.colour is None or not set(rule.colour) <= set(catalog.magnitudes):
        return np.full(len(catalog.magnitudes[rule.band]), np.nan)
    blue, red = (np.asarray(catalog.magnitudes[band], dtype=np.float64) for band in rule.colour)
    return blue - red


def _expected_variance(
    flux: Vector, variance: Vector, magnitude: Vector, good: NDArray[np.bool_], minimum_snr: float
) -> Vector:
    """Variance [mag^2] of a flux as bright as the catalogue says; infinite where nothing is known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bright = good & (flux > 0) & (flux >= minimum_snr / 2 * np.sqrt(variance))
        if not bright.any():
            return np.full(len(flux), np.inf)
        level = np.median(magnitude[bright] + 2.5 * np.log10(flux[bright]))
        model = 10 ** (0.4 * (level - magnitude))
        # an electron of light has a variance of one; what is left is that of sky and detector
        expected = MAGNITUDE**2 * (np.maximum(variance - flux, 0) + model) / model**2
    return np.where((flux > 0) & np.isfinite(expected), expected, np.inf)


def _promise(sample: Sample, rule: FilterRule, corrections: ApertureCorrections) -> float:
    """Variance of the zero point that a sample promises, that of its aperture correction included."""
    if len(sample.difference) < FEWEST_STARS:
        return math.inf
    slope = rule.colour_term or 0.0
    variance = sample.variance + sample.errors[rule.band] ** 2
    fit = fit_line(np.nan_to_num(sample.colour), sample.difference, variance, slope=slope, resamples=0)
    return fit.level_error**2 + corrections.errors[sample.aperture] ** 2
