"""Reference stars: proper motion, selection, and reading of tables."""

import builtins

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Distance, SkyCoord
from astropy.table import MaskedColumn, Table
from astropy.time import Time
from nightcal.errors import ConfigurationError
from nightcal.io.date_formats import parse_moment
from nightcal.io.header_values import mjd_to_julian_year
from nightcal.measurement.star_catalog import BUNDLED_NAME, StarCatalog, read_bundled_stars
from nightcal.measurement.star_catalog.file import read_star_catalog

STARS = {"ra": [10.0, 20.0, 359.9], "dec": [-5.0, 89.5, 0.1], "rmag": [12.0, 13.5, 14.0], "e_rmag": [0.01, 0.02, 0.03]}


def make_catalog(ra, dec, pm_ra=0.0, pm_dec=0.0, epoch=2000.0):
    ra, dec = np.atleast_1d(ra).astype(float), np.atleast_1d(dec).astype(float)
    return StarCatalog("stars", ra, dec, np.broadcast_to(pm_ra, ra.shape), np.broadcast_to(pm_dec, ra.shape), epoch)


@pytest.mark.filterwarnings("ignore::erfa.ErfaWarning")
@pytest.mark.parametrize(("ra", "dec"), [(269.45, 4.69), (0.0001, -40.0), (120.0, 89.99)])
def test_proper_motion_agrees_with_astropy(ra, dec):
    moved = make_catalog(ra, dec, -801.6, 10362.4).move_to_epoch(2025.5)
    with_astropy = SkyCoord(
        ra * u.deg,
        dec * u.deg,
        pm_ra_cosdec=-801.6 * u.mas / u.yr,
        pm_dec=10362.4 * u.mas / u.yr,
        obstime=Time(2000.0, format="jyear"),
        distance=Distance(1e4 * u.pc),
    ).apply_space_motion(Time(2025.5, format="jyear"))
    here = SkyCoord(moved.ra[0] * u.deg, moved.dec[0] * u.deg)
    assert here.separation(with_astropy).arcsec < 0.002
    assert moved.epoch == 2025.5


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
def test_a_table_saved_by_a_spreadsheet_is_read_as_plain_arrays(begin, tmp_path):
    (tmp_path / "stars.csv").write_bytes(begin + b"ra,dec,V\r\n1.5,2,3\r\n4,5,\r\n")
    catalog = read_star_catalog(tmp_path / "stars.csv")
    assert catalog.ra.tolist() == [1.5, 4.0]
    assert [type(values) for values in (catalog.ra, catalog.dec, catalog.magnitudes["V"])] == 3 * [np.ndarray]


def test_a_star_without_proper_motion_does_not_move_at_all():
    catalog = make_catalog([0.1, 359.99999], [12.3, -89.999])
    assert catalog.move_to_epoch(2030.0).ra.tolist() == catalog.ra.tolist()


def test_a_star_moves_from_the_epoch_of_its_catalogue_to_the_date_of_the_frame():
    epoch = mjd_to_julian_year(parse_moment("2026-01-01T12:00:00").mjd)
    moved = make_catalog(10.0, 20.0, pm_dec=10_000.0, epoch=2016.0).move_to_epoch(epoch)
    assert (moved.dec[0] - 20) * 3600 == pytest.approx(100, abs=0.1)  # 10 arcsec a year


def test_epochs_may_differ_from_star_to_star():
    moved = make_catalog([10, 20], [0, 0], 0, 360e3, np.array([2000.0, 2010.0])).move_to_epoch(2011.0)
    np.testing.assert_allclose(moved.dec, [1.1, 0.1], atol=1e-3)


def test_stars_within_a_radius_are_found_across_right_ascension_0_and_at_the_pole():
    catalog = make_catalog([359.95, 0.05, 10, 190], [0, 0, 89.9, 89.9])
    assert catalog.select_within(0, 0, 0.06).ra.tolist() == [359.95, 0.05]
    assert catalog.select_within(100, 90, 0.11).ra.tolist() == [10, 190]


def test_the_bundled_stars_contain_deneb_and_spica():
    stars = read_bundled_stars()
    assert stars.name == BUNDLED_NAME
    assert stars.magnitudes["G"].max() < 10
    for name, ra, dec in [("Deneb", 310.35798, 45.28034), ("Spica", 201.29825, -11.16132)]:
        near = stars.select_within(ra, dec, 0.01)
        assert near.magnitudes["G"].min() < 2, name
    assert read_bundled_stars() is stars


def test_stars_are_ranked_in_the_band_that_most_of_them_have():
    nan = np.nan
    magnitudes = {"g": np.array([1.0, nan, nan]), "V": np.array([5.0, 3.0, nan])}
    catalog = StarCatalog("", np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3), 2000.0, magnitudes)
    assert catalog.rank_magnitudes().argsort().tolist() == [1, 0, 2]


@pytest.mark.parametrize("name", ["stars.ecsv", "stars.csv", "stars.fits.gz"])
def test_a_table_of_any_format_is_read(tmp_path, name):
    Table(STARS).write(tmp_path / name)
    catalog = read_star_catalog(tmp_path / name)
    assert catalog.name == name
    np.testing.assert_allclose(catalog.dec, STARS["dec"])
    np.testing.assert_allclose(catalog.magnitudes["r"], STARS["rmag"])
    np.testing.assert_allclose(catalog.errors["r"], STARS["e_rmag"])
    assert not catalog.pm_ra.any()


