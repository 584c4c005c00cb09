"""What is left of the frames of a master is their noise, as promised; a wrong promise shows."""

import numpy as np
import pytest
from nightcal.io.verdict import Outcome
from nightcal.masters.bias import stack_biases
from nightcal.masters.dark import stack_darks
from nightcal.masters.flat import stack_flats
from nightcal.masters.judge import judge
from nightcal.masters.map_master import map_master
from nightcal.masters.self_check import measure_residual
from nightcal.simulation.night import make_chip
from simulated_chip import SHAPE, Camera, loaded

PIXELS = 4000


def take(n, sigmas, seed=1):
    """Frames of one level, of known noise; their weighted mean; and the promised variances."""
    rng = np.random.default_rng(seed)
    sigmas = np.broadcast_to(sigmas, n).astype(float)[:, np.newaxis]
    samples = 100 + rng.normal(0, 1, (n, PIXELS)) * sigmas
    weights = np.broadcast_to(1 / sigmas**2, samples.shape)
    return samples, np.broadcast_to(sigmas**2, samples.shape), np.average(samples, axis=0, weights=weights)


@pytest.mark.parametrize("sigmas", [6.0, [3.0, 3.0, 3.0, 9.0, 9.0, 9.0]])
def test_residuals_have_the_promised_noise_though_each_frame_is_part_of_the_mean(sigmas):
    residual = measure_residual(*take(6, sigmas))
    assert residual.noise == pytest.approx(1, abs=0.03)
    assert residual.halves == pytest.approx(1, abs=0.05)
    assert abs(residual.mean) < 1


def test_a_promise_that_is_too_small_shows():
    samples, variances, master = take(5, 6.0)
    assert measure_residual(samples, variances / 1.2**2, master).noise == pytest.approx(1.2, abs=0.04)


def test_halves_of_two_kinds_differ():
    samples, variances, _ = take(6, 6.0)
    samples[::2] += 8.0
    residual = measure_residual(samples, variances, samples.mean(axis=0))
    assert residual.halves > 1.5


def test_too_few_frames_or_pixels_tell_nothing():
    samples, variances, master = take(3, 6.0)
    assert measure_residual(samples, variances, master).halves is None
    assert measure_residual(samples[:1], variances[:1], master) is None
    assert measure_residual(samples[:, :100], variances[:, :100], master[:100]) is None


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Masters of a simulated chip, whose gain and read noise are those that are used."""
    camera = Camera(tmp_path_factory.mktemp("night"), make_chip(SHAPE, seed=8, n_hot=20, n_dead=10))
    bias_product = stack_biases(camera.biases(9))
    bias = loaded(bias_product, camera.folder / "bias.fits")
    dark = stack_darks(camera.darks([60.0, 60.0, 60.0, 120.0, 120.0, 120.0]), bias)
    flat = stack_flats(camera.flats([20000.0, 10000.0, 20000.0, 15000.0, 20000.0]), bias, None)
    return {"bias": bias_product, "dark": dark, "flat": flat}


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_masters_of_a_good_night_keep_their_promise(kind, made):
    header = made[kind].header
    assert header["RESNOIS1"] == pytest.approx(1, abs=0.05)
    assert header["RESHALF1"] == pytest.approx(1, abs=0.1)
    verdict = judge(map_master(made[kind], kind))
    assert verdict.outcome is Outcome.ACCEPTED
    assert {check.name for check in verdict.checks} >= {"noise of the residuals", "noise between halves of the set"}


def test_a_read_noise_that_is_twice_what_is_said_makes_doubtful(tmp_path):
    camera = Camera(tmp_path, make_chip(SHAPE, seed=8))
    paths = [frame.path for frame in (frame.readout.image for frame in camera.biases(5))]
    said = camera.chip.read_noise / 2
    product = stack_biases([camera.open(path, 0.0, read_noise=said) for path in paths])
    assert product.header["RESNOIS1"] == pytest.approx(2, abs=0.2)
    verdict = judge(map_master(product, "bias"))
    assert verdict.outcome is Outcome.DOUBTFUL
    assert "times what gain and read noise promise" in verdict.why
