"""Judge the WCS of a raw frame, which gives its sources positions if no reference stars do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from nightcal.measurement.astrometry.header import UNPARSED, read_celestial_wcs
from nightcal.measurement.astrometry.icrs import find_icrs, measure_scale
from nightcal.measurement.astrometry.pointing import LARGEST_SCALE, SMALLEST_SCALE
from nightcal.measurement.options import AstrometryOptions
from nightcal.numerics.sphere import unit_vectors

if TYPE_CHECKING:
    from astropy.wcs import WCS

LARGEST_ASPECT = 4.0
"""Of a pixel on the sky, binned differently in x and y."""

_CELESTIAL = re.compile(r"(?:RA|DEC|[A-Z]{1,2}L[NT]|[A-Z]L(?:ON|AT))-")


def find_raw_wcs(
    header: fits.Header,
    shape: tuple[int, int],
    pointing: tuple[float, float] | None,
    scale: float | None,
    options: AstrometryOptions | None = None,
) -> tuple[WCS | None, str]:
    """Find the WCS of the raw frame, if it passes all tests.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product, whose raw WCS was shifted and flipped with the image.
    shape : (int, int)
        Rows and columns of the product.
    pointing : (float, float) or None
        Expected centre of the frame, ICRS [deg]; not tested if None.
    scale : float or None
        Expected scale [arcsec/pix]; not tested if None.
    options : AstrometryOptions, optional
        Its tolerances of pointing and scale are used.

    Returns
    -------
    wcs : astropy.wcs.WCS or None
        None if there is none, or if it fails a test.
    problem : str
        The test that it fails; empty if it passes, or if there is none.
    """
    options = options or AstrometryOptions()
    if not any(_CELESTIAL.match(str(header.get(name, ""))) for name in ("CTYPE1", "CTYPE2")):
        return None, ""
    if "NAMPS" in header:
        return None, "it counts raw pixels, and the frame is a mosaic of amplifiers"
    wcs = read_celestial_wcs(header)
    if wcs is None:
        return None, "it cannot be read, or its matrix is degenerate"
    problem = _check_scale(wcs, scale, options) or _check_centre(wcs, shape, pointing, options)
    return (None, problem) if problem else (wcs, "")


def _check_scale(wcs: WCS, expected: float | None, options: AstrometryOptions) -> str:
    scale = measure_scale(wcs)
    longest, shortest = np.linalg.svd(wcs.pixel_scale_matrix, compute_uv=False)
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        return f"its scale is {scale:.3g} arcsec/pixel"
    if longest > LARGEST_ASPECT * shortest:
        return f"its pixels are {longest / shortest:.3g} times as long as wide"
    if expected is not None and abs(scale / expected - 1) > options.scale_tolerance:
        return f"its scale is {scale:.4g} arcsec/pixel; expected {expected:.4g}"
    return ""


def _check_centre(
    wcs: WCS, shape: tuple[int, int], pointing: tuple[float, float] | None, options: AstrometryOptions
) -> str:
    rows, columns = shape
    try:
        centre = find_icrs(wcs, (columns + 1) / 2, (rows + 1) / 2)[:, 0]
    except UNPARSED:
        return "it has no right ascension and declination"
    if not np.isfinite(centre).all():
        return "the centre of the frame is not on its sky"
    if pointing is None:
        return ""
    here, there = unit_vectors(*np.transpose([centre, pointing]))
    distance = np.degrees(np.arctan2(np.linalg.norm(np.cross(here, there)), here @ there))
    half_diagonal = np.hypot(*shape) / 2 * measure_scale(wcs) / 3600
    if distance > options.search_radius / 60 + half_diagonal:
        return f"its centre is {distance:.3g} degrees from the pointing"
    return ""
