"""A hot pixel hurts in the exposure it serves: the limit does not depend on how well its dark current is known."""

import numpy as np
import pytest
from nightcal.masters.hot_pixels import Exposure, find_above

CURRENT = np.random.default_rng(4).exponential(0.05, (128, 200)).astype(np.float32)


def test_the_noise_of_a_hot_pixel_is_so_many_times_that_of_the_others():
    exposure = Exposure(300.0, 7.0, 0.05)
    current = exposure.find_hot_current(3.0)
    assert np.sqrt(current * 300) == pytest.approx(3 * np.sqrt(49 + 0.05 * 300))


def test_a_warm_pixel_adds_so_many_times_the_noise():
    exposure = Exposure(100.0, 6.0)
    assert exposure.find_warm_current(5.0) * 100 == pytest.approx(30)


def test_a_longer_exposure_has_more_hot_pixels_and_a_better_dark_has_not():
    """Ten times the frames halve the scatter of the dark; what hurts stays the same."""
    number = {}
    for seconds in (10.0, 300.0):
        least = Exposure(seconds, 5.0, 0.05).find_hot_current(3.0)
        for error in (0.02, 0.002):
            variance = np.full(CURRENT.shape, error**2, np.float32)
            number[seconds, error] = np.count_nonzero(find_above(CURRENT, variance, least, 0.05))
    assert number[10.0, 0.02] == number[10.0, 0.002] == 0
    assert number[300.0, 0.02] == number[300.0, 0.002] == np.count_nonzero(CURRENT > 9 * (25 + 15) / 300)


def test_an_uncertain_current_is_not_hot():
    variance = np.full(CURRENT.shape, 1.0, np.float32)
    assert not find_above(CURRENT, variance, 0.1).any()
    assert not find_above(CURRENT, variance * 0, np.inf).any()
