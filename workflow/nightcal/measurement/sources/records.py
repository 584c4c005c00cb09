"""What is asked about the sources of a frame, and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcal.errors import ConfigurationError

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are found and measured.

    Attributes
    ----------
    threshold : float
        Smallest signal of a source after the matched filter, in units of its error.
    minimum_area : int
        Smallest number of connected pixels above the threshold, after the filter.
    background_box : int
        Side of the boxes in which the sky is measured [pix]: several times the largest source, less than the scale on
        which the sky changes.
    deblend_levels : int
        Number of brightness levels at which a source is looked at for parts.
    deblend_contrast : float
        Smallest part of the light that makes a source of its own; 1 separates nothing.
    apertures : tuple of float
        Diameters of the circular apertures, ascending. The largest should hold practically all light of a star.
    aperture_unit : str
        ``fwhm``, diameters in units of the frame's FWHM, or ``pixel``.
    kron_factor, kron_minimum : float
        Kron aperture in units of the Kron radius, and its smallest size in units of the source's standard deviations.
    """

    threshold: float = 5.0
    minimum_area: int = 3
    background_box: int = 64
    deblend_levels: int = 64
    deblend_contrast: float = 0.0005
    apertures: tuple[float, ...] = (1.5, 2.0, 3.0, 6.0)
    aperture_unit: str = "fwhm"
    kron_factor: float = 2.5
    kron_minimum: float = 3.5

    def __post_init__(self) -> None:
        checks = [
            ("threshold", self.threshold > 0, "a number above 0"),
            ("minimum_area", self.minimum_area >= 1, "1 or more"),
            ("background_box", self.background_box >= 8, "8 pixels or more"),
            ("deblend_levels", self.deblend_levels >= 1, "1 or more"),
            ("deblend_contrast", 0 <= self.deblend_contrast <= 1, "a number from 0 to 1"),
            ("apertures", _ascending(self.apertures), "ascending diameters above 0"),
            ("aperture_unit", self.aperture_unit in ("fwhm", "pixel"), "fwhm or pixel"),
            ("kron_factor", self.kron_factor > 0, "a number above 0"),
            ("kron_minimum", self.kron_minimum > 0, "a number above 0"),
        ]
        for key, right, expected in checks:
            if not right:
                raise ConfigurationError(f"sources.{key} is {getattr(self, key)}; expected {expected}.")


def _ascending(diameters: tuple[float, ...]) -> bool:
    return len(diameters) > 0 and diameters[0] > 0 and all(low < high for low, high in pairwise(diameters))


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a frame's sources tell of the frame.

    Attributes
    ----------
    number : int
        Sources.
    stars : int
        Good stars, from which FWHM and ellipticity come.
    sky, noise : float
        Level of the sky and standard deviation of its pixels [e-]; NaN if unknown.
    fwhm : float
        Typical full width at half maximum of a star [pix]; NaN if unknown.
    ellipticity : float
        Typical 1 - b/a of a star; NaN if unknown.
    status : str
        Empty if all went well; otherwise what did not, in a sentence.
    """

    number: int = 0
    stars: int = 0
    sky: float = float("nan")
    noise: float = float("nan")
    fwhm: float = float("nan")
    ellipticity: float = float("nan")
    status: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Sources of a frame.

    Attributes
    ----------
    table : astropy.table.Table
        A row a source, brightest first; `docs/sources.md` tells the columns.
    statistics : Statistics
    status : str
        Why there are no sources, or what had to be given up; empty if all went well.
    """

    table: Table
    statistics: Statistics
    status: str


def cards(statistics: Statistics, pixel_scale: float | None = None) -> list[tuple[str, Any, str]]:
    """Cards of a frame's header.

    Parameters
    ----------
    statistics : Statistics
    pixel_scale : float, optional
        [arcsec/pix], for the seeing in arcsec.

    Returns
    -------
    list of (str, value, str)
        What is unknown is left out.
    """
    values = [
        ("SKYLEVEL", statistics.sky, 3, "[electron] median level of the sky"),
        ("SKYNOISE", statistics.noise, 3, "[electron] standard deviation of the sky"),
        ("FWHM", statistics.fwhm, 3, "[pix] typical full width at half maximum"),
        ("SEEING", statistics.fwhm * (pixel_scale or np.nan), 3, "[arcsec] FWHM on the sky"),
        ("ELLIPTIC", statistics.ellipticity, 3, "typical 1 - b/a of the stars"),
    ]
    found: list[tuple[str, Any, str]] = [
        (keyword, round(float(value), digits), comment)
        for keyword, value, digits, comment in values
        if np.isfinite(value)
    ]
    found += [("NSOURCES", statistics.number, "sources found"), ("NSTARS", statistics.stars, "stars in FWHM, ELLIPTIC")]
    found += [("SRCSTAT", statistics.status, "")] if statistics.status else []
    return found
