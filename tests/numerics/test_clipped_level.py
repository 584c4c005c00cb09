"""The level of a frame is the clipped mean of its pixels, from their histogram or from sorting."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.numerics.clipped_level import NOTHING, FrameLevel, measure_histogram_level, measure_level
from nightcal.numerics.robust import clipped_mean, rstd

FEW = settings(deadline=None, derandomize=True, database=None, max_examples=300)
LARGEST = 2**22
"""Below 2^23, whole and half numbers are exact in 32 bits."""

SPOILT = [np.nan, np.inf, -np.inf]


def reference(values, k, floor):
    """Level by the functions that are the reference, in 64 bits."""
    values = np.asarray(values, np.float64).ravel()
    clipped = clipped_mean(values, k, floor)
    return FrameLevel(float(clipped.mean), float(rstd(values)), int(np.isfinite(values).sum()), int(clipped.survivors))


def counted(values, k, floor):
    values = np.asarray(values).ravel()
    lowest = int(values.min()) - 3
    return measure_histogram_level(np.bincount(values - lowest), lowest, k, floor)


def sorted_out(values, k, floor):
    return measure_level(np.asarray(values, np.float32), k, floor)


def assert_same_level(found, expected, rel=1e-13):
    assert (found.values, found.survivors) == (expected.values, expected.survivors)
    assert found.rstd == pytest.approx(expected.rstd, rel=rel)
    assert found.mean == pytest.approx(expected.mean, rel=rel, abs=rel)


@FEW
@given(
    values=st.lists(st.integers(-40, 40), min_size=1, max_size=60),
    lowest=st.sampled_from([-LARGEST, -32768, 0, 1000, 65000, LARGEST]),
    k=st.sampled_from([1.0, 3.0, 3.5]),
    floor=st.sampled_from([0.0, 1 / math.sqrt(12), 1.0, 4.0]),
)
def test_both_methods_agree_with_the_reference_for_integers(values, lowest, k, floor):
    values = np.array(values) + lowest
    expected = reference(values, k, floor)
    assert_same_level(counted(values, k, floor), expected)
    assert sorted_out(values, k, floor) == counted(values, k, floor)


@FEW
@given(values=st.lists(st.integers(-LARGEST, LARGEST), min_size=1, max_size=20))
def test_few_values_far_apart(values):
    expected = reference(values, 3.5, 0.0)
    assert_same_level(sorted_out(values, 3.5, 0.0), expected)
    lowest, filled = min(values), np.unique(values)
    if filled[-1] - lowest < 2**16:
        assert_same_level(counted(values, 3.5, 0.0), expected)


@pytest.mark.parametrize("n", [1000, 1001, 100_001])
@pytest.mark.parametrize("floor", [0.0, 6.0])
@pytest.mark.parametrize("noise", [0.2, 6.0, 300.0])
def test_frames_of_whole_adu(n, noise, floor):
    rng = np.random.default_rng(n)
    values = np.rint(rng.normal(1000, noise, n)).astype(int)
    values[rng.random(n) < 0.01] = 65535
    expected = reference(values, 3.5, floor)
    assert_same_level(counted(values, 3.5, floor), expected)
    assert sorted_out(values, 3.5, floor) == counted(values, 3.5, floor)


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 1001])
@pytest.mark.parametrize("floor", [0.0, 6.0])
def test_frames_of_any_numbers(n, floor):
    rng = np.random.default_rng(n)
    values = rng.normal(1000, 6, n).astype(np.float32)
    values[rng.random(n) < 0.05] += 5000
    missing = rng.random(n) < 0.05
    values[missing] = rng.choice(SPOILT, missing.sum())
    assert_same_level(measure_level(values, 3.5, floor), reference(values, 3.5, floor), rel=3e-7)


def test_an_image_is_as_good_as_its_values():
    image = np.random.default_rng(4).normal(10, 3, (30, 41)).astype(np.float32)
    image[3, 4] = np.nan
    before = image.copy()
    assert measure_level(image, 3.5, 0.0) == measure_level(image.ravel(), 3.5, 0.0)
    assert measure_level(image[:, 5:30], 3.5, 0.0) == measure_level(image[:, 5:30].copy(), 3.5, 0.0)
    np.testing.assert_array_equal(image, before)


def test_nothing_has_no_level():
    assert measure_histogram_level(np.zeros(10, np.int64), 5, 3.5, 0.0) is NOTHING
    assert measure_level(np.empty((0, 3), np.float32), 3.5, 0.0) is NOTHING
    assert measure_level(np.array(SPOILT, np.float32), 3.5, 0.0) is NOTHING


def test_pencil_and_paper():
    # Five of 1000, one 1001, one 1004: MAD 0 keeps the mode; a floor of 1/3.5 keeps 1001 too, of 2 all seven.
    values = [1000] * 5 + [1001, 1004]
    for level in (counted, sorted_out):
        assert level(values, 3.5, 0.0) == FrameLevel(1000.0, 0.0, 7, 5)
        assert level(values, 3.5, 2 / 7) == FrameLevel(6001 / 6, 0.0, 7, 6)
        assert level(values, 3.5, 2.0) == FrameLevel(7005 / 7, 0.0, 7, 7)


def test_counts_beyond_32_bits_are_exact():
    found = measure_histogram_level(np.array([2**33, 2**33], np.int64), 65000, 3.5, 0.0)
    assert found == FrameLevel(65000.5, 1.4826 * 0.5, 2**34, 2**34)


def test_values_just_beyond_the_half_width_are_rejected():
    floor = math.nextafter(1.0, 0.0)
    values = [0] * 5 + [3]
    assert 3.0 * floor < 3
    assert reference(values, 3.0, floor).survivors == counted(values, 3.0, floor).survivors == 5
    assert sorted_out(values, 3.0, floor).survivors == 5


def test_integers_up_to_the_23rd_power_of_2():
    values = np.array([0, 1, 2, 5]) + 2**23 - 8
    assert sorted_out(values, 3.5, 0.0) == counted(values, 3.5, 0.0)
