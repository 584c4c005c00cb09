"""Darks are matched by the set temperature, or the measured one if the CCD was off its set point."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from astropy.io import fits
from nightcal.planning.plan import make_plan
from nightcal.planning.setup_keywords import read_planned_master, write_setup
from nightcal.planning.temperature import are_close, choose_temperature, is_off_set_point
from planned_frames import frame


@pytest.mark.parametrize(
    ("set_to", "measured", "counts", "off"),
    [
        (-20.0, -19.6, -20.0, False),
        (-20.0, -18.0, -20.0, False),
        (-20.0, -12.3, -12.3, True),
        (-20.0, -25.0, -25.0, True),
        (0.0, 5.0, 5.0, True),
        (-20.0, None, -20.0, False),
        (None, -12.3, -12.3, False),
        (None, None, None, False),
    ],
)
def test_the_measured_temperature_counts_if_the_ccd_was_off_its_set_point(set_to, measured, counts, off):
    one = SimpleNamespace(set_temperature=set_to, temperature=measured)
    assert choose_temperature(one, 2.0) == counts
    assert is_off_set_point(one, 2.0) == off


def test_an_unknown_temperature_is_close_to_an_unknown_one_only():
    assert are_close(None, None, 2)
    assert not are_close(None, 0.0, 2)
    assert not are_close(0.0, None, 2)


COLD, WARM = {"set_temperature": -20.0, "temperature": -20.1}, {"set_temperature": -10.0, "temperature": -10.1}


def take_biases(overscan=False, second=WARM):
    """Five bias frames at -20 C in the evening, five of another temperature in the morning."""
    evening = [frame(f"b{n}.fits", "bias", hours=-5 + n / 60, has_overscan=overscan, **COLD) for n in range(5)]
    morning = [frame(f"c{n}.fits", "bias", hours=5 + n / 60, has_overscan=overscan, **second) for n in range(5)]
    return [*evening, *morning]


def test_bias_frames_without_overscan_are_grouped_by_temperature():
    plan = make_plan(take_biases())
    assert [(m.name.rpartition("_")[2], len(m.frames)) for m in plan.masters if m.kind == "bias"] == [
        ("-20C", 5),
        ("-10C", 5),
    ]


@pytest.mark.parametrize("frames", [take_biases(overscan=True), take_biases(second=COLD)])
def test_bias_frames_with_overscan_or_of_one_temperature_make_one_master_with_the_usual_name(frames):
    (bias,) = [m for m in make_plan(frames).masters if m.kind == "bias"]
    assert len(bias.frames) == 10
    assert not bias.name.endswith("C")


@pytest.mark.parametrize(("hours", "degrees", "used"), [(4.5, COLD, "-20C"), (-4.5, WARM, "-10C")])
def test_the_bias_of_the_temperature_of_a_frame_is_preferred_to_a_nearer_one(hours, degrees, used):
    science = frame("s.fits", hours=hours, **degrees)
    (planned,) = make_plan([*take_biases(), science]).science
    assert planned.bias.master.name.endswith(used)
    assert planned.bias.warning == ""
    assert "of its temperature" in planned.bias.reason


def test_a_bias_of_another_temperature_serves_with_a_warning():
    science = frame("s.fits", set_temperature=0.0, temperature=0.0)
    (planned,) = make_plan([*take_biases(second=COLD), science]).science
    text = "bias frames at -20 C serve science frames at 0 C, and no overscan follows the level"
    assert planned.bias.warning == f"bias of another temperature: {text}"
    unknown = frame("s.fits")
    (planned,) = make_plan([*take_biases(second=COLD), unknown]).science
    assert planned.bias.warning == ""


def test_a_bias_of_a_library_tells_its_temperature():
    header = fits.Header()
    first = frame("b.fits", "bias", **COLD)
    write_setup(header, first)
    header.update({"MASTER": "bias", "MJD-AVG": 60370.0})
    assert choose_temperature(read_planned_master(Path("lib/bias.fits"), header), 2.0) == -20.0
    header["NCOVSC"] = True
    assert choose_temperature(read_planned_master(Path("lib/bias.fits"), header), 2.0) is None
