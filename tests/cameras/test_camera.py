"""Headers are interpreted as their observatories define them; mistakes in camera files are explained."""

from datetime import datetime
from pathlib import Path

import pytest
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.time import Time
from helpers import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.cameras.camera import Camera, recognise_camera
from nightcal.cameras.camera_file import load_camera, load_cameras
from nightcal.cameras.filters import is_no_filter
from nightcal.errors import ConfigurationError, FrameRejectedError
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area

FOLDER = REPOSITORY / "config/cameras"
CAMERAS = load_cameras(FOLDER)
MICROSECOND = 1.2e-11  # [days]

ARCSAT = {
    "DATE-OBS": "2019-05-03T07:37:46",
    "EXPTIME": 0.0,
    "EXPOSURE": 0.0,
    "SET-TEMP": -25.0,
    "CCD-TEMP": -25.07,
    "XBINNING": 1,
    "YBINNING": 1,
    "XORGSUBF": 0,
    "YORGSUBF": 0,
    "READOUTM": "Monochrome",
    "IMAGETYP": "Bias Frame",
    "SITELAT": "32 46 49",
    "SITELONG": "-105 49 13",
    "OBJECT": "        ",
    "INSTRUME": "Apogee USB/Net",
}
NICKEL = {
    "CRVAL1U": 2048,
    "CRVAL2U": 2048,
    "CDELT1U": -2,
    "CDELT2U": -2,
    "OBSTYPE": "OBJECT",
    "EXPTIME": 10,
    "OBJECT": "NGC 6819",
    "DATE-BEG": "2019-09-24T04:45:11.90",
    "DATASEC": "[1:1024,1:1024]",
    "FILTNAM": "V                 ",
    "READ-SPD": 40,
    "GAIN": 1,
    "INSTRUME": "Nickel Direct Camera",
    "COVER": 32,
    "ROVER": 0,
    "TEMPDET": -111.2,
}
AFOSC = {
    "DATE-OBS": "2022-03-28T18:18:52.3",
    "EXPTIME": 5.0,
    "CCD-TEMP": -95.5,
    "SET-TEMP": -95.0,
    "IMAGETYP": "Object  ",
    "OBJECT": "gj3470  ",
    "FILTER": "g-Sloan ",
    "X-START": 2,
    "Y-START": 768,
    "INSTRUME": "AFOSC + Andor iKon-L DZ936N-BEX2-DD-9HF",
    "DETECTOR": "E2V CCD42-40 DD",
    "BINX": 4,
    "BINY": 4,
    "GAIN": 1.91,
    "RDNOISE": 7.10,
    "SITELONG": 11.5689993,
    "HSSPEED": 2,
    "OUTMODE": 0,
    "PREAMP": 1,
}
LCO = {
    "ORIGIN": "LCOGT",
    "OBSTYPE": "STANDARD",
    "DATE-OBS": "2015-12-16T18:26:14.591",
    "UTSTART": "18:26:14.591",
    "MJD-OBS": 57372.7681669,
    "INSTRUME": "fl10",
    "GAIN": "[3.3,3.4,3.3,3.4]",
    "RDNOISE": 14.9,
    "CCDSUM": "1 1",
    "LONGITUD": 20.81252,
    "TRIMSEC": "[1:4096,1:4096]",
    "BIASSEC": "UNKNOWN",
    "CCDSEC": "UNKNOWN",
    "CONFMODE": "default",
    "EXPTIME": 60.0,
    "SATURATE": 47500.0,
    "CCDSTEMP": -100.0,
    "FILTER": "I",
    "OBJECT": "S82_01",
}
SAAO = {
    "IMAGETYP": "object",
    "DATE-OBS": "2013-07-13",
    "UT": "18:04:51.0",
    "INSTRUME": "STE3 CCD",
    "GAIN": 1.9,
    "RDNOISE": 5.0,
    "TRIMSEC": "[  17: 528,   1: 520]",
    "BIASSEC": "[   4:  13,   1: 520]",
    "EXPTIME": 150.04,
    "OBJECT": "rf0420",
}


def header(cards, shape=(1024, 1024), **changes):
    """Header of the image with cards changed, or taken away with None; ``_`` in a name stands for a hyphen."""
    cards = {**cards, **{name.replace("_", "-"): value for name, value in changes.items()}}
    kept = fits.Header({"NAXIS1": shape[1], "NAXIS2": shape[0]})
    for name, value in cards.items():
        if value is not None:
            kept[name] = value
    return RawHeader(kept, 0, shape)


def camera(name):
    return next(c for c in CAMERAS if c.name == name)


