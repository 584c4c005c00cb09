"""Line fits to points with outliers and intrinsic scatter, and their errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.measurement.photometry.line_fit import fit_line

SEEDS = 150


def points(rng, n, scatter=0.02, slope=0.08, wrong=0.0, one_sided=False):
    """Simulate points about y = 20 + slope (x - 0.6), some of them outliers by 0.3 to 2."""
    x, variance = rng.normal(0.6, 0.3, n), rng.uniform(0.003, 0.03, n) ** 2
    y = 20 + slope * (x - 0.6) + rng.normal(0, np.sqrt(variance + scatter**2))
    outlier = rng.random(n) < wrong
    side = 1 if one_sided else rng.choice([-1, 1], n)
    return x, y + outlier * side * rng.uniform(0.3, 2, n), variance, outlier


def pulls(n, slope=0.08, fixed=None, **kwargs):
    """(found - true) / error of level and slope over the seeds, and the departures of the level."""
    found = []
    for seed in range(SEEDS):
        x, y, variance, _ = points(np.random.default_rng(seed), n, slope=slope, **kwargs)
        fit = fit_line(x, y, variance, slope=fixed, resamples=200)
        off = fit.level - (20 + slope * (fit.centre - 0.6))
        tilt = 0.0 if fixed is not None else (fit.slope - slope) / fit.slope_error
        found.append((off / fit.level_error, tilt, off))
    return np.array(found).T


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_errors_are_honest(wrong):
    level, slope, off = pulls(60, wrong=wrong)
    # The width of 150 pulls is known to 6 percent.
    assert level.std() == pytest.approx(1, abs=0.18)
    assert slope.std() == pytest.approx(1, abs=0.18)
    assert abs(off.mean()) < 4 * off.std() / np.sqrt(SEEDS)
    # 0.026 per point on the average
    assert off.std() < 1.15 * 0.0262 / np.sqrt(60)


def test_one_sided_outliers_hardly_bias_the_level():
    _, _, clean = pulls(60)
    level, _, off = pulls(60, wrong=0.1, one_sided=True)
    assert level.std() == pytest.approx(1, abs=0.18)
    assert abs(off.mean() - clean.mean()) < 0.001


@pytest.mark.parametrize("n", [3, 6])
def test_errors_from_few_points_contain_the_truth_in_two_thirds_of_cases(n):
    level, _, _ = pulls(n, slope=0.0, fixed=0.0)
    assert np.mean(np.abs(level) < 1) == pytest.approx(0.683, abs=0.1)


def test_without_scatter_the_formal_error_is_kept():
    level, _, _ = pulls(60, scatter=0.0)
    assert 0.8 < level.std() < 1.1


def test_intrinsic_scatter_is_found():
    found = [fit_line(*points(np.random.default_rng(seed), 200)[:3]).intrinsic for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.02, abs=0.001)


@given(st.floats(1e-12, 1.0), st.floats(1.0, 1e6), st.integers(3, 40))
@settings(max_examples=60, deadline=None)
def test_intrinsic_scatter_makes_chi_square_the_number_of_degrees_of_freedom(least, ratio, n):
    rng = np.random.default_rng(n)
    variance = least * np.geomspace(1, ratio, n)
    y = rng.normal(0, 3 * np.sqrt(variance.max()), n)
    fit = fit_line(np.zeros(n), y, variance, slope=0.0, clip=50, resamples=0)
    chi_square = np.sum((y - fit.level) ** 2 / (variance + fit.intrinsic**2))
    assert fit.kept.all()
    assert chi_square == pytest.approx(n - 1, rel=0.01) or (fit.intrinsic == 0 and chi_square < n - 1)


def test_all_outliers_are_rejected_and_nearly_all_others_kept():
    kept = []
    for seed in range(30):
        x, y, variance, wrong = points(np.random.default_rng(seed), 100, wrong=0.2)
        fit = fit_line(x, y, variance)
        assert not (fit.kept & wrong).any()
        kept.append(fit.kept[~wrong].mean())
    assert np.mean(kept) > 0.99


def test_a_line_without_noise_is_found_exactly():
    x = np.linspace(-0.2, 1.4, 12)
    fit = fit_line(x, 3 - 0.25 * x, np.full(12, 1e-4))
    assert fit.slope == pytest.approx(-0.25, abs=1e-12)
    assert fit.level == pytest.approx(3 - 0.25 * fit.centre, abs=1e-12)
    assert (fit.intrinsic, fit.rms) == (0, pytest.approx(0, abs=1e-12))


def test_level_with_pencil_and_paper():
    # Weights 1, 1 and 1/4; with chi^2 below 2 there is no scatter to add.
    fit = fit_line(np.zeros(3), np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 4.0]), slope=0.0)
    assert fit.level == pytest.approx((1 + 2 + 3 / 4) / 2.25)
    assert fit.intrinsic == 0
    # Two degrees of freedom: 1 + 1/4 + 1/16 + 1/128
    assert fit.level_error >= np.sqrt(1 / 2.25) * 1.3203


def test_the_weighted_line_equals_that_of_numpy():
    x, y, variance, _ = points(np.random.default_rng(1), 40, scatter=0.0)
    fit = fit_line(x, y, variance, clip=20)
    slope, level = np.polyfit(x, y, 1, w=1 / np.sqrt(variance + fit.intrinsic**2))
    assert fit.kept.all()
    assert (fit.slope, fit.level - fit.slope * fit.centre) == (pytest.approx(slope), pytest.approx(level))


def test_results_are_reproducible():
    x, y, variance, _ = points(np.random.default_rng(3), 30, wrong=0.1)
    one, two, other = (fit_line(x, y, variance, seed=seed) for seed in (1, 1, 2))
    assert (one.level, one.level_error, one.slope_error) == (two.level, two.level_error, two.slope_error)
    assert one.slope_error != other.slope_error


def test_without_resampling_the_error_is_the_formal_one():
    # Ten points of error 0.1, nine degrees of freedom, and a scatter that the errors explain.
    fit = fit_line(np.zeros(10), np.tile([-0.05, 0.05], 5), np.full(10, 0.01), slope=0.0, resamples=0)
    assert fit.level_error == pytest.approx(0.1 / np.sqrt(10) * (1 + 1 / 18 + 1 / 324 + 1 / 11664))


def test_points_of_equal_x_determine_no_slope():
    fit = fit_line(np.full(5, 0.7), np.arange(5.0), np.ones(5))
    assert (fit.slope, fit.slope_error, fit.level) == (0, 0, 2)


@given(
    st.lists(st.tuples(*[st.floats(-50, 50)] * 2, st.floats(1e-8, 10)), min_size=1, max_size=30),
    st.one_of(st.none(), st.floats(-1, 1)),
)
@settings(max_examples=40, deadline=None)
def test_the_result_is_finite_whatever_the_points(values, slope):
    x, y, variance = np.array(values).T
    fit = fit_line(x, y, variance, slope=slope, resamples=100)
    assert np.isfinite([fit.level, fit.intrinsic, fit.rms]).all()
    assert fit.level_error > 0
    assert fit.kept.any()
