"""Masters recover the true chip from simulated frames, with honest errors and no trace of outliers."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.io.master import load_master
from nightcal.masters.bad_pixel_mask import flag_bad_pixels
from nightcal.masters.bias import stack_biases
from nightcal.masters.common import Rejection, make_empty_master
from nightcal.masters.dark import stack_darks
from nightcal.masters.flat import stack_flats
from nightcal.simulation.night import make_chip
from nightcal.stacking.calibration_frame import RejectedFrame
from simulated_chip import SHAPE, Camera, loaded


@pytest.fixture(scope="module")
def chip():
    return make_chip(SHAPE)


@pytest.fixture
def camera(chip, tmp_path):
    return Camera(tmp_path, chip)


def true_bias(chip):
    return chip.bias_structure


def pulls(product, truth):
    good = product.mask == 0
    return (product.data - truth)[good] / product.uncertainty[good]


def assert_honest(pull, width=0.02, mean=0.02):
    assert pull.size > 0.95 * SHAPE[0] * SHAPE[1]
    assert pull.std() == pytest.approx(1, abs=width)
    assert pull.mean() == pytest.approx(0, abs=mean)


@pytest.fixture(scope="module")
def night(chip, tmp_path_factory):
    """Masters of 16 biases, 9 darks of 120 s and 9 flats, made once for the tests that only look at them."""
    camera = Camera(tmp_path_factory.mktemp("night"), chip, seed=7)
    masters = {"bias": stack_biases(camera.biases(16))}
    bias = loaded(masters["bias"], camera.folder / "bias.fits")
    masters["dark"] = stack_darks(camera.darks([120.0] * 9), bias)
    dark = loaded(masters["dark"], camera.folder / "dark.fits")
    masters["flat"] = stack_flats(camera.flats(np.linspace(22000, 18000, 9)), bias, dark)
    flat = loaded(masters["flat"], camera.folder / "flat.fits")
    masters["bpm"] = flag_bad_pixels([bias, dark, flat])
    return masters


# --- bias ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [5, 16, 64])
def test_error_bars_of_a_master_bias_are_honest(n, camera, chip):
    side = SHAPE[0]
    master = stack_biases(camera.biases(n))
    pull = pulls(master, true_bias(chip))
    # The overscan's own error is common to all pixels: 6 e- over 32 columns, far below the error of a pixel.
    assert_honest(pull, mean=0.02 + 6 / np.sqrt(32 * side * n) / np.median(master.uncertainty))
    assert master.unit == "electron"
    assert np.median(master.uncertainty) == pytest.approx(chip.read_noise / np.sqrt(n), rel=0.05)


@pytest.mark.parametrize("n", [5, 16])
def test_error_bars_of_a_master_bias_survive_a_wrong_read_noise(n, camera, chip):
    frames = [camera.open(e.path, 0.0, read_noise=2 * chip.read_noise) for e in camera.biases(n)]
    master = stack_biases(frames)
    assert_honest(pulls(master, true_bias(chip)), mean=0.05)
    assert master.header["NOISERAT"] == pytest.approx(0.5, rel=0.02)


def test_error_bars_without_a_floor_are_honest(camera, chip):
    master = stack_biases(camera.biases(9), Rejection(floor=False))
    assert_honest(pulls(master, true_bias(chip)), mean=0.05)


def test_noise_far_from_the_stated_read_noise_is_warned_about(camera, chip):
    frames = [camera.open(e.path, 0.0, read_noise=chip.read_noise / 4) for e in camera.biases(5)]
    master = stack_biases(frames)
    assert master.header["NOISERAT"] == pytest.approx(4, rel=0.02)
    assert any("scatter" in text for text in read_warnings(master.header))


@pytest.mark.parametrize("overscan", [True, False])
def test_a_drifting_bias_level_leaves_no_trace(overscan, camera, chip):
    drifts = np.linspace(-40, 40, 9)
    frames = [camera.open(camera.take(drift=d).path, 0.0, overscan=overscan) for d in drifts]
    master = stack_biases(frames)
    level = chip.gain * (0.0 if overscan else chip.bias_level + drifts.mean())
    pull = pulls(master, true_bias(chip) + level)
    assert_honest(pull, mean=0.05)
    assert np.std(master.uncertainty[master.mask == 0]) < 0.1 * np.median(master.uncertainty)
    scatter = master.header["BIASDRFT"]
    assert scatter == pytest.approx(0.05 if overscan else drifts.std() * chip.gain, abs=0.1)


def test_the_mean_level_is_in_the_header_and_in_the_image(camera, chip):
    master = stack_biases([camera.open(e.path, 0.0, overscan=False) for e in camera.biases(5)])
    assert master.header["BIASLVL"] == pytest.approx(1000 * chip.gain + true_bias(chip).mean(), abs=0.2)
    assert master.data[master.mask == 0].mean() == pytest.approx(master.header["BIASLVL"], abs=0.2)


def test_a_cosmic_ray_in_one_bias_leaves_no_trace(camera, chip):
    def hit(raw):
        raw[100:107, 50] += 3000

    frames = [*camera.biases(4), camera.take(spoil=hit), *camera.biases(4)]
    master = stack_biases(frames)
    assert (master.mask[100:107, 50] == 0).all()
    assert np.abs(pulls(master, true_bias(chip))).max() < 6
    miss = np.abs(master.data - true_bias(chip))[100:107, 50] / master.uncertainty[100:107, 50]
    assert miss.max() < 5
    assert (master.survivors[100:107, 50] == 8).all()


def test_a_stuck_column_is_flagged_as_no_data_in_the_bias_and_bad_in_the_mask(night, chip):
    bias, bpm = night["bias"], night["bpm"]
    assert chip.stuck.any()
    assert (bias.mask[chip.stuck] & Flag.NO_DATA > 0).all()
    assert not (bias.mask[~chip.stuck] & Flag.NO_DATA).any()
    assert np.isfinite(bias.data).all()
    assert np.isfinite(bias.uncertainty).all()
    assert (bpm.data[chip.stuck] & Flag.BAD > 0).all()


def test_a_noisy_pixel_is_bad_and_hardly_any_other(camera, chip):
    noise = np.random.default_rng(3)

    def crackle(raw):
        raw[60, 61] = 1000 + noise.normal(0, 100)
        raw[200, 201] = 1000 + noise.normal(0, 60)

    master = stack_biases(camera.biases(16, spoil=crackle))
    assert master.mask[60, 61] & Flag.BAD
    assert master.mask[200, 201] & Flag.BAD
    assert np.sum(master.mask & Flag.BAD > 0) == 2
    bias = loaded(master, camera.folder / "bias.fits")
    assert flag_bad_pixels([bias]).data[60, 61] & Flag.BAD
    assert master.header["NOISY"] == 2


def test_good_pixels_are_not_flagged_as_noisy(night, chip):
    assert np.sum(night["bias"].mask & Flag.BAD > 0) == 0


def test_a_master_lists_its_inputs(camera):
    frames = camera.biases(3)
    header = stack_biases(frames).header
    assert [header[f"IMCMB{n:03d}"] for n in (1, 2, 3)] == [frame.path.name for frame in frames]
    assert header["NCOMBINE"] == 3
    assert header["MJD-AVG"] == pytest.approx(np.mean([e.mjd for e in frames]))
    assert not read_warnings(header)


def test_a_bias_does_not_depend_on_the_order_of_its_frames(camera):
    frames = camera.biases(7)
    one, other = stack_biases(frames), stack_biases(frames[::-1])
    np.testing.assert_array_equal(one.data, other.data)
    np.testing.assert_array_equal(one.uncertainty, other.uncertainty)
    np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_frames_are_warned_about(n, camera, chip):
    master = stack_biases(camera.biases(n))
    assert any("too few" in text for text in read_warnings(master.header))
    assert_honest(pulls(master, true_bias(chip)))


def master_of(kind, frames):
    """Make a master of any kind without other masters."""
    if kind == "bias":
        return stack_biases(frames)
    return stack_darks(frames, None) if kind == "dark" else stack_flats(frames, None, None)


def of_nothing(camera):
    """A frame of NaN, as an observatory's software writes where it failed to read out."""
    ny, nx = camera.chip.shape
    path = camera.folder / "nothing.fits"
    fits.PrimaryHDU(np.full((ny, nx + camera.chip.overscan), np.nan, np.float32)).writeto(path, overwrite=True)
    return camera.open(path, 120.0, overscan=False)


