"""A bad card of a thing that a frame can do without costs a warning, not the frame."""

from pathlib import Path

import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.io.raw_header import RawHeader
from nightcal.planning.frames import interpret_header
from nightcal.warning_names import WARNINGS

GENERIC = load_camera(REPOSITORY / "config/cameras/generic.yaml")
CARDS = {"IMAGETYP": "Light Frame", "DATE-OBS": "2024-03-01T21:00:00", "EXPTIME": 60.0, "EGAIN": 1.5, "SITELONG": 10.0}


def look(**cards):
    """Interpret a header; ``__`` in a name stands for a hyphen, a tuple for value and comment."""
    kept = fits.Header()
    for name, value in {**CARDS, **{name.replace("__", "-"): value for name, value in cards.items()}}.items():
        kept[name] = value
    frame = interpret_header(REPOSITORY, "a.fits", RawHeader(kept, 0, (32, 32)), [GENERIC])
    assert frame.problem == ""
    return frame


def test_a_good_header_has_no_warnings():
    assert look().warnings == ()


@pytest.mark.parametrize(
    ("cards", "attribute", "value", "name"),
    [
        ({"SET__TEMP": -999.0}, "set_temperature", None, "unknown temperature"),
        ({"SET__TEMP": 9999}, "set_temperature", None, "unknown temperature"),
        ({"SET__TEMP": "nan"}, "set_temperature", None, "unknown temperature"),
        ({"SET__TEMP": "-1.#IND00"}, "set_temperature", None, "unknown temperature"),
        ({"RDNOISE": "1.#QNAN"}, "read_noise", None, "unknown read noise"),
        ({"SET__TEMP": -273.15}, "set_temperature", None, "unknown temperature"),
        ({"SET__TEMP": "OFF"}, "set_temperature", None, "unknown temperature"),
        ({"SET__TEMP": 253.15}, "set_temperature", None, "unknown temperature"),
        ({"SET__TEMP": (253.15, "[K] set point")}, "set_temperature", -20.0, ""),
        ({"SET__TEMP": "253.15 K"}, "set_temperature", -20.0, ""),
        ({"SET__TEMP": "-20C"}, "set_temperature", -20.0, ""),
        ({"SET__TEMP": "-20,5 deg C"}, "set_temperature", -20.5, ""),
        ({"SET__TEMP": "N/A"}, "set_temperature", None, ""),
        ({"EGAIN": 0.0}, "gain", None, "unknown gain"),
        ({"EGAIN": -1}, "gain", None, "unknown gain"),
        ({"EGAIN": "high"}, "gain", None, "unknown gain"),
        ({"EGAIN": "1.5 e-/ADU"}, "gain", 1.5, ""),
        ({"RDNOISE": -1.0}, "read_noise", None, "unknown read noise"),
        ({"SATURATE": -5}, "kind", "science", "unknown saturation"),
        ({"SATURATE": "full well"}, "kind", "science", "unknown saturation"),
        ({"SATURATE": "Unknown"}, "kind", "science", ""),
        ({"XBINNING": 0, "YBINNING": 0}, "binning", (1, 1), "unknown binning"),
        ({"XBINNING": 2}, "binning", (2, 2), "unknown binning"),
        ({"BINNING": 2}, "binning", (2, 2), ""),
        ({"RA": "there", "DEC": 5.0}, "pointing", None, "unknown pointing"),
        ({"SITELONG": "somewhere"}, "has_longitude", False, "unknown longitude"),
        ({"TRIMSEC": "[0:31,0:31]"}, "area", "[1:32,1:32]", "section counted from 0"),
        ({"TRIMSEC": "[0:32,0:32]"}, "area", "[1:32,1:32]", "section counted from 0"),
        ({"TRIMSEC": "1:32,1:30"}, "area", "[1:32,1:30]", ""),
        ({"TRIMSEC": "[1:64,1:64]"}, "area", "[1:32,1:32]", "unknown section"),
        ({"TRIMSEC": "all", "DATASEC": "[1:30,1:32]"}, "area", "[1:30,1:32]", "unknown section"),
        ({"BIASSEC": "left"}, "has_overscan", False, "unknown section"),
        ({"BIASSEC": "[0:0,0:0]"}, "has_overscan", False, ""),
        ({"BIASSEC": "[]"}, "has_overscan", False, ""),
    ],
)
def test_a_bad_side_card(cards, attribute, value, name):
    frame = look(**cards)
    found = getattr(frame, attribute)
    assert found == (pytest.approx(value) if isinstance(value, float) else value)
    assert [warning.partition(":")[0] for warning in frame.warnings] == ([name] if name else [])
    assert not name or next(iter(cards)).replace("__", "-").removeprefix("X") in frame.warnings[0]


