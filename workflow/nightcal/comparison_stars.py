"""Stars of a frame that are fit to be compared with a catalogue, and what one may expect of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nightcal.aperture_corrections import (
    MAGNITUDE,
    ApertureCorrections,
    column,
    least_crowded,
    light_of_neighbours,
    unspoiled,
)
from nightcal.errors import ConfigurationError

if TYPE_CHECKING:
    from astropy.table import Table

CATALOGUE_FLOOR = 0.01
"""Scatter [mag] about the catalogue below which a better aperture does not make a better zero point."""

Vector = NDArray[np.float64]
Matches = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]


class Stars(Protocol):
    """What the zero point needs of a `nightcal.star_catalog.StarCatalog`."""

    @property
    def name(self) -> str:
        """Of the catalogue, for the header."""

    @property
    def magnitudes(self) -> Mapping[str, Vector]:
        """By band; NaN where missing."""

    @property
    def errors(self) -> Mapping[str, Vector]:
        """By band [mag]; NaN where missing."""


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
        Light of neighbours in the aperture, in parts of the star's, that a star may have; where fewer than ten keep
        to it, the least crowded ten are used.
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
    most_crowded: float = 0.005
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
    catalog: Stars,
    matches: Matches,
    exposure: float,
    rule: FilterRule,
    corrections: ApertureCorrections,
    options: PhotometryOptions,
) -> Sample | None:
    """Select stars and the aperture to compare.

    Parameters
    ----------
    table : astropy.table.Table
    catalog : Stars
    matches : tuple of two ndarray of int, shape (n,)
    exposure : float
        Time [s].
    rule : FilterRule
        Its band is one of the catalogue's.
    corrections : ApertureCorrections
    options : PhotometryOptions

    Returns
    -------
    Sample or None
        None if no star is left.
    """
    rows, stars = (np.asarray(each, dtype=np.int64) for each in matches)
    magnitude = np.asarray(catalog.magnitudes[rule.band], dtype=np.float64)[stars]
    error = _catalog_error(catalog, rule.band, options)[stars]
    good = unspoiled(table)[rows] & np.isfinite(magnitude) & (error <= options.largest_error)
    flux, variance = column(table, "FLUX_APER")[rows], column(table, "FLUXERR_APER")[rows] ** 2
    apertures = [n for n, value in enumerate(corrections.values) if math.isfinite(value)]
    expected = {
        n: _expected_variance(flux[:, n], variance[:, n], magnitude, good, options.minimum_snr) for n in apertures
    }
    best = _best_aperture(expected, good, corrections, options)
    neighbours = light_of_neighbours(table, corrections.diameters[best] / 2)[rows]
    good &= expected[best] <= (MAGNITUDE / options.minimum_snr) ** 2
    chosen = np.flatnonzero(least_crowded(good, neighbours, options.most_crowded))
    if not len(chosen):
        return None
    instrumental = -2.5 * np.log10(flux[chosen, best] / exposure) + corrections.values[best]
    bands = {rule.band, *(rule.colour or ())} & set(catalog.magnitudes)
    return Sample(
        magnitude[chosen] - instrumental,
        expected[best][chosen],
        {band: _catalog_error(catalog, band, options)[stars[chosen]] for band in sorted(bands)},
        _colour(catalog, rule)[stars[chosen]],
        best,
    )


def _catalog_error(catalog: Stars, band: str, options: PhotometryOptions) -> Vector:
    """Errors of a band [mag]; 0 in a catalogue that has none, the largest allowed where one star has none."""
    magnitude = np.asarray(catalog.magnitudes[band], dtype=np.float64)
    error = np.asarray(catalog.errors.get(band, np.zeros(len(magnitude))), dtype=np.float64)
    given = np.isfinite(error) & (error > 0)
    return np.where(given, error, options.largest_error) if given.any() else np.zeros(len(magnitude))


def _colour(catalog: Stars, rule: FilterRule) -> Vector:
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


def _best_aperture(
    expected: dict[int, Vector], good: NDArray[np.bool_], corrections: ApertureCorrections, options: PhotometryOptions
) -> int:
    """Aperture that promises the smallest error of the zero point, its correction to the largest included."""
    errors = {}
    for n, variance in expected.items():
        usable = variance[good & (variance <= (MAGNITUDE / options.minimum_snr) ** 2)]
        weight = np.sum(1 / (usable + corrections.scatters[n] ** 2 + CATALOGUE_FLOOR**2))
        errors[n] = (1 / weight if weight > 0 else math.inf) + corrections.errors[n] ** 2
    return min(errors, key=lambda n: (errors[n], -corrections.diameters[n]))