@pytest.mark.parametrize("make", ["bias", "dark", "flat"])
def test_a_frame_without_a_number_is_rejected_and_named(make, camera, chip):
    take = {"bias": lambda: camera.biases(3), "dark": lambda: camera.darks([120.0] * 3)}
    whole = take.get(make, lambda: camera.flats([20000.0] * 3))()
    master = master_of(make, [whole[0], of_nothing(camera), *whole[1:]])
    assert (master.header["NCOMBINE"], master.header["NREJECT"]) == (3, 1)
    assert master.header["REJ001"] == "nothing.fits"
    assert "fewer than half of its pixels hold a usable number" in master.header["REJW001"]
    assert master.survivors[~chip.stuck].max() == 3


def test_frames_that_could_not_be_opened_are_named_too(camera, tmp_path):
    refused = [RejectedFrame(tmp_path / "torn.fits", "the file is truncated")]
    header = stack_biases(camera.biases(3), rejected=refused).header
    assert (header["REJ001"], header["REJW001"]) == ("torn.fits", "the file is truncated")


@pytest.mark.parametrize("make", ["bias", "dark", "flat"])
def test_without_any_usable_frame_there_is_no_master(make, camera):
    frames = [of_nothing(camera), of_nothing(camera)]
    with pytest.raises(FrameRejectedError, match="none of the 2 frames can be used"):
        master_of(make, frames)


