"""Subimages are spread evenly over an amplifier, and their scatter measures the noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightcal.detector.subimages import Grid, find_subimage_medians, measure_subimage_variances
from nightcal.io.sections import Area

SIDES = st.integers(1, 700)


@given(SIDES, SIDES, st.integers(0, 50), st.integers(0, 50))
def test_subimages_lie_inside_their_area_and_do_not_overlap(ny, nx, top, left):
    grid = Grid.spread_over(Area(left, left + nx, top, top + ny))
    height, width = grid.shape
    assert 1 <= len(grid.rows) * len(grid.columns) <= 256
    for starts, size, low, high in ((grid.rows, height, top, top + ny), (grid.columns, width, left, left + nx)):
        assert low <= starts[0]
        assert starts[-1] + size <= high
        assert (np.diff(starts) >= size).all()


@pytest.mark.parametrize(
    ("shape", "subimages"), [((4096, 4096), (16, 16)), ((64, 521), (2, 16)), ((40, 9000), (1, 256))]
)
def test_subimages_are_spread_over_the_whole_area(shape, subimages):
    grid = Grid.spread_over(Area(0, shape[1], 0, shape[0]))
    assert (len(grid.rows), len(grid.columns)) == subimages
    for starts, length in ((grid.rows, shape[0]), (grid.columns, shape[1])):
        steps = np.diff([0, *starts, length])
        assert steps.max() - steps[1:-1].min(initial=steps.max()) <= 32 + steps.max() / 2


def test_variance_ignores_slopes_outliers_and_missing_pixels():
    rng = np.random.default_rng(3)
    subimages = rng.normal(1000, 5, (400, 32, 32)).astype(np.float32)
    subimages += np.linspace(0, 60, 32, dtype=np.float32)  # a slope in x
    subimages[:, 3:6, 7] += 4000  # a cosmic ray
    subimages[:, 20:24] = np.nan
    found = measure_subimage_variances(subimages, 0.5)
    assert np.median(found.value) == pytest.approx(25, rel=0.01)
    assert found.value.std() == pytest.approx(np.median(found.error), rel=0.15)


def test_a_subimage_with_half_of_its_pixels_missing_has_no_variance():
    subimages = np.random.default_rng(4).normal(0, 1, (2, 32, 32)).astype(np.float32)
    subimages[1, :17] = np.nan
    assert np.isfinite(measure_subimage_variances(subimages, 0.1).value).tolist() == [True, False]


def test_medians_ignore_missing_pixels():
    subimages = np.array([[[1, 2], [3, 10]], [[np.nan, 2], [3, 10]], [[np.nan] * 2] * 2], np.float32)
    assert find_subimage_medians(subimages) == pytest.approx([2.5, 3, np.nan], nan_ok=True)
