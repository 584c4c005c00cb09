"""Trails of satellites and aeroplanes, planted into frames with stars, spikes, nebulae and hits."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.flags import Flag
from nightcal.io.product import Product
from nightcal.measurement.cosmic_rays import find_cosmic_rays
from nightcal.measurement.frame import UNKNOWN, MeasuredFrame
from nightcal.measurement.options import TrailOptions
from nightcal.measurement.sources import estimate_seeing, find_sources
from nightcal.measurement.trails import find_trails
from nightcal.measurement.trails.step import flag_trails
from scipy.ndimage import binary_dilation

from benchmarks.trail_frames import PlantedTrail, make_frame, make_trail, measure_cover

SHAPE = (600, 640)
ACROSS = PlantedTrail((-10, 660), (100, 420), 4, 8)


@pytest.fixture(scope="module")
def crossed():
    """A frame with stars and one trail, and the same frame without it."""
    with_trail = make_frame(np.random.default_rng(5), SHAPE, stars=150, trails=(ACROSS,), saturated=0)
    without = make_frame(np.random.default_rng(5), SHAPE, stars=150, saturated=0)
    return with_trail, without


@pytest.mark.parametrize("seed", range(8))
def test_planted_trails_are_found(seed):
    rng = np.random.default_rng(300 + seed)
    trail = make_trail(rng, SHAPE, height=rng.uniform(3, 20), ends_inside=seed % 4 == 0)
    data, _, mask = make_frame(rng, SHAPE, trails=(trail,), saturated=seed % 2)
    found = find_trails(data, mask)
    assert measure_cover(found.pixels, trail) > 0.8
    assert len(found.trails) == 1


@pytest.mark.parametrize("height", [1.0, 2.0])
def test_a_faint_trail_is_found_by_its_length(height):
    trail = PlantedTrail((50, 600), (-10, 610), 4, height)
    data, _, mask = make_frame(np.random.default_rng(2), SHAPE, trails=(trail,))
    assert measure_cover(find_trails(data, mask).pixels, trail) > 0.9


@pytest.mark.parametrize("nebula", [0, 300, 2000])
@pytest.mark.parametrize("stars", [200, 2000])
def test_stars_spikes_nebulae_and_galaxies_are_no_trails(stars, nebula):
    for seed in range(3):
        data, _, mask = make_frame(np.random.default_rng(40 + seed), SHAPE, stars=stars, nebula=nebula)
        assert find_trails(data, mask).trails == ()


def test_position_and_width_are_those_of_the_trail(crossed):
    (trail,) = find_trails(crossed[0][0], crossed[0][2]).trails
    x, y = (np.array(ends) for ends in zip(trail.first, trail.last, strict=True))
    order = np.argsort(x)
    slope = 320 / 670
    np.testing.assert_allclose(y[order], 100 + slope * (x[order] + 10), atol=1.5)
    assert abs(trail.height - ACROSS.height) < 0.2 * ACROSS.height
    assert 3 < trail.half_width < 8


def test_the_dark_parts_of_a_broken_trail_are_flagged_with_it():
    trail = PlantedTrail((-20, 660), (400, 300), 4, 6, broken=True)
    data, _, mask = make_frame(np.random.default_rng(3), SHAPE, trails=(trail,))
    pixels = find_trails(data, mask).pixels
    whole = PlantedTrail(trail.x, trail.y, trail.width, trail.height)
    assert measure_cover(pixels, whole) > 0.8


def test_two_crossing_trails_are_two():
    other = PlantedTrail((300, 250), (-10, 610), 3, 5)
    data, _, mask = make_frame(
        np.random.default_rng(4),
        SHAPE,
        trails=(
            ACROSS,
            other,
        ),
    )
    found = find_trails(data, mask)
    assert len(found.trails) == 2
    assert min(measure_cover(found.pixels, trail) for trail in (ACROSS, other)) > 0.9


def test_no_sources_lie_along_a_trail(crossed):
    (data, uncertainty, mask), without = crossed
    pixels = find_trails(data, mask).pixels
    near = binary_dilation(pixels, iterations=6)

    def count_near_trail(mask):
        table = find_sources(data, uncertainty, mask).table
        x, y = (np.rint(table[axis] - 1).astype(int) for axis in ("XWIN_IMAGE", "YWIN_IMAGE"))
        return np.count_nonzero(near[y, x])

    stars = find_sources(*without).table
    expected = len(stars) * near.mean()
    assert count_near_trail(mask) > 2 * expected
    assert count_near_trail(mask | pixels * Flag.TRAIL) <= expected + 4


def test_a_trail_changes_neither_the_seeing_nor_the_search_for_cosmic_rays(crossed):
    (data, uncertainty, mask), without = crossed
    flagged = mask | find_trails(data, mask).pixels * Flag.TRAIL
    assert estimate_seeing(data, uncertainty, flagged) == pytest.approx(estimate_seeing(*without), rel=0.05)
    hits = find_cosmic_rays(data, flagged, uncertainty=uncertainty).hits
    assert not (hits & (flagged & Flag.TRAIL > 0)).any()


def test_stars_drawn_out_into_many_lines_are_not_satellites():
    lines = tuple(PlantedTrail((60 * n + 30, 60 * n + 70), (-10, 610), 4, 4) for n in range(9))
    images = make_frame(np.random.default_rng(6), SHAPE, trails=lines, stars=0)
    frame = MeasuredFrame(Product(*images, "electron", fits.Header()), UNKNOWN)
    values = flag_trails(frame, TrailOptions())
    assert values["TRLSTAT"].startswith("more than 6 lines")
    assert (values["NTRAILS"], values["TRLNPIX"], (frame.mask & Flag.TRAIL).any()) == (0, 0, False)
    assert "none is flagged" in frame.header["WARN001"]


def test_shorter_trails_than_the_observer_wants_are_left_alone(crossed):
    data, _, mask = crossed[0]
    assert find_trails(data, mask, TrailOptions(minimum_length=900)).trails == ()


def test_the_margin_widens_a_trail(crossed):
    data, _, mask = crossed[0]
    narrow, wide = (find_trails(data, mask, TrailOptions(margin=margin)).trails[0] for margin in (0.0, 4.0))
    assert wide.half_width - narrow.half_width == pytest.approx(4)


@pytest.mark.parametrize(
    ("data", "mask", "reason"),
    [
        (np.zeros((100, 900)), 0, "the frame has fewer than 128 pixels on a side"),
        (np.full(SHAPE, 5.0), 0, "the sky has no noise"),
        (np.full(SHAPE, np.nan), 0, "every pixel is masked"),
        (np.random.default_rng(0).normal(size=SHAPE), Flag.NO_DATA, "every pixel is masked"),
    ],
)
def test_what_cannot_be_searched_has_a_reason(data, mask, reason):
    found = find_trails(data.astype(np.float32), np.full(data.shape, mask, np.int16))
    assert (found.reason, found.trails) == (reason, ())


def test_the_step_sets_the_bit_counts_the_trails_and_warns(crossed):
    data, uncertainty, mask = (image.copy() for image in crossed[0])
    frame = MeasuredFrame(Product(data, uncertainty, mask, "electron", fits.Header()), UNKNOWN)
    values = flag_trails(frame, TrailOptions())
    assert (values["TRLSTAT"], values["NTRAILS"]) == ("done", 1)
    assert values["TRLNPIX"] == np.count_nonzero(frame.mask & Flag.TRAIL) > 5000
    np.testing.assert_array_equal(frame.mask & ~Flag.TRAIL, crossed[0][2])
    np.testing.assert_array_equal(frame.data, crossed[0][0])
    assert frame.header["WARN001"].startswith("trail in the frame: 1 trail covers ")


def test_a_frame_without_trails_has_no_warning(crossed):
    frame = MeasuredFrame(Product(*(image.copy() for image in crossed[1]), "electron", fits.Header()), UNKNOWN)
    assert flag_trails(frame, TrailOptions()) == {"TRLSTAT": "done", "NTRAILS": 0, "TRLNPIX": 0}
    assert "WARN001" not in frame.header