def test_the_only_frame_that_cannot_be_used_is_not_counted(camera):
    with pytest.raises(FrameRejectedError, match="the only frame cannot be used: "):
        master_of("bias", [of_nothing(camera)])


def test_single_missing_pixels_do_not_spoil_a_master(camera, chip):
    frames = camera.biases(5)
    values = fits.getdata(frames[2].path).astype(np.float32)
    values[10, 20] = np.nan
    fits.PrimaryHDU(values).writeto(camera.folder / "float.fits")
    frames[2] = camera.open(camera.folder / "float.fits", 0.0)
    master = stack_biases(frames)
    assert master.survivors[10, 20] <= 4
    assert master.mask[10, 20] == 0
    assert np.isfinite(master.data).all()
    assert_honest(pulls(master, true_bias(chip)), mean=0.05)


# --- dark ------------------------------------------------------------------------------------------------------------


def test_error_bars_of_a_master_dark_are_honest(night, chip):
    dark = night["dark"]
    # A pixel that is low by chance has a smaller error, which draws the mean of the pulls down by 0.03; not the data.
    assert_honest(pulls(dark, chip.dark_current), width=0.03, mean=0.05)
    good = dark.mask == 0
    offset = (dark.data - chip.dark_current)[good].mean() / dark.uncertainty[good].mean()
    assert offset == pytest.approx(0, abs=0.02)
    assert dark.unit == "electron / s"
    typical = chip.dark_current[~chip.hot].mean()
    assert dark.header["DARKCURR"] == pytest.approx(typical, abs=0.001)


def test_hot_pixels_are_hot_and_no_others(night, chip):
    dark = night["dark"]
    np.testing.assert_array_equal(dark.mask & Flag.HOT > 0, chip.hot)
    assert dark.header["NHOT"] == chip.hot.sum()
    np.testing.assert_array_equal(night["bpm"].data & Flag.HOT > 0, chip.hot)
    current = dark.data[chip.hot]
    np.testing.assert_allclose(current, chip.dark_current[chip.hot], rtol=0.1)
    assert (np.abs(current - chip.dark_current[chip.hot]) / dark.uncertainty[chip.hot]).max() < 4.5


@pytest.mark.parametrize("exposures", [[10.0] * 5 + [100.0] * 5, [100.0] * 9, [30.0, 60.0, 90.0, 120.0, 300.0]])
def test_darks_of_mixed_exposure_give_the_right_rate_with_an_honest_error(exposures, camera, chip):
    bias = loaded(stack_biases(camera.biases(16)), camera.folder / "bias.fits")
    dark = stack_darks(camera.darks(exposures), bias)
    assert_honest(pulls(dark, chip.dark_current), width=0.03, mean=0.05)
    # With inverse-variance weights the noise of a read-noise limited dark is 6 e- over the root of the sum of t^2.
    best = np.hypot(chip.read_noise / np.sqrt(np.sum(np.square(exposures))), np.sqrt(0.02 / np.sum(exposures)))
    share = np.sqrt(bias.variance[bias.mask == 0].mean()) / dark.header["DARKTEFF"]
    assert np.median(dark.uncertainty) == pytest.approx(np.hypot(best, share), rel=0.06)


