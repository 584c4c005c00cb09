"""The plan: every file has a role, and every frame the master nearest in time."""

import csv
import io
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from astropy.io import fits
from helpers import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.cameras.settings import Setting
from nightcal.planning.dark_scaling import DarkPolicy
from nightcal.planning.frames import Frame
from nightcal.planning.matching import Options
from nightcal.planning.naming import make_printable, slugify
from nightcal.planning.plan import COLUMNS, STEPS, make_plan
from nightcal.planning.records import PlannedMaster, Setup
from nightcal.planning.setup_keywords import read_planned_master, write_setup
from nightcal.planning.user_masks import UserMask
from planned_frames import MIDNIGHT, NIGHT, frame

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
SAFE = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]*")
HOSTILE = [
    "../../etc",
    "; rm -rf ~",
    "{x}",
    "$(touch x)",
    "`x`",
    "-rf",
    ".",
    "..",
    "a b",
    "V",
    "v",
    "V ",
    "H\u03b1",
    "H\u03b2",
    "\u03b1",
    "x" * 300,
    "a/b",
    "a\\b",
    "new\nline",
    "tab\t",
    "c\rr",
    "quo'te\"",
    "%s",
    "con,ma",
    "=1+1",
    "nofilter",
    "",
]
TEXT = st.sampled_from(HOSTILE) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
)


def mode(text, card="READOUTM"):
    """The settings of a frame with a readout mode."""
    return (Setting("", "READOUTM", ((card, text),)),) if text else ()


def binning(number):
    """The settings of a frame whose header has the binning."""
    return (Setting("binning", "binning", (("XBINNING", f"{number}x{number}"),)),)


def frames(kind, count, hours=0.0, **more):
    return [frame(f"{kind}{hours:+.2f}_{n}.fits", kind, hours + n / 64, **more) for n in range(count)]


def library_master(kind, name, hours, **more):
    setup = Setup("mine", "", (1, 1), (), (10, 12))
    return PlannedMaster(
        kind, name, "20240229", setup, MIDNIGHT + hours / 24, path=Path(f"/library/{name}.fits"), **more
    )


def entry_of(plan, name):
    (found,) = [entry for entry in plan.entries if entry.frame.name == name]
    return found


def find_science(plan, name):
    (found,) = [science for science in plan.science if science.frame.name == name]
    return found


@st.composite
def records(draw):
    """Any night that headers could tell of; times are multiples of 1/64 day, so that ties are ties."""
    names = draw(st.lists(TEXT, max_size=14, unique=True))
    found = []
    for n, text in enumerate(names):
        kind = draw(st.sampled_from(["bias", "dark", "flat", "flat", "science", "science", "other"]))
        mjd = MIDNIGHT + draw(st.integers(-32, 160)) / 64
        one = frame(
            draw(st.sampled_from(["", "a/", "A/", "b/c/"]))
            + text
            + draw(st.sampled_from([".fits", ".FIT", ".fits.gz", f"{n}.fit"])),
            kind,
            mjd=mjd,
            night=str(int(NIGHT) + int(mjd - MIDNIGHT + 0.5)),
            filter=draw(TEXT) if kind in ("flat", "science") else "",
            flat_source=draw(st.sampled_from(["", "dome", "twilight"])) if kind == "flat" else "",
            **{
                "settings": mode(
                    draw(st.sampled_from(["", "fast"]) | TEXT), draw(st.sampled_from(["READOUTM", "READMODE"]))
                )
            }
            | draw(st.sampled_from([{}, {"binning": (2, 2)}]))
            | draw(st.sampled_from([{}, {"camera": "other"}, {"instrument": "i 1"}])),
            set_temperature=draw(st.sampled_from([None, 0.0, -0.4, -20.0, -21.5, -23.0])),
            temperature=draw(st.sampled_from([None, None, -0.2, -12.0, -20.0])),
            exposure_time=0.0 if kind == "bias" else draw(st.sampled_from([10.0, 30.0, 300.0])),
            gain=draw(st.sampled_from([None, 1.5])),
            has_overscan=draw(st.booleans()),
            problem=draw(st.sampled_from(["", "", "", "the file is empty"])),
        )
        if one.problem and draw(st.booleans()):
            one = replace(one, mjd=None, night="", kind="")
        found.append(one)
    return list({one.name: one for one in found}.values())


@st.composite
def alike(draw):
    """A night of one setup: many rivals for each frame."""
    kinds = draw(st.lists(st.sampled_from(["bias", "dark", "flat", "science"]), min_size=2, max_size=24))
    return [frame(f"f{n:02d}.fits", kind, 24 * draw(st.integers(0, 64)) / 64) for n, kind in enumerate(kinds)]


POLICIES = st.builds(
    DarkPolicy,
    scaling=st.sampled_from(["bias_only", "exact", "down", "up"]),
    largest_factor=st.sampled_from([None, 1.0, 2.0, 4.0]),
    otherwise=st.sampled_from(["skip", "reject"]),
    unscalable=st.sampled_from([frozenset(), frozenset({"mine"})]),
)
OPTIONS = st.builds(
    Options,
    split_hours=st.fixed_dictionaries(dict.fromkeys(STEPS, st.sampled_from([None, 0.5, 3.0]))),
    max_age_days=st.fixed_dictionaries(dict.fromkeys(STEPS, st.sampled_from([None, 0.1, 1.0]))),
    too_old=st.fixed_dictionaries(dict.fromkeys(STEPS, st.sampled_from(["use", "skip", "reject"]))),
    temperature_tolerance=st.sampled_from([0.0, 1.0, 2.0]),
    darks=POLICIES,
    prefer_source=st.sampled_from(["twilight", "dome", "nearest"]),
)


@MANY
@given(records(), OPTIONS)
def test_every_file_has_exactly_one_row_in_exactly_one_night(found, options):
    plan = make_plan(found, options)
    assert Counter(entry.frame.name for entry in plan.entries) == Counter(one.name for one in found)
    assert all(entry.frame.night for entry in plan.entries)


@MANY
@given(records(), OPTIONS)
def test_every_row_has_a_role_and_a_reason(found, options):
    plan = make_plan(found, options)
    stacked = {one.name for master in plan.masters if master.kind in STEPS for one in master.frames}
    reduced = {science.frame.name for science in plan.science}
    for entry in plan.entries:
        assert entry.role in ("stacked", "reduced", "rejected", "unused")
        assert entry.reason
        assert (entry.role == "stacked") == (entry.frame.name in stacked)
        assert (entry.role == "reduced") == (entry.frame.name in reduced)
        assert bool(entry.product) == (entry.role in ("stacked", "reduced"))
        assert not entry.frame.problem or entry.role == "rejected"


@MANY
@given(records(), OPTIONS, st.data())
def test_the_plan_does_not_depend_on_the_order_of_the_files(found, options, data):
    shuffled = data.draw(st.permutations(found))
    assert make_plan(shuffled, options) == make_plan(found, options)


@MANY
@given(records(), OPTIONS)
def test_only_frames_of_the_same_setup_are_combined(found, options):
    plan = make_plan(found, options)
    for master in plan.masters:
        if master.kind == "gain":  # of all frames that may be alike
            differences = [d for one in master.frames for d in master.setup.find_differences(Setup.from_frame(one))]
            assert all(difference.is_lack for difference in differences)
            continue
        assert {Setup.from_frame(one).values for one in master.frames} <= {master.setup.values}
        assert {one.night for one in master.frames} <= {master.night}
        assert not any(one.problem for one in master.frames)
        if master.kind == "flat":
            assert {one.filter for one in master.frames} == {master.filter}
        if master.kind == "dark":
            temperatures = {warmth(one, options.temperature_tolerance) for one in master.frames}
            assert temperatures == {None} or max(temperatures) - min(temperatures) <= options.temperature_tolerance
    for subject in (*plan.science, *plan.masters):
        for step in STEPS:
            match = getattr(subject, step, None)
            if match is not None and match.master is not None:
                differences = match.master.setup.find_differences(subject.setup)
                assert match.master.kind == step
                assert all(difference.is_lack for difference in differences)
                assert "assumed alike" in match.warning or not differences
    for science in plan.science:
        if science.flat.master is not None and science.flat.master.filter != science.frame.filter:
            assert "" in (science.flat.master.filter, science.frame.filter)
            assert "assumed alike" in science.flat.warning


