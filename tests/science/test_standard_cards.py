"""Headers of science frames and masters as other programs read them."""

import warnings
from datetime import datetime

import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.time import Time
from astropy.utils import iers
from astropy.wcs import WCS
from ccdproc import ImageFileCollection
from helpers import REPOSITORY, make_masters
from nightcal.cameras.camera_file import load_camera
from nightcal.cameras.site import Site, find_site
from nightcal.io.raw_header import read_header
from nightcal.science.reduce import ScienceBatch, reduce_frame
from nightcal.science.standard_cards import compute_airmass
from nightcal.simulation.night import simulate_night

CAMERA = load_camera(REPOSITORY / "config" / "cameras" / "generic.yaml")
START = datetime(2024, 3, 1, 23)


def reduce(folder, unit="electron", masters=None, **changes):
    """Reduce a raw frame of 1000 ADU; return its header."""
    cards = {"IMAGETYP": "Light Frame", "EXPTIME": 10.0, "FILTER": "V", "GAIN": 1.5, "RDNOISE": 5.0}
    cards |= {"DATE-OBS": START.isoformat(), "SATURATE": 50000.0, "DATAMAX": 1012.0, "PEDESTAL": -100}
    cards |= {name.replace("_", "-"): value for name, value in changes.items()}
    raw = fits.Header({name: value for name, value in cards.items() if value is not None})
    pixels = np.random.default_rng(1).normal(1000, 4, (16, 16)).astype(np.uint16)
    fits.PrimaryHDU(pixels, raw).writeto(folder / "raw.fits", overwrite=True)
    reduce_frame(
        folder / "raw.fits", folder / "out.fits", ScienceBatch(camera=CAMERA, unit=unit, masters=masters or {})
    )
    return fits.getheader(folder / "out.fits")


@pytest.mark.parametrize(("unit", "gain", "saturation"), [("electron", 1.0, 75000.0), ("adu", 1.5, 50000.0)])
def test_gain_and_saturation_are_those_of_the_product(tmp_path, unit, gain, saturation):
    header = reduce(tmp_path, unit)
    assert (header["GAIN"], header["RDNOISE"]) == (pytest.approx(gain), 5.0)
    assert header["SATURATE"] == header["DATAMAX"] == pytest.approx(saturation)
    kept = {"RAWGAIN": 1.5, "RAWRDN": 5.0, "RAWSATUR": 50000.0, "RAWDMAX": 1012.0}
    assert {name: header[name] for name in kept} == kept
    assert "PEDESTAL" not in header


def test_saturation_counts_from_the_bias_level(tmp_path):
    simulate_night(tmp_path / "raw", tmp_path / "truth", filters=(), n_bias=3, n_dark=0, n_flat=0, n_science=0)
    masters = make_masters(tmp_path / "raw", CAMERA, "bias")
    raw = next((tmp_path / "raw").glob("bias_*.fits"))
    with fits.open(raw) as hdus:
        hdus[0].header.update({"IMAGETYP": "Light Frame", "EXPTIME": 1.0, "SATURATE": 40000.0})
        hdus[0].data[40:60, 40:60] = 40000
        hdus.writeto(tmp_path / "full.fits")
    reduce_frame(tmp_path / "full.fits", tmp_path / "out.fits", ScienceBatch(camera=CAMERA, masters=masters))
    with fits.open(tmp_path / "out.fits") as hdus:
        assert (hdus["MASK"].data[40:60, 40:60] & 4 > 0).all()
        assert hdus[0].header["SATURATE"] == pytest.approx(np.median(hdus[0].data[40:60, 40:60]), abs=10)
        assert hdus[0].header["SATURATE"] < 40000 * hdus[0].header["RAWGAIN"] - 500


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"DATE-OBS": "2024-03-01T23:00:00", "TIMESYS": "UTC", "IMAGETYP": "Light Frame"}),
        ({"FILTER": None, "FILTER1": "V"}, {"FILTER": "V"}),
        ({"DATE_OBS": None, "DATE_BEG": "2024-03-01T23:00:00.25"}, {"DATE-OBS": "2024-03-01T23:00:00.250"}),
        ({"DATE_OBS": "01/03/24", "UT": "23:00:00"}, {"DATE-OBS": "2024-03-01T23:00:00.000", "RAWDATE": "01/03/24"}),
        ({"MJD_OBS": 60370.5}, {"RAWMJD": 60370.5}),
        ({"IMAGETYP": None, "OBSTYPE": "object"}, {"IMAGETYP": "object"}),
        ({"OBJECT": "M 13"}, {"OBJECT": "M 13"}),
        ({"AIRMASS": 1.7, "RA": "16 41 41", "DEC": "36 27 35", "SITELONG": -105.8, "SITELAT": 32.8}, {"AIRMASS": 1.7}),
    ],
)
def test_missing_and_wrong_cards_are_written_and_right_ones_stay(tmp_path, changes, expected):
    header = reduce(tmp_path, **changes)
    assert {name: header[name] for name in expected} == expected
    start = Time("2024-03-01T23:00:00", scale="utc")
    assert abs(header["MJD-OBS"] - start.mjd) * 86400 < 0.3
    assert (header["MJD-AVG"] - header["MJD-OBS"]) * 86400 == pytest.approx(5, abs=1e-3)


