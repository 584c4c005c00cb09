"""The summary of a night: how many science frames have each step, what was not done and why, and what helps."""

from dataclasses import replace

import pytest
from nightcal.cameras.settings import Setting
from nightcal.planning.dark_scaling import DarkPolicy
from nightcal.planning.matching import Options
from nightcal.planning.plan import make_plan
from nightcal.planning.summary import complete_summary, read_summary, summarise_plan, write_summary
from nightcal.planning.summary_text import describe_group, describe_summary, find_failure, list_shortcomings
from nightcal.report import read_table
from planned_frames import NIGHT, frame


def frames(kind, count, **more):
    label = "".join(map(str, more.values()))
    return [frame(f"{kind}{label}_{n:03d}.fits", kind, **more) for n in range(count)]


WHOLE = [*frames("bias", 10), *frames("dark", 5), *frames("flat", 5), *frames("science", 4)]


def without(kind):
    """Leave out a type; with the bias frames also the darks, which would serve as bias."""
    left_out = ("bias", "dark") if kind == "bias" else (kind,)
    return [f for f in WHOLE if f.kind not in left_out]


def summarise(raw, options=None):
    return summarise_plan(make_plan(raw, options or Options()), NIGHT)


def say(raw, **more):
    return describe_summary(summarise(raw, **more), "raw")


def rows_of(raw):
    """The rows of plan.csv as a report reads them, and the summary before the reduction."""
    plan = make_plan(raw)
    return read_table(plan.table(NIGHT)), summarise_plan(plan, NIGHT)


def test_a_whole_night_needs_one_line():
    assert say(WHOLE) == ["All 4 science frames have bias, dark and flat."]


@pytest.mark.parametrize("step", ["bias", "dark", "flat"])
def test_each_missing_step_is_counted_and_explained(step):
    summary = summarise(without(step))
    assert (summary.having[step], summary.science) == (0, 4)
    (line,) = [describe_group(group) for group in summary.undone if (group.what, group.kind) == (step, "science")]
    assert line.startswith(f"4 science frames without {step}: ")
    assert "step skipped" not in line
    assert "(first: science_000.fits)" in line


def test_a_step_is_counted_for_those_frames_only_that_lack_it():
    red = [frame(f"red_{n}.fits", filter="R") for n in range(2)]
    counts, line, *_ = say([*WHOLE, *red])
    assert counts == "6 science frames: 6 with bias, 6 with dark, 4 with flat, 6 with bad pixel mask."
    assert line.startswith("2 science frames without flat: ")
    assert "R" in line


def test_the_nearest_candidate_and_what_keeps_it_away_are_named():
    slow, fast = ((Setting("", "READMODE", (("READMODE", text),)),) for text in ("slow", "fast"))
    raw = [*(replace(f, settings=slow if f.kind == "flat" else fast) for f in WHOLE), *frames("flat", 3, filter="R")]
    assert "4 science frames without flat: 5 flats in V differ in READMODE ('slow' and 'fast')" in "\n".join(say(raw))
    assert any("night.yaml: - {where: {type: science}, use: {flat: " in line for line in say(raw))
    red = [replace(f, filter="R") if f.kind == "science" else f for f in WHOLE]
    assert "4 science frames without flat: no flat in filter R, only 5 flats in V (first" in "\n".join(say(red))
    assert not any("night.yaml" in line for line in say(red))
    long = [replace(f, exposure_time=900.0) if f.kind == "science" else f for f in WHOLE]
    factor = "4 science frames without dark: no dark for 900 s: the longest (300 s) would be scaled up 3 times"
    assert factor in "\n".join(say(long))
    none = "4 science frames without dark: no dark frames at hand, nor in a library (first"
    assert none in "\n".join(say(without("dark")))


def test_a_single_candidate_is_named_with_what_keeps_it_away_and_with_the_rule_that_would_use_it():
    slow, fast = ((Setting("", "READMODE", (("READMODE", text),)),) for text in ("slow", "fast"))
    whole = [f for f in WHOLE if f.name != "flat_000.fits" and f.kind == "flat"]
    lines = say([replace(f, settings=slow if f.kind == "flat" else fast) for f in WHOLE if f not in whole])
    assert any("without flat: 1 flat in V differs in READMODE ('slow' and 'fast')" in line for line in lines)
    assert any("night.yaml: - {where: {type: science}, use: {flat: " in line for line in lines)


def test_no_rule_is_proposed_for_flats_of_another_size():
    lines = say([replace(f, shape=(64, 64)) if f.kind == "flat" else f for f in WHOLE])
    assert any("4 science frames without flat: 5 flats in V differ in size ('64 x 64' and " in line for line in lines)
    assert not any("night.yaml" in line for line in lines)