def test_parquet_is_read_if_pyarrow_is_installed(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(arrow.table(STARS), tmp_path / "stars.parquet")
    np.testing.assert_allclose(read_star_catalog(tmp_path / "stars.parquet").ra, STARS["ra"])


def test_parquet_without_pyarrow_raises(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **more):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match="Parquet needs the package pyarrow"):
        read_star_catalog(tmp_path / "stars.parquet")


def test_columns_are_mapped_and_units_converted(tmp_path):
    table = Table({"a": [1.0, 2.0] * u.hourangle, "d": [600.0, 1200.0] * u.arcmin, "m": [0.5, 0.0] * u.arcsec / u.yr,
                   "n": [0.1, 0.2] * u.arcsec / u.yr, "red": [11.0, 99.0], "dred": [0.01, -1.0]})  # fmt: skip
    table.write(tmp_path / "stars.ecsv")
    columns = {"ra": "a", "dec": "d", "pm_ra": "m", "pm_dec": "n", "epoch": 2015.5}
    catalog = read_star_catalog(
        tmp_path / "stars.ecsv", columns | {"magnitudes": {"R": "red"}, "errors": {"R": "dred"}}
    )
    np.testing.assert_allclose(catalog.ra, [15, 30])
    np.testing.assert_allclose(catalog.dec, [10, 20])
    np.testing.assert_allclose(catalog.pm_ra, [500, 0])
    assert catalog.epoch == 2015.5
    np.testing.assert_allclose(catalog.magnitudes["R"], [11, np.nan])
    np.testing.assert_allclose(catalog.errors["R"], [0.01, np.nan])


def test_names_of_the_gaia_archive_are_known(tmp_path):
    table = Table({"source_id": [1, 2], "ra": [1.0, 2.0], "dec": [3.0, 4.0], "ref_epoch": [2016.0, 2016.0],
                   "pmra": MaskedColumn([5.0, 0.0], mask=[False, True]), "pmdec": [6.0, 7.0],
                   "phot_g_mean_mag": [8.0, 9.0], "phot_bp_mean_mag": [8.5, 9.5],
                   "phot_rp_mean_mag": [7.0, 8.0]})  # fmt: skip
    table.write(tmp_path / "gaia.csv")
    catalog = read_star_catalog(tmp_path / "gaia.csv")
    assert catalog.epoch == 2016.0
    assert catalog.pm_ra.tolist() == [5.0, 0.0]
    assert set(catalog.magnitudes) == {"G", "BP", "RP"}


def test_positions_may_be_written_in_hours_and_degrees(tmp_path):
    Table({"RAJ2000": ["10 00 00.0", "-"], "DEJ2000": ["-05 30 00", "-"]}).write(tmp_path / "stars.csv")
    catalog = read_star_catalog(tmp_path / "stars.csv")
    assert (catalog.ra.tolist(), catalog.dec.tolist()) == ([150.0], [-5.5])


WRONG = {
    "no such column": (STARS, {"ra": "RA2"}, "columns.ra is 'RA2'; expected one of the columns ra, dec, rmag, e_rmag"),
    "no position": (
        {"x": [1.0]},
        {},
        "no column found for ra; set catalog.columns.ra to one of x",
    ),
    "words": (STARS | {"ra": ["a", "b", "c"]}, {}, "columns.ra is the column 'ra', which contains no angles"),
    "motion without epoch": (
        STARS | {"pmra": [1.0, 2, 3]},
        {},
        "the table has proper motions but no epoch; set catalog.columns.epoch",
    ),
    "epoch": (STARS, {"epoch": 16}, "columns.epoch is 16; expected a Julian year"),
    "band": (
        STARS,
        {"errors": {"V": "e_rmag"}},
        "columns.errors has 'V'; expected one of catalog.columns.magnitudes: r",
    ),
    "magnitude": (STARS, {"magnitudes": {"V": "Vmag"}}, "columns.magnitudes.V is 'Vmag'; expected one of the columns"),
    "nothing": (STARS | {"ra": [np.nan] * 3}, {}, "none of its 3 rows has a valid position"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_raises_with_the_reason(tmp_path, case):
    columns, mapping, words = WRONG[case]
    Table(columns).write(tmp_path / "stars.ecsv")
    with pytest.raises(ConfigurationError) as refused:
        read_star_catalog(tmp_path / "stars.ecsv", mapping)
    assert words in str(refused.value)


def test_wrong_units_raise(tmp_path):
    Table({"ra": [1.0] * u.m, "dec": [2.0] * u.deg}).write(tmp_path / "stars.ecsv")
    with pytest.raises(ConfigurationError, match="the column 'ra' in m; expected a unit such as deg"):
        read_star_catalog(tmp_path / "stars.ecsv")


@pytest.mark.parametrize(("name", "words"), [("absent.fits", "which does not exist"), ("stars.txt", "named .fits")])
def test_a_missing_file_or_unknown_format_raises(tmp_path, name, words):
    with pytest.raises(ConfigurationError, match=words):
        read_star_catalog(tmp_path / name)


@pytest.mark.parametrize("name", ["stars.fits", "stars.ecsv", "stars.csv"])
def test_garbage_raises(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00garbage\n\xff" * 50)
    with pytest.raises(ConfigurationError):
        read_star_catalog(tmp_path / name)
