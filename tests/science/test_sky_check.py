"""The sky of a calibrated frame shows what went wrong, whatever the headers say."""

import numpy as np
import pytest
from nightcal.science.arithmetic import CalibratedRows
from nightcal.science.sky_check import choose_rows, describe_sky, measure_sky


@pytest.fixture
def rng():
    return np.random.default_rng(12)


class Header:
    """A raw header with some keywords."""

    def __init__(self, **cards):
        self.cards = cards

    def find(self, name):
        return self.cards.get(name)


def look(data, uncertainty, mask=None):
    """Measure the sky of an image as a frame's rows are read."""
    data, uncertainty = (np.broadcast_to(np.float32(x), data.shape) for x in (data, uncertainty))
    mask = np.zeros(data.shape, np.int16) if mask is None else mask
    return measure_sky(CalibratedRows(data[r], uncertainty[r], mask[r]) for r in choose_rows(data.shape))


def warnings(sky, error=0.2, **cards):
    return describe_sky(sky, Header(**cards), error)


@pytest.mark.parametrize("shape", [(64, 521), (128, 128), (300, 2000), (5, 40)])
def test_a_sky_of_honest_uncertainty_is_at_rest(rng, shape):
    sky = look(rng.normal(300, 17, shape), 17)
    assert sky.scatter == pytest.approx(1, abs=0.2 if shape[0] < 60 else 0.06)
    assert sky.level == pytest.approx(300, abs=10)
    assert not warnings(sky)


def test_stars_in_a_quarter_of_the_field_and_a_gradient_do_not_matter(rng):
    shape = (512, 512)
    y, x = np.mgrid[:512, :512]
    stars = np.where(x < 128, 2000 * rng.random(shape), 0)
    assert look(rng.normal(300, 17, shape) + stars + y, 17).scatter == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("factor", "name"), [(1.6, "sky scatter"), (0.6, "sky scatter"), (0, "no scatter")])
def test_a_sky_that_scatters_otherwise_is_warned_about(rng, factor, name):
    (text,) = warnings(look(rng.normal(300, 17, (128, 256)) * factor + 100, 17 if factor else 5))
    assert text.startswith(f"{name}: ")


def test_the_warning_names_the_keywords_that_speak_for_a_cause(rng):
    sky = look(rng.normal(300, 60, (128, 256)), 17)
    (text,) = warnings(sky, CALSTAT="BDF", BAYERPAT="RGGB", NSUBREAD=5, GAIN=100)
    assert all(words in text for words in ("CALSTAT = BDF", "BAYERPAT = RGGB", "NSUBREAD = 5", "GAIN = 100"))


def test_a_sky_below_zero_by_more_than_the_error_of_bias_and_dark_is_warned_about(rng):
    (text,) = warnings(look(rng.normal(-3, 7, (128, 256)), 7))
    assert text.startswith("negative sky: the median of the sky is -")
    assert not warnings(look(rng.normal(-3, 7, (128, 256)), 7), error=1)
    assert not warnings(look(rng.normal(-0.4, 7, (128, 256)), 7))


def test_lost_columns_without_a_mask_are_warned_about(rng):
    data = rng.normal(300, 17, (128, 256))
    data[:, 40:43] = -9999 - 900
    (text,) = warnings(look(data, 17))
    assert text.startswith("pixels below zero: ")
    assert "BLANK" in text


def test_masked_pixels_do_not_count(rng):
    data, mask = rng.normal(300, 17, (128, 256)), np.zeros((128, 256), np.int16)
    data[:, ::3], mask[:, ::3] = -1e6, 1
    assert not warnings(look(data, 17, mask))
    assert look(data, 17, np.ones_like(mask)) is None
