"""A master is accepted, doubtful or rejected by what changed since the last accepted one."""

import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.master_maps import read_maps, write_maps
from nightcal.io.product import Product, write_product
from nightcal.io.verdict import Outcome
from nightcal.masters.judge import Earlier, judge
from nightcal.masters.map_master import map_master, map_master_file

SHAPE = (512, 640)
NOISE = 6.0  # read noise [e-]
FRAMES = 16
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]] / np.array(SHAPE)[:, None, None]
PATTERN = np.random.default_rng(0).normal(0, 2, SHAPE[1])


def make(kind, seed, change=0.0, night="20240301", **cards):
    """A master of a chip with a column pattern; ``change`` is added to it."""
    rng = np.random.default_rng(seed)
    error = NOISE / FRAMES**0.5 / {"bias": 1, "dark": 300.0, "flat": 3000.0}[kind]
    mean = {"bias": PATTERN, "dark": 0.01, "flat": 1 - 0.1 * X}[kind]
    data = (mean + change + rng.normal(0, error, SHAPE)).astype(np.float32)
    header = fits.Header({"MASTER": kind, "NIGHT": night, "RNUSED": NOISE} | cards)
    uncertainty = np.full(SHAPE, error, np.float32)
    return Product(data, uncertainty, np.zeros(SHAPE, np.int16), "electron", header)


def see(*arguments, **options):
    return map_master(make(*arguments, **options), "x")


def earlier(maps, earlier=()):
    return Earlier(maps, judge(maps, earlier))


@pytest.fixture
def first():
    return earlier(see("bias", 1))


def test_the_first_of_its_kind_is_accepted_and_says_that_nothing_was_compared():
    verdict = judge(see("bias", 1))
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.why.startswith("nothing to compare with")


def test_the_same_detector_is_accepted(first):
    verdict = judge(see("bias", 2, night="20240302"), [first])
    assert (verdict.outcome, verdict.compared_with) == (Outcome.ACCEPTED, "x of 20240301")


def test_a_slope_of_half_an_electron_across_the_chip_shows(first):
    verdict = judge(see("bias", 2, 0.5 * X), [first])
    assert verdict.outcome is Outcome.DOUBTFUL
    assert "from left to right" in verdict.why


def test_a_light_leak_is_rejected_and_named(first):
    verdict = judge(see("bias", 2, 45 * X), [first])
    assert verdict.outcome is Outcome.REJECTED
    assert "light leak" in verdict.why


def test_the_level_of_a_bias_with_overscan_must_return(first):
    before = earlier(see("bias", 1, OVSCLEV=1000.0, BIASLVL=0.0))
    assert judge(see("bias", 2, OVSCLEV=1000.0, BIASLVL=0.5), [before]).outcome is Outcome.ACCEPTED
    assert judge(see("bias", 2, OVSCLEV=1000.0, BIASLVL=9.0), [before]).outcome is Outcome.DOUBTFUL


def test_it_is_compared_with_the_last_accepted_one(first):
    leaking = earlier(see("bias", 2, 45 * X, night="20240302"), [first])
    verdict = judge(see("bias", 3, night="20240303"), [leaking, first])
    assert (verdict.outcome, verdict.compared_with) == (Outcome.ACCEPTED, "x of 20240301")


def test_a_change_that_lasts_makes_doubtful_and_not_rejected_for_ever(first):
    second = earlier(see("bias", 2, 45 * X, night="20240302"), [first])
    third = judge(see("bias", 3, 45 * X, night="20240303"), [second, first])
    assert (second.outcome, third.outcome) == (Outcome.REJECTED, Outcome.DOUBTFUL)
    assert "x of 20240302, which departs as much" in third.why


def test_the_observer_has_the_last_word(first):
    leaking, good = see("bias", 2, 45 * X), see("bias", 3)
    accepted = judge(leaking, [first], "accept, as night.yaml says")
    assert accepted.outcome is Outcome.ACCEPTED
    assert "light leak" in accepted.why
    assert judge(good, [first], "reject, as night.yaml says: dew").outcome is Outcome.REJECTED


