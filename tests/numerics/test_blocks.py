"""Blocks cover an image, their statistics are those of their pixels, and surfaces pass through their middles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.numerics.blocks import (
    MedianSurface,
    bracket,
    cut_blocks,
    cut_equal_blocks,
    cut_strips,
    find_middles,
    find_neighbours,
    find_running_median,
    interpolate,
    measure_blocks,
    sample_blocks,
    thin_rows,
)
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import median_filter

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
BLOCKS = st.sampled_from([(32, 32), (64, 1), (1, 64), (7, 5)])
SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 90))


@pytest.fixture
def rng():
    return np.random.default_rng(16)


# --- cutting ---------------------------------------------------------------------------------------------------------


@MANY
@given(st.integers(1, 500), st.integers(1, 70))
def test_strips_cover_all_rows_once(rows, height):
    strips = cut_strips(rows, height)
    assert [row for strip in strips for row in range(strip.start, strip.stop)] == list(range(rows))
    assert all(strip.stop - strip.start == height for strip in strips[:-1])


@MANY
@given(st.integers(1, 5000), st.integers(1, 64), st.booleans())
def test_blocks_of_nearly_equal_size_cover_an_axis(length, blocks, nearest):
    blocks = min(blocks, length)
    edges = cut_blocks(length, blocks, nearest)
    exact = np.arange(blocks + 1) * length / blocks
    assert (edges[0], edges[-1]) == (0, length)
    assert np.diff(edges).min() >= 1
    assert np.ptp(np.diff(edges)) <= 1
    assert np.abs(edges - exact).max() <= (0.5 if nearest else 1)


@MANY
@given(st.integers(1, 300), st.integers(1, 70))
def test_blocks_of_one_size_cover_an_axis_and_end_with_it(length, size):
    starts = cut_equal_blocks(length, size)
    assert set().union(*(range(start, start + size) for start in starts)) >= set(range(length))
    assert starts[-1] + size == max(length, size)
    assert starts[:-1] == list(range(0, starts[-1], size))


def test_middles_are_those_of_the_pixels():
    assert find_middles(np.array([0, 1, 4])).tolist() == [0.0, 2.0]


def test_rows_of_a_large_image_are_thinned_evenly():
    assert thin_rows(np.zeros((1024, 1024), np.float32)).shape == (1024, 1024)
    image = np.broadcast_to(np.arange(4096, dtype=np.float32)[:, np.newaxis], (4096, 1024))
    assert thin_rows(image)[:, 0].tolist() == list(range(0, 4096, 4))


# --- statistics ------------------------------------------------------------------------------------------------------


@MANY
@given(SHAPES, st.integers(1, 40), st.integers(0, 99))
def test_a_statistic_of_blocks_is_that_of_the_pixels_of_each(shape, width, seed):
    rows = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    found = measure_blocks(rows, width, lambda blocks: np.median(blocks, axis=1))
    expected = [np.median(rows[:, max(0, start) : start + width]) for start in cut_equal_blocks(shape[1], width)]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_samples_of_a_block_are_evenly_spaced_columns_of_it():
    rows = np.array([[0, 1, 2, 3, 4, 5, 6], [10, 11, 12, 13, 14, 15, 16]])
    assert sample_blocks(rows, np.array([0, 3, 7]), 2).tolist() == [[0, 1, 10, 11], [3, 5, 13, 15]]


def test_neighbours_are_the_nine_values_around_each():
    grid = np.arange(12.0).reshape(3, 4)
    assert find_neighbours(grid)[1, 1].tolist() == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]
    np.testing.assert_array_equal(find_neighbours(grid)[0, 3], [[np.nan] * 3, [2, 3, np.nan], [6, 7, np.nan]])
    assert find_neighbours(grid, mode="edge")[0, 3].tolist() == [[2, 3, 3], [2, 3, 3], [6, 7, 7]]
    np.testing.assert_array_equal(find_neighbours(np.stack([grid, -grid]))[1], find_neighbours(-grid))


# --- surfaces --------------------------------------------------------------------------------------------------------


@MANY
@given(st.lists(st.floats(-50, 150), min_size=1, max_size=30), st.integers(1, 9), st.booleans(), st.integers(0, 99))
def test_between_the_middles_lies_a_straight_line_and_beyond_them_the_edge_rule(places, blocks, hold, seed):
    middles = find_middles(cut_blocks(100, blocks))
    values = np.random.default_rng(seed).normal(0, 1, (blocks, 3))
    places = np.array(places)
    found = interpolate(values, middles, places, hold=hold)
    for column, line in zip(values.T, found.T, strict=True):
        expected = np.interp(places, middles, column)
        if blocks > 1 and not hold:
            for end, (near, far) in ((places < middles[0], (0, 1)), (places > middles[-1], (-1, -2))):
                slope = (column[far] - column[near]) / (middles[far] - middles[near])
                expected[end] = column[near] + slope * (places[end] - middles[near])
        np.testing.assert_allclose(line, expected, atol=1e-9)
    np.testing.assert_array_equal(interpolate(values.T, middles, places, axis=1, hold=hold), found.T)
    low, high, _ = bracket(places, middles, hold)
    assert ((low >= 0) & (low <= high) & (high < blocks)).all()


@MANY
@given(SHAPES, BLOCKS, st.tuples(*[st.floats(-3, 3)] * 3))
def test_a_plane_is_its_own_surface_to_its_very_edges(shape, block, plane):
    y, x = np.indices(shape)
    image = (plane[0] + plane[1] * y + plane[2] * x).astype(np.float32)
    if shape[0] <= block[0]:  # a single block has no slope
        image[:] = image.mean(axis=0)
    if shape[1] <= block[1]:
        image[:] = image.mean(axis=1, keepdims=True)
    surface = MedianSurface.fit(image, block)
    np.testing.assert_allclose(surface.rows(slice(0, shape[0])), image, atol=2e-3)


@MANY
@given(st.tuples(st.integers(70, 90), st.integers(70, 90)), BLOCKS, st.integers(0, 99))
def test_a_surface_is_that_of_scipy_through_the_medians_of_the_blocks(shape, block, seed):
    image = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    starts = [cut_equal_blocks(length, size) for length, size in zip(shape, block, strict=True)]
    medians = [[np.median(image[y : y + block[0], x : x + block[1]]) for x in starts[1]] for y in starts[0]]
    middles = [np.array(start) + (size - 1) / 2 for start, size in zip(starts, block, strict=True)]
    plain = RegularGridInterpolator(middles, medians, bounds_error=False, fill_value=None)
    expected = plain(np.moveaxis(np.indices(shape), 0, -1))
    surface = MedianSurface.fit(image, block)
    np.testing.assert_allclose(surface.rows(slice(0, shape[0])), expected, atol=1e-5)
    np.testing.assert_array_equal(surface.rows(slice(40, 50)), surface.rows(slice(0, shape[0]))[40:50])


# --- running median --------------------------------------------------------------------------------------------------


def test_a_running_median_follows_the_image_and_not_its_outliers(rng):
    y, x = (np.linspace(-1, 1, n) for n in (200, 310))
    smooth = (1 - 0.4 * (y[:, np.newaxis] ** 2 + x**2)).astype(np.float32)
    spotted = np.where(rng.random(smooth.shape) < 0.005, 9.0, smooth).astype(np.float32)
    spotted[:, 100], spotted[50] = 7.0, -7.0
    np.testing.assert_allclose(find_running_median(spotted, 0, len(spotted), 7), smooth, atol=0.02)


def test_a_running_median_is_nearly_that_of_scipy_for_any_rows(rng):
    noise = rng.normal(0, 1, (200, 310)).astype(np.float32)
    inner = find_running_median(noise, 30, 60, 7)
    # The median of medians is the median to a fraction of its own noise, 1.25 / 7.
    assert np.std(inner - median_filter(noise, 7)[30:60]) < 0.14
    np.testing.assert_array_equal(inner, find_running_median(noise, 0, 200, 7)[30:60])
