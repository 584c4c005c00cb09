"""Flux of neighbours in apertures, for simulated crowds of several densities."""

import numpy as np
import pytest
from helpers import make_catalog
from nightcal.measurement.photometry.catalog_neighbours import add_catalog_stars
from nightcal.measurement.photometry.neighbours import estimate_neighbour_flux
from sky_fields import crowd, random_crowd, share


def on_the_sky(x, y):
    """Right ascension and declination [deg] at 0.5 arcsec a pixel near RA 0."""
    return -np.asarray(x) / 7200 / np.cos(np.radians(40)) % 360, np.asarray(y) / 7200 + 40


def isolated_stars(n=30):
    """Make positions and fluxes of isolated stars."""
    x, y = np.mgrid[0:n, 0:1].reshape(2, -1) * 100.0 + 50
    return x, y, np.linspace(2e4, 1e5, n)


def test_a_bright_star_next_to_a_faint_one_with_pencil_and_paper():
    x, y, flux = isolated_stars()
    places = np.append(x, [x[0] + 5]), np.append(y, [y[0]])
    table, _ = crowd(*places, np.append(flux, 200.0))
    found = estimate_neighbour_flux(table)
    # 4 percent of the bright star: four times the flux of the faint one
    assert flux[0] * share(3.0, 5.0) == pytest.approx(826, abs=1)
    assert found.flux[-1, 1] == pytest.approx(flux[0] * share(3.0, 5.0), rel=0.05)
    assert found.flux[0, 1] == pytest.approx(200 * share(3.0, 5.0), rel=0.5)
    assert found.own[-1] == pytest.approx(200, rel=0.2)
    assert found.own[0] == pytest.approx(flux[0], rel=0.001)
    np.testing.assert_allclose(found.flux[1:-1], 0)
    assert found.measure_crowding(1)[-1] == pytest.approx(found.flux[-1, 1] / (200 * share(3.0, 0.0)), rel=0.25)
    assert found.measure_crowding(1)[5] == 0


@pytest.mark.parametrize(("n", "worst"), [(150, 0.1), (800, 0.2)])
def test_the_flux_of_neighbours_in_a_crowd_is_estimated(n, worst):
    flux, table, truth = random_crowd(1, n=n)
    found = estimate_neighbour_flux(table)
    bright = flux > 5000
    for aperture in range(5):
        some = bright & (truth[:, aperture] > 1e-3 * flux) & (truth[:, aperture] < 0.2 * flux)
        off = found.flux[some, aperture] / truth[some, aperture] - 1
        assert np.abs(np.median(off)) < 0.04
        assert np.mean(np.abs(off) > 0.2) <= worst
    np.testing.assert_allclose(found.error, found.flux / 5)
    own = found.own[bright] / flux[bright] - 1
    assert np.abs(np.median(own)) < 0.002


def test_the_typical_kron_aperture_is_found_from_its_flux():
    flux, table, _ = random_crowd(2, n=80)
    assert estimate_neighbour_flux(table).radii[-1] == pytest.approx(4.0, abs=0.1)
    assert len(estimate_neighbour_flux(table).own) == len(flux)


def test_a_companion_resolved_only_in_the_catalogue_counts():
    x, y, flux = isolated_stars()
    # 2 pixels off and 4 magnitudes fainter: the frame has one source with the flux of both
    faint = flux[3] * 10**-1.6
    blend, _ = crowd(x, y, flux + np.where(np.arange(len(x)) == 3, faint, 0))
    ra, dec = on_the_sky(np.append(x, x[3] + 2), np.append(y, y[3]))
    light = np.append(flux, faint)
    catalog = make_catalog("c", ra, dec, {"r": 20 - 2.5 * np.log10(light)})
    matches = np.arange(len(x)), np.arange(len(x))
    alone = estimate_neighbour_flux(blend)
    found = add_catalog_stars(alone, blend, catalog, "r", matches)
    assert alone.flux[3].max() == 0
    np.testing.assert_allclose(found.flux[3, :4], faint * share(found.radii[:4], 2.0), rtol=0.02)
    np.testing.assert_allclose(np.delete(found.flux, 3, axis=0), 0)


def test_catalogue_and_table_of_the_same_stars_agree():
    flux, table, truth = random_crowd(3)
    ra, dec = on_the_sky(table["XWIN_IMAGE"], table["YWIN_IMAGE"])
    magnitude = 20 - 2.5 * np.log10(flux)
    magnitude[np.argsort(flux)[:3]] = np.nan
    everyone = np.arange(len(flux)), np.arange(len(flux))
    both = add_catalog_stars(
        estimate_neighbour_flux(table), table, make_catalog("c", ra, dec, {"r": magnitude}), "r", everyone
    )
    some = (flux > 5000) & (truth[:, 1] > 1e-3 * flux)
    assert np.median(both.flux[some, 1] / truth[some, 1]) == pytest.approx(1, abs=0.03)


def no_flux(table):
    table["FLUX_APER"][:] = np.nan


def no_places(table):
    table["XWIN_IMAGE"][:] = np.nan


def no_width(table):
    table["FWHM_IMAGE"][:] = np.nan
    table["FLAGS"][:] = 1


def negative(table):
    table["FLUX_APER"] *= -1


def infinite(table):
    table["FLUX_APER"][::2], table["FLUX_AUTO"][::2] = np.inf, np.inf


def one_place(table):
    table["XWIN_IMAGE"][:], table["YWIN_IMAGE"][:] = 5.0, 5.0


@pytest.mark.parametrize("spoil", [no_flux, no_places, no_width, negative, infinite, one_place])
@pytest.mark.filterwarnings("error")
def test_bad_tables_raise_nothing(spoil):
    _, table, _ = random_crowd(0, n=40, side=100)
    spoil(table)
    ra, dec = on_the_sky(np.arange(40), np.arange(40))
    matches = np.arange(40), np.arange(40)
    for some in (table, table[:1], table[:0]):
        found = estimate_neighbour_flux(some)
        found = add_catalog_stars(
            found,
            some,
            make_catalog("c", ra, dec, {"r": np.full(40, 15.0)}),
            "r",
            tuple(m[: len(some)] for m in matches),
        )
        assert np.isfinite(found.flux).all()
        assert found.flux.shape == (len(some), 5)


def test_one_aperture_is_enough():
    _, table, _ = random_crowd(4, n=60)
    table.meta["APERTURES"] = [9.0]
    for name in ("FLUX_APER", "FLUXERR_APER"):
        table[name] = table[name][:, 2:3]
    # the growth curve then follows from the width of the stars
    assert estimate_neighbour_flux(table).curve.integrate_within(1.5) == pytest.approx(0.5, abs=0.01)
