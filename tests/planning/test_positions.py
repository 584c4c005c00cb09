"""How many frames have positions, and the command that gets the others some."""

import shlex
from pathlib import Path

import pytest
import yaml
from astropy.table import Table
from nightcal.measurement.astrometry import solve
from nightcal.measurement.star_catalog import read_bundled_stars
from nightcal.planning.positions import Positions, count_positions, describe_positions, write_fetch_command

SOLVED = {"WCSSRC": "reference stars", "WCSSTAT": "solved: 143 stars of refcat2.ecsv, rms 0.21 arcsec"}
LOST = {"WCSSRC": "none", "WCSSTAT": "not solved: no pointing in the header"}


@pytest.fixture(scope="module")
def narrow():
    """What a frame of 11 arcmin without own stars says."""
    table = Table({name: [float(n) for n in range(20)] for name in ("XWIN_IMAGE", "YWIN_IMAGE", "FLUX_AUTO")})
    solution = solve(table, (1000, 1000), read_bundled_stars(), (250.42, 36.46), 0.66)
    return {"WCSSRC": "none", "WCSSTAT": solution.status}


def test_nothing_is_said_where_all_frames_are_solved_or_none_was_measured():
    assert describe_positions(count_positions([SOLVED, SOLVED])) == ""
    assert describe_positions(count_positions([{}, {"EMPTY": "torn", "WCSSRC": "none"}])) == ""


def test_a_narrow_field_needs_stars(narrow):
    line = describe_positions(count_positions([narrow] * 12), "fetch them")
    assert line == "0 of 12 frames have positions: the field of 11 arcmin needs stars; once, with a network: fetch them"


def test_positions_of_the_raw_frame_are_told_from_those_of_stars(narrow):
    found = count_positions([narrow | {"WCSSRC": "raw frame"}, narrow, SOLVED])
    assert found == Positions(3, 1, 1, narrow["WCSSTAT"].removeprefix("not solved: "), 11)
    start = "2 of 3 frames have positions, 1 of them only from the WCS of the raw frame: the field of 11 arcmin needs"
    assert describe_positions(found).startswith(start)


def test_any_other_reason_is_given_as_it_is():
    line = describe_positions(count_positions([LOST, LOST, SOLVED]), "fetch them")
    assert line == "1 of 3 frames have positions: no pointing in the header"


def test_the_command_repeats_what_was_given():
    given = {"raw": "/my night", "night": 20240301, "catalog": {"faintest": 17}, "strict": True}
    command = write_fetch_command(given, "gaia", [Path("mine.yaml")], Path("/src/Snakefile"))
    words = shlex.split(command.partition("; then ")[0])
    assert words[:8] == ["snakemake", "fetch_stars", "--cores", "1", "--snakefile", "/src/Snakefile", "--configfile",
                         "mine.yaml"]  # fmt: skip
    assert words[8] == "--config"
    read = {key: yaml.safe_load(value) for key, _, value in (word.partition("=") for word in words[9:])}
    assert read == given | {"catalog": {"faintest": 17, "download": "gaia"}}


def test_the_command_installs_what_is_missing():
    installed = write_fetch_command({"raw": "raw"}, "refcat2", package=Path("nightcal"))
    assert installed.startswith("pip install 'nightcal[catalogs]' && snakemake fetch_stars")
    command = write_fetch_command({"raw": "raw"}, "refcat2", package=Path("/src"))
    assert command == (
        "pip install --editable '/src[catalogs]' && snakemake fetch_stars --cores 1 --config raw=raw"
        " 'catalog={download: refcat2}'; then run again with that --config"
    )
