"""A set of flats loses the frames that a careful observer would throw away, and no others."""

import re
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.errors import FrameRejectedError
from nightcal.io.keywords import read_warnings
from nightcal.masters.bias import stack_biases
from nightcal.masters.flat import stack_flats
from nightcal.masters.flat_selection import (
    FlatLimits,
    SignalMap,
    compare_shapes,
    count_new_spots,
    find_close_frames,
    find_separation,
    map_signal,
    select_flats,
)
from nightcal.report import amend
from nightcal.simulation.night import make_chip
from nightcal.stacking.calibration_frame import sort_frames
from simulated_chip import SHAPE, Camera, loaded

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
Y, X = np.linspace(-1, 1, SHAPE[0])[:, None], np.linspace(-1, 1, SHAPE[1])
ARCSEC = 1 / 3600


# --- shape -----------------------------------------------------------------------------------------------------------


def maps(departures, level=20000.0, noise=5.0, seed=1):
    """Light of frames that are vignetted alike and depart by so much, as part of the light, from side to side."""
    rng = np.random.default_rng(seed)
    y, x = np.linspace(-1, 1, 16)[:, None], np.linspace(-1, 1, 16)
    light = [level * (1 - 0.2 * (x**2 + y**2)) * (1 + d * x) + rng.normal(0, noise, (16, 16)) for d in departures]
    return light, [np.full((16, 16), noise)] * len(departures)


def out_of(departures, least=0.02, **how):
    found, limit = compare_shapes(*maps(departures, **how), least)
    return list(np.flatnonzero(found > limit))


def test_a_departure_is_measured_as_it_was_planted():
    found, limit = compare_shapes(*maps([0, 0, 0, 0, 0.05]), 0.02)
    assert found[4] == pytest.approx(0.05, rel=0.15)  # means of blocks, those at the very edge aside
    assert max(found[:4]) < 0.002
    assert limit == 0.02


@pytest.mark.parametrize("n_bad", [1, 2, 3, 4])
def test_clouds_in_fewer_than_half_of_the_frames_are_found(n_bad):
    clouds = [0.08, -0.15, 0.05, 0.3][:n_bad]
    assert out_of([0.001, -0.002, 0, 0.003, -0.001, *clouds]) == list(range(5, 5 + n_bad))


def test_clouds_all_on_one_side_of_nearly_half_of_the_frames_are_found():
    assert out_of([0, 0.001, -0.001, 0.002, 0, 0.06, 0.07, 0.08, 0.09]) == [5, 6, 7, 8]


def test_thick_clouds_do_not_hide_thin_ones():
    assert out_of([-0.01, -0.005, 0, 0.005, 0.01, 0.1, 0.1, 0.25, 0.25]) == [5, 6, 7, 8]


def test_a_set_that_changes_steadily_keeps_all_its_frames():
    assert out_of(np.linspace(-0.03, 0.03, 9)) == []


def test_a_small_departure_is_accepted():
    assert out_of([0, 0, 0.015]) == []
    assert out_of([0, 0, 0.015], least=0.01) == [2]


def test_noise_alone_is_not_a_departure():
    found, _ = compare_shapes(*maps([0] * 9, level=200.0, noise=8.0), 0.02)
    assert max(found) == 0


def test_a_cloud_within_the_frame_is_found():
    light, error = maps([0] * 5)
    y, x = np.mgrid[:16, :16]
    light[2] = light[2] * (1 - 0.05 * np.exp(-((y - 8) ** 2 + (x - 5) ** 2) / 8))
    found, limit = compare_shapes(light, error, 0.02)
    assert list(np.flatnonzero(found > limit)) == [2]
    assert found[2] == pytest.approx(0.05, rel=0.3)


@MANY
@given(st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=12), st.data())
def test_the_order_of_frames_does_not_matter_and_half_of_them_stay(departures, data):
    light, error = maps(departures)
    order = data.draw(st.permutations(range(len(light))))
    found, limit = compare_shapes(light, error, 0.02)
    again, limit_again = compare_shapes([light[n] for n in order], error, 0.02)
    np.testing.assert_array_equal(again, found[list(order)])
    assert limit_again == limit
    assert np.count_nonzero(found <= limit) >= len(departures) / 2


def test_the_level_of_a_frame_does_not_matter():
    light, error = maps([0, 0.001, 0.05, 0])
    found, _ = compare_shapes(light, error, 0.02)
    scaled, _ = compare_shapes(*([2.0**n * image for n, image in enumerate(part)] for part in (light, error)), 0.02)
    np.testing.assert_allclose(scaled, found, rtol=1e-12)