@pytest.mark.parametrize("mark", ["", "__", "_"], ids=["plain", "hyphen", "underscore"])
@pytest.mark.parametrize(("wheels", "name"), [(("V", "none"), "V"), (("none", "V"), "V"), (("V", "ND"), "V+ND")])
def test_two_wheels_in_any_spelling(mark, wheels, name):
    assert look(**{f"FILTER{mark}{number}": value for number, value in enumerate(wheels, 1)}).filter == name


def test_a_keyword_that_occurs_twice_is_told():
    kept = fits.Header({**CARDS, "FILTER": "V"})
    kept.append(("FILTER", "R"), end=True)
    frame = interpret_header(REPOSITORY, "a.fits", RawHeader(kept, 0, (32, 32)), [GENERIC])
    assert frame.filter == "V"
    assert frame.warnings == ("keyword twice: FILTER occurs with different values; the first is used",)


@pytest.mark.parametrize(
    ("cards", "kind"),
    [
        ({"IMAGETYP": "Light", "FRAME": "Dark"}, "dark"),
        ({"IMAGETYP": "Flat Field", "FRAME": "Light"}, "flat"),
        ({"IMAGETYP": "Dark", "FRAME": "Flat"}, "dark"),
        ({"IMAGETYP": "Light", "OBSTYPE": "focus"}, "other"),
        ({"IMAGETYP": "Bias Frame", "FRAME": "Dark"}, "dark"),
        ({"IMAGETYP": "Light Frame", "FRAME": "Bias"}, "science"),
    ],
)
def test_types_that_disagree(cards, kind):
    frame = look(**cards)
    assert frame.kind == kind
    (first, one), (second, two) = cards.items()
    assert frame.warnings == (f"types disagree: {first} is {one!r} and {second} is {two!r}; {kind} is used",)


def test_a_short_bias_stays_a_bias():
    assert look(IMAGETYP="Bias Frame", FRAME="Dark", EXPTIME=0.001).kind == "bias"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("flat_V_01.fits", "flat"),
        ("Dark-120s-003.fits.gz", "dark"),
        ("bias12.fit", "bias"),
        ("dark_nebula_01.fits", ""),
        ("m13_flat.fits", ""),
        ("flatiron7.fits", ""),
        ("light_01.fits", ""),
    ],
)
def test_a_light_frame_named_like_a_calibration_is_told(name, said):
    header = RawHeader(fits.Header({**CARDS, "IMAGETYP": "Light Frame"}), 0, (32, 32))
    header.path = Path(name)
    frame = interpret_header(header.path, name, header, [GENERIC])
    text = f"types disagree: IMAGETYP is 'Light Frame' and the name of the file says {said}; science is used"
    assert (frame.kind, frame.warnings) == ("science", (text,) if said else ())


@pytest.mark.parametrize("cards", [{"FRAME": "Light"}, {"FRAME": 17}, {"FRAME": "chip 2"}, {"OBSTYPE": "UNKNOWN"}])
def test_types_that_agree_or_say_nothing(cards):
    frame = look(**cards)
    assert (frame.kind, frame.warnings) == ("science", ())


@pytest.mark.parametrize(
    ("written", "degrees", "name"),
    [
        ("-70 30 00 W", -70.5, "sign of the longitude"),
        ("70 30 00 W", -70.5, ""),
        ("W70 30 00", -70.5, ""),
        ("w 70:30:00", -70.5, ""),
        ("70.5W", -70.5, ""),
        ("70d30m W", -70.5, ""),
        ("70 deg 30 m", 70.5, ""),
        ("E 149.1", 149.1, ""),
        ((-1.2304571, "[rad] east"), -70.5, "longitude in radians"),
        (1.5, 1.5, ""),
        (289.5, 289.5, ""),
    ],
)
def test_longitudes(written, degrees, name):
    warnings = []
    card = written if isinstance(written, tuple) else (written,)
    raw = RawHeader(fits.Header([("SITELONG", *card)]), 0, (4, 4))
    assert GENERIC.east_longitude(raw, warnings.append) == pytest.approx(degrees, abs=1e-5)
    assert [warning.partition(":")[0] for warning in warnings] == ([name] if name else [])


def test_a_longitude_in_radians_beside_one_in_degrees():
    raw = RawHeader(fits.Header({"SITELONG": -1.2304571, "LONG-OBS": "-70:30:00"}), 0, (4, 4))
    assert GENERIC.east_longitude(raw) == pytest.approx(-70.5, abs=1e-4)


def test_the_names_of_warnings_are_in_order():
    assert [warning.name for warning in WARNINGS] == sorted(warning.name for warning in WARNINGS)
