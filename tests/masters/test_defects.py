"""Defects are found by their effect on an image, and a good detector shows none."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.masters.defects import (
    AROUND,
    COLUMN_AND_ROW,
    fill_columns,
    find_outliers,
    find_ratio_outliers,
    find_unresponsive,
    subtract_structure,
)

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
SHAPE = (200, 310)
FEW = 1e-4


@pytest.fixture
def rng():
    return np.random.default_rng(16)


def gaussian(rng, sigma=1.0, shape=SHAPE):
    return rng.normal(0, sigma, shape).astype(np.float32)


def some_pixels(rng, n=40, shape=SHAPE):
    found = np.zeros(shape, bool)
    found.flat[rng.choice(found.size, n, replace=False)] = True
    return found


def assert_found(found, planted, few=FEW):
    assert found[planted].all()
    assert np.count_nonzero(found & ~planted) <= few * found.size


# --- structure -------------------------------------------------------------------------------------------------------


def test_large_scale_structure_is_subtracted_and_noise_and_spots_are_left(rng):
    y, x = np.indices(SHAPE) / 100
    noise, spots = gaussian(rng, 0.5), some_pixels(rng)
    rest = subtract_structure((3 * y + 2 * x + x * y + noise + 100 * spots).astype(np.float32), AROUND)
    assert np.abs(rest - noise - 100 * spots).max() < 0.2


def test_structure_along_columns_and_rows_is_subtracted(rng):
    columns, rows = rng.normal(0, 20, SHAPE[1]), rng.normal(0, 20, (SHAPE[0], 1))
    noise = gaussian(rng)
    rest = subtract_structure((columns + rows + noise).astype(np.float32), COLUMN_AND_ROW)
    assert np.abs(rest - noise).std() < 1
    assert rest.std() < 1.5


# --- outliers --------------------------------------------------------------------------------------------------------


def test_outliers_of_both_signs_are_found_or_those_above_only(rng):
    high, low = some_pixels(rng), some_pixels(rng)
    image = gaussian(rng) + 12 * high - 12 * (low & ~high)
    assert_found(find_outliers(image, np.ones(SHAPE), 6.0), high | low)
    assert_found(find_outliers(image, np.ones(SHAPE), 6.0, both=False), high)


def test_a_pixel_within_its_own_errors_is_not_an_outlier(rng):
    image, variance = gaussian(rng), np.ones(SHAPE)
    image[10, 10], image[20, 20] = 30.0, 30.0
    variance[20, 20] = 10.0**2
    found = find_outliers(image, variance, 6.0)
    assert found[10, 10]
    assert not found[20, 20]


def test_an_image_without_noise_and_errors_has_no_outliers():
    image = np.zeros(SHAPE, np.float32)
    image[5, 5] = 1.0
    assert not find_outliers(image, np.zeros(SHAPE), 6.0).any()
    assert not find_outliers(image, np.zeros(SHAPE), np.inf).any()


def test_an_infinite_limit_finds_nothing(rng):
    assert not find_outliers(gaussian(rng) + 100 * some_pixels(rng), np.ones(SHAPE), np.inf).any()


# --- flats -----------------------------------------------------------------------------------------------------------


def vignetted(shape=SHAPE):
    """Simulate illumination that falls to 0.2 in the corners."""
    y, x = (np.linspace(-1, 1, n) for n in shape)
    return (1 - 0.4 * (y[:, np.newaxis] ** 2 + x**2)).astype(np.float32)


def test_unresponsive_pixels_are_found_and_vignetting_is_not_flagged(rng):
    dim, bright = some_pixels(rng), some_pixels(rng)
    flat = vignetted() * (1 + gaussian(rng, 0.01)) * np.where(dim, 0.5, np.where(bright, 1.5, 1.0))
    assert_found(find_unresponsive(flat.astype(np.float32), np.full(SHAPE, 1e-4), 0.3), dim | bright, few=0)


def test_the_noise_of_a_faint_flat_does_not_make_pixels_unresponsive(rng):
    flat = vignetted() + gaussian(rng, 0.12)
    assert np.count_nonzero(find_unresponsive(flat, np.full(SHAPE, 0.12**2), 0.3)) <= FEW * flat.size


# --- the ratio of two flats ------------------------------------------------------------------------------------------


def ratio_of_two(shape, rng, odd=0.0):
    """Simulate the ratio of flats of two filters, with little vignetting and 1 percent of noise."""
    return (vignetted(shape) ** 0.1 * (1 + gaussian(rng, 0.01, shape) + odd)).astype(np.float32)


@pytest.mark.parametrize("shape", [(30, 45), (97, 113), (45, 200), (8, 9), (1, 40), (40, 1)])
def test_the_ratio_of_two_flats_shows_odd_pixels_on_images_of_any_size(shape, rng):
    odd = some_pixels(rng, max(1, shape[0] * shape[1] // 400), shape)
    found = find_ratio_outliers(ratio_of_two(shape, rng, -0.2 * odd))
    assert found.shape == shape
    if min(shape) > 14:
        assert found[odd].all()
        assert np.count_nonzero(found & ~odd) <= 2


def test_odd_pixels_are_those_of_ccdmask(rng):
    ccdproc = pytest.importorskip("ccdproc")
    from astropy.nddata import CCDData

    shape = (195, 300)  # whole blocks of 15: at the edges ccdmask has smaller ones
    size = rng.choice([0, 0.04, 0.1, 0.3], shape, p=[0.97, 0.01, 0.01, 0.01]) * rng.choice([-1, 1], shape)
    ratio = ratio_of_two(shape, rng, size)
    theirs = ccdproc.ccdmask(CCDData(ratio, unit=""), byblocks=True, lsigma=10, hsigma=10)
    ours = find_ratio_outliers(ratio, 10, least=0.0)
    odd = np.abs(size) >= 0.1
    assert theirs[odd].mean() > 0.99
    assert ours[odd].mean() > 0.99
    # They part where 4 sigma of a pixel and its noise meet a limit of 5.
    assert np.count_nonzero(ours ^ theirs) < 0.1 * np.count_nonzero(theirs)
    assert np.count_nonzero(ours & (size == 0)) <= 2e-4 * ratio.size


def test_good_pixels_are_rarely_odd(rng):
    ratio = ratio_of_two((900, 900), rng)
    assert np.count_nonzero(find_ratio_outliers(ratio, least=0.0)) <= FEW * ratio.size


def test_a_small_difference_of_two_colours_is_not_a_defect(rng):
    odd = some_pixels(rng)
    ratio = ratio_of_two(SHAPE, rng) ** 0.1  # a tenth of the noise
    assert not find_ratio_outliers((ratio * (1 + 0.03 * odd)).astype(np.float32)).any()
    assert_found(find_ratio_outliers((ratio * (1 + 0.07 * odd)).astype(np.float32)), odd)


# --- columns ---------------------------------------------------------------------------------------------------------


def test_a_column_is_bad_from_its_first_to_its_last_bad_pixel(rng):
    bad = np.zeros((300, 20), bool)
    bad[51:200, 7] = rng.random(149) < 0.75
    bad[[51, 199], 7] = True
    whole = bad | fill_columns(bad)
    assert whole[51:200, 7].all()
    assert np.count_nonzero(whole) == 149
    assert not (fill_columns(bad) & bad).any()


def test_two_runs_of_a_column_leave_the_good_pixels_between_them():
    bad = np.zeros((400, 3), bool)
    bad[10:60:1, 1], bad[200:260, 1] = True, True
    bad[30, 1] = False
    filled = fill_columns(bad)
    assert np.argwhere(filled).tolist() == [[30, 1]]


@MANY
@given(st.integers(0, 2**32), st.integers(1, 120), st.floats(0, 1))
def test_filled_pixels_lie_between_bad_ones_and_few_bad_pixels_fill_nothing(seed, rows, share):
    bad = np.random.default_rng(seed).random((rows, 6)) < share
    filled = fill_columns(bad)
    for column, new in zip(bad.T, filled.T, strict=True):
        places = np.flatnonzero(column)
        assert not new.any() or (places[0] < np.flatnonzero(new)[0] and np.flatnonzero(new)[-1] < places[-1])
        assert not new.any() or len(places) >= 0.5 * min(32, rows)
    assert not (filled & bad).any()


def test_scattered_bad_pixels_fill_nothing(rng):
    assert not fill_columns(rng.random((2000, 500)) < 0.1).any()


@pytest.mark.parametrize("shape", [(1, 1), (5, 4), (33, 2)])
def test_columns_of_any_length_are_filled(shape):
    bad = np.ones(shape, bool)
    bad[shape[0] // 2] = shape[0] < 3
    filled = fill_columns(bad)
    assert (bad | filled).all()