def test_flats_that_wait_for_a_bias_are_named_as_the_reason():
    text = "\n".join(say(without("bias")))
    assert "4 science frames without flat: the 5 flat frames are not used (no bias and no overscan" in text


def test_unused_flats_that_only_lack_a_keyword_of_the_science_frames_are_named_with_their_reason():
    slow = (Setting("", "READMODE", (("READMODE", "Slow"),)),)
    text = " ".join(say([f if f.kind == "flat" else replace(f, settings=slow) for f in without("bias")]))
    assert "4 science frames without flat: the 5 flat frames are not used (no bias and no overscan" in text


def test_rejected_calibration_frames_are_named_as_the_reason():
    bad = [replace(f, problem="EXPTIME is -1") for f in frames("bias", 3)]
    text = "\n".join(say([*without("bias"), *bad]))
    assert "3 bias frames were rejected" in text
    assert "3 frames rejected: EXPTIME is -1 (first: bias_000.fits)." in text


def test_equal_reasons_are_one_line_with_a_count():
    bad = [replace(f, problem="the exposure time is missing (EXPTIME)") for f in frames("other", 205)]
    lines = say([*WHOLE, *bad])
    assert "205 frames rejected: the exposure time is missing (EXPTIME) (first: other_000.fits)." in lines


def test_reasons_that_differ_in_numbers_and_names_are_joined_if_there_are_many():
    bad = [
        replace(f, problem=f"{n} of 2880 bytes are missing in 'x{n}.fits'") for n, f in enumerate(frames("other", 50))
    ]
    assert len([line for line in say([*WHOLE, *bad]) if "rejected" in line]) == 1
    assert len([line for line in say([*WHOLE, *bad[:3]]) if "rejected" in line]) == 3
    words = [replace(f, problem=f"the {word} is bad") for f, word in zip(bad, ("A", "B", "C", "D", "E"), strict=False)]
    assert len([line for line in say([*WHOLE, *words]) if "rejected" in line]) == 5


