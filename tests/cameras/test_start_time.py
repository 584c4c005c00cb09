"""The start of an exposure is found from all cards that say something about it; where they disagree, it is told."""

import pytest
from astropy.io import fits
from astropy.time import Time
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader

GENERIC = load_camera(REPOSITORY / "config/cameras/generic.yaml")
START = "2024-03-02T03:07:11"
MJD = Time(START, scale="utc").mjd
LOCAL = {"DATE-OBS": "2024-03-01T19:07:11"}  # 8 hours west
SECOND = 1 / 86400


def read(cards, exposure=60.0):
    """Read the start [s after the true one] and the warnings."""
    kept = fits.Header({"EXPTIME": exposure})
    for name, value in cards.items():
        kept.append((name.rstrip("*"), *(value if isinstance(value, tuple) else (value,))), end=True)
    warnings = []
    found = GENERIC.start(RawHeader(kept, 0, (4, 4)), warnings.append)
    return round((found - MJD) / SECOND, 1), warnings


@pytest.mark.parametrize(
    "cards",
    [
        {"DATE-OBS": START, "MJD-OBS": round(MJD, 5), "JD": MJD + 2400000.5, "UT": "03:07:11"},
        {"DATE-OBS": START, "DATE-END": "2024-03-02T03:08:18"},  # after the readout
        {"DATE-OBS": START, "MJD-OBS": 60371.0},  # the date alone
        {"DATE-OBS": START, "MJD-OBS": 60371.13},
        {"DATE-OBS": START, "DATE-AVG": "2024-03-02T03:07:41", "DATE-END": "2024-03-02T03:08:11"},
        {"DATE-OBS": START, "MJD-OBS": 0.0},
        {"DATE-OBS": "2024-03-02", "UT": "03:07:11", "TIME-OBS": "3:07:11"},
        {"DATE-OBS": "2024-03-02T00:00:00", "UT": "03:07:11"},
        {"DATE-OBS": "2024-03-02", "TIME-OBS": START},
        {"DATE-OBS": (START, "start in UT, not local time")},
        {"DATE-AVG": "2024-03-02T03:07:41"},
        {"DATE-END": "2024-03-02T03:08:11"},
        {"JD": MJD + 2400000.5},
        {"DATE-OBS": START, "UTC": (11231.0, "03:07:11.000 UTC at start (sec)")},
        {"DATE-OBS": "2024-03-01", "UT": "03:07:11", "MJD-OBS": MJD},  # the date of the evening
        {"DATE-OBS": START, "TIMESYS": "UTC approximate"},
        {"UTDATE": "2024-03-02", "UT-START": "03:07:11"},
        {"OBSMJD": MJD},
        {"JD-OBS": MJD + 2400000.5},
        {"DATE_OBS": START},
    ],
)  # fmt: skip
def test_cards_that_agree_are_no_matter_of_warning(cards):
    seconds, warnings = read(cards)
    assert abs(seconds) < 0.5
    assert warnings == []


def test_a_start_that_says_so_is_not_taken_for_the_end():
    seconds, warnings = read({"DATE-OBS": (START, "UTC start"), "DATE-END": START})
    assert seconds == 0
    assert warnings == [
        "time cards disagree: DATE-END is 60 s before the end of the exposure by DATE-OBS, which is used"
    ]


