"""Describe the science frames of a night as the Virtual Observatory does: one row of ObsCore for each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.io.date_formats import SECONDS_A_DAY
from nightcal.masters.trends import write_csv
from nightcal.measurement.astrometry.header import read_celestial_wcs
from nightcal.measurement.astrometry.icrs import find_icrs
from nightcal.numerics.sphere import unit_vectors
from nightcal.science.band_limits import find_band_limits

COLUMNS = (
    "dataproduct_type", "calib_level", "obs_collection", "obs_id", "obs_publisher_did", "access_url", "access_format",
    "access_estsize", "target_name", "s_ra", "s_dec", "s_fov", "s_region", "s_resolution", "s_xel1", "s_xel2",
    "s_pixel_scale", "t_min", "t_max", "t_exptime", "t_resolution", "t_xel", "em_min", "em_max", "em_res_power",
    "em_xel", "o_ucd", "pol_states", "pol_xel", "facility_name", "instrument_name",
)  # fmt: skip
"""Mandatory columns of ObsCore 1.1 (IVOA recommendation of 2017), and ``s_pixel_scale``."""

BYTES_PER_PIXEL = 10
"""Of image, uncertainty and mask."""

KNOWN_SKY = ("reference stars", "raw frame")
"""Values of WCSSRC of frames with coordinates."""

Pixels = NDArray[np.float64]


def write_obscore(headers: Mapping[str, fits.Header], filters: Mapping[str, str]) -> str:
    """Write ``obscore.csv``: a row for each science frame that is not empty.

    Parameters
    ----------
    headers : mapping of str to astropy.io.fits.Header
        Of the products, by path below the folder of the night.
    filters : mapping of str to str
        Filter of each frame, by the same path.

    Returns
    -------
    str
    """
    rows = (describe(path, header, filters.get(path, "")) for path, header in headers.items() if "EMPTY" not in header)
    return write_csv(COLUMNS, ([_format(row.get(column)) for column in COLUMNS] for row in rows))


def describe(path: str, header: fits.Header, filter_name: str) -> dict[str, Any]:
    """Describe a science frame in the words of ObsCore.

    Parameters
    ----------
    path : str
        Below the folder of the night.
    header : astropy.io.fits.Header
        Of the product.
    filter_name : str

    Returns
    -------
    dict
        Values by column; what is not known is missing. Angles are in degrees (ICRS), resolution and scale in arcsec,
        times in MJD (UTC) and seconds, wavelengths in metres.
    """
    nx, ny = header["NAXIS1"], header["NAXIS2"]
    row: dict[str, Any] = {
        "dataproduct_type": "image",
        "calib_level": 2,
        "obs_collection": "nightcal",
        "obs_id": f"{header.get('NIGHT', '')}/{PurePosixPath(path).stem}".lstrip("/"),
        "access_url": quote(path),
        "access_format": "image/fits",
        "access_estsize": max(1, round(BYTES_PER_PIXEL * nx * ny / 1000)),
        "target_name": header.get("OBJECT"),
        "s_resolution": header.get("SEEING"),
        "s_xel1": nx,
        "s_xel2": ny,
        "t_xel": 1,
        "em_xel": 1,
        "o_ucd": "phot.count",
        "pol_xel": 0,
        "facility_name": header.get("TELESCOP") or header.get("OBSERVAT"),
        "instrument_name": header.get("INSTRUME"),
    }
    limits = find_band_limits(filter_name)
    row |= {} if limits is None else {"em_min": f"{limits[0]:.4g}", "em_max": f"{limits[1]:.4g}"}
    return row | _describe_time(header) | _describe_sky(header, nx, ny)


def _describe_time(header: fits.Header) -> dict[str, Any]:
    start, seconds = header.get("MJD-OBS"), header.get("EXPTIME")
    if not isinstance(start, int | float) or not isinstance(seconds, int | float):
        return {}
    stop = start + seconds / SECONDS_A_DAY
    return {"t_min": f"{start:.8f}", "t_max": f"{stop:.8f}", "t_exptime": seconds, "t_resolution": seconds}


def _describe_sky(header: fits.Header, nx: int, ny: int) -> dict[str, Any]:
    """Describe the field of a frame with coordinates: centre, diameter, outline and scale."""
    wcs = read_celestial_wcs(header) if header.get("WCSSRC") in KNOWN_SKY else None
    if wcs is None:
        return {}
    x = np.array([0.5, nx + 0.5, nx + 0.5, 0.5, (nx + 1) / 2, (nx + 3) / 2])
    y = np.array([0.5, 0.5, ny + 0.5, ny + 0.5, (ny + 1) / 2, (ny + 1) / 2])
    ra, dec = find_icrs(wcs, x, y)
    if not np.isfinite([ra, dec]).all():
        return {}
    places = unit_vectors(ra, dec)
    corners = _sort_corners(places[:4], places[4])
    outline = " ".join(f"{ra[n]:.6f} {dec[n]:.6f}" for n in corners)
    diagonals = _measure_angle(places[0], places[2]), _measure_angle(places[1], places[3])
    return {
        "s_ra": f"{ra[4]:.6f}",
        "s_dec": f"{dec[4]:.6f}",
        "s_fov": f"{max(diagonals):.5f}",
        "s_region": f"POLYGON ICRS {outline}",
        "s_pixel_scale": f"{3600 * _measure_angle(places[4], places[5]):.4f}",
    }


def _sort_corners(corners: Pixels, centre: Pixels) -> list[int]:
    """Put corners in anticlockwise order as seen from the Earth, with east on the left (DALI 1.1, 3.3.7)."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[1])
    return [0, 1, 2, 3] if float(normal @ centre) < 0 else [0, 3, 2, 1]


def _measure_angle(first: Pixels, second: Pixels) -> float:
    """Measure the angle between two directions [deg]."""
    return float(np.degrees(2 * np.arcsin(np.linalg.norm(first - second) / 2)))


def _format(value: Any) -> str:
    return "" if value is None or isinstance(value, fits.card.Undefined) else str(value)
