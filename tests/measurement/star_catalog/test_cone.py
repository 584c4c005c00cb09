"""The stars of a field are downloaded once, and a failed download leaves no file."""

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st
from nightcal.measurement.star_catalog.cone import SOURCES, Cone, NotDownloaded, download_cone, holds_field, round_cone
from nightcal.measurement.star_catalog.file import read_star_catalog
from nightcal.numerics.sphere import unit_vectors

vizier = pytest.importorskip("astroquery.vizier")
CONE = Cone(135.6, 49.8, 0.5)


class Answer:
    """Stands in for VizieR."""

    def __init__(self, tables):
        self.tables, self.asked = tables, {}

    def __call__(self, **asked):
        self.asked |= asked
        return self

    def query_region(self, centre, **asked):
        self.asked |= asked | {"centre": centre}
        if isinstance(self.tables, Exception):
            raise self.tables
        return self.tables


def stars(catalogue="refcat2"):
    source = SOURCES[catalogue]
    table = Table({name: [12.0, 11.0] for name in source.columns})
    table["RA_ICRS"], table["DE_ICRS"] = [135.7, 135.5] * u.deg, [49.8, 49.9] * u.deg
    table["pmRA"], table["pmDE"] = MaskedColumn([1.0, 2.0], mask=[True, False]) * u.mas / u.yr, [3.0, 4.0]
    return table


@pytest.mark.parametrize("catalogue", SOURCES)
def test_a_cone_is_written_as_a_table_that_can_be_read(tmp_path, monkeypatch, catalogue):
    answer = Answer([stars(catalogue)])
    monkeypatch.setattr(vizier, "Vizier", answer)
    path = tmp_path / CONE.name_file(catalogue, 18)
    assert download_cone(CONE, catalogue, path, 18) == 2
    assert answer.asked["catalog"] == SOURCES[catalogue].table
    assert answer.asked["row_limit"] == -1
    assert answer.asked["column_filters"] == {SOURCES[catalogue].bands[0]: "<18"}
    catalog = read_star_catalog(path)
    assert catalog.ra.tolist() == [135.5, 135.7]
    assert catalog.epoch == SOURCES[catalogue].epoch
    assert {name.removesuffix("mag") for name in SOURCES[catalogue].bands} == set(catalog.magnitudes)
    assert set(catalog.magnitudes) == set(catalog.errors)
    again = path.read_bytes()
    download_cone(CONE, catalogue, path, 18)
    assert path.read_bytes() == again


def test_the_columns_of_refcat2_are_in_a_real_table(data_catalogs):
    assert set(SOURCES["refcat2"].columns) <= set(Table.read(data_catalogs / "refcat2.ecsv").colnames)


@pytest.fixture
def data_catalogs():
    from helpers import REPOSITORY

    folder = REPOSITORY.parent / "shared" / "data" / "catalogs"
    if not folder.is_dir():
        pytest.skip("no real tables beside the repository (shared/data)")
    return folder


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (ConnectionError("no route"), "VizieR did not answer"),
        ([], "has no stars within 0.50 deg"),
        ([Table({"RA_ICRS": [1.0]})], "no longer has the columns DE_ICRS"),
    ],
)
def test_a_failed_download_gives_the_reason_and_leaves_no_file(tmp_path, monkeypatch, tables, words):
    monkeypatch.setattr(vizier, "Vizier", Answer(tables))
    with pytest.raises(NotDownloaded, match=words):
        download_cone(CONE, "refcat2", tmp_path / "cone.ecsv")
    assert not list(tmp_path.iterdir())


def test_an_unknown_catalogue_raises(tmp_path):
    with pytest.raises(ValueError, match="is 'usno'; expected one of gaia, refcat2"):
        download_cone(CONE, "usno", tmp_path / "cone.ecsv")


@given(ra=st.floats(0, 360), dec=st.floats(-90, 90), radius=st.floats(0.05, 3))
def test_a_rounded_cone_contains_the_cone_of_the_frame(ra, dec, radius):
    cone = round_cone(ra, dec, radius)
    here, there = (unit_vectors(np.array(a), np.array(d)) for a, d in ((ra, dec), (cone.ra, cone.dec)))
    away = np.degrees(2 * np.arcsin(min(1.0, np.linalg.norm(here - there) / 2)))
    assert away + radius <= cone.radius + 1e-6
    assert cone.radius <= radius + 0.2 + 1e-6
    assert 0 <= cone.ra < 360


def test_frames_of_one_field_share_a_cone():
    assert round_cone(135.5509, 49.8428, 0.5) == round_cone(135.5499, 49.8431, 0.5)
    assert holds_field(round_cone(135.5509, 49.8428, 0.5).name_file("gaia", 19), 135.5499, 49.8431)
    assert not holds_field(round_cone(135.5509, 49.8428, 0.5).name_file("gaia", 19), 135.7, 49.8431)
    assert round_cone(135.55, 49.84, 0.5).name_file("gaia", 19) == "gaia_135.542+49.800_0.60deg_19mag.ecsv"
