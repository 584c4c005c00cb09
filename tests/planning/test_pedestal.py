"""Nights without bias frames: which darks serve as bias, and for which frames."""

from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits
from nightcal.cameras.settings import Setting
from nightcal.planning.dark_scaling import DarkPolicy, amplification
from nightcal.planning.frames import Frame
from nightcal.planning.matching import Options
from nightcal.planning.plan import make_plan
from nightcal.planning.setup_keywords import read_planned_master, write_setup
from nightcal.planning.summary import summarise_plan

MIDNIGHT = 60371.0


def take(kind, seconds, count=3, hours=0.0, **more):
    """Take frames of a camera without overscan; a night has 24 hours."""
    plain = Frame(
        Path("raw"),
        "",
        camera="mine",
        kind=kind,
        exposure_time=seconds,
        night=f"202403{int(hours // 24) + 1:02d}",
        shape=(10, 12),
        settings=(Setting("binning", "binning", (("XBINNING", "1x1"),)),),
        gain=1.5,
        read_noise=5.0,
        filter="L" if kind in ("flat", "science") else "",
        set_temperature=-10.0,
    )
    named = (replace(plain, name=f"{kind}_{seconds:g}_{hours:g}_{n}.fits", **more) for n in range(count))
    return [replace(one, mjd=MIDNIGHT + (hours + n / 60) / 24) for n, one in enumerate(named)]


def roles(plan, kind, seconds):
    return [e.role for e in plan.entries if (e.frame.kind, e.frame.exposure_time) == (kind, seconds)]


def masters(plan, kind):
    return [master for master in plan.masters if master.kind == kind]


def science(plan, seconds):
    return next(item for item in plan.science if item.frame.exposure_time == seconds)


FLATS = take("flat", 3.0, 5, 1)
SCIENCE = [*take("science", 120.0, 2, 2), *take("science", 60.0, 1, 3)]


def test_the_shortest_darks_serve_as_bias_for_everything_else():
    plan = make_plan([*take("dark", 3.0), *take("dark", 120.0, hours=0.5), *FLATS, *SCIENCE])
    ((bias,), (dark,), (flat,)) = (masters(plan, kind) for kind in ("bias", "dark", "flat"))
    assert bias.name == "bias_mine_12x10_1x1_-10C_from_darks_3s"
    assert (bias.pedestal_exposure, {frame.exposure_time for frame in bias.frames}) == (3, {3})
    assert (dark.bias.master, dark.pedestal_exposure, dark.exposures) == (bias, 3, (120, 120))
    assert (flat.bias.master, flat.dark.master) == (bias, dark)
    for seconds in (120.0, 60.0):
        found = science(plan, seconds)
        assert (found.bias.master, found.dark.master, found.flat.master) == (bias, dark, flat)
    entry = next(entry for entry in plan.entries if entry.group == bias.name)
    assert "serves as bias with the dark current of 3 s, for lack of bias frames" in entry.reason
    assert not [match.warning for item in (*plan.science, *plan.masters) for match in item.matches if match.warning]


def test_darks_of_another_temperature_are_named_where_there_are_no_others():
    warm = take("dark", 120.0, 10, 4, set_temperature=-4.0)
    plan = make_plan([*take("dark", 3.0), *FLATS, *SCIENCE, *warm])
    dark = science(plan, 120.0).dark
    assert dark.master is None
    assert "no dark within 2 C of -10 C: 10 darks of 120 s at -4 C" in dark.reason
    (line,) = [g.reason for g in summarise_plan(plan, plan.nights[0]).undone if (g.what, g.kind) == ("dark", "science")]
    assert "10 darks of 120 s at -4 C" in line
    assert science(make_plan([*take("dark", 3.0), *FLATS, *SCIENCE]), 120.0).dark.reason.endswith(
        "; no dark: step skipped"
    )


@pytest.mark.parametrize("hours", [0.0, 100.0])
def test_bias_frames_of_any_night_are_better(hours):
    plan = make_plan([*take("bias", 0.0, hours=hours), *take("dark", 3.0), *take("dark", 120.0), *FLATS, *SCIENCE])
    (bias,) = masters(plan, "bias")
    assert bias.pedestal_exposure == 0
    assert len(masters(plan, "dark")[0].frames) == 6


def test_bias_frames_that_are_too_old_are_not():
    options = Options(max_age_days={"bias": 10.0}, too_old={"bias": "reject"})
    old = take("bias", 0.0, hours=0.0)
    night = [*take("dark", 3.0, hours=480), *take("dark", 120.0, hours=481), *take("science", 60.0, hours=482)]
    plan = make_plan([*old, *night], options)
    assert [master.pedestal_exposure for master in masters(plan, "bias")] == [0, 3]
    assert science(plan, 60.0).bias.master.pedestal_exposure == 3


def test_frames_with_overscan_need_no_darks_as_bias():
    plan = make_plan([replace(f, has_overscan=True) for f in [*take("dark", 3.0), *take("dark", 120.0), *SCIENCE]])
    assert not masters(plan, "bias")
    assert len(masters(plan, "dark")[0].frames) == 6


def test_darks_of_one_exposure_time_need_no_second_step():
    plan = make_plan([*take("dark", 120.0), *FLATS, *SCIENCE])
    assert not masters(plan, "dark")
    found = science(plan, 120.0)
    assert (found.bias.master.pedestal_exposure, found.dark.master, found.dark.included) == (120, None, True)
    assert "skipped" not in found.dark.reason
    assert summarise_plan(plan, found.frame.night).having["dark"] == 2
    found = science(plan, 60.0)
    assert found.bias.master.pedestal_exposure == 120
    assert not found.dark.included
    assert found.dark.reason == "the bias contains the dark current of 120 s; no dark: step skipped"
    assert masters(plan, "flat")[0].bias.master.pedestal_exposure == 120


