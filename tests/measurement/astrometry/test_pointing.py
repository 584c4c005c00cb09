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


BINNED = {"XBINNING": 2, "YBINNING": 2}


@pytest.mark.parametrize(
    ("cards", "size"),
    [
        ({"XPIXSZ": 9.0}, 9.0),
        ({"PIXSIZE1": 4.5, "PIXSIZE2": 4.5}, 9.0),
        ({"PIXSIZE1": (9.0, "[um] with binning")}, 9.0),
        ({"XPIXSZ": (4.5, "[um] unbinned")}, 9.0),
        ({"XPIXSZ": (4.5, "pixel width before binning")}, 9.0),
        ({"XPIXSZ": (9.0, "Pixel Width in microns (after binning)")}, 9.0),
    ],
)
def test_a_pixel_size_is_that_of_the_chip_or_of_a_binned_pixel(cards, size):
    header = fits.Header()
    header.update(cards | BINNED | {"FOCALLEN": 206.264806})
    camera = Camera("mine", "mine", Path("mine.yaml"), cards=CARDS | {"pixel_size": ("XPIXSZ", "PIXSIZE1")},
                    binning=(("XBINNING", "YBINNING"),))  # fmt: skip
    assert find_hint(RawHeader(header, 0, (9, 9)), camera).scale == pytest.approx(size)


def warned(cards, **more):
    warnings = []
    camera = Camera("mine", "mine", Path("mine.yaml"), cards=CARDS, binning=(("XBINNING", "YBINNING"),), **more)
    found = find_hint(RawHeader(fits.Header(cards), 0, (101, 101)), camera, warnings.append)
    return found.scale, [text.partition(":")[0] for text in warnings]


def test_an_unbinned_scale_is_found_out_by_the_other_scales():
    assert warned({"PIXSCALE": 1.8} | SKY | BINNED) == (pytest.approx(3.6), [])
    assert warned({"PIXSCALE": 1.8, "XPIXSZ": 18.0, "FOCALLEN": 1031.324} | BINNED) == (pytest.approx(3.6), [])


def test_scales_that_disagree_give_a_warning():
    assert warned({"PIXSCALE": 1.0} | SKY) == (1.0, ["pixel scales disagree"])
    assert warned({"XPIXSZ": 9.0, "FOCALLEN": 2000.0} | SKY) == (pytest.approx(3.6), ["pixel scales disagree"])
    assert warned({"PIXSCALE": 3.5} | SKY) == (3.5, [])
    assert warned(SKY, pixel_scale=1.0) == (1.0, [])  # the observer knows best


@pytest.mark.parametrize(
    ("cards", "names"),
    [
        ({"XBINNING": 1, "YBINNING": 2}, ["pixels not square"]),
        ({"XPIXSZ": 13.0, "YPIXSZ": 16.0}, ["pixels not square"]),
        ({"XPIXSZ": 9.0, "YPIXSZ": 9.0} | BINNED, []),
        ({"XPIXSZ": 9.0} | BINNED, []),
        ({"XPIXSZ": 9.0, "YPIXSZ": 18.0, "XBINNING": 1, "YBINNING": 2}, ["pixels not square"]),
        ({}, []),
    ],
)
def test_pixels_that_are_not_square_give_a_warning(cards, names):
    assert warned(cards)[1] == names


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
