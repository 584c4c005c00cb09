"""Options of source detection, flags of sources, and the results for a frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcal.errors import ConfigurationError

if TYPE_CHECKING:
    from astropy.table import Table


class SourceFlag(IntFlag):
    """Bits of the column ``FLAGS``."""

    BAD_PIXEL = 1
    DEBLENDED = 2
    SATURATED = 4
    EDGE = 8
    COSMIC_RAY = 16


UNRELIABLE = SourceFlag.BAD_PIXEL | SourceFlag.SATURATED | SourceFlag.EDGE | SourceFlag.COSMIC_RAY
"""Sources with one of these flags are not compared with reference stars. A deblended star is good enough."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options of source detection and measurement.

    Attributes
    ----------
    threshold : float
        Smallest signal-to-noise ratio of a source after the matched filter.
    minimum_area : int
        Smallest number of connected pixels above the threshold, after the filter.
    background_box : int
        Side of the boxes in which the sky is measured [pix]: several times the largest source, but smaller than the
        scale on which the sky varies.
    deblend_levels : int
        Number of brightness levels used to separate overlapping sources.
    deblend_contrast : float
        Smallest fraction of the flux that counts as a separate source; 1 separates nothing.
    apertures : tuple of float
        Diameters of the circular apertures, ascending. The largest should hold practically all flux of a star.
    aperture_unit : str
        Unit of the diameters: ``fwhm`` (the FWHM of the frame) or ``pixel``.
    kron_factor, kron_minimum : float
        Size of the Kron aperture in Kron radii, and its smallest size in standard deviations of the source.
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
            ("apertures", _are_ascending(self.apertures), "ascending diameters above 0"),
            ("aperture_unit", self.aperture_unit in ("fwhm", "pixel"), "fwhm or pixel"),
            ("kron_factor", self.kron_factor > 0, "a number above 0"),
            ("kron_minimum", self.kron_minimum > 0, "a number above 0"),
        ]
        for key, right, expected in checks:
            if not right:
                raise ConfigurationError(f"sources.{key} is {getattr(self, key)}; expected {expected}.")


def _are_ascending(diameters: tuple[float, ...]) -> bool:
    return len(diameters) > 0 and diameters[0] > 0 and all(low < high for low, high in pairwise(diameters))


@dataclass(frozen=True, slots=True)
class Statistics:
    """Sky, image quality and number of sources of a frame.

    Attributes
    ----------
    number : int
        Number of sources.
    stars : int
        Number of good stars, which give FWHM and ellipticity.
    sky, noise : float
        Sky level and standard deviation of its pixels [e-]; NaN if unknown.
    fwhm : float
        Typical full width at half maximum of a star [pix]; NaN if unknown.
    ellipticity : float
        Typical 1 - b/a of a star; NaN if unknown.
    status : str
        What went wrong, in one sentence; empty if nothing did.
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
    """Sources of a frame, and its statistics.

    Attributes
    ----------
    table : astropy.table.Table
        One row per source, brightest first; `docs/sources.md` describes the columns.
    statistics : Statistics
    status : str
        Why there are no sources, or what went wrong; empty if nothing did.
    """

    table: Table
    statistics: Statistics
    status: str


def make_keywords(statistics: Statistics, pixel_scale: float | None = None) -> list[tuple[str, Any, str]]:
    """List the keywords of a frame's header.

    Parameters
    ----------
    statistics : Statistics
    pixel_scale : float, optional
        [arcsec/pix], for the seeing in arcsec.

    Returns
    -------
    list of (str, value, str)
        Keyword, value and comment; unknown values are left out.
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