def warmth(one, tolerance):
    """How warm the CCD was."""
    believed = one.temperature is None or (
        one.set_temperature is not None and abs(one.temperature - one.set_temperature) <= tolerance
    )
    return one.set_temperature if believed else one.temperature


@MANY
@given(alike(), st.sampled_from([0.3, 0.5, 2.0]))
def test_each_frame_gets_the_master_nearest_in_time(found, pause):
    plan = make_plan(found, Options(split_hours=dict.fromkeys(STEPS, pause)))
    for science in plan.science:
        for step in STEPS:
            rivals = [(abs(m.mjd - science.frame.mjd), m.mjd, m.name, m) for m in plan.masters if m.kind == step]
            match = getattr(science, step)
            if not rivals:
                assert match.master is None
                assert "step skipped" in match.reason
                continue
            nearest = min(rivals, key=lambda rival: rival[:3])
            assert match.master is nearest[3]
            assert match.gap_hours == pytest.approx(24 * nearest[0])


def test_the_time_of_a_master_is_the_mean_of_its_exposures():
    plan = make_plan([frame("a.fits", "bias", 0), frame("b.fits", "bias", 3), frame("c.fits", "bias", 6)])
    assert plan.masters[0].mjd == pytest.approx(MIDNIGHT + 3 / 24)


def test_a_tie_in_time_goes_to_the_older_master():
    evening, morning = frames("bias", 3, -6), frames("bias", 3, 6)
    middle = frame("s.fits", hours=1 / 64)
    plan = make_plan([*morning, middle, *evening], Options(split_hours={"bias": 2}))
    match = find_science(plan, "s.fits").bias
    assert match.gap_hours == 6
    assert set(match.master.frames) == set(evening)


@pytest.mark.parametrize("order", [1, -1])
def test_a_tie_in_time_and_age_goes_by_name(order):
    rivals = [
        library_master("bias", "bias_a", -3),
        library_master("bias", "bias_b", -3),
        library_master("bias", "bias_c", 3),
    ]
    plan = make_plan([frame("s.fits")], library=rivals[::order])
    assert find_science(plan, "s.fits").bias.master.name == "bias_a"


def test_a_nearer_master_of_the_library_wins_over_tonights():
    tonight = frames("bias", 3, -5)
    nearer, farther = library_master("bias", "nearer", 1), library_master("bias", "farther", 30)
    plan = make_plan([*tonight, frame("s.fits")], library=[farther, nearer])
    assert find_science(plan, "s.fits").bias.master == nearer
    assert find_science(make_plan([*tonight, frame("s.fits")], library=[farther]), "s.fits").bias.master.path is None
    assert nearer not in plan.find_masters(NIGHT)


def test_a_library_master_of_another_detector_or_filter_is_never_used():
    other = replace(library_master("bias", "b", 0), setup=Setup("mine", "", (2, 2), binning(2), (10, 12)))
    red = library_master("flat", "f", 0, filter="R")
    science = find_science(make_plan([frame("s.fits", settings=binning(1))], library=[other, red]), "s.fits")
    assert science.bias.master is None
    assert science.bias.reason == "no bias: 1 library bias frame differs in XBINNING ('2x2' and '1x1'): step skipped"
    assert science.flat.master is None
    assert science.flat.reason == "no flat in filter V: 1 library flat in R: step skipped"


@MANY
@given(records(), OPTIONS)
def test_products_of_a_night_never_overwrite_each_other(found, options):
    """Not on any disk: some tell upper from lower case, some do not."""
    plan = make_plan(found, options)
    for night in plan.nights:
        for names in ([m.name for m in plan.find_masters(night)], [s.name for s in plan.find_science(night)]):
            assert len({name.lower() for name in names}) == len(names)
            assert all(SAFE.fullmatch(name) for name in names), names


@MANY
@given(TEXT | st.text(max_size=200).filter(lambda text: text.isprintable()))
def test_any_header_text_becomes_a_safe_part_of_a_file_name(text):
    assert SAFE.fullmatch(slugify(text))
    assert len(slugify(text)) <= 100


@pytest.mark.parametrize("text", HOSTILE[:-1:2])
def test_hostile_header_text_does_no_harm(text):
    found = [
        *frames("bias", 2, settings=mode(text)),
        *frames("flat", 2, settings=mode(text), filter=text),
        frame(f"x/{text}.fits", settings=mode(text), filter=text, instrument=text),
        frame(f"y/{text}.fits", settings=mode(text), filter=text),
    ]
    plan = make_plan(found)
    names = [m.name for m in plan.masters] + [s.name for s in plan.science]
    assert all(SAFE.fullmatch(name) for name in names)
    assert len({name.lower() for name in names}) == len(names) == 6


def test_a_name_fits_in_a_folder_however_long_the_header():
    """255 bytes are the most that a file name may have on common disks; a temporary name needs some of them."""
    long = {"instrument": "i" * 68, "settings": mode(" ".join(["m" * 68] * 4)), "filter": "f" * 68}
    found = [
        *frames("bias", 2, **{**long, "filter": ""}),
        *frames("flat", 2, **long),
        frame("s" * 240 + ".fits", **long),
    ]
    plan = make_plan(found)
    assert max(len(m.name) for m in plan.masters) <= 220
    assert max(len(s.name) for s in plan.science) <= 220


def setting(card, text, label=""):
    return (Setting(label, card, ((card, text),)),)


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_two_programs_may_name_the_readout_mode_differently(kind):
    """One writes READOUTM, the other READMODE: equal values are the same mode, different ones a lack of both."""
    masters = [*frames("bias", 3, -4), *frames("dark", 3, -3), *frames("flat", 3, -2)]
    science = frame("s.fits", settings=mode("Slow"))
    for card, text, warned in (("READMODE", "slow", False), ("READMODE", "Fast", True), ("READOUTM", "Slow", False)):
        plan = make_plan([replace(one, settings=mode(text, card)) for one in masters] + [science])
        match = getattr(find_science(plan, "s.fits"), kind)
        assert match.master is not None
        assert ("assumed alike" in match.warning) == warned


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_a_keyword_that_only_the_science_frames_have_costs_a_warning_only(kind):
    masters = [*frames("bias", 3, -4), *frames("dark", 3, -3), *frames("flat", 3, -2)]
    plan = make_plan([*masters, frame("s.fits", settings=mode("Monochrome", "READMODE"))])
    match = getattr(find_science(plan, "s.fits"), kind)
    assert match.master is not None
    assert f"assumed alike: {kind} and frames, for lack of READMODE ('Monochrome' in the frames only)" in match.warning


def test_the_mask_of_bias_frames_and_flats_is_one_although_only_the_flats_name_the_readout_mode():
    plan = make_plan([*frames("bias", 3, -4), *frames("flat", 3, -2, settings=mode("Slow")), frame("s.fits")])
    mask = find_science(plan, "s.fits").bpm.master
    assert [one.kind for one in mask.ingredients] == ["bias", "flat"]


@pytest.mark.parametrize(("family", "served"), [("ours", True), ("theirs", False), ("", False)])
def test_camera_files_of_one_family_share_masters_also_those_of_a_library(tmp_path, family, served):
    bias = next(m for m in make_plan(frames("bias", 3, -4, camera="one", family="ours")).masters if m.kind == "bias")
    header = fits.Header({"MASTER": "bias", "MJD-AVG": bias.mjd, "EXPTIME": 0.0})
    write_setup(header, bias.frames[0])
    assert header["NCFAMILY"] == "ours"
    from_library = read_planned_master(tmp_path / "bias.fits", header)
    science = frame("s.fits", camera="two", family=family)
    for plan in (make_plan([*bias.frames, science]), make_plan([science], library=[from_library])):
        match = find_science(plan, "s.fits").bias
        assert (match.master is not None) == served
        assert served or "in the camera file ('one' and 'two')" in match.reason


def test_masters_whose_rows_are_in_the_opposite_order_make_no_common_mask():
    up, down = (setting("ROWORDER", order, "rows") for order in ("BOTTOM-UP", "TOP-DOWN"))
    whole = {"area": "[1:12,1:10]"}
    plan = make_plan([*frames("bias", 3, -4, settings=up, **whole), *frames("flat", 3, -2, settings=down, **whole)])
    masks = [master for master in plan.masters if master.kind == "bpm"]
    assert all(len(mask.ingredients) == 1 for mask in masks)


