"""Frames are solved, or the reason is given."""

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.errors import ConfigurationError
from nightcal.measurement.astrometry import AstrometryOptions, add_positions, make_keywords, solve, verify
from nightcal.measurement.star_catalog import BUNDLED_NAME, StarCatalog, read_bundled_stars
from sky_fields import beside, simulate, tangent

EVERY = 5  # of the 40 fields; 1 for all of them
SIZES = np.geomspace(10, 120, 40)  # [arcmin]
NUMBERS = (30, 80, 300, 1500)


def a_field(number, **more):
    return simulate(number, SIZES[number], stars=NUMBERS[number % 4], **more)


def solved(field, number=0, catalog=None, scale_error=0.01, **options):
    scale = field.scale * (1 + scale_error * (1 if number % 2 else -1))
    catalog = field.catalog if catalog is None else catalog
    return solve(field.table, field.shape, catalog, beside(field, number), scale, AstrometryOptions(**options), 2016.0)


@pytest.mark.parametrize("number", range(0, 40, EVERY))
def test_a_field_of_any_size_rotation_and_parity_is_solved(number):
    field = a_field(number)
    solution = solved(field, number)
    assert solution.solved, solution.status
    assert field.error(solution.wcs) < 0.05
    assert solution.mirrored == (np.linalg.det(field.wcs.pixel_scale_matrix) > 0)
    assert solution.scale == pytest.approx(field.scale, rel=1e-3)


@pytest.mark.parametrize("number", range(1, 40, 4 * EVERY))
def test_stars_of_another_field_are_rejected(number):
    field = a_field(number)
    ra, dec = field.wcs.wcs.crval
    other = simulate(1000 + number, SIZES[number], stars=NUMBERS[number % 4], ra=ra, dec=dec).catalog
    solution = solved(field, number, other)
    assert not solution.solved
    assert solution.status.startswith("not solved: ")


@pytest.mark.parametrize("number", range(3))
def test_distortion_is_fitted_if_there_are_many_stars(number):
    field = simulate(100 + number, 30, stars=(120, 300, 1500)[number], bend=0.002)
    solution = solved(field, number)
    assert solution.sip_order == 3
    assert field.error(solution.wcs) < 0.1
    straight = solved(field, number, distortion=1)
    assert not straight.solved or field.error(straight.wcs) > 0.3


def test_the_reference_pixel_is_the_centre_of_the_frame():
    wcs = solved(simulate(101, 30, stars=300, bend=0.002)).wcs
    np.testing.assert_allclose(wcs.wcs.crpix, 1024.5, atol=2e-6)


@pytest.mark.parametrize(("stars", "highest"), [(45, 2), (24, 1)])
def test_order_3_needs_50_matches_and_order_2_needs_30(stars, highest):
    solution = solved(simulate(120, 30, stars=stars, bend=0.002, missing=0, spurious=0))
    assert solution.solved, solution.status
    assert len(solution.matches[0]) < {2: 50, 1: 30}[highest]
    assert solution.sip_order <= highest


def test_with_fewer_than_12_stars_the_scale_is_the_same_in_all_directions():
    solution = solved(simulate(3, 20, stars=8, missing=0, spurious=0))
    assert 6 <= solution.number < 12
    (a, b), (c, d) = solution.wcs.wcs.cd
    assert np.hypot(a, c) == pytest.approx(np.hypot(b, d), rel=1e-9)
    assert a * b + c * d == pytest.approx(0, abs=1e-9 * abs(a * d - b * c))


@pytest.mark.parametrize(
    ("option", "reason"),
    [({"largest_rms": 0.01}, "has an rms of 0.0"), ({"largest_chance": 0.0}, "may be a coincidence")],
)
def test_a_match_beyond_the_limits_is_rejected(option, reason):
    assert reason in solved(simulate(3, 20, stars=100), **option).status


def test_no_distortion_is_fitted_to_an_undistorted_field():
    assert all(solved(simulate(seed, 20, stars=300)).sip_order == 1 for seed in (50, 51, 52))


@pytest.mark.parametrize(("ra", "dec"), [(200, -89), (0, 90), (359.99, -0.01)])
def test_fields_at_the_poles_and_right_ascension_0_are_solved(ra, dec):
    field = simulate(7, 30, stars=100, ra=ra, dec=dec)
    solution = solved(field)
    assert field.error(solution.wcs) < 0.05
    add_positions(field.table, solution)
    assert field.table["ALPHAWIN_J2000"].min() >= 0
    assert field.table["ALPHAWIN_J2000"].max() < 360


@pytest.mark.parametrize("number", range(0, 5, 2))
def test_a_wide_field_is_solved_with_the_bundled_stars(number):
    ra, dec = [(84, 22), (300, 40), (130, -45), (5, 60), (266, -29)][number]
    field = simulate(400 + number, 90, catalog=read_bundled_stars(), ra=ra, dec=dec)
    solution = solved(field, number)
    assert solution.solved, solution.status
    assert field.error(solution.wcs) < 0.1


def test_a_narrow_field_without_bundled_stars_says_what_to_do():
    solution = solved(simulate(1, 12, stars=100, dec=60), catalog=read_bundled_stars())
    assert not solution.solved
    assert f"of {BUNDLED_NAME} in this field of 12 arcmin; at least 6 are needed;" in solution.status
    assert "set catalog.file" in solution.status


