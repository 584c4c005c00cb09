"""The expected signal is the mean of a pixel's neighbourhood, as scipy finds it."""

import numpy as np
import pytest
from nightcal.numerics.shot_noise import expected_signal, sum_of_nine
from scipy.ndimage import uniform_filter

SHAPES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 3), (20, 31)]


@pytest.fixture
def rng():
    return np.random.default_rng(9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sum_of_nine_is_scipys_box(shape, dtype, rng):
    image = rng.normal(100, 30, shape).astype(dtype)
    before = image.copy()
    found = sum_of_nine(image)
    assert found.dtype == dtype
    expected = 9 * uniform_filter(image.astype(np.float64), 3, mode="nearest")
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == np.float32 else 1e-13)
    np.testing.assert_array_equal(image, before)


def test_sum_of_nine_with_pencil_and_paper():
    # At a corner the pixel itself counts four times, those at its sides twice each.
    image = np.arange(1.0, 10).reshape(3, 3)
    assert sum_of_nine(image)[1, 1] == 45
    assert sum_of_nine(image)[0, 0] == 4 * 1 + 2 * 2 + 2 * 4 + 5
    assert sum_of_nine(image)[1, 2] == (2 * 3 + 2) + (2 * 6 + 5) + (2 * 9 + 8)
    assert sum_of_nine(np.array([[2.0]]))[0, 0] == 18


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("marked", [True, False])
def test_holes_are_left_out_of_the_mean_of_their_neighbours(shape, marked, rng):
    image, valid = rng.normal(900, 30, shape), rng.random(shape) > 0.2
    image[~valid] = -1e6 if marked else np.nan
    found = expected_signal(image, 1e6, valid=valid if marked else None)
    total = uniform_filter(np.where(valid, image, 0), 3, mode="nearest")
    share = uniform_filter(valid.astype(float), 3, mode="nearest")
    # With a noise of 1000 e- every pixel agrees with its neighbourhood.
    np.testing.assert_allclose(found[valid], (total / np.maximum(share, 1e-9))[valid], rtol=1e-9)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_a_hole_in_a_float_raw_does_not_change_distant_pixels(rng):
    image = rng.normal(900, 30, (12, 12)).astype(np.float32)
    holed = image.copy()
    holed[5, 6] = np.nan
    found, other = expected_signal(image, 36.0), expected_signal(holed, 36.0)
    near = np.zeros(image.shape, dtype=bool)
    near[4:7, 5:8] = True
    np.testing.assert_allclose(found[~near], other[~near], rtol=1e-6)
    assert (found[near] != other[near]).all()


@pytest.mark.parametrize("excess", [-1.02, -0.98, 0.98, 1.02])
def test_a_pixel_beyond_three_sigma_of_its_neighbourhood_keeps_its_own_value(excess):
    # Among eight pixels of 1600 e- with 5 e- of read noise, the mean is 1600 + d / 9, and d 8 / 9 away.
    image = np.full((5, 5), 1600.0)
    distance = np.sqrt(9 * 1625.0) * excess * 9 / 8
    image[2, 2] += distance
    smooth = 1600 + distance / 9
    agrees = (distance * 8 / 9) ** 2 <= 9 * (smooth + 25)
    assert agrees == (abs(excess) < 1)
    assert expected_signal(image, 25.0)[2, 2] == pytest.approx(smooth if agrees else image[2, 2])


def test_rows_by_rows_as_the_whole(rng):
    image = rng.normal(200, 40, (30, 17)).astype(np.float32)
    whole = expected_signal(image, 36.0)
    for start in range(0, 30, 7):
        first, last = max(0, start - 1), min(30, start + 8)
        rows = expected_signal(image[first:last], 36.0)[start - first : start - first + 7]
        np.testing.assert_array_equal(rows[: 30 - start], whole[start : start + 7])


def test_the_expected_signal_is_never_negative(rng):
    assert (expected_signal(rng.normal(-500, 10, (9, 9)), 36.0) == 0).all()