@pytest.mark.parametrize(
    ("cards", "blamed"),
    [
        ({**LOCAL, "MJD-OBS": MJD}, ["DATE-OBS is 8.00 h earlier than MJD-OBS"]),
        ({"DATE-OBS": START, "MJD-OBS": MJD - 4 * SECOND}, ["MJD-OBS is 4 s earlier than DATE-OBS"]),
        ({**LOCAL, "DATE-BEG": START}, ["DATE-OBS is 8.00 h earlier than DATE-BEG"]),
        ({"DATE-OBS": "2024-03-01", "TIME-OBS": "19:07:11", "UT": "03:07:11", "MJD-OBS": MJD},
         ["DATE-OBS with TIME-OBS is 8.00 h earlier than MJD-OBS"]),
        ({**LOCAL, "UT": "03:07:11"}, ["DATE-OBS is 8.00 h earlier than DATE-OBS with UT"]),
        ({**LOCAL, "UTC": START}, ["DATE-OBS is 8.00 h earlier than UTC"]),
        ({**LOCAL, "DATE-UTC": START}, ["DATE-OBS is 8.00 h earlier than DATE-UTC"]),
        ({"DATE-OBS": "2023-08-03", "UT": "03:07:11", "MJD-OBS": MJD},
         ["DATE-OBS with UT is 5088.00 h earlier than MJD-OBS"]),
        ({"DATE-OBS": START, "TIME-OBS": "19:07:11"}, ["DATE-OBS with TIME-OBS is 8.00 h earlier than DATE-OBS"]),
        ({"DATE-OBS": START, "JD": MJD + 2400000.5 + 100 * SECOND}, ["JD is 100 s later than DATE-OBS"]),
        ({"DATE-OBS": START, "DATE-OBS*": "2024-03-02T03:27:11"}, ["another DATE-OBS is 1200 s later than DATE-OBS"]),
        ({"DATE-OBS": START, "DATE-END": "2024-03-02T02:07:11"}, ["DATE-END is 1.02 h before the end of the exposure"]),
    ],
)  # fmt: skip
def test_where_cards_disagree_the_best_defined_one_wins(cards, blamed):
    seconds, warnings = read(cards)
    assert abs(seconds) < 0.5
    assert len(warnings) == len(blamed)
    for warning, text in zip(warnings, blamed, strict=True):
        assert warning.startswith(f"time cards disagree: {text}")


def test_a_jd_without_its_first_digits_is_not_taken_as_an_mjd():
    seconds, warnings = read({"DATE-OBS": START, "JD": MJD + 0.5})
    assert abs(seconds) < 0.5
    assert warnings == [
        f"unusable time: JD is {MJD + 0.5!r}, which may be an MJD, or a JD less 2400000; DATE-OBS is used"
    ]
    with pytest.raises(FrameRejectedError, match="a JD less 2400000"):
        read({"JD": MJD + 0.5})


@pytest.mark.parametrize(
    ("cards", "warning"),
    [
        ({"DATE-OBS": "2024-03-02T03:08:11", "DATE-END": "2024-03-02T03:08:11"}, "DATE-OBS is the end of the exposure"),
        ({"DATE-OBS": "2024-03-02T03:08:11", "DATE-BEG": START}, "DATE-OBS is the end of the exposure"),
        ({"DATE-OBS": "2024-03-02T03:08:11", "MJD-OBS": MJD}, "DATE-OBS is the end of the exposure"),
        ({"DATE-OBS": "2024-03-02T03:08:11", "DATE-AVG": "2024-03-02T03:07:41"}, "DATE-OBS is the end of the exposure"),
        ({"DATE-OBS": "2024-03-02T03:07:41", "DATE-END": "2024-03-02T03:08:11"},
         "DATE-OBS is the middle of the exposure"),
        ({"DATE-OBS": START, "MJD-OBS": MJD + 30 * SECOND}, "MJD-OBS is the middle of the exposure"),
        (dict.fromkeys(["DATE-OBS", "DATE-AVG"], "2024-03-02T03:07:41"), "DATE-OBS is the middle of the exposure"),
        ({"DATE-OBS": ("2024-03-02T03:08:11", "end of exposure")}, ""),
        ({"DATE-OBS": ("2024-03-02T03:07:41", "System Clock:Est. Frame Mid")}, ""),
    ],
)  # fmt: skip
def test_a_card_that_turns_out_to_be_the_middle_or_the_end(cards, warning):
    seconds, warnings = read(cards)
    assert abs(seconds) < 0.5
    assert [text.partition(",")[0] for text in warnings] == ([f"not the start: {warning}"] if warning else [])


def test_an_hour_between_start_and_end_is_no_time_zone():
    for other in ({"MJD-OBS": MJD + 1 / 24}, {"UT": "04:07:11"}):
        seconds, warnings = read({"DATE-OBS": START, **other}, exposure=3600.0)
        assert seconds == 0
        assert len(warnings) == 1
    seconds, warnings = read({"DATE-OBS": "2024-03-02T04:07:11", "DATE-END": "2024-03-02T04:07:11"}, exposure=3600.0)
    assert seconds == 0
    assert warnings == ["not the start: DATE-OBS is the end of the exposure, not its start, according to DATE-END"]


