"""Stars in a flat are found, and nothing else is taken for a star."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.masters.flat_stars import find_stars_in_flat

SHAPE = (200, 330)


def flat(seed=1, shape=SHAPE, pattern=0.01, noise=0.007):
    """A flat with vignetting, a fixed pattern and photon noise."""
    rng = np.random.default_rng(seed)
    y, x = np.linspace(-1, 1, shape[0])[:, None], np.linspace(-1, 1, shape[1])
    return ((1 - 0.15 * (x**2 + y**2)) * rng.normal(1, np.hypot(pattern, noise), shape)).astype(np.float32)


def star(shape, y, x, peak, fwhm=3.0):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return peak * np.exp(-4 * np.log(2) * ((rows - y) ** 2 + (columns - x) ** 2) / fwhm**2)


def spots(image, bad=None):
    return find_stars_in_flat(image.astype(np.float32), np.zeros(image.shape, bool) if bad is None else bad)


@pytest.mark.parametrize("seed", range(3))
def test_a_flat_without_stars_shows_none(seed):
    assert len(spots(flat(seed, (700, 700)))) == 0


@pytest.mark.parametrize("fwhm", [2.5, 8.0])
def test_stars_are_found_in_their_places(fwhm):
    places = [(20.0, 30.0), (60.4, 100.7), (99.0, 255.5), (150.2, 31.9), (183.0, 300.0)]
    image = flat() + sum(star(SHAPE, y, x, 0.2, fwhm) for y, x in places)
    found = spots(image)
    assert len(found) == len(places)
    for place in places:
        assert np.min(np.hypot(*(found - place).T)) < 1.5


@settings(deadline=None, derandomize=True, database=None, max_examples=25)
@given(st.floats(0, 199), st.floats(0, 329), st.integers(0, 99))
def test_a_star_is_found_wherever_it_is_even_at_the_edge(y, x, seed):
    found = spots(flat(seed) + star(SHAPE, y, x, 0.5))
    assert len(found) == 1
    assert np.hypot(*(found[0] - (y, x))) < 3


def test_a_star_of_five_percent_is_found_in_a_pattern_of_one_percent():
    hits = [len(spots(flat(seed) + star(SHAPE, 100, 160, 0.05, 4.0))) for seed in range(20)]
    assert np.mean(hits) > 0.9
    assert max(hits) == 1


def test_the_unit_does_not_matter():
    image = flat() + star(SHAPE, 50, 60, 0.3)
    np.testing.assert_array_equal(spots(image), spots(2.0**14 * image))


def test_hot_pixels_small_cosmic_rays_and_dust_are_not_stars():
    image = flat()
    image[40, 50] += 30
    image[90, 91:93] += 2
    image[120:122, 121] += 5
    image -= star(SHAPE, 150, 200, 0.2, 6).astype(np.float32)
    assert len(spots(image)) == 0


def test_a_bright_column_and_a_step_are_not_stars():
    image = flat()
    image[:, 70:72] *= 1.1
    image[:, 165:] *= 1.02
    assert len(spots(image)) == 0


def test_the_bright_rim_of_a_speck_is_not_a_star():
    image = flat()
    image += (star(SHAPE, 90, 90, 0.3, 12) - star(SHAPE, 90, 90, 0.7, 9)).astype(np.float32)
    assert len(spots(image)) == 0


@pytest.mark.parametrize(("distance", "n_stars"), [(4, 0), (5, 1)])
@pytest.mark.parametrize(("side", "direction"), [(0, -1), (0, 1), (1, -1), (1, 1)])
def test_a_dark_pixel_within_four_pixels_makes_a_bright_spot_the_rim_of_a_speck(side, direction, distance, n_stars):
    image = np.random.default_rng(1).uniform(0.99, 1.01, SHAPE)
    image[100:104, 150:154] += 0.5
    place = [101, 151]
    place[side] = ((100, 150) if direction < 0 else (103, 153))[side] + direction * distance
    image[tuple(place)] -= 0.5
    assert len(spots(image)) == n_stars


@pytest.mark.parametrize("excess", [0.03, 1.5])
@pytest.mark.parametrize("where", [0, 1, 199])
def test_a_bright_row_or_column_is_not_a_star(where, excess):
    image = flat()
    image[:, where] += np.float32(excess)
    image[where, :] += np.float32(excess)
    image[:, min(where + 1, 199)] += np.float32(0.08 * (excess > 1))
    assert len(spots(image)) == 0


def test_bad_pixels_are_ignored_whatever_their_values():
    image, bad = flat(), np.zeros(SHAPE, bool)
    image += star(SHAPE, 50, 60, 0.5).astype(np.float32)
    bad[40:61, 50:71] = True
    image[45, 55], image[46, 56] = np.nan, np.inf
    assert len(spots(image, bad)) == 0
    bad[:] = True
    assert len(spots(image, bad)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (31, 33), (32, 32), (64, 521), (3, 200)])
def test_images_of_any_size_can_be_searched(shape):
    assert spots(np.ones(shape)).shape == (0, 2)
    assert spots(flat(3, shape)).shape == (0, 2)
