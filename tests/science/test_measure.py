"""Calibrated frames are measured step by step, and agree with the simulated sky."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from helpers import REPOSITORY
from nightcal.config import select_measurements
from nightcal.errors import ConfigurationError
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.io.product import Product
from nightcal.measurement.astrometry.pointing import Hint
from nightcal.measurement.frame import FrameInfo
from nightcal.measurement.star_catalog.cone import round_cone
from nightcal.science.empty_product import make_empty_product
from nightcal.science.measure import measure, measure_empty, read_measurements
from nightcal.simulation.sky import CENTRE, PASSBANDS, SCALE, make_camera_wcs, make_sky

SHAPE = (380, 500)
EXPOSURE = 100.0
EVERYTHING = {
    "cosmic_rays": {},
    "sources": {},
    "astrometry": {},
    "photometry": {"filters": {"R": {"band": "r", "colour": ["g", "r"]}}},
}
KNOWN = FrameInfo(
    exposure_time=EXPOSURE,
    epoch=2024.17,
    filter="R",
    gain=2.0,
    hint=Hint(CENTRE[0] + 0.01, CENTRE[1], SCALE * 1.01, "cards"),
)


@pytest.fixture(scope="module")
def sky():
    return make_sky(SHAPE, 150, np.random.default_rng(5))


@pytest.fixture(scope="module")
def catalog(sky, tmp_path_factory):
    path = tmp_path_factory.mktemp("stars") / "stars.csv"
    sky.write_catalog(path, np.random.default_rng(6))
    return path


@pytest.fixture(scope="module")
def hits():
    rng = np.random.default_rng(7)
    return tuple(rng.integers(5, n - 5, 40) for n in SHAPE)


@pytest.fixture(scope="module")
def frame(sky, hits):
    """Simulate a calibrated frame with 40 cosmic rays of one pixel, in electrons."""
    rng = np.random.default_rng(8)
    light = (sky.render("R", CENTRE, 3.0) + 4.0) * EXPOSURE
    data = rng.poisson(light) + rng.normal(0, 6, SHAPE)
    data[hits] += 3000
    return data.astype(np.float32), np.sqrt(np.maximum(data, 0) + 36).astype(np.float32)


def product(frame, unit="electron", **cards):
    data, uncertainty = frame
    scale = np.float32(1 if unit == "electron" else 1 / KNOWN.gain)
    mask = np.zeros(SHAPE, np.int16)
    return Product(data * scale, uncertainty * scale, mask, unit, fits.Header(cards))


@pytest.fixture(scope="module")
def measured(frame, catalog):
    return measure(product(frame), KNOWN, read_measurements(EVERYTHING, [catalog]))


def test_all_measurements_are_in_header_and_table(measured):
    image, table = measured
    header = image.header
    assert header["WCSSTAT"].startswith("solved")
    assert header["NSOURCES"] == len(table) > 80
    assert header["FWHM"] == pytest.approx(3.0, abs=0.1)
    assert header["SKYLEVEL"] == pytest.approx(4.0 * EXPOSURE, rel=0.01)
    passband = PASSBANDS["R"]
    expected = passband.zero_point + passband.colour_term * header["ZPCMEAN"]
    assert header["ZP"] == pytest.approx(expected, abs=4 * header["ZPERR"])
    assert header["ZPERR"] < 0.01
    assert {"ALPHAWIN_J2000", "MAG_AUTO", "FLUX_APER"} <= set(table.colnames)


def test_the_wcs_agrees_with_the_truth(measured):
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(0, SHAPE[1] - 1, 7), np.linspace(0, SHAPE[0] - 1, 7)))
    there = make_camera_wcs(SHAPE, CENTRE).all_world2pix(*WCS(measured[0].header).all_pix2world(x, y, 0), 0)
    assert np.sqrt(np.mean((there[0] - x) ** 2 + (there[1] - y) ** 2)) < 0.1


def test_cosmic_rays_are_flagged_in_an_unchanged_image(measured, frame, hits):
    image, _ = measured
    assert (image.mask[hits] & Flag.COSMIC_RAY > 0).mean() > 0.9
    np.testing.assert_array_equal(image.data, frame[0])


@pytest.mark.parametrize(("unit", "gain"), [("electron", 1.0), ("adu", 1.7)])
def test_cleaning_replaces_cosmic_rays_and_no_other_pixel(frame, hits, unit, gain):
    raw = product(frame, unit)
    image, table = measure(raw, replace(KNOWN, gain=gain), read_measurements({"cosmic_rays": {"clean": True}}))
    found = image.mask & Flag.COSMIC_RAY > 0
    assert table is None
    np.testing.assert_array_equal(image.data[~found], raw.data[~found])
    assert np.median(image.data[hits]) == pytest.approx(np.median(raw.data), rel=0.1)
    assert image.data.dtype == np.float32


def test_a_frame_in_adu_gives_the_same_sources_and_zero_point(measured, frame, catalog):
    image, table = measure(product(frame, "adu"), KNOWN, read_measurements(EVERYTHING, [catalog]))
    assert image.header["ZP"] == measured[0].header["ZP"]
    np.testing.assert_array_equal(table["FLUX_AUTO"], measured[1]["FLUX_AUTO"])
    np.testing.assert_array_equal(image.data, frame[0] / np.float32(2))


def test_a_step_that_is_switched_off_leaves_no_trace(frame, catalog):
    image, table = measure(product(frame), KNOWN, read_measurements({"sources": {}}, [catalog]))
    assert not image.mask.any()
    assert not {"WCSSTAT", "ZPSTAT", "CRSTAT"} & set(image.header)
    assert not {"ALPHAWIN_J2000", "MAG_AUTO"} & set(table.colnames)


def test_without_sources_the_header_explains_missing_measurements(frame):
    sections = {name: section for name, section in EVERYTHING.items() if name in ("astrometry", "photometry")}
    image, table = measure(product(frame, ZP=99.0, WCSSTAT="solved: elsewhere"), KNOWN, read_measurements(sections))
    assert table is None
    assert image.header["WCSSTAT"] == "not solved: source detection is switched off"
    assert image.header["ZPSTAT"] == "no zero point: source detection is switched off"
    assert "ZP" not in image.header


def test_without_reference_stars_the_header_explains_the_missing_wcs(frame):
    image, table = measure(product(frame), KNOWN, read_measurements(EVERYTHING))
    assert image.header["WCSSTAT"].startswith("not solved: ")
    assert "bundled bright stars" in image.header["WCSSTAT"]
    assert image.header["ZPSTAT"] == "no zero point: the frame has no astrometric solution"
    assert len(table) > 80
    assert np.isnan(table["ALPHAWIN_J2000"]).all()
    assert np.isnan(table["MAG_AUTO"]).all()


@pytest.fixture
def raw_wcs():
    """The WCS of a raw frame, off by 20 pixels."""
    header = make_camera_wcs(SHAPE, CENTRE).to_header(relax=True)
    header["CRPIX1"] += 20.0
    return dict(header)


def median_shift(table, other):
    """Median distance between the positions of the same sources in two tables [pix]."""
    here, there = (SkyCoord(t["ALPHAWIN_J2000"], t["DELTAWIN_J2000"]) for t in (table, other))
    return np.median(here.separation(there).arcsec) / SCALE


def test_without_reference_stars_the_raw_wcs_gives_positions(frame, raw_wcs, measured):
    image, table = measure(product(frame, **raw_wcs), KNOWN, read_measurements(EVERYTHING))
    assert image.header["WCSSTAT"].startswith("not solved: ")
    assert image.header["WCSSRC"] == "raw frame"
    assert median_shift(table, measured[1]) == pytest.approx(20, abs=0.5)
    assert np.isnan(table["MAG_AUTO"]).all()


def test_reference_stars_replace_the_raw_wcs(frame, raw_wcs, catalog, measured):
    image, table = measure(product(frame, **raw_wcs), KNOWN, read_measurements(EVERYTHING, [catalog]))
    assert image.header["WCSSRC"] == "reference stars"
    assert median_shift(table, measured[1]) < 0.01


def test_a_raw_wcs_of_another_place_is_not_used(frame, raw_wcs):
    image, table = measure(product(frame, **raw_wcs | {"CRVAL1": 10.0}), KNOWN, read_measurements(EVERYTHING))
    assert image.header["WCSSRC"] == "none"
    assert any(text.startswith("raw WCS not used: its centre is ") for text in read_warnings(image.header))
    assert np.isnan(table["ALPHAWIN_J2000"]).all()


def test_a_missing_program_for_blind_solving_is_named_in_the_header(frame, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    image, _ = measure(product(frame), KNOWN, read_measurements(EVERYTHING | {"astrometry": {"blind": True}}))
    assert "bundled bright stars" in image.header["WCSSTAT"]
    assert image.header["WCSSTAT"].endswith("; blind: solve-field of astrometry.net is not installed")


def test_measurements_of_the_raw_header_are_removed(frame, catalog):
    raw = {"ZP": 99.0, "ZPERR": 0.001, "FWHM": 77.0, "SEEING": 5.0, "APCOR9": 1.0, "SRCSTAT": "fine"}
    no_filter = {**EVERYTHING, "photometry": {}}
    dark = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    image, _ = measure(product(dark, **raw), KNOWN, read_measurements(no_filter, [catalog]))
    assert not {"ZP", "ZPERR", "FWHM", "SEEING", "APCOR9"} & set(image.header)
    assert image.header["SRCSTAT"] != "fine"


@pytest.mark.parametrize("names", [["sources"], ["sources", "astrometry"], list(EVERYTHING)])
def test_the_table_of_an_empty_product_has_the_usual_columns(names, measured):
    sections = {name: EVERYTHING[name] for name in names} | {"sources": {"apertures": [2.0, 5.0]}}
    steps = read_measurements(sections)
    empty = measure_empty(make_empty_product(Path("a.fits"), "truncated"), steps)
    _, table = measure(Product(*np.zeros((2, 20, 20), np.float32), np.ones((20, 20), np.int16), "adu", fits.Header()),
                       KNOWN, steps)  # fmt: skip
    assert len(empty) == 0
    assert [(column.name, column.dtype, column.shape) for column in empty.itercols()] == [
        (column.name, column.dtype, column.shape) for column in table.itercols()
    ]
    assert set(empty.colnames) <= set(measured[1].colnames)


@pytest.fixture(scope="module")
def fields(catalog, tmp_path_factory):
    """Write the stars of the frame's own field, and of a neighbouring field with only the western half of them."""
    folder, stars = tmp_path_factory.mktemp("fields"), Table.read(catalog)
    own, beside = (round_cone(CENTRE[0] + away, CENTRE[1], 0.5) for away in (0.01, -0.2))
    assert beside.name_file("gaia", 19) < own.name_file("gaia", 19)
    paths = [folder / cone.name_file("gaia", 19) for cone in (own, beside)]
    stars.write(paths[0])
    stars[stars["ra"] < CENTRE[0]].write(paths[1])
    return paths


