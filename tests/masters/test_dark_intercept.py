"""A drift of the level between bias and darks is found where exposure times differ, and is no dark current."""

import numpy as np
import pytest
from nightcal.io.keywords import read_warnings
from nightcal.masters.bias import stack_biases
from nightcal.masters.dark import stack_darks
from nightcal.masters.dark_intercept import find_intercept
from nightcal.simulation.night import make_chip
from simulated_chip import SHAPE, Camera, loaded

TIMES = [30.0] * 4 + [300.0] * 4
NOISE = 6.0


def levels(drift, current=0.02, jitter=0.1, seed=3):
    rng = np.random.default_rng(seed)
    return [drift + current * t + rng.normal(0, jitter) for t in TIMES]


def test_a_drift_has_the_size_that_was_planted():
    intercept = find_intercept(levels(7.0), TIMES, NOISE)
    assert intercept.level == pytest.approx(7, abs=4 * intercept.error)
    assert intercept.matters(NOISE)


@pytest.mark.parametrize("seed", range(40))
def test_darks_that_begin_at_the_bias_have_none(seed):
    assert not find_intercept(levels(0.0, jitter=0.5, seed=seed), TIMES, NOISE).matters(NOISE)


def test_a_drift_that_is_small_against_the_read_noise_does_not_matter():
    assert not find_intercept(levels(0.3, jitter=0.0), TIMES, NOISE).matters(NOISE)


def test_one_exposure_time_or_few_frames_tell_nothing():
    assert find_intercept([9.0] * 6, [60.0] * 6, NOISE) is None
    assert find_intercept([7.0, 8.0, 9.0], [10.0, 60.0, 300.0], NOISE) is None


@pytest.fixture(scope="module")
def chip():
    return make_chip(SHAPE, seed=4, n_hot=20, n_dead=0)


@pytest.mark.parametrize(("drift", "warned"), [(0.0, False), (5.0, True)])
def test_a_drift_without_overscan_does_not_become_dark_current(drift, warned, chip, tmp_path):
    camera = Camera(tmp_path, chip)

    def take(kind, seconds, shift):
        path = camera.take(kind, seconds, drift=shift).readout.image.path
        return camera.open(path, seconds, overscan=False)

    bias = loaded(stack_biases([take("Bias Frame", 0.0, 0.0) for _ in range(9)]), tmp_path / "bias.fits")
    dark = stack_darks([take("Dark Frame", t, drift) for t in (30.0, 30.0, 30.0, 120.0, 120.0, 120.0)], bias)
    assert dark.header["DARKCURR"] == pytest.approx(chip.dark_current[~chip.hot].mean(), abs=0.003)
    assert any(text.startswith("level drifted after bias") for text in read_warnings(dark.header)) == warned
    if warned:
        assert dark.header["DARKZERO"] == pytest.approx(drift * chip.gain, abs=5 * dark.header["DARKZERR"])
    good = dark.mask == 0
    pull = (dark.data - chip.dark_current)[good] / dark.uncertainty[good]
    assert pull.std() == pytest.approx(1, abs=0.05)
