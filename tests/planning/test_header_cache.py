"""The cache saves reading known headers, and never changes the result."""

import os
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.cameras.camera import Camera
from nightcal.cameras.camera_file import load_cameras
from nightcal.cameras.corrected_camera import Facts
from nightcal.planning import header_cache
from nightcal.planning.frames import Frame, scan
from nightcal.planning.header_cache import (
    CachedFrame,
    dump_cache,
    load_cache,
    locate_cache,
    make_validity_key,
    read_cached_frames,
    save_cache,
)
from nightcal.planning.overrides import Override

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
    real = header_cache.read_frames

    def noted(path, name, cameras):
        names.append(name)
        return real(path, name, cameras)

    monkeypatch.setattr(header_cache, "read_frames", noted)
    return names


def below(night, **how):
    return read_cached_frames(night, CAMERAS, night.parent / "results", **how)


def test_the_frames_are_the_same_with_and_without_a_cache(night):
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


def test_a_header_changed_in_place_is_noticed_even_with_its_old_time_stamp(night):
    below(night)
    path = night / "m1.fits"
    status = path.stat()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"'V       '", b"'R       '"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert {frame.name: frame.filter for frame in below(night)}["m1.fits"] == "R"


def test_a_repaired_link_is_read(night):
    below(night)
    write(night / "other2.fits").rename(night / "nowhere")
    assert not {frame.name: frame for frame in below(night)}["gone1.fits"].problem


def test_a_trusted_cache_is_used_unchecked(night, read):
    known = below(night)
    read.clear()
    (night / "m0.fits").unlink()
    write(night / "m9.fits")
    before = (locate_cache(night.parent / "results", night)).read_bytes()
    assert below(night, trusted=True, save=False) == known
    assert read == []
    assert (locate_cache(night.parent / "results", night)).read_bytes() == before


def test_each_folder_of_raw_frames_has_its_own_cache(night, read, caplog):
    other = night.parent / "other"
    other.mkdir()
    write(other / "x1.fits")
    found = below(night)
    read_cached_frames(other, CAMERAS, night.parent / "results")
    read.clear()
    assert below(night) == found
    assert (read, caplog.records) == ([], [])


def test_without_a_cache_the_headers_are_read(night):
    assert below(night, trusted=True, save=False) == scan(night, CAMERAS)
    assert not (night.parent / "results").exists()


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "binary", "folder"])
def test_a_damaged_cache_gives_a_warning_and_is_replaced(damage, night, read, caplog):
    found = below(night)
    path = locate_cache(night.parent / "results", night)
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


def test_a_cache_that_cannot_be_written_gives_a_warning(night, caplog):
    (night.parent / "results").write_text("no folder")
    assert below(night) == scan(night, CAMERAS)
    assert len(caplog.records) == 2


def test_other_camera_files_invalidate_the_cache(night, tmp_path, read):
    below(night)
    read.clear()
    read_cached_frames(night, CAMERAS[-1:], tmp_path / "results")
    assert len(read) == 6


def test_another_version_invalidates_the_cache(night, read, monkeypatch):
    below(night)
    read.clear()
    monkeypatch.setattr(header_cache, "__version__", "0.0")
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
    st.lists(st.builds(CachedFrame, FRAMES, st.tuples(*[st.integers(0, 2**62)] * 3)), unique_by=lambda k: k.frame.name)
)
def test_a_cache_is_read_as_written(tmp_path_factory, known):
    path = tmp_path_factory.getbasetemp() / "header_cache"
    save_cache(path, "validity", known)
    assert dump_cache(known).isascii()
    back = load_cache(path, "validity")
    assert list(back.values()) == known
    for one, other in zip(back.values(), known, strict=True):
        for attribute in fields(Frame):
            read, written = (getattr(frame, attribute.name) for frame in (one.frame, other.frame))
            assert type(read) is type(written)
    assert load_cache(path, "another") is None


def test_the_content_of_a_file_tells_a_copy_from_another_exposure(night, tmp_path):
    def contents():
        return {frame.name: frame.content for frame in below(night)}

    before = contents()
    assert len(set(before.values()) - {""}) == 4  # of files that are FITS
    path = night / "m1.fits"
    os.utime(path)
    shutil.copy(path, tmp_path / "copy")
    shutil.copy(tmp_path / "copy", path)
    assert contents() == before
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-2880] ^= 1  # a bit of the first pixel
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert {name for name, found in contents().items() if found != before[name]} == {"m1.fits"}


def test_a_corrected_header_is_read_once(night, read):
    override = Override(Facts(filter="I"), text="night.yaml: filter I")

    def overrule(frames):
        assert {frame.filter for frame in frames if not frame.problem} == {"V"}
        return {"m1.fits": override}

    found = {frame.name: frame for frame in below(night, overrule=overrule)}
    assert found["m1.fits"].filter == "I"
    assert found["m1.fits"].override == override
    assert found["m2.fits"].filter == "V"
    assert len(read) == 7
    read.clear()
    assert {frame.name: frame for frame in below(night, overrule=overrule)} == found
    assert {frame.name: frame for frame in below(night, overrule=overrule, trusted=True)} == found
    assert read == []
    assert {frame.name: frame.filter for frame in below(night)}["m1.fits"] == "V"
    assert read == []


def test_the_validity_depends_on_the_text_of_a_camera_file(tmp_path):
    path = tmp_path / "mine.yaml"
    words = "name: mine\ntitle: x\ncards: {start: DATE-OBS, exposure: EXPTIME, type: IMAGETYP}\n"
    hashes = set()
    for kind in ("science", "flat"):
        path.write_text(f"{words}types: [{{{kind}: {{type: '*'}}}}]\n")
        hashes.add(make_validity_key(tmp_path, [Camera("mine", "x", path)]))
    assert len(hashes) == 2