def test_blocks_without_data_in_all_frames_are_left_out():
    light, error = maps([0] * 4)
    for image in light:
        image[3, 4], image[:, 15] = np.nan, 10.0  # a block without pixels, and a side that the light does not reach
    light[1][:, 15] = 1000.0
    found, _ = compare_shapes(light, error, 0.02)
    assert max(found) < 0.002


def test_a_signal_map_is_the_median_of_its_blocks_with_its_error():
    rng = np.random.default_rng(5)
    truth = 1000 * (1 + 0.2 * X + 0.1 * Y)
    images = [(rng.poisson(truth) + rng.normal(0, 6, SHAPE)).astype(np.float32) for _ in range(50)]
    for image in images:
        image[:16, :16] = np.nan
        image[40, 50] = 1e6
    found = [map_signal(lambda a, b, image=image: image[a:b], SHAPE, 36.0) for image in images]
    light = np.array([one.signal for one in found])
    blocks = truth.reshape(16, 16, 16, 16).mean(axis=(1, 3))
    known = np.isfinite(light[0])
    assert (~known).sum() == 1
    assert not known[0, 0]
    np.testing.assert_allclose(light.mean(axis=0)[known], blocks[known], rtol=0.002)
    assert np.median(light.std(axis=0)[known] / found[0].error[known]) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("shape", [(5, 2027), (64, 521), (1, 1), (1000, 3)])
def test_a_frame_of_any_size_has_a_signal_map(shape):
    image = np.full(shape, 500.0, np.float32)
    found = map_signal(lambda a, b: image[a:b], shape, 9.0)
    assert isinstance(found, SignalMap)
    np.testing.assert_array_equal(found.signal, 500)


# --- pointings -------------------------------------------------------------------------------------------------------

SKY = st.tuples(st.floats(0, 360), st.floats(-90, 90))


@MANY
@given(SKY, SKY)
def test_the_separation_is_that_of_astropy(one, other):
    expected = SkyCoord(*one, unit=u.deg).separation(SkyCoord(*other, unit=u.deg)).arcsec
    assert find_separation(one, other) == pytest.approx(expected, abs=1e-4, rel=1e-6)


def test_of_frames_on_one_spot_the_best_exposed_is_kept():
    pointings = {0: (10.0, -30.0), 1: (10.0 + 5 * ARCSEC, -30.0), 2: (10.0, -30.0 + 60 * ARCSEC), 3: (10.0, -30.0)}
    assert find_close_frames(pointings, [100, 300, 200, 150], 10) == {3: 1, 0: 1}
    assert find_close_frames(pointings, [100, 300, 200, 150], 0) == {}
    assert find_close_frames({}, [100, 300, 200, 150], 10) == {}


def test_of_equal_exposures_the_first_is_kept():
    assert find_close_frames({0: (1.0, 2.0), 1: (1.0, 2.0)}, [100, 100], 10) == {1: 0}


@MANY
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=8), st.permutations(range(8)))
def test_who_is_kept_does_not_depend_on_the_order(frames, order):
    order = [n for n in order if n < len(frames)]
    found = find_close_frames(
        {n: (place / 100, 0.0) for n, (place, _) in enumerate(frames)}, [100 * a for _, a in frames], 10
    )
    kept = sorted(frames[n] for n in range(len(frames)) if n not in found)
    shuffled = [frames[n] for n in order]
    again = find_close_frames(
        {n: (p / 100, 0.0) for n, (p, _) in enumerate(shuffled)}, [100 * a for _, a in shuffled], 10
    )
    assert sorted(shuffled[n] for n in range(len(shuffled)) if n not in again) == kept
    assert len({place for place, _ in kept}) == len(kept)


def test_spots_of_the_chip_are_distinguished_from_those_of_the_sky():
    chip = np.array([[10.0, 20.0], [50.0, 60.0]])
    assert count_new_spots(np.vstack([chip + 1, [[100.0, 3.0]]]), chip) == 1
    assert count_new_spots(chip, np.empty((0, 2))) == 2
    assert count_new_spots(np.empty((0, 2)), chip) == 0


# --- sets of frames --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chip():
    return make_chip(SHAPE)


