"""Times of other scales are converted as astropy does."""

import erfa
import pytest
from astropy.time import Time
from nightcal.io.time_scales import LEAP_SECONDS, count_leap_seconds, find_time_scale, to_utc

MOMENTS = [
    "1985-06-29T12:00:00",
    "1999-01-01T00:00:10",
    "2016-12-30T23:59:59",
    "2017-01-01T00:00:01",
    "2024-03-01T21:00:00",
]


def test_all_leap_seconds_since_1972_are_known():
    days = [
        Time(f"{year}-{month:02d}-01", scale="utc").mjd for year, month, _ in erfa.leap_seconds.get() if year >= 1972
    ]
    assert list(LEAP_SECONDS) == days
    assert count_leap_seconds(60000) == 37


@pytest.mark.parametrize("scale", ["tai", "tt", "tdb", "tcg", "tcb"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_time_in_another_scale_becomes_utc(scale, moment):
    truth = Time(moment, scale="utc")
    found = to_utc(getattr(truth, scale).mjd, find_time_scale(scale.upper()))
    assert (found - truth.mjd) * 86400 == pytest.approx(0, abs=0.003)


def test_gps_time_is_19_s_behind_tai():
    tai = Time("2024-03-01T21:00:00", scale="utc").tai.mjd
    assert to_utc(tai - 19 / 86400, "GPS") == pytest.approx(to_utc(tai, "TAI"), abs=1e-10)


def test_names_of_scales():
    names = ("utc", "UTC(NIST)", "GMT", "UT1", "TT(BIPM08)", "ET", "Local", "UTC approximate", "Mars")
    assert [find_time_scale(name) for name in names] == ["UTC", "UTC", "UTC", "UTC", "TT", "TT", "LOCAL", "UTC", None]
