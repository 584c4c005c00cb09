from dataclasses import replace

import pytest
from astropy.io import fits
from nightcal.cameras.amplifiers import find_gain, read_amplifiers
from nightcal.cameras.camera_file import load_camera
from nightcal.detector.gain import ASSUMED, GainAndReadNoise
from nightcal.io.raw_header import RawHeader

from tests.helpers import REPOSITORY

MEASURED = GainAndReadNoise(
    1.5, 6.1, "measured: 4 pairs of bias, 4 of flats", amplifiers=((1.5, 6.1),), errors=((0.004, 0.02),)
)
DOUBTFUL = replace(MEASURED, doubt="only 1 pair of flats")


@pytest.fixture(scope="module")
def camera():
    return load_camera(REPOSITORY / "config" / "cameras" / "generic.yaml")


def header(**cards):
    return RawHeader(fits.Header(cards), 0, (10, 10))


def choose(camera, measured, **cards):
    return find_gain(header(**cards), camera, measured)


@pytest.mark.parametrize("measured", [MEASURED, DOUBTFUL])
@pytest.mark.parametrize("setting", [100, 25.5, 480, 36])
def test_a_gain_that_is_a_setting_gives_way_to_the_measured_one(camera, measured, setting):
    found = choose(camera, measured, GAIN=setting, RDNOISE=3.0)
    assert (found.gain, found.read_noise) == (1.5, 6.1)
    assert found.warning.startswith(f"gain setting: GAIN is {setting:g}, a setting")
    assert "1.5 e-/ADU" in found.warning


def test_a_setting_is_told_if_nothing_is_measured(camera):
    found = choose(camera, None, GAIN=100)
    assert found.gain == 1.0
    assert found.warning.startswith("gain setting: GAIN is 100")
    assert found.warning.endswith(ASSUMED.warning)
    beside = choose(camera, None, GAIN=10, OFFSET=30, RDNOISE=3.0)
    assert beside.gain == 10
    assert beside.warning.startswith("gain setting: GAIN is 10 beside OFFSET")


@pytest.mark.parametrize("unknown", [0.0, -1.0, "n/k"])
def test_a_setting_beside_an_unknown_egain_is_a_setting(camera, unknown):
    found = choose(camera, MEASURED, EGAIN=unknown, GAIN=80, RDNOISE=3.0)
    assert found.gain == 1.5
    assert found.warning.startswith("gain setting: GAIN is 80, a setting")
    beside = choose(camera, MEASURED, EGAIN=unknown, GAIN=12, OFFSET=30, RDNOISE=3.0)
    assert beside.gain == 1.5
    assert beside.warning.startswith("gain setting: GAIN is 12 beside OFFSET")
    assert choose(camera, None, EGAIN=unknown, GAIN=80).gain == 1.0


def test_a_setting_written_as_text_is_a_setting(camera):
    found = choose(camera, MEASURED, GAIN="100", RDNOISE=3.0)
    assert found.gain == 1.5
    assert found.warning.startswith("gain setting: GAIN is 100, a setting")
    assert choose(camera, MEASURED, GAIN="1,51", RDNOISE=3.0).gain == 1.51


@pytest.mark.parametrize(("error", "told"), [(0.01, True), (0.004, False)])
def test_a_gain_that_no_keyword_gives_is_told_if_its_measured_value_is_uncertain(camera, error, told):
    measured = replace(MEASURED, errors=((error, 0.02),))
    found = choose(camera, measured, RDNOISE=3.0)
    assert found.gain == 1.5
    assert found.warning.startswith("unknown gain: no EGAIN or") is told
    assert bool(found.warning) is told
    assert choose(camera, replace(measured, use="measured")).warning == ""
    assert choose(camera, measured, EGAIN=0.0).warning == ""  # told where the header is read


def test_egain_is_never_a_setting(camera):
    found = choose(camera, None, EGAIN=25.0, GAIN=100, OFFSET=30, RDNOISE=3.0)
    assert (found.gain, found.warning) == (25.0, "")


@pytest.mark.parametrize(("said", "kept"), [(1.46, True), (1.54, True), (1.44, False), (1.91, False)])
def test_a_gain_that_differs_from_a_good_measurement_is_replaced(camera, said, kept):
    found = choose(camera, MEASURED, EGAIN=said, RDNOISE=7.1)
    assert (found.gain, found.read_noise) == ((said, 7.1) if kept else (1.5, 6.1))
    assert found.warning.startswith("" if kept else f"gain differs: EGAIN is {said:g} e-/ADU, read noise 7.1 e-; 1.5")
    assert bool(found.warning) is not kept


@pytest.mark.parametrize(
    ("error", "text"), [(0.0039, "1.701 +- 0.004"), (0.02, "1.70 +- 0.02"), (0.0, "1.701 +- 0.000")]
)
def test_the_measured_gain_is_given_to_the_digit_of_its_error(camera, error, text):
    found = choose(
        camera, replace(MEASURED, amplifiers=((1.70058, 6.1),), errors=((error, 0.01),)), EGAIN=1.91, RDNOISE=7.1
    )
    assert f"; {text} e-/ADU and 6.1 e- used" in found.warning


def test_a_doubtful_or_noisy_measurement_replaces_no_gain(camera):
    for measured in (DOUBTFUL, replace(MEASURED, errors=((0.1, 0.02),)), replace(MEASURED, use="header")):
        assert choose(camera, measured, EGAIN=1.91, RDNOISE=7.1).gain == 1.91


def test_the_observer_may_want_the_measured_gain(camera):
    found = choose(camera, replace(MEASURED, use="measured"), EGAIN=1.51, RDNOISE=7.1)
    assert (found.gain, found.read_noise, found.warning) == (1.5, 6.1, "")


def test_datamax_is_no_saturation_and_the_step_reaches_the_amplifier(camera):
    (amplifier,), _ = read_amplifiers(
        header(DATAMAX=3000.0, EGAIN=1.5), camera, replace(MEASURED, step=16.0, tops=(65520.0,))
    )
    assert amplifier.saturation is None
    assert (amplifier.step, amplifier.top) == (16.0, 65520.0)
    assert amplifier.read_variance == pytest.approx(max(amplifier.read_noise, 16 / 12**0.5 * 1.5) ** 2)
