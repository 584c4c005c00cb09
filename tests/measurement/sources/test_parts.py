"""Parts of source detection: moments, profiles, matched filter, sky, filled pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nightcal.flags import Flag
from nightcal.measurement.sources import detection
from nightcal.measurement.sources.background import estimate_background, refine_background
from nightcal.measurement.sources.filling import fill_hidden_pixels
from nightcal.measurement.sources.local_background import LocalBackground
from nightcal.measurement.sources.measure import choose_windows, measure_fluxes
from nightcal.measurement.sources.moments import FWHM, measure_moments
from nightcal.measurement.sources.profile import measure_profile_fwhm
from nightcal.measurement.sources.seeing import estimate_seeing, find_half_sample_mode
from nightcal.measurement.sources.stamps import cut_stamps
from star_fields import SKY, field, gaussian, grid_field, moffat, observed, with_cosmic_rays

from benchmarks.defocused_stars import READ_NOISE, make_star_frame


def ellipse(a, b, theta, shape=(81, 81), center=(40.3, 39.6)):
    """A Gaussian of flux 1000 with given axes [pix] and angle [deg], not smeared by pixels."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    turn = np.radians(theta)
    along = (x - center[0]) * np.cos(turn) + (y - center[1]) * np.sin(turn)
    across = (y - center[1]) * np.cos(turn) - (x - center[0]) * np.sin(turn)
    return (1000 / (2 * np.pi * a * b) * np.exp(-((along / a) ** 2 + (across / b) ** 2) / 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("a", "b", "theta", "window"), [(2.0, 2.0, 0.0, 1.8), (2.5, 1.6, 30.0, 2.6), (3.0, 1.5, -70.0, 1.8)]
)
def test_moments_recover_the_axes_of_a_gaussian(a, b, theta, window):
    image = ellipse(a, b, theta)
    found = measure_moments(
        image, np.ones_like(image), np.array([40.0]), np.array([40.0]), np.array([window]), steps=60
    )
    assert (found.x[0], found.y[0]) == pytest.approx((40.3, 39.6), abs=0.003)
    assert (found.a[0], found.b[0]) == pytest.approx((a, b), rel=0.01)
    assert found.fwhm[0] == pytest.approx(2.3548 * np.sqrt(a * b), rel=0.01)
    if a != b:
        assert found.theta[0] == pytest.approx(theta, abs=0.5)


def test_the_position_error_is_the_textbook_value():
    """Of a Gaussian in noise s a pixel, with its own width as window: ``s sqrt(8 pi) sigma^2 / flux``."""
    sigma, noise = 2.0, 3.0
    image = ellipse(sigma, sigma, 0.0)
    found = measure_moments(image, np.full_like(image, noise), np.array([40.3]), np.array([39.6]), np.array([sigma]))
    # sum w^2 dx^2 = pi sigma^4 / 2, sum w I = flux / 2, and SExtractor's factor 4
    assert np.sqrt(found.error_x[0]) == pytest.approx(noise * 4 * np.sqrt(np.pi / 2) * sigma**2 / 1000, rel=0.01)
    assert found.snr[0] == pytest.approx(500 / (noise * np.sqrt(np.pi) * sigma), rel=0.01)


def test_cut_outs_are_zero_beyond_the_border():
    image = np.ones((5, 4), np.float32)
    (cut,) = cut_stamps(image.shape, np.array([0.0]), np.array([4.2]), np.array([2.0]))
    assert cut.take_from(image).sum() == 3 * 3
    assert cut.dy[0, 0] == pytest.approx(-2.2)


@pytest.mark.parametrize(("profile", "fwhm"), [(gaussian, 2.0), (moffat, 2.0), (gaussian, 6.0), (moffat, 6.0)])
def test_the_fwhm_is_right_with_and_without_wings(profile, fwhm):
    places = np.arange(60.0, 600, 60)
    x, y = (axis.ravel() + np.linspace(-0.5, 0.5, axis.size) for axis in np.meshgrid(places, places))
    stars = field((660, 660), x, y[::-1], np.full(x.size, 1e6), fwhm, profile, background=0.0)
    found = measure_profile_fwhm(stars.truth.astype(np.float32), x, y[::-1], np.full(x.size, 1e6), fwhm / FWHM)
    fine = profile(0, 0, fwhm * 21, 80)  # a star of 21 small pixels a pixel, seen through a pixel of 21
    box = np.cumsum(np.cumsum(fine, axis=0), axis=1)
    seen = box[21:, 21:] - box[:-21, 21:] - box[21:, :-21] + box[:-21, :-21]
    row = seen[seen.shape[0] // 2]
    half = np.interp(-row.max() / 2, -row[row.argmax() :], np.arange(row.size - row.argmax())) * 2 / 21
    assert found == pytest.approx(half, rel=0.02)


def test_the_errors_of_the_matched_filter_are_honest():
    rng = np.random.default_rng(8)
    noise = np.where(np.arange(300) < 150, 5.0, 20.0) * np.ones((300, 1))
    data = rng.normal(0, noise).astype(np.float32)
    hidden = rng.random(data.shape) < 0.01
    data[hidden] = 1e6
    flux, error = detection.apply_matched_filter(data, noise.astype(np.float32), hidden, noise.astype(np.float32), 1.5)
    pulls = flux / error
    assert pulls[:, :140].std() == pytest.approx(1, abs=0.03)
    assert pulls[:, 160:].std() == pytest.approx(1, abs=0.03)


def test_the_matched_filter_is_the_documented_sum():
    """A few pixels by the plain formula, beside the edge and beside hidden ones."""
    rng = np.random.default_rng(2)
    data = rng.normal(0, 1, (70, 12)).astype(np.float32)
    noise = rng.uniform(0.8, 1.2, data.shape).astype(np.float32)
    hidden = rng.random(data.shape) < 0.1
    sigma = 2.0
    flux, error = detection.apply_matched_filter(data, noise, hidden, np.ones_like(data), sigma)
    width = detection.NARROWER * sigma
    reach = round(2.5 * width)
    one = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    star = np.outer(one, one) / one.sum() ** 2
    for row, column in [(0, 0), (63, 5), (64, 6), (69, 11), (30, 3)]:
        top, low = max(0, row - reach), min(70, row + reach + 1)
        left, right = max(0, column - reach), min(12, column + reach + 1)
        g = star[top - row + reach : low - row + reach, left - column + reach : right - column + reach]
        weight = ~hidden[top:low, left:right] / noise[top:low, left:right] ** 2.0
        power = (g * g * weight).sum()
        assert flux[row, column] == pytest.approx((g * weight * data[top:low, left:right]).sum() / power, abs=1e-4)
        assert error[row, column] == pytest.approx(1 / np.sqrt(power), rel=1e-4)


@pytest.mark.parametrize(
    ("buffers", "parts"), [((100, 10_000_000), (1024,)), ((10_000_000,), (2, 4096)), ((100,), (2,))]
)
def test_full_buffers_of_sep_are_enlarged_or_deblending_given_up(monkeypatch, buffers, parts):
    monkeypatch.setattr(detection, "BUFFERS", buffers)
    monkeypatch.setattr(detection, "SUB_OBJECTS", parts)
    stars = grid_field(128, 12, (5000, 1e5))
    flux = stars.data - np.float32(SKY)
    found, words = detection.extract(flux, np.full_like(flux, 15), 1.0, 3, 32, 0.005)
    assert len(found) > 5
    assert (words == "") == (buffers != (100,))


def test_a_hidden_core_is_filled_with_the_profile_of_the_star():
    image = ellipse(1.4, 1.4, 0.0, (41, 41), (20.2, 19.7))
    hidden = np.zeros(image.shape, bool)
    hidden[19:21, 20], hidden[5, 5] = True, True
    broken, errors = np.where(hidden, 1e6, image).astype(np.float32), np.ones_like(image)
    fill_hidden_pixels(broken, errors, hidden, np.array([20.2]), np.array([19.7]), 1.4, 8.0, 1.0)
    np.testing.assert_allclose(broken[19:21, 20], image[19:21, 20], rtol=1e-4)
    assert broken[5, 5] == 0
    assert np.all(errors[19:21, 20] >= 1)


def test_the_error_of_a_sum_over_a_filled_pixel_is_honest():
    rng, sums, quoted = np.random.default_rng(6), [], 0.0
    hidden = np.zeros((21, 21), bool)
    hidden[10, 10] = True
    for _ in range(800):
        noise, errors = rng.normal(0, 1, hidden.shape).astype(np.float32), np.ones(hidden.shape, np.float32)
        fill_hidden_pixels(noise, errors, hidden, np.array([10.0]), np.array([10.0]), 1.3, 5.0, 0.0)
        sums.append(noise[8:13, 8:13].sum(dtype=np.float64))
        quoted = np.sqrt((errors[8:13, 8:13] ** 2.0).sum())
    assert np.std(sums) == pytest.approx(quoted, rel=0.08)


def test_the_sky_is_unbiased_and_its_error_honest():
    pulls = []
    for seed in range(12):
        data, _ = observed(np.full((256, 256), 30.0), np.random.default_rng(seed), 3.0)
        taken = np.zeros(data.shape, bool)
        taken[::9] = True
        found = refine_background(data, taken, *estimate_background(data, taken, 64), 64)
        middle = found.level[32:-31:64, 32:-31:64]
        pulls += list((middle.ravel() - 30) / found.error)
    assert np.mean(pulls) == pytest.approx(0, abs=0.3)
    assert np.std(pulls) == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(
    ("fwhm", "profile", "stars"), [(1.5, gaussian, 20), (2.2, gaussian, 150), (3.0, moffat, 20), (6.0, gaussian, 20)]
)
def test_seeing_is_right_in_spite_of_cosmic_rays(fwhm, profile, stars):
    rng = np.random.default_rng(2)
    x, y = rng.uniform(10, 500, (2, stars))
    scene = field((512, 512), x, y, np.exp(rng.uniform(9, 12, stars)), fwhm, profile)
    pixel = np.hypot(fwhm, 2.3548 / np.sqrt(12)) * (1 if profile is gaussian else 1.12)  # moments see the wings
    struck = with_cosmic_rays(scene.data, 250)
    assert estimate_seeing(struck, scene.uncertainty, scene.mask) == pytest.approx(pixel, rel=0.08)


def test_without_stars_there_is_no_seeing():
    data, uncertainty = observed(np.full((256, 256), SKY), np.random.default_rng(1))
    mask = np.zeros(data.shape, np.int16)
    assert np.isnan(estimate_seeing(data, uncertainty, mask))
    assert np.isnan(estimate_seeing(with_cosmic_rays(data, 300), uncertainty, mask))
    assert np.isnan(estimate_seeing(data[:1, :1], uncertainty[:1, :1], mask[:1, :1]))
    assert np.isnan(estimate_seeing(data * 0, uncertainty * 0 + 1e9, mask | Flag.NO_DATA))


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.integers(1, 40), elements=st.integers(-1000, 1000).map(float)), st.integers(-50, 50))
def test_the_mode_is_within_the_values_and_shifts_with_them(values, shift):
    mode = find_half_sample_mode(values)
    assert values.min() <= mode <= values.max()
    assert find_half_sample_mode(values + shift) == mode + shift


