"""Pointing and scale of a raw frame."""

from pathlib import Path

import pytest
from astropy.io import fits
from nightcal.cameras.camera import Camera
from nightcal.cameras.camera_file import load_camera
from nightcal.check_camera import LINES
from nightcal.errors import ConfigurationError
from nightcal.io.raw_header import RawHeader
from nightcal.measurement.astrometry.pointing import find_hint

CARDS = {
    "ra": ("RA",),
    "dec": ("DEC",),
    "pixel_scale": ("PIXSCALE",),
    "pixel_size": ("XPIXSZ",),
    "focal_length": ("FOCALLEN",),
}
PLACE = {"RA": "10:00:00", "DEC": "-20:30:00"}
SKY = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 359.99, "CRVAL2": 0.0, "CRPIX1": 1.0, "CRPIX2": 1.0,
       "CD1_1": 0.001, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.001}  # fmt: skip


def hint(cards, shape=(101, 101), **more):
    camera = Camera("mine", "mine", Path("mine.yaml"), cards=CARDS, binning=(("XBINNING", "YBINNING"),), **more)
    return find_hint(RawHeader(fits.Header(cards), 0, shape), camera)


def test_the_pointing_comes_from_the_keywords():
    assert hint(PLACE | SKY).pointing == pytest.approx((150.0, -20.5))


def test_without_keywords_the_pointing_is_the_centre_of_the_raw_wcs():
    found = hint(SKY)
    assert found.pointing == pytest.approx((0.04, 0.05), abs=1e-6)
    assert found.scale == pytest.approx(3.6)
    assert found.source == "pointing from the WCS of the raw header, scale from the WCS of the raw header"


@pytest.mark.parametrize("cards", [{}, {"RA": "10:00:00"}, {"RA": "ten", "DEC": 5.0}, {"CRVAL1": 10.0}])
def test_without_either_there_is_no_pointing(cards):
    found = hint(cards)
    assert found.pointing is None
    assert found.source == "no pointing, no scale"


def test_galactic_coordinates_are_not_used_as_equatorial():
    assert hint(SKY | {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}).pointing is None


@pytest.mark.parametrize("card", ["CRVAL1  = 1E400", "CTYPE1  = 3", "CD1_1   = 1E400"])
def test_a_wcs_that_astropy_cannot_read_is_ignored(card):
    header = fits.Header({name: value for name, value in SKY.items() if name != card[:8].strip()})
    header.append(fits.Card.fromstring(card))
    camera = Camera("mine", "mine", Path("mine.yaml"), cards=CARDS)
    assert find_hint(RawHeader(header, 0, (101, 101)), camera).pointing is None


def test_the_scale_of_a_keyword_is_per_binned_pixel():
    assert hint({"PIXSCALE": 0.778, "XBINNING": 2, "YBINNING": 2}, pixel_scale=0.389).scale == 0.778
    assert hint({"PIXSCALE": "0.778"} | SKY).scale == 0.778


def test_the_scale_of_the_camera_file_is_multiplied_by_the_binning():
    assert hint({"XBINNING": 2, "YBINNING": 2}, pixel_scale=0.389).scale == pytest.approx(0.778)


def test_the_last_resort_for_the_scale_is_pixel_size_and_focal_length():
    found = hint({"XPIXSZ": 13.0, "FOCALLEN": 4011.5})
    assert found.scale == pytest.approx(0.66844, rel=1e-4)
    assert "scale from pixel size and focal length" in found.source


@pytest.mark.parametrize(
    "cards",
    [{"PIXSCALE": 0.0}, {"PIXSCALE": -1.0}, {"PIXSCALE": "wide"}, {"PIXSCALE": True}, {"XPIXSZ": 9.0, "FOCALLEN": 0.0},
     {"PIXSCALE": 5000.0}, {"XBINNING": 0, "YBINNING": 0}],
)  # fmt: skip
def test_an_impossible_scale_is_ignored(cards):
    assert hint(cards).scale is None


def test_a_card_that_is_not_fits_is_ignored():
    header = fits.Header.fromstring(f"{'PIXSCALE= 3,2E-05':80}{'RA      = 10:00:00':80}END")
    camera = Camera("mine", "mine", Path("mine.yaml"), cards=CARDS)
    assert find_hint(RawHeader(header, 0, (10, 10)), camera).source == "no pointing, no scale"


def test_check_camera_shows_the_scale():
    camera = Camera("mine", "mine", Path("mine.yaml"), cards=CARDS, pixel_scale=0.4)
    assert LINES["scale"](camera, RawHeader(fits.Header(PLACE), 0, (9, 9))) == (
        "0.4 arcsec per pixel as read out (from the camera file)"
    )


def test_the_scale_is_read_from_a_camera_file(tmp_path):
    path = tmp_path / "mine.yaml"
    text = "name: mine\ntitle: mine\ntypes: [{other: {type: '*'}}]\ncards: {pixel_scale: SECPIX}\npixel_scale: "
    path.write_text(text + "0.42\n")
    camera = load_camera(path)
    assert (camera.pixel_scale, camera.cards["pixel_scale"]) == (0.42, ("SECPIX",))
    path.write_text(text + "wide\n")
    with pytest.raises(ConfigurationError, match="pixel_scale is 'wide'; expected arcsec from"):
        load_camera(path)
