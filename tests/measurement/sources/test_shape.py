"""The shape of stars: trails, directions, and the FWHM over the frame."""

import numpy as np
import pytest
from nightcal.measurement.sources import find_sources, make_keywords
from scipy.ndimage import gaussian_filter, rotate
from star_fields import field, observed


def trailed_frame(length, angle, seed=1):
    """Stars of FWHM 3 moved along a line during the exposure."""
    rng = np.random.default_rng(seed)
    line = np.zeros((61, 61))
    line[30, 30 - length // 2 : 31 + length // 2] = 1
    star = np.clip(gaussian_filter(rotate(line, -angle, reshape=False, order=1), 1.3), 0, None)
    truth = np.full((400, 400), 200.0)
    for y, x in rng.integers(40, 360, (25, 2)):
        truth[y - 30 : y + 31, x - 30 : x + 31] += 10 ** rng.uniform(4.3, 5.5) * star / star.sum()
    return *observed(truth, rng), np.zeros(truth.shape, np.int16)


@pytest.mark.parametrize("angle", [0, 30, -60])
def test_a_trailed_frame_is_named_with_its_direction(angle):
    statistics = find_sources(*trailed_frame(9, angle)).statistics
    assert make_keywords(statistics)["TRAILED"]
    assert (statistics.shape.angle - angle + 90) % 180 - 90 == pytest.approx(0, abs=5)


def test_a_steady_frame_is_not_trailed():
    statistics = find_sources(*trailed_frame(1, 0)).statistics
    assert not make_keywords(statistics)["TRAILED"]
    assert statistics.shape.elongation < 0.1


def test_the_map_shows_where_stars_are_wide():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(20, 580, (2, 300))
    wide = x > 400
    sharp = field((600, 600), x[~wide], y[~wide], np.full((~wide).sum(), 3e4), 3.0, background=0).truth
    frame = field((600, 600), x[wide], y[wide], np.full(wide.sum(), 3e4), 3.45, background=200 + sharp)
    statistics = find_sources(*frame.arrays).statistics
    widths = np.reshape(statistics.shape.fwhm_map, (3, 3))
    assert np.all(widths[:, 2] > 1.08 * widths[:, 0])
    assert make_keywords(statistics)["FWHMMAP"].count(" ") == 8


def test_without_stars_nothing_is_said_of_their_shape():
    empty = np.random.default_rng(3).normal(200, 15, (200, 200)).astype(np.float32)
    statistics = find_sources(empty, np.full_like(empty, 15), np.zeros(empty.shape, np.int16)).statistics
    assert not {"TRAILED", "ELLANGLE", "FWHMMAP"} & set(make_keywords(statistics))
