"""A drift of the light and a shutter are found in flats, with their sizes; steady flats have neither."""

import numpy as np
import pytest
from nightcal.masters.flat_trend import find_trend

LEVEL, NOISE = 20000.0, 8.0
Y, X = np.linspace(-1, 1, 16)[:, None], np.linspace(-1, 1, 16)
LIGHT = 1 - 0.2 * (X**2 + Y**2)


def take(changes, seed=2, noise=NOISE):
    """Blocks of frames whose light is changed by so much at the right, and by the opposite at the left."""
    rng = np.random.default_rng(seed)
    signals = [LEVEL * LIGHT * (1 + change * X) + rng.normal(0, noise, LIGHT.shape) for change in changes]
    return signals, [np.full(LIGHT.shape, NOISE)] * len(changes)


def find(changes, times=None, **how):
    n = len(changes)
    return find_trend(*take(changes, **how), times or [5.0] * n, np.arange(n) / 100)


@pytest.mark.parametrize("seed", range(30))
def test_steady_flats_have_no_trend(seed):
    trend = find([0] * 7, [1.0, 2, 3, 4, 5, 6, 7], seed=seed)
    assert (trend.drift, trend.shutter) == (0, 0)


def test_light_that_flickers_more_than_its_noise_is_no_drift():
    flicker = np.random.default_rng(3).normal(0, 0.002, 9)
    assert find(flicker.tolist()).drift < 0.006


def test_a_drift_has_the_size_that_was_planted():
    trend = find((0.015 * np.linspace(-1, 1, 7)).tolist())
    assert trend.drift == pytest.approx(0.03, rel=0.15)  # means of blocks, those at the very edge aside
    assert trend.shutter == 0


def test_a_shutter_has_the_size_that_was_planted():
    times = [8.0, 1.0, 4.0, 2.0, 16.0, 1.0]
    trend = find([0.02 / t for t in times], times)
    assert trend.seconds == pytest.approx(0.02, rel=0.15)
    assert trend.shutter == pytest.approx(0.02, rel=0.15)
    assert trend.drift == 0


def test_equal_exposures_tell_nothing_of_a_shutter():
    assert find([0.02] * 5).shutter == 0


def test_two_frames_have_no_trend():
    assert find([0.0, 0.1]).drift == 0
