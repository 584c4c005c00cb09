import numpy as np
import pytest
from nightcal.detector.adc import find_step, find_top

BITS = [(12, 16), (14, 4), (12, 1), (14, 1), (16, 1), (10, 64)]
"""Bits of the ADC, and the step of its values in the file."""


@pytest.fixture
def rng():
    return np.random.default_rng(12)


def digitise(light, bits, step, dtype=np.uint16):
    """Frame of an ADC that starts at 0."""
    return (np.clip(np.floor(light / step), 0, 2**bits - 1) * step).astype(dtype)


@pytest.mark.parametrize(("bits", "step"), BITS)
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_step_is_found_in_a_bias_and_in_a_flat(rng, bits, step, dtype):
    top = 2**bits * step
    for level, noise in [(0.05 * top, 3 * step), (0.4 * top, 20 * step)]:
        assert find_step(digitise(rng.normal(level, noise, (64, 256)), bits, step, dtype)) == step


def test_a_lone_65535_and_a_zero_do_not_spoil_the_step(rng):
    frame = digitise(rng.normal(1600, 40, (64, 128)), 12, 16)
    frame[3, 3], frame[5, 5] = 65535, 1
    assert find_step(frame) == 16


def test_step_of_too_few_values_is_unknown():
    assert find_step(np.array([[0, 16, 0, 16]])) is None
    assert find_step(np.full((8, 8), np.nan)) is None
    assert find_step(np.random.default_rng(1).normal(100, 5, (32, 32))) is None


@pytest.mark.parametrize(("bits", "step"), BITS)
def test_top_is_where_a_star_and_a_flat_pile_up(rng, bits, step):
    top = (2**bits - 1) * step
    star = rng.normal(0.1 * top, 5 * step, (96, 96))
    star[40:42, 50:52] = 2 * top
    assert find_top(digitise(star, bits, step), step) == top
    flat = rng.normal(0.995 * top, 0.01 * top, (96, 96))
    assert find_top(digitise(flat, bits, step), step) == top


def test_top_of_a_sum_of_frames_is_found_although_it_is_no_power_of_two(rng):
    frame = np.minimum(rng.normal(8000, 90, (96, 96)).round(), 5 * 65535)
    frame[40:44, 50:54] = 5 * 65535
    assert find_top(frame.astype(np.int32)) == 5 * 65535


def test_a_lone_65535_does_not_hide_the_top(rng):
    frame = digitise(rng.normal(1600, 40, (64, 128)), 12, 16)
    frame[30:33, 40:43] = 65520
    frame[3, 3] = 65535
    assert find_top(frame, 16) == 65520


def test_a_large_number_that_stands_for_no_data_is_above_the_top(rng):
    frame = rng.normal(1300, 17, (96, 80)).round().astype(np.float32)
    frame[20:60, 30:33] = 99999999.0
    assert find_top(frame) == 1e8


@pytest.mark.parametrize("step", [1, 16])
def test_frames_without_saturation_show_no_top(rng, step):
    for _ in range(20):
        bias = np.floor(rng.normal(1000, 3 * step, (200, 200)) / step) * step
        assert find_top(bias, step) is None
        bias[rng.integers(200, size=30), rng.integers(200, size=30)] = rng.integers(2000, 60000, 30) // step * step
        assert find_top(bias, step) is None


def test_a_stuck_column_is_not_the_top(rng):
    frame = rng.normal(1000, 5, (128, 128)).round()
    frame[:, 77] = 41234
    assert find_top(frame) is None
