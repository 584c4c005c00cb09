"""Temperatures by which darks are grouped and chosen."""

from __future__ import annotations

from typing import Protocol


class Thermometer(Protocol):
    """A frame or master with a set and a measured temperature [deg C]; None if unknown."""

    @property
    def set_temperature(self) -> float | None:
        """Set point."""

    @property
    def temperature(self) -> float | None:
        """Measured temperature."""


def choose_temperature(frame: Thermometer, tolerance: float) -> float | None:
    """Choose the temperature that determines the dark current.

    Parameters
    ----------
    frame : Thermometer
        A frame or a master.
    tolerance : float
        Largest difference between set and measured temperature of a regulated CCD [deg C].

    Returns
    -------
    float or None
        The set temperature, which does not fluctuate from frame to frame; the measured one if there is no set
        temperature or the CCD was off it; None if neither is known [deg C].
    """
    if frame.set_temperature is None or is_off_set_point(frame, tolerance):
        return frame.temperature
    return frame.set_temperature


def is_off_set_point(frame: Thermometer, tolerance: float) -> bool:
    """Check whether the CCD was off its set temperature by more than the tolerance [deg C]; False if unknown."""
    known = frame.set_temperature is not None and frame.temperature is not None
    return known and not are_close(frame.set_temperature, frame.temperature, tolerance)


def depends_on_temperature(kind: str, has_overscan: bool) -> bool:
    """Check whether masters of a kind serve one temperature: darks do, and biases whose level no overscan follows."""
    return kind == "dark" or (kind == "bias" and not has_overscan)


def are_close(first: float | None, second: float | None, tolerance: float) -> bool:
    """Check whether two temperatures [deg C] differ by at most the tolerance; None is close to None only."""
    return first == second or (first is not None and second is not None and abs(first - second) <= tolerance)
