"""Several nights in one folder: a rejected master is passed over, whichever way the nights are made."""

import json
from datetime import datetime

import numpy as np
import pytest
from astropy.io import fits
from helpers import digests
from odd_night import COSMIC_RAY, OddNight

NAME = "bias_generic_odd-camera_80x96_1x1"
NIGHTS = ("20240301", "20240302", "20240303")
COUNTS = (("bias", 0.0, 7), ("dark", 100.0, 3), ("flat", 4.0, 3), ("science", 50.0, 2))
LEAK = 30.0


def leak(data, cards, number):
    """Let light fall on a bias frame: nothing at the left, 30 ADU at the right."""
    return data + LEAK * np.linspace(0, 1, data.shape[1]), cards


def take_nights(folder):
    """Three nights of one camera; light leaked into all bias frames of the second."""
    night = OddNight(folder)
    for day in (1, 2, 3):
        night.time = datetime(2024, 3, day, 20)
        for kind, exposure, count in COUNTS:
            change = leak if (day, kind) == (2, "bias") else None
            night.take(kind, exposure, count, prefix=f"{day}/{kind}", change=change)
    return night


@pytest.fixture(scope="module")
def reduced(tmp_path_factory, snakemake):
    folder = tmp_path_factory.mktemp("nights")
    night = take_nights(folder / "raw")
    dry = snakemake("-n", raw=folder / "raw", results=folder / "results")
    assert dry.returncode == 0, dry.stderr
    done = snakemake("--cores", "2", raw=folder / "raw", results=folder / "results")
    assert done.returncode == 0, done.stderr
    return folder, night, dry, done


def verdict(folder, night, name=NAME):
    return json.loads((folder / "results" / night / "verdicts" / f"{name}.json").read_text())


def test_the_dry_run_ranks_the_masters_that_stand_in(reduced):
    _, _, dry, _ = reduced
    assert f"If {NAME} is rejected: that of 20240301, then that of 20240303." in dry.stderr


def test_the_leaking_bias_is_rejected_and_its_neighbours_are_accepted(reduced):
    folder, *_ = reduced
    first, second, third = (verdict(folder, night) for night in NIGHTS)
    assert [one["outcome"] for one in (first, second, third)] == ["accepted", "rejected", "accepted"]
    assert "20240301" in third["compared_with"]
    assert (folder / "results" / NIGHTS[1] / "masters" / f"{NAME}.fits").exists()  # kept, to be looked at


def test_science_frames_of_that_night_use_the_bias_of_a_neighbour_and_say_so(reduced):
    folder, *_ = reduced
    header = fits.getheader(folder / "results" / NIGHTS[1] / "science" / "science_01.fits")
    accepted = fits.getheader(folder / "results" / NIGHTS[0] / "masters" / f"{NAME}.fits")
    assert abs(header["BIASMJD"] - accepted["MJD-AVG"]) < 1e-6
    assert header["BIASVERD"] == "accepted"
    warnings = [str(value) for card, value in header.items() if card.startswith("WARN")]
    assert any(text.startswith(f"master rejected: {NAME} of 20240302: ") for text in warnings)


def test_those_science_frames_are_right(reduced):
    folder, night, *_ = reduced
    with fits.open(folder / "results" / NIGHTS[1] / "science" / "science_01.fits") as hdus:
        good = hdus["MASK"].data & ~np.int16(COSMIC_RAY) == 0
        pull = ((hdus[0].data - night.scene(50.0)) / hdus["UNCERT"].data)[good]
    assert abs(np.mean(pull)) < 0.1
    assert abs(np.std(pull) - 1) < 0.05


def test_the_terminal_says_so(reduced):
    _, _, _, done = reduced
    assert "rejected" in done.stderr.rpartition("Night 20240302: LOOK")[2]


def test_the_nights_made_again_from_scratch_on_one_core_are_the_same_bytes(reduced, snakemake, tmp_path):
    folder, *_ = reduced
    done = snakemake("--cores", "1", raw=folder / "raw", results=tmp_path)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path) == digests(folder / "results")


def test_a_late_frame_of_the_first_night_judges_the_later_ones_again_and_leaves_their_pixels(reduced, snakemake):
    folder, night, *_ = reduced
    night.time = datetime(2024, 3, 1, 20, 50)
    night.take("bias", 0.0, 1, prefix="1/late_bias")
    before = {path: path.stat().st_ino for path in (folder / "results/20240303/science").glob("*.fits")}
    dry = snakemake("-n", raw=folder / "raw", results=folder / "results")
    assert "judge_master" in dry.stdout
    done = snakemake("--cores", "2", raw=folder / "raw", results=folder / "results")
    assert done.returncode == 0, done.stderr
    logs = {day: (folder / "results" / day / "logs").glob("reduce_science_*.log") for day in NIGHTS}
    texts = {day: "".join(path.read_text() for path in paths) for day, paths in logs.items()}
    assert "restored" in texts["20240303"]
    assert "restored" not in texts["20240301"]  # their bias has another frame
    assert "restored" not in texts["20240302"]  # they use that bias, for lack of a good one
    assert {path: path.stat().st_ino for path in before} == before
    assert len(before) == 2
    again = snakemake("-n", raw=folder / "raw", results=folder / "results")
    assert "Nothing to be done" in again.stdout + again.stderr
    scratch = folder / "scratch"
    done = snakemake("--cores", "2", raw=folder / "raw", results=scratch)
    assert done.returncode == 0, done.stderr
    assert digests(scratch) == digests(folder / "results")