def test_masters_of_exactly_the_same_setting_are_preferred():
    far, near = frames("bias", 3, -9, settings=mode("Slow")), frames("bias", 3, -1)
    plan = make_plan([*far, *near, frame("s.fits", settings=mode("Slow"))])
    match = find_science(plan, "s.fits").bias
    assert set(match.master.frames) == set(far)
    assert match.warning == ""


def test_of_two_gain_settings_none_is_assumed():
    low, high = (
        frames("bias", 3, -9, settings=setting("GAIN", "0")),
        frames("bias", 3, -1, settings=setting("GAIN", "100")),
    )
    match = find_science(make_plan([*low, *high, frame("s.fits")]), "s.fits").bias
    assert match.master is None
    assert match.reason == "no bias: GAIN is missing, and the candidates differ in it ('0', '100'): step skipped"


@pytest.mark.parametrize("card", ["GAIN", "OFFSET", "READPORT"])
def test_a_bias_of_another_setting_is_never_used_and_the_plan_names_the_keyword(card):
    plan = make_plan(
        [*frames("bias", 5, -9, settings=setting(card, "10")), frame("s.fits", settings=setting(card, "50"))]
    )
    match = find_science(plan, "s.fits").bias
    assert match.master is None
    assert match.reason == f"no bias: 5 bias frames differ in {card} ('10' and '50'): step skipped"


@pytest.mark.parametrize(("of_bias", "used", "warned"), [(None, True, True), ("0", False, True), ("128", True, False)])
def test_a_window_that_begins_elsewhere_has_other_pixels(of_bias, used, warned):
    bias = frames("bias", 5, -9, settings=setting("STARTX", of_bias, "origin") if of_bias else ())
    match = find_science(
        make_plan([*bias, frame("s.fits", settings=setting("STARTX", "128", "origin"))]), "s.fits"
    ).bias
    assert (match.master is not None, bool(match.warning)) == (used, warned)
    whole = find_science(make_plan([*bias, frame("s.fits", settings=setting("STARTX", "0", "origin"))]), "s.fits").bias
    assert (whole.master is not None) == (of_bias != "128")


@pytest.mark.parametrize(
    ("more", "used"), [({}, True), ({"has_overscan": True}, False), ({"area": "[1:12,3:10]"}, False)]
)
def test_masters_whose_rows_are_stored_in_the_opposite_order_serve_frames_of_the_whole_chip(more, used):
    area = {"area": "[1:12,1:10]"} | more
    bias = frames("bias", 5, -9, settings=setting("ROWORDER", "BOTTOM-UP", "rows"), **area)
    plan = make_plan([*bias, frame("s.fits", settings=setting("ROWORDER", "TOP-DOWN", "rows"), **area)])
    match = find_science(plan, "s.fits").bias
    assert (match.master is not None) == used
    unknown = find_science(make_plan([*bias, frame("s.fits", **area)]), "s.fits").bias
    assert "for lack of ROWORDER" in unknown.warning


def test_frames_summed_at_the_telescope_are_stacked_apart():
    plan = make_plan([*frames("dark", 3, -9), *frames("dark", 3, -8, n_summed=5), *frames("bias", 3, -7)])
    assert [len(m.frames) for m in plan.masters if m.kind == "dark"] == [3, 3]


def test_bias_frames_of_two_offsets_become_two_masters():
    found = [
        *frames("bias", 5, -9, settings=setting("OFFSET", "10")),
        *frames("bias", 5, -1, settings=setting("OFFSET", "50")),
    ]
    assert [len(m.frames) for m in make_plan(found).masters if m.kind == "bias"] == [5, 5]
    same = [*frames("bias", 5, -9, settings=mode("Slow")), *frames("bias", 5, -1, settings=mode("slow", "READMODE"))]
    assert [len(m.frames) for m in make_plan(same).masters if m.kind == "bias"] == [10]


def test_flats_of_unknown_filter_serve_with_a_warning_if_there_are_no_others():
    nameless = frames("flat", 3, -2, filter="")
    bias = frames("bias", 3, -9)
    match = find_science(make_plan([*bias, *nameless, frame("s.fits")]), "s.fits").flat
    assert "for lack of the filter ('V' in the frames only)" in match.warning
    (master,) = [m for m in make_plan([*bias, *nameless, frame("s.fits")]).masters if m.kind == "flat"]
    assert "unknown filter" in master.warnings[0]
    known = frames("flat", 3, -20)
    assert set(
        find_science(make_plan([*bias, *known, *nameless, frame("s.fits")]), "s.fits").flat.master.frames
    ) == set(known)
    (master,) = [m for m in make_plan([*bias, *nameless, frame("s.fits", filter="")]).masters if m.kind == "flat"]
    assert master.warnings == ()  # a camera without filter wheel


def test_frames_of_equal_name_in_two_folders_give_two_products():
    names = ["a/s.fits", "b/s.fits", "a_s.fits", "A_S.fits", "c/S.fits.gz", "s.fit", "c/s.fits"]
    plan = make_plan([frame(name) for name in names])
    assert len({science.name.lower() for science in plan.science}) == len(names)


def test_a_product_has_the_name_of_its_raw_file():
    plan = make_plan([frame("night/d3009.fits"), frame("AF770685.fits.gz"), frame("coj1m011-e90.fits.fz")])
    assert {science.name for science in plan.science} == {"d3009", "AF770685", "coj1m011-e90"}


def test_filters_that_look_alike_in_a_file_name_are_not_mixed():
    plan = make_plan(
        [
            *frames("flat", 3, filter="H\u03b1", has_overscan=True),
            *frames("flat", 3, 1, filter="H\u03b2", has_overscan=True),
            frame("s.fits", filter="H\u03b2", has_overscan=True),
        ]
    )
    flats = [m for m in plan.masters if m.kind == "flat"]
    assert len({m.name.lower() for m in flats}) == 2
    assert {one.filter for one in find_science(plan, "s.fits").flat.master.frames} == {"H\u03b2"}


def test_a_pause_longer_than_split_hours_begins_a_new_master():
    found = [frame(f"{hours}.fits", "bias", hours) for hours in (0, 0.5, 2.5, 5, 5.25)]
    plan = make_plan(found, Options(split_hours={"bias": 2}))
    assert [[one.name for one in m.frames] for m in plan.masters if m.kind == "bias"] == [
        ["0.fits", "0.5.fits", "2.5.fits"],
        ["5.fits", "5.25.fits"],
    ]
    assert [len(m.frames) for m in make_plan(found).masters if m.kind == "bias"] == [5]


def test_evening_and_morning_frames_get_their_own_bias():
    evening, morning = frames("bias", 3, -6), frames("bias", 3, 6)
    plan = make_plan(
        [*evening, *morning, frame("e.fits", hours=-4), frame("m.fits", hours=5)], Options(split_hours={"bias": 3})
    )
    assert set(find_science(plan, "e.fits").bias.master.frames) == set(evening)
    assert set(find_science(plan, "m.fits").bias.master.frames) == set(morning)


def test_two_nights_are_never_stacked_together():
    found = frames("bias", 3) + frames("bias", 3, 24, night="20240302")
    assert [(m.night, len(m.frames)) for m in make_plan(found).masters if m.kind == "bias"] == [
        ("20240301", 3),
        ("20240302", 3),
    ]


COLD = {"bias": frames("bias", 3, -3)}


def with_darks(*temperatures, wanted, tolerance=2.0):
    darks = [one for n, t in enumerate(temperatures) for one in frames("dark", 2, n, set_temperature=t)]
    plan = make_plan(
        [*COLD["bias"], *darks, frame("s.fits", set_temperature=wanted)], Options(temperature_tolerance=tolerance)
    )
    return find_science(plan, "s.fits").dark


def test_a_dark_of_another_temperature_is_never_used():
    assert with_darks(-20.0, 0.0, wanted=0.0).master.set_temperature == 0
    assert with_darks(0.0, -20.0, wanted=-20.0).master.set_temperature == -20


def test_zero_degrees_are_a_temperature():
    match = with_darks(-20.0, wanted=0.0)
    assert match.master is None
    assert match.reason == "no dark within 2 C of 0 C: step skipped"
    assert with_darks(0.0, wanted=-20.0).master is None
    assert with_darks(0.0, wanted=0.0).master is not None