@pytest.mark.parametrize("exposures", [[100.0] * 5, [50.0, 100.0, 200.0]])
def test_an_error_of_the_bias_enters_a_dark_by_the_time_in_its_header(exposures, camera):
    bias = loaded(stack_biases(camera.biases(5)), camera.folder / "bias.fits")
    spoilt = type(bias)(bias.data - 1.0, bias.variance, bias.mask, bias.header, bias.name, bias.digest, bias.unit)
    frames = camera.darks(exposures)
    right, wrong = stack_darks(frames, bias), stack_darks(frames, spoilt)
    shift = np.median((wrong.data - right.data)[right.mask == 0])
    assert shift == pytest.approx(1.0 / right.header["DARKTEFF"], rel=0.03)


def test_a_cosmic_ray_in_one_dark_leaves_no_trace(camera, chip):
    def hit(raw):
        raw[20, 30:36] += 5000

    frames = [*camera.darks([60.0] * 4), camera.take("Dark Frame", 60.0, spoil=hit)]
    dark = stack_darks(frames, loaded(stack_biases(camera.biases(9)), camera.folder / "bias.fits"))
    pull = (dark.data - chip.dark_current)[20, 30:36] / dark.uncertainty[20, 30:36]
    assert np.abs(pull).max() < 5
    assert not (dark.mask[20, 30:36] & Flag.HOT).any()


UNEQUAL = [[300.0] + [10.0] * 8, [10.0, 300.0, 300.0, 300.0], [5.0, 20.0, 80.0, 320.0, 1200.0]]


@pytest.mark.parametrize("current", [0.02, 2.0])
@pytest.mark.parametrize("exposures", UNEQUAL)
def test_unequal_numbers_of_mixed_darks_give_the_right_rate_with_an_honest_error(exposures, current, camera, chip):
    """Whether read noise or dark current makes most of the noise."""
    camera.chip = replace(chip, dark_current=np.where(chip.hot, chip.dark_current, current))
    bias = loaded(stack_biases(camera.biases(16)), camera.folder / "bias.fits")
    dark = stack_darks(camera.darks(exposures), bias)
    assert_honest(pulls(dark, camera.chip.dark_current), width=0.03, mean=0.05)
    best = 1 / np.sqrt(sum(1 / (36 / t**2 + current / t) for t in exposures))
    share = np.sqrt(bias.variance[bias.mask == 0].mean()) / dark.header["DARKTEFF"]
    assert np.median(dark.uncertainty) == pytest.approx(np.hypot(best, share), rel=0.06)
    assert (dark.header["EXPMIN"], dark.header["EXPMAX"]) == (min(exposures), max(exposures))
    assert dark.header["DARKCURR"] == pytest.approx(current, rel=0.1)
    assert not any("scale" in text for text in read_warnings(dark.header))


@pytest.mark.parametrize("said", [2.0, 0.7])
@pytest.mark.parametrize(
    ("exposures", "current"), [([120.0] * 2, 0.02), ([120.0] * 9, 0.5), ([30.0] * 4 + [90.0] * 3, 0.2)]
)
def test_the_read_noise_from_the_scatter_of_darks_does_not_depend_on_the_header(exposures, current, said, camera, chip):
    camera.chip = replace(chip, dark_current=np.where(chip.hot, chip.dark_current, current))
    bias = loaded(stack_biases(camera.biases(16)), camera.folder / "bias.fits")
    frames = [camera.open(e.path, e.exposure_time, read_noise=said * chip.read_noise) for e in camera.darks(exposures)]
    header = stack_darks(frames, bias).header
    assert header["RNDARK"] == pytest.approx(chip.read_noise, rel=0.02)


def test_one_dark_gives_no_read_noise(camera):
    assert "RNDARK" not in stack_darks(camera.darks([60.0]), None).header


def test_the_limit_of_hot_pixels_is_in_the_header(night, chip):
    dark, limit = night["dark"], night["dark"].header["HOTLIMIT"]
    good = (dark.mask & ~np.int16(Flag.HOT)) == 0
    np.testing.assert_array_equal(dark.data[good] > limit, chip.hot[good])


def glow_in(corner, electrons):
    """Simulate amplifier glow, the same in each frame."""
    glow = np.zeros(SHAPE)
    glow[corner] = electrons
    return glow


MIXED = [30.0] * 4 + [120.0] * 4


def test_amplifier_glow_shows_in_darks_of_mixed_exposure(camera, chip):
    glow = glow_in(np.s_[:16, -16:], 12.0)
    bias = loaded(stack_biases(camera.biases(16)), camera.folder / "bias.fits")
    frames = [camera.take("Dark Frame", t, glow / t) for t in MIXED]
    header = stack_darks(frames, bias).header
    assert header["DARKGLOW"] == pytest.approx(12, abs=4 * header["DARKGERR"])
    (text,) = read_warnings(header)
    assert text.startswith("dark does not scale: +1")
    assert "near pixel 248, 8 (amplifier glow?)" in text