def stars(seed, n=7, electrons=20000.0, fwhm=3.0):
    """Stars with peaks of 10 to 100 percent of the light [e-]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.zeros(SHAPE)
    for y, x, peak in zip(rng.uniform(5, 250, n), rng.uniform(5, 250, n), np.geomspace(0.1, 1, n), strict=True):
        image += electrons * peak * np.exp(-4 * np.log(2) * ((rows - y) ** 2 + (columns - x) ** 2) / fwhm**2)
    return image


class Twilight:
    """A telescope that takes twilight flats; each pointing, by its number, has its own stars."""

    def __init__(self, camera):
        self.camera = camera

    def flat(self, electrons=30000.0, pointing=0, cloud=0.0, sky=1.0, light="twilight", seconds=5.0):
        scene = electrons * (1 + cloud * X) + (stars(pointing, electrons=30000.0) if sky else 0.0)
        frame = self.camera.take("Flat Field", seconds, scene / seconds, "V")
        return replace(frame, flat_source=light, pointing=(10.0 + 30 * pointing * ARCSEC, -30.0))

    def bias(self):
        return loaded(stack_biases(self.camera.biases(16)), self.camera.folder / "bias.fits")


@pytest.fixture
def twilight(chip, tmp_path):
    return Twilight(Camera(tmp_path, chip, seed=11))


def refused(header):
    return {header[f"REJ{n:03d}"]: header[f"REJW{n:03d}"] for n in range(1, header["NREJECT"] + 1)}


def test_a_twilight_set_loses_only_its_bad_frames_and_the_master_shows_no_star(twilight, chip):
    good = [twilight.flat(30000 + 500 * n, n) for n in range(9)]
    clouds = [twilight.flat(28000, 20, cloud=0.06), twilight.flat(28000, 21, cloud=-0.1)]
    saturated, faint = twilight.flat(91000, 22), twilight.flat(45, 23, sky=0)
    undithered = [twilight.flat(25000, 2), twilight.flat(26000, 2), twilight.flat(27000, 5)]
    frames = [undithered[0], *good[:4], clouds[0], saturated, *good[4:], *undithered[1:], faint, clouds[1]]
    master = stack_flats(frames, twilight.bias(), None)
    reasons = refused(master.header)
    expected = {"clouds": clouds, "saturated": [saturated], "too faint": [faint], "stars": undithered}
    assert {name: why[: len(word)] for name, why in reasons.items() for word in expected if why.startswith(word)} == {
        frame.path.name: word for word, exposures in expected.items() for frame in exposures
    }
    assert len(reasons) == 7
    assert good[2].path.name in reasons[undithered[0].path.name]
    assert master.header["NRESID"] == 0
    assert not [text for text in read_warnings(master.header) if "stars" in text]
    good = master.mask == 0
    pull = (master.data - chip.response["V"])[good] / master.uncertainty[good]
    assert pull.std() == pytest.approx(1, abs=0.02)
    assert pull.mean() == pytest.approx(0, abs=0.04)
    where = (sum(stars(n) for n in range(9)) > 1000) & (master.mask == 0)
    assert np.abs((master.data - chip.response["V"])[where] / master.uncertainty[where]).max() < 5.5


def test_the_order_of_the_frames_does_not_matter(twilight):
    frames = [twilight.flat(30000 + 500 * n, n % 4, cloud=0.1 * (n == 5)) for n in range(7)]
    one, other = stack_flats(frames, None, None), stack_flats(frames[::-1], None, None)
    np.testing.assert_array_equal(one.data, other.data)
    assert refused(one.header) == refused(other.header)
    assert len(refused(one.header)) == 3  # a cloud, and of two pairs on one spot the fainter frames


def test_rejected_frames_reach_the_table_of_the_night(twilight):
    frames = [twilight.flat(pointing=n, cloud=0.2 * (n == 3)) for n in range(5)]
    header = stack_flats(frames, None, None).header
    columns = {"role": "stacked", "product": "masters/flat.fits", "reason": "one of 5"}
    rows = [{**columns, "file": e.path.name, "mjd_mid": f"{e.mjd:.6f}"} for e in frames]
    amended = amend(rows, {"masters/flat.fits": header})
    assert [row["role"] for row in amended] == ["stacked"] * 3 + ["rejected", "stacked"]
    assert amended[3]["reason"].startswith("clouds or a gradient: differs from the typical shape by 1")


def test_undithered_frames_that_show_no_stars_are_all_kept(twilight):
    frames = [twilight.flat(pointing=0, sky=0) for _ in range(5)]
    assert stack_flats(frames, None, None).header["NREJECT"] == 0


@pytest.mark.parametrize(("n_spots", "elsewhere"), [(7, True), (4, False)])
def test_bright_spots_of_the_chip_are_not_taken_for_stars(n_spots, elsewhere, chip, tmp_path):
    """All of them if a frame that points elsewhere shows them, too; else as many as a chip may have."""
    response = chip.response["V"] * (1 + stars(0, n_spots, electrons=1.0))
    twilight = Twilight(Camera(tmp_path, replace(chip, response={"V": response}), seed=3))
    frames = [twilight.flat(pointing=n // 3 * elsewhere, sky=0) for n in range(6)]
    header = stack_flats(frames, None, None).header
    assert header["NRESID"] == n_spots
    assert header["NREJECT"] == 0


@pytest.mark.parametrize("light", ["dome", ""])
def test_frames_that_are_not_known_to_be_twilight_need_no_dither(light, twilight):
    frames = [twilight.flat(pointing=0, light=light) for _ in range(4)]
    header = stack_flats(frames, None, None).header
    assert header["NREJECT"] == 0
    assert header["NRESID"] >= 5
    told = [text for text in read_warnings(header) if "stars" in text]
    assert bool(told) == (light != "dome")


def test_stars_that_stay_are_warned_about_without_a_pointing(twilight):
    frames = [replace(twilight.flat(pointing=0), pointing=None) for _ in range(4)]
    header = stack_flats(frames, None, None).header
    assert header["NREJECT"] == 0
    assert f"stars in flat: {header['NRESID']} compact bright spots in the flat" in read_warnings(header)


def test_of_a_set_on_one_spot_the_best_exposed_frame_is_left(twilight):
    frames = [twilight.flat(30000 + 1000 * (n == 2), 0) for n in range(4)]
    header = stack_flats(frames, None, None).header
    assert (header["NCOMBINE"], header["IMCMB001"]) == (1, frames[2].path.name)
    assert any("too few" in text for text in read_warnings(header))


def test_the_observer_can_switch_off_the_dither_test(twilight):
    frames = [twilight.flat(pointing=0) for _ in range(4)]
    assert stack_flats(frames, None, None, limits=FlatLimits(dither=0)).header["NREJECT"] == 0


def judged(frames, bias=None, **limits):
    return select_flats(sort_frames(frames), [], bias, None, 3.5, FlatLimits(**limits))


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_frames_are_not_compared_and_that_is_logged(n, twilight, caplog):
    caplog.set_level("INFO")
    frames = [twilight.flat(pointing=n, cloud=0.1 * n) for n in range(n)]
    found = judged(frames)
    assert (len(found.accepted.frames), found.departure, found.doubt) == (n, None, "")
    assert "too few to compare" in caplog.text
    assert "FLATDEP" not in stack_flats(frames, None, None).header


def test_the_departure_is_in_the_reason_and_in_the_header(twilight):
    frames = [twilight.flat(pointing=n, cloud=[0, 0.01, 0.2, 0, -0.005][n]) for n in range(5)]
    header = stack_flats(frames, None, None).header
    (reason,) = refused(header).values()
    assert re.search(r"differs from the typical shape by 1\d\.\d percent \(limit \d\.\d\)", reason)
    assert header["FLATDEP"] == pytest.approx(1, abs=0.3)


def test_unsteady_illumination_is_warned_about(twilight):
    frames = [twilight.flat(pointing=n, cloud=0.02 * n) for n in range(7)]
    header = stack_flats(frames, None, None).header
    assert header["NREJECT"] == 0
    assert any("unsteady illumination" in text for text in read_warnings(header))


@pytest.mark.parametrize(("ratio", "n_kept"), [(5.0, 4), (50.0, 4), (150.0, 3)])
def test_a_flat_of_too_low_signal_to_noise_is_rejected(ratio, n_kept, twilight):
    frames = [twilight.flat(30000, n, sky=0) for n in range(3)] + [twilight.flat(10000, 3, sky=0)]  # 173 and 98
    assert len(judged(frames, faintest=ratio).accepted.frames) == n_kept


def test_a_stuck_column_does_not_count_as_saturation(twilight, chip):
    assert chip.stuck.any()
    assert not judged([twilight.flat(pointing=n) for n in range(3)]).accepted.rejected


def test_the_saturated_fraction_is_in_the_reason(twilight):
    with pytest.raises(FrameRejectedError, match=r"saturated: \d+\.\d percent of the pixels in the central quarter"):
        judged([twilight.flat(89000)])


def test_masters_are_subtracted_before_a_frame_is_judged(twilight):
    """A bias that slopes by 2 e- from side to side is 4 percent of 50 e-, and no cloud."""
    frames = [twilight.flat(20000, n, sky=0) for n in range(4)] + [twilight.flat(80, 9, sky=0)]
    assert len(judged(frames, twilight.bias()).accepted.frames) == 5


def test_a_set_of_which_fewer_than_two_thirds_agree_is_doubtful(twilight):
    frames = [twilight.flat(pointing=n, cloud=[0, 0.2, 0, -0.3, 0][n]) for n in range(5)]
    header = stack_flats(frames, None, None).header
    assert header["NREJECT"] == 2
    assert header["OWNVERD"] == "doubtful"
    assert header["OWNWHY"] == "frames disagree: only 3 of 5 frames agree in shape"
