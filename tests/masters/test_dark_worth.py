"""A short dark is scaled to long flats if it removes more than it adds; else hot pixels are flagged."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.io.master import MasterFrame
from nightcal.masters.bias import stack_biases
from nightcal.masters.dark import stack_darks
from nightcal.masters.dark_worth import find_factor, weigh_dark
from nightcal.masters.flat import stack_flats
from nightcal.planning.plan import make_plan
from nightcal.simulation.night import make_chip
from planned_frames import frame
from simulated_chip import SHAPE, Camera, loaded


def make_dark(typical, pattern, error, longest=10.0):
    """Make a dark [e-/s] of known pattern and error."""
    rng = np.random.default_rng(3)
    current = typical + rng.normal(0, pattern, (256, 300)) + rng.normal(0, error, (256, 300))
    variance = np.full(current.shape, error**2, np.float32)
    header = fits.Header({"MASTER": "dark", "EXPMAX": longest, "DARKTEFF": longest})
    return MasterFrame(current.astype(np.float32), variance, np.zeros(current.shape, np.int16), header, "dark", "0", "")


def test_noise_and_signal_are_weighed_as_they_were_planted():
    worth = weigh_dark(make_dark(0.3, 0.4, 0.2), 100.0)
    assert worth.added == pytest.approx(20, rel=0.01)
    assert worth.removed == pytest.approx(50, rel=0.03)
    assert worth.is_positive
    assert not weigh_dark(make_dark(0.02, 0.01, 0.2), 100.0).is_positive
    assert find_factor(make_dark(0, 0, 1), 356.0) == pytest.approx(35.6)


@pytest.fixture(scope="module")
def chip():
    return make_chip(SHAPE, seed=5, n_hot=40, n_dead=0)


@pytest.mark.parametrize(("current", "subtracted"), [(0.0, False), (3.0, True)])
def test_a_dark_of_10_s_serves_flats_of_356_s_if_it_is_worth_it(current, subtracted, chip, tmp_path):
    camera = Camera(tmp_path, chip)
    bias = loaded(stack_biases(camera.biases(9)), tmp_path / "bias.fits")
    dark = loaded(stack_darks(camera.darks([10.0] * 3), bias), tmp_path / "dark.fits")
    dark = MasterFrame(
        np.asarray(dark.data) + np.float32(current), dark.variance, dark.mask, dark.header, "dark.fits", "0", dark.unit
    )
    flat = stack_flats(camera.flats([12000.0] * 5, seconds=356.0), bias, dark)
    told = [text for text in read_warnings(flat.header) if text.startswith("dark left out")]
    assert flat.header["DARKMAST" if subtracted else "BIASMAST"]
    assert bool(told) is not subtracted
    assert "SKIPPED" not in flat.header
    if not subtracted:
        assert "scaled up 35.6 times to 356 s" in told[0]
        hot = chip.dark_current > 3  # 6 percent of the level, and 8 errors of the dark
        assert hot.any()
        assert (flat.mask[hot] & Flag.HOT).all()
        assert np.mean(flat.mask & Flag.HOT > 0) < 0.01


def test_the_plan_offers_any_dark_to_flats_and_not_to_science_frames():
    darks = [frame(f"d{n}.fits", "dark", exposure_time=10.0) for n in range(3)]
    biases = [frame(f"b{n}.fits", "bias") for n in range(3)]
    flats = [frame(f"f{n}.fits", "flat", exposure_time=356.0) for n in range(3)]
    plan = make_plan([*biases, *darks, *flats, frame("s.fits", exposure_time=356.0)])
    (flat,) = [m for m in plan.masters if m.kind == "flat"]
    assert flat.dark.master.kind == "dark"
    assert "10 s scaled up 36 times" in flat.dark.reason
    (science,) = plan.science
    assert science.dark.master is None