def own(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_camera(path)


def mistake(tmp_path, text):
    with pytest.raises(ConfigurationError) as caught:
        own(tmp_path, text)
    return str(caught.value)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_camera_file_loads_with_its_own_name(path):
    assert load_camera(path).name == path.stem


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        (ARCSAT, "arcsat"),
        (ARCSAT | {"INSTRUME": "Apogee Alta CCD"}, "arcsat"),
        (ARCSAT | {"INSTRUME": "FlareCam", "SITELAT": "+32:46:49"}, "arcsat"),
        (NICKEL, "nickel"),
        (AFOSC, "afosc"),
        (LCO, "lco"),
        (SAAO, "generic"),
        ({"SWCREATE": "N.I.N.A. 3.1.2.9001 (x64)"}, "nina"),
        ({"SWCREATE": "SharpCap v4.1.12345.0, 64 bit"}, "sharpcap"),
        ({"CREATOR": "ZWO ASIAIR Plus"}, "asiair"),
        ({}, "generic"),
    ],
)
def test_each_header_finds_its_camera(cards, name):
    assert recognise_camera(header(cards), CAMERAS).name == name


def test_another_apogee_camera_is_not_taken_for_arcsat():
    assert recognise_camera(header(ARCSAT, SITELAT="52 00 00"), CAMERAS).name == "generic"


def test_the_file_without_rules_to_recognise_is_tried_last():
    assert [c.name for c in CAMERAS][-1] == "generic"
    assert sum(not c.recognise for c in CAMERAS) == 1


def test_a_header_that_no_camera_recognises_is_rejected():
    with pytest.raises(FrameRejectedError, match="no camera"):
        recognise_camera(header(SAAO), [camera("nickel"), camera("lco")])


def test_two_camera_files_of_the_same_name_are_a_mistake(tmp_path):
    for stem in "ab":
        (tmp_path / f"{stem}.yaml").write_text("name: twin\ntitle: x\ntypes: [{bias: {A: b}}]\n")
    with pytest.raises(ConfigurationError, match=r"name is 'twin'; another camera file has the same name"):
        load_cameras(tmp_path)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"OBSTYPE": "DARK", "EXPTIME": 0}, "bias"),
        ({"OBSTYPE": "DARK", "EXPTIME": 300}, "dark"),
        ({"OBSTYPE": "DARK", "EXPTIME": 300, "OBJECT": "flat"}, "dark"),
        ({"OBJECT": "Dome flat"}, "flat"),
        ({"OBJECT": "skyflat V"}, "flat"),
        ({"OBJECT": "NGC 6819"}, "science"),
        ({"OBJECT": None}, "science"),
        ({"OBSTYPE": "FOCUS"}, "other"),
    ],
)
def test_nickel_types_follow_from_exposure_time_and_object(changes, kind):
    assert camera("nickel").kind(header(NICKEL, **changes)) == kind


@pytest.mark.parametrize(
    ("name", "cards", "card", "kinds"),
    [
        (
            "arcsat",
            ARCSAT,
            "IMAGETYP",
            {
                "Bias Frame": "bias",
                "Dark Frame": "dark",
                "Flat Field": "flat",
                "FLAT": "flat",
                "Light Frame": "science",
            },
        ),
        (
            "afosc",
            AFOSC,
            "IMAGETYP",
            {"Bias": "bias", "Dark": "dark", "Flat": "flat", "Skyflat": "flat", "Object": "science", "Lamp": "other"},
        ),
        (
            "lco",
            LCO,
            "OBSTYPE",
            {
                "BIAS": "bias",
                "DARK": "dark",
                "SKYFLAT": "flat",
                "LAMPFLAT": "flat",
                "EXPOSE": "science",
                "STANDARD": "science",
                "EXPERIMENTAL": "other",
                "GUIDE": "other",
            },
        ),
        (
            "generic",
            SAAO,
            "IMAGETYP",
            {
                "zero": "bias",
                "BIAS": "bias",
                "Bias Frame": "bias",
                "dark": "dark",
                "Dark Frame": "dark",
                "flat": "flat",
                "Flat Field": "flat",
                "sky flat": "flat",
                "Light Frame": "science",
                "LIGHT": "science",
                "object": "science",
                "Science": "science",
                "focus": "other",
                "comp": "other",
                "Offset": "bias",
                "FlatDark": "dark",
                "Flat Dark": "dark",
                "FLAT-DARK": "dark",
                "Dark Flat": "dark",
                "Dark for flat": "dark",
                "Flat off": "dark",
                "LAMPFLAT,OFF": "dark",
                "dome flat off": "dark",
                "Dome Flat Dark": "dark",
                "Flat Bias": "bias",
                "Hellbild": "flat",
                "Objekt": "science",
                "Objet": "science",
                "no flat": "dark",
                "Noir": "dark",
                "Dunkelbild": "dark",
                "PLU": "flat",
                "FLAT,SKY": "flat",
                "Twilight": "flat",
                "Brut": "science",
                "SNAPSHOT": "other",
                "BPM": "other",
            },
        ),
    ],
)
def test_the_frame_types_of_each_observatory(name, cards, card, kinds):
    assert {word: camera(name).kind(header(cards, **{card: word})) for word in kinds} == kinds


