"""Tangent planes, plate models, and the probability of a match by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightcal.measurement.astrometry.false_match import estimate_chance
from nightcal.measurement.astrometry.patterns import Search
from nightcal.measurement.astrometry.plate import Plate, deproject, fit_linear_plate, project
from nightcal.measurement.astrometry.plate_fit import RefinedPlate, Sources, Stars, match_stars
from scipy.stats import poisson
from sky_fields import tangent

SHAPE = (1000, 1000)
EMPTY = Plate(30.0, 40.0, 500.5, 500.5, 500.0, 1, np.array([[0.0, -500 / 3600, 0.0], [0.0, 0.0, 500 / 3600]]))
"""One arcsec a pixel, north up, east to the left."""


@given(ra=st.floats(0, 360), dec=st.floats(-90, 90), x=st.floats(1, 2048), y=st.floats(1, 2048))
def test_the_projection_is_that_of_the_fits_standard(ra, dec, x, y):
    wcs = tangent(ra, dec, 2.0, 0.0, True)
    alpha, delta = wcs.all_pix2world(x, y, 1)
    xi, eta = project([alpha], [delta], ra, dec)
    np.testing.assert_allclose([xi[0], eta[0]], np.array([x - 1024.5, y - 1024.5]) * 2 / 3600, atol=1e-9)
    back = deproject(xi, eta, ra, dec)
    apart = project(*back, float(alpha), float(delta))
    np.testing.assert_allclose(apart, 0, atol=1e-9)


def test_the_far_half_of_the_sky_is_not_projected():
    assert np.isnan(project([210.0], [-40.0], 30.0, 40.0)).all()


def test_a_plate_fitted_to_a_wcs_has_its_coordinates():
    wcs = tangent(359.99, 89.9, 1.3, 70.0, False, SHAPE)
    plate = fit_linear_plate(lambda x, y: wcs.all_pix2world(x, y, 1), SHAPE)
    x, y = np.array([1.0, 500.0, 1000.0]), np.array([900.0, 3.0, 1000.0])
    here, there = (project(*sky, 359.99, 89.9) for sky in (plate.locate_pixels(x, y), wcs.all_pix2world(x, y, 1)))
    np.testing.assert_allclose(here, there, atol=1e-8)
    assert plate.scale == pytest.approx(1.3, rel=1e-5)


def test_a_rigid_plate_has_equal_scales_and_keeps_its_parity():
    generator = np.random.default_rng(1)
    x, y = generator.uniform(1, 1000, (2, 5))
    turned = Plate(30.0, 40.0, 500.5, 500.5, 500.0, 1, np.array([[0.001, 0.03, 0.04], [0.002, 0.04, -0.03]]))
    noise = generator.normal(0, 1e-5, (2, 5))
    fitted = turned.fit_rigid(x, y, turned.project_pixels(x, y) + noise, np.ones(5))
    (a, b), (c, d) = fitted.matrix
    assert (a, b) == pytest.approx((-d, c))
    np.testing.assert_allclose(fitted.coefficients, turned.coefficients, atol=3e-5)


def test_stars_on_a_line_determine_no_plate():
    x = np.linspace(1, 1000, 9)
    assert EMPTY.fit(x, x, EMPTY.project_pixels(x, x), np.ones(9), 1) is None


def test_a_star_is_matched_with_the_nearer_of_two_sources():
    sources = Sources(
        np.array([100.0, 100.4, 700.0]), np.array([50.0, 50.0, 70.0]), np.ones(3), np.ones(3, bool), SHAPE
    )
    standard = EMPTY.project_pixels([100.3, 900.0], [50.0, 50.0])
    which, whose = match_stars(sources, standard, EMPTY, 1.0)
    assert (which.tolist(), whose.tolist()) == ([1], [0])


def by_chance(seed, number, stars, radius, right=0):
    """Matches of a frame of random sources with random stars, of which some are the sources' own."""
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(1, 1000, (2, number))
    star_x, star_y = generator.uniform(1, 1000, (2, stars))
    star_x[:right], star_y[:right] = x[:right], y[:right]
    sources = Sources(x, y, np.full(number, 0.1), np.ones(number, bool), SHAPE)
    places = Stars(*EMPTY.locate_pixels(star_x, star_y))
    pairs = match_stars(sources, project(places.ra, places.dec, 30.0, 40.0), EMPTY, radius)
    used = np.ones(len(pairs[0]), bool)
    return RefinedPlate(EMPTY, *pairs, used, np.zeros(len(used)), radius, 0.1), sources, places


def test_the_chance_is_a_poisson_tail_times_the_number_of_trials():
    found, sources, stars = by_chance(1, 100, 200, 3.0, right=20)
    search = Search(30.0, 40.0, 0.01, 1.0, 0.1)
    expected = 100 * 200 * np.pi * 9 / 1e6
    trials = 2 * np.pi * (36 / 3) ** 2 * (np.pi * 707.1 / 3) * (0.1 * 707.1 / 3)
    tail = poisson.sf(len(found.sources) - 1, expected)
    assert estimate_chance(found, sources, stars, search) == pytest.approx(trials * tail, rel=0.02)


@pytest.mark.parametrize("stars", [20, 200, 3000])
def test_random_matches_are_never_accepted(stars):
    search = Search(30.0, 40.0, 0.5, 1.0, 0.1)
    chances = [estimate_chance(*by_chance(seed, 200, stars, 2.0), search) for seed in range(100)]
    assert min(chances) == 1.0
    assert estimate_chance(*by_chance(1, 200, stars, 2.0, right=min(stars, 150)), search) < 1e-6
