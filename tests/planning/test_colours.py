"""A colour mosaic that its camera file splits is four frames in the plan, each with masters of its own."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.errors import ConfigurationError
from nightcal.planning.frames import scan
from nightcal.planning.header_cache import read_cached_frames
from nightcal.planning.plan import make_plan

CARDS = {"EXPTIME": 10.0, "SITELONG": 0.0, "EGAIN": 1.5, "RDNOISE": 5.0, "BAYERPAT": "RGGB"}


@pytest.fixture
def camera(tmp_path):
    text = (REPOSITORY / "config/cameras/generic.yaml").read_text().replace("name: generic", "name: mine")
    (tmp_path / "mine.yaml").write_text(f"{text}\nbayer: split\n")
    return load_camera(tmp_path / "mine.yaml")


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw/m67").mkdir(parents=True)
    for n, (kind, word) in enumerate((("bias", "Bias"), ("dark", "Dark"), ("flat", "Flat"), ("m67/m67", "Light"))):
        write(tmp_path / f"raw/{kind}.fits", IMAGETYP=word, DATE_OBS=f"2024-03-01T23:0{n}:00")
    return tmp_path / "raw"


def write(path, **cards):
    cards = {name.replace("_", "-"): value for name, value in (CARDS | cards).items() if value is not None}
    fits.PrimaryHDU(np.full((40, 60), 1000, np.uint16), fits.Header(cards)).writeto(path, overwrite=True)


def test_each_colour_has_masters_of_its_own(raw, camera):
    plan = make_plan(scan(raw, [camera]))
    assert len(plan.entries) == 16
    for science in plan.science:
        assert science.frame.shape == (20, 30)
        assert science.frame.filter == science.frame.plane
        for match in (science.bias, science.dark, science.flat, science.bpm):
            assert match.master.setup.plane == science.frame.plane
    assert [science.name for science in plan.science] == ["m67_B", "m67_G1", "m67_G2", "m67_R"]
    assert {science.frame.name for science in plan.science} == {f"m67/m67.fits:{c}" for c in ("R", "G1", "G2", "B")}
    assert {science.frame.file for science in plan.science} == {"m67/m67.fits"}
    assert len(plan.batches) == 4


def test_a_filter_in_front_of_the_mosaic_counts_too(raw, camera):
    write(raw / "m67/ha.fits", IMAGETYP="Light", DATE_OBS="2024-03-01T23:20:00", FILTER="L-eXtreme")
    plan = make_plan(scan(raw, [camera]))
    with_filter = [science for science in plan.science if science.name.startswith("ha")]
    assert {science.frame.filter for science in with_filter} == {f"L-eXtreme {c}" for c in ("R", "G1", "G2", "B")}
    assert all(science.flat.master is None for science in with_filter)


def test_sections_of_a_mosaic_count_its_pixels(raw, camera):
    write(
        raw / "bias.fits",
        IMAGETYP="Bias",
        DATE_OBS="2024-03-01T23:00:00",
        TRIMSEC="[1:50,1:40]",
        BIASSEC="[51:60,1:40]",
    )
    write(raw / "dark.fits", IMAGETYP="Dark", DATE_OBS="2024-03-01T23:01:00", TRIMSEC="[2:51,1:40]")
    frames = {frame.name: frame for frame in scan(raw, [camera])}
    assert frames["bias.fits:B"].area == "[1:25,1:20]"
    assert frames["bias.fits:B"].has_overscan
    assert "cuts through the colour mosaic" in frames["dark.fits"].problem


def test_the_cache_holds_each_colour(raw, camera, tmp_path):
    results = tmp_path / "results"
    first = read_cached_frames(raw, [camera], results)
    assert first == scan(raw, [camera]) == read_cached_frames(raw, [camera], results)
    assert first == read_cached_frames(raw, [camera], results, trusted=True)
    write(raw / "bias.fits", IMAGETYP="Dark", DATE_OBS="2024-03-01T23:00:00")
    assert [frame.kind for frame in read_cached_frames(raw, [camera], results)][:4] == ["dark"] * 4


def test_a_file_without_colours_is_one_whole_frame(raw, camera):
    write(raw / "bias.fits", IMAGETYP="Bias", DATE_OBS="2024-03-01T23:00:00", BAYERPAT=None)
    (bias,) = (frame for frame in scan(raw, [camera]) if frame.kind == "bias")
    assert (bias.name, bias.shape, bias.plane, bias.problem) == ("bias.fits", (40, 60), "", "")
    planes = {frame.plane for s in make_plan(scan(raw, [camera])).science for frame in s.bias.master.frames}
    assert planes == {"R", "G1", "G2", "B"}  # the darks serve as bias


def test_a_camera_file_names_the_colours_of_headers_that_do_not(raw, camera):
    write(raw / "bias.fits", IMAGETYP="Bias", DATE_OBS="2024-03-01T23:00:00", BAYERPAT=None)
    frames = scan(raw, [replace(camera, bayer_pattern="RGGB")])
    assert [frame.plane for frame in frames if frame.kind == "bias"] == ["R", "G1", "G2", "B"]


def test_a_mosaic_with_several_amplifiers_is_a_mistake_in_the_camera_file(tmp_path):
    text = "name: mine\ntitle: mine\ntypes: [{science: {OBJECT: '*'}}]\nbayer: split\n"
    (tmp_path / "mine.yaml").write_text(f"{text}amplifiers: [{{plane: 1}}, {{plane: 2}}]\n")
    with pytest.raises(ConfigurationError, match=r"bayer is split, with 2 amplifiers; expected one"):
        load_camera(tmp_path / "mine.yaml")
