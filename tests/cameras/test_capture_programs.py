"""Frames of the usual programs for CMOS cameras are what these programs say, in their headers, files or folders."""

import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera import recognise_camera
from nightcal.cameras.camera_file import load_camera, load_cameras
from nightcal.errors import ConfigurationError, FrameRejectedError
from nightcal.io.raw_header import read_header

CAMERAS = load_cameras(REPOSITORY / "config/cameras")
NINA = {
    "IMAGETYP": "LIGHT",
    "EXPOSURE": 30.0,
    "EXPTIME": 30.0,
    "DATE-LOC": "2021-03-02T21:19:00.455",
    "DATE-OBS": "2021-03-02T20:19:00.455",
    "XBINNING": 1,
    "YBINNING": 1,
    "GAIN": 120,
    "OFFSET": 30,
    "EGAIN": 1.00224268436432,
    "INSTRUME": "ZWO ASI294MC Pro",
    "SET-TEMP": -10.0,
    "SWCREATE": "N.I.N.A. 1.10.2.90",
}
SHARPCAP = {
    "SWCREATE": "SharpCap v4.1.12345.0, 64 bit",
    "EXPTIME": 2,
    "GAIN": 360,
    "BLKLEVEL": 10,
    "DATE-OBS": "2019-04-29T20:25:29.8219583",
    "INSTRUME": "ZWO ASI290MM Mini",
}
ASIAIR = {
    "CREATOR": "ZWO ASIAIR Plus",
    "EXPTIME": 300.0,
    "GAIN": 100,
    "OFFSET": 50,
    "DATE-OBS": "2026-09-01T22:15:00.000",
    "INSTRUME": "ZWO ASI2600MC Duo",
}


def write(path, cards, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {name.replace("_", "-"): value for name, value in (cards | changes).items() if value is not None}
    fits.PrimaryHDU(header=fits.Header(values), data=[[1, 2], [3, 4]]).writeto(path)
    return read_header(path)


@pytest.mark.parametrize(
    ("cards", "name", "kind"),
    [
        (NINA, "a.fits", "science"),
        (NINA | {"IMAGETYP": "FLAT"}, "a.fits", "flat"),
        (NINA | {"IMAGETYP": "DARKFLAT"}, "a.fits", "dark"),
        (NINA | {"IMAGETYP": "SNAPSHOT"}, "a.fits", "other"),
        (NINA | {"IMAGETYP": None}, "2024-03-01/BIAS/0001.fits", "bias"),
        (NINA | {"IMAGETYP": None}, "2024-03-01/DARK/300.00/0001.fits", "dark"),
        (SHARPCAP, "M67/20_25_29/Capture_00001.fits", "science"),
        (SHARPCAP | {"IMAGETYP": "Dark"}, "Capture_00001.fits", "dark"),
        (SHARPCAP, "2024-02-03/Bias/15_48_22Z/0001.fits", "bias"),
        (SHARPCAP, "2024-02-03/Flats/15_48_22Z/rawframes/0001.fits", "flat"),
        (SHARPCAP, "Dark_60s_0001.fits", "dark"),
        (SHARPCAP, "Dark nebula/LDN1622_0001.fits", "science"),
        (ASIAIR | {"IMAGETYP": "Light"}, "a.fit", "science"),
        (ASIAIR, "Dark_300.0s_Bin1_gain100_0001.fit", "dark"),
        (ASIAIR, "Autorun/Flat/Flat_1.2s_0001.fit", "flat"),
        (ASIAIR, "Autorun/Bias/0001.fit", "bias"),
    ],
)
def test_the_type_follows_from_the_header_or_else_from_file_and_folder(tmp_path, cards, name, kind):
    header = write(tmp_path / name, cards)
    assert recognise_camera(header, CAMERAS).kind(header) == kind


@pytest.mark.parametrize("cards", [NINA | {"EGAIN": None}, SHARPCAP, ASIAIR])
def test_the_gain_setting_is_no_gain_but_part_of_the_mode(tmp_path, cards):
    header = write(tmp_path / "a.fits", cards)
    camera = recognise_camera(header, CAMERAS)
    assert camera.read_gain_and_noise(header) == (None, None)
    assert f"gain{cards['GAIN']}" in [setting.text for setting in camera.settings(header)]


def test_egain_is_the_gain(tmp_path):
    header = write(tmp_path / "a.fits", NINA)
    assert recognise_camera(header, CAMERAS).read_gain_and_noise(header)[0] == pytest.approx(1.0022, abs=1e-4)


def test_an_exposure_time_in_microseconds_is_in_seconds(tmp_path):
    header = write(tmp_path / "a.fits", ASIAIR, EXPTIME=None, EXPOINUS=64)
    assert recognise_camera(header, CAMERAS).exposure_time(header) == pytest.approx(64e-6)


RULES = """
name: mine
title: mine
cards: {type: IMAGETYP, exposure: [{EXPMS: ms}, EXPTIME], start: DATE-OBS}
types:
  - bias: {file: "Bias/*"}
  - dark: {file: "*_dark_*"}
  - flat: {folder: ["flat*", "flat*/evening"]}
  - science: {folder: raw, file: ["*.fit", "*.fits"]}
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.yaml").write_text(RULES)
    return load_camera(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("raw/bias/1.fits", "bias"),
        ("raw/n1_DARK_1.fits", "dark"),
        ("raw/flats/1.fits", "flat"),
        ("raw/flats/evening/1.fits", "flat"),
        ("raw/1.fits", "science"),
    ],
)
def test_rules_match_the_last_parts_of_the_path(tmp_path, mine, name, kind, monkeypatch):
    header = write(tmp_path / name, SHARPCAP)
    assert mine.kind(header) == kind
    monkeypatch.chdir(tmp_path / "raw")
    assert mine.kind(read_header((tmp_path / name).relative_to(tmp_path / "raw"))) == kind


def test_a_file_that_no_rule_names_is_rejected(tmp_path, mine):
    with pytest.raises(FrameRejectedError, match="the frame type is missing"):
        mine.kind(write(tmp_path / "elsewhere/1.fits", SHARPCAP))


def test_each_keyword_of_the_exposure_time_has_its_own_unit(tmp_path, mine):
    assert mine.exposure_time(write(tmp_path / "a.fits", SHARPCAP, EXPMS=1500)) == 1.5
    assert mine.exposure_time(write(tmp_path / "b.fits", SHARPCAP)) == 2


def test_an_unknown_unit_is_a_mistake(tmp_path):
    (tmp_path / "mine.yaml").write_text(RULES.replace("EXPMS: ms", "EXPMS: ns"))
    with pytest.raises(ConfigurationError, match=r"EXPTIME, \{EXPOINUS: us\}"):
        load_camera(tmp_path / "mine.yaml")
