"""What goes wrong in a night is in its verdict: on the terminal, in summary.json and on top of the report."""

import re
import shutil

import numpy as np
import pytest
from astropy.io import fits
from nightcal.planning.night_verdict import judge_night
from nightcal.planning.summary import read_summary
from nightcal.simulation.night import simulate_night

SIZE = {"shape": (256, 256), "n_bias": 6, "n_dark": 3, "n_flat": 5, "n_science": 10, "n_stars": 80}
NIGHT = "20240301"

pytestmark = pytest.mark.slow


def change_light(path, change):
    """Change what is above the overscan level of a raw frame."""
    with fits.open(path, mode="update") as hdus:
        image = hdus[0].data.astype(float)
        level = np.median(image[:, -20:])
        light = change(image - level)
        hdus[0].data = np.clip(np.round(level + light), 0, 65535).astype(np.uint16)


def dim(light):
    """A cloud takes 45 percent of the light, and its share of the sky."""
    return 0.55 * light


def trail(light):
    """The telescope does not follow: stars move by 12 pixels."""
    moved = np.mean([np.roll(light[:, :256], step, axis=1) for step in range(12)], axis=0)
    return np.hstack([moved, light[:, 256:]])


def darken_one_side(light):
    """A cloud passes in front of a twilight flat."""
    return light * np.linspace(0.8, 1.0, light.shape[1])


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory, snakemake):
    """A night of two filters: no darks, a cloud, a trailed frame, a flat with a cloud."""
    folder = tmp_path_factory.mktemp("spoiled")
    simulate_night(folder / "raw", folder / "truth", **SIZE)
    for dark in (folder / "raw").glob("dark_*"):
        dark.unlink()
    for catalogue in (folder / "raw").glob("stars.*"):
        catalogue.unlink()
    change_light(folder / "raw" / "field_V_003.fits", dim)
    change_light(folder / "raw" / "field_R_003.fits", trail)
    change_light(folder / "raw" / "flat_V_002.fits", darken_one_side)
    done = snakemake("--cores", "2", raw=folder / "raw", results=folder / "results", measured=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "results" / NIGHT, done.stderr


CAUSES = {
    "missing dark": r"\d+ science frames without dark: no dark frames at hand",
    "cloud": r"of \d+ science frames: clouds or haze \(worst field_V_003: transparency 0\.5\d",
    "trailed": r"1 of \d+ science frames: trailed \(first: field_R_003\)",
    "flat with a cloud": r"flat_V_002.fits rejected: ",
}


@pytest.mark.parametrize("cause", CAUSES)
def test_what_went_wrong_is_in_the_verdict(spoiled, cause):
    folder, terminal = spoiled
    verdict = judge_night(read_summary((folder / "summary.json").read_text()))
    assert verdict.word == "LOOK"
    assert [finding for finding in verdict.findings if re.search(CAUSES[cause], finding.text)]
    assert re.search(CAUSES[cause], terminal.rpartition(f"Night {NIGHT}: LOOK")[2])
    assert re.search(CAUSES[cause], (folder / "report.html").read_text())


def test_a_good_night_says_so(tmp_path, snakemake):
    simulate_night(tmp_path / "raw", tmp_path / "truth", **SIZE | {"n_science": 4})
    shutil.rmtree(tmp_path / "truth")
    done = snakemake("--cores", "2", raw=tmp_path / "raw", results=tmp_path / "results", measured=True)
    assert f"Night {NIGHT}: GOOD" in done.stderr, done.stderr[-2000:]