@pytest.mark.parametrize(("wanted", "served"), [(-20, True), (-22, True), (-18, True), (-22.5, False), (-17.5, False)])
def test_the_tolerance_is_in_degrees_either_way(wanted, served):
    assert (with_darks(-20.0, wanted=float(wanted)).master is not None) == served


def test_without_temperatures_any_dark_is_used():
    assert with_darks(None, wanted=None).master is not None
    assert with_darks(None, wanted=-20.0).master is not None
    assert with_darks(-20.0, wanted=None).master is not None


def test_darks_of_different_temperatures_are_stacked_separately():
    darks = [
        *frames("dark", 3, 0, set_temperature=0.0),
        *frames("dark", 3, 1, set_temperature=-20.0),
        *frames("dark", 3, 2),
    ]
    plan = make_plan([*COLD["bias"], *darks])
    assert sorted(
        (m.set_temperature is None, m.set_temperature or 0, len(m.frames)) for m in plan.masters if m.kind == "dark"
    ) == [
        (False, -20, 3),
        (False, 0, 3),
        (True, 0, 3),
    ]


def aged(kind, policy, limit=1.0):
    calibrations = {"bias": {}, "flat": {"has_overscan": True}, "dark": {"has_overscan": True}}[kind]
    found = [*frames(kind, 3, -72, night="20240227", **calibrations), frame("s.fits", **calibrations)]
    return make_plan(found, Options(max_age_days={kind: limit}, too_old={kind: policy}))


@pytest.mark.parametrize("kind", STEPS)
def test_a_master_past_its_age_is_used_and_flagged(kind):
    match = getattr(find_science(aged(kind, "use"), "s.fits"), kind)
    assert match.master is not None
    assert match.warning == f"old master: {kind} older than 1 days"
    assert "used, with a warning" in match.reason


@pytest.mark.parametrize("kind", STEPS)
def test_a_master_past_its_age_skips_the_step(kind):
    plan = aged(kind, "skip")
    match = getattr(find_science(plan, "s.fits"), kind)
    assert match.master is None
    assert "days away (limit 1): step skipped" in match.reason
    assert match.reason in entry_of(plan, "s.fits").reason


@pytest.mark.parametrize("kind", STEPS)
def test_a_master_past_its_age_rejects_the_frame(kind):
    plan = aged(kind, "reject")
    assert plan.science == ()
    entry = entry_of(plan, "s.fits")
    assert entry.role == "rejected"
    assert "(limit 1): frame rejected" in entry.reason
    assert entry in plan.find_entries(NIGHT)
    assert entry.role == "rejected"


@pytest.mark.parametrize("policy", ["use", "skip", "reject"])
@pytest.mark.parametrize("kind", STEPS)
def test_a_master_within_its_age_gives_no_warning(kind, policy):
    match = getattr(find_science(aged(kind, policy, limit=3.5), "s.fits"), kind)
    assert match.master is not None
    assert match.warning == ""


@pytest.mark.parametrize("kind", ["dark", "flat"])
def test_a_calibration_frame_whose_bias_is_too_old_is_not_stacked(kind):
    """A flat that still contains its bias would be worse than no flat."""
    old = frames("bias", 3, -72, night="20240227", has_overscan=True)
    found = [*old, *frames(kind, 3, has_overscan=True), frame("s.fits", has_overscan=True)]
    plan = make_plan(found, Options(max_age_days={"bias": 1}, too_old={"bias": "reject"}))
    roles = {entry.role for entry in plan.entries if entry.frame.kind == kind}
    assert roles <= {"rejected", "unused"}
    assert not [m for m in plan.masters if m.kind == kind]


def test_no_rejected_frame_is_stacked_or_reduced():
    found = [*frames("bias", 3, -72, night="20240227"), *frames("flat", 3), frame("s.fits")]
    plan = make_plan(found, Options(max_age_days={"bias": 1}, too_old={"bias": "reject"}))
    assert not [entry for entry in plan.entries if "rejected" in entry.reason and entry.role in ("stacked", "reduced")]


def test_without_darks_the_step_is_skipped_with_a_reason():
    plan = make_plan([*frames("bias", 3, -3), *frames("flat", 3, -2), frame("s.fits")])
    science = find_science(plan, "s.fits")
    assert science.bias.master is not None
    assert science.flat.master is not None
    assert science.dark.master is None
    assert "no dark: step skipped" in entry_of(plan, "s.fits").reason


def test_a_filter_without_flats_does_not_affect_the_others():
    plan = make_plan([*frames("bias", 3, -3), *frames("flat", 3, -2), frame("v.fits"), frame("b.fits", filter="B")])
    assert find_science(plan, "v.fits").flat.master is not None
    assert find_science(plan, "b.fits").flat.master is None
    assert "no flat in filter B: 3 flats in V: step skipped" in entry_of(plan, "b.fits").reason


def test_calibration_frames_alone_are_made_into_masters():
    plan = make_plan([*frames("bias", 3, -3), *frames("dark", 3, -2), *frames("flat", 3, -1)])
    assert [m.kind for m in plan.masters] == ["gain", "bias", "dark", "flat", "bpm"]
    assert plan.science == ()
    assert plan.find_batches(NIGHT) == ()


def test_science_frames_alone_are_reduced_without_masters():
    plan = make_plan([frame("s.fits")])
    assert plan.masters == ()
    assert [match.master for match in find_science(plan, "s.fits").matches] == [None] * 5
    assert entry_of(plan, "s.fits").reason.count("step skipped") == 3


def test_an_empty_folder_has_an_empty_plan():
    plan = make_plan([])
    assert (plan.entries, plan.masters, plan.science, plan.nights) == ((), (), (), ())


def test_darks_without_bias_and_overscan_are_not_scaled():
    plan = make_plan([*frames("dark", 3), frame("s.fits")])
    assert not [master for master in plan.masters if master.kind == "dark"]
    assert find_science(plan, "s.fits").dark.master is None
    with_overscan = make_plan([*frames("dark", 3, has_overscan=True), frame("s.fits", has_overscan=True)])
    assert find_science(with_overscan, "s.fits").dark.master is not None
    with_bias = make_plan([*frames("dark", 3), *frames("bias", 3, -3), frame("s.fits")])
    assert find_science(with_bias, "s.fits").dark.master.bias.master.kind == "bias"


def test_gain_and_noise_are_measured_in_bias_frames_and_flats():
    plan = make_plan([*frames("bias", 3), *frames("flat", 4, 1), frame("s.fits")])
    (measured,) = [m for m in plan.masters if m.kind == "gain"]
    assert {one.kind for one in measured.frames} == {"bias", "flat"}
    assert len(measured.frames) == 7
    assert find_science(plan, "s.fits").measured_gain.master is measured


def test_gain_of_a_neighbouring_night_is_used_by_a_night_without_flats():
    first, later = [*frames("bias", 3), *frames("flat", 4, 1)], {"night": "20240302"}
    second = [*frames("bias", 3, 24, **later), frame("s.fits", hours=25, **later)]
    for shared in ([*first, *second], [*frames("flat", 4, 1), *second]):
        plan = make_plan(shared)
        (measured,) = [m for m in plan.masters if m.kind == "gain"]
        assert {"bias", "flat"} == {one.kind for one in measured.frames}
        assert find_science(plan, "s.fits").measured_gain.master is measured


def test_shortest_darks_serve_the_gain_without_bias_frames():
    darks = [*frames("dark", 3, exposure_time=2.0), *frames("dark", 3, 1, exposure_time=60.0)]
    plan = make_plan([*(replace(one, name=f"{n}{one.name}") for n, one in enumerate(darks)), *frames("flat", 3, 2)])
    (measured,) = [m for m in plan.masters if m.kind == "gain"]
    assert {(one.kind, one.exposure_time) for one in measured.frames if one.kind == "dark"} == {("dark", 2.0)}


def test_a_stack_too_small_to_reject_outliers_is_mentioned():
    assert "in a stack of 2: too few to reject outliers" in make_plan(frames("bias", 2)).entries[0].reason
    assert "too few" not in make_plan(frames("bias", 3)).entries[0].reason


def test_focus_frames_are_unused():
    assert entry_of(make_plan([frame("focus.fits", "other")]), "focus.fits").role == "unused"