def test_the_terminal_shows_the_first_lines_of_many():
    letters = [chr(ord("a") + n // 26) + chr(ord("a") + n % 26) for n in range(60)]
    bad = [replace(f, problem=f"no {word}") for f, word in zip(frames("other", 60), letters, strict=True)]
    lines = say([*WHOLE, *bad])
    assert len(lines) < 25
    assert "... and 40 more lines in the report." in lines


def test_a_skipped_step_of_a_master_is_told_unless_the_science_frames_say_it():
    options = Options(darks=DarkPolicy("exact"))
    exact = [f if f.kind != "flat" else replace(f, exposure_time=2.0) for f in WHOLE]
    exact = [f if f.kind != "science" else replace(f, exposure_time=300.0) for f in exact]
    told = say(exact, options=options)
    assert told[0] == "All 4 science frames have bias, dark and flat."
    assert told[1].startswith("5 flat frames without dark: ")
    assert sum("without dark" in line for line in say(without("dark"))) == 1


def test_darks_that_the_observer_does_not_want_are_not_missed():
    options = Options(darks=DarkPolicy("bias_only"))
    assert say(WHOLE, options=options) == ["All 4 science frames have bias, dark and flat."]
    assert list_shortcomings(summarise(WHOLE, options)) == []


def test_strict_names_rejected_frames_and_skipped_steps():
    bad = frame("bad.fits", problem="torn")
    assert list_shortcomings(summarise(WHOLE)) == []
    assert list_shortcomings(summarise([*WHOLE, bad])) == ["1 frame rejected"]
    assert list_shortcomings(summarise(without("flat"))) == ["4 science frames without flat"]


def test_a_night_fails_if_no_science_frame_is_calibrated():
    science = frames("science", 4)
    overscan = [replace(f, has_overscan=True) for f in science]
    assert "no science frame was calibrated" in find_failure(summarise(science))
    assert "4 not calibrated at all" in say(science)[0]
    assert find_failure(summarise(WHOLE)) == ""
    assert find_failure(summarise(without("flat"))) == ""
    assert find_failure(summarise(overscan)) == ""
    assert find_failure(summarise([overscan[0], *science[1:]])) == ""


def test_a_night_fails_if_every_file_or_every_science_frame_was_rejected():
    rejected = [replace(f, problem="torn") for f in WHOLE]
    assert find_failure(summarise(rejected)) == "every raw frame was rejected"
    lights = [replace(f, problem="torn") if f.kind == "science" else f for f in WHOLE]
    assert find_failure(summarise(lights)) == "every science frame was rejected"
    assert say(lights)[0] == "No science frames: 4 rejected."


def test_calibration_frames_alone_are_no_failure():
    assert find_failure(summarise(without("science"))) == ""
    assert say(without("science")) == ["No science frames."]
    torn = replace(WHOLE[0], problem="torn")
    assert find_failure(summarise([torn, *without("science")[1:]])) == ""


def test_frames_without_a_camera_file_of_their_own_lead_to_check_camera():
    raw = [replace(f, camera="generic", name=f"o'{f.name}") for f in WHOLE]
    odd = [replace(f, filter="v") if f.kind == "flat" else f for f in raw]
    command = "python -m nightcal.check_camera config/cameras/generic.yaml"
    assert any(command in line and line.endswith("'raw/o'\"'\"'science_000.fits'") for line in say(odd))
    assert not any(command in line for line in say([replace(f, camera="mine") for f in odd]))
    assert not any(command in line for line in say([f for f in raw if f.kind != "flat"]))  # none were taken
    misread = replace(raw[0], problem="the exposure time is missing (EXPTIME)", area="")
    assert any(command in line for line in say([*raw[1:], misread]))


def test_a_summary_written_and_read_is_the_same():
    bad = frame("bad\n.fits", problem="torn\x07")
    for raw in (WHOLE, [*without("flat"), bad], without("science"), [bad]):
        summary = summarise(raw)
        assert read_summary(write_summary(summary)) == summary
        assert all(line.isprintable() for line in describe_summary(summary))


def test_after_a_run_without_trouble_the_summary_is_that_of_the_plan():
    for raw in (WHOLE, without("flat"), without("bias"), frames("science", 3)):
        rows, planned = rows_of(raw)
        products = {}
        for row in rows:
            steps = [step for step in ("bias", "dark", "flat") if row[step]]
            wanted = {"science": ("bias", "dark", "flat"), "flat": ("bias", "dark"), "dark": ("bias",)}
            lacks = [step for step in wanted.get(row["type"], ()) if step not in steps]
            cards = {f"{step.upper()}COR": True for step in steps} | {"OVSCCOR": False, "BPMCOR": bool(steps)}
            products[row["product"]] = cards | ({"SKIPPED": ",".join(lacks)} if lacks else {})
        assert complete_summary(planned, rows, products) == planned


def test_positions_are_counted_and_what_they_need_comes_last():
    rows, planned = rows_of(WHOLE)
    science = [row["product"] for row in rows if row["type"] == "science"]
    cards = {"BIASCOR": True, "DARKCOR": True, "FLATCOR": True, "BPMCOR": True, "WCSSRC": "none"}
    products = dict.fromkeys(science, cards | {"WCSSTAT": "not solved: no pointing in the header"})
    done = complete_summary(planned, rows, products)
    assert read_summary(write_summary(done)) == done
    assert describe_summary(done)[-1] == "0 of 4 frames have positions: no pointing in the header"


def test_a_frame_rejected_on_the_way_is_counted():
    rows, planned = rows_of(WHOLE)
    rows[-1] |= {"role": "rejected", "reason": "no finite pixel"}
    done = complete_summary(planned, rows, {})
    assert (done.science, done.rejected_science) == (3, 1)
    assert describe_group(done.undone[0]) == f"{rows[-1]['file']} rejected: no finite pixel."


def test_a_master_that_came_out_empty_is_the_reason():
    rows, planned = rows_of(WHOLE)
    science = [row for row in rows if row["type"] == "science"]
    cards = {"BIASCOR": True, "DARKCOR": True, "FLATCOR": False, "BPMCOR": True, "SKIPPED": "flat"}
    products = {row["product"]: cards for row in science}
    products[f"masters/{science[0]['flat']}.fits"] = {"EMPTY": "every flat is saturated"}
    done = complete_summary(planned, rows, products)
    assert done.having == {"bias": 4, "dark": 4, "flat": 0, "bpm": 4}
    assert "4 science frames without flat: the master flat is empty (every flat is saturated)" in "\n".join(
        describe_summary(done)
    )
    assert list_shortcomings(done) == ["4 science frames without flat"]


def test_a_night_fails_if_its_only_master_came_out_empty():
    rows, planned = rows_of([*frames("bias", 5), *frames("science", 2)])
    assert find_failure(planned) == ""
    bare = {"SKIPPED": "bias,dark,flat", "OVSCCOR": False}
    products = {row["product"]: bare for row in rows if row["type"] == "science"}
    assert "no science frame was calibrated" in find_failure(complete_summary(planned, rows, products))
    overscan = {path: bare | {"OVSCCOR": True} for path in products}
    assert find_failure(complete_summary(planned, rows, overscan)) == ""
