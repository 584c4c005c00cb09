"""A stack gives the clipped mean of its frames with an honest error, however it is read."""

import nightcal.stacking.stack
import numpy as np
import pytest
from nightcal.numerics.robust import clipped_mean
from nightcal.stacking.stack import StackInput, stack

READ_NOISE = 6.0


@pytest.fixture
def rng():
    return np.random.default_rng(20240301)


def inputs_of(cube, variance=READ_NOISE**2, per_signal=0.0, weights=None):
    variances = np.broadcast_to(variance, len(cube))
    slopes = np.broadcast_to(per_signal, len(cube))
    weights = np.ones(len(cube)) if weights is None else weights
    return [
        input_of(frame, float(v), float(s), float(w))
        for frame, v, s, w in zip(cube, variances, slopes, weights, strict=True)
    ]


def input_of(frame, variance, per_signal=0.0, weight=1.0):
    def read(start, stop, out):
        out[:] = frame[start:stop]

    return StackInput(
        read, False, frame.shape[1], np.zeros(()), variance, variance_per_signal=per_signal, weight=weight
    )


def stack_of(cube, k=3.0, floored=True, **noise):
    return stack(inputs_of(cube, **noise), cube.shape[1:], k, floored)


def assert_same_bits(one, other):
    for name in ("mean", "uncertainty", "survivors", "noisy"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.ratio == other.ratio


def read_by_rows(monkeypatch, rows, n, columns):
    monkeypatch.setattr(nightcal.stacking.stack, "FEWEST_ROWS", 1)
    monkeypatch.setattr(nightcal.stacking.stack, "BLOCK_BYTES", 4 * n * columns * rows)


def spoilt(rng, n, shape=(37, 23)):
    """Frames with outliers, missing pixels and a pixel that no frame saw."""
    cube = rng.normal(500, READ_NOISE, (n, *shape))
    cube[rng.random(cube.shape) < 0.02] += 3000
    cube[rng.random(cube.shape) < 0.05] = np.nan
    cube[:, 3, 4] = np.nan
    return cube


@pytest.mark.parametrize("floored", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 16])
def test_stacking_by_rows_is_the_clipped_mean_of_the_whole_cube(n, floored, rng, monkeypatch):
    read_by_rows(monkeypatch, 4, n, 23)
    cube = spoilt(rng, n)
    stacked = stack_of(cube, floored=floored)
    reference = clipped_mean(cube, 3.0, READ_NOISE if floored else 0.0)
    np.testing.assert_array_equal(stacked.survivors, reference.survivors)
    np.testing.assert_allclose(stacked.mean, reference.mean, rtol=1e-6)


def test_clipped_mean_of_a_stack_with_pencil_and_paper():
    # Median 100, deviations 2 1 0 1 2 0 900: MAD 1, so that 1000 goes and the other six stay.
    column = np.array([98.0, 99.0, 100.0, 101.0, 102.0, 100.0, 1000.0])
    stacked = stack_of(column.reshape(-1, 1, 1), floored=False)
    assert stacked.mean[0, 0] == pytest.approx(100)
    assert stacked.survivors[0, 0] == 6


@pytest.mark.parametrize("rows", [1, 5, 36, 37])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_stack_does_not_depend_on_how_many_rows_are_read_at_a_time(rows, weighted, rng, monkeypatch):
    n = 11
    cube = spoilt(rng, n)
    noise = {"variance": np.linspace(1, 3, n), "weights": 1 / np.linspace(1, 3, n)} if weighted else {}
    whole = stack_of(cube, **noise)
    read_by_rows(monkeypatch, rows, n, cube.shape[2])
    assert_same_bits(stack_of(cube, **noise), whole)


@pytest.mark.parametrize("n", [3, 16, 20])
def test_a_stack_does_not_depend_on_the_order_of_its_frames(n, rng):
    cube = spoilt(rng, n)
    first = stack_of(cube)
    for _ in range(3):
        assert_same_bits(stack_of(cube[rng.permutation(n)]), first)