def test_a_frame_of_unknown_type_is_rejected_with_the_word():
    with pytest.raises(FrameRejectedError, match=r"'Mosaic' matches no rule of generic\.yaml"):
        camera("generic").kind(header(SAAO, IMAGETYP="Mosaic"))


@pytest.mark.parametrize("word", [None, "UNKNOWN"])
def test_a_frame_without_a_type_is_rejected_with_the_keywords_searched(word):
    with pytest.raises(FrameRejectedError, match=r"the frame type is missing .*IMAGETYP"):
        camera("generic").kind(header(SAAO, IMAGETYP=word))


@pytest.mark.parametrize(
    ("cards", "iso"),
    [
        ({"DATE-OBS": "2019-05-03T07:37:46"}, "2019-05-03T07:37:46"),
        ({"DATE-OBS": "2024-04-16T15:43:46.524130"}, "2024-04-16T15:43:46.524130"),
        ({"DATE-OBS": "2019-05-03T07:37:46.5Z"}, "2019-05-03T07:37:46.5"),
        ({"DATE-OBS": "2019-05-03 07:37:46"}, "2019-05-03T07:37:46"),
        ({"DATE-OBS": "2019-05-03T07:37:46+00:00"}, "2019-05-03T07:37:46"),
        ({"DATE-OBS": "2019-05-03T07:37"}, "2019-05-03T07:37:00"),
        ({"DATE-OBS": "2013-07-13", "UT": "18:04:51.0"}, "2013-07-13T18:04:51"),
        ({"DATE-OBS": "2013-07-13", "TIME-OBS": "18:04:51.25"}, "2013-07-13T18:04:51.25"),
        ({"DATE-OBS": "UNKNOWN", "MJD-OBS": 57372.75}, "2015-12-16T18:00:00"),
        ({"MJD-OBS": 51544.5}, "2000-01-01T12:00:00"),
    ],
)
def test_the_start_of_an_exposure_in_many_formats(cards, iso):
    assert camera("generic").start(header(cards)) == pytest.approx(Time(iso, scale="utc").mjd, abs=10 * MICROSECOND)


def test_a_date_with_a_time_ignores_start_time():
    cards = {"DATE-OBS": "2019-05-03T07:37:46", "UT": "12:00:00"}
    assert camera("generic").start(header(cards)) == pytest.approx(
        Time("2019-05-03T07:37:46").mjd, abs=10 * MICROSECOND
    )


@settings(deadline=None, derandomize=True, database=None, max_examples=100)
@given(st.datetimes(datetime(1990, 1, 1), datetime(2025, 1, 1)))
def test_any_start_time_agrees_with_astropy(moment):
    # the days of UTC with a leap second are 86401 s long in astropy and 86400 in the civil clock: at most 1e-5 days
    found = camera("generic").start(header({"DATE-OBS": moment.isoformat()}))
    assert found == pytest.approx(Time(moment, scale="utc").mjd, abs=1.2e-5)


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({}, "the start time is missing .*DATE-OBS"),
        ({"DATE-OBS": ""}, "missing"),
        ({"DATE-OBS": "2013-07-13"}, "DATE-OBS is '2013-07-13', a date without a time"),
        ({"DATE-OBS": "2013-07-13", "UT": "UNKNOWN"}, "a date without a time"),
        ({"DATE-OBS": "yesterday", "UT": "18:04:51"}, "DATE-OBS is 'yesterday'; expected a time"),
        ({"DATE-OBS": "2019-02-30T00:00:00"}, "expected a time such as YYYY-MM-DDThh:mm:ss"),
        ({"DATE-OBS": "1904-01-01T00:00:00"}, "expected a time between 1968 and 2132"),
        ({"DATE-OBS": "0001-01-01T00:00:00+23:59"}, "expected a time between 1968 and 2132"),
        ({"DATE-OBS": "1980-01-01T00:00:03"}, "a clock that was set"),
        ({"MJD-OBS": 24586068.0}, "MJD-OBS is 24586068.0; expected"),
        ({"MJD-OBS": True}, "expected a time"),
        ({"DATE-OBS": 1 + 2j}, "DATE-OBS is"),
    ],
)
def test_an_impossible_time_rejects_the_frame(cards, reason):
    with pytest.raises(FrameRejectedError, match=reason):
        camera("generic").start(header(cards))


