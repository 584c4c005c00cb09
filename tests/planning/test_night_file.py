"""The observer's rules: whom they concern, what they say, and what is told about it."""

import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_cameras
from nightcal.errors import ConfigurationError
from nightcal.io.schema import read_yaml
from nightcal.planning.header_cache import read_cached_frames
from nightcal.planning.master_rules import find_by_hand
from nightcal.planning.night_file import find_overrides, read_rules
from nightcal.planning.night_files import NightFiles
from nightcal.planning.night_template import make_template, write_template
from nightcal.planning.overrides import dump_overrides, parse_overrides
from nightcal.planning.plan import make_plan
from nightcal.planning.records import Setup
from nightcal.planning.summary import summarise_plan
from nightcal.planning.verdict import find_verdict
from planned_frames import MIDNIGHT, NIGHT, frame

SCHEMAS = REPOSITORY / "workflow" / "schemas"
SCHEMA = read_yaml(SCHEMAS / "night.schema.yaml")
CAMERAS = load_cameras(REPOSITORY / "config" / "cameras")


@pytest.fixture
def say(tmp_path):
    """Function that reads rules from the text of a file."""

    def write(text):
        path = tmp_path / "night.yaml"
        path.write_text(text, encoding="utf-8")
        return read_rules(path, SCHEMA)

    write.path = tmp_path / "night.yaml"
    return write


FRAMES = [
    frame("m13_1.fits", hours=-2, target="M 13"),
    frame("m13_2.fits", hours=1, target="M 13"),
    frame("evening/flat_1.fits", "flat", hours=-5),
    frame("evening/flat_2.fits", "flat", hours=-4, filter="R"),
    frame("morning/calib/flat_1.fits", "flat", hours=5, exposure_time=3.0),
    frame("morning/bias[1].fits", "bias", hours=6),
    frame("lost.fits", mjd=None, night="", kind="", problem="the start time is missing"),
]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("file: m13_1.fits", "m13_1"),
        ("file: m13_*.fits", "m13_1 m13_2"),
        ("file: flat_1.fits", "evening/flat_1 morning/calib/flat_1"),
        ("file: evening/flat_1.fits", "evening/flat_1"),
        ("file: ./m13_1.fits", "m13_1"),
        ("file: ./flat_1.fits", ""),
        ("file: 'bias[1].fits'", "morning/bias[1]"),
        ("file: [lost.fits, m13_2.fits]", "m13_2 lost"),
        ("file: M13_1.fits", ""),
        ("folder: evening", "evening/flat_1 evening/flat_2"),
        ("folder: morning", "morning/calib/flat_1 morning/bias[1]"),
        ("folder: cal*", "morning/calib/flat_1"),
        ("folder: morning/calib", "morning/calib/flat_1"),
        ("{folder: morning, file: flat*}", "morning/calib/flat_1"),
        ("from: 2024-03-02T00:30", "m13_2 morning/calib/flat_1 morning/bias[1]"),
        ("to: 2024-03-01T19:30:00", "evening/flat_1"),
        ("{from: 2024-03-01 21:00:00, to: '2024-03-02T02:00:00'}", "m13_1 m13_2"),
        ("{from: 2024-03-02T01:30:00+01:00, to: 2024-03-02T02:00:00Z}", "m13_2"),
        ("{from: 2024-03-02, to: 2024-03-03}", "m13_2 morning/calib/flat_1 morning/bias[1]"),
        ("where: {type: flat}", "evening/flat_1 evening/flat_2 morning/calib/flat_1"),
        ("where: {type: flat, filter: [R, I]}", "evening/flat_2"),
        ("where: {object: M*}", "m13_1 m13_2"),
        ("where: {exposure: 3}", "morning/calib/flat_1"),
    ],
)
def test_a_rule_finds_its_frames(where, found, say):
    (rule,) = say(f"- {{{where.strip('{}') if where.startswith('{') else where}, note: x}}\n")
    overrides, unmatched = find_overrides([rule], FRAMES)
    assert " ".join(name.removesuffix(".fits") for name in overrides) == found
    assert unmatched == ([] if found else [rule])


def test_of_two_rules_that_say_the_same_word_the_later_one_counts(say):
    rules = say(
        "- {folder: evening, ignore: clouds, filter: B, use: {bias: a, dark: d}}\n"
        "- {file: flat_1.fits, ignore: false, use: {bias: b}, note: a gap}\n"
    )
    found, _ = find_overrides(rules, FRAMES)
    assert found["evening/flat_2.fits"].ignored == "night.yaml: ignored: clouds"
    one = found["evening/flat_1.fits"]
    assert not one.ignored
    assert one.facts.filter == "B"
    assert one.use == (("bias", "b"), ("dark", "d"))
    assert one.remark == "night.yaml: filter B (was V), bias b, dark d, note: a gap"
    assert one.text == "night.yaml: filter B, bias b, dark d, note: a gap"