def test_an_empty_master_and_one_that_its_own_frames_reject_are_rejected(first):
    assert judge(see("bias", 2, EMPTY="no frame can be used"), [first]).outcome is Outcome.REJECTED
    assert judge(see("bias", 2, OWNVERD="rejected", OWNWHY="frames disagree"), [first]).why == "frames disagree"
    assert judge(see("bias", 2, OWNVERD="doubtful", OWNWHY="frames disagree"), [first]).outcome is Outcome.DOUBTFUL


def test_a_master_of_another_size_is_no_reference(first):
    small = map_master(make("bias", 1), "x")
    cut = make("bias", 2)
    half = Product(cut.data[:256], cut.uncertainty[:256], cut.mask[:256], cut.unit, cut.header)
    assert judge(map_master(half, "x"), [Earlier(small, None)]).compared_with == ""


def test_light_in_a_dark_is_rejected_and_a_warmer_chip_is_doubtful():
    before = earlier(see("dark", 1, DARKCURR=0.01, EXPMAX=300.0))
    leaking = judge(see("dark", 2, 0.05 * X, DARKCURR=0.035, EXPMAX=300.0), [before])
    assert leaking.outcome is Outcome.REJECTED
    warmer = judge(see("dark", 2, 0.012, DARKCURR=0.022, EXPMAX=300.0), [before])
    assert warmer.outcome is Outcome.DOUBTFUL
    assert "0.022 e-/s where it was 0.01" in warmer.why
    assert judge(see("dark", 2, 0.002, DARKCURR=0.012, EXPMAX=300.0), [before]).outcome is Outcome.ACCEPTED


def test_dust_that_moved_is_no_fault_of_a_flat_but_another_illumination_is_doubtful():
    before = earlier(see("flat", 1))
    spot = -0.03 * (np.hypot(Y - 0.5, X - 0.5) < 0.03)
    dusty = judge(see("flat", 2, spot), [before])
    assert dusty.outcome is Outcome.ACCEPTED
    assert "dust moved" in dusty.why
    tilted = judge(see("flat", 2, 0.1 * (Y - 0.5)), [before])
    assert tilted.outcome is Outcome.DOUBTFUL
    assert "illumination changed" in tilted.why


def test_another_gain_is_doubtful():
    before = earlier(see("flat", 1, GNMEAS1=1.5, GNERR1=0.005))
    assert judge(see("flat", 2, GNMEAS1=1.51, GNERR1=0.005), [before]).outcome is Outcome.ACCEPTED
    assert judge(see("flat", 2, GNMEAS1=1.7, GNERR1=0.005), [before]).outcome is Outcome.DOUBTFUL
    assert judge(see("flat", 2, GNMEAS1=1.7, GNERR1=0.1), [before]).outcome is Outcome.ACCEPTED  # not significant


def test_good_masters_are_hardly_ever_doubted():
    first = earlier(see("bias", 100))
    outcomes = [judge(see("bias", seed), [first]).outcome for seed in range(40)]
    assert outcomes.count(Outcome.ACCEPTED) >= 39


def test_the_summary_on_disk_is_the_same_and_has_the_same_bytes(tmp_path):
    maps = see("bias", 1, RNMEAS1=5.9)
    for name in ("a.npz", "b.npz"):
        write_maps(tmp_path / name, maps)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = read_maps(tmp_path / "a.npz")
    assert again.facts == maps.facts
    np.testing.assert_array_equal(again.fine, maps.fine)


def test_a_damaged_summary_is_an_error(tmp_path):
    path = tmp_path / "a.npz"
    write_maps(path, see("bias", 1))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="no summary of a master"):
        read_maps(path)


def test_a_master_of_a_library_is_summarised_from_its_pixels(tmp_path):
    product = make("bias", 1)
    write_product(tmp_path / "x.fits", product)
    np.testing.assert_allclose(map_master_file(tmp_path / "x.fits").fine, map_master(product, "x").fine)


def test_flagged_pixels_do_not_move_the_blocks():
    good, bad = make("bias", 1), make("bias", 1)
    bad.data[::7, ::5] = 9e4
    bad.mask[::7, ::5] = 2
    rest = map_master(bad, "x").fine - map_master(good, "x").fine
    assert np.abs(rest).max() < 0.5
    assert np.abs(rest.mean()) < 0.02


def test_judging_a_master_needs_no_astropy():
    """A verdict takes milliseconds; every night waits for a dozen."""
    words = "import sys, nightcal.masters.judge; print({'astropy', 'scipy', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
