"""Exposure times that the clock contradicts."""

import pytest
from nightcal.planning.plan import make_plan
from planned_frames import frame

MINUTE = 1 / 60


@pytest.mark.parametrize(("exposure_time", "told"), [(60.0, False), (60000.0, True), (0.06, False)])
def test_exposure_times_in_milliseconds_are_told(exposure_time, told):
    frames = [frame(f"s{n}.fits", hours=1.5 * n * MINUTE, exposure_time=exposure_time) for n in range(4)]
    for science in make_plan(frames).science:
        assert ("exposures overlap" in science.bias.warning) == told


def test_chips_that_expose_together_and_a_lone_frame_cost_no_warning():
    numbers = [(n, chip) for n in range(2) for chip in range(62)]
    together = [frame(f"{n}_{c}.fits", hours=(11 * n + 1e-4 * c) * MINUTE, exposure_time=600.0) for n, c in numbers]
    for frames in (together, together[:1], together[:5]):
        assert not any("overlap" in science.bias.warning for science in make_plan(frames).science)