def test_the_mode_is_that_of_the_similar_values():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(5, 0.05, 60), rng.uniform(0, 10, 80)])
    assert find_half_sample_mode(values) == pytest.approx(5, abs=0.1)


def test_isolated_large_sources_have_windows_of_their_own_size_up_to_three_stars():
    star, sizes, flags = 2.0, np.array([1.4, 1.6, 2.5, 5.0, 2.5]), [0, 0, 0, 0, 1]
    detected = np.hypot(sizes, 1) * star  # broadened by the filter
    objects = np.rec.fromarrays([detected, detected, flags], names="a,b,flag")
    np.testing.assert_allclose(choose_windows(objects, star) / star, [1, 1.6, 2.5, 3, 1])


def test_the_error_of_the_sky_level_scales_with_the_area_of_an_aperture():
    flat = np.ones((60, 60), np.float32)
    star = measure_moments(flat, flat, np.array([30.3]), np.array([29.8]), np.array([1.5]))
    diameters, none = np.array([5.0, 12.3]), LocalBackground(np.zeros(1), np.zeros(1))
    found = measure_fluxes(flat, np.full_like(flat, 1e-6), star, 1.5, diameters, (2.5, 3.5), 0.25, none)
    area = np.pi * diameters**2 / 4
    np.testing.assert_allclose(found.aperture[0], area, rtol=1e-5)
    np.testing.assert_allclose(found.aperture_error[0], 0.25 * area, rtol=1e-3)


