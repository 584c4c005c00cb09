"""Saturated pixels and their bleed trails are flagged."""

import nightcal.detector.amplifier_readout
import nightcal.science.arithmetic
import numpy as np
import pytest
from astropy.io import fits
from helpers import LOOPS, use_loops
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nightcal import Calibrator
from nightcal.detector.amplifier import Amplifier
from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.detector.saturation import DIRECTIONS, Bleed, flag_bleed
from nightcal.flags import Flag
from nightcal.io.raw_image import RawImage
from small_frames import reduced

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=200)
NY, NX = 75, 90
AREA = {"xmin": 5, "xmax": 5 + NX, "ymin": 3, "ymax": 3 + NY}


# --- the pixels ------------------------------------------------------------------------------------------------------


def walk(saturated, directions, pixels):
    """Walk from each saturated pixel, step by step."""
    reached = np.zeros_like(saturated)
    steps = {"up": (1, 0), "down": (-1, 0), "left": (0, -1), "right": (0, 1)}
    for y, x in np.argwhere(saturated):
        for direction in directions:
            for n in range(1, pixels + 1):
                there = y + n * steps[direction][0], x + n * steps[direction][1]
                if 0 <= there[0] < saturated.shape[0] and 0 <= there[1] < saturated.shape[1]:
                    reached[there] = True
    return reached & ~saturated


@MANY
@given(
    arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), fill=st.just(False)),
    st.lists(st.sampled_from(sorted(DIRECTIONS)), unique=True),
    st.integers(0, 15),
)
def test_bleed_pixels_are_those_of_a_walk_from_each_saturated_pixel(saturated, directions, pixels):
    before = saturated.copy()
    found = flag_bleed(saturated, directions, pixels)
    np.testing.assert_array_equal(found, walk(saturated, directions, pixels))
    np.testing.assert_array_equal(saturated, before)


def test_up_is_towards_higher_y_and_right_towards_higher_x():
    star = np.zeros((5, 5), bool)
    star[2, 2] = True
    for direction, pixel in {"up": (3, 2), "down": (1, 2), "left": (2, 1), "right": (2, 3)}.items():
        assert [tuple(found) for found in np.argwhere(flag_bleed(star, [direction], 1))] == [pixel]


# --- in frames -------------------------------------------------------------------------------------------------------


def write_raw(path, dtype="u2"):
    """Write a sky of 1000 ADU, a star saturated at 50000 in three pixels, and a nonlinear one at 42000."""
    raw = np.full((NY + 6, NX + 10), 1000, dtype)
    raw[3 + 30 : 3 + 33, 5 + 40] = 50000
    raw[3 + 60, 5 + 10] = 42000
    raw[0, 5 + 20], raw[3 + 40, 2] = 50000, 50000  # outside the light-sensitive area
    fits.PrimaryHDU(raw).writeto(path, overwrite=True)
    return path


def calibrator(**more):
    return Calibrator(**{"image_area": AREA, "saturation": 50000, **more})


TRAIL = {"directions": ["up", "down"], "pixels": 40}


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_a_bleed_trail_crosses_strips_of_rows(loops, dtype, tmp_path):
    raw = write_raw(tmp_path / "raw.fits", dtype)
    mask = calibrator(bleed=TRAIL).prepare(raw).product().mask
    assert (mask[30:33, 40] == Flag.SATURATED).all()
    assert (mask[33:73, 40] == Flag.BLEED).all()
    assert (mask[:30, 40] == Flag.BLEED).all()
    assert np.count_nonzero(mask) == 3 + 40 + 30


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_bleed_trails_do_not_depend_on_loops_or_strips(dtype, tmp_path, monkeypatch):
    raw = write_raw(tmp_path / "raw.fits", dtype)
    first = reduced(calibrator(bleed=TRAIL), raw, tmp_path / "out.fits")
    for rows in (1, 7, 1000):
        monkeypatch.setattr(nightcal.science.arithmetic, "STRIP", rows)
        monkeypatch.setattr(nightcal.detector.amplifier_readout, "STRIP", rows)
        for which in LOOPS:
            use_loops(which, monkeypatch)
            assert reduced(calibrator(bleed=TRAIL), raw, tmp_path / "out.fits") == first


def test_a_frame_without_saturation_has_no_bleed_trails(tmp_path):
    fits.PrimaryHDU(np.full((20, 20), 1000, np.uint16)).writeto(tmp_path / "raw.fits")
    image = RawImage(tmp_path / "raw.fits")
    assert AmplifierReadout(image, Amplifier(bleed=Bleed(("up",), 5))).find_bleed() is None
    assert (
        AmplifierReadout(RawImage(write_raw(tmp_path / "star.fits")), Amplifier(saturation=50000)).find_bleed() is None
    )


def test_the_header_records_the_bleed_directions(tmp_path):
    raw = write_raw(tmp_path / "raw.fits")
    header = calibrator(bleed=TRAIL).prepare(raw).product().header
    assert (header["BLEEDDIR"], header["BLEEDPIX"]) == ("up,down", 40)
    assert "BLEEDDIR" not in calibrator().prepare(raw).product().header


@pytest.mark.parametrize(
    ("given", "limit", "source"),
    [
        ({"saturation": 50000.0}, 50000, "saturation"),
        ({"saturation": 50000.0, "linearity": 42000.0}, 42000, "linearity"),
        ({"saturation": 50000.0, "linearity": 60000.0}, 50000, "saturation"),
        ({"saturation": None}, 65535, "file"),
        ({"saturation": None, "linearity": 42000.0}, 42000, "linearity"),
    ],
)
def test_the_lower_of_saturation_and_linearity_limit_applies(loops, given, limit, source, tmp_path):
    raw = write_raw(tmp_path / "raw.fits")
    product = calibrator(**given).prepare(raw).product()
    assert (product.header["SATUSED"], product.header["SATSRC"]) == (limit, source)
    flagged = fits.getdata(raw)[3 : 3 + NY, 5 : 5 + NX] >= limit
    np.testing.assert_array_equal(product.mask & Flag.SATURATED > 0, flagged)
    assert np.count_nonzero(flagged) == {42000: 4, 50000: 3, 65535: 0}[limit]


def test_pixels_above_the_linearity_limit_do_not_bleed(tmp_path):
    raw = write_raw(tmp_path / "raw.fits")
    mask = calibrator(linearity=42000, bleed={"directions": ["right"], "pixels": 2}).prepare(raw).product().mask
    assert mask[60, 10] == Flag.SATURATED
    assert not mask[60, 11:].any()
    assert (mask[30:33, 41:43] == Flag.BLEED).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"directions": ["up"]},
        {"directions": [], "pixels": 3},
        {"directions": ["north"], "pixels": 3},
        {"directions": [["up"]], "pixels": 3},
        {"directions": ["up"], "pixels": 0},
        "up",
    ],
)
def test_wrong_bleed_directions_are_an_error(wrong):
    with pytest.raises(ValueError, match=r"bleed is .*; expected directions, of up, down, right, left, and pixels"):
        Calibrator(bleed=wrong)