@pytest.mark.parametrize(
    ("written", "degrees"),
    [
        ("-105 49 13", "-105d49m13s"),
        ("+149 04 15.2", "149d04m15.2s"),
        ("149 04", "149d04m"),
        ("149:04:15.2 E", "149d04m15.2s"),
        ("105:49:13 W", "-105d49m13s"),
        ("-00 30 00", "-0d30m"),
        ("-110d57m31s", "-110d57m31s"),
        (11.5689993, "11.5689993d"),
    ],
)
def test_longitudes_in_many_formats(written, degrees):
    found = camera("arcsat").east_longitude(header(ARCSAT, SITELONG=written))
    assert found == pytest.approx(Angle(degrees).deg, abs=1e-9)


@pytest.mark.parametrize("written", [None, "somewhere", 1e9, "nan", 1 + 2j])
def test_the_longitude_of_the_camera_file_is_used_if_the_header_has_none(written):
    assert camera("arcsat").east_longitude(header(ARCSAT, SITELONG=written)) == -105.8203


def test_the_second_longitude_keyword_is_used_if_the_first_is_empty():
    assert camera("generic").east_longitude(header({"SITELONG": "N/A", "LONGITUD": 20.81252})) == 20.81252
    assert camera("generic").east_longitude(header({})) is None


@pytest.mark.parametrize(
    ("written", "mean"),
    [
        ("[2.01, 1.99, 2.05, 2.02]", 2.0175),
        ("[3.3,3.4,3.3,3.4]", 3.35),
        ("[ 2 , 4 ]", 3),
        (1.4, 1.4),
        ("1.91", 1.91),
    ],
)
def test_gain_is_a_number_or_the_mean_of_a_list(written, mean):
    gain, read_noise = camera("lco").read_gain_and_noise(header(LCO, GAIN=written))
    assert gain == pytest.approx(mean)
    assert read_noise == 14.9


@pytest.mark.parametrize(("written", "mean"), [("[.9, .95]", 0.925), ("[1.5e0, 2.5e0]", 2.0), ("[9e-1, 1.1E+0]", 1.0)])
def test_numbers_in_a_list_of_gains_may_be_written_in_any_way(written, mean):
    assert camera("lco").read_gain_and_noise(header(LCO, GAIN=written))[0] == pytest.approx(mean)


@pytest.mark.parametrize("written", ["high", "nan", "[2.0, 0.0]", "[high]", True])
def test_an_impossible_gain_is_unknown_with_a_warning(written):
    warnings = []
    gain, read_noise = camera("lco").read_gain_and_noise(header(LCO, GAIN=written), warn=warnings.append)
    assert (gain, read_noise) == (None, 14.9)
    assert warnings == [f"unknown gain: GAIN is {written!r}; expected e-/ADU above 0 and up to 100"]


@pytest.mark.parametrize("written", [-1.0, 1e9, "low"])
def test_an_impossible_read_noise_is_unknown_with_a_warning(written):
    warnings = []
    gain, read_noise = camera("lco").read_gain_and_noise(header(LCO, RDNOISE=written), warn=warnings.append)
    assert (gain, read_noise) == (pytest.approx(3.35), None)
    assert warnings == [f"unknown read noise: RDNOISE is {written!r}; expected e- of 0 or more"]


def test_the_gain_index_of_nickel_is_not_used():
    assert camera("nickel").read_gain_and_noise(header(NICKEL)) == (None, None)


def test_gain_and_noise_of_the_camera_file_are_used_if_the_header_has_none(tmp_path):
    mine = own(
        tmp_path,
        "name: a\ntitle: x\ntypes: [{bias: {A: b}}]\ncards: {gain: GAIN, read_noise: RN}\ngain: 2.5\nread_noise: 4\n",
    )
    assert mine.read_gain_and_noise(header({})) == (2.5, 4)
    assert mine.read_gain_and_noise(header({"GAIN": "N/A", "RN": 0.0})) == (2.5, 4)
    assert mine.read_gain_and_noise(header({"GAIN": 1.5, "RN": 3.0})) == (1.5, 3)


def test_the_linearity_limit_comes_from_header_or_camera_file(tmp_path):
    mine = own(
        tmp_path,
        "name: a\ntitle: x\ntypes: [{bias: {A: b}}]\ncards: {linearity: MAXLIN}\nlinearity: 41000\n"
        "bleed: {directions: [up, left], pixels: 12}\n",
    )
    assert mine.linearity_limit(header({"MAXLIN": 42000.0})) == 42000
    assert mine.linearity_limit(header({"MAXLIN": 0})) == 41000
    assert mine.linearity_limit(header({})) == 41000
    assert (mine.bleed_directions, mine.bleed_pixels) == (("up", "left"), 12)
    assert camera("generic").linearity_limit(header({})) is None
    assert camera("generic").bleed_directions == ()
    warnings = []
    assert mine.linearity_limit(header({"MAXLIN": "high"}), warn=warnings.append) == 41000
    assert warnings == ["unknown linearity: MAXLIN is 'high'; expected ADU of 0 or more"]


