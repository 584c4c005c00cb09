"""Gain and read noise measured from pairs of frames agree with the truth, with honest errors."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.detector.gain import ASSUMED, GainAndReadNoise, read_gain, write_gain
from nightcal.detector.photon_transfer import (
    ENOUGH,
    Pairs,
    compute_gain,
    compute_read_noise,
    measure_bias_variance,
    measure_gain,
    measure_noise_per_signal,
)
from nightcal.detector.subimages import Grid, SubimageValues
from nightcal.io.sections import Area
from nightcal.simulation.night import add_cosmic_rays, expose, make_chip
from scipy.stats import chi2

SHAPE = (256, 256)


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def subtract_overscan(raw, chip):
    """Subtract the overscan and trim [ADU]; saturated pixels become NaN, as in the pipeline."""
    nx = chip.shape[1]
    image = raw[:, :nx] - raw[:, nx:].mean()
    image[raw[:, :nx] >= chip.saturation] = np.nan
    return image


def make_biases(chip, rng, n, **how):
    return [subtract_overscan(expose(chip, rng, 0.0, 0.0, None, **how), chip) for _ in range(n)]


def make_flats(chip, rng, adu, name="V"):
    return [(name, subtract_overscan(expose(chip, rng, level * chip.gain / 5, 5.0, name), chip)) for level in adu]


def divide(shape, amplifiers=1):
    """Divide an image into amplifiers side by side."""
    edges = np.linspace(0, shape[1], amplifiers + 1).astype(int)
    return [Area(left, right, 0, shape[0]) for left, right in pairwise(edges)]


def cut_subimages(image, amplifiers=1):
    grids = [Grid.spread_over(area) for area in divide(image.shape, amplifiers)]
    return [np.concatenate([grid.cut_row(image[row : row + grid.shape[0]]) for row in grid.rows]) for grid in grids]


def measure(dark, lit, amplifiers=1):
    """Measure gain and read noise from whole images, with flats grouped by filter."""
    filters = {name: [cut_subimages(image, amplifiers) for other, image in lit if other == name] for name, _ in lit}
    return measure_gain([cut_subimages(image, amplifiers) for image in dark], filters)


@pytest.mark.parametrize(("gain", "noise"), [(0.5, 4.0), (2.4, 12.0), (10.0, 9.0)])
def test_gain_and_read_noise_agree_with_the_truth(gain, noise, rng):
    chip = make_chip(SHAPE, gain=gain, read_noise=noise)
    found = measure(make_biases(chip, rng, 5), make_flats(chip, rng, [20000, 18000, 22000, 20000]))
    assert found.gain == pytest.approx(gain, rel=0.02)
    assert found.read_noise == pytest.approx(noise, rel=0.02)
    assert found.warning == ""
    assert "measured" in found.source


def test_read_noise_does_not_bias_the_gain_of_faint_flats(rng):
    # 300 ADU of light have a variance of 200 ADU^2, read noise one of 64.
    chip = make_chip(SHAPE, gain=1.5, read_noise=12.0)
    found = measure(make_biases(chip, rng, 8), make_flats(chip, rng, [300] * 8))
    assert found.gain == pytest.approx(1.5, rel=0.03)


def test_the_error_of_a_number_from_pairs_that_share_frames_is_honest(rng):
    """Successive pairs share a frame, so that their values are correlated."""
    pixels, subimages, frames = 200, 40, 7
    median = chi2.median(pixels) / pixels

    def compare(one, other):
        value = np.mean((one - other) ** 2, axis=1) / 2 / median
        return SubimageValues(value, np.full(subimages, np.sqrt(2 / pixels)))

    pulls = []
    for _ in range(1500):
        pairs = Pairs(compare)
        for frame in rng.standard_normal((frames, subimages, pixels), dtype=np.float32):
            pairs.add(frame)
        found = pairs.find_median()
        pulls.append((found.value - 1) / found.error)
    assert np.std(pulls) == pytest.approx(1, abs=0.05)  # 3 sigma of 1500 pulls


def test_one_pair_of_each_suffices(rng):
    chip = make_chip(SHAPE)
    found = measure(make_biases(chip, rng, 2), make_flats(chip, rng, [20000, 20000]))
    assert found.gain == pytest.approx(chip.gain, rel=0.02)
    assert found.read_noise == pytest.approx(chip.read_noise, rel=0.02)


def test_flats_of_different_levels_give_the_same_gain(rng):
    chip = make_chip(SHAPE)
    found = measure(make_biases(chip, rng, 3), make_flats(chip, rng, [10000, 30000, 12000]))
    assert found.gain == pytest.approx(chip.gain, rel=0.02)


def test_drifting_bias_levels_do_not_matter(rng):
    chip = make_chip(SHAPE)
    frames = [frame + 5 * i for i, frame in enumerate(make_biases(chip, rng, 4))]
    found = measure(frames, make_flats(chip, rng, [20000] * 3))
    assert found.read_noise == pytest.approx(chip.read_noise, rel=0.02)


def test_flats_are_paired_within_a_filter(rng):
    chip = make_chip(SHAPE)
    mixed = [*make_flats(chip, rng, [20000], "R"), *make_flats(chip, rng, [20000], "V")]
    found = measure(make_biases(chip, rng, 3), mixed)
    assert found.gain == 1
    assert found.warning
    both = [*make_flats(chip, rng, [20000] * 2, "R"), *make_flats(chip, rng, [20000] * 2, "V")]
    assert measure(make_biases(chip, rng, 3), both).gain == pytest.approx(chip.gain, rel=0.02)


def test_a_star_and_cosmic_rays_do_not_change_the_gain(rng):
    chip = make_chip(SHAPE)
    frames = make_flats(chip, rng, [15000] * 3)
    name, starry = frames[1]
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    starry += 8000 * np.exp(-((y - 60) ** 2 + (x - 70) ** 2) / 18)
    dirty = [
        subtract_overscan(add_cosmic_rays(expose(chip, rng, 0.0, 0.0, None), rng, 40, chip)[0], chip) for _ in range(3)
    ]
    found = measure(dirty, [frames[0], (name, starry), frames[2]])
    assert found.gain == pytest.approx(chip.gain, rel=0.02)
    assert found.read_noise == pytest.approx(chip.read_noise, rel=0.02)


def test_a_slope_of_twilight_does_not_change_the_gain(rng):
    chip = make_chip(SHAPE)
    slope = 1 + 0.005 * np.linspace(-1, 1, SHAPE[1])
    pair = []
    for scene in (slope, slope[::-1]):
        raw = expose(chip, rng, np.broadcast_to(20000 * chip.gain / 5 * scene, SHAPE), 5.0, "V")
        pair.append(("V", subtract_overscan(raw, chip)))
    assert measure(make_biases(chip, rng, 3), pair).gain == pytest.approx(chip.gain, rel=0.03)


@pytest.mark.parametrize("n_flats", [0, 1])
def test_without_a_pair_of_flats_the_gain_is_1_with_a_warning(n_flats, rng):
    chip = make_chip(SHAPE)
    found = measure(make_biases(chip, rng, 3), make_flats(chip, rng, [20000] * n_flats))
    assert found.gain == 1
    assert "unknown gain" in found.warning
    assert found.read_noise == pytest.approx(chip.read_noise / chip.gain, rel=0.02)  # in ADU
    assert "2 pairs of bias" in found.source


def test_flats_without_signal_are_not_used(rng):
    chip = make_chip(SHAPE)
    found = measure(make_biases(chip, rng, 3), make_flats(chip, rng, [0, 20000, 0]))
    assert found.gain == 1
    assert found.warning


def test_saturated_flats_are_not_used(rng):
    chip = make_chip(SHAPE)
    whole = [("V", np.full(SHAPE, np.nan))] * 2
    found = measure(make_biases(chip, rng, 3), whole)
    assert found.gain == 1
    assert found.warning


@pytest.mark.parametrize("n_biases", [0, 1])
def test_without_a_pair_of_biases_the_gain_is_assumed(n_biases, rng):
    chip = make_chip(SHAPE)
    assert measure(make_biases(chip, rng, n_biases), []) == ASSUMED
    assert ASSUMED.gain == 1
    assert ASSUMED.warning


def test_a_measurement_can_be_written_and_read(tmp_path):
    noise = GainAndReadNoise(1.234567890123, 5.4321, "measured: 4 pairs of bias, 3 of flats", "")
    write_gain(tmp_path / "noise.json", noise)
    assert read_gain(tmp_path / "noise.json") == noise


def test_flats_of_two_electrons_measure_no_gain(rng):
    # Two electrons of light have a variance of 2 beside the 36 of the read noise.
    chip = make_chip(SHAPE)
    found = measure(make_biases(chip, rng, 5), make_flats(chip, rng, [2 / chip.gain] * 5))
    assert found.gain == 1
    assert "unknown gain" in found.warning
    assert found.read_noise == pytest.approx(chip.read_noise / chip.gain, rel=0.02)  # in ADU


@pytest.mark.parametrize("axis", [0, 1])
def test_a_slope_that_changes_from_flat_to_flat_does_not_change_the_gain(axis, rng):
    chip = make_chip((512, 512))
    across = np.expand_dims(0.05 * np.linspace(-1, 1, 512), 1 - axis)
    frames = []
    for slope in (0, 1, 0):
        raw = expose(chip, rng, 20000 * chip.gain / 5 * (1 + slope * across) + np.zeros((512, 512)), 5.0, "V")
        frames.append(("V", subtract_overscan(raw, chip)))
    found = measure(make_biases(chip, rng, 3), frames)
    assert found.gain == pytest.approx(chip.gain, rel=0.02)
    assert found.warning == ""


def test_a_saturated_corner_does_not_change_the_gain(rng):
    chip = make_chip(SHAPE)
    frames = make_flats(chip, rng, [20000] * 3)
    for _, image in frames:
        image[:32, :32] = np.nan
    found = measure(make_biases(chip, rng, 3), frames)
    assert found.gain == pytest.approx(chip.gain, rel=0.02)
    assert found.read_noise == pytest.approx(chip.read_noise, rel=0.02)
    assert found.warning == ""


def test_a_single_pixel_measures_nothing():
    dark, lit = np.full((1, 1), 1000.0), np.full((1, 1), 21000.0)
    assert measure([dark, dark + 3, dark - 2], [("V", lit), ("V", lit + 90)]) == ASSUMED


def test_each_amplifier_has_its_own_gain_and_read_noise(rng):
    gains, noises = (1.1, 1.6, 2.3, 3.0), (4.0, 5.5, 9.0, 7.0)
    chips = [make_chip((512, 128), gain=gain, read_noise=noise) for gain, noise in zip(gains, noises, strict=True)]
    dark = [np.hstack(four) for four in zip(*(make_biases(chip, rng, 5) for chip in chips), strict=True)]
    lit = [
        np.hstack([image for _, image in four])
        for four in zip(*(make_flats(c, rng, [20000] * 5) for c in chips), strict=True)
    ]
    found = measure(dark, [("V", image) for image in lit], amplifiers=4)
    assert np.array(found.amplifiers) == pytest.approx(np.transpose([gains, noises]), rel=0.02)
    assert found.gain == pytest.approx(np.mean(gains), rel=0.02)
    assert found.read_noise == pytest.approx(np.sqrt(np.mean(np.square(noises))), rel=0.02)
    assert (found.select_amplifier(2).gain, found.select_amplifier(2).read_noise) == found.amplifiers[2]


def test_reading_stops_when_there_are_enough_subimages(rng):
    chip = make_chip((512, 512))
    asked = []

    def one_by_one(images):
        for image in images:
            asked.append(None)
            yield cut_subimages(image)

    lit = [image for _, image in make_flats(chip, rng, [20000] * 8)]
    measure_gain(one_by_one(make_biases(chip, rng, 8)), {"V": one_by_one(lit)})
    assert len(asked) == 10  # 4 pairs of 256 subimages make 1000


# --- errors ----------------------------------------------------------------------------------------------------------


def make_frames(rng, n, shape=(64, 16, 16), light=0.0, gain=1.5, noise=4.0):
    """Subimages in ADU, before rounding."""
    electrons = rng.poisson(light, (n, *shape)) + rng.normal(0, noise * gain, (n, *shape))
    return (electrons / gain).astype(np.float32)


def pair(frames, compare):
    pairs = Pairs(compare)
    for frame in frames:
        pairs.add(frame)
    return pairs


@pytest.mark.parametrize("frames", [2, 3, 6])
def test_the_error_of_a_read_noise_is_honest(frames, rng):
    found = [compute_read_noise(pair(make_frames(rng, frames), measure_bias_variance)) for _ in range(150)]
    pull = np.array([(noise.value - 4.0) / noise.error for noise in found])
    assert pull.std() == pytest.approx(1, abs=0.18)  # 3 sigma of 150 pulls
    assert pull.mean() == pytest.approx(0, abs=0.25)


@pytest.mark.parametrize("light", [100.0, 20000.0])
def test_the_error_of_a_gain_is_honest(light, rng):
    compare = partial(measure_noise_per_signal, read_variance=4.0**2)
    found = [compute_gain(pair(make_frames(rng, 3, light=light), compare)) for _ in range(150)]
    pull = np.array([(gain.value - 1.5) / gain.error for gain in found])
    assert pull.std() == pytest.approx(1, abs=0.18)
    assert pull.mean() == pytest.approx(0, abs=0.25)


def test_a_thousand_subimages_give_read_noise_to_0_1_and_gain_to_0_2_percent(rng):
    dark = compute_read_noise(pair(make_frames(rng, 2, (ENOUGH, 32, 32)), measure_bias_variance))
    assert dark.error / dark.value == pytest.approx(0.001, rel=0.2)
    compare = partial(measure_noise_per_signal, read_variance=4.0**2)
    lit = compute_gain(pair(make_frames(rng, 2, (ENOUGH, 32, 32), light=20000.0), compare))
    assert lit.error / lit.value == pytest.approx(0.002, rel=0.2)


def test_the_variance_of_the_overscan_level_is_not_read_noise(rng):
    rows = rng.normal(0, 2.0, (6, 64, 16, 1)).astype(np.float32)
    found = compute_read_noise(pair(make_frames(rng, 6) + rows, measure_bias_variance), overscan_variance=2.0**2)
    assert found.value == pytest.approx(4.0, rel=0.02)


def test_frames_without_scatter_give_no_read_noise():
    assert compute_read_noise(pair(np.full((3, 8, 32, 32), 1000, np.float32), measure_bias_variance)) is None


def test_flats_of_two_sets_are_not_compared(rng):
    pairs = Pairs(measure_bias_variance)
    one, other = make_frames(rng, 2)
    pairs.add(one)
    pairs.start_new_set()
    pairs.add(other)
    assert pairs.n_pairs == 0
    assert pairs.find_median() is None


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 20), st.floats(0.7, 20), st.floats(0.5, 2), st.integers(0, 2**32 - 1))
def test_gain_and_read_noise_agree_with_the_truth_within_their_errors(gain, noise, ratio, seed):
    rng = np.random.default_rng(seed)
    dark = np.rint(make_frames(rng, 3, gain=gain, noise=noise))
    found = compute_read_noise(pair(dark, measure_bias_variance))
    truth = np.sqrt(noise**2 + 1 / 12)  # with digitisation
    assert abs(found.value - truth) < 5 * found.error + 0.005 * truth
    lit = [np.rint(make_frames(rng, 1, light=light * gain, gain=gain, noise=noise)[0]) for light in (9e3, 9e3 * ratio)]
    gain_found = compute_gain(pair(lit, partial(measure_noise_per_signal, read_variance=truth**2)))
    assert abs(gain_found.value - gain) < 5 * gain_found.error