def test_glow_is_not_searched_for_with_one_exposure_time(camera):
    bias = loaded(stack_biases(camera.biases(9)), camera.folder / "bias.fits")
    glow = glow_in(np.s_[:16, -16:], 12.0)
    header = stack_darks([camera.take("Dark Frame", 60.0, glow / 60) for _ in range(4)], bias).header
    assert "DARKGLOW" not in header
    assert not read_warnings(header)


def test_a_drifting_bias_level_is_not_glow(camera):
    bias = loaded(stack_biases(without_overscan(camera, camera.biases(9))), camera.folder / "bias.fits")
    drifts = np.linspace(0, 20, len(MIXED))
    frames = [camera.take("Dark Frame", t, drift=d) for t, d in zip(MIXED, drifts, strict=True)]
    header = stack_darks(without_overscan(camera, frames), bias).header
    assert abs(header["DARKGLOW"]) < 5 * header["DARKGERR"]
    assert not any("scale" in text for text in read_warnings(header))


def test_a_dark_of_mixed_exposure_does_not_depend_on_the_order_of_its_frames(camera):
    bias = loaded(stack_biases(camera.biases(5)), camera.folder / "bias.fits")
    frames = camera.darks(MIXED)
    one, other = stack_darks(frames, bias), stack_darks(frames[::-1], bias)
    assert one.header.tostring() == other.header.tostring()
    np.testing.assert_array_equal(one.data, other.data)


def test_a_flat_warns_of_a_dark_that_was_scaled_up(camera, tmp_path):
    bias = loaded(stack_biases(camera.biases(5)), tmp_path / "bias.fits")
    dark = loaded(stack_darks(camera.darks([2.0] * 3), bias), tmp_path / "dark.fits")
    flats = [*camera.flats([900.0] * 2), *camera.flats([900.0], seconds=8.0)]
    warm = replace(dark, data=dark.data + np.float32(3))
    header = stack_flats(flats, bias, warm).header
    assert header["DARKFACT"] == 4
    assert "dark scaled up: flat frames: dark of 2 s scaled up 4 times" in read_warnings(header)
    longer = loaded(stack_darks(camera.darks([8.0] * 3), bias), tmp_path / "longer.fits")
    header = stack_flats(camera.flats([20000.0] * 3), bias, longer).header
    assert header["DARKFACT"] == pytest.approx(5 / 8)
    assert not any("scaled" in text for text in read_warnings(header))


def test_a_dark_without_bias_has_that_in_its_header(camera):
    dark = stack_darks(camera.darks([60.0] * 3), None)
    assert dark.header["SKIPPED"] == "bias"


# --- flat ------------------------------------------------------------------------------------------------------------