def test_a_flat_without_any_dark_is_unused_and_says_so():
    plan = make_plan([*FLATS, *SCIENCE])
    assert {(e.role, e.reason) for e in plan.entries if e.frame.kind == "flat"} == {
        ("unused", "no bias and no overscan: the bias level would be counted as signal")
    }


def test_one_short_dark_does_not_serve_if_there_are_more_of_another_time():
    plan = make_plan([*take("dark", 1.0, 1), *take("dark", 3.0), *take("dark", 120.0), *SCIENCE])
    assert masters(plan, "bias")[0].pedestal_exposure == 3
    assert roles(plan, "dark", 1.0) == ["unused"]
    (entry,) = [entry for entry in plan.entries if entry.role == "unused"]
    assert entry.reason == "a dark of 1 s is not longer than the darks of 3 s that serve as bias"
    assert masters(plan, "dark")[0].exposures == (120, 120)
    few = make_plan([*take("dark", 3.0, 1), *take("dark", 120.0)])  # else the dark current would be unknown
    assert masters(few, "bias")[0].pedestal_exposure == 3
    assert masters(few, "dark")[0].exposures == (120, 120)


def test_darks_of_each_temperature_have_their_own():
    warm = {"set_temperature": 5.0}
    frames = [*take("dark", 3.0), *take("dark", 120.0), *take("dark", 3.0, hours=4, **warm)]
    frames += [*take("dark", 120.0, hours=5, **warm), *take("science", 60.0, 1, 4.5)]
    plan = make_plan([*frames, *take("science", 120.0, 1, 1, **warm)])
    assert sorted(master.set_temperature for master in masters(plan, "bias")) == [-10, 5]
    for dark in masters(plan, "dark"):
        assert dark.bias.master.set_temperature == dark.set_temperature
    assert science(plan, 60.0).bias.master.set_temperature == -10
    assert science(plan, 120.0).bias.master.set_temperature == 5


def test_darks_of_another_temperature_serve_flats_if_there_are_no_others_with_a_warning():
    flats = take("flat", 3.0, 5, 1, set_temperature=12.0)
    (flat,) = masters(make_plan([*take("dark", 3.0), *take("dark", 120.0), *flats]), "flat")
    assert flat.bias.master.pedestal_exposure == 3
    assert (
        flat.bias.warning
        == "bias made of darks: darks of 3 s at -10 C serve as bias for flat frames at 12 C, whose dark current differs"
    )


def test_shorter_darks_of_another_night_show_the_dark_current_of_darks_of_one_exposure_time():
    plan = make_plan([*take("dark", 120.0), *take("dark", 60.0, hours=24), *SCIENCE])
    (bias,), (dark,) = masters(plan, "bias"), masters(plan, "dark")
    assert (bias.pedestal_exposure, dark.exposures, dark.bias.master) == (60, (120, 120), bias)
    each = make_plan(
        [*take("dark", 3.0), *take("dark", 120.0), *take("dark", 2.0, hours=24), *take("dark", 90.0, hours=25)]
    )
    assert [master.pedestal_exposure for master in masters(each, "bias")] == [3, 2]


def test_darks_that_serve_as_bias_also_do_so_from_a_library(tmp_path):
    (known,) = masters(make_plan([*take("dark", 3.0), *take("dark", 120.0)]), "bias")
    header = fits.Header({"MASTER": "bias", "MJD-AVG": known.mjd, "PEDEXP": 3.0})
    write_setup(header, known.frames[0])
    library = read_planned_master(tmp_path / "old.fits", header)
    assert (library.pedestal_exposure, library.set_temperature, library.setup) == (3, -10, known.setup)
    plan = make_plan([*take("dark", 120.0, hours=240), *take("science", 60.0, hours=241)], library=[library])
    assert not masters(plan, "bias")
    assert science(plan, 60.0).bias.master is library
    assert science(plan, 60.0).dark.master.bias.master is library
    own = make_plan([*take("dark", 2.0, hours=240), *take("dark", 120.0, hours=240)], library=[library])
    assert masters(own, "dark")[0].bias.master.pedestal_exposure == 2


def test_noise_is_amplified_by_the_distance_from_the_darks_that_serve_as_bias():
    assert amplification((120, 120), (120, 120), 60) == 1
    assert amplification((120, 120), (10, 10), 60) == 1
    assert amplification((120, 120), (240, 240), 60) == 3
    assert amplification((70, 70), (10, 10), 60) == 5


def test_a_dark_that_must_not_be_scaled_serves_its_own_exposure_time():
    options = Options(darks=DarkPolicy(scaling="exact"))
    plan = make_plan([*take("dark", 3.0), *take("dark", 120.0), *FLATS, *SCIENCE], options)
    assert science(plan, 120.0).dark.master.exposures == (120, 120)
    assert masters(plan, "flat")[0].dark.master is not None  # multiplied by 0 s
    found = science(plan, 60.0)
    assert found.dark.master is None
    assert found.bias.master.pedestal_exposure == 3
    assert "available: 120 s" in found.dark.reason


def test_the_factor_of_a_dark_that_must_not_be_scaled_so_far_is_counted_from_the_bias():
    found = science(make_plan([*take("dark", 30.0), *take("dark", 60.0), *SCIENCE]), 120.0)
    assert found.dark.master is None
    assert "the longest (60 s) would be scaled up 3 times (limit 2)" in found.dark.reason
