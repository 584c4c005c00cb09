"""What a science frame did not have is a warning in its header, and a bias level that is left gives no magnitudes."""

import shutil

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.io.keywords import read_warnings
from nightcal.io.source_catalog import read_catalog
from nightcal.science.measure import read_measurements
from nightcal.science.reduce import ScienceBatch, reduce_frames
from nightcal.simulation.night import simulate_night

STEPS = {"sources": {}, "astrometry": {}, "photometry": {"filters": {"V": {"band": "V"}}}}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Two science frames, and a copy of the first."""
    folder = tmp_path_factory.mktemp("night") / "raw"
    simulate_night(folder, folder.parent / "truth", filters=("V",), n_bias=0, n_dark=0, n_flat=0, n_science=2)
    first = min(folder.glob("field_*.fits"))
    shutil.copy(first, folder / "zcopy.fits")
    return folder


def reduce(raw, folder, measured=False, overscan=True, **more):
    """Reduce the science frames without masters; their headers, by name."""
    folder.mkdir(exist_ok=True)
    paths = []
    for path in sorted([*raw.glob("field_*.fits"), *raw.glob("zcopy.fits")]):
        paths.append(shutil.copy(path, folder / path.name))
        with fits.open(paths[-1], "update") as hdus:
            for card in () if overscan else ("BIASSEC", "TRIMSEC"):
                hdus[0].header.remove(card, ignore_missing=True)
    outs = [folder / f"out_{path.name}" for path in paths]
    tables = [folder / f"table_{path.name}" for path in paths] if measured else []
    measurements = read_measurements(STEPS, [raw / "stars.csv"]) if measured else None
    camera = load_camera(REPOSITORY / "config" / "cameras" / "generic.yaml")
    reduce_frames(paths, outs, ScienceBatch(camera=camera, measurements=measurements, **more), tables)
    return {path.name: fits.getheader(out) for path, out in zip(paths, outs, strict=True)}, tables


def test_each_skipped_step_is_a_warning_with_the_reason_of_the_plan(raw, tmp_path):
    header = reduce(raw, tmp_path, warnings=["flat skipped: no flat in filter V"])[0]["field_V_001.fits"]
    told = [text for text in read_warnings(header) if "skipped" in text]
    wanted = {
        "flat skipped: no flat in filter V",
        *(f"{step} skipped: no master was given" for step in ("bias", "dark")),
    }
    assert set(told) == wanted


def test_a_frame_that_holds_its_bias_level_gets_no_magnitudes(raw, tmp_path):
    for overscan in (True, False):
        headers, tables = reduce(raw, tmp_path / str(overscan), measured=True, overscan=overscan)
        header, table = headers["field_V_001.fits"], read_catalog(tables[0])
        assert ("ZP" in header) == overscan
        assert np.isfinite(np.ma.filled(table["MAG_AUTO"].value, np.nan)).any() == overscan
        assert any(text.startswith("bias not subtracted: ") for text in read_warnings(header)) != overscan
    assert header["ZPSTAT"] == "no zero point: the frame holds its bias level (no bias, no overscan)"
    assert header["SKYRATIO"] < 0.85  # the level counts as signal in the uncertainties
    assert any(text.startswith("sky scatter: ") for text in read_warnings(header))


def test_the_second_of_two_frames_with_the_same_pixels_is_named(raw, tmp_path):
    headers, _ = reduce(raw, tmp_path)
    told = {name: [t for t in read_warnings(header) if "same pixels" in t] for name, header in headers.items()}
    assert told.pop("zcopy.fits") == ["same pixels: as field_V_001.fits: count them once"]
    assert not any(told.values())


def test_the_sky_is_checked_alike_with_and_without_measurements(raw, tmp_path):
    plain, _ = reduce(raw, tmp_path / "plain")
    measured, _ = reduce(raw, tmp_path / "measured", measured=True)
    for name, header in plain.items():
        assert header["SKYRATIO"] == measured[name]["SKYRATIO"] == pytest.approx(1, abs=0.15)