def broken(name, night="", mjd=None):
    return Frame(Path("raw") / name, name, problem="the file is empty", night=night, mjd=mjd)


def test_a_broken_file_without_a_date_appears_in_the_night_of_its_folder():
    found = [
        frame("one/a.fits"),
        frame("two/b.fits", night="20240302", mjd=MIDNIGHT + 1),
        frame("two/c.fits", night="20240302", mjd=MIDNIGHT + 1),
        broken("two/x.fits"),
        broken("one/y.fits"),
        broken("three/z.fits"),
    ]
    plan = make_plan(found)
    assert {name: entry_of(plan, name).frame.night for name in ("two/x.fits", "one/y.fits", "three/z.fits")} == {
        "two/x.fits": "20240302",
        "one/y.fits": "20240301",
        "three/z.fits": "20240301",
    }
    assert [entry.frame.name for entry in plan.find_entries("20240302") if entry.role == "rejected"] == ["two/x.fits"]


def test_a_broken_file_with_a_date_stays_in_its_own_night():
    found = [
        frame("a.fits"),
        frame("b.fits", night="20240302"),
        frame("c.fits", night="20240302"),
        broken("x.fits", "20240301", MIDNIGHT),
    ]
    assert entry_of(make_plan(found), "x.fits").frame.night == "20240301"


def test_broken_files_alone_still_make_a_table():
    plan = make_plan([broken("x.fits"), broken("y.fits")])
    (night,) = plan.nights
    assert night
    assert plan.table(night).count("the file is empty") == 2


@MANY
@given(records(), OPTIONS)
def test_the_table_can_be_read_back(found, options):
    plan = make_plan(found, options)
    for night in plan.nights:
        rows = list(csv.reader(io.StringIO(plan.table(night), newline="")))
        entries = [entry for entry in plan.entries if entry.frame.night == night]
        assert tuple(rows[0]) == COLUMNS
        assert len(rows) == len(entries) + 1
        for row, entry in zip(rows[1:], entries, strict=True):
            told = dict(zip(COLUMNS, row, strict=True))
            texts = (entry.frame.name, entry.frame.filter, entry.role, entry.product, entry.reason, entry.group)
            read = tuple(told[key] for key in ("file", "filter", "role", "product", "reason", "group"))
            assert read == tuple(map(make_printable, texts))
            if entry.frame.mjd is None:
                assert told["mjd_mid"] == ""
            else:
                assert float(told["mjd_mid"]) == pytest.approx(entry.frame.mjd, abs=1e-6)
            for step, match in entry.matches.items():
                assert told[step] == (match.master.name if match.master else "")


@MANY
@given(records(), OPTIONS, st.integers(1, 5))
def test_batches_hold_each_science_frame_once_and_never_mix_masters(found, options, size):
    plan = make_plan(found, options, batch_size=size)
    for night in plan.nights:
        batches = plan.find_batches(night)
        members = [science.frame.name for batch in batches for science in batch.members]
        assert Counter(members) == Counter(science.frame.name for science in plan.find_science(night))
        assert len({batch.name for batch in batches}) == len(batches)
        for batch in batches:
            assert 1 <= len(batch.members) <= size
            assert len({science.setup for science in batch.members}) == 1
            for masters in zip(*(science.matches for science in batch.members), strict=True):
                assert all(match.master == masters[0].master for match in masters)
                assert len({match.warning for match in masters}) == 1
            assert [s.frame.mjd for s in batch.members] == sorted(s.frame.mjd for s in batch.members)


def test_masters_of_the_same_name_from_two_libraries_are_not_mixed_in_a_batch():
    here, there = library_master("bias", "bias", -1), library_master("bias", "bias", 9)
    there = replace(there, path=Path("/other/library/bias.fits"))
    plan = make_plan([frame("a.fits"), frame("b.fits", hours=8)], library=[here, there])
    assert find_science(plan, "a.fits").bias.master == here
    assert find_science(plan, "b.fits").bias.master == there
    assert len(plan.find_batches(NIGHT)) == 2


def test_a_batch_has_the_configured_size():
    plan = make_plan([frame(f"{n:03d}.fits", hours=n / 64) for n in range(23)], batch_size=10)
    assert [len(batch.members) for batch in plan.find_batches(NIGHT)] == [10, 10, 3]


def told(plan):
    """Batches as the table tells them, for each night."""
    return {
        night: {row["file"]: row["batch"] for row in csv.DictReader(io.StringIO(plan.table(night))) if row["batch"]}
        for night in plan.nights
    }


def members(plan, night=NIGHT):
    """Names in each batch."""
    return {batch.name[-4:]: [one.frame.name for one in batch.members] for batch in plan.find_batches(night)}


@MANY
@given(records(), OPTIONS, st.integers(1, 5), st.integers(1, 5), st.data())
def test_batches_are_stable(found, options, before, size, data):
    # Planned with some of the frames, then with all of them and perhaps another size, then once more.
    few = data.draw(st.lists(st.sampled_from(found), unique_by=lambda frame: frame.name)) if found else []
    first = told(make_plan(few, options, batch_size=before))
    plan = make_plan(found, options, batch_size=size, previous=first)
    again = make_plan(found, options, batch_size=size, previous=told(plan))
    assert again.batches == plan.batches
    assert again == plan
    for night in plan.nights:
        batches = plan.find_batches(night)
        names = [one.frame.name for batch in batches for one in batch.members]
        assert Counter(names) == Counter(one.frame.name for one in plan.find_science(night))
        for batch in batches:
            assert 1 <= len(batch.members) <= size
            assert len({(one.setup, one.matches[0].master) for one in batch.members}) == 1
            assert [one.frame.mjd for one in batch.members] == sorted(one.frame.mjd for one in batch.members)


def lights(*hours, **more):
    return [frame(f"s{hour:04.1f}.fits", hours=hour, **more) for hour in hours]


@pytest.mark.parametrize("hour", [-1.0, 3.5, 9.5])
def test_a_late_frame_joins_the_last_batch_and_moves_no_other(hour):
    tonight = lights(*range(10))
    before = make_plan(tonight, batch_size=4)
    assert [len(names) for names in members(before).values()] == [4, 4, 2]
    after = members(make_plan([*tonight, *lights(hour)], batch_size=4, previous=told(before)))
    late = lights(hour)[0].name
    assert {n: [name for name in names if name != late] for n, names in after.items()} == members(before)
    assert late in after["0003"]


def test_late_frames_begin_a_new_batch_if_the_last_is_full():
    tonight = lights(*range(8))
    before = make_plan(tonight, batch_size=4)
    after = members(make_plan([*tonight, *lights(-1.0, -2.0)], batch_size=4, previous=told(before)))
    assert after == {**members(before), "0003": [one.name for one in lights(-2.0, -1.0)]}


def test_a_removed_frame_leaves_a_gap():
    tonight = lights(*range(10))
    before = make_plan(tonight, batch_size=4)
    after = members(make_plan([*tonight[:2], *tonight[3:], *lights(20)], batch_size=4, previous=told(before)))
    assert [len(names) for names in after.values()] == [3, 4, 3]


def test_batches_of_two_filters_keep_their_names():
    flats = [*frames("bias", 3, -5), *frames("flat", 3, -3, filter="V"), *frames("flat", 3, -2, filter="R")]
    tonight = [*flats, *lights(0, 1, 2, filter="V"), *lights(3, 4, 5, filter="R")]
    before = make_plan(tonight, batch_size=2)
    assert [len(names) for names in members(before).values()] == [2, 1, 2, 1]
    late = [*lights(6, 7, filter="V"), *lights(8, filter="R")]
    after = members(make_plan([*tonight, *late], batch_size=2, previous=told(before)))
    assert [len(names) for names in after.values()] == [2, 2, 2, 2, 1]
    assert after["0002"][-1] == late[0].name
    assert after["0005"] == [late[1].name]


def test_frames_whose_masters_change_leave_their_batch():
    tonight = [*frames("bias", 3, -3), *lights(*range(4))]
    before = make_plan(tonight, batch_size=4)
    options = Options(split_hours={"bias": 1})
    after = make_plan([*tonight, *frames("bias", 3, 6)], options, batch_size=4, previous=told(before))
    assert [len(names) for names in members(after).values()] == [2, 2]


