"""Median, rstd and clipped mean agree with the statistics module, numpy and astropy for any number of frames."""

import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
from astropy.stats import sigma_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.numerics.robust import (
    QUANTISATION,
    RSTD,
    clipped_mean,
    deviation_noise,
    lower_median,
    median,
    median_of_many,
    pool_scatter,
    rstd,
)
from nightcal.stacking.clipping_bias import find_clipping_bias, find_noise_ratio
from scipy import stats

ANY_NUMBER_OF_FRAMES = [1, 2, 3, 4, 5, 16, 17, 70]
FEW = settings(deadline=None, derandomize=True, database=None, max_examples=150)
ADU = st.floats(-1e6, 1e6, allow_nan=False)
SPOILT = st.sampled_from([math.nan, math.inf, -math.inf])


def paper_mad(values):
    center = statistics.median(values)
    return statistics.median([abs(v - center) for v in values])


def paper_survivors(values, k, floor=0):
    """Whole ADU and exact fractions, so that no rounding decides who survives; ``k`` and ``floor`` are decimal text."""
    exact = [Fraction(v) for v in values]
    center = statistics.median(exact)
    half_width = Fraction(k) * max(Fraction("1.4826") * paper_mad(exact), Fraction(floor))
    return [v for v in exact if abs(v - center) <= half_width]


def same_values(one, other):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))


@FEW
@given(st.lists(ADU, min_size=1, max_size=70))
def test_median_and_rstd_are_those_of_the_statistics_module(values):
    assert median(values) == pytest.approx(statistics.median(values), rel=1e-14)
    assert rstd(values) == pytest.approx(1.4826 * paper_mad(values), rel=1e-12, abs=1e-9)


@FEW
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=40), st.lists(st.just(math.nan), max_size=5))
def test_all_medians_are_those_of_the_statistics_module(values, missing):
    single = np.array(values, np.float32)
    assert median_of_many(single) == np.float32(statistics.median(values))
    assert median(single) == statistics.median(values)
    rows = np.tile(np.array(values + missing, np.float32), (2, 1))
    assert lower_median(rows).tolist() == [statistics.median_low(values)] * 2
    assert median(rows, axis=1).tolist() == [statistics.median(values)] * 2


@FEW
@given(st.lists(st.one_of(st.integers(985, 1015), st.integers(985, 1315)), min_size=1, max_size=70))
def test_survivors_and_mean_of_whole_adu_are_those_of_pencil_and_paper(values):
    for k in ("3", "3.5"):
        kept = paper_survivors(values, k)
        clipped = clipped_mean(values, float(k))
        assert clipped.survivors == clipped.weight == len(kept)
        assert clipped.mean == pytest.approx(float(sum(kept) / len(kept)), rel=1e-14)
        if len(kept) > 1:
            assert clipped.scatter == pytest.approx(statistics.stdev(map(float, kept)), rel=1e-10, abs=1e-12)
        else:
            assert np.isnan(clipped.scatter)


