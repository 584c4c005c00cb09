"""Copies of a process that has imported Snakemake answer as new processes do."""

import pytest
from ready_snakemake import run_new_snakemake, run_snakemake


@pytest.mark.parametrize("arguments", [["--version"], ["--snakefile", "nowhere"]])
def test_a_copy_tells_what_a_new_process_tells(arguments, tmp_path):
    copy, new = (run(arguments, tmp_path) for run in (run_snakemake, run_new_snakemake))
    assert copy.stdout == new.stdout
    assert copy.stderr == new.stderr
    assert copy.returncode == new.returncode


def test_runs_know_nothing_of_each_other(tmp_path, monkeypatch):
    """Each reads its own Snakefile, in its own folder and surroundings."""
    told = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv("NAME", name)
        (folder / "Snakefile").write_text(
            "import os\nprint(os.environ['NAME'], os.getcwd(), globals().get('seen'))\nseen = 1\n"
        )
        told.append(run_snakemake(["--list-rules"], folder).stdout.splitlines()[0])
    assert told == [f"{name} {tmp_path / name} None" for name in ("first", "second")]
