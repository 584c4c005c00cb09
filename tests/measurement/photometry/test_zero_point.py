"""Zero point, colour term, magnitudes and their errors, for simulated sources."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from helpers import make_catalog
from nightcal.errors import ConfigurationError
from nightcal.io.keywords import set_cards
from nightcal.measurement.photometry import FilterRule, PhotometryOptions, add_magnitudes, fit_zero_point, make_keywords
from sky_fields import random_crowd

EXPOSURE, ZERO_POINT, COLOUR_TERM = 60.0, 23.4, 0.08
DIAMETERS = (4.0, 8.0, 18.0)
PARTS = np.array([0.7, 0.95, 1.0])
SKY = np.array([15.0, 30.0, 65.0])
COLOURED = FilterRule("r", ("g", "r"))


def field_of_stars(seed, n=60, scatter=0.02, wrong=0.0, error=0.01, faintest=17.0, term=COLOUR_TERM, width=0.3):
    """Simulate sources, a catalogue with errors, and their matches."""
    rng = np.random.default_rng(seed)
    r, colour = rng.uniform(12.5, faintest, n), rng.normal(0.6, width, n)
    total = EXPOSURE * 10 ** (0.4 * (ZERO_POINT + term * colour - r + rng.normal(0, scatter, n)))
    total *= np.where(rng.random(n) < wrong, 10 ** (0.4 * rng.choice([-1, 1], n) * rng.uniform(0.3, 2, n)), 1)
    table = Table(meta={"APERTURES": DIAMETERS})
    table["XWIN_IMAGE"], table["YWIN_IMAGE"] = rng.uniform(0, 4000, (2, n))
    noise = np.sqrt(total[:, None] * PARTS + SKY**2)
    # the larger aperture contains the smaller one
    ring = rng.normal(0, np.sqrt(np.diff(noise**2, axis=1, prepend=0)))
    table["FLUX_APER"], table["FLUXERR_APER"] = total[:, None] * PARTS + ring.cumsum(axis=1), noise
    table["FLUX_AUTO"], table["FLUXERR_AUTO"] = 0.97 * table["FLUX_APER"][:, 2], noise[:, 2]
    table["FWHM_IMAGE"], table["FLAGS"] = np.full(n, 3.0), np.zeros(n, dtype=np.int16)
    catalog = make_catalog(
        "refcat2.ecsv",
        *on_the_sky(table),
        {"g": r + colour + rng.normal(0, error, n), "r": r + rng.normal(0, error, n)},
        {"g": np.full(n, error), "r": np.full(n, error)},
    )
    return table, catalog, (np.arange(n), np.arange(n))


def on_the_sky(table):
    """Right ascension and declination [deg] of sources, at 0.5 arcsec a pixel near RA 0."""
    dec = np.array(table["YWIN_IMAGE"]) / 7200 + 40
    return -np.array(table["XWIN_IMAGE"]) / 7200 / np.cos(np.radians(40)) % 360, dec


def off(found, term=COLOUR_TERM):
    """Error of a zero point at its mean colour."""
    colour = found.mean_colour if np.isfinite(found.mean_colour) else 0.6
    return found.zero_point - (ZERO_POINT + term * colour)


def test_a_good_field_gives_the_truth():
    found = fit_zero_point(*field_of_stars(1, n=400, scatter=0.003, error=0.003), EXPOSURE, COLOURED)
    assert abs(off(found)) < 0.001
    assert found.colour_term == pytest.approx(COLOUR_TERM, abs=2 * found.colour_term_error)
    assert found.colour_term_error < 0.003
    assert found.status == f"{found.number} stars of refcat2.ecsv, band r"
    assert found.number > 350


@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_errors_are_honest_over_many_fields(wrong):
    found = [fit_zero_point(*field_of_stars(seed, wrong=wrong), EXPOSURE, COLOURED) for seed in range(60)]
    pull = np.array([off(each) / each.error for each in found])
    tilt = np.array([(each.colour_term - COLOUR_TERM) / each.colour_term_error for each in found])
    # A width from 60 is known to 9 percent. Catalogue errors in the colour flatten the slope by 0.1 percent.
    assert pull.std() == pytest.approx(1, abs=0.27)
    assert tilt.std() == pytest.approx(1, abs=0.27)
    assert abs(pull.mean()) < 4 / np.sqrt(60)
    assert np.mean(np.abs(tilt) < 2) > 0.88
    assert np.std([off(each) for each in found]) < 0.0045


def test_intrinsic_scatter_is_separated_from_noise():
    found = fit_zero_point(*field_of_stars(3, n=500, faintest=18.5), EXPOSURE, COLOURED)
    assert found.intrinsic_scatter == pytest.approx(0.02, abs=0.002)
    assert found.scatter > found.intrinsic_scatter


def test_faint_stars_do_not_bias_the_zero_point():
    # Signal-to-noise ratios of 14: weights of measured fluxes would favour those that came out bright, by 0.01 mag.
    differences = []
    for seed in range(12):
        table, catalog, _ = field_of_stars(seed, n=400, scatter=0, error=0.003)
        faint = faint_field(np.random.default_rng(seed), table, catalog, 20.8)
        differences.append(off(fit_zero_point(*faint, EXPOSURE, FilterRule("r"), PhotometryOptions(minimum_snr=5))))
    assert abs(np.mean(differences)) < 0.005


def faint_field(rng, table, catalog, brightest):
    """Make all stars equally faint, without a colour term, except a few for the aperture corrections."""
    n = len(table)
    r = np.where(np.arange(n) < 12, 14.0, rng.uniform(brightest, brightest + 0.3, n))
    total = EXPOSURE * 10 ** (0.4 * (ZERO_POINT + COLOUR_TERM * 0.6 - r))
    noise = np.sqrt(total[:, None] * PARTS + SKY**2)
    ring = rng.normal(0, np.sqrt(np.diff(noise**2, axis=1, prepend=0)))
    table["FLUX_APER"], table["FLUXERR_APER"] = total[:, None] * PARTS + ring.cumsum(axis=1), noise
    faint = np.arange(12, n)
    return table, make_catalog("faint", *on_the_sky(table), {"r": r}), (faint, faint)


def test_faint_stars_are_compared_in_a_small_aperture_and_bright_ones_in_a_large_one():
    table, catalog, _ = field_of_stars(0, n=300, scatter=0, error=0.003)
    faint = fit_zero_point(*faint_field(np.random.default_rng(0), table, catalog, 19.0), EXPOSURE, FilterRule("r"))
    assert faint.aperture in (4.0, 8.0)
    # if the sky does not matter, the best aperture is the one without a correction
    bright = field_of_stars(0, n=60, scatter=0, error=0.003, faintest=13.0)
    assert fit_zero_point(*bright, EXPOSURE, COLOURED).aperture == 18.0


def test_the_error_of_the_zero_point_includes_that_of_the_aperture_correction():
    table, catalog, matches = field_of_stars(3, scatter=0.001, error=0.001, faintest=15.0)
    noise = 0.02 * np.array(table["FLUX_APER"][:, 2])
    table["FLUX_APER"][:, 2] += np.random.default_rng(3).normal(0, noise)
    table["FLUXERR_APER"][:, 2] = noise
    found = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    assert found.aperture < 18
    # 2 percent over the root of 60
    assert found.error == pytest.approx(0.0217 / np.sqrt(60), rel=0.3)
    assert abs(off(found)) < 3 * found.error


def test_magnitudes_of_a_star_agree_in_all_apertures_and_with_the_catalogue():
    table, catalog, matches = field_of_stars(4, n=200, scatter=0.005, error=0.005, term=0.0)
    found = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    result = add_magnitudes(table, found)
    bright = catalog.magnitudes["r"] < 15
    for magnitude in (*result["MAG_APER"][bright].T, result["MAG_AUTO"][bright]):
        assert np.median(magnitude - catalog.magnitudes["r"][bright]) == pytest.approx(0, abs=0.003)
    assert result["MAG_APER"].shape == (200, 3)
    assert str(result["MAGERR_APER"].unit) == str(result["MAG_AUTO"].unit) == "mag"
    assert result["MAG_APER"].dtype == np.float32
    # 1.0857 / SNR
    expected = 1.0857 * table["FLUXERR_AUTO"] / table["FLUX_AUTO"]
    np.testing.assert_allclose(result["MAGERR_AUTO"], expected, rtol=1e-4)
    assert "MAG_AUTO" not in table.colnames


def test_a_source_without_positive_flux_has_no_magnitude():
    table, catalog, matches = field_of_stars(4)
    found = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    table["FLUX_AUTO"][3], table["FLUX_APER"][5, 0] = -10.0, 0.0
    result = add_magnitudes(table, found)
    assert np.isnan(result["MAG_AUTO"][3])
    assert np.isnan(result["MAGERR_AUTO"][3])
    assert np.isnan(result["MAG_APER"][5, 0])
    assert np.isfinite(result["MAG_APER"][5, 1])


def test_limiting_magnitude_with_pencil_and_paper():
    found = fit_zero_point(*field_of_stars(5, n=200, faintest=22.0), EXPOSURE, COLOURED)
    # S / sqrt(S + sky^2) = 5 in the smallest aperture, which holds 0.7 of the light
    light = (25 + np.sqrt(625 + 100 * SKY[0] ** 2)) / 2
    assert light / np.sqrt(light + SKY[0] ** 2) == pytest.approx(5)
    expected = ZERO_POINT + COLOUR_TERM * 0.6 - 2.5 * np.log10(light / 0.7 / EXPOSURE)
    assert found.limiting_magnitude == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("bit", [1, 4, 8, 16])
def test_flagged_stars_do_not_count(bit):
    table, catalog, matches = field_of_stars(6)
    table["FLAGS"][:20] = bit | 2
    for name in ("FLUX_APER", "FLUX_AUTO"):
        table[name][:20] *= 0.9
    found = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    assert found.number <= 40
    assert abs(off(found)) < 0.015


def test_stars_without_a_good_catalogue_magnitude_do_not_count():
    table, catalog, matches = field_of_stars(7)
    catalog.magnitudes["r"][:10] = np.nan
    catalog.errors["r"][10:20] = 0.3
    catalog.magnitudes["r"][10:20] += 0.1
    found = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    assert found.number <= 40
    assert abs(off(found)) < 0.015


def test_stars_without_a_catalogue_error_have_little_weight():
    table, catalog, matches = field_of_stars(7)
    one = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    catalog.errors["r"][:20] = np.nan
    catalog.magnitudes["r"][:20] += 0.05
    two = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    assert two.number >= one.number - 2
    assert abs(two.zero_point - one.zero_point) < 0.005
    catalog.magnitudes["r"][:20] -= 0.05
    none = fit_zero_point(table, make_catalog("c", *on_the_sky(table), catalog.magnitudes), matches, EXPOSURE, COLOURED)
    assert abs(off(none)) < 0.015
    # errors that the catalogue does not give appear as scatter
    assert none.intrinsic_scatter > one.intrinsic_scatter


def test_the_flux_of_neighbours_is_subtracted():
    table, catalog, matches = field_of_stars(8)
    extra = table[:20].copy()
    extra["XWIN_IMAGE"] += 6
    for name in ("FLUX_APER", "FLUX_AUTO"):
        extra[name] *= 0.05
    table["FLUX_APER"][:20, 2] *= 1.05
    both = Table(np.concatenate([table.as_array(), extra.as_array()]), meta=table.meta)
    found = fit_zero_point(both, catalog, matches, EXPOSURE, COLOURED)
    clean = fit_zero_point(*field_of_stars(8), EXPOSURE, COLOURED)
    assert found.number >= 55
    assert abs(found.zero_point - clean.zero_point) < 0.001


@pytest.mark.parametrize("n", [150, 400])
def test_a_crowd_has_the_zero_point_of_isolated_stars(n):
    flux, table, _ = random_crowd(7, n=n)
    catalog = make_catalog("c", *on_the_sky(table), {"r": ZERO_POINT - 2.5 * np.log10(flux / EXPOSURE)})
    found = fit_zero_point(table, catalog, (np.arange(n), np.arange(n)), EXPOSURE, FilterRule("r"))
    # 1.2 mmag too high where 400 stars keep the light of neighbours
    assert found.zero_point == pytest.approx(ZERO_POINT, abs=0.0003)
    assert found.number > 0.6 * n


def test_a_companion_resolved_only_in_the_catalogue_counts():
    table, catalog, matches = field_of_stars(8, n=80)
    companions = {band: catalog.magnitudes[band][:20] + 3 for band in "gr"}
    for name in ("FLUX_APER", "FLUX_AUTO"):
        table[name][:20] *= 1 + 10 ** (-0.4 * 3)
    more = make_catalog(
        "c",
        np.append(catalog.ra, catalog.ra[:20] + 1 / 7200),
        np.append(catalog.dec, catalog.dec[:20]),
        {band: np.append(catalog.magnitudes[band], companions[band]) for band in "gr"},
    )
    found = fit_zero_point(table, more, matches, EXPOSURE, COLOURED)
    assert found.number <= 60
    assert abs(off(found)) < 0.012


@pytest.mark.parametrize(
    ("change", "options", "rule", "term", "words"),
    [
        ({"n": 8}, {}, COLOURED, 0.0, "no colour term: 8 stars have a colour; at least 10 are needed"),
        ({"n": 8}, {}, FilterRule("r", ("g", "r"), 0.08), 0.08, "colour term from the configuration: 8 stars have a"),
        ({"width": 0.02}, {}, COLOURED, 0.0, "no colour term: the standard deviation of the colours is only 0.0"),
        (
            {},
            {"fit_colour_term": False},
            FilterRule("r", ("g", "r"), 0.05),
            0.05,
            "configuration: fit_colour_term is false",
        ),
        ({}, {}, FilterRule("r", ("g", "i")), 0.0, "no colour term: 0 stars have a colour"),
        ({}, {}, FilterRule("r"), 0.0, "band r"),
    ],
)
def test_the_colour_term_if_it_cannot_or_must_not_be_fitted(change, options, rule, term, words):
    found = fit_zero_point(*field_of_stars(9, **change), EXPOSURE, rule, PhotometryOptions(**options))
    assert (found.colour_term, found.colour_term_error) == (term, 0)
    assert words in found.status
    assert abs(off(found)) < 0.03
    assert (found.colour == "g - r") == (term != 0)


def test_three_stars_are_enough_and_two_are_not():
    three = fit_zero_point(*field_of_stars(2, n=3, scatter=0.005), EXPOSURE, COLOURED)
    assert three.number == 3
    assert 0.005 < three.error < 0.1
    two = fit_zero_point(*field_of_stars(2, n=2), EXPOSURE, COLOURED)
    assert np.isnan(two.zero_point)
    assert two.status == "no zero point: 2 of 2 matched stars are usable; at least 3 are needed"


def test_the_status_says_what_is_missing():
    table, catalog, matches = field_of_stars(2)
    for arguments, words in [
        ((catalog, matches, EXPOSURE, None), "filter 'H-alpha' is not in the configuration"),
        ((None, matches, EXPOSURE, COLOURED), "no reference stars"),
        ((replace(catalog, magnitudes={}), matches, EXPOSURE, COLOURED), "refcat2.ecsv has no magnitudes"),
        ((catalog, None, EXPOSURE, COLOURED), "the frame has no astrometric solution"),
        ((catalog, matches, EXPOSURE, FilterRule("z")), "refcat2.ecsv has no band 'z'; its bands are g, r"),
        ((catalog, matches, 0.0, COLOURED), "the exposure time is 0.0 s"),
        ((catalog, matches, np.nan, COLOURED), "the exposure time is nan s"),
        ((catalog, (matches[0][:0], matches[1][:0]), EXPOSURE, COLOURED), "0 of 0 matched stars are usable"),
    ]:
        found = fit_zero_point(table, *arguments, filter_name="H-alpha")
        assert found.status.startswith(f"no zero point: {words}")
        assert np.isnan(found.zero_point)
        assert np.isfinite(found.corrections.values).all()
        result = add_magnitudes(table, found)
        assert np.isnan(result["MAG_AUTO"]).all()
        assert np.isnan(result["MAG_APER"]).all()
        assert list(make_keywords(found))[:2] == ["ZPSTAT", "APNSTAR"]


def spoil_nan(table):
    table["FLUX_APER"][:] = np.nan


def spoil_errors(table):
    table["FLUXERR_APER"][:] = np.nan


def spoil_flags(table):
    table["FLAGS"] |= 4


def spoil_flux(table):
    table["FLUX_APER"] *= -1


def spoil_zero_errors(table):
    table["FLUXERR_APER"][:] = 0


@pytest.mark.parametrize("spoil", [spoil_nan, spoil_errors, spoil_flags, spoil_flux, spoil_zero_errors])
@pytest.mark.filterwarnings("error")
def test_bad_tables_raise_nothing(spoil):
    table, catalog, matches = field_of_stars(2)
    spoil(table)
    found = fit_zero_point(table, catalog, matches, EXPOSURE, COLOURED)
    assert found.status
    add_magnitudes(table, found)
    set_cards(fits.Header(), make_keywords(found))


@pytest.mark.filterwarnings("error")
def test_an_empty_table_gets_columns_of_magnitudes():
    table, catalog, matches = field_of_stars(2)
    found = fit_zero_point(table[:0], catalog, (matches[0][:0], matches[1][:0]), EXPOSURE, COLOURED)
    assert add_magnitudes(table[:0], found)["MAG_APER"].shape == (0, 3)


def test_the_same_frame_has_the_same_numbers():
    assert fit_zero_point(*field_of_stars(3), EXPOSURE, COLOURED) == fit_zero_point(
        *field_of_stars(3), EXPOSURE, COLOURED
    )


def test_keywords_survive_a_fits_header():
    found = fit_zero_point(*field_of_stars(3), EXPOSURE, COLOURED)
    header = fits.Header()
    set_cards(header, make_keywords(found))
    back = fits.Header.fromstring(header.tostring())
    assert back["ZP"] == pytest.approx(found.zero_point, abs=1e-4)
    assert back["ZPERR"] == pytest.approx(found.error, rel=1e-4)
    assert back["ZPSTAT"] == found.status
    assert (back["ZPCOLOR"], back["ZPBAND"], back["ZPNSTAR"]) == ("g - r", "r", found.number)
    assert back["APCOR1"] == pytest.approx(2.5 * np.log10(0.7), abs=0.005)
    assert back["APCORK"] == pytest.approx(2.5 * np.log10(0.97), abs=0.001)
    assert all(len(key) <= 8 for key in back)


@pytest.mark.parametrize(
    ("key", "value"),
    [("minimum_snr", 0), ("clip", "3"), ("resamples", 10.5), ("seed", -1), ("fit_colour_term", 1), ("clip", np.nan)],
)
def test_wrong_options_are_named(key, value):
    with pytest.raises(ConfigurationError, match=rf"photometry.{key} is .*expected"):
        PhotometryOptions(**{key: value})
