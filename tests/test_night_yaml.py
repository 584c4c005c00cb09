"""Rules of the observer through Snakemake: what they change is made again, and nothing else."""

import csv
import os
import re
import shutil
from collections import Counter

import pytest
from astropy.io import fits
from helpers import REPOSITORY, digests
from nightcal.io.schema import read_yaml
from nightcal.planning.night_file import read_rules
from nightcal.simulation.night import simulate_night

NIGHT = "20240301"
PAGE = REPOSITORY / "docs" / "night_yaml.md"
SCHEMA = read_yaml(REPOSITORY / "workflow" / "schemas" / "night.schema.yaml")
SNAKEFILE = ("-s", REPOSITORY / "Snakefile")


def jobs(done):
    """Names of the jobs that a dry run would run, without those of every run; batches without their number."""
    assert done.returncode == 0, done.stdout + done.stderr
    if "Job stats:" not in done.stdout:
        assert "Nothing to be done" in done.stdout + done.stderr
        return Counter()
    table = done.stdout.split("Job stats:")[1].split("total")[0]
    found = Counter({line.split()[0]: int(line.split()[1]) for line in table.splitlines()[3:] if line.strip()})
    return found - Counter(["all", "plan", "report_night", "check_night", "make_index"])


BATCH = f"reduce_science_{NIGHT}_000"
FLAT_AND_VERDICT = ["make_master_flat", "judge_master"]
MASTERS = ["measure_gain", "make_master_bias", "judge_master", *FLAT_AND_VERDICT, "make_bad_pixel_mask"]
SCIENCE_V, SCIENCE_R = f"{BATCH}1", f"{BATCH}2"


@pytest.fixture(scope="module")
def work(tmp_path_factory, snakemake):
    """A working folder with a small night, reduced, whose paths are relative."""
    folder = tmp_path_factory.mktemp("work")
    small = {"shape": (96, 128), "n_bias": 4, "n_dark": 0, "n_flat": 3, "n_science": 4, "n_stars": 20}
    simulate_night(folder / "raw", folder / "truth", **small)
    done = snakemake("--cores", "2", *SNAKEFILE, cwd=folder, raw="raw", results="results")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(work, tmp_path, snakemake):
    """A copy of that folder, and a function that runs Snakemake in it."""
    folder = tmp_path / "copy"
    shutil.copytree(work, folder)

    def run(*arguments):
        return snakemake(*arguments, *SNAKEFILE, cwd=folder, raw="raw", results="results")

    return folder, run


def say(folder, text):
    (folder / "results" / NIGHT / "night.yaml").write_text(text)