@pytest.mark.parametrize("n", [3, 9])
def test_a_weighted_stack_does_not_depend_on_the_order_of_its_frames(n, rng):
    cube = np.rint(spoilt(rng, n))  # whole numbers: frames of different weight often agree
    times = rng.uniform(10, 100, n)
    variances = READ_NOISE**2 / times
    first = stack_of(cube, variance=variances, weights=1 / variances)
    for _ in range(5):
        order = rng.permutation(n)
        shuffled = stack_of(cube[order], variance=variances[order], weights=1 / variances[order])
        assert_same_bits(shuffled, first)


def test_missing_values_never_enter(rng):
    cube = rng.normal(100, READ_NOISE, (5, 4, 6))
    cube[1, 0, 0], cube[2, 0, 1], cube[:, 0, 2] = np.nan, np.inf, np.nan
    cube[1:, 0, 3] = np.nan
    stacked = stack_of(cube, floored=True, k=1e6)
    assert stacked.mean[0, 0] == pytest.approx(cube[[0, 2, 3, 4], 0, 0].mean())
    assert stacked.mean[0, 1] == pytest.approx(cube[[0, 1, 3, 4], 0, 1].mean())
    assert stacked.mean[0, 3] == np.float32(cube[0, 0, 3])
    assert stacked.survivors[0].tolist() == [4, 4, 0, 1, 5, 5]
    assert np.isnan(stacked.mean[0, 2])
    rest = np.ones((4, 6), dtype=bool)
    rest[0, 2] = False
    assert np.isfinite(stacked.mean[rest]).all()
    assert (stacked.uncertainty[rest] > 0).all()


def test_a_pixel_seen_by_fewer_frames_has_a_larger_error(rng):
    cube = rng.normal(0, READ_NOISE, (16, 200, 200))
    cube[4:, :, :10] = np.nan
    stacked = stack_of(cube)
    pull = stacked.mean / stacked.uncertainty
    assert pull[:, 10:].std() == pytest.approx(1, abs=0.02)
    assert pull[:, :10].std() == pytest.approx(1, abs=0.06)
    assert np.median(stacked.uncertainty[:, :10]) == pytest.approx(2 * np.median(stacked.uncertainty[:, 10:]), rel=0.05)


@pytest.mark.parametrize("floored", [True, False])
@pytest.mark.parametrize("n", [2, 5, 64])
def test_noise_of_a_stack_is_the_read_noise_over_root_n_times_the_loss_of_clipping(n, floored, rng):
    # The loss by trial, one column of values after another, with nothing of the package in it.
    trial = rng.standard_normal((n, 60_000))
    middle = np.median(trial, axis=0)
    rstd = 1.4826 * np.median(np.abs(trial - middle), axis=0)
    width = 3 * np.maximum(rstd, 1.0 if floored else 0.0)
    trial[np.abs(trial - middle) > width * (1 + 1e-9)] = np.nan
    loss = np.nanmean(trial, axis=0).std() * np.sqrt(n)
    assert 0.99 < loss < 1.2  # five frames lose most: 12 percent without the floor

    side = 150 if n > 16 else 300
    stacked = stack_of(rng.normal(0, READ_NOISE, (n, side, side)), floored=floored)
    assert stacked.mean.std() == pytest.approx(READ_NOISE / np.sqrt(n) * loss, rel=0.02)


@pytest.mark.parametrize("floored", [True, False])
@pytest.mark.parametrize("n", [2, 5, 64])
def test_error_bars_of_a_stack_are_honest(n, floored, rng):
    side = 150 if n > 16 else 300
    stacked = stack_of(rng.normal(250, READ_NOISE, (n, side, side)), floored=floored)
    pull = (stacked.mean - 250) / stacked.uncertainty
    assert pull.std() == pytest.approx(1, abs=0.02)
    assert pull.mean() == pytest.approx(0, abs=0.02)
    assert stacked.ratio == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("floored", [True, False])
