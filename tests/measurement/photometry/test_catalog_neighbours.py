"""Neighbours from a catalogue, those that the sky contains, and those that nothing shows."""

import numpy as np
import pytest
from helpers import make_catalog
from nightcal.measurement.photometry.catalog_neighbours import add_catalog_stars, place_stars
from nightcal.measurement.photometry.neighbours import estimate_neighbour_flux
from nightcal.measurement.photometry.unseen_companions import FAINTER, HIDDEN, estimate_unseen_flux
from sky_fields import FWHM, crowd, share, simulate

from benchmarks.zero_points import measure_sky

APART = 100.0


def on_the_sky(x, y):
    """Right ascension and declination [deg] at 0.5 arcsec a pixel near RA 0."""
    return -np.asarray(x) / 7200 / np.cos(np.radians(40)) % 360, np.asarray(y) / 7200 + 40


def catalog_of(x, y, flux):
    return make_catalog("c", *on_the_sky(x, y), {"r": 20 - 2.5 * np.log10(flux)})


def grid_of_stars(n=8):
    """Make positions and fluxes of isolated stars."""
    x, y = (each.ravel() * APART + 50 for each in np.mgrid[0:n, 0:n])
    return x, y, np.linspace(2e4, 1e5, n * n)


def scattered_companions(rng, x, y, n, flux, nearest):
    """Scatter stars of one flux over a grid, none within a distance of its stars."""
    places = rng.uniform(0, APART * np.sqrt(len(x)), (2, n))
    away = np.hypot(*(places[:, :, None] - np.stack([x, y])[:, None])).min(axis=1) > nearest
    return *places[:, away], np.full(away.sum(), flux)


@pytest.mark.parametrize(("ra", "dec"), [(83.0, -5.0), (0.01, 30.0), (200.0, 89.7)])
def test_stars_of_the_catalogue_have_their_place_on_a_turned_distorted_frame(ra, dec):
    for seed in range(3):
        # the distortion is 4 pixels in the corners, and on the average 200 stars tell it
        field = simulate(seed, 20.0, stars=400, ra=ra, dec=dec, bend=0.003, spurious=0.0)
        right_ascension, declination = field.true_sky(field.table["XWIN_IMAGE"], field.table["YWIN_IMAGE"])
        n = len(field.table)
        catalog = make_catalog("c", right_ascension, declination, {"r": np.full(n, 15.0)})
        matched = np.arange(0, n, 2)
        places = place_stars(field.table, catalog, (matched, matched))
        off = np.hypot(places[:, 0] - field.table["XWIN_IMAGE"], places[:, 1] - field.table["YWIN_IMAGE"])
        assert np.median(off) < 0.2
        assert np.percentile(off, 95) < 0.6


def test_a_source_that_the_catalogue_lacks_is_a_neighbour():
    x, y, flux = grid_of_stars()
    table, truth = crowd(np.append(x, x[3] + 7), np.append(y, y[3]), np.append(flux, 5000.0))
    everyone = np.arange(len(x)), np.arange(len(x))
    found = add_catalog_stars(estimate_neighbour_flux(table), table, catalog_of(x, y, flux), "r", everyone)
    seen = found.flux - found.unseen
    np.testing.assert_allclose(seen[3, 1:4], 5000 * share(found.radii[1:4], 7.0), rtol=0.06)
    np.testing.assert_allclose(seen[-1, 1:4], truth[-1, 1:4], rtol=0.06)


def test_a_star_without_a_match_is_not_its_own_neighbour():
    x, y, flux = grid_of_stars()
    table, _ = crowd(x, y, flux)
    some = np.arange(10, len(x)), np.arange(10, len(x))
    found = add_catalog_stars(estimate_neighbour_flux(table), table, catalog_of(x + 0.5, y, flux), "r", some)
    np.testing.assert_allclose(found.flux, 0, atol=1e-6)


def test_an_aperture_holds_no_more_of_the_faintest_stars_than_the_sky():
    x, y, flux = grid_of_stars()
    table, _ = crowd(x, y, flux)
    # so faint that the frame shows none of them; of a sky that contains them, apertures have the mean of the field
    faint = scattered_companions(np.random.default_rng(1), x, y, 20000, 20.0, 0.0)
    catalog = catalog_of(*(np.append(*each) for each in zip((x, y, flux), faint, strict=True)))
    everyone = np.arange(len(x)), np.arange(len(x))
    found = add_catalog_stars(estimate_neighbour_flux(table), table, catalog, "r", everyone)
    inside = 20.0 * 20000 / 800**2 * np.pi * 9.0**2
    assert inside == pytest.approx(159, abs=1)
    assert abs(found.flux[:, 3].mean()) < 0.1 * inside
    # eight stars to an aperture
    assert found.flux[:, 3].std() == pytest.approx(20 * np.sqrt(inside / 20), rel=0.3)


def test_bright_stars_that_the_frame_does_not_show_are_not_in_the_sky():
    x, y, flux = grid_of_stars()
    table, _ = crowd(x, y, flux)
    bright = scattered_companions(np.random.default_rng(2), x, y, 60, 1e5, 30.0)
    catalog = catalog_of(*(np.append(*each) for each in zip((x, y, flux), bright, strict=True)))
    everyone = np.arange(len(x)), np.arange(len(x))
    found = add_catalog_stars(estimate_neighbour_flux(table), table, catalog, "r", everyone)
    np.testing.assert_allclose(found.flux, 0, atol=1e-6)


def test_unseen_companions_with_pencil_and_paper():
    x, y, flux = grid_of_stars()
    more = scattered_companions(np.random.default_rng(3), x, y, 600, 1000.0, 3 * FWHM)
    table, _ = crowd(*(np.append(*each) for each in zip((x, y, flux), more, strict=True)))
    sources = estimate_neighbour_flux(table)
    places = np.column_stack([table["XWIN_IMAGE"], table["YWIN_IMAGE"]])
    unknown = np.arange(len(table)) >= len(x)
    mean, scatter = estimate_unseen_flux(sources, places, unknown, FWHM)
    hidden = np.pi * (HIDDEN * FWHM) ** 2
    number = unknown.sum() / np.prod(np.ptp(places, axis=0)) * hidden
    assert number == pytest.approx(0.1, abs=0.01)
    # nearly all flux of a companion within 5.7 pixels is in the aperture of 9 pixels; one in six is hidden itself
    assert mean[0, 3] == pytest.approx(1000 * number, rel=0.2)
    assert scatter[0, 3] == pytest.approx(1000 * np.sqrt(number), rel=0.15)
    assert np.all(np.diff(mean[0, :4]) > 0)
    # a star hides only what is fainter
    assert not mean[unknown & (sources.own < 1000 / FAINTER / 2)].any()
    assert not estimate_unseen_flux(sources, places, np.zeros(len(table), bool), FWHM)[0].any()


def test_crowded_skies_have_their_zero_point_with_catalogues_deep_and_shallow():
    # 9 mmag too high without unseen companions; 4 too low if stars that are in the sky are subtracted once more
    skies = zip(*(measure_sky(seed, 900, 12.0, (0.0, 2.0)) for seed in range(200, 210)), strict=True)
    for departures in skies:
        off, error = (1000 * np.array([getattr(each, name) for each in departures]) for name in ("off", "error"))
        assert abs(off.mean()) < 3 * np.mean(error) / np.sqrt(len(off))
        assert 0.5 < np.sqrt(np.mean((off / error) ** 2)) < 1.6