def test_error_bars_of_a_master_flat_are_honest(night, chip):
    flat = night["flat"]
    assert_honest(pulls(flat, chip.response["V"]), width=0.03, mean=0.02)
    assert flat.unit == ""
    ny, nx = SHAPE
    centre = (slice(ny // 4, ny - ny // 4), slice(nx // 4, nx - nx // 4))
    assert flat.data[centre][flat.mask[centre] == 0].mean() == pytest.approx(1, abs=2e-4)


def test_dead_pixels_are_low_flat_and_set_to_1(night, chip):
    flat = night["flat"]
    np.testing.assert_array_equal(flat.mask & Flag.LOW_FLAT > 0, chip.dead & ~chip.stuck)
    np.testing.assert_array_equal(flat.data[chip.dead], 1)
    assert flat.header["FLATLOW"] == (chip.dead & ~chip.stuck).sum()
    assert (flat.data > 0).all()


def test_flats_of_differing_level_agree_with_the_truth(camera, chip):
    bias = loaded(stack_biases(camera.biases(16)), camera.folder / "bias.fits")
    dark = loaded(stack_darks(camera.darks([120.0] * 9), bias), camera.folder / "dark.fits")
    flat = stack_flats(camera.flats([5000, 10000, 20000, 30000, 40000, 8000, 16000]), bias, dark)
    assert_honest(pulls(flat, chip.response["V"]), width=0.03, mean=0.03)
    levels = np.mean([5000, 10000, 20000, 30000, 40000, 8000, 16000]) * chip.gain
    assert flat.header["FLATLVL"] == pytest.approx(levels, rel=0.01)


def test_a_star_in_one_twilight_flat_leaves_no_trace(camera, chip):
    scene = np.full(SHAPE, 20000 * chip.gain / 5)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    star = 3000 * np.exp(-((y - 128) ** 2 + (x - 90) ** 2) / 8)
    frames = [camera.take("Flat Field", 5.0, scene + star * (i == 3), "V") for i in range(9)]
    bias = loaded(stack_biases(camera.biases(9)), camera.folder / "bias.fits")
    flat = stack_flats(frames, bias, None)
    where = (star > 1000) & (flat.mask == 0)
    pull = (flat.data - chip.response["V"])[where] / flat.uncertainty[where]
    # Without clipping the brightest pixel would be 75 of its errors too high.
    assert np.abs(pull).max() < 5


def test_a_flat_with_the_lamp_off_is_rejected(camera):
    frames = [*camera.flats([20000.0] * 3), camera.take("Flat Field", 5.0, 0.0, "V")]
    bias = loaded(stack_biases(camera.biases(9)), camera.folder / "bias.fits")
    # Too dark by chance or not: a flat whose level is below 0 e- has too faint in it.
    lifted = type(bias)(bias.data + 10, bias.variance, bias.mask, bias.header, bias.name, bias.digest, bias.unit)
    flat = stack_flats(frames, lifted, None)
    assert flat.header["NREJECT"] == 1
    assert "too faint" in flat.header["REJW001"]


def test_a_saturated_flat_is_rejected(camera):
    # Only dead pixels are not saturated: they do not make a flat.
    frames = [*camera.flats([20000.0] * 3), *camera.flats([90000.0])]
    flat = stack_flats(frames, None, None)
    assert flat.header["FLATLVL"] == pytest.approx(20000 * camera.chip.gain, rel=0.02)
    assert flat.header["NREJECT"] == 1


def test_a_dark_current_below_zero_is_drift_and_is_set_to_zero(camera, chip):
    bias = loaded(stack_biases(camera.biases(9)), camera.folder / "bias.fits")
    raised = type(bias)(bias.data + 60, bias.variance, bias.mask, bias.header, bias.name, bias.digest, bias.unit)
    dark = stack_darks(camera.darks([60.0] * 5), raised)
    assert np.median(dark.data) == pytest.approx(0, abs=0.01)
    assert any("drift" in text for text in read_warnings(dark.header))
    found, limit = dark.mask & Flag.HOT > 0, dark.header["HOTLIMIT"]
    assert found[chip.dark_current > 1.2 * limit].all()
    assert not found[chip.dark_current < 0.8 * limit].any()


# --- masters of another gain -----------------------------------------------------------------------------------------


@pytest.fixture
def fast(chip, tmp_path):
    """The same chip read out at 3 e-/ADU: its bias and dark stay what they are in ADU, in electrons they double."""
    folder = tmp_path / "fast"
    folder.mkdir()
    doubled = {"bias_structure": 2 * chip.bias_structure, "dark_current": 2 * chip.dark_current}
    return Camera(folder, replace(chip, gain=3.0, read_noise=12.0, **doubled), seed=2)


def without_overscan(camera, frames):
    return [camera.open(e.path, e.exposure_time, overscan=False) for e in frames]


def test_a_bias_of_another_gain_leaves_the_level_of_a_flat_right(camera, fast):
    bias = loaded(stack_biases(without_overscan(camera, camera.biases(5))), camera.folder / "bias.fits")
    flat = stack_flats(without_overscan(fast, fast.flats([15000.0] * 3)), bias, None)
    # 15000 ADU at 3 e-/ADU; taken at its own 1.5 e-/ADU, the bias of 1000 ADU would leave 1500 e- of 45000.
    assert flat.header["FLATLVL"] == pytest.approx(45000, rel=0.003)
    assert_honest(pulls(flat, fast.chip.response["V"]), width=0.03, mean=0.03)


def test_a_bias_of_another_gain_leaves_the_dark_current_right(camera, fast):
    bias = loaded(stack_biases(without_overscan(camera, camera.biases(5))), camera.folder / "bias.fits")
    dark = stack_darks(without_overscan(fast, fast.darks([100.0] * 9)), bias)
    typical = fast.chip.dark_current[~fast.chip.hot].mean()
    assert dark.header["DARKCURR"] == pytest.approx(typical, abs=0.005)  # else 1500 e- in 100 s
    # The error of the bias, 6 e- over the root of 5 at its own gain, has doubled too.
    assert_honest(pulls(dark, fast.chip.dark_current), width=0.03, mean=0.06)


@pytest.mark.parametrize(
    ("cards", "told"), [({"GAINUSED": 1.5, "BUNIT": "electron/s"}, 50.0), ({"BUNIT": "adu/s"}, 100 / 3)]
)
def test_a_dark_of_another_gain_leaves_the_level_of_a_flat_right(cards, told, fast):
    # 33.3 ADU/s, which are 50 e-/s at 1.5 e-/ADU and 100 at 3: in 100 s a fifth of the light.
    path = fast.folder / "dark.fits"
    fits.PrimaryHDU(np.full(SHAPE, told, np.float32), fits.Header(cards)).writeto(path)
    warm = Camera(fast.folder, replace(fast.chip, dark_current=np.full(SHAPE, 100.0)))
    flat = stack_flats(warm.flats([15000.0] * 3, seconds=100.0), None, load_master(path))
    assert flat.header["FLATLVL"] == pytest.approx(45000, rel=0.003)


@pytest.mark.parametrize("kind", ["dark", "flat"])
def test_a_frame_without_overscan_needs_a_master_bias(kind, camera):
    frames = camera.darks([60.0] * 3) if kind == "dark" else camera.flats([20000.0] * 3)
    master_of(kind, frames)
    with pytest.raises(FrameRejectedError, match="no bias and no overscan"):
        master_of(kind, [*frames[:2], *without_overscan(camera, frames[2:])])


@pytest.mark.parametrize("kind", ["dark", "flat"])
def test_an_empty_master_bias_counts_as_none(kind, camera):
    nothing = loaded(make_empty_master("bias", SHAPE, "all frames were torn"), camera.folder / "nothing.fits")
    frames = without_overscan(camera, camera.darks([60.0] * 3) if kind == "dark" else camera.flats([20000.0] * 3))
    with pytest.raises(FrameRejectedError, match="no bias and no overscan"):
        stack_darks(frames, nothing) if kind == "dark" else stack_flats(frames, nothing, None)


# --- flats of other levels ------------------------------------------------------------------------------------------


def test_flats_of_very_different_levels_are_stacked_with_nearly_the_least_error(camera, chip):
    electrons = np.array([40000.0, 20000, 8000, 2000])
    bias = loaded(stack_biases(camera.biases(16)), camera.folder / "bias.fits")
    flat = stack_flats(camera.flats(electrons / chip.gain), bias, None)
    truth = chip.response["V"]
    variances = (chip.read_noise / electrons[:, None, None]) ** 2 + truth / electrons[:, None, None]
    best = 1 / np.sqrt(np.sum(1 / variances, axis=0))
    good = flat.mask == 0
    # A plain mean would be 1.7 times as noisy; clipping four frames costs one or two percent.
    assert 0.98 < np.std((flat.data - truth)[good] / best[good]) < 1.05
    assert_honest(pulls(flat, truth), width=0.04, mean=0.03)


@pytest.mark.parametrize(
    ("electrons", "shares"),
    [
        ([20000.0, 12000.0], [0.5, 0.5]),  # variances of 1 to 1.7
        ([40000.0, 4000.0], [0.91, 0.09]),  # 1 to 10
    ],
)
def test_similar_flats_have_equal_weights_and_others_are_weighted_by_their_level(electrons, shares, camera, chip):
    frames = camera.flats(np.array(electrons) / chip.gain)
    flat = stack_flats(frames, None, None)
    good = flat.mask == 0
    images = np.stack([frame.readout.read()[0][good] for frame in frames], axis=1)
    found, *_ = np.linalg.lstsq(images, flat.data[good], rcond=None)
    np.testing.assert_allclose(found * electrons, shares, atol=0.005)


@pytest.mark.parametrize(("light", "out"), [(40.0, True), (80.0, False)])
def test_a_flat_fainter_than_ten_times_the_read_noise_is_rejected_and_named(light, out, camera, chip):
    frames = [*camera.flats([20000.0] * 3), *camera.flats([light / chip.gain])]
    # Without it, the slope of the bias would be one of 3 percent of so little light.
    bias = loaded(stack_biases(camera.biases(9)), camera.folder / "bias.fits")
    header = stack_flats(frames, bias, None).header
    assert (header["NCOMBINE"], header["NREJECT"]) == ((3, 1) if out else (4, 0))
    if out:
        assert header["REJ001"] == frames[3].path.name
        assert header["REJW001"].startswith("too faint: 4")
        assert "expected at least 60" in header["REJW001"]
        assert header["REJM001"] == pytest.approx(frames[3].mjd)


def test_an_error_of_the_bias_enters_flats_of_different_levels_by_their_weights(camera, chip):
    bias = loaded(stack_biases(camera.biases(5)), camera.folder / "bias.fits")
    flat = stack_flats(camera.flats(np.array([40000.0, 20000, 100]) / chip.gain), bias, None)
    # 60000 e- tell the response to 0.0041; 2.7 e- of the bias enter as 3 / 60100 each, not as 1 / 300.
    assert np.median(flat.uncertainty) == pytest.approx(0.0041, rel=0.05)
    assert_honest(pulls(flat, chip.response["V"]), width=0.05, mean=0.05)


def dilate(columns):
    """Add two columns on either side: those beside one that is saturated even in bias frames are not trusted."""
    return np.any([np.roll(columns, n, axis=1) for n in range(-2, 3)], axis=0)


# --- bad pixels, loading ---------------------------------------------------------------------------------------------


def test_low_flat_stays_with_its_own_flat_and_unresponsive_pixels_are_bad(night, chip):
    bits = night["bpm"].data
    np.testing.assert_array_equal(bits, night["bpm"].mask)
    assert not (bits & Flag.LOW_FLAT).any()
    np.testing.assert_array_equal(bits > 0, dilate(chip.stuck) | chip.hot | chip.dead)
    np.testing.assert_array_equal(bits & Flag.BAD > 0, dilate(chip.stuck) | chip.dead)


def test_a_master_that_could_not_be_made_does_not_spoil_the_mask(camera, chip):
    bias = loaded(stack_biases(camera.biases(5)), camera.folder / "bias.fits")
    same_size = loaded(make_empty_master("dark", SHAPE, "no frame"), camera.folder / "dark.fits")
    bpm = flag_bad_pixels([bias, same_size])
    np.testing.assert_array_equal(bpm.data & Flag.BAD > 0, dilate(chip.stuck))
    assert bpm.header["MJD-AVG"] == pytest.approx(bias.header["MJD-AVG"])


@pytest.mark.parametrize("refused_first", [True, False])
def test_an_empty_master_of_unknown_size_does_not_spoil_the_mask(refused_first, camera, chip):
    bias = loaded(stack_biases(camera.biases(5)), camera.folder / "bias.fits")
    nothing = loaded(make_empty_master("dark", (1, 1), "no frame"), camera.folder / "dark.fits")
    bpm = flag_bad_pixels([nothing, bias] if refused_first else [bias, nothing])
    np.testing.assert_array_equal(bpm.data & Flag.BAD > 0, dilate(chip.stuck))


@pytest.mark.parametrize("kind", ["bias", "dark"])
def test_an_empty_master_is_not_subtracted(kind, camera, chip, caplog):
    nothing = loaded(make_empty_master(kind, SHAPE, "all frames were torn"), camera.folder / "nothing.fits")
    assert nothing.why_empty == "all frames were torn"
    flat = stack_flats(
        camera.flats([20000.0] * 3), nothing if kind == "bias" else None, nothing if kind == "dark" else None
    )
    assert kind in flat.header["SKIPPED"]
    assert "all frames were torn" in caplog.text
    np.testing.assert_array_equal(flat.mask & Flag.NO_DATA > 0, chip.stuck)


def test_a_loaded_master_equals_the_written_one(night, tmp_path):
    master = loaded(night["bias"], tmp_path / "bias.fits")
    np.testing.assert_array_equal(master.data, night["bias"].data)
    np.testing.assert_allclose(np.sqrt(master.variance), night["bias"].uncertainty, rtol=1e-6)
    np.testing.assert_array_equal(master.mask, night["bias"].mask)
    assert (master.name, master.unit) == ("bias.fits", "electron")


def test_any_fits_image_serves_as_a_master(tmp_path):
    values = np.ones((4, 5), np.float32)
    values[1, 2] = np.nan
    fits.PrimaryHDU(values).writeto(tmp_path / "bias.fits")
    master = load_master(tmp_path / "bias.fits")
    assert master.unit == "adu"
    assert (master.variance == 0).all()
    assert np.isfinite(master.data).all()
    assert master.mask[1, 2] == Flag.NO_DATA
    assert np.count_nonzero(master.mask) == 1


@pytest.mark.parametrize("content", [b"", b"not FITS " * 1000, None])
def test_a_file_without_an_image_cannot_be_a_master(content, tmp_path):
    path = tmp_path / "bias.fits"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bias\.fits cannot be read as a master"):
        load_master(path)
