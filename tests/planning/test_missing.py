"""What should still be taken: frames that the science frames of a night lack, or of which there are few."""

from dataclasses import replace
from pathlib import Path

import pytest
from nightcal.cameras.settings import Setting
from nightcal.planning.dark_scaling import DarkPolicy
from nightcal.planning.frames import Frame
from nightcal.planning.matching import Options
from nightcal.planning.missing import DOUBTFUL, FEW, NONE_FITS, describe_wanted, list_wanted
from nightcal.planning.plan import make_plan

NIGHT = "20240301"
MIDNIGHT = 60371.0


def frames(kind, count, night=NIGHT, **more):
    """Good frames of one camera."""
    plain = Frame(
        Path("x"),
        "",
        camera="mine",
        kind=kind,
        exposure_time={"bias": 0.0, "dark": 300.0}.get(kind, 30.0),
        mjd=MIDNIGHT,
        night=night,
        set_temperature=-20.0,
        shape=(10, 12),
        binning=(2, 2),
        settings=(Setting("", "READOUTM", (("READOUTM", "slow"),)),),
        gain=1.5,
        read_noise=5.0,
        filter="V" if kind in ("flat", "science") else "",
    )
    label = "_".join(map(str, more.values()))
    return [replace(plain, name=f"{night}_{kind}_{label}_{n}.fits", **more) for n in range(count)]


CALIBRATIONS = [*frames("bias", 10), *frames("dark", 5), *frames("flat", 5)]
WHOLE = [*CALIBRATIONS, *frames("science", 4)]


def without(kind):
    """Leave out a type; with the bias frames also the darks, which would serve as bias."""
    left_out = ("bias", "dark") if kind == "bias" else (kind,)
    return [f for f in WHOLE if f.kind not in left_out]


def wanted(raw, **options):
    options = Options(**options)
    return list_wanted(make_plan(raw, options), NIGHT, options)


def lines(raw, **options):
    return [describe_wanted(item) for item in wanted(raw, **options)]


def test_nothing_is_missing_from_a_whole_night():
    assert wanted(WHOLE) == []
    assert wanted(CALIBRATIONS) == []


@pytest.mark.parametrize(
    ("kind", "which"),
    [
        ("bias", "10 bias frames at -20 C ("),
        ("dark", "5 dark frames of 30 s at -20 C ("),
        ("flat", "5 flat frames in V ("),
    ],
)
def test_frames_of_a_type_that_was_not_taken_come_first(kind, which):
    first, *_ = lines(without(kind))
    assert first.startswith(which)
    assert "12 x 10 pixels, binning 2 x 2, READOUTM slow" in first
    assert "for 4 science frames" in first


def test_flats_that_wait_for_a_bias_are_not_taken_again():
    assert [item.kind for item in wanted(without("bias"))] == ["bias", "dark"]


def test_darks_that_serve_as_bias_leave_others_to_be_taken():
    (dark, bias) = wanted([f for f in WHOLE if f.kind != "bias"])
    assert (dark.rank, dark.kind, dark.which) == (NONE_FITS, "dark", " of 30 s at -20 C")
    assert (bias.rank, bias.kind, bias.number) == (FEW, "bias", 5)


def test_the_longest_exposure_needs_darks():
    long = [*frames("science", 2, exposure_time=1200.0), *frames("science", 1, exposure_time=900.0)]
    (item,) = wanted([*WHOLE, *long])
    assert (item.rank, item.which, item.science) == (NONE_FITS, " of 1200 s at -20 C", 3)


def test_a_dark_that_is_scaled_up_is_doubtful():
    (item,) = wanted([*CALIBRATIONS, *frames("science", 2, exposure_time=500.0)])
    assert (item.rank, item.which, item.why) == (DOUBTFUL, " of 500 s at -20 C", "the longest dark is of 300 s")


def test_darks_that_are_not_scaled_are_needed_for_each_exposure_time():
    raw = [*WHOLE, *frames("science", 2, exposure_time=60.0)]
    found = wanted(raw, darks=DarkPolicy("exact"))
    assert {item.which for item in found} == {" of 30 s at -20 C", " of 60 s at -20 C"}
    assert wanted(raw, darks=DarkPolicy("bias_only")) == []


def test_each_temperature_needs_its_darks():
    cold = [replace(one, has_overscan=True) for one in (*WHOLE, *frames("science", 2, set_temperature=-5.0))]
    (item,) = wanted(cold)
    assert (item.which, item.science) == (" of 30 s at -5 C", 2)


def test_without_overscan_each_temperature_needs_its_bias_frames():
    dark, bias = wanted([*WHOLE, *frames("science", 2, set_temperature=-5.0)])
    assert (dark.rank, dark.kind, dark.which) == (NONE_FITS, "dark", " of 30 s at -5 C")
    assert (bias.rank, bias.kind, bias.which, bias.science) == (DOUBTFUL, "bias", " at -5 C", 2)


def test_each_filter_needs_its_flats_and_the_one_with_most_frames_comes_first():
    raw = [*WHOLE, *frames("science", 1, filter="B"), *frames("science", 3, filter="R"), *frames("flat", 2, filter="I")]
    found = wanted([*raw, *frames("science", 9, filter="I")])
    assert [(item.rank, item.which, item.number) for item in found] == [
        (NONE_FITS, " in R", 5),
        (NONE_FITS, " in B", 5),
        (FEW, " in I", 3),
    ]
    assert describe_wanted(found[-1]).startswith("3 more flat frames in I (")
    assert describe_wanted(found[-1]).endswith("there are only 2")


def test_a_master_that_is_too_old_should_be_taken_again():
    old = [replace(f, mjd=MIDNIGHT - 30, night="20240131") for f in frames("flat", 5, night="20240131")]
    (item,) = wanted([*[f for f in WHOLE if f.kind != "flat"], *old], max_age_days={"flat": 7.0})
    assert (item.rank, item.kind) == (DOUBTFUL, "flat")
    assert "older than 7 days" in item.why


def test_a_warm_science_frame_needs_no_other_dark_if_one_of_its_temperature_exists():
    warm = frames("science", 2, temperature=-10.0)
    calibrations = [*CALIBRATIONS, *frames("dark", 5, set_temperature=-10.0), *warm]
    assert wanted([replace(one, has_overscan=True) for one in calibrations]) == []
