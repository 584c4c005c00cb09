"""Pixels that are hit in most frames of a night are told of; stars and real cosmic rays are not."""

import numpy as np
from astropy.io import fits
from nightcal.flags import Flag
from nightcal.io.master import convert_to_mask, load_master
from nightcal.science.persistent_hits import describe_hits, find_persistent_hits, write_hits

SHAPE = (60, 80)
NO_SOURCES = np.empty((0, 2))


def take_masks(number, again=(), seed=1):
    """Masks with ten cosmic rays each, and hits in some pixels of every frame but the first."""
    rng = np.random.default_rng(seed)
    for n in range(number):
        mask = np.zeros(SHAPE, np.int16)
        mask.flat[rng.choice(mask.size, 10, replace=False)] = Flag.COSMIC_RAY
        for row, column in again if n else ():
            mask[row, column] |= Flag.COSMIC_RAY
        yield mask, NO_SOURCES


def test_pixels_that_are_hit_again_and_again_are_found_and_no_others():
    found = find_persistent_hits(take_masks(9, [(20, 30), (0, 79)]))
    assert np.argwhere(found.pixels).tolist() == [[0, 79], [20, 30]]
    assert (found.frames, found.in_them) == (9, 16)
    assert found.hits >= 9 * 10


def test_five_frames_at_least_must_be_hit():
    assert not find_persistent_hits(take_masks(5, [(20, 30)])).pixels.any()
    assert not find_persistent_hits(take_masks(0)).pixels.any()


def test_the_core_of_a_star_is_no_defect():
    star = np.array([[20.4, 30.3]])
    frames = ((mask, star) for mask, _ in take_masks(9, [(20, 30), (40, 40)]))
    assert np.argwhere(find_persistent_hits(frames).pixels).tolist() == [[40, 40]]


def test_the_next_night_can_use_them_as_a_mask(tmp_path):
    path = tmp_path / "persistent_hits_x.fits"
    write_hits(path, find_persistent_hits(take_masks(9, [(20, 30)])))
    mask = convert_to_mask(load_master(path)).mask
    assert np.argwhere(np.asarray(mask) & Flag.BAD).tolist() == [[20, 30]]
    assert describe_hits(path).startswith("1 pixel is hit in at least half of 9 frames, and have 8 of ")
    assert f"bad_pixels={path}" in describe_hits(path)
    write_hits(path, find_persistent_hits(take_masks(9)))
    assert describe_hits(path) == ""
    assert fits.getheader(path)["NFRAMES"] == 9
