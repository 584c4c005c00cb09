"""Keywords that look like a setting of the camera, but that no camera file lists."""

import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.cameras.unlisted_settings import find_unlisted_settings
from nightcal.io.raw_header import RawHeader
from nightcal.planning.plan import make_plan
from planned_frames import frame

GENERIC = load_camera(REPOSITORY / "config/cameras/generic.yaml")


def read(**cards):
    header = RawHeader(fits.Header({name.replace("_", "-"): value for name, value in cards.items()}), 0, (10, 12))
    return find_unlisted_settings(header, GENERIC)


@pytest.mark.parametrize(
    "card", ["SENSGAIN", "CAMBLKLV", "ADCMODE2", "RDMODE2", "WINX0", "ROI1", "ROWORDR", "HSRATE", "ROTATED"]
)
def test_a_keyword_that_looks_like_a_setting_is_found(card):
    assert read(**{card: 5}) == (((card, "5"),) if card != "ADCMODE2" else ())


def test_keywords_of_the_camera_file_and_of_other_devices_are_no_unlisted_settings():
    assert (
        read(
            GAIN=5,
            OFFSET=3,
            READOUTM="Fast",
            GUIDGAIN=7,
            FOCMODE="auto",
            WINDSPD=3.0,
            TELFLIP="T",
            ROTATANG=12.0,
            MIRROR="open",
            AMBTEMP=3.0,
        )
        == ()
    )


def plan(of_bias, *of_science):
    bias = [frame(f"b{n}.fits", "bias", -n, unlisted=of_bias) for n in range(3)]
    science = [frame(f"s{n}.fits", hours=n, unlisted=values) for n, values in enumerate(of_science)]
    return make_plan([*bias, *science]).science


def test_another_value_in_all_science_frames_than_in_the_master_is_told():
    for science in plan((("SENSGAIN", "0"),), *[(("SENSGAIN", "120"),)] * 2):
        assert "unlisted setting: SENSGAIN is '120', '0' in the bias; it is not compared" in science.bias.warning


@pytest.mark.parametrize(
    ("of_bias", "of_science"),
    [
        ((("SENSGAIN", "5"),), [(("SENSGAIN", "5.0"),)]),
        ((), [(("SENSGAIN", "5"),)]),
        ((("SENSGAIN", "5"),), [()]),
        ((("SENSGAIN", "5"),), [(("SENSGAIN", "6"),), (("SENSGAIN", "7"),)]),
    ],
)
def test_equal_missing_and_changing_values_cost_no_warning(of_bias, of_science):
    assert not any("unlisted" in science.bias.warning for science in plan(of_bias, *of_science))