def rows(folder):
    with (folder / "results" / NIGHT / "plan.csv").open(encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def replace_with_time_stamp_kept(path, content):
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_copied_folder_is_not_reduced_again(copied):
    _, run = copied
    assert jobs(run("-n")) == Counter()


def test_a_frame_replaced_with_its_time_stamp_kept_is_noticed(copied):
    folder, run = copied
    raw = folder / "raw"
    replace_with_time_stamp_kept(raw / "field_V_001.fits", (raw / "field_V_002.fits").read_bytes())
    assert jobs(run("-n")) == Counter([SCIENCE_V])


@pytest.mark.parametrize(
    ("name", "again"),
    [
        ("field_R_001.fits", [SCIENCE_R]),
        ("flat_R_001.fits", [*MASTERS, *FLAT_AND_VERDICT, SCIENCE_V, SCIENCE_R]),  # the gain is measured in flats
    ],
)
def test_a_changed_header_is_noticed(name, again, copied):
    folder, run = copied
    path = folder / "raw" / name
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        hdus[0].header["OBSERVER"] = "somebody else"
        hdus.writeto(folder / "other.fits")
    replace_with_time_stamp_kept(path, (folder / "other.fits").read_bytes())
    assert jobs(run("-n")) == Counter(again)


FLAT = "flat_generic_Simulated-CCD_160x96_1x1_V"
RULES = f"""
- {{file: field_V_002.fits, ignore: a satellite}}
- {{file: [flat_R_001.fits, flat_R_002.fits], filter: V, note: the wheel was stuck}}
- {{file: field_R_001.fits, use: {{flat: {FLAT}}}}}
"""


def test_rules_of_a_night_change_what_they_name_and_what_depends_on_it(copied):
    folder, run = copied
    before = digests(folder / "results")
    say(folder, f"{RULES}- {{file: nowhere.fits, ignore: true}}\n")
    done = run("--cores", "2")
    assert done.returncode == 0, done.stderr
    assert f"results/{NIGHT}/night.yaml: rule 4 matches no file." in done.stderr
    table = rows(folder)
    assert table["field_V_002.fits"]["role"] == "unused"
    assert table["field_V_002.fits"]["reason"] == "night.yaml: ignored: a satellite"
    assert "night.yaml: filter V (was R), note: the wheel was stuck" in table["flat_R_001.fits"]["reason"]
    assert table["field_R_001.fits"]["flat"] == FLAT
    assert "named in night.yaml" in table["field_R_001.fits"]["reason"]

    products = folder / "results" / NIGHT
    page = (products / "report.html").read_text()
    for words in ("ignored: a satellite", "filter V (was R)", "rule 4 matches no file"):
        assert words in page
    flat, frame = (
        fits.getheader(products / f"masters/{FLAT}.fits"),
        fits.getheader(products / "science/field_R_001.fits"),
    )
    assert flat["RULE001"] == "night.yaml: filter V, note: the wheel was stuck (2 of 5 frames)"
    assert frame["RULE001"] == f"night.yaml: flat {FLAT}"
    assert frame["FLATMAST"] == f"{FLAT}.fits"
    after = digests(folder / "results")
    assert (
        after[f"{NIGHT}/masters/bias_generic_Simulated-CCD_160x96_1x1.fits"]
        == before[f"{NIGHT}/masters/bias_generic_Simulated-CCD_160x96_1x1.fits"]
    )
    assert jobs(run("-n")) == Counter()

    named = [
        batch for batch in (f"{BATCH}{n}" for n in range(1, 5)) if batch.endswith(table["field_R_001.fits"]["batch"])
    ]
    say(folder, RULES.replace("a satellite", "a plane"))
    assert jobs(run("-n")) == Counter()
    say(folder, RULES.replace("note: the wheel", "note: the filter wheel"))
    assert set(jobs(run("-n"))) >= {"make_master_flat", "make_bad_pixel_mask"}
    assert jobs(run("-n"))["make_master_flat"] == 1
    say(folder, RULES.replace("- {file: field_R_001.fits", "- {file: field_R_001.fits, note: 'page {n}'"))
    assert list(jobs(run("-n"))) == named
    say(folder, "")
    done = run("--cores", "2")
    assert done.returncode == 0, done.stderr
    restored = digests(folder / "results")
    assert {name for name in before if name.endswith(".fits") and restored[name] != before[name]} == set()


def test_what_the_observer_says_of_a_master_is_obeyed_without_making_it_again(copied):
    folder, run = copied
    assert fits.getheader(folder / "results" / NIGHT / "science/field_V_001.fits")["FLATVERD"] == "accepted"
    say(folder, f"- {{master: {FLAT}, reject: the lamp was changed}}\n- {{master: flat_X, accept: true}}\n")
    expected = Counter(["judge_master", "make_bad_pixel_mask", SCIENCE_V, SCIENCE_R])
    assert jobs(run("-n")) == expected
    done = run("--cores", "2")
    assert done.returncode == 0, done.stderr
    assert "rule 2 matches no master; there are: bias_" in done.stderr
    assert f"{FLAT} is rejected: rejected by night.yaml: the lamp was changed" in done.stderr
    header = fits.getheader(folder / "results" / NIGHT / "science/field_V_001.fits")
    assert (header["FLATCOR"], header["SKIPPED"]) == (False, "dark,flat")
    assert "no other flat: step skipped" in "".join(str(v) for k, v in header.items() if k.startswith("WARN"))
    with (folder / "results" / NIGHT / "masters/verdicts.csv").open(encoding="utf-8") as file:
        verdicts = {row["master"]: row["verdict"] for row in csv.DictReader(file)}
    assert verdicts.pop(FLAT) == "rejected"
    assert set(verdicts.values()) == {"accepted"}
    say(folder, "")
    assert jobs(run("-n")) == expected


def test_the_template_lists_every_file_once(work):
    text = (work / "results" / NIGHT / "night.yaml.template").read_text()
    assert sorted(re.findall(r'^# - \{file: "([^"]+)"', text, re.MULTILINE)) == sorted(
        path.name for path in (work / "raw").glob("*.fits")
    )


def test_a_mistake_stops_the_run_with_one_line(copied):
    folder, run = copied
    say(folder, "- {file: field_V_001.fits, use: {flat: flat_X}}\n")
    done = run("-n")
    assert done.returncode != 0
    assert "use.flat is 'flat_X' (for field_V_001.fits); expected one of" in done.stderr
    assert "Traceback" not in done.stderr


def list_examples():
    lines = [line.removeprefix("    ") for line in PAGE.read_text().splitlines() if re.match(r" {4}(# )?- ", line)]
    assert len(lines) >= 10
    return lines


def test_the_examples_of_the_manual_are_rules(tmp_path):
    path = tmp_path / "night.yaml"
    path.write_text("\n".join(line.removeprefix("# ") for line in list_examples()))
    assert len(read_rules(path, SCHEMA)) == len(list_examples())


def test_the_manual_explains_every_word():
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| (`[^|]*) \|", PAGE.read_text()))))
    assert explained >= set(SCHEMA["properties"])
