"""Choose among biases that are made of darks: they contain dark current, so exposure time and temperature matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nightcal.planning.dark_scaling import Span, are_equal, describe_span, same_exposure
from nightcal.planning.records import Match, PlannedMaster
from nightcal.planning.temperature import are_close, choose_temperature
from nightcal.warning_names import name_warning


def keep_suitable(
    biases: Sequence[PlannedMaster], kind: str, exposures: Span, temperature: float | None, tolerance: float
) -> list[PlannedMaster]:
    """Keep the biases that may serve frames: all of bias frames, and those of darks that fit best.

    Parameters
    ----------
    biases : sequence of PlannedMaster
        Of the setup of the frames.
    kind : str
        Type of the frames.
    exposures : (float, float)
        Shortest and longest exposure time of the frames [s].
    temperature : float or None
        Of the frames [deg C].
    tolerance : float
        Largest temperature difference [deg C].

    Returns
    -------
    list of PlannedMaster
        For darks only those of shorter darks at their temperature. For other frames those of darks that are not longer
        than the frames, at their temperature, if there are any; else any, since too much dark current subtracted is
        better than a bias level left.
    """
    made_of_darks = [bias for bias in biases if bias.pedestal_exposure > 0]
    if not made_of_darks:
        return list(biases)
    alike = [bias for bias in made_of_darks if _is_alike(bias, temperature, tolerance)]
    if kind == "dark":
        fitting = [bias for bias in alike if is_longer(exposures[1], bias.pedestal_exposure)]
    else:
        alike = alike or made_of_darks
        fitting = [b for b in alike if not is_longer(b.pedestal_exposure, exposures[0])] or alike
    return [bias for bias in biases if bias.pedestal_exposure == 0 or any(bias is other for other in fitting)]


def is_longer(first: float, second: float) -> bool:
    """Check whether an exposure time [s] is longer than another, by more than 1 percent."""
    return first > second and not same_exposure(first, second)


def warn_of_temperature(bias: PlannedMaster, kind: str, temperature: float | None, tolerance: float) -> str:
    """Warn if a bias is of another temperature [deg C] than frames of a type, and it matters; else an empty string."""
    if _is_alike(bias, temperature, tolerance):
        return ""
    known = choose_temperature(bias, tolerance)
    if bias.pedestal_exposure == 0:
        text = f"bias frames at {known:g} C serve {kind} frames at {temperature:g} C, and no overscan follows the level"
        return name_warning("bias of another temperature", text)
    darks = f"darks of {bias.pedestal_exposure:g} s at {known:g} C"
    text = f"{darks} serve as bias for {kind} frames at {temperature:g} C, whose dark current differs"
    return name_warning("bias made of darks", text)


def _is_alike(bias: PlannedMaster, temperature: float | None, tolerance: float) -> bool:
    known = choose_temperature(bias, tolerance)
    return None in (known, temperature) or are_close(known, temperature, tolerance)


def settle_dark(bias: Match, dark: Match, exposures: Span) -> Match:
    """Settle the dark of frames: none is needed if the bias is made of darks of their exposure time.

    Parameters
    ----------
    bias, dark : Match
        Chosen for the frames.
    exposures : (float, float)
        Shortest and longest exposure time of the frames [s].

    Returns
    -------
    Match
        The dark, or a match without a master that says that the step is done.
    """
    seconds = 0.0 if bias.master is None else bias.master.pedestal_exposure
    if dark.master is not None or seconds == 0:
        return dark
    if are_equal((seconds, seconds), exposures):
        return Match(reason="dark: subtracted with the bias, of the same exposure time", included=True)
    return replace(dark, reason=f"the bias contains the dark current of {seconds:g} s; {dark.reason}")


def explain_too_short(exposure_time: float, bias: PlannedMaster) -> str:
    """Explain why a dark cannot be used with a bias made of darks."""
    span = describe_span((bias.pedestal_exposure, bias.pedestal_exposure))
    return f"a dark of {exposure_time:g} s is not longer than the darks of {span} that serve as bias"
