"""Each colour of a mosaic is an image of its own: the right pixels, and a header that describes them."""

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from nightcal.cameras.amplifiers import open_image
from nightcal.cameras.camera import Camera
from nightcal.errors import FrameRejectedError
from nightcal.io.colour_mosaic import PLANES, find_pattern, halve
from nightcal.io.keywords import copy_raw_header
from nightcal.io.raw_header import RawHeader
from nightcal.io.raw_image import Buffer
from nightcal.io.sections import Area

SHAPE = (13, 18)
COLOURS = {"R": 1000, "G": 2000, "B": 3000}


def paint(pattern, shape=SHAPE, top=False):
    """Make a mosaic: the colour of each pixel, plus a number of its own; begin the pattern in the last row if asked."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    colours = np.array([COLOURS[letter] for letter in pattern]).reshape(2, 2)
    mosaic = colours[(y[::-1] if top else y) % 2, x % 2]
    return (mosaic + np.arange(mosaic.size).reshape(shape) % 500).astype(np.uint16)


def write(path, image, **cards):
    fits.PrimaryHDU(image, fits.Header(cards)).writeto(path, overwrite=True)
    return path


def opened(path, plane, **how):
    return open_image(path, Camera("mine", "mine", path, bayer="split", plane=plane, **how))


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
@pytest.mark.parametrize("name", ["raw.fits", "raw.fits.gz"])
@pytest.mark.parametrize("held", [False, True])
def test_every_pixel_is_in_the_plane_of_its_colour_and_only_there(tmp_path, pattern, name, held):
    mosaic = paint(pattern)
    path = write(tmp_path / name, mosaic, BAYERPAT=pattern)
    found = []
    for plane in PLANES:
        with opened(path, plane) as image:
            if held:
                image.hold(Buffer())
            pixels = image.read()
            assert pixels.shape == image.shape == (6, 9)
            assert {int(value) // 1000 * 1000 for value in pixels.flat} == {COLOURS[plane[0]]}
            np.testing.assert_array_equal(image.rows(2, 5), pixels[2:5])
            words = np.empty((3, 9), np.uint16)
            assert image.words(2, 5, words) is words
            np.testing.assert_array_equal(words.view(">i2").astype(int) + image.zero, pixels[2:5])
            found.append(pixels.ravel())
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.sort(mosaic[:12].ravel()))


def test_the_first_green_is_in_the_rows_of_red(tmp_path):
    mosaic = paint("BGGR")
    path = write(tmp_path / "raw.fits", mosaic, BAYERPAT="BGGR")
    for plane, (row, column) in {"B": (0, 0), "G2": (0, 1), "G1": (1, 0), "R": (1, 1)}.items():
        np.testing.assert_array_equal(opened(path, plane).read(), mosaic[row:12:2, column::2])


@pytest.mark.parametrize(
    ("cards", "top"),
    [
        ({"BAYERPAT": "GRBG"}, False),
        ({"BAYERPAT": " grbg "}, False),
        ({"COLORTYP": "GRBG"}, False),
        ({"BAYERPAT": "GRBG", "ROWORDER": "TOP-DOWN"}, False),
        ({"BAYERPAT": "GRBG", "ROWORDER": "BOTTOM-UP"}, True),
        ({"BAYERPAT": "RGGB", "XBAYROFF": 1}, False),
        ({"BAYERPAT": "BGGR", "XBAYROFF": 0, "YBAYROFF": 1}, False),
        ({"BAYERPAT": "GBRG", "XBAYROFF": 3, "YBAYROFF": -1}, False),
    ],
)
@pytest.mark.parametrize("rows", [12, 13])
def test_the_place_of_red_follows_from_pattern_offsets_and_row_order(tmp_path, cards, top, rows):
    image = paint("GRBG", (rows, 18), top)
    red = opened(write(tmp_path / "raw.fits", image, **cards), "R").read()
    assert ((red >= 1000) & (red < 2000)).all()


def test_a_camera_file_may_name_the_colours_that_the_header_does_not(tmp_path):
    path = write(tmp_path / "raw.fits", paint("GBRG"))
    assert opened(path, "B", bayer_pattern="GBRG").read().min() >= 3000
    with pytest.raises(FrameRejectedError, match=r"no colour mosaic \(BAYERPAT\), and the colour to read is B"):
        opened(path, "B")


def test_a_frame_is_not_read_whole_where_a_colour_is_wanted(tmp_path):
    path = write(tmp_path / "raw.fits", paint("RGGB"), BAYERPAT="RGGB")
    with pytest.raises(FrameRejectedError, match="the colour to read is not given"):
        opened(path, "")


def test_sections_are_halved_if_they_hold_whole_groups_of_pixels():
    assert halve(Area(2, 10, 0, 12), (6, 9)) == Area(1, 5, 0, 6)
    assert halve(Area(0, 18, 0, 13, flip_x=True), (6, 9)) == Area(0, 9, 0, 6, flip_x=True)  # a last row without partner
    with pytest.raises(FrameRejectedError, match=r"\[2:18,1:12\] cuts through the colour mosaic"):
        halve(Area(1, 18, 0, 12), (6, 9))


@pytest.mark.parametrize("plane", PLANES)
def test_a_star_has_the_same_coordinates_in_every_colour(tmp_path, plane):
    wcs = {
        "CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CRVAL1": 205.5, "CRVAL2": 28.4,
        "CRPIX1": 9.0, "CRPIX2": 6.5,
        "CD1_1": -1e-3, "CD1_2": 1e-4, "CD2_1": 1e-4, "CD2_2": 1e-3,
        "A_ORDER": 2, "A_2_0": 1e-3, "A_1_1": 0.0, "A_0_2": 0.0,
        "B_ORDER": 2, "B_0_2": -2e-3, "B_2_0": 0.0, "B_1_1": 0.0,
    }  # fmt: skip
    path = write(tmp_path / "raw.fits", paint("RGGB"), BAYERPAT="RGGB", XPIXSZ=3.75, **wcs)
    header = copy_raw_header(opened(path, plane).header)
    assert header["XPIXSZ"] == 7.5
    assert "BAYERPAT" not in header
    top, left = {"R": (0, 0), "G1": (0, 1), "G2": (1, 0), "B": (1, 1)}[plane]
    # pixel (3, 4) of the colour, counted from 0, is pixel (2 * 3 + left, 2 * 4 + top) of the mosaic
    here = SkyCoord(*WCS(header).all_pix2world([[3, 4]], 0)[0], unit="deg")
    there = SkyCoord(*WCS(fits.Header(wcs)).all_pix2world([[6 + left, 8 + top]], 0)[0], unit="deg")
    assert here.separation(there).arcsec < 1e-3


@pytest.mark.parametrize("card", ["BAYERPAT", "COLORTYP", "CFAPAT", "CFA-PAT", "CFATYPE", "COLORSPC", "SENSTYPE"])
@pytest.mark.parametrize("offset", [1, 1.0, "1"])
def test_the_pattern_is_read_in_the_words_of_any_program(card, offset):
    header = RawHeader(fits.Header({card: "RGGB", "XBAYROFF": offset, "YBAYROFF": 0}), 0, SHAPE)
    assert find_pattern(header) == "GRBG"
