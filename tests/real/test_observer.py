"""What an observer types before and after the night is reduced."""

from pathlib import Path

import pytest
from nightcal.planning.header_cache import locate_cache


@pytest.fixture(scope="module")
def raw(arcsat):
    return arcsat.raw


def files_of(out):
    return sorted(path.relative_to(out) for path in Path(out).rglob("*") if path.is_file())


def test_a_second_run_has_nothing_to_do(arcsat, snakemake):
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in arcsat.written}
    again = snakemake(raw=arcsat.raw, out=arcsat.out)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in arcsat.written} == before


def test_a_dry_run_shows_the_whole_night_before_anything_has_run(arcsat, snakemake, tmp_path):
    """``snakemake -n``, without ``--cores``."""
    out = tmp_path / "results"
    dry = snakemake("-n", raw=arcsat.raw, out=out, cores=None)
    assert dry.returncode == 0, dry.stderr[-4000:]
    assert [path for path in out.rglob("*") if path.is_file()] == [locate_cache(out, arcsat.raw)]
    for path in arcsat.written:
        assert path.name in dry.stdout


@pytest.mark.parametrize("cores", [1, None])
def test_snakemake_plan_prints_the_plan_and_makes_nothing_else(arcsat, snakemake, tmp_path, cores):
    out = tmp_path / "results"
    planned = snakemake("plan", raw=arcsat.raw, out=out, cores=cores)
    assert planned.returncode == 0, planned.stderr[-4000:]
    table = (out / arcsat.folder.name / "plan.csv").read_text(encoding="utf-8")
    assert table == (arcsat.folder / "plan.csv").read_text(encoding="utf-8")
    (line,) = [line for line in planned.stdout.splitlines() if line.split()[:2] == ["M13", "sdss_g"]]
    assert "  2  09:04-09:16  " in line
    made = [path for path in files_of(out) if "logs" not in path.parts]
    assert made == [Path(arcsat.folder.name, name) for name in ("night.yaml.template", "plan.csv")]
