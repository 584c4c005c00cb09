"""Nights without bias frames: the shortest darks serve as bias."""

import numpy as np
import pytest
from cmos_night import GAIN, SHAPE, CmosNight
from helpers import LOOPS, use_loops
from nightcal import Calibrator
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.masters.make import make_master_bias, make_master_dark, make_master_flat

GENERIC = "config/cameras/generic.yaml"


def make_masters(night, pedestal, longer=None, *, flat=3.0, frames=10):
    """Take darks and flats, and make masters; without longer darks there is no dark."""

    def save(kind, product):
        path = night.folder.parent / f"{kind}.fits"
        write_product(path, product)
        return load_master(path)

    bias = save("bias", make_master_bias(night.darks(pedestal, frames), GENERIC))
    dark = save("dark", make_master_dark(night.darks(longer, frames), GENERIC, bias=bias)) if longer else None
    return bias, dark, save("flat", make_master_flat(night.flats(flat), GENERIC, bias=bias, dark=dark))


def calibrate(night, masters, seconds):
    bias, dark, flat = masters
    (raw,) = night.science(seconds)
    chosen = {"master_bias": bias, "master_dark": dark, "master_flat": flat}
    return Calibrator.from_camera(GENERIC, raw, **chosen).prepare(raw).product()


def assert_honest(night, product, seconds):
    """Check that a frame shows the sky, with honest errors in nearly all pixels."""
    pulls = night.pulls(product.data, product.uncertainty, product.mask, seconds)
    assert len(pulls) > 0.99 * np.prod(SHAPE)
    assert np.std(pulls) == pytest.approx(1, abs=0.02)
    assert np.mean(pulls) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    ("dark", "pedestal", "longer", "frames", "science"),
    [
        (0.2, 3.0, 120.0, 10, (120.0, 60.0, 3.0, 1.0)),
        (0.2, 3.0, 120.0, 5, (120.0, 240.0)),
        (2.0, 40.0, 120.0, 10, (120.0, 60.0, 40.0, 10.0)),
    ],
)
def test_the_sky_comes_out_with_honest_errors(tmp_path, dark, pedestal, longer, frames, science):
    night = CmosNight(tmp_path / "raw", dark)
    masters = make_masters(night, pedestal, longer, frames=frames)
    for seconds in science:
        product = calibrate(night, masters, seconds)
        assert_honest(night, product, seconds)
        assert "SKIPPED" not in product.header
        assert product.header["DARKMULT"] == pytest.approx(seconds - pedestal)
        assert product.header["PEDEXP"] == pedestal


def test_both_loops_give_the_same_pixels(tmp_path, monkeypatch):
    if len(LOOPS) == 1:
        pytest.skip("numba is not installed")
    night = CmosNight(tmp_path / "raw", 2.0)
    bias, dark, flat = make_masters(night, 40.0, 120.0)
    (raw,) = night.science(60.0)
    for chosen in (dark, None):
        made = []
        for loops in LOOPS:
            use_loops(loops, monkeypatch)
            calibrator = Calibrator.from_camera(GENERIC, raw, master_bias=bias, master_dark=chosen, master_flat=flat)
            made.append(calibrator.prepare(raw).product())
        assert np.array_equal(made[0].data, made[1].data)
        assert np.array_equal(made[0].uncertainty, made[1].uncertainty)


def test_dark_current_is_that_of_the_chip(tmp_path):
    night = CmosNight(tmp_path / "raw", 2.0)
    _, dark, _ = make_masters(night, 40.0, 120.0)
    good = np.asarray(dark.mask) == 0
    pulls = (np.asarray(dark.data) - night.dark)[good] / np.sqrt(np.asarray(dark.variance))[good]
    assert np.std(pulls) == pytest.approx(1, abs=0.03)
    assert abs(np.mean(pulls)) < 0.05
    assert (dark.header["PEDEXP"], dark.header["EXPMAX"], dark.header["DARKTEFF"]) == (40, 120, 80)


def test_darks_of_the_exposure_time_of_all_frames_are_enough(tmp_path):
    night = CmosNight(tmp_path / "raw", 2.0)
    masters = make_masters(night, 30.0, flat=30.0)
    assert "SKIPPED" not in masters[2].header
    product = calibrate(night, masters, 30.0)
    assert_honest(night, product, 30.0)
    assert product.header["DARKCOR"]
    assert not [card for card in product.header if card.startswith(("WARN", "SKIP"))]


def test_a_flat_with_darks_of_another_exposure_time_only_says_what_that_may_cost(tmp_path):
    night = CmosNight(tmp_path / "raw", 0.2)
    masters = make_masters(night, 120.0)
    warning = "bias made of darks: darks of 120 s serve as bias for flats of 3 s: dark current of 117 s too much"
    assert masters[2].header["WARN001"].startswith(warning)
    assert masters[2].header["WARN001"].endswith("about 23 e- or 0.11 percent")
    assert np.mean(night.dark) * 117 == pytest.approx(23, rel=0.2)
    header = calibrate(night, masters, 60.0).header
    assert header["SKIPPED"] == "dark"
    assert "dark current of 60 s too much is subtracted, about 12 e-" in " ".join(header["WARN*"].values())
    header = calibrate(night, masters, 240.0).header
    assert "dark current of 120 s is not subtracted" in " ".join(header["WARN*"].values())


def test_the_exposure_time_of_bias_frames_does_not_count(tmp_path):
    night = CmosNight(tmp_path / "raw")
    bias = make_master_bias(night.expose("Bias Frame", 0.001, 3), GENERIC)
    assert "PEDEXP" not in bias.header
    assert "PEDVAR" not in bias.header


def test_darks_as_short_as_those_that_serve_as_bias_have_no_dark_current_to_show(tmp_path):
    night = CmosNight(tmp_path / "raw")
    bias, _, _ = make_masters(night, 3.0)
    dark = make_master_dark([*night.darks(3.0, 2), *night.darks(1.0, 1), *night.darks(60.0, 3)], GENERIC, bias=bias)
    assert (dark.header["NCOMBINE"], dark.header["NREJECT"]) == (3, 3)
    assert dark.header["REJW001"] == "a dark of 3 s is not longer than the darks of 3 s that the bias is made of"


def test_an_exposure_time_is_asked_for_with_a_bias_made_of_darks(tmp_path):
    night = CmosNight(tmp_path / "raw")
    bias, _, _ = make_masters(night, 3.0)
    with pytest.raises(ValueError, match="a bias made of darks, needs"):
        Calibrator(gain=GAIN, master_bias=bias).calibrate(np.full(SHAPE, 500, np.uint16))


def test_the_gain_of_the_frames_applies_to_the_noise_of_the_dark_current_in_the_bias(tmp_path):
    night = CmosNight(tmp_path / "raw", 2.0)
    bias, _, _ = make_masters(night, 30.0)
    assert bias.find_pedestal_variance(GAIN) == pytest.approx(60, rel=0.1)
    assert bias.find_pedestal_variance(2 * GAIN) == pytest.approx(240, rel=0.1)


def test_noise_of_dark_current_is_not_taken_for_a_wrong_read_noise(tmp_path):
    night = CmosNight(tmp_path / "raw", 3.0)
    bias, _, _ = make_masters(night, 120.0)
    assert bias.header["NOISERAT"] > 4
    assert not bias.header["WARN*"]