def test_a_saturation_of_zero_means_unknown():
    assert camera("lco").saturation_level(header(LCO)) == 47500
    assert camera("lco").saturation_level(header(LCO, SATURATE=0.0)) is None
    assert camera("arcsat").saturation_level(header(ARCSAT)) == 60000


@pytest.mark.parametrize("written", [-5.0, 86401, "1,5,0", "nan", "long", "5 light years"])
def test_an_impossible_exposure_time_rejects_the_frame(written):
    with pytest.raises(FrameRejectedError, match=r"EXPTIME is .*; expected seconds between 0 and 86400"):
        camera("nickel").exposure_time(header(NICKEL, EXPTIME=written))


def test_exposure_times_in_many_formats():
    assert camera("nickel").exposure_time(header(NICKEL)) == 10
    assert camera("arcsat").exposure_time(header(ARCSAT, EXPTIME=None, EXPOSURE=80.0)) == 80
    assert camera("generic").exposure_time(header({"EXPOSED": "12.5"})) == 12.5
    with pytest.raises(FrameRejectedError, match=r"exposure time is missing \(EXPTIME"):
        camera("generic").exposure_time(header({}))


@pytest.mark.parametrize(
    ("cards", "bins"),
    [
        ({"XBINNING": 2, "YBINNING": 2}, (2, 2)),
        ({"XBINNING": 1, "YBINNING": 4}, (1, 4)),
        ({"XBINNING": 2.0, "YBINNING": 2.0}, (2, 2)),
        ({"BINX": 4, "BINY": 4}, (4, 4)),
        ({"CCDSUM": "2 2"}, (2, 2)),
        ({"CCDSUM": "1 4"}, (1, 4)),
        ({"BINNING": "2x2"}, (2, 2)),
        ({"BINNING": "2X3"}, (2, 3)),
        ({"BINNING": "2*2"}, (2, 2)),
        ({"BINNING": "2,2"}, (2, 2)),
        ({"CCDXBIN": 3, "CCDYBIN": 3}, (3, 3)),
        ({"XBINNING": "2", "YBINNING": "2"}, (2, 2)),
        ({}, (1, 1)),
        ({"XBINNING": 2}, (2, 2)),
        ({"XBINNING": "2x3"}, (2, 3)),
        ({"BINNING": 2}, (2, 2)),
        ({"BINNING": "2.0"}, (2, 2)),
        ({"BINNING": "(2, 2)"}, (2, 2)),
        ({"CCDSUM": "2"}, (2, 2)),
        ({"XBINNING": 0, "YBINNING": 0, "CCDSUM": "2 2"}, (2, 2)),
        ({"CCDSUM": "UNKNOWN"}, (1, 1)),
    ],
)
def test_binning_in_many_formats(cards, bins):
    assert camera("generic").bins(header(cards)) == bins


def test_nickel_writes_negative_binning():
    assert camera("nickel").bins(header(NICKEL)) == (2, 2)
    assert camera("nickel").bins(header(NICKEL, CDELT1U=-1, CDELT2U=-4)) == (1, 4)


@pytest.mark.parametrize("cards", [{"XBINNING": 0, "YBINNING": 2}, {"CCDSUM": "two"}, {"BINNING": "2x2x2"}])
def test_an_impossible_binning_is_unknown_with_a_warning(cards):
    warnings = []
    assert camera("generic").bins(header(cards), warnings.append) == (1, 1)
    assert len(warnings) == 1
    assert warnings[0].startswith(f"unknown binning: {next(iter(cards))} is ")
    assert warnings[0].endswith("1 x 1 is assumed")


def test_nickel_overscan_is_the_last_32_columns_except_the_first_five():
    raw = header(NICKEL, shape=(1024, 1056))
    assert camera("nickel").sections(raw)[0].image == Area(0, 1004, 0, 1024)  # the last 20 trail
    assert camera("nickel").sections(raw)[0].overscans == (Area(1029, 1056, 0, 1024),)


def test_saao_sections_with_spaces():
    raw = header(SAAO, shape=(520, 536))
    assert camera("generic").sections(raw)[0].image == Area(16, 528, 0, 520)
    assert camera("generic").sections(raw)[0].overscans == (Area(3, 13, 0, 520),)


def test_lco_uses_the_whole_plane_because_trimsec_does_not_fit():
    raw = header(LCO, shape=(2048, 2080))
    assert camera("lco").sections(raw)[0].image == Area(0, 2080, 0, 2048)
    assert camera("lco").sections(raw)[0].overscans == ()


def test_sections_outside_the_image_reject_the_frame():
    raw = header(SAAO, shape=(520, 500))
    with pytest.raises(
        FrameRejectedError, match=r"TRIMSEC = \[17:528,1:520\] lies outside the image of 500 x 520 pixels"
    ):
        camera("generic").sections(raw)


