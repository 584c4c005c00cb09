"""Frames that are of two kinds fall into two groups, and the keyword that divides them is named."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.keywords import read_warnings
from nightcal.io.raw_header import RawHeader
from nightcal.masters.bias import stack_biases
from nightcal.masters.dark import stack_darks
from nightcal.masters.dividing_card import find_dividing_cards, find_gap, find_groups, name_files
from nightcal.simulation.night import make_chip
from simulated_chip import SHAPE, Camera


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def headers(*cards):
    return [RawHeader(fits.Header(one), 0, (1, 1)) for one in cards]


@pytest.mark.parametrize(
    ("values", "low"),
    [([1, 9, 1.1, 9.2], [0, 2]), ([5, 1], [1]), ([1, 2, 3, 4], None), ([7], None), ([1, 1.2, 1.4, 5, 6, 9], None)],
)
def test_numbers_are_divided_at_a_clear_gap(values, low):
    groups = find_gap(values)
    assert (groups and groups.low) == low


def test_images_are_divided_by_their_structure(rng):
    ripple = np.sin(np.arange(4000) / 5)
    images = [rng.normal(0, 1, 4000) + ripple * (n in (1, 4)) for n in range(6)]
    images[3][70] = 1e5  # a cosmic ray
    assert sorted(find_groups(images), key=len)[0] == [1, 4]


def test_the_dividing_keyword_is_the_one_that_is_constant_in_each_group():
    low = headers(*({"OFFSET": 10, "GAIN": 100, "DATE-OBS": f"2024-01-0{n}", "AIRMASS": 1.0} for n in (1, 2)))
    high = headers(*({"OFFSET": 50, "GAIN": 100, "DATE-OBS": f"2024-01-1{n}", "AIRMASS": 2.0} for n in (1, 2)))
    assert find_dividing_cards(low, high) == ["OFFSET (10 and 50)"]


def test_a_keyword_that_one_group_lacks_and_a_measured_temperature_divide_too():
    low = headers({"CCD-TEMP": -20.1}, {"CCD-TEMP": -19.9})
    high = headers({"CCD-TEMP": 4.9, "READMODE": "fast"}, {"CCD-TEMP": 5.1, "READMODE": "fast"})
    assert find_dividing_cards(low, high) == ["CCD-TEMP (-20.0 and 5.0)", "READMODE (absent and fast)"]


@pytest.mark.parametrize(
    ("names", "others", "text"),
    [
        (["b50_1.fits", "b50_2.fits"], ["b10_1.fits"], "b50_*.fits"),
        (["b_1.fits", "b_3.fits"], ["b_2.fits"], "[b_1.fits, b_3.fits]"),
        (["a [1].fits"], [], "'a [1].fits'"),
    ],
)
def test_files_are_named_by_a_pattern_that_fits_no_other(names, others, text):
    assert name_files(names, others) == text


@pytest.fixture
def camera(tmp_path):
    return Camera(tmp_path, make_chip(SHAPE))


def mark(frames, **cards):
    for frame in frames:
        with fits.open(frame.path, "update") as hdus:
            hdus[0].header.update(cards)
    return frames


def reopen(camera, frames, **how):
    return [camera.open(frame.path, frame.exposure_time, **how) for frame in frames]


def told(product, name):
    return [text for text in read_warnings(product.header) if text.startswith(f"{name}: ")]


def test_a_bias_level_that_jumps_with_the_offset_is_warned_about(camera):
    frames = [*mark(camera.biases(3), OFFSET=10), *mark(camera.biases(2, drift=40), OFFSET=50)]
    (text,) = told(stack_biases(reopen(camera, frames, overscan=False)), "bias level moved")
    assert "OFFSET (10 and 50)" in text
    assert "night.yaml: - {file: [frame_004.fits, frame_005.fits], ignore: true}" in text
    assert not told(stack_biases(reopen(camera, frames)), "bias level moved")  # the overscan follows


def test_a_drift_that_does_not_matter_is_no_warning(camera):
    frames = [camera.take(drift=drift) for drift in (0, 0.2, 0.4, 0.5, 0.3)]
    assert not read_warnings(stack_biases(reopen(camera, frames, overscan=False)).header)


def test_darks_of_two_temperatures_are_warned_about_by_the_keyword(camera):
    cold = mark(camera.darks([120.0] * 3), TEMPERAT=-20.0)
    warm = mark([camera.take("Dark Frame", 120.0, 400 / 120) for _ in range(3)], TEMPERAT=5.0)
    (text,) = told(stack_darks(reopen(camera, [*cold, *warm]), None), "unexpected scatter")
    assert "TEMPERAT (-20.0 and 5.0)" in text


def test_a_copy_under_another_name_is_rejected(camera):
    frames = camera.biases(3)
    copy = camera.folder / "zcopy.fits"
    copy.write_bytes(frames[1].path.read_bytes())
    header = stack_biases([*frames, camera.open(copy, 0.0)]).header
    assert header["NCOMBINE"] == 3
    assert header["REJW001"] == "same pixels as frame_002.fits"


def test_frames_without_any_scatter_are_warned_about_and_keep_the_model_noise(camera):
    def flatten(raw):
        raw[:] = 1000

    header = stack_biases(camera.biases(5, spoil=flatten)).header
    assert header["NOISERAT"] == 0
    assert [text.split(":")[0] for text in read_warnings(header)] == ["no scatter"]
