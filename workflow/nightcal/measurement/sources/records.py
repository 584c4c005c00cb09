"""Options of source detection, flags of sources, and the results for a frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np

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