def test_a_coarse_card_tells_no_time_zone():
    for coarse in ({"MJD-OBS": 60371.17}, {"JD": 2460371.75}):  # of two digits, in single precision
        assert read({"DATE-OBS": START, **coarse})[0] == 0
    with pytest.raises(FrameRejectedError, match="TIMESYS is 'LOCAL'"):
        read({**LOCAL, "TIMESYS": "LOCAL", "MJD-OBS": 60371.13})


def test_day_and_month_that_may_be_the_other_way_round_are_told():
    _, warnings = read({"DATE-OBS": "03/02/2024", "UT": "03:07:11"})
    assert warnings == [
        "day or month: DATE-OBS is '03/02/2024', which may have the month first; day/month/year is assumed"
    ]
    assert read({"DATE-OBS": "02/03/2024 03:07:11", "MJD-OBS": MJD})[0] == 0


@pytest.mark.parametrize(("scale", "ahead"), [("TAI", 37), ("TT", 69.184), ("TDB", 69.184), ("GPS", 18), ("UT", 0)])
def test_the_time_scale_of_the_header(scale, ahead):
    assert read({"DATE-OBS": START, "TIMESYS": scale}) == (-round(ahead, 1), [])
    assert read({"DATE-OBS": f"{START}Z", "TIMESYS": scale}) == (0, [])


def test_an_unknown_time_scale_is_taken_for_utc():
    assert read({"DATE-OBS": START, "TIMESYS": "Mars"}) == (
        0,
        ["unknown time scale: TIMESYS is 'Mars'; UTC is assumed"],
    )


@pytest.mark.parametrize(
    "good",
    [{"MJD-OBS": MJD}, {"DATE-BEG": START}, {"JD": MJD + 2400000.5}, {"DATE-END": ("2024-03-02T03:08:11", "[UTC]")}],
)
def test_local_time_is_not_used_if_another_card_has_utc(good):
    for local in ({**LOCAL, "TIMESYS": "LOCAL"}, {"DATE-OBS": (LOCAL["DATE-OBS"], "local time at start")}):
        seconds, warnings = read({**local, **good})
        assert abs(seconds) < 0.5
        assert len(warnings) == 1
        assert warnings[0].startswith("unusable time: ")
        assert warnings[0].endswith(f"{next(iter(good))} is used")


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({**LOCAL, "TIMESYS": "LOCAL"}, "TIMESYS is 'LOCAL'"),
        ({**LOCAL, "TIMESYS": "LOCAL", "MJD-OBS": MJD - 8 / 24}, "TIMESYS is 'LOCAL'"),
        ({"DATE-OBS": (LOCAL["DATE-OBS"], "PST start")}, r"DATE-OBS is in local time \(PST start\)"),
        ({"DATE-OBS": (LOCAL["DATE-OBS"], "[local] start")}, r"DATE-OBS is in local time \(\[local\] start\)"),
    ],
)
def test_a_frame_with_nothing_but_local_time_is_rejected(cards, reason):
    with pytest.raises(FrameRejectedError, match=f"no card gives the start in UTC: {reason}"):
        read(cards)


def test_a_second_card_is_asked_if_the_first_cannot_be_read():
    for broken in ("garbage", "1980-01-01T00:00:03", "25/25/2019"):
        seconds, warnings = read({"DATE-OBS": broken, "MJD-OBS": MJD})
        assert seconds == 0
        assert len(warnings) == 1
        assert warnings[0].startswith(f"unusable time: DATE-OBS is {broken!r}")


def test_a_year_of_two_digits_is_told():
    seconds, warnings = read({"DATE-OBS": "02/03/24", "UT": "03:07:11"})
    assert (seconds, warnings) == (0, ["two-digit year: DATE-OBS has a year of two digits; 20.. is assumed"])


def test_a_camera_file_may_name_middle_and_end(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: a\ntitle: x\ntypes: [{bias: {A: b}}]\ncards: {exposure: T, middle: WHEN}\n")
    raw = RawHeader(fits.Header({"T": 60.0, "WHEN": "2024-03-02T03:07:41"}), 0, (4, 4))
    assert load_camera(path).start(raw) == pytest.approx(MJD, abs=1e-9)
