"""Plan which bias frames and flats gain and read noise are measured in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations

from nightcal.planning.frames import Frame
from nightcal.planning.grouping import average_time, make_names_unique
from nightcal.planning.records import PlannedMaster, Setup


def plan_gains(frames: Sequence[Frame], in_library: Collection[Setup] = ()) -> list[PlannedMaster]:
    """Plan to measure gain and read noise for each night and setup with bias frames and flats.

    Parameters
    ----------
    frames : sequence of Frame
        Usable frames of any number of nights.
    in_library : collection of Setup
        Setups whose gain is known from a library.

    Returns
    -------
    list of PlannedMaster
        If no night of a setup has both, the frames of all its nights are measured together, since the gain is a
        property of the camera, and with those of setups that differ only in keywords that one side lacks; with bias
        frames alone, only the read noise and the step of the ADC.
    """
    nights: dict[Setup, dict[str, list[Frame]]] = defaultdict(lambda: defaultdict(list))
    for frame in frames:
        if frame.kind in ("bias", "dark", "flat"):
            nights[Setup.from_frame(frame)][frame.night].append(frame)
    gains = []
    for setup, by_night in nights.items():
        sets = [_choose_frames(by_night[night]) for night in by_night]
        complete = [chosen for chosen in sets if _has_dark_pair(chosen) and _has_flat_pair(chosen)]
        if not complete and setup not in in_library:
            together = _choose_frames(_join_nights(by_night))
            if not (_has_dark_pair(together) and _has_flat_pair(together)):
                alike = _find_alike(setup, nights)
                together = _choose_frames([frame for one in (setup, *alike) for frame in _join_nights(nights[one])])
            useful = _has_flat_pair(together) or any(frame.kind == "bias" for frame in together)
            complete = [together] if _has_dark_pair(together) and useful else []
        gains += [
            PlannedMaster(
                "gain", f"gain_{setup.name}", chosen[0].night, setup, average_time(chosen), frames=tuple(chosen)
            )
            for chosen in complete
        ]
    return make_names_unique(gains)


def _join_nights(by_night: Mapping[str, list[Frame]]) -> list[Frame]:
    return [frame for night in by_night.values() for frame in night]


def _find_alike(setup: Setup, others: Iterable[Setup]) -> list[Setup]:
    """Find the setups that differ only in keywords that one side lacks; none if they contradict each other."""
    alike = [one for one in others if one != setup and _may_be_alike(one, setup)]
    return alike if all(_may_be_alike(*pair) for pair in combinations(alike, 2)) else []


def _may_be_alike(first: Setup, second: Setup) -> bool:
    return all(difference.is_lack for difference in first.find_differences(second))


def _choose_frames(frames: Sequence[Frame]) -> list[Frame]:
    """Choose bias frames and flats; without bias frames, the darks of the shortest exposure time instead."""
    shortest = min((frame.exposure_time for frame in frames if frame.kind == "dark"), default=0.0)
    has_bias = any(frame.kind == "bias" for frame in frames)
    return [
        frame
        for frame in frames
        if frame.kind in ("bias", "flat") or (frame.kind == "dark" and not has_bias and frame.exposure_time == shortest)
    ]


def _has_dark_pair(frames: Sequence[Frame]) -> bool:
    return sum(frame.kind != "flat" for frame in frames) > 1


def _has_flat_pair(frames: Sequence[Frame]) -> bool:
    filters = Counter((frame.night, frame.filter) for frame in frames if frame.kind == "flat")
    return max(filters.values(), default=0) > 1