@pytest.mark.parametrize("written", ["[1:5", "left", "[0:5,-1:5]", 5, 1 + 2j])
def test_an_invalid_section_is_reported_with_its_keyword(written):
    with pytest.raises(FrameRejectedError, match="section BIASSEC"):
        camera("generic").sections(header(SAAO, BIASSEC=written, shape=(520, 536)))


@pytest.mark.parametrize("cover", [None, 32.0, "32", -40])
def test_a_nickel_frame_without_overscan_width_is_rejected(cover):
    with pytest.raises(FrameRejectedError, match=r"section .*COVER"):
        camera("nickel").sections(header(NICKEL, COVER=cover, shape=(1024, 1056)))


def test_a_descending_image_section_flips_the_image():
    area = camera("generic").sections(header({"TRIMSEC": "[1024:1,1:1024]"}))[0].image
    assert (area.flip_x, area.flip_y) == (True, False)


def test_the_readout_mode_distinguishes_windows_and_speeds():
    modes = {
        camera("afosc").settings(header(AFOSC, **change))
        for change in ({}, {"HSSPEED": 1}, {"Y_START": 0}, {"PREAMP": 2})
    }
    assert len(modes) == 4


def test_a_missing_mode_keyword_is_skipped():
    assert [setting.cards for setting in camera("lco").settings(header(LCO)) if not setting.label] == [
        (("CONFMODE", "default"),)
    ]
    assert camera("generic").settings(header({})) == ()


def test_placeholders_have_no_value():
    raw = header({"A": "UNKNOWN", "B": "n/a", "C": "  ", "D": " text ", "E": 0, "F": fits.card.Undefined()})
    assert [raw.value(name) for name in "ABCDEFG"] == [None, None, None, "text", 0, None, None]


def test_a_users_own_camera_file_works(tmp_path):
    mine = own(
        tmp_path,
        """
name: mine
title: my 0.3 m
recognise:
  - INSTRUME: ["My*", "Mine"]
    ROOF: null
cards: {type: KIND, start: WHEN, exposure: [T, TT]}
types:
  - flat: {KIND: 3}
  - bias: {KIND: [1, zero]}
  - science: {KIND: null}
image: "[1:NAXIS1-4,1:NAXIS2]"
overscan: ["[NAXIS1-3:NAXIS1,1:NAXIS2]"]
overscan_method: row_median
""",
    )
    assert isinstance(mine, Camera)
    assert mine.recognises(header({"INSTRUME": "my camera"}))
    assert mine.recognises(header({"INSTRUME": "MINE"}))
    assert not mine.recognises(header({"INSTRUME": "mine", "ROOF": "open"}))
    assert not mine.recognises(header({}))
    assert [mine.kind(header({"KIND": kind})) for kind in (3, 3.0, 1, "ZERO", None)] == [
        "flat",
        "flat",
        "bias",
        "bias",
        "science",
    ]
    assert mine.exposure_time(header({"TT": 4})) == 4
    assert mine.sections(header({}, shape=(10, 20)))[0].image == Area(0, 16, 0, 10)
    assert mine.sections(header({}, shape=(10, 20)))[0].overscans == (Area(16, 20, 0, 10),)


GOOD = "name: mine\ntitle: x\ntypes: [{bias: {A: b}}]\n"


