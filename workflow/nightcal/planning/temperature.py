"""Temperatures by which darks are grouped and chosen."""

from __future__ import annotations

from typing import Protocol


class Thermometer(Protocol):
    """What has a set temperature and a measured one [deg C], None where no header tells."""

    @property
    def set_temperature(self) -> float | None:
        """As the observer set it."""

    @property
    def temperature(self) -> float | None:
        """As measured."""


def effective(one: Thermometer, tolerance: float) -> float | None:
    """Temperature that makes the dark current: the set one, or the measured one where the CCD was off it.

    Parameters
    ----------
    one : Thermometer
        A frame, or a master by its first frame.
    tolerance : float
        Largest difference between the two that a regulated CCD has [deg C].

    Returns
    -------
    float or None
        [deg C]. The set one is preferred, for it does not waver from frame to frame; without one, the measured one
        counts; None if neither is known.
    """
    return one.temperature if one.set_temperature is None or off_set_point(one, tolerance) else one.set_temperature


def off_set_point(one: Thermometer, tolerance: float) -> bool:
    """Whether a CCD was farther from its set temperature than the tolerance [deg C]; False where that is unknown."""
    known = one.set_temperature is not None and one.temperature is not None
    return known and not close(one.set_temperature, one.temperature, tolerance)


def close(one: float | None, other: float | None, tolerance: float) -> bool:
    """Whether two temperatures, or their absence, are alike.

    Parameters
    ----------
    one, other : float or None
        [deg C]; None where a header does not tell.
    tolerance : float
        Largest difference [deg C].

    Returns
    -------
    bool
        Two absent ones are alike, one absent and one present are not.
    """
    return one == other or (one is not None and other is not None and abs(one - other) <= tolerance)
