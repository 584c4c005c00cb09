"""The plan as a table of groups."""

import re

from hypothesis import given
from hypothesis import strategies as st
from nightcal.planning.plan import make_plan
from nightcal.planning.plan_table import describe_plan
from planned_frames import NIGHT, frame


def describe(*frames):
    return describe_plan(make_plan(frames), NIGHT)


def split(line):
    return re.split(r"  +", line.strip())


def take(kind, number, hours, **more):
    label = "".join(map(str, more.values()))
    return [frame(f"{kind}{label}_{n}.fits", kind, hours + n / 60, **more) for n in range(number)]


NIGHT_FRAMES = [
    *take("bias", 5, -3.0),
    *take("dark", 3, -2.0),
    *take("flat", 3, -5.0),
    *take("science", 7, 0.5, target="M13"),
    *take("science", 2, 2.0, target="M92"),
]


def test_each_master_has_a_line_with_its_frames_and_whom_it_serves():
    lines = [split(line) for line in describe(*NIGHT_FRAMES)]
    assert lines[0] == ["master", "frames", "taken [UT]", "for science frames"]
    bias = next(line for line in lines if line[0].startswith("bias"))
    assert bias[1:] == ["5", "21:00-21:04", "9"]


def test_frames_that_are_reduced_alike_have_one_line():
    lines = [split(line) for line in describe(*NIGHT_FRAMES)]
    start = lines.index(["object", "filter", "exposure", "frames", "taken [UT]", "bias", "dark", "flat"])
    assert lines[start + 1 :] == [
        ["M13", "V", "30 s", "7", "00:30-00:36", "3.6 h", "2.6 h", "5.6 h"],
        ["M92", "V", "30 s", "2", "02:00-02:01", "5.0 h", "4.0 h", "7.0 h"],
    ]


def test_a_step_without_a_master_is_a_dash():
    (_, science) = describe(*take("science", 1, 0.0, target="M13"))[-2:]
    assert split(science)[-3:] == ["-", "-", "-"]


def test_a_night_without_frames_has_no_lines():
    assert describe(frame("x.fits", problem="no image")) == []


@given(st.text(max_size=80), st.text(max_size=80))
def test_header_text_cannot_break_a_line_or_the_columns(target, name):
    *_, head, line = describe(frame("s.fits", target=target, filter=name))
    assert line.isprintable()
    assert len(line) < len(head) + 100