def test_what_the_header_says_already_changes_nothing(say):
    words = "type: science, filter: V, exposure: 30.0, time: 2024-03-01T21:59:45, time_shift: 0, ignore: false"
    assert find_overrides(say(f"- {{file: m13_1.fits, {words}}}\n"), FRAMES) == ({}, [])
    found, _ = find_overrides(say("- {file: m13_1.fits, gain: 1.5}\n"), FRAMES)
    assert found["m13_1.fits"].facts.gain == 1.5  # wins over a measured gain


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{file: a.fits, ignore: 3}", "rule 1: ignore is 3; expected true, or the reason."),
        ("{file: a.fits, typ: flat}", "rule 1: typ is not a known key; did you mean type?"),
        ("{file: a.fits, type: twilight}", "rule 1: type is 'twilight'; expected bias, dark, flat or science."),
        ("{file: a.fits, type: light}", "rule 1: type is 'light'; it is now called science."),
        ("{file: a.fits, exposure: -1}", "rule 1: exposure is -1; expected seconds between 0 and 86400."),
        ("{file: a.fits, exposure: .nan}", "rule 1: exposure is nan; expected seconds between 0 and 86400."),
        ("{file: a.fits, gain: 0}", "rule 1: gain is 0; expected e-/ADU above 0 and up to 100."),
        (
            "{file: a.fits, use: {fringe: x}}",
            "rule 1: use.fringe is not a known key; expected one of bias, dark, flat.",
        ),
        (
            "{file: 12, note: x}",
            "rule 1: file is 12; expected a name, a pattern such as flat_*.fits, or a list of them.",
        ),
        ("{from: 22:30, note: x}", "rule 1: from is '22:30'; expected a time in UTC, as in 2024-03-01T22:30:00."),
        ("{to: tomorrow, note: x}", "rule 1: to is 'tomorrow'; expected a time in UTC, as in 2024-03-01T22:30:00."),
        ("{file: a.fits}", "rule 1 says nothing of its files; expected at least one of exposure, filter, gain,"),
        ("{ignore: true}", "rule 1 names no files; expected at least one of file, folder, from, to, where."),
        ("a.fits", "rule 1 is 'a.fits'; expected a rule, such as {file: d2051.fits, ignore: clouds}."),
    ],
)
def test_a_mistake_is_told_with_rule_key_value_and_what_was_expected(rule, message, say, tmp_path):
    with pytest.raises(ConfigurationError, match=re.escape(f"{tmp_path / 'night.yaml'}: {message}")):
        say(f"- {rule}\n")


@pytest.mark.parametrize(
    "text", ["file: a.fits\nignore: true\n", "- {file: a.fits, ignore: true", "- {note: a, note: b}"]
)
def test_what_is_no_list_of_rules_is_told(text, say):
    with pytest.raises(ConfigurationError, match=r"night\.yaml.*(not a list|not valid YAML)"):
        say(text)


@pytest.mark.parametrize("text", ["", "# - {file: a.fits, ignore: true}\n", "[]"])
def test_a_file_without_rules_says_nothing(text, say):
    assert say(text) == ()


def ruled(say, text, frames=FRAMES):
    found, _ = find_overrides(say(text), frames)
    return [replace(one, override=found.get(one.name)) for one in frames]


def row(plan, name):
    return next(entry for entry in plan.entries if entry.frame.name == name)


def test_an_ignored_frame_is_unused_and_not_rejected(say):
    plan = make_plan(ruled(say, "- {file: [m13_1.fits, lost.fits], ignore: dome closed}\n"))
    for name in ("m13_1.fits", "lost.fits"):
        assert (row(plan, name).role, row(plan, name).reason) == ("unused", "night.yaml: ignored: dome closed")
    assert [science.frame.name for science in plan.science] == ["m13_2.fits"]
    summary = summarise_plan(plan, NIGHT)
    assert (summary.science, summary.rejected_science) == (1, 0)


MASTERS = [frame(f"{kind}_{n}.fits", kind, hours=n) for kind in ("bias", "flat") for n in range(6)]


def test_a_group_splits_a_set_in_two_masters(say):
    plan = make_plan(ruled(say, "- {file: 'flat_[345].fits', group: after the storm}\n", [*MASTERS, *FRAMES[:2]]))
    names = {master.name: len(master.frames) for master in plan.masters if master.kind == "flat"}
    assert names == {"flat_mine_12x10_1x1_V": 3, "flat_mine_12x10_1x1_V_after-the-storm": 3}


