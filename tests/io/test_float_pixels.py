import numpy as np
import pytest
from nightcal.errors import FrameRejectedError
from nightcal.io.float_pixels import find_scale


@pytest.fixture
def adu():
    return np.rint(np.random.default_rng(3).normal(1000, 20, (64, 64)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("full", [65535, 65536])
def test_integers_scaled_to_one_are_found(adu, full, dtype):
    adu[3, 4] = full
    assert find_scale((adu / full).astype(dtype)) == full


def test_eight_bits_are_found(adu):
    assert find_scale((np.clip(adu - 900, 0, 255) / 255).astype(np.float32)) == 255


def test_frame_in_adu_is_left_alone(adu):
    assert find_scale(adu) == 1
    assert find_scale(np.zeros((4, 4))) == 1


def test_floats_from_0_to_1_that_were_never_integers_are_rejected():
    with pytest.raises(FrameRejectedError, match=r"floats from 0.* to 0.*: export"):
        find_scale(np.random.default_rng(1).uniform(0.01, 0.4, (64, 64)))
