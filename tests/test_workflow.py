"""Whole nights through Snakemake, as an observer runs them."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.table import Table
from helpers import REPOSITORY, digests, simulate_small_night
from nightcal.io.source_catalog import read_catalog
from nightcal.numerics.kernels import WORTHWHILE
from nightcal.planning.header_cache import locate_cache
from nightcal.simulation.night import simulate_night
from nightcal.simulation.truth import compare_with_truth

NIGHT = "20240301"


def rows(results, night=NIGHT):
    with (Path(results) / night / "plan.csv").open(encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def products(results, kind, night=NIGHT):
    return sorted((Path(results) / night / kind).glob("*.fits"))


def copy_frames(raw, folder, *patterns):
    folder.mkdir(parents=True)
    for pattern in patterns:
        for path in raw.glob(pattern):
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A small simulated night."""
    return simulate_small_night(tmp_path_factory.mktemp("night"))


@pytest.fixture(scope="module")
def reduced(night, tmp_path_factory, snakemake):
    """The same night, reduced."""
    return snakemake.reduced(night, tmp_path_factory.mktemp("results"), measured=True)


@pytest.mark.slow
def test_a_large_stack_uses_compiled_loops_and_does_not_depend_on_them(night, tmp_path, snakemake):
    raw = tmp_path / "raw"
    raw.mkdir()
    header = fits.getheader(night / "bias_001.fits")
    rng = np.random.default_rng(7)
    for n in range(WORTHWHILE // 1024**2 + 2):
        header["DATE-OBS"] = f"2024-03-01T20:{n // 60:02d}:{n % 60:02d}"
        noise = rng.standard_normal((1024, 1024), dtype=np.float32)
        image = fits.PrimaryHDU((1000 + 6 * noise).astype(np.uint16), header)
        for card in ("BIASSEC", "TRIMSEC"):
            image.header.remove(card, ignore_missing=True)
        image.writeto(raw / f"bias_{n:03d}.fits")
    elsewhere = {"cwd": tmp_path}
    results = snakemake.reduced(raw, tmp_path / "results", "-s", REPOSITORY / "Snakefile", **elsewhere)
    kernels = tmp_path / ".snakemake" / "kernels"
    (warmed,) = kernels.glob("*.ok")
    assert "numba" in warmed.read_text()
    assert list((kernels / warmed.stem).rglob("*.nbc"))
    again = snakemake("-n", "-s", REPOSITORY / "Snakefile", raw=raw, results=results, **elsewhere)
    assert "Nothing to be done" in again.stdout + again.stderr
    hidden = (
        "import runpy, sys; sys.modules['numba'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0], {}, '__main__')"
    )
    script = REPOSITORY / "scripts" / "make_master_bias.py"
    command = [sys.executable, "-c", hidden, script, *sorted(raw.glob("*.fits"))]
    camera = REPOSITORY / "config" / "cameras" / "generic.yaml"
    subprocess.run([*command, "--camera", camera, "--out", tmp_path / "bias.fits"], check=True, capture_output=True)
    (master,) = (path for path in products(results, "masters") if path.name.startswith("bias"))
    assert (tmp_path / "bias.fits").read_bytes() == master.read_bytes()


@pytest.mark.slow
def test_error_bars_of_a_whole_night_are_honest(tmp_path, snakemake):
    simulate_night(tmp_path / "raw", tmp_path / "truth", shape=(320, 320), n_bias=16, n_dark=9, n_flat=7)
    results = snakemake.reduced(tmp_path / "raw", tmp_path / "results")
    compared = compare_with_truth(results / NIGHT / "science", tmp_path / "truth")
    assert len(compared) == 8
    for frame in compared:
        for pulls in (frame.everywhere, frame.sky):
            assert pulls.n_pixels > 80_000
            assert pulls.width == pytest.approx(1, abs=0.02), frame
            assert pulls.mean == pytest.approx(0, abs=0.02), frame


def test_a_dry_run_shows_the_whole_night_before_anything_has_run(night, tmp_path, snakemake):
    done = snakemake("-n", raw=night, results=tmp_path / "results")
    assert done.returncode == 0
    shown = done.stdout + done.stderr
    for rule in ("make_master_bias", "make_master_dark", "make_master_flat", "make_bad_pixel_mask", "reduce_science"):
        assert rule in shown
    assert "field_V_001.fits" in shown
    assert "All 4 science frames have bias, dark and flat." in done.stderr
    written = [path for path in (tmp_path / "results").rglob("*") if path.is_file()]
    assert written == [locate_cache(tmp_path / "results", night)]


def test_the_plan_alone_is_written_and_printed(night, tmp_path, snakemake):
    done = snakemake("plan", "--cores", "1", raw=night, results=tmp_path)
    assert done.returncode == 0
    assert re.search(r"^  flat_\S+_V +\d+ ", done.stdout, re.MULTILINE)
    assert str(tmp_path / NIGHT / "plan.csv") in done.stdout
    assert done.stdout.rstrip().endswith("All 4 science frames have bias, dark and flat.")
    assert {path.name for path in (tmp_path / NIGHT).iterdir()} == {"plan.csv", "night.yaml.template"}


def test_another_workflow_can_use_it_as_a_module(night, tmp_path, snakemake):
    module = ["module nightcal:", f"    snakefile: {str(REPOSITORY / 'Snakefile')!r}", "    config: config", ""]
    module = "\n".join([*module, "use rule * from nightcal", ""])
    (tmp_path / "Snakefile").write_text(module)
    done = snakemake("-n", "--cores", "1", cwd=tmp_path, fresh=True, raw=night, results="out", strict="yes")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "All 4 science frames have bias, dark and flat." in done.stderr
    assert "out/20240301/science/field_V_001.fits" in done.stdout + done.stderr


def test_a_key_that_stands_twice_in_a_file_of_settings_is_a_mistake(night, tmp_path, snakemake):
    settings = tmp_path / "mine.yaml"
    settings.write_text("strict: true\nstrict: false\n")
    done = snakemake("-n", "--configfile", settings, raw=night, results=tmp_path / "results")
    assert done.returncode != 0
    assert f"{settings}: not valid YAML: duplicate key: strict" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_raw_frame_has_a_row_with_its_role_and_masters(night, reduced):
    table = rows(reduced)
    assert set(table) == {path.name for path in night.glob("*.fits")}
    science = table["field_V_001.fits"]
    assert science["role"] == "reduced"
    assert science["filter"] == "V"
    assert science["bias"].startswith("bias_")
    assert science["dark"].startswith("dark_")
    assert science["flat"].endswith("_V")
    assert float(science["dark_gap_hours"]) > 0
    assert table["bias_001.fits"]["role"] == "stacked"


def test_every_product_opens_as_ccddata_with_everything_in_place(reduced):
    paths = products(reduced, "science") + products(reduced, "masters")
    assert len(paths) == 4 + 5
    for path in paths:
        ccd = CCDData.read(path)
        assert isinstance(ccd.uncertainty, StdDevUncertainty)
        assert ccd.mask.dtype == bool
        assert ccd.unit is not None
        assert np.isfinite(ccd.data).all()
        assert np.isfinite(ccd.uncertainty.array).all()


def test_every_science_frame_has_a_table_of_its_sources(reduced):
    for image, path in zip(products(reduced, "science"), products(reduced, "catalogs"), strict=True):
        header, table = fits.getheader(image), read_catalog(path)
        assert image.name == path.name
        assert header["NSOURCES"] == len(table) > 5
        assert header["WCSSTAT"]
        assert header["ZPSTAT"]
        assert Table.read(path).colnames == table.colnames


def test_switching_off_a_step_reduces_only_science_frames_again(night, reduced, snakemake):
    done = snakemake("-n", raw=night, results=reduced, measured=True, photometry="{enabled: false}")
    assert done.returncode == 0, done.stderr
    assert "reduce_science" in done.stdout
    assert "make_master" not in done.stdout


def test_without_sources_there_are_no_tables(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "bias_00[123].fits", "field_V_001.fits")
    results = snakemake.reduced(raw, tmp_path / "results", cosmic_rays="{enabled: true}")
    (frame,) = products(results, "science")
    assert fits.getheader(frame)["CRSTAT"] == "done"
    assert not (results / NIGHT / "catalogs").exists()


def test_a_second_run_has_nothing_to_do(night, reduced, snakemake):
    done = snakemake("--cores", "2", raw=night, results=reduced, measured=True)
    assert done.returncode == 0
    assert "Nothing to be done" in done.stdout + done.stderr


def test_cores_and_batches_do_not_change_a_byte(night, reduced, tmp_path, snakemake):
    done = snakemake("--cores", "1", raw=night, results=tmp_path, batch_size=1, measured=True, fresh=True)
    assert done.returncode == 0, done.stderr
    ours, theirs = digests(tmp_path), digests(reduced)
    assert ours.keys() == theirs.keys()
    # tables tell the batch of a frame
    assert [path for path in ours if ours[path] != theirs[path] and not path.endswith(".csv")] == []


def jobs(done):
    """Names of the rules that a dry run would run, from its table of jobs."""
    table = done.stdout.split("Job stats:")[1].split("total")[0]
    return Counter({line.split()[0]: int(line.split()[1]) for line in table.splitlines()[3:] if line.strip()})


@pytest.fixture(scope="module")
def in_batches(night, tmp_path_factory, snakemake):
    """The same night with ten science frames of one filter, reduced in batches of four."""
    folder = tmp_path_factory.mktemp("batches")
    raw = copy_frames(night, folder / "raw", "bias*", "flat_V*")
    for n in range(10):
        write_like(night / "field_V_001.fits", raw / f"light{n}.fits", DATE_OBS=f"2024-03-02T05:{n:02d}:00")
    snakemake.reduced(raw, folder / "results", batch_size=4)
    return folder


@pytest.mark.parametrize("time", ["2024-03-02T06:00:00", "2024-03-02T04:00:00", "2024-03-02T05:02:30"])
def test_a_late_frame_adds_a_batch_and_leaves_the_others_alone(time, night, in_batches, tmp_path, snakemake):
    shutil.copytree(in_batches, tmp_path, dirs_exist_ok=True)
    raw, results = in_batches / "raw", in_batches / "results"
    late = write_like(night / "field_V_001.fits", raw / "late.fits", DATE_OBS=time)
    try:
        done = snakemake("-n", raw=raw, results=results, batch_size=4)
        expected = dict.fromkeys(("all", "plan", "report_night", "check_night", "make_index"), 1)
        expected[f"reduce_science_{NIGHT}_0003"] = 1
        assert jobs(done) == expected
        assert "late.fits" not in (results / "logs" / f"planned_{NIGHT}.csv").read_text()
        snakemake.reduced(raw, results, batch_size=4)
        table = rows(results)
        assert table["late.fits"]["batch"] == f"{NIGHT}_0003"
        assert (results / NIGHT / "logs" / f"reduce_science_{table['late.fits']['batch']}.log").is_file()
        assert (results / NIGHT / "science" / "late.fits").is_file()
        again = snakemake("--cores", "1", raw=raw, results=results, batch_size=4)
        assert "Nothing to be done" in again.stdout + again.stderr
    finally:
        late.unlink()
        shutil.rmtree(results)
        shutil.copytree(tmp_path / "results", results)


def test_a_product_that_was_deleted_is_made_again(in_batches, tmp_path, snakemake):
    raw, results = in_batches / "raw", tmp_path / "results"
    snakemake.reduced(raw, results, batch_size=4)
    before = digests(results)
    (results / NIGHT / "science" / "light5.fits").unlink()
    done = snakemake("-n", raw=raw, results=results, batch_size=4)
    others = ("all", "report_night", "check_night", "make_index")
    assert jobs(done) == dict.fromkeys((*others, f"reduce_science_{NIGHT}_0002"), 1)
    snakemake.reduced(raw, results, batch_size=4)
    assert digests(results) == before


def test_a_night_works_from_a_read_only_folder_with_an_odd_name_and_a_relative_path(
    night, reduced, tmp_path, snakemake
):
    odd = tmp_path / "a night's {frames} <copy> & $HOME"
    shutil.copytree(night, odd)
    before = digests(odd)
    for path in (*odd.iterdir(), odd):
        path.chmod(path.stat().st_mode & ~0o222)
    snakemake.reduced(os.path.relpath(odd, REPOSITORY), tmp_path / "results", measured=True)
    assert digests(tmp_path / "results") == digests(reduced)
    assert digests(odd) == before


def write_like(template, path, data=None, **cards):
    """Write a copy of a raw frame with other pixels or cards; None takes a card away."""
    with fits.open(template) as hdus:
        header = hdus[0].header.copy()
        pixels = hdus[0].data if data is None else data
    for keyword in ("BZERO", "BSCALE"):
        header.remove(keyword, ignore_missing=True)
    for keyword, value in cards.items():
        if value is None:
            header.remove(keyword.replace("_", "-"))
        else:
            header[keyword.replace("_", "-")] = value
    fits.PrimaryHDU(pixels, header).writeto(path)
    return path


def bad_frames(night, folder):
    """Write typical bad frames; return their names, each with a word of the reason."""
    folder.mkdir()
    light, flat = night / "field_V_001.fits", night / "flat_V_001.fits"
    pixels = fits.getdata(light)
    (folder / "cut.fits").write_bytes(light.read_bytes()[:20000])
    (folder / "text.fits").write_text("not an image")
    (folder / "empty.fits").touch()
    (folder / "no_end.fits").write_bytes(light.read_bytes().replace(b"END     ", b"XXX     "))
    (folder / "comma.fits").write_bytes(
        light.read_bytes().replace(b"=                 60.0", b"=                 6x,0")
    )
    write_like(light, folder / "undated.fits", DATE_OBS=None)
    write_like(light, folder / "negative.fits", EXPTIME=-5.0)
    write_like(light, folder / "typeless.fits", IMAGETYP=None)
    write_like(light, folder / "overscan.fits", BIASSEC="[129:999,1:96]")
    write_like(light, folder / "nan.fits", np.full(pixels.shape, np.nan, np.float32))
    write_like(flat, folder / "nanflat.fits", np.full(pixels.shape, np.nan, np.float32))
    fits.HDUList([fits.PrimaryHDU(header=fits.getheader(light)), fits.CompImageHDU(pixels.astype(np.int16))]).writeto(
        folder / "torn.fits.fz"
    )
    torn = bytearray((folder / "torn.fits.fz").read_bytes())
    torn[-6000:-3000] = bytes(range(250)) * 12
    (folder / "torn.fits.fz").write_bytes(torn)
    return {
        "cut.fits": "truncated",
        "text.fits": "not FITS",
        "empty.fits": "empty",
        "no_end.fits": "END",
        "comma.fits": "6x,0",
        "undated.fits": "start time is missing",
        "negative.fits": "EXPTIME is -5",
        "typeless.fits": "the frame type is missing",
        "overscan.fits": "outside the image",
        "nan.fits": "",
        "nanflat.fits": "no finite pixel",
    }


@pytest.fixture(scope="module")
def night_with_bad_frames(night, tmp_path_factory, snakemake):
    folder = tmp_path_factory.mktemp("bad")
    shutil.copytree(night, folder / "raw")
    reasons = bad_frames(night, folder / "raw" / "bad")
    snakemake.reduced(folder / "raw", folder / "results", measured=True)
    return folder, reasons


def test_bad_frames_are_rejected_with_a_reason(night_with_bad_frames):
    folder, reasons = night_with_bad_frames
    table = rows(folder / "results")
    page = (folder / "results" / NIGHT / "report.html").read_text()
    for name, reason in reasons.items():
        row = table[f"bad/{name}"]
        assert row["role"] == "rejected", row
        assert reason in row["reason"]
        assert f"bad/{name}" in page
    assert "bad/torn.fits.fz" in table


def test_bad_frames_do_not_affect_the_others(night_with_bad_frames, reduced):
    folder, _ = night_with_bad_frames
    found, expected = digests(folder / "results"), digests(reduced)
    good = {name for name in expected if name.endswith(".fits") and "flat" not in name and "field_V" not in name}
    assert {
        name: found[name]
        for name in good
        - {f"{NIGHT}/masters/{p.name}" for p in products(reduced, "masters") if p.name.startswith("bpm")}
        if "field" not in name
    } == {name: expected[name] for name in good if "field" not in name and "bpm" not in name}
    for path in products(reduced, "science"):
        ours = fits.getdata(folder / "results" / NIGHT / "science" / path.name)
        np.testing.assert_array_equal(ours, fits.getdata(path))


def test_a_frame_without_valid_pixels_becomes_an_empty_product(night_with_bad_frames):
    folder, _ = night_with_bad_frames
    with fits.open(folder / "results" / NIGHT / "science" / "nan.fits") as hdus:
        assert np.all(hdus["MASK"].data & 64)
        assert np.isfinite(hdus[0].data).all()
        assert hdus[0].header["EMPTY"]
    assert len(read_catalog(folder / "results" / NIGHT / "catalogs" / "nan.fits")) == 0


def test_a_strict_night_fails_after_everything_else_is_done(night_with_bad_frames, snakemake):
    folder, _ = night_with_bad_frames
    before = digests(folder / "results")
    done = snakemake("--cores", "2", raw=folder / "raw", results=folder / "results", strict="true", measured=True)
    assert done.returncode != 0
    number = sum(row["role"] == "rejected" for row in rows(folder / "results").values())
    assert f"(strict): {number} frames rejected. Everything else is done." in done.stderr
    assert "bad/negative.fits rejected: EXPTIME is -5" in done.stderr
    assert digests(folder / "results") == before


def test_a_missing_dark_is_skipped_and_flagged(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "bias*", "flat*", "field*")
    results = snakemake.reduced(raw, tmp_path / "results")
    for path in products(results, "science"):
        with fits.open(path) as hdus:
            assert hdus[0].header["SKIPPED"] == "dark"
            assert hdus["MASK"].header["SKIPPED"] == "dark"
            assert not np.all(hdus["MASK"].data)
    assert "no dark" in rows(results)["field_V_001.fits"]["reason"]


def test_a_filter_without_flats_is_skipped_and_told_everywhere(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "bias*", "dark*", "flat_V*", "field*")
    results = tmp_path / "results"
    done = snakemake("--cores", "2", raw=raw, results=results, strict="true")
    assert fits.getheader(results / NIGHT / "science" / "field_R_001.fits")["SKIPPED"] == "flat"
    assert "SKIPPED" not in fits.getheader(results / NIGHT / "science" / "field_V_001.fits")
    assert "flat in" in rows(results)["field_R_001.fits"]["reason"]
    assert done.returncode != 0
    assert "(strict): 2 science frames without flat. Everything else is done." in done.stderr
    for text in (*done.stderr.split("report.html first", 1), (results / NIGHT / "report.html").read_text()):
        assert "4 science frames: 4 with bias, 4 with dark, 2 with flat, 4 with bad pixel mask." in text
        assert "2 science frames without flat: " in text
    asked = snakemake("missing", "--cores", "1", raw=raw, results=results)
    assert asked.returncode == 0
    assert asked.stdout.startswith(f"{NIGHT}: 5 flat frames in R (")


def test_science_frames_alone_are_reduced_without_masters_but_the_night_fails(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "field*")
    for path in raw.glob("*.fits"):
        fits.delval(path, "BIASSEC")
        fits.delval(path, "TRIMSEC")
    results = tmp_path / "results"
    done = snakemake("--cores", "2", raw=raw, results=results)
    assert done.returncode != 0
    assert "no science frame was calibrated: no overscan, bias, dark or flat." in done.stderr
    assert len(products(results, "science")) == 4
    assert all(fits.getheader(path)["SKIPPED"] == "bias,dark,flat" for path in products(results, "science"))
    assert (results / NIGHT / "report.html").exists()
    allowed = snakemake("--cores", "2", raw=raw, results=results, uncalibrated="allow")
    assert allowed.returncode == 0
    assert "reduce_science" not in allowed.stdout + allowed.stderr


def test_science_frames_with_overscan_alone_are_calibrated_as_far_as_possible(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "field*")
    results = snakemake.reduced(raw, tmp_path / "results")
    assert all(fits.getheader(path)["SKIPPED"] == "bias,dark,flat" for path in products(results, "science"))


def test_calibrations_alone_become_masters(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "bias*", "dark*", "flat*")
    results = snakemake.reduced(raw, tmp_path / "results")
    assert len(products(results, "masters")) == 5
    assert products(results, "science") == []


def test_evening_and_morning_biases_compete_when_split(night, tmp_path, snakemake):
    config = tmp_path / "config.yaml"
    config.write_text("bias: {split_hours: 3}\n")
    results = snakemake.reduced(night, tmp_path / "results", "--configfile", config)
    table = rows(results)
    assert len([path for path in products(results, "masters") if path.name.startswith("bias")]) == 2
    assert table["dark_001.fits"]["bias"] != table["bias_006.fits"]["group"]
    assert table["dark_001.fits"]["bias"] == table["bias_001.fits"]["group"]


def test_a_library_calibrates_a_night_without_calibration_frames(night, reduced, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "field*")
    results = snakemake.reduced(raw, tmp_path / "results", library=f"[{reduced}]")
    for path in products(reduced, "science"):
        np.testing.assert_array_equal(fits.getdata(results / NIGHT / "science" / path.name), fits.getdata(path))


def test_a_library_that_contains_the_same_night_changes_nothing(night, reduced, snakemake):
    done = snakemake("-n", "--cores", "1", raw=night, results=reduced, library=f"[{reduced}]", measured=True)
    assert done.returncode == 0, done.stderr
    assert "reduce_science" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"raw": "/nowhere"}, "raw is '/nowhere', which is not a folder or cannot be read"),
        ({"rejection": "{stack_sigma: -3}"}, "rejection.stack_sigma is -3; expected a number above 0"),
    ],
)
def test_a_mistake_in_the_configuration_is_reported_in_one_sentence(config, shown, night, tmp_path, snakemake):
    done = snakemake("--cores", "1", **({"raw": night, "results": tmp_path} | config))
    assert done.returncode != 0
    assert shown in done.stderr
    assert "Traceback" not in done.stderr


