"""Blind solving passes positions to solve-field, checks its result, and reports failures."""

import shutil
import stat
import sys
from pathlib import Path

import pytest
from astropy.io import fits
from astropy.table import Table
from nightcal.measurement.astrometry.blind import solve_blind
from nightcal.measurement.star_catalog import StarCatalog, read_bundled_stars
from sky_fields import simulate

INDEXES = Path("/usr/share/astrometry")
"""Where Debian's astrometry-data-tycho2-10-19 puts the stars of solve-field."""

PROGRAM = """#!{python} -SE
import sys
from pathlib import Path

Path("{folder}/arguments").write_text(" ".join(sys.argv[1:]))
Path("{folder}/sources.fits").write_bytes(Path(sys.argv[-1]).read_bytes())
{action}
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Put a stand-in for solve-field on the path that does something and ends."""

    def put(action):
        path = tmp_path / "bin" / "solve-field"
        path.parent.mkdir()
        path.write_text(PROGRAM.format(python=sys.executable, folder=tmp_path, action=action))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(path.parent))

    return put


@pytest.fixture(scope="module")
def field():
    return simulate(31, 30, stars=200)


def answer(wcs, folder):
    """Write a WCS as solve-field does; return the code by which the stand-in delivers it."""
    fits.PrimaryHDU(header=wcs.to_header()).writeto(folder / "answer.fits")
    return f"Path(sys.argv[-1]).with_suffix('.wcs').write_bytes(Path('{folder}/answer.fits').read_bytes())"


def test_the_result_of_solve_field_is_refined(tmp_path, program, field):
    rough = field.wcs.deepcopy()
    rough.wcs.crpix += 1.5
    program(answer(rough, tmp_path))
    solution = solve_blind(field.table, field.shape, field.catalog, epoch=2016.0, scale=field.scale)
    assert solution.solved, solution.status
    assert field.error(solution.wcs) < 0.05
    arguments = (tmp_path / "arguments").read_text()
    assert f"--scale-low {0.9 * field.scale:.6g}" in arguments
    assert "--width 2048 --height 2048" in arguments
    assert "--cpulimit 60 " in arguments
    given = Table.read(tmp_path / "sources.fits")
    assert given.colnames == ["X", "Y", "FLUX"]
    assert len(given) == 200
    assert given["FLUX"][0] == field.table["FLUX_AUTO"].max()


def test_a_wrong_result_of_solve_field_is_rejected(tmp_path, program, field):
    wrong = field.wcs.deepcopy()
    wrong.wcs.crval += 0.2
    program(answer(wrong, tmp_path))
    assert solve_blind(field.table, field.shape, field.catalog).status.startswith("not solved: ")


@pytest.mark.parametrize(
    ("action", "words"),
    [
        ("", "solve-field found no match"),
        ("sys.exit(3)", "solve-field found no match (exit status 3)"),
        ("Path(sys.argv[-1]).with_suffix('.wcs').write_bytes(b'garbage' * 1000)", "solve-field found no match"),
    ],
)
def test_a_failure_of_solve_field_is_reported(program, field, action, words):
    program(action)
    assert solve_blind(field.table, field.shape, field.catalog).status == f"not solved: {words}"


def test_a_missing_program_or_too_few_sources_are_reported(tmp_path, monkeypatch, program, field):
    monkeypatch.setenv("PATH", str(tmp_path))
    catalog: StarCatalog = field.catalog
    status = solve_blind(field.table, field.shape, catalog).status
    assert status == "not solved: solve-field of astrometry.net is not installed"
    program("")
    assert solve_blind(field.table[:3], field.shape, catalog).status == "not solved: too few sources for solve-field"


@pytest.mark.skipif(
    shutil.which("solve-field") is None or not any(INDEXES.glob("index-tycho2-10*.fits")),
    reason="needs the Debian packages astrometry.net and astrometry-data-tycho2-10-19",
)
@pytest.mark.parametrize(("ra", "dec"), [(300.0, 35.0), (120.0, -20.0)])
def test_the_real_solve_field_solves_a_wide_field_without_pointing(ra, dec):
    field = simulate(17, 100, catalog=read_bundled_stars(), ra=ra, dec=dec)
    solution = solve_blind(field.table, field.shape, field.catalog, epoch=2016.0, scale=1.02 * field.scale)
    assert solution.solved, solution.status
    assert field.error(solution.wcs) < 0.05
