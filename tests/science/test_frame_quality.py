"""Frames are graded against those of their night, filter by filter."""

import csv
import io

import numpy as np
import pytest
from common_sky import make_sky, observe
from nightcal.science.frame_quality import grade_frames, sum_up_doubts, write_quality_table

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


def test_zero_points_give_the_transparency_and_its_error():
    found = grade(night(this={"ZP": 22.0, "ZPERR": 0.01}))["science/this.fits"].transparency
    assert found.value == pytest.approx(10 ** (-0.4 * 0.5))
    assert found.error == pytest.approx(0.01 * found.value / 1.086, rel=0.01)
    assert found.source == "zero points"


def test_a_zero_point_with_a_large_error_does_not_make_all_others_cloudy():
    found = grade(night(this={"ZP": 23.5, "ZPERR": 1.2}))
    assert found["science/usual0.fits"].transparency.value == pytest.approx(1)


def test_frames_of_another_camera_are_not_compared():
    found = grade(night(this={"ZP": 20.0, "INSTRUME": "another"}))
    assert found["science/this.fits"].grade == "good"


def test_frames_without_zero_points_are_compared_by_their_stars():
    rng = np.random.default_rng(8)
    names = ["science/clear.fits", "science/cloudy.fits", "science/unreadable.fits"]
    headers = {name: {card: value for card, value in GOOD.items() if card != "ZP"} for name in names}
    sky = make_sky(rng)
    catalogs = {names[0]: observe(sky, rng), names[1]: observe(sky, rng, loss=0.5)}
    found = grade_frames(headers, filters_of(headers), lambda path, time: catalogs.get(path))
    cloudy = found[names[1]]
    assert cloudy.transparency.source == "stars in common"
    assert abs(cloudy.transparency.value - 10 ** (-0.4 * 0.5)) < 4 * cloudy.transparency.error < 0.03
    assert (cloudy.grade, "transparency 0.6" in cloudy.why) == ("usable", True)
    assert found[names[2]].transparency.source == ""
    row = list(csv.DictReader(io.StringIO(write_quality_table(headers, filters_of(headers), found))))[1]
    assert (row["transparency"][:3], row["transparency_from"]) == ("0.6", "stars in common")
    assert float(row["transparency_error"]) == pytest.approx(cloudy.transparency.error, rel=0.01)


def test_a_trailed_frame_is_neither_the_best_nor_compared_with_it():
    grades = grade(night(this={"ZP": 24.0, "TRAILED": True}, other={"ZP": 21.5, "TRAILED": True}))
    assert grades["science/usual0.fits"].transparency.value == 1
    assert {grades[f"science/usual{n}.fits"].grade for n in range(4)} == {"good"}
    assert grades["science/other.fits"].why == "trailed"
    assert np.isnan(grades["science/this.fits"].transparency.value)


def test_only_trailed_frames_are_compared_with_nothing():
    grades = grade({path: header | {"TRAILED": True} for path, header in night().items()})
    assert {quality.why for quality in grades.values()} == {"trailed"}


def test_causes_of_doubt_are_summed_up_with_the_worst_frame():
    grades = grade(night(a={"ZP": 22.2}, b={"ZP": 21.5, "FWHM": 4.2}, c={"TRAILED": True}))
    clouds, trailed, wide = sum_up_doubts(grades)
    assert (clouds.cause, clouds.frames) == ("clouds or haze", ("a", "b"))
    assert clouds.worst.startswith("worst b: transparency 0.40")
    assert (trailed.cause, trailed.worst, trailed.is_common) == ("trailed", "first: c", False)
    assert (wide.cause, wide.frames, wide.is_common) == ("wide stars", ("b",), True)


def test_a_good_night_has_no_doubts():
    assert sum_up_doubts(grade(night())) == ()