def test_a_smaller_batch_size_splits_batches_and_a_larger_fills_the_last():
    tonight = lights(*range(8))
    before = make_plan(tonight, batch_size=4)
    assert [len(b.members) for b in make_plan(tonight, batch_size=3, previous=told(before)).batches] == [3, 3, 2]
    larger = make_plan([*tonight, *lights(9, 10)], batch_size=6, previous=told(before))
    assert [len(b.members) for b in larger.batches] == [4, 6]


@pytest.mark.parametrize("name", ["", "x", "20240302_0001", f"{NIGHT}_x", f"{NIGHT}_99999999999", "../../etc"])
def test_invalid_batch_names_are_ignored(name):
    tonight = lights(*range(4))
    previous = {NIGHT: {one.name: name for one in tonight}}
    assert make_plan(tonight, batch_size=2, previous=previous) == make_plan(tonight, batch_size=2)


def test_a_master_is_found_by_night_and_name():
    plan = make_plan(frames("bias", 3))
    master = plan.masters[0]
    assert plan.find_master(NIGHT, master.name) is master
    with pytest.raises(KeyError):
        plan.find_master("20240302", master.name)


def test_the_bad_pixel_mask_is_made_of_the_masters_of_its_night():
    plan = make_plan([*frames("bias", 3, -3), *frames("dark", 3, -2), *frames("flat", 3, -1), frame("s.fits")])
    mask = find_science(plan, "s.fits").bpm.master
    assert mask.kind == "bpm"
    assert {m.kind for m in mask.ingredients} == {"bias", "dark", "flat"}


# --- darks: exposure and temperature ---------------------------------------------------------------------------------


EXPOSURES = (10.0, 10.05, 30.0, 60.0, 100.0, 300.0)
SECONDS = st.sampled_from(EXPOSURES)


SCALED_UP = st.builds(DarkPolicy, largest_factor=st.sampled_from([4.0, None]))


@st.composite
def exposed(draw, policies=POLICIES):
    """Nights with darks of many exposures, most of them in a library, for frames of many exposures."""
    kinds = draw(st.lists(st.sampled_from(["dark", "flat", "science"]), max_size=9))
    tonight = [
        frame(f"{kind}{n:02d}.fits", kind, draw(st.integers(-20, 90)), exposure_time=draw(SECONDS), has_overscan=True)
        for n, kind in enumerate(["science", "flat", "flat", *kinds])
    ]
    setup = Setup.from_frame(frame("s.fits", has_overscan=True))
    library = [
        replace(library_master("dark", f"d{n}", 6 * draw(st.integers(-9, 20))), setup=setup, exposures=(t, t))
        for n, t in enumerate(draw(st.lists(SECONDS, min_size=1, max_size=6)))
    ]
    pause = draw(st.sampled_from([None, 3.0]))
    return tonight, library, Options(split_hours={"dark": pause}, darks=draw(policies))


def exposures_of(subject):
    """Exposures of a frame, of what a master is stacked from, or of a master of the library."""
    if isinstance(subject, Frame):
        return [subject.exposure_time]
    return [one.exposure_time for one in subject.frames] or list(subject.exposures)


def factor(dark, subject):
    """By how much the noise of a dark is multiplied; exposures are equal to 1 percent."""
    ratio = max(exposures_of(subject)) / max(exposures_of(dark))
    return ratio if ratio > 1.011 else 1.0


def of_one_exposure(dark, subject):
    seconds = [*exposures_of(dark), *exposures_of(subject)]
    return max(seconds) <= 1.01 * min(seconds)


def may_serve(dark, subject, policy):
    """What the configuration promises, in its own words."""
    if policy.scaling == "bias_only":
        return False
    if policy.scaling == "exact" or policy.unscalable:
        return of_one_exposure(dark, subject)
    limit = 1 if policy.scaling == "down" else policy.largest_factor
    return limit is None or factor(dark, subject) <= limit


def darks_of(plan, library):
    return [master for master in (*plan.masters, *library) if master.kind == "dark"]


@MANY
@given(exposed())
def test_a_dark_is_used_only_as_the_policy_allows(night):
    tonight, library, options = night
    plan = make_plan(tonight, options, library)
    darks = darks_of(plan, library)
    subjects = [(science.frame, science.dark) for science in plan.science]
    subjects += [(flat, flat.dark) for flat in plan.masters if flat.kind == "flat"]
    for subject, match in subjects:
        allowed = [dark for dark in darks if may_serve(dark, subject, options.darks)]
        assert (match.master is not None) == bool(allowed), match.reason
        assert match.master is None or match.master in allowed
    if options.darks.otherwise == "skip" or options.darks.scaling == "bias_only":
        assert not any(entry.role == "rejected" for entry in plan.entries)
    else:
        for entry in plan.entries:
            served = [dark for dark in darks if may_serve(dark, entry.frame, options.darks)]
            if entry.frame.kind == "science":
                assert (entry.role == "reduced") == bool(served), entry.reason


@MANY
@given(exposed(SCALED_UP))
def test_no_permitted_dark_is_scaled_less_or_a_day_closer(night):
    tonight, library, options = night
    plan = make_plan(tonight, options, library)
    for science in plan.science:
        subject, chosen = science.frame, science.dark.master
        if chosen is None:
            continue

        def order(dark, subject=subject):
            days = abs(dark.mjd - subject.mjd)
            return factor(dark, subject), int(days), not of_one_exposure(dark, subject), days

        allowed = [dark for dark in darks_of(plan, library) if may_serve(dark, subject, options.darks)]
        assert order(chosen) == min(map(order, allowed))


@MANY
@given(exposed())
def test_darks_of_different_exposure_are_stacked_separately_if_they_are_not_scaled(night):
    tonight, library, options = night
    plan = make_plan(tonight, options, library)
    stacks = [exposures_of(master) for master in plan.masters if master.kind == "dark"]
    if options.darks.scaling == "exact" or (options.darks.unscalable and options.darks.scaling != "bias_only"):
        assert all(max(stack) <= 1.01 * min(stack) for stack in stacks)
    assert sorted(t for stack in stacks for t in stack) == sorted(f.exposure_time for f in tonight if f.kind == "dark")


POLICY = DarkPolicy()


def dark_for(exposure, *darks, policy=POLICY, **more):
    """The match of a frame at midnight with darks of (exposure, hours) of the library."""
    library = [
        library_master("dark", f"dark_{n}", hours, exposures=(seconds, seconds))
        for n, (seconds, hours) in enumerate(darks)
    ]
    found = [frame("s.fits", exposure_time=exposure)]
    return find_science(make_plan(found, Options(darks=policy, **more), library), "s.fits").dark


def test_a_dark_of_the_same_exposure_time_is_preferred_within_a_night():
    assert dark_for(60.0, (60.0, 9), (300.0, 0.5)).master.name == "dark_0"
    assert "best of 2 by exposure time and date" in dark_for(60.0, (60.0, 9), (300.0, 0.5)).reason


def test_a_longer_dark_of_the_same_night_is_preferred_to_another_day():
    assert dark_for(60.0, (60.0, 30), (300.0, 9)).master.name == "dark_1"


def test_a_dark_is_scaled_up_only_if_none_is_long_enough():
    assert dark_for(60.0, (50.0, 1), (300.0, 100)).master.name == "dark_1"
    assert dark_for(60.0, (50.0, 1), (40.0, 0.5)).master.name == "dark_0"


def test_a_dark_past_its_age_is_used_only_without_another():
    limit = {"max_age_days": {"dark": 2.0}}
    assert dark_for(60.0, (50.0, 1), (60.0, 100), **limit).master.name == "dark_0"
    assert "older" in dark_for(60.0, (10.0, 1), (60.0, 100), **limit).warning


def test_a_dark_scaled_up_is_mentioned_in_the_plan():
    match = dark_for(160.0, (80.0, 1))
    assert match.reason == "dark: only candidate, 1.0 h away, 80 s scaled up 2 times"


def test_a_frame_without_permitted_dark_is_reduced_without_and_warns():
    match = dark_for(120.0, (30.0, 1))
    assert match.master is None
    assert match.reason == ("no dark for 120 s: the longest (30 s) would be scaled up 4 times (limit 2): step skipped")
    assert match.warning == "dark skipped: no dark for 120 s: the longest (30 s) would be scaled up 4 times (limit 2)"


