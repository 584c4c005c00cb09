"""Frames are graded against those of their night, filter by filter."""

import csv
import io

import pytest
from nightcal.science.frame_quality import grade_frames, write_quality_table

GOOD = {"FILTER": "V", "NSOURCES": 50, "FWHM": 3.0, "EXPTIME": 10.0, "SKYLEVEL": 100.0, "ZP": 22.5, "TRAILED": False}


def filters_of(headers):
    return {path: header["FILTER"] for path, header in headers.items()}


def grade(headers):
    return grade_frames(headers, filters_of(headers))


def night(**frames):
    usual = {f"science/usual{n}.fits": GOOD | {"FWHM": 3.0 + n / 20} for n in range(4)}
    return usual | {f"science/{name}.fits": GOOD | changes for name, changes in frames.items()}


@pytest.mark.parametrize(
    ("changes", "expected", "word"),
    [
        ({}, "good", ""),
        ({"FWHM": 4.2}, "usable", "FWHM 1.3"),
        ({"FWHM": 6.0}, "poor", "FWHM 1."),
        ({"TRAILED": True}, "poor", "trailed"),
        ({"ZP": 22.2}, "usable", "transparency 0.76"),
        ({"ZP": 21.5}, "poor", "transparency 0.40"),
        ({"SKYLEVEL": 300.0}, "usable", "sky 3.0 times"),
        ({"SKYLEVEL": 300.0, "EXPTIME": 30.0}, "good", ""),
        ({"FWHM": None}, "usable", "FWHM unknown"),
        ({"APERNOIS": 1.8}, "usable", "noise of empty apertures 1.80"),
        ({"EMPTY": "the file is damaged"}, "unknown", "not measured"),
        ({"FILTER": "B", "FWHM": 9.0, "SKYLEVEL": 3.0, "ZP": 20.0}, "good", ""),
    ],
)
def test_a_frame_is_graded_with_its_reason(changes, expected, word):
    found = grade(night(this=changes))["science/this.fits"]
    assert (found.grade, word in found.why) == (expected, True)
    assert bool(found.why) == (expected != "good")


def test_without_zero_points_frames_are_still_compared():
    headers = {
        path: {card: value for card, value in header.items() if card != "ZP"} for path, header in night().items()
    }
    assert {quality.grade for quality in grade(headers).values()} == {"good"}


def test_the_table_has_a_row_for_each_frame_and_hides_nothing():
    headers = night(this={"FWHM": 6.0, "FILTER": "V\n=1"}, other={"NSOURCES": 3, "ZP": None})
    rows = list(csv.DictReader(io.StringIO(write_quality_table(headers, filters_of(headers), grade(headers)))))
    assert [row["frame"] for row in rows] == [path.removeprefix("science/") for path in headers]
    assert all("\n" not in row["filter"] for row in rows)
    assert (rows[0]["fwhm"], rows[0]["trailed"], rows[0]["transparency"]) == ("3", "no", "1")
    assert rows[-1]["transparency"] == ""
