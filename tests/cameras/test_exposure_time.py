"""The exposure time is found from all cards that say something about it; where they disagree, it is told."""

import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader

GENERIC = load_camera(REPOSITORY / "config/cameras/generic.yaml")


def read(*cards, kind="science"):
    """Read the exposure time [s] and the warnings; cards may occur twice."""
    kept = fits.Header()
    for card in cards:
        kept.append(card, end=True)
    warnings = []
    return GENERIC.exposure_time(RawHeader(kept, 0, (4, 4)), warnings.append, kind), warnings


@pytest.mark.parametrize(
    ("value", "comment", "seconds"),
    [
        ("60,0", "", 60),
        ("60.0 s", "", 60),
        ("60 sec", "", 60),
        ("500 ms", "", 0.5),
        ("250 us", "", 0.00025),
        ("1/60", "", 1 / 60),
        ("1/60 s", "", 1 / 60),
        ("2 min", "", 120),
        ("1.200,5", "", 1200.5),
        ("1,200.5", "", 1200.5),
        ("3.2D-05", "", 3.2e-5),
        (500, "[ms] exposure", 0.5),
        (500, "Exposure time in us", 0.0005),
        (500, "milliseconds", 0.5),
        (60, "Exposure time (s)", 60),
    ],
)
def test_exposure_times_with_units_and_commas(value, comment, seconds):
    assert read(("EXPTIME", value, comment)) == (pytest.approx(seconds), [])


START = ("DATE-OBS", "2024-03-01T21:00:00")


@pytest.mark.parametrize(
    ("cards", "seconds", "said"),
    [
        ([("EXPTIME", 60000), ("EXPOSURE", 60.0)], 60, "EXPTIME is 60000 and EXPOSURE 60.0"),
        ([("EXPTIME", 60.0), ("EXPOSURE", 60000)], 60, "EXPTIME is 60.0 and EXPOSURE 60000"),
        ([("EXPTIME", 200), ("EXPOSURE", 0.0002)], 0.0002, "EXPTIME is 200 and EXPOSURE 0.0002"),
        ([("EXPTIME", 60.0), ("EXPOSURE", 50.0)], 60, "EXPTIME is 60.0 and EXPOSURE 50.0"),
        ([("EXPTIME", 0.0), ("EXPOSURE", 60.0)], 60, "EXPTIME is 0.0 and EXPOSURE 60.0"),
        ([("EXPTIME", 10.0), ("EXPTIME", 60.0)], 60, "EXPTIME is 10.0 and then 60.0"),
        ([("EXPTIME", 60.0), ("EXPTIME", 10.0), ("EXPOSURE", 60.0)], 60, "EXPTIME is 60.0 and then 10.0"),
        (
            [("EXPTIME", 60.0), ("EXPOSURE", 50.0), START, ("DATE-END", "2024-03-01T21:00:51")],
            50,
            "EXPTIME is 60.0 and EXPOSURE 50.0",
        ),
    ],
)
def test_exposure_times_that_disagree(cards, seconds, said):
    assert read(*cards) == (seconds, [f"exposure times disagree: {said}; {seconds:g} s is used"])


@pytest.mark.parametrize("other", [60.0, 60, "60.0", 60.3, "60,0"])
def test_exposure_times_that_agree(other):
    assert read(("EXPTIME", 60.0), ("EXPOSURE", other)) == (60, [])


@pytest.mark.parametrize("broken", [-1, "long", 120000.0, "nan"])
def test_a_second_card_is_asked_if_the_first_is_impossible(broken):
    found = read(("EXPTIME", broken), ("EXPOSURE", 120.0))
    assert found == (120, [f"unusable exposure time: EXPTIME is {broken!r}; EXPOSURE is used"])


def test_a_bias_needs_no_exposure_time():
    seconds, warnings = read(("EXPTIME", -1), kind="bias")
    assert seconds == 0
    assert warnings == [
        "unusable exposure time: EXPTIME is -1; expected seconds between 0 and 86400; 0 s is assumed for a bias"
    ]
    assert read(kind="bias")[0] == 0
    with pytest.raises(FrameRejectedError, match="EXPTIME is -1"):
        read(("EXPTIME", -1))
