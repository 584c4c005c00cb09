"""Options of source detection, flags of sources, and the results for a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcal.measurement.sources.shape import StarShape

if TYPE_CHECKING:
    from astropy.table import Table


class SourceFlag(IntFlag):
    """Bits of the column ``FLAGS``."""

    BAD_PIXEL = 1
    DEBLENDED = 2
    SATURATED = 4
    EDGE = 8
    COSMIC_RAY = 16
    TRAIL = 32


UNRELIABLE = SourceFlag.BAD_PIXEL | SourceFlag.SATURATED | SourceFlag.EDGE | SourceFlag.COSMIC_RAY | SourceFlag.TRAIL
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
    shape : StarShape
    aperture_noise : float
        Scatter of the smallest apertures on empty sky over their errors; NaN if unknown.
    """

    number: int = 0
    stars: int = 0
    sky: float = float("nan")
    noise: float = float("nan")
    fwhm: float = float("nan")
    ellipticity: float = float("nan")
    status: str = ""
    shape: StarShape = field(default_factory=StarShape)
    aperture_noise: float = float("nan")


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


def make_keywords(statistics: Statistics, pixel_scale: float | None = None) -> dict[str, Any]:
    """List the values for a frame's header.

    Parameters
    ----------
    statistics : Statistics
    pixel_scale : float, optional
        [arcsec/pix], for the seeing in arcsec.

    Returns
    -------
    dict
        Values by keyword; what is unknown is left out.
    """
    numbers = {
        "SKYLEVEL": statistics.sky,
        "SKYNOISE": statistics.noise,
        "FWHM": statistics.fwhm,
        "SEEING": statistics.fwhm * (pixel_scale or np.nan),
        "ELLIPTIC": statistics.ellipticity,
        "ELLANGLE": statistics.shape.angle,
        "APERNOIS": statistics.aperture_noise,
    }
    found: dict[str, Any] = {
        keyword: round(float(value), 3) for keyword, value in numbers.items() if np.isfinite(value)
    }
    found |= {"NSOURCES": statistics.number, "NSTARS": statistics.stars}
    found |= _describe_shape(statistics.shape)
    return found | ({"SRCSTAT": statistics.status} if statistics.status else {})


def _describe_shape(shape: StarShape) -> dict[str, Any]:
    """List the values that are no plain numbers."""
    found: dict[str, Any] = {"TRAILED": shape.trailed} if np.isfinite(shape.elongation) else {}
    if np.isfinite(shape.fwhm_map).any():
        found["FWHMMAP"] = " ".join(f"{width:.2f}" if np.isfinite(width) else "-" for width in shape.fwhm_map)
    return found