@pytest.mark.parametrize(
    ("darks", "reason"),
    [
        ([], "no dark: frame rejected"),
        (frames("dark", 2, 1, exposure_time=10.0), "(limit 2): frame rejected"),
        (frames("dark", 2, 1, set_temperature=0.0), "no dark within 2 C of -20 C: frame rejected"),
    ],
)
def test_a_frame_without_permitted_dark_is_rejected_if_so_configured(darks, reason):
    found = [*frames("bias", 3, -3), *darks, frame("s.fits", set_temperature=-20.0)]
    plan = make_plan(found, Options(darks=DarkPolicy(otherwise="reject")))
    assert plan.science == ()
    assert entry_of(plan, "s.fits").role == "rejected"
    assert reason in entry_of(plan, "s.fits").reason


def test_bias_only_subtracts_no_dark_and_still_finds_hot_pixels():
    found = [*frames("bias", 3, -3), *frames("dark", 3, -2), frame("s.fits")]
    science = find_science(make_plan(found, Options(darks=DarkPolicy("bias_only", otherwise="reject"))), "s.fits")
    assert science.dark.master is None
    assert science.dark.reason == "dark.scaling is bias_only: step skipped"
    assert "dark" in {m.kind for m in science.bpm.master.ingredients}


def test_the_longest_flat_determines_the_dark():
    flats = [frame(f"f{t}.fits", "flat", t / 10, exposure_time=float(t), has_overscan=True) for t in (2, 8, 30)]
    darks = frames("dark", 3, -2, exposure_time=10.0, has_overscan=True)
    exact = Options(darks=DarkPolicy("down"))
    (flat,) = [m for m in make_plan([*flats, *darks], exact).masters if m.kind == "flat"]
    assert flat.dark.master is None
    assert "no dark of 30 s or longer" in flat.dark.reason
    (flat,) = [m for m in make_plan([*flats[:2], *darks], exact).masters if m.kind == "flat"]
    assert flat.dark.master is not None


def test_the_name_of_a_dark_has_its_exposure_time_if_it_matters():
    darks = [*frames("dark", 3, 1, exposure_time=0.5), *frames("dark", 3, 2, exposure_time=60.0, set_temperature=-20.0)]
    found = [*COLD["bias"], *darks]
    named = {m.name for m in make_plan(found, Options(darks=DarkPolicy("exact"))).masters if m.kind == "dark"}
    assert named == {"dark_mine_12x10_1x1_0.5s", "dark_mine_12x10_1x1_-20C_60s"}
    assert not [m for m in make_plan(found).masters if m.kind == "dark" and m.name.endswith("s")]


def warm(*pairs, wanted=(-20.0, -20.0), tolerance=2.0):
    """The dark of a frame, among darks of given set and measured temperatures."""
    darks = [one for n, (s, t) in enumerate(pairs) for one in frames("dark", 2, n, set_temperature=s, temperature=t)]
    light = frame("s.fits", set_temperature=wanted[0], temperature=wanted[1])
    plan = make_plan([*COLD["bias"], *darks, light], Options(temperature_tolerance=tolerance))
    return plan, find_science(plan, "s.fits").dark


def test_a_dark_taken_during_cooling_is_not_used_for_cold_frames():
    plan, match = warm((-20.0, -8.0), (-20.0, -19.5))
    assert {one.temperature for one in match.master.frames} == {-19.5}
    assert len([m for m in plan.masters if m.kind == "dark"]) == 2
    told = [e.reason for e in plan.entries if e.frame.temperature == -8.0]
    assert all("CCD at -8.0 C, set to -20.0 C" in reason for reason in told)
    assert warm((-20.0, -8.0))[1].master is None


def test_a_frame_taken_during_cooling_is_flagged():
    plan, match = warm((-20.0, -19.5), wanted=(-20.0, -8.0))
    assert match.master is None
    assert "no dark within 2 C of -8 C" in match.reason
    assert "CCD more than 2 C off its set temperature" in match.warning
    assert "CCD at -8.0 C, set to -20.0 C" in entry_of(plan, "s.fits").reason


def test_a_ccd_off_its_set_point_gets_darks_of_the_same_temperature():
    plan, match = warm((-30.0, -24.6), (-30.0, -24.2), wanted=(-30.0, -24.9))
    assert match.master is not None
    assert match.warning == "off set temperature: CCD more than 2 C off its set temperature"
    (dark,) = [m for m in plan.masters if m.kind == "dark"]
    assert dark.bias.warning == "off set temperature: dark frames: CCD more than 2 C off its set temperature"
    assert dark.name.endswith("_-25C")


def test_a_ccd_without_a_set_point_is_matched_by_measured_temperature():
    darks = (None, 4.0), (None, 12.0)
    assert {one.temperature for one in warm(*darks, wanted=(None, 11.0))[1].master.frames} == {12.0}
    assert warm(*darks, wanted=(None, 8.0))[1].master is None


def test_a_dark_of_known_temperature_is_preferred_to_one_of_unknown():
    assert warm((-20.0, None), (None, None))[1].master.set_temperature == -20
    assert warm((None, None), (-20.0, None))[1].master.set_temperature == -20
    only = warm((None, None))[1]
    assert only.warning == "dark of unknown temperature: temperature of the dark or of the frames unknown"
    assert only.reason.endswith("temperature of the dark or of the frames unknown")
    assert warm((None, None), wanted=(None, None))[1].warning == ""


# --- image area and overscan -----------------------------------------------------------------------------------------


OTHER_READOUT = [{"area": "[3:12,1:10]"}, {"has_overscan": True}]


@pytest.mark.parametrize("other", OTHER_READOUT)
def test_frames_of_another_image_area_or_overscan_are_stacked_separately(other):
    full = {"area": "[1:12,1:10]"}
    odd = frame("odd.fits", "bias", 1, **full | other)
    plan = make_plan([*frames("bias", 2, **full), odd])
    stacked = {
        tuple(one.name for one in master.frames): master.name for master in plan.masters if master.kind == "bias"
    }
    assert set(map(len, stacked)) == {1, 2}
    assert ("odd.fits",) in stacked
    assert len(set(stacked.values())) == 2


@pytest.mark.parametrize("other", OTHER_READOUT)
@pytest.mark.parametrize("kind", STEPS)
def test_a_master_of_another_image_area_or_overscan_is_never_used(kind, other):
    full = {"area": "[1:12,1:10]"}
    near, far = frames(kind, 3, 1, **full | other), frames(kind, 3, 9, **full)
    # Frames without overscan need a bias; it is taken far from all of them.
    biases = [*frames("bias", 3, -11, **full), *frames("bias", 3, -10, **full | other)] if kind != "bias" else []
    plan = make_plan([*near, *far, *biases, frame("s.fits", **full), frame("t.fits", **full | other)])
    assert set(getattr(find_science(plan, "s.fits"), kind).master.frames) == set(far)
    assert set(getattr(find_science(plan, "t.fits"), kind).master.frames) == set(near)
    alone = make_plan([*near, *biases, frame("s.fits", **full)])
    assert getattr(find_science(alone, "s.fits"), kind).master is None


@pytest.mark.parametrize("other", OTHER_READOUT)
def test_a_library_master_of_another_image_area_or_overscan_is_never_used(other):
    mine = frame("s.fits", area="[1:12,1:10]")
    foreign = replace(library_master("bias", "b", 0), setup=Setup.from_frame(replace(mine, **other)))
    fitting = replace(library_master("bias", "c", 9), setup=Setup.from_frame(mine))
    assert find_science(make_plan([mine], library=[foreign]), "s.fits").bias.master is None
    assert find_science(make_plan([mine], library=[foreign, fitting]), "s.fits").bias.master == fitting


@pytest.mark.parametrize("hours", [-6.0, 6.0])
def test_at_equal_age_the_nights_own_master_is_preferred(hours):
    # By night and by name the library's comes first.
    tonight = [frame(f"b{n}.fits", "bias", hours) for n in range(3)]
    plan = make_plan([*tonight, frame("s.fits")], library=[library_master("bias", "a", hours)])
    match = find_science(plan, "s.fits").bias
    assert match.master.path is None
    assert match.gap_hours == 6


# --- masks of the observer -------------------------------------------------------------------------------------------


