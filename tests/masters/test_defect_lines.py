"""Columns and rows that stand off those beside them are found, whole or in parts; smooth structure is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.io.sections import Area
from nightcal.masters.defect_lines import find_bad_lines, find_beside_saturated

SHAPE = (256, 300)
NOISE = 2.0
FEW = settings(deadline=None, derandomize=True, database=None, max_examples=15)


def make_image(seed, columns=0.1):
    """Smooth structure, columns that differ a little, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    glow = 40 * np.exp(-((x - 300) ** 2 + y**2) / 60**2)
    image = 0.05 * x + 3 * np.sin(y / 50) + glow + rng.normal(0, columns, SHAPE[1]) + rng.normal(0, NOISE, SHAPE)
    return image.astype(np.float32)


def find(image, unusable=None, areas=(), least=0.3):
    bad = np.zeros(image.shape, bool) if unusable is None else unusable
    return find_bad_lines(image, np.full(image.shape, NOISE**2, np.float32), bad, areas, least)


@FEW
@given(st.integers(0, 10**6))
def test_smooth_structure_glow_and_noise_are_no_bad_lines(seed):
    assert not find(make_image(seed)).any()


@pytest.mark.parametrize("period", [12, 22, 44, 150])
def test_waves_along_the_rows_are_no_bad_columns(period):
    waves = 8 * np.sin(2 * np.pi * np.arange(SHAPE[1]) / period)
    assert find(make_image(4) + waves.astype(np.float32)).mean() < 0.01


@FEW
@given(st.integers(0, 10**6), st.integers(0, SHAPE[1] - 1), st.sampled_from([-1, 1]))
def test_a_column_that_stands_off_is_found_and_no_other(seed, column, sign):
    image = make_image(seed)
    image[:, column] += sign * 3.0
    found = find(image)
    assert found[:, column].mean() > 0.9
    assert not np.delete(found, column, axis=1).any()


@pytest.mark.parametrize(("first", "last"), [(0, 128), (100, 200), (160, 256)])
def test_a_part_of_a_column_is_found_to_half_a_part(first, last):
    image = make_image(3)
    image[first:last, 120] += 8.0
    rows = np.flatnonzero(find(image)[:, 120])
    assert abs(rows.min() - first) < 64
    assert abs(rows.max() + 1 - last) < 64


def test_rows_are_searched_as_columns_are():
    image = make_image(5)
    image[77] += 3.0
    found = find(image)
    assert found[77].mean() > 0.9
    assert not np.delete(found, 77, axis=0).any()


def test_what_matters_less_than_the_limit_is_left():
    image = make_image(6)
    image[:, 50] += 3.0
    assert not find(image, least=4.0).any()


def test_levels_of_amplifiers_are_no_bad_lines():
    image = make_image(7)
    image[:, 150:] += 500
    halves = Area(0, 150, 0, SHAPE[0]), Area(150, 300, 0, SHAPE[0])
    assert not find(image, areas=halves).any()
    image[:, 152] += 5
    assert np.flatnonzero(find(image, areas=halves).mean(axis=0) > 0.5).tolist() == [152]


def test_known_bad_pixels_do_not_condemn_their_column():
    image, known = make_image(8), np.zeros(SHAPE, bool)
    known[::3, 80] = True
    known[:, 200] = True
    image[known] = np.nan
    assert not find(image, known).any()


def test_the_pixels_beside_a_column_without_data_are_found():
    no_data = np.zeros(SHAPE, bool)
    no_data[40:, 10] = True
    no_data[:30, 100] = True  # a short run is a bad pixel among others
    beside = find_beside_saturated(no_data)
    assert np.argwhere(beside.any(axis=0)).ravel().tolist() == [8, 9, 11, 12]
    assert not beside[:40].any()
    assert beside[40:, [8, 9, 11, 12]].all()
