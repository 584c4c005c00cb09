"""Aperture corrections of rendered stars, measured with sep."""

import numpy as np
import pytest
import sep
from astropy.table import Table
from nightcal.measurement.photometry.aperture_corrections import measure_corrections, select_least_crowded
from sky_fields import random_crowd, share
from star_fields import field, gaussian, moffat

FWHM = 3.2
PROFILES = {"gaussian": gaussian, "moffat": moffat}
DIAMETERS = tuple(round(FWHM * factor, 2) for factor in (1, 1.5, 2, 3, 4, 6))


def encircled(profile, radius, fwhm=FWHM):
    """Part of a star's light within a radius: closed form of Gaussian and Moffat (beta 3)."""
    if profile == "gaussian":
        return 1 - np.exp(-4 * np.log(2) * (radius / fwhm) ** 2)
    alpha = fwhm / (2 * np.sqrt(2 ** (1 / 3) - 1))
    return 1 - (1 + (radius / alpha) ** 2) ** -2


def measured(image, error, x, y, fwhm=FWHM, diameters=DIAMETERS):
    """Table of sources, measured with sep at known places on an image without sky."""
    data, sigma = (np.ascontiguousarray(each, dtype=np.float32) for each in (image, error))
    table = Table(meta={"APERTURES": list(diameters)})
    table["XWIN_IMAGE"], table["YWIN_IMAGE"] = x + 1, y + 1
    each = [sep.sum_circle(data, x, y, d / 2, err=sigma, subpix=0) for d in diameters]
    table["FLUX_APER"] = np.array([one[0] for one in each]).T
    table["FLUXERR_APER"] = np.array([one[1] for one in each]).T
    width = np.full(len(x), fwhm / 2.3548)
    kron = sep.kron_radius(data, x, y, width, width, np.zeros(len(x)), 6.0)[0]
    auto = sep.sum_ellipse(data, x, y, width, width, np.zeros(len(x)), 2.5 * kron, err=sigma, subpix=1)
    table["FLUX_AUTO"], table["FLUXERR_AUTO"] = auto[0], auto[1]
    table["FWHM_IMAGE"] = np.full(len(x), fwhm)
    table["FLAGS"] = np.zeros(len(x), dtype=np.int16)
    return table


def starfield(profile, seed=0, sky=200.0, side=10, step=60, faintest=3e3):
    """Stars of a grid, none near another, with sky noise; their fluxes and their table."""
    rng = np.random.default_rng(seed)
    x, y = (np.mgrid[0:side, 0:side].reshape(2, -1) * step + step / 2) + rng.uniform(-0.5, 0.5, (2, side * side))
    flux = 10 ** rng.uniform(np.log10(faintest), 5.5, len(x))
    clean = field((side * step, side * step), x, y, flux, FWHM, PROFILES[profile], background=0.0).truth
    variance = clean + sky + 25
    image = clean + rng.normal(0, np.sqrt(variance))
    return flux, measured(image, np.sqrt(variance), x, y)


@pytest.mark.parametrize("profile", ["gaussian", "moffat"])
def test_corrections_equal_those_of_the_profile_to_a_millimagnitude(profile):
    flux, table = starfield(profile)
    corrections = measure_corrections(table)
    fractions = encircled(profile, np.array(DIAMETERS) / 2)
    # Averaged over pixels, a star is a little wider than its profile: measured without noise, on the same grid.
    x, y = np.array(table["XWIN_IMAGE"]) - 1, np.array(table["YWIN_IMAGE"]) - 1
    clean = field((600, 600), x, y, flux, FWHM, PROFILES[profile], background=0.0).truth
    exact = measured(clean, np.ones_like(clean), x, y)
    truth = -2.5 * np.log10(np.median(exact["FLUX_APER"][:, [-1]] / exact["FLUX_APER"], axis=0))
    off = np.array(corrections.values) - truth
    assert np.abs(off[2:]).max() < 0.001
    assert (np.abs(off) < 3 * np.array(corrections.errors) + 1e-4).all()
    assert corrections.values[-1] == 0
    # and within what pixels do, those of the closed form
    assert np.abs(truth + 2.5 * np.log10(fractions[-1] / fractions))[3:].max() < 0.006
    assert corrections.number > 60
    assert not corrections.crowded


@pytest.mark.parametrize("profile", ["gaussian", "moffat"])
def test_corrected_magnitudes_of_bright_stars_agree_in_all_apertures(profile):
    flux, table = starfield(profile, seed=1)
    corrections = measure_corrections(table)
    bright = flux > 5e4
    apertures = -2.5 * np.log10(table["FLUX_APER"][bright]) + corrections.values
    auto = -2.5 * np.log10(table["FLUX_AUTO"][bright]) + corrections.kron
    total = apertures[:, -1]
    # Where on its pixel a star falls matters for an aperture as small as the first.
    assert np.abs(np.median(apertures - total[:, None], axis=0))[1:].max() < 0.001
    assert np.abs(np.median(apertures - total[:, None], axis=0))[0] < 0.005
    assert abs(np.median(auto - total)) < 0.002
    # All light, but for what a Moffat star has outside six FWHM
    outside = -2.5 * np.log10(encircled(profile, DIAMETERS[-1] / 2))
    assert np.median(total + 2.5 * np.log10(flux[bright])) == pytest.approx(outside, abs=0.002)