def test_a_frame_is_matched_to_the_stars_of_its_own_field(frame, fields):
    steps = read_measurements(EVERYTHING, fields=fields)
    image, _ = measure(product(frame), KNOWN, steps.for_frame(KNOWN))
    assert image.header["WCSCAT"] == fields[0].name


def test_the_provenance_of_a_frame_does_not_depend_on_its_batch(catalog, fields):
    both = {**EVERYTHING, "photometry": {"filters": {"R": {"band": "r", "colour": ["g", "r"]}, "V": {"band": "V"}}}}
    alone, together = (
        read_measurements(EVERYTHING, [catalog], None, fields[:1]),
        read_measurements(both, [catalog], None, fields),
    )
    assert alone.for_frame(KNOWN).origin == together.for_frame(KNOWN).origin
    assert together.for_frame(replace(KNOWN, filter="V")).origin != together.for_frame(KNOWN).origin


def test_column_names_apply_to_the_observers_own_stars(catalog, fields, tmp_path):
    own = Table.read(catalog)
    own.rename_columns(["ra", "dec"], ["alpha", "delta"])
    own.write(tmp_path / "own.csv")
    steps = read_measurements(EVERYTHING, [tmp_path / "own.csv"], {"ra": "alpha", "dec": "delta"}, fields)
    assert len(steps.stars[0]) == len(steps.fields[fields[0].name])


