"""Zero points of a night of one field: 94 frames of EY UMa, stars of ATLAS-Refcat2, matched by place."""

import numpy as np
import pytest
from astropy.table import Table
from helpers import make_catalog
from nightcal.measurement.photometry import FilterRule, add_magnitudes, fit_zero_point
from scipy.spatial import cKDTree

GAIN = 1.5
"""Not told by the table; it only shares out the noise between stars and sky."""

VARIABLE = 19


def plane(ra, dec):
    """Offsets [arcsec] from the middle of the field."""
    ra, dec = (np.ma.filled(np.ma.asarray(each), np.nan) for each in (ra, dec))
    return np.stack([(ra - 135.55) * np.cos(np.radians(49.84)), dec - 49.84], axis=1) * 3600


def sources(rows):
    """Aperture photometry of one frame as a table of sources; one aperture of 36 pixels."""
    flux = GAIN * np.asarray(rows["aperture_net_flux"], dtype=float)
    error = flux * np.asarray(rows["mag_error"]) / 1.0857
    table = Table({"XWIN_IMAGE": rows["xcenter"] + 1, "YWIN_IMAGE": rows["ycenter"] + 1}, meta={"APERTURES": [36.0]})
    table["FLUX_APER"], table["FLUXERR_APER"] = flux[:, None], error[:, None]
    table["FLUX_AUTO"], table["FLUXERR_AUTO"] = flux, error
    table["FWHM_IMAGE"], table["FLAGS"] = np.full(len(rows), 6.0), np.zeros(len(rows), dtype=np.int16)
    return table


@pytest.fixture(scope="module")
def frames(data):
    """Rows of each frame in the order of time, and its table with a zero point."""
    refcat = Table.read(data / "catalogs" / "refcat2.ecsv")
    bands = {band: np.ma.filled(refcat[f"{band}mag"].astype(float), np.nan) for band in "gri"}
    errors = {band: np.ma.filled(refcat[f"e_{band}mag"].astype(float), np.nan) for band in "gri"}
    catalog = make_catalog("refcat2", refcat["RA_ICRS"], refcat["DE_ICRS"], bands, errors)
    tree = cKDTree(plane(refcat["RA_ICRS"], refcat["DE_ICRS"]))
    rows = Table.read(data / "catalogs" / "ey_uma_sources.fits").group_by("date-obs")
    found = []
    for frame in rows.groups:
        distance, star = tree.query(plane(frame["RA"], frame["Dec"]))
        near = distance < 3
        matches = np.flatnonzero(near), star[near]
        table = sources(frame)
        result = fit_zero_point(table, catalog, matches, 90.0, FilterRule("r"))
        found.append((frame, add_magnitudes(table, result), result))
    return found


def test_zero_points_scatter_as_little_as_the_sky_allows(frames):
    level = np.array([result.zero_point for _, _, result in frames])
    airmass = np.array([rows["airmass"][0] for rows, _, _ in frames])
    assert len(level) == 94
    assert level.std() < 0.020
    # Extinction explains most of it, and is what a sky near sea level has in R.
    extinction, at_zero = np.polyfit(airmass, level, 1)
    assert -0.25 < extinction < -0.08
    rest = level - at_zero - extinction * airmass
    # the noise of the stars' fluxes alone is 0.004
    assert rest.std() < 0.008


def test_quoted_errors_hold_the_scatter_about_the_catalogue(frames):
    for _, _, result in frames:
        assert 0.004 < result.error < 0.015
        assert 15 <= result.number <= 24
    # The band is not the filter, and nineteen stars are few.
    assert 0.01 < np.median([result.intrinsic_scatter for _, _, result in frames]) < 0.04


def test_stars_are_steady_and_the_variable_is_not(frames):
    ids = np.array(frames[0][0]["star_id"])
    assert all((rows["star_id"] == ids).all() for rows, _, _ in frames)
    magnitude = np.array([table["MAG_AUTO"] for _, table, _ in frames])
    error = np.array([table["MAGERR_AUTO"] for _, table, _ in frames])
    ratio = magnitude.std(axis=0) / np.median(error, axis=0)
    assert ratio[ids == VARIABLE] > 2
    # stars with errors of more than zero point and flat field
    faint = (np.median(error, axis=0) > 0.02) & (ids != VARIABLE)
    assert np.median(ratio[faint]) == pytest.approx(1, abs=0.25)
