"""Warn of exposure times that cannot be in seconds, since the next frames began long before they were over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from nightcal.planning.batches import ScienceFrame
from nightcal.planning.frames import SECONDS_A_DAY, Frame
from nightcal.warning_names import name_warning

TOO_LONG = 100.0
"""Exposure times that add up to this many times the time in which they were taken are told."""

TOGETHER = 5.0
"""Frames that began within this are of chips that expose together: the longest counts [s]."""

SHORTEST = 60.0
"""Time from first to last frame below which nothing is said [s]."""

Key = tuple[str, str, str]


def warn_of_overlaps(science: Sequence[ScienceFrame], frames: Iterable[Frame]) -> list[ScienceFrame]:
    """Warn where the exposure times of a camera and night are far longer than the time from frame to frame.

    Parameters
    ----------
    science : sequence of ScienceFrame
    frames : iterable of Frame
        All usable frames, of any type.

    Returns
    -------
    list of ScienceFrame
        The same, with warnings.
    """
    groups: dict[Key, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[_name_series(frame)].append(frame)
    overlapping = {key for key, members in groups.items() if _overlap(members)}
    return [_warn(item) if _name_series(item.frame) in overlapping else item for item in science]


def _name_series(frame: Frame) -> Key:
    return frame.camera, frame.instrument, frame.night


def _overlap(frames: Iterable[Frame]) -> bool:
    longest: dict[int, float] = defaultdict(float)
    for frame in frames:
        if frame.mjd is not None:
            start = round((frame.mjd * SECONDS_A_DAY - 0.5 * frame.exposure_time) / TOGETHER)
            longest[start] = max(longest[start], frame.exposure_time)
    if not longest:
        return False
    elapsed = (max(longest) - min(longest)) * TOGETHER
    total = sum(exposure_time for start, exposure_time in longest.items() if start != max(longest))
    return elapsed > SHORTEST and total > TOO_LONG * elapsed


def _warn(item: ScienceFrame) -> ScienceFrame:
    text = name_warning(
        "exposures overlap", "by their exposure times frames began long before those before were over: in milliseconds?"
    )
    return replace(item, bias=replace(item.bias, warning="; ".join(filter(None, [item.bias.warning, text]))))
