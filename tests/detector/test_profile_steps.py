"""Borders of amplifiers and overscan are found where the level steps; odd columns and slopes are none."""

import numpy as np
import pytest
from nightcal.detector.profile_steps import find_steps

SHAPE = (200, 300)


def expose(rng, noise=4.0):
    return rng.normal(1000, noise, SHAPE)


@pytest.mark.parametrize("seed", range(5))
def test_the_borders_of_two_amplifiers_and_of_overscan_are_found_with_their_heights(seed):
    image = expose(np.random.default_rng(seed))
    image[:, 150:] += 3
    image[:, 280:] -= 8
    image[:, 40] += 50
    image[190:] += 20
    image[20, 70] = 65535
    image = np.rint(image).astype(np.uint16)
    first, second = find_steps(image, 1)
    assert (first.first, second.first) == (151, 281)
    assert first.height == pytest.approx(3, abs=0.5)
    assert second.height == pytest.approx(-8, abs=0.5)
    assert [step.first for step in find_steps(image, 0)] == [191]


@pytest.mark.parametrize("seed", range(5))
def test_noise_slopes_waves_and_odd_columns_are_no_steps(seed):
    rng = np.random.default_rng(seed)
    image = expose(rng) + np.linspace(0, 40, 300) + 5 * np.sin(np.arange(300) / 9)
    image[:, rng.integers(0, 300, 8)] += 30
    assert find_steps(np.rint(image).astype(np.uint16), 1) == []
    assert find_steps(np.rint(image).astype(np.uint16), 0) == []
