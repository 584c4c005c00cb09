"""List the calibration frames that should still be taken before the night ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from nightcal.planning.batches import ScienceFrame
from nightcal.planning.dark_scaling import amplification
from nightcal.planning.matching import Options
from nightcal.planning.naming import make_printable
from nightcal.planning.plan import STEPS, Plan
from nightcal.planning.records import UNNAMED, Match, Setup
from nightcal.planning.summary import Unavailable, is_lacking
from nightcal.planning.temperature import choose_temperature, depends_on_temperature

ENOUGH = {"bias": 10, "dark": 5, "flat": 5}
"""Number of frames of a good master."""

NONE_FITS, DOUBTFUL, FEW = range(3)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Calibration frames to take.

    Attributes
    ----------
    rank : int
        ``NONE_FITS`` before ``DOUBTFUL`` (the best one is too old, or differs) before ``FEW`` (the set is small).
    kind : str
    number : int
        How many to take, besides those that exist.
    which : str
        Filter, or exposure time and temperature.
    setup : str
        Size, binning and read-out mode.
    science : int
        Number of science frames that need them.
    why : str
    """

    rank: int
    kind: str
    number: int
    which: str
    setup: str
    science: int
    why: str


def list_wanted(plan: Plan, night: str, options: Options) -> list[Wanted]:
    """List the calibration frames that the science frames of a night lack.

    Parameters
    ----------
    plan : Plan
    night : str
    options : Options
        With which the plan was made.

    Returns
    -------
    list of Wanted
        The most important ones first.
    """
    unavailable = Unavailable.from_plan(plan)
    wanted: list[Wanted] = []
    for step in STEPS:
        groups: dict[Hashable, list[ScienceFrame]] = defaultdict(list)
        for item in plan.find_science(night):
            groups[_find_need(step, item, options)].append(item)
        for members in groups.values():
            if not unavailable.find_unused(step, members[0]):  # those wait for other frames, which are listed
                wanted += _judge(step, members, options, unavailable)
    return sorted(wanted, key=lambda item: (item.rank, -item.science, STEPS.index(item.kind), item.which))


def _find_need(step: str, item: ScienceFrame, options: Options) -> Hashable:
    """Find what the frames that share a master have in common."""
    frame = item.frame
    if step == "flat":
        return item.setup, frame.filter
    if not depends_on_temperature(step, item.setup.has_overscan):
        return item.setup
    exact = step == "dark" and options.darks.find_scaling(item.setup.camera) == "exact"
    temperature = choose_temperature(frame, options.temperature_tolerance)
    steps = max(options.temperature_tolerance, 0.5)
    rounded = None if temperature is None else round(temperature / steps)
    return item.setup, rounded, f"{frame.exposure_time:.3g}" if exact else ""


def _judge(step: str, members: Sequence[ScienceFrame], options: Options, unavailable: Unavailable) -> Iterator[Wanted]:
    """Say what a group of science frames lacks in a step, if anything."""
    which, setup = _describe_need(step, members, options), describe_setup(members[0].setup)
    matches: list[tuple[ScienceFrame, Match]] = [(item, getattr(item, step)) for item in members]
    lacking = [(item, match) for item, match in matches if is_lacking(match)]
    doubts = [doubt for item, match in matches if (doubt := _find_doubt(step, item, match))]
    sizes = [len(match.master.frames) for _, match in matches if match.master and match.master.frames]
    small = [size for size in sizes if size < ENOUGH[step]]
    if lacking:
        item, match = lacking[0]
        reason = unavailable.explain(step, match, item)
        yield Wanted(NONE_FITS, step, ENOUGH[step], which, setup, len(lacking), reason)
    elif doubts:
        yield Wanted(DOUBTFUL, step, ENOUGH[step], which, setup, len(doubts), doubts[0])
    elif small:
        few = f"there {'is' if min(small) == 1 else 'are'} only {min(small)}"
        yield Wanted(FEW, step, ENOUGH[step] - min(small), which, setup, len(small), few)


def _find_doubt(step: str, item: ScienceFrame, match: Match) -> str:
    """Say why a master serves only for want of a better one; empty if it is good."""
    if match.master is None:
        return ""
    if step == "dark" and item.frame.exposure_time > 0:
        longest = match.master.exposures
        factor = amplification(
            longest, (item.frame.exposure_time, item.frame.exposure_time), match.master.pedestal_exposure
        )
        if factor > 1:
            return f"the longest dark is of {longest[1]:g} s"
    return make_printable("; ".join(text for text in match.warning.split("; ") if text and OFF_SET_POINT not in text))


OFF_SET_POINT = "off its set temperature"  # of the science frame itself: a dark at that temperature serves it


def _describe_need(step: str, members: Sequence[ScienceFrame], options: Options) -> str:
    if step == "flat":
        name = members[0].frame.filter
        return f" in {make_printable(name)}" if name else " without filter"
    if not depends_on_temperature(step, members[0].setup.has_overscan):
        return ""
    longest = max((item.frame for item in members), key=lambda frame: frame.exposure_time)
    temperature = choose_temperature(longest, options.temperature_tolerance)
    exposure = f" of {longest.exposure_time:g} s" if step == "dark" else ""
    return exposure + ("" if temperature is None else f" at {temperature:.0f} C")


def describe_setup(setup: Setup) -> str:
    """Describe how the frames of a setup are read out."""
    rows, columns = setup.shape
    parts = [f"{columns} x {rows} pixels", f"binning {setup.binning[0]} x {setup.binning[1]}"]
    named = [setting for setting in setup.settings if setting.label not in UNNAMED and setting.text]
    parts += [f"{setting.cards[0][0]} {' '.join(setting.values)}" for setting in named]
    return make_printable(", ".join(parts))


def describe_wanted(item: Wanted) -> str:
    """Say in a line which frames to take, and why."""
    more = "more " if item.rank == FEW else ""
    plural = "s" if item.number > 1 else ""
    science = f"{item.science} science frame{'s' if item.science > 1 else ''}"
    return f"{item.number} {more}{item.kind} frame{plural}{item.which} ({item.setup}), for {science}: {item.why}"
