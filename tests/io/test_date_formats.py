"""Dates and times are read in all the ways in which acquisition programs write them."""

import pytest
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.io.date_formats import parse_clock, parse_moment

MICROSECOND = 1.2e-11  # [days]
NOON = "2019-05-03T05:12:33"


@pytest.mark.parametrize(
    ("written", "iso"),
    [
        ("2019-05-03T05:12:33Z", NOON),
        ("2019-05-03T05:12:33 UTC", NOON),
        ("2019-05-03T07:12:33+02:00", NOON),
        ("2019-05-02T22:12:33 -0700", NOON),
        ("2019-05-03T05:12:33,5", "2019-05-03T05:12:33.5"),
        ("2019-05-03T05:12:33.123456789", "2019-05-03T05:12:33.123456789"),
        ("2019/05/03 05:12:33", NOON),
        ("2019.05.03 05:12:33", NOON),
        ("03/05/2019 05:12:33", NOON),
        ("03/25/2019 05:12:33", "2019-03-25T05:12:33"),
        ("3/25/2019 05:12:33 PM", "2019-03-25T17:12:33"),
        ("03/05/99 05:12:33", "1999-05-03T05:12:33"),
        ("20190503T051233", NOON),
        ("20190503_051233", NOON),
        ("2019-05-03T05-12-33", NOON),
        ("2019-123T05:12:33", NOON),
        ("2020-366T00:00:01", "2020-12-31T00:00:01"),
        ("03-May-2019 05:12:33", NOON),
        ("3 May 2019 05:12:33", NOON),
        ("May 3, 2019 5:12:33 AM", NOON),
        ("Fri May  3 05:12:33 2019", NOON),
        ("58606.217048611", NOON),
        (2458606.717048611, NOON),
        (58606.2170486111, NOON),
        ("58606,217048611", NOON),
    ],
)
def test_a_moment_in_many_formats(written, iso):
    moment = parse_moment(written)
    assert moment.has_time
    assert moment.mjd == pytest.approx(Time(iso, scale="utc").mjd, abs=100 * MICROSECOND + 1e-9)


def test_a_date_that_may_have_the_month_first_is_told():
    assert parse_moment("03/05/2019 05:12:33").guessed_order
    for clear in ("03/25/2019", "25/03/2019", "05/05/2019", "2019/03/05", "03.05.2019", "03/05/99"):
        assert not parse_moment(clear).guessed_order


@pytest.mark.parametrize("written", ["2019-05-03", "03/05/2019", "2019/05/03", "20190503", 20190503, "2019-123"])
def test_a_date_alone(written):
    moment = parse_moment(written)
    assert (moment.mjd, moment.has_time) == (58606, False)


def test_a_year_of_two_digits_is_of_the_century_that_had_digital_cameras():
    assert not parse_moment("03/05/99").guessed_century
    assert parse_moment("03/05/19").guessed_century
    assert parse_moment("03/05/19").mjd == parse_moment("2019-05-03").mjd


@pytest.mark.parametrize(
    "written",
    [
        None,
        True,
        "",
        "soon",
        "2019-02-30T00:00:00",
        "2019-13-01",
        "25/25/2019",
        "2019-05-03Tnoon",
        float("nan"),
        1 + 2j,
    ],
)
def test_anything_else_is_not_a_moment(written):
    assert parse_moment(written) is None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("2019-05-03T05:12:33.12", 0.01),
        ("2019-05-03T05:12:33", 1),
        ("2019-05-03T05:12", 60),
        (58606.2, 8640),
        (56486.0, 86400),
        (58606.21875, 337.5),  # single precision, 5 digits or not
    ],
)
def test_the_last_digit_tells_the_resolution(written, seconds):
    assert parse_moment(written).resolution == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("05:12:33.2", 18753.2),
        ("05 12 33", 18753),
        ("5h12m33s", 18753),
        ("051233", 18753),
        (5.5, 19800),
        ("5.5", 19800),
        ("5:12:33 PM", 61953),
        ("24:00:00", 86400),
        ("23:59:60", 86400),
        ("05:12:33-07:00", 18753 + 7 * 3600),
        ("05:12", 18720),
    ],
)
def test_a_time_of_day_in_many_formats(written, seconds):
    assert parse_clock(written).seconds == pytest.approx(seconds)


def test_a_time_of_day_in_seconds_if_the_comment_says_so():
    assert parse_clock(18753.0, "05:12:33 UT at start (sec)").seconds == 18753
    assert parse_clock(18753.0) is None


@settings(deadline=None, derandomize=True, database=None, max_examples=300)
@given(st.one_of(st.text(max_size=30), st.text("0123456789-/:T +.Z", max_size=30), st.floats(), st.integers()))
def test_no_text_stops_the_night(text):
    for parse in (parse_moment, parse_clock):
        found = parse(text)
        assert found is None or found.resolution > 0