def test_a_master_is_used_by_name_or_not_at_all(say):
    frames = [*MASTERS, *FRAMES[:2]]
    rules = "- {file: 'flat_[345].fits', group: late}\n- {file: m13_1.fits, use: {flat: flat_mine_12x10_1x1_V_late}}\n"
    plan = make_plan(ruled(say, rules + "- {file: m13_2.fits, use: {bias: null}}\n", frames))
    first, second = plan.science
    assert first.flat.master.name == "flat_mine_12x10_1x1_V_late"
    assert first.flat.reason.startswith("flat: named in night.yaml")
    assert second.flat.master.name == "flat_mine_12x10_1x1_V"
    assert first.bias.master is not None
    assert second.bias.master is None
    assert "bias: none, as night.yaml says" in row(plan, "m13_2.fits").reason
    assert "bias: none, as night.yaml says" in str(summarise_plan(plan, NIGHT).undone)


def test_flats_that_shall_use_different_biases_are_not_stacked_together(say):
    rules = "- {file: 'bias_[345].fits', group: late}\n- {file: flat_0.fits, use: {bias: bias_mine_12x10_1x1}}\n"
    flats = [m for m in make_plan(ruled(say, rules, MASTERS)).masters if m.kind == "flat"]
    assert sorted((m.bias.master.name, len(m.frames)) for m in flats) == [
        ("bias_mine_12x10_1x1", 1),
        ("bias_mine_12x10_1x1_late", 5),
    ]


def test_a_master_that_does_not_exist_is_told_with_those_that_do(say):
    message = "night.yaml: use.flat is 'flat_X' (for m13_1.fits); expected one of 20240301/flat_mine_12x10_1x1_V."
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        make_plan(ruled(say, "- {file: m13_1.fits, use: {flat: flat_X}}\n", [*MASTERS, *FRAMES[:2]]))


def test_a_master_of_another_size_is_told(say):
    wide = [replace(one, name=f"w{one.name}", shape=(10, 24), filter="W") for one in MASTERS]
    with pytest.raises(ConfigurationError, match="which has 24 x 10 pixels; expected 12 x 10"):
        make_plan(
            ruled(say, "- {file: m13_1.fits, use: {flat: flat_mine_24x10_1x1_W}}\n", [*MASTERS, *wide, *FRAMES[:2]])
        )


def test_a_row_of_the_plan_tells_the_rule(say):
    plan = make_plan(ruled(say, "- {file: m13_1.fits, use: {flat: null}, note: odd; very odd}\n", FRAMES[:2]))
    reason = row(plan, "m13_1.fits").reason
    assert find_verdict(reason) == "night.yaml: no flat, note: odd; very odd"
    assert find_verdict(row(plan, "m13_2.fits").reason) == ""


def write(path, **changes):
    cards = {"IMAGETYP": "Light Frame", "EXPTIME": 10.0, "FILTER": "V", "DATE-OBS": "2024-03-01T23:00:00"}
    cards |= {"SITELONG": 0.0, "EGAIN": 1.5, "RDNOISE": 5.0} | {k.replace("_", "-"): v for k, v in changes.items()}
    header = fits.Header({key: value for key, value in cards.items() if value is not None})
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(np.full((8, 9), 1000, np.uint16), header).writeto(path)


@pytest.fixture
def read(tmp_path):
    """Function that reads a night with rules in its results."""

    def with_rules(text, night=NIGHT):
        path = tmp_path / "results" / night / "night.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        files = NightFiles("auto", tmp_path / "results", SCHEMAS, "configuration: overrides")
        frames = read_cached_frames(tmp_path / "raw", CAMERAS, tmp_path / "results", files)
        again = read_cached_frames(tmp_path / "raw", CAMERAS, tmp_path / "results", files, trusted=True, save=False)
        assert again == frames
        return {frame.name: frame for frame in frames}, files.remarks

    return with_rules