@pytest.mark.parametrize("wrong", [0.5, 2.0])
@pytest.mark.parametrize("n", [2, 5, 64])
def test_error_bars_are_honest_though_the_stated_read_noise_is_wrong(n, wrong, floored, rng):
    side = 150 if n > 16 else 300
    cube = rng.normal(0, READ_NOISE, (n, side, side))
    stacked = stack_of(cube, floored=floored, variance=(wrong * READ_NOISE) ** 2)
    assert (stacked.mean / stacked.uncertainty).std() == pytest.approx(1, abs=0.02)
    assert stacked.ratio == pytest.approx(1 / wrong, rel=0.02)


def test_a_single_frame_has_the_error_of_its_noise_model(rng):
    cube = rng.normal(0, READ_NOISE, (1, 50, 50))
    stacked = stack_of(cube)
    np.testing.assert_array_equal(stacked.mean, cube[0].astype(np.float32))
    np.testing.assert_allclose(stacked.uncertainty, READ_NOISE, rtol=2e-3)
    assert (stacked.survivors == 1).all()


@pytest.mark.parametrize("n", [5, 16])
def test_error_bars_follow_the_signal(n, rng):
    signal = np.repeat([[0.0, 100.0, 2500.0, 40000.0]], 200, axis=0).repeat(50, axis=1)
    cube = rng.normal(0, READ_NOISE, (n, *signal.shape)) + rng.poisson(np.broadcast_to(signal, (n, *signal.shape)))
    stacked = stack_of(cube, per_signal=1.0)
    pull = (stacked.mean - signal) / stacked.uncertainty
    for level in np.unique(signal):
        # Without signal, noise alone gives a pixel some, which makes its error up to 3 percent too large.
        low = 0.95 if level == 0 else 0.97
        assert low < pull[signal == level].std() < 1.03, level


@pytest.mark.parametrize("ratio", [2.0, 10.0])
def test_frames_of_different_noise_are_weighted_by_it(ratio, rng):
    sigma = np.array([1.0] * 6 + [ratio] * 6)
    cube = rng.normal(0, sigma[:, None, None], (12, 200, 200))
    stacked = stack_of(cube, variance=sigma**2, weights=sigma**-2.0)
    best = 1 / np.sqrt(np.sum(sigma**-2.0))
    # Nothing unbiased is quieter than the inverse-variance mean; clipping at 3 sigma with a floor loses 2 percent.
    assert best * 0.99 < stacked.mean.std() < best * 1.03
    assert (stacked.mean / stacked.uncertainty).std() == pytest.approx(1, abs=0.02)


def test_only_the_ratio_of_weights_counts(rng):
    cube = rng.normal(0, 1, (6, 30, 30))
    sigma = np.array([1, 1, 1, 2, 2, 2.0])
    one = stack_of(cube, variance=sigma**2, weights=sigma**-2)
    other = stack_of(cube, variance=sigma**2, weights=1024 * sigma**-2)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(one.uncertainty, other.uncertainty, rtol=1e-12)


def test_a_cosmic_ray_leaves_no_trace(rng):
    cube = rng.normal(0, READ_NOISE, (5, 40, 40))
    clean = stack_of(cube)
    hit = cube.copy()
    hit[2, 10, 10] += 5000
    stacked = stack_of(hit)
    assert stacked.survivors[10, 10] == 4
    assert stacked.mean[10, 10] == pytest.approx(np.delete(cube[:, 10, 10], 2).mean())
    others = np.ones((40, 40), dtype=bool)
    others[10, 10] = False
    np.testing.assert_array_equal(stacked.mean[others], clean.mean[others])


def test_a_noisy_pixel_stands_out_by_its_excess(rng):
    cube = rng.normal(0, READ_NOISE, (16, 50, 50))
    cube[:, 20, 30] = rng.permutation(np.linspace(-60, 60, 16))
    stacked = stack_of(cube)
    np.testing.assert_array_equal(np.argwhere(stacked.noisy), [[20, 30]])
