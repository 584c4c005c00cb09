"""A star that some flats have is found and its place flagged; marks of the chip, which all have, are not."""

from dataclasses import replace

import numpy as np
import pytest
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.masters.flat import stack_flats
from nightcal.masters.passing_stars import find_passing_stars, mark_stars
from nightcal.simulation.night import make_chip
from simulated_chip import SHAPE, Camera

PLACE = (70, 130)
SPOT = np.exp(-((np.arange(SHAPE[0])[:, None] - PLACE[0]) ** 2 + (np.arange(SHAPE[1]) - PLACE[1]) ** 2) / (2 * 1.5**2))


@pytest.fixture(scope="module")
def chip():
    return make_chip(SHAPE, seed=3, n_hot=0, n_dead=0)


def take_flats(folder, chip, starry, peak=0.15):
    """Flats of which some have a star in one place, as bright as a part of the light."""
    camera = Camera(folder, chip)
    frames = []
    for has_star in starry:
        frames.append(camera.take("Flat Field", 5.0, 15000 * (1 + peak * has_star * SPOT), "V"))
    return frames


@pytest.mark.parametrize("starry", [(1, 0, 1, 1, 0), (1, 1, 0), (1, 1, 1, 1, 0, 1, 1)])
def test_a_star_in_most_frames_is_flagged_in_the_master_and_told_of(starry, chip, tmp_path):
    flat = stack_flats(take_flats(tmp_path, chip, starry), None, None)
    assert flat.mask[PLACE] & Flag.BAD
    assert np.count_nonzero(flat.mask & Flag.BAD) <= 17**2
    text = f"stars in flat: a star at pixel 131, 71 in {sum(starry)} of {len(starry)} frames: flagged there"
    assert text in read_warnings(flat.header)


def test_a_mark_of_the_chip_is_in_all_frames_and_no_star(chip, tmp_path):
    marked = replace(chip, response={"V": chip.response["V"] * (1 + 0.15 * SPOT)})
    frames = take_flats(tmp_path, marked, (0, 0, 0, 0, 0))
    assert find_passing_stars(np.array([PLACE], float), frames, [75000.0] * 5) == []
    flat = stack_flats(frames, None, None)
    assert flat.header["NRESID"] >= 1
    assert not flat.mask[PLACE] & Flag.BAD


def test_spots_at_the_edge_and_single_frames_are_no_trouble(chip, tmp_path):
    frames = take_flats(tmp_path, chip, (0, 0, 0))
    corners = np.array([(0, 0), (SHAPE[0] - 1, SHAPE[1] - 1)], float)
    assert find_passing_stars(corners, frames, [75000.0] * 3) == []
    assert find_passing_stars(corners, frames[:1], [75000.0]) == []
    assert not mark_stars([], SHAPE).any()
