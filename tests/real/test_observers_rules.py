"""Two real nights in one folder, and one file of rules: the plan tells them, and little is made again."""

import csv
import re
import shutil
from collections import Counter

import pytest
from helpers import MEASUREMENTS

FRAMES = {
    "arcsat-m13-20190503": ["Bias_*", "domeflat_sdss_[ir]_*", "M13_sdss_i_*", "M13_sdss_r_*"],
    "afosc-gj3470-20220328": ["AF77330[789]*", "AF77324[789]*", "AF773250*", "AF7706[89]5*", "AF770705*"],
}
PICKED = "flat_arcsat_1024x1024_1x1_Monochrome-0-0_sdss_r"
RULES = f"""
- {{file: M13_sdss_r_20190503_091741.fits, ignore: guiding lost}}
- {{file: [AF773249.fits, AF773250.fits], type: science, note: test of the sky}}
- {{where: {{type: science, filter: sdss_i}}, from: 2019-05-03T09:00, use: {{flat: {PICKED}}}}}
"""


@pytest.fixture(scope="module")
def mixed(data, tmp_path_factory, snakemake):
    """Both nights, reduced, and a function that runs Snakemake with other rules."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "raw").mkdir()
    for night, patterns in FRAMES.items():
        for path in (path for pattern in patterns for path in (data / "nights" / night).glob(pattern)):
            shutil.copy(path, folder / "raw")
    rules = folder / "both.yaml"

    def run(text, *arguments):
        rules.write_text(text)
        off = dict.fromkeys(MEASUREMENTS, "{enabled: false}")
        done = snakemake(*arguments, raw=folder / "raw", out=folder / "results", overrides=str(rules), **off)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
        return done

    run("")
    before = jobs(run(RULES, "-n"))
    run(RULES)
    yield folder / "results", run, before
    shutil.rmtree(folder)


def jobs(done):
    """Names of the jobs of a dry run and their number, without those of every run."""
    found = Counter(re.findall(r"^(?:local)?rule (\w+):", done.stdout, re.MULTILINE))
    return found - Counter(all=1, plan=1, report_night=2, check_night=2, make_index=1)


def rows(results):
    table = {}
    for path in results.glob("*/plan.csv"):
        with path.open(encoding="utf-8") as file:
            table |= {row["file"]: row for row in csv.DictReader(file)}
    return table


def test_the_plan_tells_the_rules_of_both_nights(mixed):
    results, _, _ = mixed
    table = rows(results)
    ruled = {name: row for name, row in table.items() if "both.yaml" in row["reason"]}
    ignored = ruled.pop("M13_sdss_r_20190503_091741.fits")
    assert (ignored["role"], ignored["reason"]) == ("unused", "both.yaml: ignored: guiding lost")
    for name in ("AF773249.fits", "AF773250.fits"):
        row = ruled.pop(name)
        assert (row["type"], row["role"]) == ("science", "reduced")
        assert "both.yaml: type science (was flat), note: test of the sky" in row["reason"]
    (picked,) = ruled.values()
    assert picked["file"] == "M13_sdss_i_20190503_090800.fits"
    assert picked["flat"] == PICKED


def test_only_what_the_rules_change_is_made_again(mixed):
    _, _, before = mixed
    masters = {rule: number for rule, number in before.items() if not rule.startswith("reduce_science")}
    # of the night that lost two flats, in which the gain is measured, too
    made = {"measure_gain": 1, "make_master_bias": 1, "make_master_flat": 1, "make_bad_pixel_mask": 1}
    assert masters == made | {"judge_master": 2}


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("guiding lost", "guiding was lost", []),
        ("test of the sky", "test", ["20220328"]),
        (PICKED, PICKED[:-1] + "i", ["20190502"]),
        ("ignore: guiding lost", "ignore: false", ["20190502"]),
    ],
)
def test_another_rule_is_a_matter_of_its_frames_only(old, new, again, mixed):
    _, run, _ = mixed
    found = jobs(run(RULES.replace(old, new), "-n"))
    assert sorted(rule.split("_")[2] for rule in found.elements()) == again
    assert all(rule.startswith("reduce_science_") for rule in found)