@pytest.mark.parametrize("n", [1, 2, 5, 64])
def test_one_pass_about_the_median_agrees_with_astropy(n):
    stack = np.random.default_rng(n).standard_t(2, (n, 500))
    peer = sigma_clip(
        stack,
        sigma=3,
        maxiters=1,
        cenfunc=np.nanmedian,
        axis=0,
        masked=False,
        stdfunc=lambda x, axis: 1.4826 * stats.median_abs_deviation(x, axis=axis, nan_policy="omit"),
    )
    clipped = clipped_mean(stack, 3)
    np.testing.assert_array_equal(clipped.survivors, np.isfinite(peer).sum(axis=0))
    np.testing.assert_allclose(clipped.mean, np.nanmean(peer, axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", ANY_NUMBER_OF_FRAMES)
def test_each_pixel_of_a_masked_stack_is_the_statistics_of_its_own_good_values(n):
    rng = np.random.default_rng(n)
    stack = rng.normal(500, 10, (n, 6, 5))
    stack[rng.random(stack.shape) < 0.3] = np.nan
    stack[rng.random(stack.shape) < 0.05] = np.inf
    stack[rng.random(stack.shape) < 0.05] = -np.inf
    stack[:, 0, 0] = np.nan
    center, spread, clipped = median(stack), rstd(stack), clipped_mean(stack, 3)
    for y, x in np.ndindex(6, 5):
        good = [v for v in stack[:, y, x].tolist() if math.isfinite(v)]
        if not good:
            assert clipped.survivors[y, x] == 0
            assert clipped.weight[y, x] == 0
            assert np.isnan([center[y, x], spread[y, x], clipped.mean[y, x], clipped.scatter[y, x]]).all()
            continue
        assert center[y, x] == pytest.approx(statistics.median(good), rel=1e-14)
        assert spread[y, x] == pytest.approx(1.4826 * paper_mad(good), rel=1e-11, abs=1e-9)
        kept = [v for v in good if abs(v - statistics.median(good)) <= 3 * 1.4826 * paper_mad(good) * (1 + 1e-12)]
        assert clipped.survivors[y, x] == len(kept)
        assert clipped.mean[y, x] == pytest.approx(statistics.fmean(kept), rel=1e-13)


@FEW
@given(st.lists(ADU, min_size=1, max_size=30), st.lists(SPOILT, max_size=8), st.randoms(use_true_random=False))
def test_values_that_are_not_finite_never_enter(good, spoilt, random):
    mixed = good + spoilt
    random.shuffle(mixed)
    assert median(mixed) == median(good)
    assert rstd(mixed) == rstd(good)
    assert same_values(clipped_mean(mixed, 3, 0.5), clipped_mean(good, 3, 0.5))


def test_numpy_agrees_on_the_median_of_an_image_with_holes():
    stack = np.random.default_rng(1).normal(0, 1, (9, 40, 30))
    stack[np.random.default_rng(2).random(stack.shape) < 0.2] = np.nan
    np.testing.assert_allclose(median(stack), np.nanmedian(stack, axis=0), rtol=1e-14)
    np.testing.assert_allclose(
        rstd(stack),
        stats.median_abs_deviation(stack, axis=0, scale=1 / 1.4826, nan_policy="omit"),
        rtol=1e-12,
        atol=1e-15,
    )


def test_rstd_of_a_gaussian_is_its_standard_deviation():
    assert RSTD == 1.4826
    assert rstd(np.random.default_rng(3).normal(1000, 7.5, 400_000)) == pytest.approx(7.5, rel=0.005)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_nothing_is_lost_of_constant_data(n):
    clipped = clipped_mean([1234.0] * n, 3)
    assert clipped.survivors == n
    assert clipped.mean == 1234
    assert rstd([1234.0] * n) == 0
    assert clipped.scatter == 0 if n > 1 else np.isnan(clipped.scatter)


@FEW
@given(ADU, ADU)
def test_two_values_are_both_kept_however_far_apart(one, other):
    clipped = clipped_mean([one, other], 3)
    assert clipped.survivors == 2
    assert clipped.mean == pytest.approx((one + other) / 2, rel=1e-12, abs=1e-9)


def test_without_a_floor_quantised_data_lose_all_but_the_mode():
    clipped = clipped_mean([1000] * 5 + [1001, 1004], 3)
    assert clipped.survivors == 5
    assert clipped.mean == 1000


def test_the_floor_of_quantisation_keeps_digitised_values():
    # 3 / sqrt(12) = 0.87 ADU is less than one step; with 0.2 ADU of read noise in quadrature, 3 floors are 1.05 ADU
    values = [1000] * 5 + [1001, 1004]
    assert pytest.approx(math.sqrt(1 / 12)) == QUANTISATION
    assert clipped_mean(values, 3, QUANTISATION).survivors == 5
    clipped = clipped_mean(values, 3, math.hypot(QUANTISATION, 0.2))
    assert clipped.survivors == 6
    assert clipped.mean == pytest.approx(6001 / 6, rel=1e-15)
    assert clipped_mean(values, 3, 4 / 3).survivors == 7


@pytest.mark.parametrize("n", [7, 20])
@pytest.mark.parametrize("floor", ["0", "2", "20"])
def test_the_wider_of_rstd_and_floor_decides(n, floor):
    values = [*np.rint(np.random.default_rng(n).normal(1000, 3, n)).astype(int).tolist(), 1010, 1055]
    assert clipped_mean(values, 3, float(floor)).survivors == len(paper_survivors(values, "3", floor))


def test_a_floor_may_follow_the_level_of_each_pixel():
    # photon noise: sqrt(100) = 10 lets 25 above the level stand, sqrt(4) = 2 does not
    stack = np.array([[100, 4]] * 6 + [[125, 29]], dtype=float)
    clipped = clipped_mean(stack, 3, floor=np.sqrt)
    np.testing.assert_array_equal(clipped.survivors, [7, 6])
    np.testing.assert_array_equal(clipped_mean(stack, 3, floor=[10.0, 2.0]).survivors, [7, 6])


@pytest.mark.parametrize("n", [5, 6, 63])
def test_a_cosmic_ray_in_one_frame_leaves_no_trace(n):
    clean = np.random.default_rng(n).normal(300, 5, (n, 200))
    hit = clean.copy()
    hit[n // 2] += 20_000
    clipped = clipped_mean(hit, 3)
    assert clipped.survivors.max() <= n - 1
    assert np.abs(clipped.mean - 300).max() < 25


def test_weights_that_are_equal_change_nothing():
    stack = np.random.default_rng(4).normal(0, 1, (8, 50))
    plain, weighted = clipped_mean(stack, 3, 0.3), clipped_mean(stack, 3, 0.3, weights=np.ones(8))
    np.testing.assert_array_equal(weighted.survivors, plain.survivors)
    np.testing.assert_allclose(weighted.mean, plain.mean, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(weighted.scatter, plain.scatter, rtol=1e-13)


def test_weighted_mean_is_numpys_average_of_the_survivors():
    stack = np.random.default_rng(5).normal(50, 1, (6, 40))
    weights = np.array([1.0, 2.0, 0.5, 1.5, 1.0, 0.25])
    stack[2, ::2] = np.nan
    clipped = clipped_mean(stack, 100, weights=weights)
    for x in range(40):
        good = np.isfinite(stack[:, x])
        assert clipped.mean[x] == pytest.approx(np.average(stack[good, x], weights=weights[good]), rel=1e-13)
        assert clipped.weight[x] == pytest.approx(weights[good].sum(), rel=1e-14)
        assert clipped.survivors[x] == good.sum()


def test_a_frame_is_judged_by_its_own_noise():
    # a short exposure ten times noisier than the others deviates by 1.5 of its own sigma: no reason to reject it
    values = [-1.0, -0.5, 0.0, 0.5, 1.0, 15.0]
    assert clipped_mean(values, 3, weights=[1, 1, 1, 1, 1, 0.01]).survivors == 6
    assert clipped_mean(values, 3, weights=[1, 1, 1, 1, 1, 1]).survivors == 5


def test_weighted_scatter_is_one_when_weights_are_the_inverse_variances():
    sigma = np.array([1, 1, 2, 3, 0.5, 4])
    stack = np.random.default_rng(6).normal(0, sigma[:, None], (6, 40_000))
    clipped = clipped_mean(stack, 1000, weights=1 / sigma**2)
    assert np.mean(clipped.scatter**2) == pytest.approx(1, rel=0.02)
    assert np.std(clipped.mean) == pytest.approx(1 / math.sqrt(np.sum(1 / sigma**2)), rel=0.02)


@FEW
@given(st.lists(st.one_of(ADU, st.integers(-3, 3).map(float), SPOILT), min_size=1, max_size=40), st.data())
def test_the_order_of_the_frames_does_not_change_a_bit(values, data):
    shuffled = data.draw(st.permutations(values))
    assert np.array_equal(median(shuffled), median(values), equal_nan=True)
    assert np.array_equal(rstd(shuffled), rstd(values), equal_nan=True)
    assert same_values(clipped_mean(shuffled, 3, 0.5), clipped_mean(values, 3, 0.5))


@FEW
@given(st.lists(st.tuples(st.integers(-3, 3).map(float), st.floats(0.1, 10)), min_size=1, max_size=20), st.data())
def test_the_order_of_weighted_frames_does_not_change_a_bit(pairs, data):
    shuffled = data.draw(st.permutations(pairs))
    one, other = (clipped_mean([v for v, _ in p], 3, 0.5, weights=[w for _, w in p]) for p in (pairs, shuffled))
    assert same_values(one, other)


def test_the_order_of_a_stack_of_images_does_not_change_a_bit():
    rng = np.random.default_rng(8)
    stack = rng.normal(1000, 20, (33, 17, 19))
    stack[rng.random(stack.shape) < 0.1] = np.nan
    for _ in range(5):
        assert same_values(clipped_mean(stack[rng.permutation(33)], 3, 2.0), clipped_mean(stack, 3, 2.0))


@FEW
@given(st.lists(st.integers(0, 65535), min_size=1, max_size=40), st.integers(0, 1000), st.sampled_from([0.5, 2.0, 8.0]))
def test_a_pedestal_and_a_gain_go_straight_through(values, pedestal, gain):
    # whole ADU and powers of two are exact in floating point, so survivors may not change at all
    plain = clipped_mean(values, 3, 1.0)
    moved = clipped_mean((np.array(values) + pedestal) * gain, 3, gain)
    assert moved.survivors == plain.survivors
    assert moved.mean == pytest.approx((plain.mean + pedestal) * gain, rel=1e-12)


@FEW
@given(st.lists(ADU, min_size=1, max_size=40))
def test_the_mean_lies_among_the_values_and_something_always_survives(values):
    clipped = clipped_mean(values, 3)
    assert 1 <= clipped.survivors <= len(values)
    assert clipped.survivors >= (len(values) + 1) // 2
    assert min(values) - 1e-6 <= clipped.mean <= max(values) + 1e-6


def trial(n, k, floor, seed=20240301, values=2_000_000):
    """Clip Gaussian stacks with numpy and scipy alone: mean, survivors and scatter of each."""
    stacks = np.random.default_rng(seed).standard_normal((values // n, n))
    deviation = np.abs(stacks - np.median(stacks, axis=1, keepdims=True))
    mad = 1.4826 * stats.median_abs_deviation(stacks, axis=1)
    kept = np.where(deviation <= k * np.maximum(mad, floor)[:, None], stacks, np.nan)
    count = np.isfinite(kept).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(kept, axis=1) / count
        variance = np.nansum((kept - mean[:, None]) ** 2, axis=1) / np.where(count > 1, count - 1, np.nan)
    return mean, count, variance


@pytest.mark.parametrize(("n", "loss"), [(5, 1.12), (64, 1.03)])
def test_clipping_without_a_floor_costs_12_percent_for_5_frames_and_3_for_64(n, loss):
    mean, _, _ = trial(n, 3, 0, values=6_000_000)
    assert np.std(mean) * math.sqrt(n) == pytest.approx(loss, abs=0.01)
    stacks = np.random.default_rng(11).standard_normal((n, 6_000_000 // n))
    assert np.std(clipped_mean(stacks, 3.0).mean) * math.sqrt(n) == pytest.approx(loss, abs=0.01)


@pytest.mark.parametrize(("n", "floor"), [(3, 0.0), (5, 0.0), (5, 1.0), (16, 0.5), (64, 0.0)])
def test_the_clipping_bias_is_that_of_an_independent_trial(n, floor):
    mean, count, variance = trial(n, 3, floor)
    bias = find_clipping_bias(n, 3.0, floor)
    assert bias.noise == pytest.approx(np.sqrt(np.mean(mean**2 * count)), rel=0.01)
    quieter = np.sort(variance[np.isfinite(variance)])
    quieter = quieter[: round(0.95 * quieter.size)]
    assert bias.scatter == pytest.approx(np.sqrt(quieter.mean()), rel=0.005)


@pytest.mark.parametrize("floored", [True, False])
@pytest.mark.parametrize("planted", [0.5, 3])
@pytest.mark.parametrize("n", [5, 64])
def test_a_camera_file_with_the_wrong_noise_is_found_out(n, planted, floored):
    """The model says 1; the frames really scatter by ``planted``."""
    stacks = np.random.default_rng(n + 77).normal(0, planted, (n, 40_000))
    scatter = clipped_mean(stacks, 3.0, 1.0 if floored else 0.0).scatter
    ratio, _ = find_noise_ratio(pool_scatter(scatter**2), n, 3.0, floored)
    assert ratio == pytest.approx(planted, rel=0.02)


@pytest.mark.parametrize("n", [5, 16])
def test_the_error_of_a_clipped_mean_is_honest_with_ratio_and_response(n):
    """What a master does: model noise x ratio x response / sqrt(survivors) is the true error of the mean."""
    stacks = np.random.default_rng(n).normal(0, 2.0, (n, 60_000))
    clipped = clipped_mean(stacks, 3.0, 1.0)
    ratio, response = find_noise_ratio(pool_scatter(clipped.scatter**2), n, 3.0)
    pull = clipped.mean / (ratio * response.noise / np.sqrt(clipped.survivors))
    assert np.std(pull) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("measured", [math.nan, 0.0, -1.0])
def test_an_unknown_scatter_leaves_the_model_unchanged(measured):
    assert find_noise_ratio(measured, 5, 3.0)[0] == 1


def test_a_single_frame_keeps_the_model_noise():
    assert find_noise_ratio(7.0, 1, 3.0)[0] == 1


def test_pooled_scatter_is_that_of_the_quieter_95_percent():
    assert pool_scatter(np.arange(1.0, 101)[::-1]) == pytest.approx(math.sqrt(48))  # the mean of 1 to 95 is 48


def test_noisy_pixels_and_holes_do_not_move_the_pooled_scatter():
    variances = np.full(1000, 4.0)
    variances[::25] = 1e6
    variances[1::100] = np.nan
    assert pool_scatter(variances) == pytest.approx(2)
    assert np.isnan(pool_scatter(np.array([np.nan, np.inf])))


def test_the_best_frame_is_not_rejected_for_the_noise_of_the_others():
    """Darks of 30 to 300 s, limited by read noise: the longest has three quarters of the weight."""
    times = np.array([30.0, 60, 90, 120, 300])
    weights = times**2 / np.mean(times**2)
    sigma = 1 / np.sqrt(weights)
    stacks = np.random.default_rng(12).normal(0, sigma[:, None], (5, 200_000))
    clipped = clipped_mean(stacks, 3.0, 1.0, weights)
    best_kept = clipped.weight > 0.999 * weights[-1]  # all others together weigh less
    # Judged by its own noise alone, it would be kept in 0.93 and the mean be 1.39 times noisier than the best.
    assert best_kept.mean() > 0.98
    assert clipped.survivors.mean() / 5 > 0.99
    best = 1 / np.sqrt(weights.sum())
    assert best * 0.99 < clipped.mean.std() < best * 1.2


def test_an_outlier_in_the_best_frame_is_still_rejected():
    times = np.array([30.0, 60, 90, 120, 300])
    weights = times**2 / np.mean(times**2)
    stacks = np.random.default_rng(13).normal(0, 1 / np.sqrt(weights)[:, None], (5, 10_000))
    stacks[-1] += 50 * np.max(1 / np.sqrt(weights))
    assert (clipped_mean(stacks, 3.0, 1.0, weights).weight < weights[-1]).mean() > 0.999


UNEQUAL = [[300.0] + [10.0] * 8, [5.0, 20.0, 80.0, 320.0, 1200.0], [50.0, 100.0, 200.0], [10.0] * 5 + [100.0] * 5]


@pytest.mark.parametrize("times", UNEQUAL)
def test_a_good_value_among_bad_ones_is_not_rejected_for_their_noise(times):
    weights = np.square(times) / np.mean(np.square(times))
    values = np.random.default_rng(11).normal(0, 1, (len(times), 40_000)) / np.sqrt(weights)[:, np.newaxis]
    noise = np.std(values - np.median(values, axis=0), axis=1)
    alike = np.random.default_rng(12).normal(0, 1, values.shape)
    np.testing.assert_allclose(deviation_noise(weights), noise / np.std(alike - np.median(alike, axis=0)), rtol=0.02)
    mean, _, weight, _ = clipped_mean(values, 3.0, 1.0, weights)
    with_the_best = weight >= weights.max()
    assert with_the_best.mean() > 0.98
    assert np.std(mean[with_the_best]) < 1.05 / np.sqrt(weights.sum())


@pytest.mark.parametrize("times", UNEQUAL)
@pytest.mark.parametrize("ratio", [1.0, 1.6])
def test_ratio_and_noise_of_unequal_values_are_honest(times, ratio):
    weights = np.square(times) / np.mean(np.square(times))
    values = np.random.default_rng(13).normal(0, ratio, (len(times), 100_000)) / np.sqrt(weights)[:, np.newaxis]
    clipped = clipped_mean(values, 3.0, 1.0, weights)
    found, response = find_noise_ratio(pool_scatter(clipped.scatter**2), len(times), 3.0, weights=tuple(weights))
    assert found == pytest.approx(ratio, rel=0.01)
    pulls = clipped.mean / (found * response.noise / np.sqrt(clipped.weight))
    assert pulls.std() == pytest.approx(1, abs=0.01)


def test_noise_of_deviations_does_not_depend_on_the_order_and_is_1_for_equal_weights():
    weights = np.array([0.2, 3.0, 0.2, 0.6])
    noise = deviation_noise(weights)
    np.testing.assert_array_equal(deviation_noise(weights[::-1]), noise[::-1])
    assert noise[0] == noise[2]
    np.testing.assert_array_equal(deviation_noise(np.ones(7)), 1)
    np.testing.assert_allclose(deviation_noise(np.full(3, 4.0)), 0.5)