def test_a_rule_replaces_what_a_header_says(tmp_path, read):
    write(tmp_path / "raw" / "a.fits", SET_TEMP=-5.0)
    words = (
        "type: flat, filter: R, exposure: 20, gain: 2.5, read_noise: 7, temperature: -10, mode: slow, time_shift: 3600"
    )
    found, remarks = read(f"- {{file: a.fits, {words}}}\n")
    one = found["a.fits"]
    assert (one.kind, one.filter, one.exposure_time, one.gain, one.read_noise) == ("flat", "R", 20, 2.5, 7)
    assert (one.set_temperature, one.temperature, Setup.from_frame(one).mode) == (-10, -10, "slow")
    assert one.mjd == pytest.approx(MIDNIGHT + 10 / 86400, abs=1e-8)
    assert one.override.remark == (
        "night.yaml: type flat (was science), filter R (was V), exposure 20 s (was 10), time shifted by 3600 s, "
        "gain 2.5 e-/ADU (was 1.5), read noise 7 e- (was 5), temperature -10 C (was -5), mode slow"
    )
    assert remarks == {NIGHT: []}


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ({"IMAGETYP": None}, "type: science"),
        ({"EXPTIME": None}, "exposure: 10"),
        ({"EXPTIME": -10.0}, "exposure: 10"),
        ({"DATE_OBS": None}, "time: 2024-03-01T23:00:00"),
        ({"EGAIN": -5.0}, "gain: 1.5"),
    ],
)
def test_a_rule_saves_a_frame_whose_header_lacks_something(lost, words, tmp_path, read):
    write(tmp_path / "raw" / "a.fits", **lost)
    write(tmp_path / "raw" / "b.fits")
    found, _ = read(f"- {{file: a.fits, {words}}}\n")
    assert found["a.fits"].problem == ""
    assert found["a.fits"].night == NIGHT
    assert found["a.fits"].mjd == found["b.fits"].mjd


def test_of_two_copies_the_one_that_is_not_ignored_serves(tmp_path, read):
    write(tmp_path / "raw" / "a" / "x.fits")
    write(tmp_path / "raw" / "b" / "x.fits")
    assert "copy" in read("")[0]["b/x.fits"].problem
    found, _ = read("- {file: a/x.fits, ignore: true}\n")
    assert not found["b/x.fits"].problem


def test_rules_of_a_night_concern_its_frames_only(tmp_path, read):
    write(tmp_path / "raw" / "a.fits")
    write(tmp_path / "raw" / "b.fits", DATE_OBS="2024-03-02T23:00:00")
    found, remarks = read("- {file: '*.fits', filter: R}\n- {file: b.fits, filter: I}\n")
    assert {name: one.filter for name, one in found.items()} == {"a.fits": "R", "b.fits": "V"}
    (remark,) = remarks[NIGHT]
    assert remark == f"{tmp_path}/results/{NIGHT}/night.yaml: rule 2 matches no file."


def test_a_slip_of_the_pen_is_found_but_not_in_the_number(tmp_path, read):
    for number in (11, 12):
        write(tmp_path / "raw" / f"science_{number}.fits")
    _, remarks = read("- {file: sience_12.fits, filter: R}\n- {file: science_13.fits, filter: R}\n")
    assert [remark.partition(": ")[2] for remark in remarks[NIGHT]] == [
        "rule 1 matches no file; did you mean science_12.fits?",
        "rule 2 matches no file.",
    ]


def test_rules_of_a_named_file_concern_all_nights(tmp_path):
    write(tmp_path / "raw" / "a.fits")
    write(tmp_path / "raw" / "b.fits", DATE_OBS="2024-03-02T23:00:00")
    (tmp_path / "mine.yaml").write_text("- {where: {type: science}, filter: R}\n")
    files = NightFiles(str(tmp_path / "mine.yaml"), tmp_path / "results", SCHEMAS, "configuration: overrides")
    frames = read_cached_frames(tmp_path / "raw", CAMERAS, tmp_path / "results", files)
    assert [frame.filter for frame in frames] == ["R", "R"]
    assert frames[0].override.text == "mine.yaml: filter R"