@pytest.mark.parametrize(
    ("text", "key", "value", "expectation"),
    [
        (GOOD + "gain: -1\n", "gain", "-1", "e-/ADU above 0"),
        (GOOD + "gain: 1000\n", "gain", "1000", "e-/ADU above 0"),
        (GOOD + "gain: high\n", "gain", "'high'", "e-/ADU above 0"),
        (GOOD + "gain: .nan\n", "gain", "nan", "e-/ADU above 0"),
        (GOOD + "read_noise: -4\n", "read_noise", "-4", "e- of 0 or more"),
        (GOOD + "saturation: 0\n", "saturation", "0", "ADU above 0"),
        (GOOD + "linearity: -1\n", "linearity", "-1", "ADU above 0"),
        (GOOD + "bleed: up\n", "bleed", "'up'", "directions and pixels"),
        (GOOD + "bleed: {directions: [up]}\n", "bleed.pixels", "missing", ""),
        (GOOD + "bleed: {directions: [], pixels: 3}\n", "bleed.directions", "[]", "a list of up, down, left and right"),
        (
            GOOD + "bleed: {directions: [north], pixels: 3}\n",
            "bleed.directions.0",
            "'north'",
            "up, down, left or right",
        ),
        (GOOD + "bleed: {directions: [up], pixels: 0}\n", "bleed.pixels", "0", "a whole number of pixels above 0"),
        (GOOD + "longitude: 105 W\n", "longitude", "'105 W'", "degrees east of Greenwich"),
        (GOOD + "longitude: -190\n", "longitude", "-190", "degrees east of Greenwich"),
        (
            GOOD + "flat_source: [{lamp: {A: b}}]\n",
            "flat_source.0.lamp",
            "not a known key",
            "expected one of twilight, dome",
        ),
        (GOOD + "cards: {gain: 5}\n", "cards.gain", "5", "a keyword, or a list of keywords"),
        (GOOD + "cards: [GAIN]\n", "cards", "['GAIN']", "the keywords that hold type, exposure, filter and so on"),
        (GOOD + "cards: {gian: GAIN}\n", "cards.gian", "not a known key", "did you mean gain?"),
        (GOOD + "bining: [CCDSUM]\n", "bining", "not a known key", "did you mean binning?"),
        (
            GOOD + "binning: CCDSUM\n",
            "binning",
            "'CCDSUM'",
            "a list of pairs of keywords, or of keywords that hold both numbers",
        ),
        (GOOD + "mode: [5]\n", "mode.0", "5", "a keyword"),
        (GOOD + "overscan_method: best\n", "overscan_method", "'best'", "one of median, mean"),
        (GOOD + "recognise: {INSTRUME: x}\n", "recognise", "{'INSTRUME': 'x'}", "a list of rules"),
        (GOOD + "recognise: [{}]\n", "recognise.0", "{}", "keywords and their values"),
        (GOOD + "image: '[1:1024]'\n", "image", "'[1:1024]'", "[x1:x2,y1:y2]"),
        (GOOD + "overscan: ['[0:32,1:5]']\n", "overscan", "'[0:32,1:5]'", ""),
        (GOOD + "overscan: '[1:32,1:5]'\n", "overscan", "'[1:32,1:5]'", "a list of sections"),
        (
            "name: My Camera\ntitle: x\ntypes: [{bias: {A: b}}]\n",
            "name",
            "'My Camera'",
            "a short name of lower-case letters",
        ),
        ("name: 5\ntitle: x\ntypes: [{bias: {A: b}}]\n", "name", "5", "a short name of lower-case letters"),
        ("name: mine\ntypes: [{bias: {A: b}}]\n", "title", "missing", ""),
        ("name: mine\ntitle: x\n", "types", "missing", ""),
        ("name: mine\ntitle: x\ntypes: []\n", "types", "[]", "a list of rules"),
        (
            "name: mine\ntitle: x\ntypes: [{biases: {A: b}}]\n",
            "types.0.biases",
            "not a known key",
            "did you mean bias?",
        ),
        (
            "name: mine\ntitle: x\ntypes: [{bias: zero}]\n",
            "types.0.bias",
            "'zero'",
            "keywords and their values",
        ),
        ("name: mine\ntitle: x\ntypes: [{bias: {A: b}, dark: {A: c}}]\n", "types.0", "{'bias'", "a rule, as in flat"),
        ("- a\n- b\n", "the file", "['a', 'b']", "a camera file"),
        ("", "the file", "empty", "a camera file"),
    ],
)
def test_a_mistake_in_a_camera_file_is_reported_in_one_sentence(tmp_path, text, key, value, expectation):
    sentence = mistake(tmp_path, text)
    where, _, said = sentence.partition("mine.yaml: ")
    assert where == f"{tmp_path}/"
    assert key in said
    assert value in said
    assert expectation in said
    assert "\n" not in sentence


def test_a_missing_camera_file_is_reported(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.yaml: cannot be read"):
        load_camera(tmp_path / "none.yaml")


def test_patterns_match_text_and_never_run_it(tmp_path):
    mine = own(
        tmp_path, "name: mine\ntitle: x\ntypes: [{bias: {A: '(a+)+$'}}, {flat: {A: '[b]*'}}, {other: {A: '*'}}]\n"
    )
    assert mine.kind(header({"A": "(a+)+$"})) == "bias"
    assert mine.kind(header({"A": "a" * 60 + "!"})) == "other"
    assert mine.kind(header({"A": "bx"})) == "flat"


def test_a_camera_without_a_file_has_defaults():
    bare = Camera("bare", "x", Path("bare.yaml"))
    assert bare.bins(header({})) == (1, 1)
    assert bare.read_gain_and_noise(header({})) == (None, None)
    assert bare.sections(header({}, shape=(3, 4)))[0].image == Area(0, 4, 0, 3)


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": "2015-12-16", "MJD-OBS": 57372.75},
        {"DATE-OBS": "2015-12-16", "UT": "UNKNOWN", "MJD-OBS": 57372.75},
        {"DATE-OBS": "2015-12-16", "DATE-BEG": "2015-12-16T18:00:00"},
        {"DATE-OBS": "2015-12-16", "UT": "18:00:00", "MJD-OBS": 57372.0},
    ],
)
def test_after_a_date_without_a_time_the_next_keyword_is_used(cards):
    expected = Time("2015-12-16T18:00:00", scale="utc").mjd
    assert camera("generic").start(header(cards)) == pytest.approx(expected, abs=10 * MICROSECOND)


