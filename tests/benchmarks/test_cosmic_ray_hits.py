"""Simulated cosmic rays have the shapes and charges of real ones."""

import numpy as np
import pytest

from benchmarks.cosmic_ray_hits import PER_MICRON, Hits, Score, simulate_hits

SHAPE = (300, 400)


@pytest.fixture(scope="module")
def hits():
    return simulate_hits(SHAPE, np.random.default_rng(1), 400)


def each(hits):
    for begin, end in zip(hits.first, np.append(hits.first[1:], len(hits.pixels)), strict=True):
        yield hits.pixels[begin:end], hits.shares[begin:end]


def test_the_charge_of_a_frame_is_the_sum_of_its_hits(hits):
    assert len(hits.first) == 400
    total = np.zeros(SHAPE)
    for pixels, shares in each(hits):
        assert len(np.unique(pixels)) == len(pixels)
        total.flat[pixels] += shares
    assert np.allclose(hits.charge, total)
    assert np.array_equal(hits.charge, simulate_hits(SHAPE, np.random.default_rng(1), 400).charge)


def test_most_hits_cover_a_few_pixels_and_some_are_long(hits):
    covered = [np.count_nonzero(shares > 30) for _, shares in each(hits)]
    assert 4 < np.median(covered) < 15
    assert max(covered) > 30


def test_muons_leave_at_least_the_charge_of_a_vertical_track(hits):
    charge = np.array([shares.sum() for _, shares in each(hits)])
    assert np.percentile(charge, 40) > PER_MICRON * 40
    assert np.percentile(charge, 99) > 5 * np.median(charge)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200)])
def test_hits_at_the_edge_stay_on_the_chip(shape):
    hits = simulate_hits(shape, np.random.default_rng(2), 20)
    assert hits.charge.shape == shape
    assert np.isfinite(hits.charge).all()


def test_without_hits_there_is_no_charge():
    nothing = simulate_hits((5, 5), np.random.default_rng(3), 0)
    assert not nothing.charge.any()
    assert nothing.score(np.zeros((5, 5), bool), np.ones((5, 5))) == Score()


def test_a_mask_is_scored_by_pixel_and_by_hit():
    charge = np.zeros((6, 6))
    charge[1, 1:3], charge[4, 4] = (20, 3), 9
    hits = Hits(charge, np.array([0, 2]), np.array([7, 8, 28]), np.array([20.0, 3.0, 9.0]))
    flagged = np.zeros((6, 6), bool)
    flagged[1, 1:4] = flagged[5, 0] = True
    score = hits.score(flagged, np.ones((6, 6)))
    assert score == Score(1, 2, 2, 4, 1, 2, 1, 2)
    assert score + score == Score(2, 4, 4, 8, 2, 4, 2, 4)