@pytest.mark.parametrize(("fwhm", "ring"), [(9.0, True), (14.0, True), (6.0, False), (3.0, False)])
def test_a_pixel_within_a_star_is_filled_from_the_profile_of_that_star(fwhm, ring):
    pulls, relative = [], []
    for seed in range(3):
        rng = np.random.default_rng([seed, int(fwhm)])
        frame = make_star_frame(rng, fwhm, ring)
        data = (rng.poisson(frame.signal) + rng.normal(0, READ_NOISE, frame.signal.shape) - SKY).astype(np.float32)
        uncertainty = np.sqrt(np.maximum(data + SKY, 0) + READ_NOISE**2).astype(np.float32)
        hidden = np.zeros(data.shape, bool)
        for x, y in zip(frame.x, frame.y, strict=True):
            turn = rng.uniform(0, 2 * np.pi)
            row, column = round(y + fwhm / 3 * np.sin(turn)), round(x + fwhm / 3 * np.cos(turn))
            hidden[row, column : column + 2] = True
        filled, errors = data.copy(), uncertainty.copy()
        typical = float(np.hypot(np.sqrt(SKY), READ_NOISE))
        fill_hidden_pixels(filled, errors, hidden, frame.x, frame.y, fwhm / 2.355, 3 * fwhm, typical)
        truth = frame.signal[hidden] - SKY
        pulls.extend((filled[hidden] - truth) / errors[hidden])
        relative.extend((filled[hidden] / truth - 1)[truth > 500])
    assert np.std(pulls) < 1.3
    assert np.median(np.abs(relative)) < 0.1
