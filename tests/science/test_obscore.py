"""ObsCore rows say where, when and in which light a frame was taken."""

import csv
import io

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from nightcal.science.band_limits import find_band_limits
from nightcal.science.obscore import COLUMNS, describe, write_obscore

PATH = "science/M 13_001.fits"


def make_header(ra=250.4, dec=36.46, mirrored=False, turn=30.0, **changes):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [ra, dec], [100.5, 75.5]
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    wcs.wcs.cd = 1e-3 * np.array([[c, -s], [s, c]]) @ np.diag([1 if mirrored else -1, 1])
    header = wcs.to_header()
    header.update({"NAXIS1": 200, "NAXIS2": 150, "WCSSRC": "reference stars", "NIGHT": "20240301"})
    header.update({"MJD-OBS": 60371.25, "EXPTIME": 86.4, "OBJECT": "M 13", "TELESCOP": "ARCSAT", "INSTRUME": "Apogee"})
    header.update(changes)
    return header, wcs


def read_corners(row):
    shape, frame, *numbers = row["s_region"].split()
    assert (shape, frame) == ("POLYGON", "ICRS")
    return np.array(numbers, float).reshape(-1, 2)


def test_a_row_gives_time_place_and_light_of_a_frame():
    header, wcs = make_header(SEEING=2.1)
    (row,) = csv.DictReader(io.StringIO(write_obscore({PATH: header}, {PATH: "V"})))
    assert tuple(row) == COLUMNS
    assert (row["dataproduct_type"], row["calib_level"], row["o_ucd"]) == ("image", "2", "phot.count")
    assert (row["access_url"], row["obs_id"]) == ("science/M%2013_001.fits", "20240301/M 13_001")
    assert (row["target_name"], row["facility_name"], row["instrument_name"]) == ("M 13", "ARCSAT", "Apogee")
    assert float(row["t_max"]) - float(row["t_min"]) == pytest.approx(0.001, abs=2e-6)
    assert float(row["em_min"]) < 5.5e-7 < float(row["em_max"])
    centre = SkyCoord(float(row["s_ra"]), float(row["s_dec"]), unit="deg")
    assert centre.separation(wcs.pixel_to_world(99.5, 74.5)).arcsec < 0.01
    assert float(row["s_fov"]) == pytest.approx(0.25, rel=1e-3)
    assert float(row["s_pixel_scale"]) == pytest.approx(3.6, rel=1e-3)
    assert row["s_resolution"] == "2.1"


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("ra", "dec"), [(250.4, 36.46), (0.01, 0.0), (10.0, -89.99)])
def test_outlines_enclose_the_frame_anticlockwise_with_east_on_the_left(ra, dec, mirrored):
    header, wcs = make_header(ra, dec, mirrored)
    corners = read_corners(describe(PATH, header, "V"))
    x, y = wcs.wcs_world2pix(corners, 1).T
    assert sorted(zip(np.round(x, 1), np.round(y, 1), strict=True)) == [
        (0.5, 0.5), (0.5, 150.5), (200.5, 0.5), (200.5, 150.5),
    ]  # fmt: skip
    centre = SkyCoord(*wcs.wcs_pix2world(100.5, 75.5, 1), unit="deg")
    east_is_left = np.unwrap(centre.position_angle(SkyCoord(corners, unit="deg")).rad)
    assert (np.diff(east_is_left) > 0).all()


def test_unknown_things_are_empty_and_empty_products_have_no_row():
    plain = fits.Header({"NAXIS1": 10, "NAXIS2": 10})
    rows = write_obscore({PATH: plain, "science/bad.fits": fits.Header({"EMPTY": "too short"})}, {})
    (row,) = csv.DictReader(io.StringIO(rows))
    assert {row[name] for name in ("s_ra", "s_region", "t_min", "em_min", "target_name")} == {""}
    assert describe(PATH, make_header(WCSSRC="none")[0], "V").get("s_region") is None


@pytest.mark.parametrize(
    ("name", "middle"),
    [("V", 545), ("Bessell-V", 545), ("B Johnson", 436), ("R", 641), ("r", 612), ("rp", 612), ("g'", 464),
     ("sdss_z", 890), ("SDSS-G", 464), ("i-Sloan", 744), ("B+ND", None), ("Ha", None), ("", None), ("V2", None),
     ("Clear", None), ("G", None)],
)  # fmt: skip
def test_band_limits(name, middle):
    limits = find_band_limits(name)
    assert (None if limits is None else round(sum(limits) / 2 * 1e9)) == middle
