"""Darks are matched by the set temperature, or the measured one if the CCD was off its set point."""

from types import SimpleNamespace

import pytest
from nightcal.planning.temperature import are_close, choose_temperature, is_off_set_point


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
