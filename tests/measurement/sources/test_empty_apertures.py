"""The noise of empty apertures is that of the errors, or shows that pixels vary together."""

import numpy as np
import pytest
from nightcal.measurement.sources import find_sources, make_keywords
from scipy.ndimage import gaussian_filter
from star_fields import field

SIZE = 700


def sky_frame():
    rng = np.random.default_rng(4)
    return field((SIZE, SIZE), *rng.uniform(20, SIZE - 20, (2, 60)), 10 ** rng.uniform(4, 5, 60), 3.0)


def test_independent_pixels_give_1():
    assert find_sources(*sky_frame().arrays).statistics.aperture_noise == pytest.approx(1, abs=0.12)


def test_pixels_that_vary_together_give_more():
    frame = sky_frame()
    waves = gaussian_filter(np.random.default_rng(5).normal(0, 1, (SIZE, SIZE)), 2)
    frame.data += (10 * waves / waves.std()).astype(np.float32)
    statistics = find_sources(*frame.arrays).statistics
    assert statistics.aperture_noise > 1.5
    assert make_keywords(statistics)["APERNOIS"] == round(statistics.aperture_noise, 3)


def test_a_frame_too_small_for_empty_apertures_says_nothing():
    frame = field((40, 40), [20.0], [18.0], [5e4], 3.0)
    assert "APERNOIS" not in make_keywords(find_sources(*frame.arrays).statistics)
