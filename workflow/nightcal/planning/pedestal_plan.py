"""Let the shortest darks serve as bias on nights without bias frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from nightcal.planning.frames import Frame
from nightcal.planning.grouping import average_time, group_darks, make_names_unique, split_by_exposure
from nightcal.planning.matching import Options
from nightcal.planning.pedestal import explain_too_short, is_longer
from nightcal.planning.records import Match, PlannedMaster, Setup
from nightcal.planning.temperature import are_close, choose_temperature

ENOUGH = 3
"""Darks needed to reject outliers; fewer serve only if no longer darks would be left to show the dark current."""


def plan_pedestals(
    frames: Iterable[Frame], options: Options, choose_bias: Callable[[PlannedMaster], Match]
) -> list[PlannedMaster]:
    """Plan a bias of the shortest darks for each night, setup and temperature that has darks but no bias.

    Parameters
    ----------
    frames : iterable of Frame
        Of any type.
    options : Options
    choose_bias : function
        Chooses the bias of darks among those known so far.

    Returns
    -------
    list of PlannedMaster
        Of kind ``bias``, with `pedestal_exposure`. Darks of a single exposure time are not used if another night or a
        library has one of shorter darks: compared with it, they show the dark current.
    """
    tolerance = options.temperature_tolerance
    found: list[PlannedMaster] = []
    alone: list[PlannedMaster] = []
    for darks in group_darks([frame for frame in frames if not frame.has_overscan], tolerance):
        pedestal, has_longer = _plan_pedestal(darks, tolerance)
        known = choose_bias(replace(pedestal, kind="dark", pedestal_exposure=0.0)).master
        if known is None or (known.pedestal_exposure > 0 and has_longer):
            (found if has_longer else alone).append(pedestal)

    def find_shorter(pedestal: PlannedMaster) -> bool:
        """Check whether there is one of shorter darks."""
        temperature = choose_temperature(pedestal, tolerance)
        return any(
            other.setup.values == pedestal.setup.values
            and are_close(choose_temperature(other, tolerance), temperature, tolerance)
            and is_longer(pedestal.pedestal_exposure, other.pedestal_exposure)
            for other in (*found, *alone)
        )

    return make_names_unique([*found, *(pedestal for pedestal in alone if not find_shorter(pedestal))])


def _plan_pedestal(darks: Sequence[Frame], tolerance: float) -> tuple[PlannedMaster, bool]:
    """Plan a bias of the shortest of some darks; also check whether there are longer ones."""
    sets = split_by_exposure(darks)
    chosen = next((alike for alike in sets[:-1] if len(alike) >= ENOUGH), sets[0])
    chosen = sorted(chosen, key=lambda dark: (dark.mjd or 0.0, dark.name))
    first, setup = chosen[0], Setup.from_frame(chosen[0])
    times = [dark.exposure_time for dark in chosen]
    seconds, temperature = sum(times) / len(times), choose_temperature(first, tolerance)
    degrees = "" if temperature is None else f"_{temperature:+.0f}C"
    pedestal = PlannedMaster(
        "bias",
        f"bias_{setup.name}{degrees}_from_darks_{seconds:g}s",
        first.night,
        setup,
        average_time(chosen),
        set_temperature=first.set_temperature,
        temperature=first.temperature,
        exposures=(min(times), max(times)),
        frames=tuple(chosen),
        pedestal_exposure=seconds,
    )
    return pedestal, is_longer(sets[-1][-1].exposure_time, seconds)


def count_from_pedestal(dark: PlannedMaster) -> tuple[PlannedMaster | None, dict[str, str]]:
    """Count the exposure times of darks from those of the darks that serve as their bias.

    Parameters
    ----------
    dark : PlannedMaster
        With its bias.

    Returns
    -------
    dark : PlannedMaster or None
        With `pedestal_exposure`, and without the frames that are not longer; None if none is.
    unused : dict of str to str
        Names of those frames, with the reason.
    """
    bias = dark.bias.master
    if bias is None or bias.pedestal_exposure == 0:
        return dark, {}
    longer = [frame for frame in dark.frames if is_longer(frame.exposure_time, bias.pedestal_exposure)]
    times = [frame.exposure_time for frame in longer]
    unused = {
        frame.name: explain_too_short(frame.exposure_time, bias)
        for frame in dark.frames
        if not is_longer(frame.exposure_time, bias.pedestal_exposure)
    }
    if not longer:
        return None, unused
    counted = replace(
        dark,
        frames=tuple(longer),
        mjd=average_time(longer),
        exposures=(min(times), max(times)),
        pedestal_exposure=bias.pedestal_exposure,
    )
    return counted, unused
