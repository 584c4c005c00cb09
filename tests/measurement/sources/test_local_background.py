"""Stars on a glow: the sky under them is that around them, where the background of the frame is wrong."""

import numpy as np
import pytest
from nightcal.measurement.sources import find_sources
from nightcal.measurement.sources.detection import measure_largest_group
from nightcal.measurement.sources.local_background import (
    LocalBackground,
    choose_background,
    measure_local_background,
)
from star_fields import field, moffat

SIZE, FLUX, FWHM = 512, 2e4, 3.5


def stars_on_a_glow(width, peak, seed=0):
    """Stars of one flux in a grid on a Gaussian glow, and the sky under each."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    sky = 200 + peak * np.exp(-((columns - 250) ** 2 + (rows - 260) ** 2) / (2 * width**2))
    x, y = (grid.ravel() + rng.uniform(-4, 4, grid.size) for grid in np.meshgrid(*[np.arange(40, 480, 32)] * 2))
    frame = field((SIZE, SIZE), x, y, np.full(x.size, FLUX), FWHM, seed=seed, background=sky)
    return frame, sky[np.rint(y).astype(int), np.rint(x).astype(int)]


@pytest.mark.parametrize(("width", "peak"), [(60, 300), (60, 3000), (200, 3000)])
def test_fluxes_on_a_glow_are_nearly_as_good_as_the_sky_around_allows(width, peak):
    frame, sky = stars_on_a_glow(width, peak)
    table = find_sources(*frame.arrays).table
    apart = np.hypot(table["XWIN_IMAGE"][:, None] - 1 - frame.x, table["YWIN_IMAGE"][:, None] - 1 - frame.y)
    found, near = table[apart.argmin(axis=0)], apart.min(axis=0) < 1.5
    pulls = ((found["FLUX_AUTO"] - FLUX) / found["FLUXERR_AUTO"])[near]
    assert near.mean() > 0.95
    assert np.sqrt(np.mean(np.square(pulls))) < 2.5  # more than 70 with the background of boxes alone
    assert np.sqrt(np.mean(np.square(found["BACKGROUND"] - sky)[near])) < 0.01 * peak


def test_on_an_even_sky_the_background_of_the_frame_is_kept_and_wings_are_not_taken_for_sky():
    rng = np.random.default_rng(3)
    x, y = rng.uniform(30, SIZE - 30, (2, 40))
    frame = field((SIZE, SIZE), x, y, 10 ** rng.uniform(4, 6, 40), FWHM, moffat)
    assert np.mean(find_sources(*frame.arrays).table["LOCAL_SKY"]) < 0.05


def test_the_level_of_an_annulus_and_its_error_are_honest():
    rng = np.random.default_rng(5)
    data = rng.normal(30, 10, (600, 600)).astype(np.float32)
    x, y = (grid.ravel() for grid in np.meshgrid(*[np.arange(40.0, 580, 45)] * 2))
    found = measure_local_background(data, np.zeros(data.shape, bool), x, y, np.full(x.size, 8.0), 3.0)
    assert np.std((found.level - 30) / found.error) == pytest.approx(1, abs=0.2)
    assert abs(np.mean(found.level) - 30) < 0.3


def test_only_a_level_that_matters_is_used():
    found = LocalBackground(np.array([1.0, 10.0, 10.0]), np.array([1.0, 1.0, 1.0]))
    chosen = choose_background(found, 0.5, np.array([1e3, 1e3, 1e6]), 100.0)
    assert chosen.used.tolist() == [False, True, False]


def test_the_largest_group_counts_pixels_that_touch_at_a_corner():
    bright = np.zeros((9, 9), bool)
    bright[1, 1] = bright[2, 2] = bright[3, 1] = bright[7, 7] = True
    assert measure_largest_group(bright) == 3
    assert measure_largest_group(np.zeros((4, 4), bool)) == 0