@pytest.mark.parametrize("chosen", ["nowhere.yaml", "pyproject.toml"])
def test_a_file_that_does_not_exist_is_told(chosen, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(ConfigurationError, match=f"overrides is '{chosen}'; expected auto, null, or the path"):
        NightFiles(chosen, tmp_path, SCHEMAS, "configuration: overrides")


def test_the_argument_of_a_job_says_the_same(say):
    found, _ = find_overrides(
        say("- {folder: evening, filter: B, exposure: 2}\n- {file: m13_1.fits, note: x}\n"), FRAMES
    )
    said = {frame.name: found.get(frame.name) for frame in FRAMES}
    back = parse_overrides(yaml.safe_load(dump_overrides(said)))
    assert {name: (one.facts, one.text) for name, one in back.items()} == {
        name: (one.facts, one.text) for name, one in found.items()
    }
    evening = {name: one for name, one in said.items() if name.startswith("evening/flat_2")}
    evening |= {"other": evening["evening/flat_2.fits"]}
    assert list(parse_overrides(yaml.safe_load(dump_overrides(evening)))) == ["*"]
    assert dump_overrides(dict.fromkeys("ab")) == ""


def test_an_unknown_word_in_the_argument_of_a_job_is_told():
    with pytest.raises(ConfigurationError, match="--overrides has 'kind'; expected one of type, filter"):
        parse_overrides({"a.fits": {"kind": "flat"}})


ODD = [
    "a b.fits",
    "x: y.fits",
    "#1.fits",
    "quo'te\".fits",
    "*.fits",
    "[1].fits",
    "\u03b1.fits",
    "\udc80.fits",
    "true.fits",
]


def test_every_file_is_once_in_the_template_as_a_rule_that_changes_nothing(tmp_path):
    odd = [
        frame(name, filter=text)
        for name, text in zip(ODD, ["no", "1", "a: b", "#", "'", "-", "\u03b1", "{", ""], strict=True)
    ]
    frames = [
        *FRAMES,
        *odd,
        frame("bias_1.fits", "bias"),
        frame("evening/bias_1.fits", "bias"),
        frame("o.fits", "other"),
    ]
    text = make_template(NIGHT, make_plan(frames).entries)
    assert yaml.safe_load(text) is None
    path = tmp_path / "night.yaml"
    path.write_text(re.sub("^# - ", "- ", text, flags=re.MULTILINE), encoding="utf-8")
    rules = read_rules(path, SCHEMA)
    assert len(rules) == len(frames)
    for rule in rules:
        overrides, unmatched = find_overrides([rule], frames)
        assert unmatched == []
        assert [one for one in overrides.values() if not one.ignored] == []
        assert list(overrides) == (["lost.fits"] if rule.files == ("lost.fits",) else [])


def test_the_observers_file_is_never_overwritten(tmp_path):
    write_template(tmp_path, NIGHT, make_plan(FRAMES).entries)
    (written,) = tmp_path.iterdir()
    assert written.name == "night.yaml.template"
    written.unlink()
    (tmp_path / "night.yaml").write_text("mine")
    write_template(tmp_path, NIGHT, make_plan(FRAMES).entries)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_rule_for_a_colour_mosaic_concerns_all_its_colours(tmp_path):
    write(tmp_path / "raw" / "a.fits", BAYERPAT="RGGB", FILTER="L", IMAGETYP="odd")
    (tmp_path / "mine.yaml").write_text("- {file: a.fits, type: science, filter: C, note: x}\n")
    cameras = [replace(CAMERAS[-1], bayer="split")]
    files = NightFiles(str(tmp_path / "mine.yaml"), tmp_path / "results", SCHEMAS, "configuration: overrides")
    for how in ({}, {}, {"trusted": True}):
        frames = read_cached_frames(tmp_path / "raw", cameras, tmp_path / "results", files, **how)
        assert [frame.filter for frame in frames] == ["C R", "C G1", "C G2", "C B"]
        assert {frame.override.text for frame in frames} == {"mine.yaml: type science, filter C, note: x"}
    text = make_template(NIGHT, make_plan(frames).entries)
    assert [line for line in text.splitlines() if line.startswith("# - ")] == [
        line for line in text.splitlines() if line.startswith('# - {file: "a.fits", type: science, filter: "C"')
    ]


def test_rules_about_masters_accept_and_reject_them_by_name(say):
    text = (
        "- {master: bias_*, reject: light leak}\n- {master: '20240301/flat_*', accept: true}\n"
        "- {master: dark_x, accept: true}\n"
    )
    plan = make_plan([frame(f"{kind}_{n}.fits", kind, hours=n) for kind in ("bias", "flat") for n in range(3)])
    by_hand, remarks = find_by_hand({NIGHT: say(text)}, plan.masters)
    names = {master.kind: master.name for master in plan.masters}
    assert by_hand == {
        (NIGHT, names["bias"]): "rejected by night.yaml: light leak",
        (NIGHT, names["flat"]): "accepted by night.yaml",
    }
    assert len(remarks) == 1
    assert remarks[0].startswith(f"{say.path}: rule 3 matches no master; there are: bias_")


@pytest.mark.parametrize(
    "text",
    [
        "{master: bias_1}",
        "{accept: true}",
        "{master: bias_1, accept: true, reject: true}",
        "{master: bias_1, accept: false}",
        "{master: bias_1, reject: leak, type: dark}",
        "{file: bias_1.fits, reject: leak}",
    ],
)
def test_a_rule_about_masters_says_one_thing_and_nothing_else(say, text):
    with pytest.raises(ConfigurationError, match=r"rule 1 is .*expected a master that is accepted or rejected"):
        say(f"- {text}\n")