MINE = UserMask(Path("/masks/mine.fits"), (10, 12))
BINNED = UserMask(Path("/masks/binned.fits"), (5, 6))


def test_user_masks_of_the_right_size_join_the_mask_of_the_night():
    plan = make_plan([*frames("bias", 3, -3), frame("s.fits")], user_masks=[BINNED, MINE])
    mask = find_science(plan, "s.fits").bpm.master
    assert mask.user_masks == (MINE.path,)
    assert {m.kind for m in mask.ingredients} == {"bias"}
    assert plan == make_plan([frame("s.fits"), *frames("bias", 3, -3)], user_masks=[BINNED, MINE])


def test_a_user_mask_has_the_size_of_the_light_sensitive_area():
    area = {"area": "[1:6,3:7]"}
    plan = make_plan([*frames("bias", 3, -3, **area), frame("s.fits", **area)], user_masks=[MINE, BINNED])
    assert find_science(plan, "s.fits").bpm.master.user_masks == (BINNED.path,)


def test_a_night_without_masters_combines_user_masks_with_the_closest_mask():
    nights = [*frames("bias", 3, -3), frame("s.fits"), frame("t.fits", hours=24, night="20240302")]
    plan = make_plan(nights, user_masks=[MINE])
    mask = find_science(plan, "t.fits").bpm.master
    assert mask.night == "20240302"
    assert mask.user_masks == (MINE.path,)
    assert mask.ingredients == (find_science(plan, "s.fits").bpm.master,)
    alone = find_science(make_plan([frame("s.fits")], user_masks=[MINE]), "s.fits").bpm.master
    assert (alone.user_masks, alone.ingredients) == ((MINE.path,), ())


def test_a_library_mask_joins_the_user_mask_of_a_night_without_masters():
    old = [library_master("bpm", "old", -20), library_master("bpm", "older", -40)]
    without_given = find_science(make_plan([frame("s.fits")], library=old), "s.fits").bpm.master
    assert without_given == old[0]
    mask = find_science(make_plan([frame("s.fits")], library=old, user_masks=[MINE]), "s.fits").bpm.master
    assert (mask.user_masks, mask.ingredients) == ((MINE.path,), (old[0],))
    unfit = find_science(make_plan([frame("s.fits")], library=old, user_masks=[BINNED]), "s.fits").bpm.master
    assert unfit == old[0]


def test_a_closer_library_mask_does_not_displace_the_one_with_user_pixels():
    tonight, old = [*frames("bias", 3, -3), frame("s.fits")], [library_master("bpm", "old", 0.1)]
    assert find_science(make_plan(tonight, library=old), "s.fits").bpm.master == old[0]
    assert find_science(make_plan(tonight, library=old, user_masks=[MINE]), "s.fits").bpm.master.user_masks == (
        MINE.path,
    )


def test_if_no_user_mask_fits_the_night_is_reduced_with_a_warning():
    plan = make_plan([*frames("bias", 3, -3), frame("s.fits")], user_masks=[BINNED])
    match = find_science(plan, "s.fits").bpm
    told = "bad pixel mask not used: no bad_pixels mask has 12 x 10 pixels (binned.fits has 6 x 5)"
    assert match.warning == told
    assert match.master.user_masks == ()
    assert entry_of(plan, "s.fits").role == "reduced"
    assert told in entry_of(plan, "s.fits").reason
    assert "given" not in entry_of(make_plan([frame("s.fits")], user_masks=[MINE]), "s.fits").reason


@MANY
@given(records(), st.lists(st.sampled_from([MINE, BINNED]), unique=True))
def test_user_masks_change_no_other_choice(found, masks):
    plain, plan = make_plan(found), make_plan(found, user_masks=masks)
    for one, other in zip(plain.science, plan.science, strict=True):
        assert (one.frame, one.bias, one.dark, one.flat, one.measured_gain) == (
            other.frame, other.bias, other.dark, other.flat, other.measured_gain
        )  # fmt: skip
        assert (MINE in masks) == (other.bpm.master is not None and other.bpm.master.user_masks == (MINE.path,))
        assert bool(other.bpm.warning) == (masks == [BINNED])
    made = {(master.night, master.name) for master in plan.masters}
    assert all((m.night, m.name) in made for mask in plan.masters for m in mask.ingredients)


# --- light of flats --------------------------------------------------------------------------------------------------


def test_flats_of_different_sources_are_stacked_separately():
    lights = ("", "dome", "twilight")
    found = [frame(f"{n}{light}.fits", "flat", n / 64, flat_source=light) for n in range(3) for light in lights]
    masters = make_plan([*found, *frames("bias", 3)]).find_masters(NIGHT)
    assert {m.flat_source: (len(m.frames), m.name.rpartition("_V")[2]) for m in masters if m.kind == "flat"} == {
        "": (3, ""),
        "dome": (3, "_dome"),
        "twilight": (3, "_twilight"),
    }


@pytest.mark.parametrize(
    ("prefer", "hours", "flat_source"),
    [
        ("twilight", {"dome": -8, "twilight": 5}, "twilight"),
        ("twilight", {"dome": 1, "twilight": 20}, "twilight"),
        ("twilight", {"dome": 1, "twilight": 26}, "dome"),  # more than a day further away
        ("twilight", {"dome": 1}, "dome"),
        ("twilight", {"dome": 2, "": 1}, ""),
        ("dome", {"dome": -8, "twilight": 5}, "dome"),
        ("dome", {"twilight": 5, "": 8}, "twilight"),
        ("nearest", {"dome": 4, "twilight": 5}, "dome"),
        ("nearest", {"dome": 5, "twilight": 4}, "twilight"),
    ],
)
def test_a_frame_gets_the_flat_of_the_preferred_source_or_the_nearest(prefer, hours, flat_source):
    library = [library_master("flat", f"f{light}", gap, filter="V", flat_source=light) for light, gap in hours.items()]
    match = find_science(make_plan([frame("s.fits")], Options(prefer_source=prefer), library), "s.fits").flat
    assert match.master.flat_source == flat_source
    assert match.gap_hours == pytest.approx(abs(hours[flat_source]))
    assert ("preferred" in match.reason) == (flat_source == prefer and len(hours) > 1)


def test_the_nearest_flat_of_the_preferred_source_is_chosen():
    library = [library_master("flat", f"f{h}", h, filter="V", flat_source="twilight") for h in (-9, 3, 11)]
    library.append(library_master("flat", "dome", 1, filter="V", flat_source="dome"))
    match = find_science(make_plan([frame("s.fits")], library=library), "s.fits").flat
    assert match.master.name == "f3"
    assert match.reason == "flat: twilight preferred, nearest of 3 in time, 3.0 h away"


def test_a_preferred_flat_that_is_too_old_does_not_displace_a_younger_one():
    library = [
        library_master("flat", "sky", -20, filter="V", flat_source="twilight"),
        library_master("flat", "dome", -2, filter="V", flat_source="dome"),
    ]
    options = Options(max_age_days={"flat": 0.5}, too_old={"flat": "skip"})
    assert find_science(make_plan([frame("s.fits")], options, library), "s.fits").flat.master.name == "dome"


def test_a_user_mask_has_the_size_of_the_mosaic_of_several_amplifiers():
    area = {"area": "[1:6,1:10] is [1:6,1:10], [1:6,1:10] is [12:7,1:10]", "amplifiers": 2}
    plan = make_plan([*frames("bias", 3, -3, **area), frame("s.fits", **area)], user_masks=[MINE, BINNED])
    assert find_science(plan, "s.fits").bpm.master.user_masks == (MINE.path,)


def test_planning_needs_no_large_package():
    """Every call of Snakemake reads the rules, and plans."""
    words = (
        "import sys; from nightcal.planning import fingerprint, missing, plan, summary_text; import nightcal.config;"
    )
    words += "print({'numpy', 'astropy', 'scipy', 'numba'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "set()", done.stderr


def test_reading_the_rules_needs_no_astropy():
    """It alone would take half a second of every call of Snakemake, and of every job on a cluster."""
    rules = (path.read_text() for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    found = re.findall(r"^from nightcal[^(\n]+(?:\([^)]*\))?$", "\n".join(rules), re.MULTILINE)
    assert len(found) > 10
    words = "\n".join([*found, "import sys; print({'astropy', 'scipy', 'numba'} & set(sys.modules))"])
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.strip() == "set()", done.stderr
