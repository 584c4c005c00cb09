"""The verdict on a night: what makes it good, worth a look, or bad."""

from dataclasses import replace

import pytest
from nightcal.planning.doubts import Doubt, count_warnings
from nightcal.planning.night_verdict import BAD, GOOD, LOOK, describe_verdict, judge_night
from nightcal.planning.positions import Positions
from nightcal.planning.summary import Fate, read_summary, summarise_fates, write_summary
from nightcal.planning.summary_text import suggest


def science(number, **more):
    return [Fate(f"s{n}.fits", "science", "science", **more) for n in range(number)]


def summarise(*fates, **more):
    return replace(summarise_fates("20240301", fates), **more)


WHOLE = summarise(*science(4))
CLOUDS = Doubt("clouds or haze", ("s2",), "worst s2: transparency 0.55 of the best frame")


def test_a_whole_night_is_good_and_there_is_nothing_to_do():
    verdict = judge_night(WHOLE)
    assert (verdict.word, verdict.findings) == (GOOD, ())
    assert describe_verdict(verdict) == "GOOD."


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"distrusted": ("dark_30s is rejected: twice as hot as the last one.",)}, "dark_30s is rejected"),
        ({"doubts": (CLOUDS,)}, "1 of 4 science frames: clouds or haze (worst s2: transparency 0.55"),
        ({"doubts": (Doubt("trailed", ("s1",), "first: s1"),)}, "1 of 4 science frames: trailed (first: s1)."),
        ({"warnings": count_warnings([["light in the overscan: 3 e-"]])}, "Warning in 1 of 4 science frames: light"),
    ],
)
def test_what_departs_from_a_good_night_needs_a_look(more, said):
    verdict = judge_night(replace(WHOLE, **more))
    assert verdict.word == LOOK
    assert verdict.findings[0].text.startswith(said)


def test_what_was_not_done_comes_first_with_what_helps():
    lacking = science(3, lacks={"flat": "no flat in filter V"})
    verdict = judge_night(summarise(*lacking, Fate("x.fits", "", "rejected", "no image"), doubts=(CLOUDS,)))
    texts = [finding.text for finding in verdict.findings]
    assert verdict.word == LOOK
    assert texts[0] == "3 science frames without flat: no flat in filter V (first: s0.fits)."
    assert texts[1] == "x.fits rejected: no image."
    assert texts[2].startswith("1 of 3 science frames: clouds")
    assert "snakemake missing" in verdict.findings[0].advice
    assert describe_verdict(verdict) == "LOOK, with 1 thing to do."


def test_all_that_helps_is_told_even_if_one_group_needs_it_all():
    lacking = science(
        3, lacks={"flat": "5 flats in V differ in READMODE ('slow' and 'fast')"}, remedies={"flat": "check"}
    )
    summary = summarise(*lacking)
    assert judge_night(summary, "raw").findings[0].advice.splitlines() == suggest(summary, "raw")
    assert len(suggest(summary, "raw")) == 3


def test_a_reason_with_a_semicolon_is_no_advice():
    positions = Positions(4, 0, 0, "only 2 sources; at least 6 are needed")
    (finding,) = judge_night(replace(WHOLE, positions=positions)).findings
    assert finding.text == "0 of 4 frames have positions: only 2 sources; at least 6 are needed"
    assert finding.advice == ""


@pytest.mark.parametrize(
    "summary",
    [
        summarise(*science(3, has_any=False)),
        summarise(Fate("x.fits", "", "rejected", "no image")),
        replace(WHOLE, poor=3),
        summarise(*science(1), *(Fate(f"r{n}.fits", "science", "rejected", "saturated") for n in range(2))),
    ],
)
def test_a_night_whose_frames_are_mostly_lost_is_bad(summary):
    assert judge_night(summary).word == BAD


def test_half_of_the_frames_poor_is_not_yet_bad():
    doubts = (Doubt("trailed", ("s1", "s2"), "first: s1"),)
    assert judge_night(replace(WHOLE, poor=2, doubts=doubts)).word == LOOK


def test_seeing_twilight_and_what_was_handled_leave_a_night_good():
    wide = Doubt("wide stars", ("s3",), "worst s3: FWHM 1.4 times that of the best frames", is_common=True)
    handled = count_warnings([["trail in the frame: 1 trail"], []])
    positions = Positions(4, 0, 0, "too few stars", 11)
    verdict = judge_night(replace(WHOLE, doubts=(wide,), warnings=handled, positions=positions), "raw")
    assert verdict.word == GOOD
    assert [bool(finding.advice) for finding in verdict.findings] == [False, False, True]
    assert "fetch_stars" in verdict.findings[-1].advice


def test_warnings_are_counted_by_frames_and_those_told_elsewhere_left_out():
    frames = [
        ["risky age: flat 20 days old", "trail in the frame: one", "risky age: dark 90 days old"],
        ["trail in the frame: two", "dark skipped: no dark"],
        ["trail in the frame: one", "not a name: x"],
    ]
    risky, trail = count_warnings(frames)
    assert (risky.name, risky.frames, risky.example) == ("risky age", 1, "risky age: flat 20 days old")
    assert (trail.name, trail.frames, trail.is_handled) == ("trail in the frame", 3, True)
    assert risky.remedy


def test_only_three_kinds_of_warnings_are_in_the_verdict():
    names = "gain differs", "risky age", "few frames", "unknown gain"
    warnings = count_warnings([[f"{name}: why" for name in names]])
    assert len(judge_night(replace(WHOLE, warnings=warnings)).findings) == 3


def test_a_summary_keeps_doubts_and_warnings():
    summary = replace(WHOLE, poor=1, doubts=(CLOUDS,), warnings=count_warnings([["risky age: x"]]))
    assert read_summary(write_summary(summary)) == summary