def test_airmass_and_site_are_those_of_astropy(tmp_path):
    place = {"SITELONG": "-105 49 13", "SITELAT": "32 46 49", "SITEELEV": 2788.0}
    header = reduce(tmp_path, RA="16 41 41.6", DEC="36 27 41", DATE_OBS="2024-03-02T09:00:00", **place)
    where = EarthLocation.from_geodetic(-105.820278, 32.780278, 2788.0)
    geocentric = [header[f"OBSGEO-{axis}"] for axis in "XYZ"]
    np.testing.assert_allclose(geocentric, [axis.value for axis in where.geocentric], atol=5)
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("iers_degraded_accuracy", "ignore"):
        frame = AltAz(obstime=Time(header["MJD-AVG"], format="mjd"), location=where)
        altitude = SkyCoord("16h41m41.6s", "36d27m41s").transform_to(frame).alt
    assert header["AIRMASS"] == pytest.approx(1 / np.sin(altitude.rad), abs=0.004)


def test_no_airmass_below_the_horizon():
    assert compute_airmass(0.0, -80.0, 60370.0, Site(-105.8, 32.8)) is None


@pytest.mark.parametrize(
    ("written", "latitude"),
    [(-30.1674, -30.1674), ("30 10 02.6 S", -30.16739), ("N 32 46 49", 32.780278), ((0.5721, "[rad]"), 32.778)],
)
def test_latitudes(tmp_path, written, latitude):
    header = fits.Header({"SITELONG": 10.0})
    header["SITELAT"] = written
    fits.PrimaryHDU(np.zeros((2, 2)), header).writeto(tmp_path / "a.fits")
    site = find_site(read_header(tmp_path / "a.fits"), CAMERA)
    assert site.latitude == pytest.approx(latitude, abs=1e-3)


def test_uncertainty_and_mask_lie_where_the_image_lies(tmp_path):
    wcs = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 250.0, "CRVAL2": 36.0, "CRPIX1": 8.0, "CRPIX2": 8.0}
    reduce(tmp_path, **wcs, CDELT1=-1e-4, CDELT2=1e-4)
    with fits.open(tmp_path / "out.fits") as hdus:
        places = [WCS(hdus[name].header).pixel_to_world_values(3.0, 12.0) for name in ("PRIMARY", "UNCERT", "MASK")]
    assert places[0] == places[1] == places[2]
    assert places[0] != (3.0, 12.0)


def test_ccddata_reads_a_product_without_a_warning(tmp_path):
    place = {
        "SITELONG": -105.82,
        "SITELAT": 32.78,
        "SITEELEV": 2788.0,
        "RADECSYS": "FK5",
        "EPOCH": 2000.0,
        "EQUINOX": 2000.0,
    }
    times = {"DATE_OBS": None, "DATE_BEG": "2024-03-01T23:00:00", "DATE_END": "2024-03-01T23:00:10"}
    wcs = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 250.0, "CRVAL2": 36.0, "CRPIX1": 8.0, "CRPIX2": 8.0}
    header = reduce(tmp_path, **place, **times, **wcs)
    assert (header["RADESYS"], header["RAWEPOCH"]) == ("FK5", 2000.0)
    assert header["OBSGEO-H"] == 2788.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert CCDData.read(tmp_path / "out.fits").wcs is not None


def test_ccdproc_finds_masters_by_type_and_filter(tmp_path):
    simulate_night(tmp_path / "raw", tmp_path / "truth", filters=("V",), n_bias=3, n_dark=3, n_flat=3, n_science=0)
    make_masters(tmp_path / "raw", CAMERA)
    masters = ImageFileCollection(tmp_path, glob_include="master_*.fits")
    for kind in ("bias", "dark", "flat"):
        assert masters.files_filtered(imagetyp=kind) == [f"master_{kind}.fits"]
    assert masters.files_filtered(filter="V") == ["master_flat.fits"]
    assert fits.getval(tmp_path / "master_dark.fits", "EXPTIME") == 1
    assert fits.getval(tmp_path / "master_dark.fits", "BUNIT") == "electron / s"