def test_proper_motions_are_applied_up_to_the_frame():
    field = simulate(3, 20, stars=200)
    old = field.catalog
    motion = np.full(len(old), 500.0)
    moving = StarCatalog("moving", old.ra, old.dec, motion, motion, 2016.0, old.magnitudes).move_to_epoch(1996.0)
    assert field.error(solved(field, catalog=moving).wcs) < 0.05
    still = StarCatalog("still", moving.ra, moving.dec, 0 * motion, 0 * motion, 1996.0, old.magnitudes)
    assert field.error(solved(field, catalog=still).wcs) > 10


def test_matches_are_indices_of_table_and_catalogue():
    field = simulate(5, 20, stars=200)
    solution = solved(field)
    sources, stars = solution.matches
    add_positions(field.table, solution)
    rows = field.table[sources]
    east = (rows["ALPHAWIN_J2000"] - field.catalog.ra[stars]) * np.cos(np.radians(rows["DELTAWIN_J2000"]))
    apart = 3600 * np.hypot(east, rows["DELTAWIN_J2000"] - field.catalog.dec[stars])
    np.testing.assert_allclose(apart, solution.distances, atol=1e-4)
    assert len(set(sources)) == len(set(stars)) == len(sources)
    assert np.median(apart) < 0.1 * field.scale


@pytest.mark.parametrize("deeper", [-3, 3])
def test_a_catalogue_may_be_deeper_or_shallower_than_the_frame(deeper):
    field = simulate(9, 20, stars=100, deeper=deeper)
    assert field.error(solved(field).wcs) < 0.05


def test_flagged_sources_are_matched_but_not_fitted():
    field = simulate(11, 20, stars=200)
    order = np.argsort(-field.table["FLUX_AUTO"])[:20]
    field.table["FLAGS"][order] = 4
    field.table["XWIN_IMAGE"][order] += 0.8  # bleeding
    solution = solved(field)
    assert field.error(solution.wcs) < 0.05
    assert len(solution.matches[0]) > solution.number


def test_a_source_farther_than_4_sigma_from_its_star_is_matched_but_not_fitted():
    field = simulate(12, 20, stars=200, missing=0, spurious=0)
    field.table["XWIN_IMAGE"][np.argmax(field.table["FLUX_AUTO"])] += 0.8
    solution = solved(field)
    assert solution.number == len(solution.matches[0]) - 1


def test_the_solution_does_not_depend_on_the_order_of_sources():
    field = simulate(13, 20, stars=200, bend=0.002)
    one = solved(field)
    field.table.reverse()
    other = solved(field)
    np.testing.assert_array_equal(one.wcs.wcs.cd, other.wcs.wcs.cd)
    np.testing.assert_array_equal(one.wcs.sip.a, other.wcs.sip.a)
    assert make_keywords(one) == make_keywords(other)


def empty_table(rows=0):
    columns = {"XWIN_IMAGE": np.full(rows, np.nan), "YWIN_IMAGE": np.full(rows, np.nan), "FLUX_AUTO": np.ones(rows)}
    return Table(columns)


@pytest.mark.parametrize(
    ("table", "pointing", "scale", "words"),
    [
        (empty_table(), (10.0, 20.0), 1.0, "not solved: only 0 sources; at least 6 are needed"),
        (empty_table(9), (10.0, 20.0), 1.0, "not solved: only 0 sources; at least 6 are needed"),
        (Table(), (10.0, 20.0), 1.0, "not solved: only 0 sources; at least 6 are needed"),
        (empty_table(), None, 1.0, "not solved: no pointing in the header"),
        (empty_table(), (np.nan, 20.0), 1.0, "not solved: no pointing in the header"),
        (empty_table(), (10.0, 20.0), None, "not solved: no pixel scale in the header or the camera file"),
        (empty_table(), (10.0, 20.0), np.nan, "not solved: no pixel scale in the header or the camera file"),
    ],
)
def test_a_frame_without_sources_or_pointing_or_scale_says_so(table, pointing, scale, words):
    solution = solve(table, (100, 100), read_bundled_stars(), pointing, scale)
    assert solution.status.startswith(words)
    add_positions(table, solution) if "XWIN_IMAGE" in table.colnames else None
    assert make_keywords(solution)["WCSSTAT"] == solution.status


@given(
    x=st.lists(st.sampled_from([1.0, 50.0, 50.0, 99.5, 0.0, -5.0, 1e9, np.nan, np.inf]), min_size=8, max_size=8),
    ra=st.floats(0, 360),
    dec=st.floats(-90, 90),
    scale=st.floats(1e-6, 1e3),
)
@settings(max_examples=10, deadline=None)
def test_nonsense_is_rejected_with_a_reason(x, ra, dec, scale):
    table = Table({"XWIN_IMAGE": x, "YWIN_IMAGE": x[::-1], "FLUX_AUTO": np.ones(8)})
    solution = solve(table, (100, 100), read_bundled_stars(), (ra, dec), scale)
    assert solution.status.startswith("not solved: ")


def test_a_wcs_of_another_program_is_refined():
    field = simulate(17, 20, stars=200)
    rough = field.wcs.deepcopy()
    rough.wcs.crpix += 2
    solution = verify(field.table, field.shape, field.catalog, rough, epoch=2016.0)
    assert field.error(solution.wcs) < 0.05
    wrong = tangent(*field.wcs.wcs.crval, field.scale, 77, False)
    assert not verify(field.table, field.shape, field.catalog, wrong).solved


@pytest.mark.parametrize(
    ("name", "value"), [("search_radius", -1), ("distortion", 4), ("smallest_number", 2), ("largest_rms", np.nan)]
)
def test_wrong_options_raise(name, value):
    with pytest.raises(ConfigurationError, match=f"astrometry.{name} is {value}; expected"):
        AstrometryOptions(**{name: value})
