"""Sums of an image along straight lines."""

import numpy as np
import pytest
from nightcal.numerics.radon import VIEWS, sum_along_lines

SHAPES = [(16, 16), (20, 13), (9, 30)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_lines_of_one_slope_share_out_all_pixels(shape):
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    for lines in sum_along_lines(image, 4):
        totals = lines.sums.sum(axis=(1, 3))
        np.testing.assert_allclose(totals, image.sum(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pixel_lies_on_the_lines_that_count_it(shape):
    for y, x in [(0, 0), (shape[0] - 1, shape[1] - 1), (5, 7), (8, 2)]:
        image = np.zeros(shape, np.float32)
        image[y, x] = 1
        for lines in sum_along_lines(image, 4):
            (x1, y1), (x2, y2) = lines.locate(np.argwhere(lines.sums)).transpose(1, 2, 0)
            off = np.abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / np.hypot(x2 - x1, y2 - y1)
            assert off.max() < 1.5


@pytest.mark.parametrize("view", range(len(VIEWS)))
def test_a_straight_line_is_the_brightest_line(view):
    transposed, mirrored = VIEWS[view]
    image = np.zeros((64, 64), np.float32)
    rows = np.arange(64)
    image[rows, np.rint(10 + 0.6 * rows).astype(int)] = 1
    image = image[:, ::-1] if mirrored else image
    image = image.T if transposed else image
    *_, whole = sum_along_lines(image, 64)
    best = np.array(np.unravel_index(whole.sums.argmax(), whole.sums.shape))
    (ends,) = whole.locate(best[np.newaxis])
    truth = np.argwhere(image)[:, ::-1]
    truth = truth[np.argsort(truth[:, 0 if transposed else 1])]
    np.testing.assert_allclose(ends, truth[[0, -1]], atol=2.1)
    assert whole.sums.max() > 40


def test_strips_are_summed_on_their_own():
    image = np.zeros((64, 64), np.float32)
    image[32:48, 20] = 1
    first, *_, whole = sum_along_lines(image, 16)
    assert (first.rows, whole.rows) == (16, 64)
    assert first.sums[0, 2, 0, 20 + first.margin] == 16
    assert first.locate(np.array([[0, 2, 0, 20 + first.margin]])).tolist() == [[[20.0, 32.0], [20.0, 47.0]]]
    assert first.sums[0, [0, 1, 3]].max() == 0
