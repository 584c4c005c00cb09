"""The manifest spares the headers that are known, and never changes what is found."""

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.cameras.camera_file import load_cameras
from nightcal.planning import header_cache as manifest
from nightcal.planning.frames import Frame, scan
from nightcal.planning.header_cache import (
    CACHE_FILE,
    CachedFrame,
    dump_cache,
    load_cache,
    make_validity_key,
    read_cached_frames,
)

CAMERAS = load_cameras(REPOSITORY / "config/cameras")
CARDS = {"IMAGETYP": "Light Frame", "EXPTIME": 10.0, "FILTER": "V", "SITELONG": 0.0, "EGAIN": 1.5, "RDNOISE": 5.0}


def write(path, **changes):
    minute = int(path.stem[-1])
    cards = {**CARDS, "DATE-OBS": f"2024-03-01T23:0{minute}:00", **changes}
    fits.PrimaryHDU(np.full((8, 9), 1000, np.uint16), fits.Header(cards)).writeto(path, overwrite=True)
    return path


@pytest.fixture
def night(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for n in range(4):
        write(raw / f"m{n}.fits")
    (raw / "notes1.fits").write_text("clouds")
    (raw / "gone1.fits").symlink_to(raw / "nowhere")
    return raw


@pytest.fixture
def read(monkeypatch):
    """Names of the files whose headers are read, as it happens."""
    names = []
    real = manifest.read_frame

    def noted(path, name, cameras):
        names.append(name)
        return real(path, name, cameras)

    monkeypatch.setattr(manifest, "read_frame", noted)
    return names


def below(night, **how):
    return read_cached_frames(night, CAMERAS, night.parent / "results", **how)


def test_what_is_found_is_the_same_with_and_without_a_manifest(night):
    (night / "copies").mkdir()
    write(night / "copies" / "m0.fits")
    plainly = scan(night, CAMERAS)
    assert sum("copy" in frame.problem for frame in plainly) == 1
    assert below(night) == below(night) == below(night, trusted=True) == plainly


def test_known_headers_are_not_read_again(night, read):
    below(night)
    assert len(read) == 6
    read.clear()
    below(night)
    assert read == []


def test_only_what_is_new_or_changed_is_read(night, read):
    below(night)
    read.clear()
    write(night / "m1.fits", OBJECT="M 67")
    write(night / "m9.fits")
    (night / "m3.fits").unlink()
    found = {frame.name: frame for frame in below(night)}
    assert read == ["m1.fits", "m9.fits"]
    assert found["m1.fits"].target == "M 67"
    assert "m3.fits" not in found
    read.clear()
    assert len(below(night)) == 6
    assert read == []


def test_a_header_changed_in_place_is_noticed_though_its_time_was_put_back(night):
    below(night)
    path = night / "m1.fits"
    status = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"'V       '", b"'R       '"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert {frame.name: frame.filter for frame in below(night)}["m1.fits"] == "R"


def test_a_link_that_leads_somewhere_again_is_read(night):
    below(night)
    write(night / "other2.fits").rename(night / "nowhere")
    assert not {frame.name: frame for frame in below(night)}["gone1.fits"].problem


def test_a_trusted_manifest_is_the_truth(night, read):
    known = below(night)
    read.clear()
    (night / "m0.fits").unlink()
    write(night / "m9.fits")
    before = (night.parent / "results" / CACHE_FILE).read_bytes()
    assert below(night, trusted=True, save=False) == known
    assert read == []
    assert (night.parent / "results" / CACHE_FILE).read_bytes() == before


def test_without_a_manifest_trust_means_looking(night):
    assert below(night, trusted=True, save=False) == scan(night, CAMERAS)
    assert not (night.parent / "results").exists()


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "binary", "folder"])
def test_a_damaged_manifest_costs_a_line_and_nothing_else(damage, night, read, caplog):
    found = below(night)
    path = night.parent / "results" / CACHE_FILE
    content = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        worse = {
            "cut": content[:-20],
            "bit": content.replace(b"m2.fits", b"m7.fits"),
            "empty": b"",
            "text": b"[]",
            "binary": bytes(range(256)),
        }
        path.write_bytes(worse[damage])
    read.clear()
    assert below(night) == found
    assert len(read) == 6
    assert len(caplog.records) == (2 if damage == "folder" else 1)  # nor can it be written where a folder is
    assert str(path) in caplog.text


def test_a_manifest_that_cannot_be_written_costs_a_line_and_nothing_else(night, caplog):
    (night.parent / "results").write_text("no folder")
    assert below(night) == scan(night, CAMERAS)
    assert len(caplog.records) == 2


def test_other_camera_files_make_headers_mean_other_things(night, tmp_path, read):
    below(night)
    read.clear()
    read_cached_frames(night, CAMERAS[-1:], tmp_path / "results")
    assert len(read) == 6


def test_another_version_reads_anew(night, read, monkeypatch):
    below(night)
    read.clear()
    monkeypatch.setattr(manifest, "__version__", "0.0")
    below(night)
    assert len(read) == 6


ANY = st.text(max_size=8)
NUMBER = st.floats(allow_nan=False) | st.integers(-5, 10**6)
FRAMES = st.builds(
    Frame,
    path=st.text(st.characters(exclude_characters="\0/"), min_size=1, max_size=8).map(Path),
    name=ANY,
    problem=ANY,
    target=ANY | st.just("\udc80"),
    exposure_time=NUMBER,
    mjd=st.none() | NUMBER,
    set_temperature=st.none() | NUMBER,
    temperature=st.none() | NUMBER,
    binning=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    shape=st.tuples(st.integers(0, 9999), st.integers(0, 9999)),
    gain=st.none() | NUMBER,
    pointing=st.none() | st.tuples(st.floats(0, 360), st.floats(-90, 90)),
    has_overscan=st.booleans(),
)


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.lists(st.builds(CachedFrame, FRAMES, st.tuples(*[st.integers(0, 2**62)] * 3)), unique_by=lambda k: k.frame.path)
)
def test_what_was_written_is_read(tmp_path_factory, known):
    path = tmp_path_factory.getbasetemp() / "written.manifest"
    manifest._save(path, "validity", known)
    assert dump_cache(known).isascii()
    back = load_cache(path, "validity")
    assert list(back.values()) == known
    for one, other in zip(back.values(), known, strict=True):
        for attribute in fields(Frame):
            read, written = (getattr(frame, attribute.name) for frame in (one.frame, other.frame))
            assert type(read) is type(written)
    assert load_cache(path, "another") is None


def test_validity_follows_the_words_of_a_camera_file(tmp_path):
    path = tmp_path / "mine.yaml"
    words = "name: mine\ntitle: x\ncards: {start: DATE-OBS, exposure: EXPTIME, type: IMAGETYP}\n"
    hashes = set()
    for kind in ("science", "flat"):
        path.write_text(f"{words}types: [{{{kind}: {{type: '*'}}}}]\n")
        hashes.add(make_validity_key(tmp_path, [manifest.Camera("mine", "x", path)]))
    assert len(hashes) == 2
