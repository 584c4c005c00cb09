"""What a product keeps of the header of its raw frame."""

import pytest
from astropy.io import fits
from nightcal.io.keywords import copy_raw_header
from nightcal.io.raw_header import RawHeader


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("TAI", {"DATE-OBS": "2024-03-02T03:00:00.000", "MJD-OBS": 60371.125, "TIMESYS": "UTC"}),
        ("LOCAL", {"DATE-LOC": "2024-03-02T03:00:37", "MJD-OBS": 60371.125 + 37 / 86400, "TIMESYS": "UTC"}),
        ("UTC", {"DATE-OBS": "2024-03-02T03:00:37", "MJD-OBS": 60371.125 + 37 / 86400, "TIMESYS": "UTC"}),
    ],
)
def test_the_times_of_a_product_are_in_utc(scale, expected):
    cards = fits.Header(
        {"DATE-OBS": "2024-03-02T03:00:37", "MJD-OBS": 60371.125 + 37 / 86400, "TIMESYS": scale, "OBJECT": "M 67"}
    )
    for raw in (RawHeader(cards, 0, (4, 4)), RawHeader(cards.tostring(endcard=False, padding=False), 0, (4, 4))):
        found = dict(copy_raw_header(raw))
        assert found.pop("OBJECT") == "M 67"
        assert found.pop("MJD-OBS") == pytest.approx(expected["MJD-OBS"], abs=1e-9)
        assert found == {name: value for name, value in expected.items() if name != "MJD-OBS"}
