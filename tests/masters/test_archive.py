"""Accepted masters go into a library, whole and with an index; others do not."""

import json
import shutil

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.product import Product, write_product
from nightcal.io.verdict import Outcome, Verdict, locate_verdict, write_verdict
from nightcal.masters import archive
from nightcal.masters.archive import archive_night
from nightcal.planning.library_index import NAME, read_index
from nightcal.planning.master_library import read_library
from nightcal.planning.setup_keywords import write_setup
from planned_frames import MIDNIGHT, frame


@pytest.fixture
def night(tmp_path):
    return tmp_path / "results" / "20240301"


def make_master(night, name, outcome=Outcome.ACCEPTED, level=1000.0, kind="bias"):
    """Write a master of a night and the verdict on it."""
    path = night / "masters" / f"{name}.fits"
    header = fits.Header({"MASTER": kind, "MJD-AVG": MIDNIGHT, "BIASLVL": level})
    write_setup(header, frame("b.fits", kind if kind == "bias" else "flat"))
    image = np.full((2, 3), level, np.float32)
    write_product(path, Product(image, image * 0, np.zeros((2, 3), np.int16), "electron", header))
    if outcome is not None:
        write_verdict(locate_verdict(path), Verdict(name, night.name, kind, outcome, "", numbers={"level": level}))
    return path


def list_files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_accepted_masters_are_added_with_their_verdicts_and_others_are_not(night, tmp_path):
    make_master(night, "bias_good")
    make_master(night, "bias_leak", Outcome.REJECTED)
    make_master(night, "bias_odd", Outcome.DOUBTFUL)
    make_master(night, "bias_unjudged", None)
    make_master(night, "bpm_x", None, kind="bpm")
    (night / "masters" / "gain_x.json").write_text("{}")
    library = tmp_path / "library"
    archive_night(night, library)
    assert list_files(library) == [
        "20240301/masters/bias_good.fits",
        "20240301/masters/bpm_x.fits",
        "20240301/masters/gain_x.json",
        "20240301/verdicts/bias_good.json",
        NAME,
    ]
    entry = read_index(library)["20240301/masters/bias_good.fits"]
    assert (entry.verdict, entry.numbers) == ("accepted", {"level": 1000.0})


def test_what_is_there_already_is_not_written_again(night, tmp_path):
    path, library = make_master(night, "bias_good"), tmp_path / "library"
    assert archive_night(night, library) == ["20240301/masters/bias_good.fits"]
    before = (library / "20240301/masters/bias_good.fits").stat().st_mtime_ns
    assert archive_night(night, library) == []
    assert (library / "20240301/masters/bias_good.fits").stat().st_mtime_ns == before
    make_master(night, "bias_good", level=1001.0)
    assert archive_night(night, library) == ["20240301/masters/bias_good.fits"]
    assert (library / "20240301/masters/bias_good.fits").read_bytes() == path.read_bytes()


def test_a_master_that_is_accepted_no_longer_leaves_the_library(night, tmp_path):
    make_master(night, "bias_good")
    library = tmp_path / "library"
    archive_night(night, library)
    make_master(night, "bias_good", Outcome.REJECTED)
    archive_night(night, library)
    assert list_files(library) == [NAME]
    assert read_library(library) == []


@pytest.mark.parametrize("write", [1, 2, 3, 4, 5])
def test_a_stop_at_any_moment_leaves_whole_files_and_the_next_run_ends_the_work(write, night, tmp_path, monkeypatch):
    for name in ("bias_a", "bias_b"):
        make_master(night, name)
    whole, library = tmp_path / "whole", tmp_path / "library"
    archive_night(night, whole)
    real, count = archive.write_atomically.__exit__, 0

    def stop(self, *how):
        nonlocal count
        count += 1
        if count == write:
            raise KeyboardInterrupt
        return real(self, *how)

    with monkeypatch.context() as patched:
        patched.setattr(archive.write_atomically, "__exit__", stop)
        with pytest.raises(KeyboardInterrupt):
            archive_night(night, library)
    for name in list_files(library):
        if not name.endswith(".partial"):
            assert (library / name).read_bytes() == (whole / name).read_bytes()
    archive_night(night, library)
    assert list_files(library) == list_files(whole)


def test_the_index_saves_opening_the_files(night, tmp_path, monkeypatch):
    make_master(night, "bias_good")
    library = tmp_path / "library"
    archive_night(night, library)
    (by_header,) = read_library(shutil.copytree(library, tmp_path / "no_index", ignore=lambda *_: [NAME]))
    monkeypatch.setattr(fits, "getheader", None)
    (master,) = read_library(library)
    assert (master.name, master.setup, master.mjd) == (by_header.name, by_header.setup, by_header.mjd)
    assert master.path == library / "20240301/masters/bias_good.fits"


def test_a_file_that_is_not_in_the_index_or_has_changed_is_opened(night, tmp_path):
    make_master(night, "bias_good")
    library = tmp_path / "library"
    archive_night(night, library)
    make_master(library / "20240302", "bias_new")
    make_master(library / "20240301", "bias_good", level=2.0)
    with fits.open(library / "20240301/masters/bias_good.fits", mode="update") as hdus:
        hdus[0].header["MJD-AVG"] = MIDNIGHT + 9
    assert {(m.name, m.mjd) for m in read_library(library)} == {("bias_good", MIDNIGHT + 9), ("bias_new", MIDNIGHT)}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a.fits": {"size": 1}}', '{"a.fits": 3}'])
def test_a_damaged_index_is_told_of_and_the_masters_are_opened(text, night, tmp_path, caplog):
    make_master(night, "bias_good")
    library = tmp_path / "library"
    archive_night(night, library)
    (library / NAME).write_text(text)
    assert [m.name for m in read_library(library)] == ["bias_good"]
    assert "each master of the library is opened" in caplog.text


def test_a_rejected_master_of_any_folder_is_never_offered(night, caplog):
    make_master(night, "bias_leak", Outcome.REJECTED)
    make_master(night, "bias_odd", Outcome.DOUBTFUL)
    path = make_master(night, "bias_torn")
    locate_verdict(path).write_text(json.dumps({"outcome": "perhaps"}))
    assert [m.name for m in read_library(night.parent)] == ["bias_odd"]
    assert "bias_torn.fits is not used: the verdict on it cannot be read" in caplog.text