def test_raw_frames_that_a_second_config_option_discards_are_missed(night, tmp_path):
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"raw={night}"]
    command += ["--config", f"results={tmp_path / 'results'}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode != 0
    assert "raw is not set; give --config raw=/path/to/frames" in done.stderr
    assert "a single --config" in done.stderr
    assert not (tmp_path / "results").exists()


def test_make_clean_leaves_the_observers_results_alone(tmp_path):
    for name in ("results/20240301/report.html", "demo/results/20240301/report.html", "mine/a.fits", ".venv/demo"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    subprocess.run(["make", "-f", REPOSITORY / "Makefile", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert {path.name for path in tmp_path.iterdir()} == {"results", "mine"}
    assert (tmp_path / "results/20240301/report.html").is_file()


def test_each_rule_has_a_script_of_its_name(night, tmp_path, snakemake):
    listed = snakemake("--list-rules", raw=night, results=tmp_path)
    assert listed.returncode == 0, listed.stderr
    rules = {line.split()[0] for line in listed.stdout.splitlines() if line.strip()}
    rules = {"reduce_science" if name.startswith("reduce_science_") else name for name in rules}
    assert rules - {"all"} == {path.stem for path in (REPOSITORY / "scripts").glob("*.py")}


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def test_hostile_header_text_stays_text(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "bias*", "flat_V*", "field_V*")
    target = "$(touch /tmp/owned)<script>alert(1)</script>"
    for path in (*raw.glob("flat_V*"), *raw.glob("field_V*")):
        fits.setval(path, "FILTER", value="../../{night}; touch owned #")
        fits.setval(path, "OBJECT", value=target)
        fits.setval(path, "READOUTM", value="`touch owned` {0}")
    results = snakemake.reduced(raw, tmp_path / "results")
    table = rows(results)
    assert table["field_V_001.fits"]["filter"] == "../../{night}; touch owned #"
    written = [path for path in tmp_path.rglob("*") if path.is_file() and raw not in path.parents]
    assert all(results in path.parents for path in written)
    assert not (REPOSITORY / "owned").exists()
    page = (results / NIGHT / "report.html").read_text()
    assert Tags(page).found.count("script") == 1
    assert "alert(1)" not in page.replace("&lt;script&gt;alert(1)", "")


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [4.0, 9.0])
def test_after_a_kill_the_same_command_finishes_the_night(seconds, night, reduced, tmp_path, snakemake):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", f"raw={night}", f"results={tmp_path}"]
    running = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    running.send_signal(signal.SIGKILL)
    running.wait()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path) == digests(reduced)


# --- masks of the observer -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_mask_of_the_observer_is_in_every_science_frame(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "bias_00[123].fits", "field_V_001.fits")
    alone = write_like(night / "field_V_001.fits", raw / "alone.fits", DATE_OBS="2024-03-05T03:00:00")
    assert alone.is_file()
    mine = np.zeros((96, 128), np.uint8)
    mine[20, 30] = 1
    path = tmp_path / "my mask's.fits"
    fits.PrimaryHDU(mine).writeto(path)
    results = snakemake.reduced(raw, tmp_path / "results", bad_pixels=path)
    for day, name in ((NIGHT, "field_V_001.fits"), ("20240304", "alone.fits")):
        with fits.open(results / day / "science" / name) as hdus:
            assert hdus["MASK"].data[20, 30] & 1
            assert not any("bad pixel mask" in str(value) for value in hdus[0].header.values())
        (mask,) = (results / day / "masters").glob("bpm*.fits")
        assert fits.getheader(mask)["USRMK001"] == path.name
    done = snakemake("-n", raw=raw, results=results, bad_pixels=path)
    assert "Nothing to be done" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_mask_that_fits_no_frame_gives_a_warning(night, tmp_path, snakemake):
    raw = copy_frames(night, tmp_path / "raw", "bias_00[123].fits", "field_V_001.fits")
    fits.PrimaryHDU(np.ones((48, 64), np.uint8)).writeto(tmp_path / "binned.fits")
    results = snakemake.reduced(raw, tmp_path / "results", bad_pixels=tmp_path / "binned.fits")
    shown = "bad pixel mask not used: no bad_pixels mask has 128 x 96 pixels (binned.fits has 64 x 48)"
    assert shown in rows(results)["field_V_001.fits"]["reason"]
    assert shown in fits.getheader(results / NIGHT / "science" / "field_V_001.fits").values()
    assert shown in (results / NIGHT / "report.html").read_text()


def test_a_missing_mask_stops_the_run(night, tmp_path, snakemake):
    done = snakemake("-n", raw=night, results=tmp_path / "results", bad_pixels=tmp_path / "missing.fits")
    assert done.returncode != 0
    assert "bad_pixels is" in done.stderr + done.stdout
    assert "missing.fits" in done.stderr + done.stdout
