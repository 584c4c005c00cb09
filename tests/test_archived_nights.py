"""`snakemake archive` fills a library that later nights use, and that leaves nothing to do for the night itself."""

from datetime import datetime

import pytest
from astropy.io import fits
from odd_night import OddNight

COUNTS = (("bias", 0.0, 5), ("dark", 100.0, 3), ("flat", 4.0, 3), ("science", 50.0, 2))


@pytest.fixture(scope="module")
def archived(tmp_path_factory, snakemake):
    """A night that is reduced and archived, and a later one of science frames alone."""
    folder = tmp_path_factory.mktemp("archive")
    settings = {
        "archive": folder / "library",
        "library": f"[{folder / 'library'}]",
        "raw": folder / "raw",
        "results": folder / "results",
    }
    night = OddNight(folder / "raw")
    for kind, exposure, count in COUNTS:
        night.take(kind, exposure, count)
    reduced = snakemake("--cores", "2", **settings)
    assert reduced.returncode == 0, reduced.stderr
    later = OddNight(folder / "later", start=datetime(2024, 3, 13, 19))
    later.take("science", 50.0, 2)
    return folder, settings, snakemake("archive", "--cores", "1", **settings)


def test_the_masters_are_in_the_library(archived):
    folder, _, done = archived
    assert done.returncode == 0, done.stderr
    assert "5 files added to" in done.stdout + done.stderr
    names = {path.name.partition("_")[0] for path in (folder / "library/20240301/masters").iterdir()}
    assert names == {"bias", "dark", "flat", "bpm", "gain"}
    assert (folder / "library/index.json").exists()


def test_the_night_does_not_compete_with_its_own_copies(archived, snakemake):
    _, settings, _ = archived
    again = snakemake("-n", **settings)
    assert again.returncode == 0, again.stderr
    assert "Nothing to be done" in again.stdout + again.stderr


def test_a_later_night_uses_them_with_the_grades_of_their_ages(archived, snakemake):
    folder, settings, _ = archived
    done = snakemake("--cores", "2", **settings | {"raw": folder / "later", "results": folder / "later_results"})
    assert done.returncode == 0, done.stderr
    header = fits.getheader(folder / "later_results/20240313/science/science_01.fits")
    assert [header[f"{step}COR"] for step in ("BIAS", "DARK", "FLAT")] == [True] * 3
    assert [header[f"{step}GRAD"] for step in ("BIAS", "DARK", "FLAT")] == ["risky", "usable", "usable"]
    assert [header[f"{step}VERD"] for step in ("BIAS", "DARK", "FLAT")] == ["accepted"] * 3
    warnings = [str(value) for card, value in header.items() if card.startswith("WARN")]
    assert "risky age: bias is 12.0 days away; usable up to 7" in warnings
    assert not any("dark is" in text for text in warnings)
    assert "(risky)" in (folder / "later_results/20240313/plan.csv").read_text()


def test_without_a_folder_the_command_says_what_is_missing(archived, snakemake):
    _, settings, _ = archived
    plain = {key: value for key, value in settings.items() if key != "archive"}
    done = snakemake("archive", "--cores", "1", **plain)
    assert done.returncode != 0
    assert "archive is null; expected the folder of a library" in done.stdout + done.stderr