def test_the_shipped_configuration_knows_common_filter_names():
    shipped = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    names = {"V", "gp", "SDSS-R", "g-Sloan", "Ic"}
    rules = (
        read_measurements({"photometry": select_measurements(shipped, names)["photometry"]})
        .options["photometry"]
        .filters
    )
    assert {name: rule.band for name, rule in rules.items()} == {
        "V": "V", "gp": "g", "SDSS-R": "r", "g-Sloan": "g", "Ic": "i"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sections", "expected_words"),
    [
        ({"sources": 3}, "sources is 3; expected its options by name"),
        ({"cosmics": {}}, "unknown step cosmics; expected one of trails, cosmic_rays, sources, astrometry, photometry"),
        ({"sources": {"threshold": -1}}, "sources.threshold is -1"),
        ({"sources": {"treshold": 3}}, "sources.treshold is not a known key; expected threshold, minimum_area"),
        ({"astrometry": {"distortion": 7}}, "astrometry.distortion is 7; expected 1, 2 or 3"),
        (
            {"photometry": {"filters": {"V": {"band": "V", "color": []}}}},
            "photometry.filters.V.color is not a known key",
        ),
        ({"photometry": {"filters": {"V": {}}}}, "photometry.filters.V.band is missing"),
    ],
)
def test_a_wrong_option_is_named(sections, expected_words):
    with pytest.raises(ConfigurationError) as mistake:
        read_measurements(sections)
    assert expected_words in str(mistake.value)
