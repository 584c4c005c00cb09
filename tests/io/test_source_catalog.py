"""A catalogue comes back as it was written, and the same catalogue is the same file."""

import os
import time
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.io.votable.ucd import parse_ucd
from astropy.table import Table
from astropy.units import Unit
from nightcal.io.column_meanings import MEANINGS
from nightcal.io.keywords import copy_cards
from nightcal.io.source_catalog import read_catalog, write_catalog
from nightcal.measurement.sources import find_sources
from star_fields import grid_field


@pytest.fixture(scope="module")
def table():
    return find_sources(*grid_field(128, 32, (5000, 1e5)).arrays).table


def test_a_catalog_comes_back_with_units_and_apertures(table, tmp_path):
    write_catalog(tmp_path / "night" / "a.fits", table)
    back = read_catalog(tmp_path / "night" / "a.fits")
    assert back.colnames == table.colnames
    assert back.meta == {"APERTURES": table.meta["APERTURES"]}
    for name in table.colnames:
        np.testing.assert_array_equal(back[name], table[name])
        assert back[name].unit == table[name].unit
        assert back[name].description == table[name].description


def test_any_reader_of_fits_tables_understands_it(table, tmp_path):
    write_catalog(tmp_path / "a.fits", table, [("FWHM", 3.1, "[pix]"), ("OBJECT", "M 13", "")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = Table.read(tmp_path / "a.fits")
        str(plain)
    assert plain["FLUX_APER"].shape == (len(table), 4)
    assert plain["FLUX_AUTO"].unit == Unit("count")
    assert plain["FLUX_AUTO"].format == "{:14.2f}"
    with fits.open(tmp_path / "a.fits", checksum=True) as hdus:
        hdus.verify("exception")
        assert hdus[0].header["OBJECT"] == "M 13"
        assert hdus[1].name == "CATALOG"
        assert hdus[1].header["APER4"] == pytest.approx(table.meta["APERTURES"][3])
        for hdu in hdus:
            assert (hdu.verify_datasum(), hdu.verify_checksum()) == (1, 1)


def test_the_virtual_observatory_understands_all_columns(table, tmp_path):
    write_catalog(tmp_path / "a.fits", table)
    header = fits.getheader(tmp_path / "a.fits", 1)
    for n, name in enumerate(table.colnames, 1):
        parse_ucd(header[f"TUCD{n}"], check_controlled_vocabulary=True)
        assert header[f"TCOMM{n}"], name
        if f"TUNIT{n}" in header:
            Unit(header[f"TUNIT{n}"], format="vounit", parse_strict="raise")
            Unit(header[f"TUNIT{n}"], format="fits", parse_strict="raise")
    assert "TUNIT2" in header


def test_all_meanings_are_of_the_vocabulary():
    for ucd, _ in MEANINGS.values():
        parse_ucd(ucd, check_controlled_vocabulary=True)


def test_the_header_of_a_frame_gives_its_cards_but_not_its_shape(table, tmp_path):
    frame = fits.PrimaryHDU(np.zeros((4, 5), np.float32)).header
    frame["FILTER"], frame["CHECKSUM"] = "r", "old"
    frame["LONGTEXT"] = "x" * 100
    write_catalog(tmp_path / "a.fits", table, frame)
    header = fits.getheader(tmp_path / "a.fits")
    assert (header["NAXIS"], header["FILTER"], header["LONGTEXT"]) == (0, "r", "x" * 100)


def test_axes_that_the_raw_image_does_not_have_are_no_obstacle(table, tmp_path):
    raw = fits.Header([("NAXIS", 2), ("NAXIS1", 5), ("NAXIS2", 4), ("NAXIS4", 7), ("FILTER", "r")])
    write_catalog(tmp_path / "a.fits", table, copy_cards(raw))
    assert fits.getheader(tmp_path / "a.fits")["FILTER"] == "r"


def test_the_same_catalog_is_the_same_file(table, tmp_path):
    write_catalog(tmp_path / "a.fits", table)
    time.sleep(1.1)  # a date in seconds would show
    write_catalog(tmp_path / "b.fits", table)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_a_table_without_rows_is_a_catalog_too(table, tmp_path):
    write_catalog(tmp_path / "a.fits", table[:0])
    back = read_catalog(tmp_path / "a.fits")
    assert len(back) == 0
    assert back.colnames == table.colnames


def test_nothing_is_left_when_writing_fails(table, tmp_path):
    class Unwritable(dict):
        pass

    with pytest.raises(ValueError, match="Illegal"):
        write_catalog(tmp_path / "a.fits", table, [("KEY", Unwritable(), "")])
    assert os.listdir(tmp_path) == []