def test_a_date_without_any_time_rejects_the_frame():
    with pytest.raises(FrameRejectedError, match="DATE-OBS is '2015-12-16', a date without a time"):
        camera("generic").start(header({"DATE-OBS": "2015-12-16"}))


# --- flats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cards", "changes", "flat_source"),
    [
        ("lco", LCO, {"OBSTYPE": "SKYFLAT"}, "twilight"),
        ("lco", LCO, {"OBSTYPE": "LAMPFLAT"}, "dome"),
        ("lco", LCO, {"OBSTYPE": "FLAT"}, ""),
        ("nickel", NICKEL, {"OBJECT": "flat_v"}, ""),
        ("nickel", NICKEL, {"OBJECT": "Dome flat V"}, "dome"),
        ("nickel", NICKEL, {"OBJECT": "twilight flat V"}, "twilight"),
        ("afosc", AFOSC, {"IMAGETYP": "Flat", "OBJECT": "gj3470 flat"}, ""),
        ("afosc", AFOSC, {"IMAGETYP": "Flat", "OBJECT": "skyflat g"}, "twilight"),
        ("arcsat", ARCSAT, {"IMAGETYP": "FLAT"}, ""),
        ("generic", SAAO, {"IMAGETYP": "Sky Flat"}, "twilight"),
        ("generic", SAAO, {"IMAGETYP": "DOMEFLAT"}, "dome"),
        ("generic", SAAO, {"IMAGETYP": "Flat Field"}, ""),
        ("generic", SAAO, {"IMAGETYP": "flat", "OBJECT": "dome flat R"}, "dome"),
    ],
)
def test_the_source_of_a_flat_of_each_observatory(name, cards, changes, flat_source):
    told = header(cards, **changes)
    assert camera(name).kind(told) == "flat"
    assert camera(name).find_flat_source(told) == flat_source


@pytest.mark.parametrize(
    ("ra", "dec", "degrees"),
    [
        ("13:47:57.24", "-5:03:44.6", (206.9885, -5.062389)),
        ("07 59 09.04", "+15 25 23", (119.787667, 15.423056)),
        ("1h30m00s", "-0d30m0s", (22.5, -0.5)),
        (206.9885, -5.06, (206.9885, -5.06)),
        ("206.9885", "-5.06", (206.9885, -5.06)),
        ("00:00:00", "-90:00:00", (0, -90)),
        ("NaN", "NaN", None),
        ("UNKNOWN", "10:00:00", None),
        ("10:00:00", None, None),
        ("25:00:00", "10:00:00", None),
        (10.0, 95.0, None),
        (True, 10.0, None),
        ("over there", "10:00:00", None),
    ],
)
def test_pointings_in_many_formats(ra, dec, degrees):
    found = camera("nickel").pointing(header(NICKEL, RA=ra, DEC=dec))
    assert found == (None if degrees is None else pytest.approx(degrees, abs=1e-5))


def test_an_invalid_pointing_counts_as_missing():
    warnings = []
    raw = header(NICKEL, RA="east", DEC="1:2:3")
    assert camera("nickel").pointing(raw, warnings.append) is None
    assert warnings == ["unknown pointing: RA is 'east' and DEC '1:2:3'; expected degrees, or hours and degrees"]


def test_a_text_without_quotes_is_read():
    cards = fits.Header.fromstring("RA      = 13:47:57".ljust(80) + "DEC     = '1:2:3'".ljust(80))
    assert camera("nickel").pointing(RawHeader(cards, 0, (4, 4))) == pytest.approx((206.9875, 1.0341667))


def test_an_invalid_section_is_quoted_as_in_the_camera_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntitle: x\ntypes: [{science: {type: '*'}}]\noverscan: ['[81-128,1:64]']\n")
    with pytest.raises(ConfigurationError, match=r"'\[81-128,1:64\]' is not a section"):
        load_camera(path)


@pytest.mark.parametrize(
    "name", ["<NO FILTER>", "open1-6", "Empty slot 3", "NO_FILTER", "Out of beam", "0", "--", "Clear 2"]
)
def test_an_empty_place_of_a_filter_wheel_is_no_filter_however_it_is_called(name):
    assert is_no_filter(name)


@pytest.mark.parametrize("name", ["V", "5", "slot 5", "Open-R", "H alpha", "clearance", "Hα", "C"])
def test_whatever_else_a_wheel_holds_is_a_filter(name):
    assert not is_no_filter(name)