def table_of(rng, n=60, ratio=0.8, noise=0.003, spread=0.0, side=2000.0):
    """A table with two apertures, of which the smaller holds a known part."""
    total = 10 ** rng.uniform(4, 5.5, n)
    part = total * (ratio + rng.normal(0, spread, n) if spread else ratio)
    table = Table(meta={"APERTURES": [4.0, 18.0]})
    table["XWIN_IMAGE"], table["YWIN_IMAGE"] = rng.uniform(0, side, (2, n))
    small, large = 0.001 * total, np.hypot(0.001 * total, noise * total)
    table["FLUX_APER"] = np.stack([part, total + rng.normal(0, noise * total)], axis=1)
    table["FLUXERR_APER"] = np.stack([small, large], axis=1)
    table["FLUX_AUTO"], table["FLUXERR_AUTO"] = 0.97 * table["FLUX_APER"][:, 1], large
    table["FWHM_IMAGE"], table["FLAGS"] = np.full(n, 3.0), np.zeros(n, dtype=np.int16)
    return table


def test_error_of_a_correction_is_honest():
    truth = 2.5 * np.log10(0.8)
    found = [measure_corrections(table_of(np.random.default_rng(seed))) for seed in range(60)]
    pull = np.array([(each.values[0] - truth) / each.errors[0] for each in found])
    assert pull.std() == pytest.approx(1, abs=0.28)
    assert abs(pull.mean()) < 4 / np.sqrt(len(pull))


def test_the_scatter_shows_a_varying_point_spread_function():
    table = table_of(np.random.default_rng(5), n=150, spread=0.016)
    assert measure_corrections(table).scatters[0] == pytest.approx(0.02 * 1.0857, rel=0.2)


def test_noise_common_to_two_apertures_cancels():
    rng = np.random.default_rng(6)
    table = table_of(rng, n=60)
    total = np.array(table["FLUX_APER"][:, 1])
    part = 0.8 * total * (1 + rng.normal(0, 0.02, 60))
    table["FLUX_APER"] = np.stack([part, part + 0.2 * total + rng.normal(0, 0.001 * total)], axis=1)
    table["FLUXERR_APER"] = np.stack([0.016 * total, np.hypot(0.016, 0.001) * total], axis=1)
    corrections = measure_corrections(table)
    # (ring / part) 0.02, and 0.001 / 0.8, of 1.25; over the root of 60
    expected = 1.0857 * 0.8 * np.hypot(0.25 * 0.02, 0.001 / 0.8) / np.sqrt(60)
    assert corrections.errors[0] == pytest.approx(expected, rel=0.3)
    assert corrections.values[0] == pytest.approx(2.5 * np.log10(0.8), abs=4 * expected)


def test_an_underestimated_sky_does_not_bias_the_correction():
    table = table_of(np.random.default_rng(7), n=200, side=1e4)
    table["FLUX_APER"][:, 1] += 1500
    corrections = measure_corrections(table)
    assert corrections.values[0] == pytest.approx(2.5 * np.log10(0.8), abs=4 * corrections.errors[0])
    assert corrections.errors[0] < 0.002


def test_flagged_stars_do_not_count():
    table = table_of(np.random.default_rng(2), n=80, side=1e4)
    table["FLAGS"][:15] = np.tile([1, 4, 8, 16, 20], 3)
    table["FLUX_APER"][:15, 0] *= 0.7
    corrections = measure_corrections(table)
    assert corrections.number == 65
    assert corrections.values[0] == pytest.approx(2.5 * np.log10(0.8), abs=4 * corrections.errors[0])
    assert corrections.errors[0] < 0.001


@pytest.mark.parametrize("n", [100, 800])
def test_the_flux_of_neighbours_is_subtracted(n):
    _, table, _ = random_crowd(7, n=n)
    corrections = measure_corrections(table)
    truth = 2.5 * np.log10(share(np.array(corrections.diameters) / 2, 0.0))
    assert np.abs(np.array(corrections.values) - truth).max() < 0.0005
    assert corrections.kron == pytest.approx(2.5 * np.log10(share(4.0, 0.0)), abs=0.001)
    assert corrections.number >= 10


def test_if_all_stars_are_crowded_the_least_crowded_are_used():
    _, table, _ = random_crowd(3, n=150, side=120)
    corrections = measure_corrections(table, most_crowded=1e-6)
    assert corrections.crowded
    assert corrections.number >= 10
    assert np.isfinite(corrections.values).all()


@pytest.mark.parametrize("n", [0, 2])
def test_too_few_stars_give_no_correction(n):
    corrections = measure_corrections(table_of(np.random.default_rng(0), n=2)[:n])
    assert np.isnan(corrections.values[0])
    assert np.isnan(corrections.kron)
    assert corrections.values[1] == 0
    assert corrections.number == n


def test_all_stars_within_the_limit_or_ten_are_selected():
    light = np.array([0.001, 0.002, *np.linspace(0.1, 1.2, 12)])
    everyone = np.ones(14, dtype=bool)
    assert select_least_crowded(everyone, light, 0.005).sum() == 10
    assert select_least_crowded(everyone, light / 100, 0.02).sum() == 14
    assert select_least_crowded(everyone & (light > 2), light, 0.005).sum() == 0
    assert select_least_crowded(np.arange(14) < 3, light, 0.005).sum() == 3
