"""Find raw files that hold an exposure a second time; stacking both would make the uncertainties too small."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from nightcal.io.date_formats import SECONDS_A_DAY
from nightcal.io.raw_header import strip_suffix

if TYPE_CHECKING:
    from nightcal.planning.frames import Frame

OF_THE_FILE = ("path", "name", "content", "override")
"""Attributes of a frame in which two files of one exposure may differ."""


def reject_copies(frames: Sequence[Frame]) -> list[Frame]:
    """Reject a second file of the same exposure: compressed next to uncompressed, or a copy in another folder.

    A copy of another name is rejected if its time has fractions of a second and its content is the same.

    Parameters
    ----------
    frames : sequence of Frame
        Of two files of an exposure, the first serves.

    Returns
    -------
    list of Frame
        The same, copies with a ``problem``.
    """
    if not frames:
        return []
    describe = attrgetter(*(attribute.name for attribute in fields(frames[0]) if attribute.name not in OF_THE_FILE))
    named: dict[Hashable, str] = {}
    alike: dict[Hashable, list[Frame]] = defaultdict(list)
    problems: dict[str, str] = {}
    for frame in frames:
        if frame.problem or frame.is_ignored:
            continue
        exposure = describe(frame)
        original = named.setdefault((strip_suffix(frame.path.name).lower(), exposure), frame.name)
        if original != frame.name:
            problems[frame.name] = f"copy of {original}: same name, type, time and exposure time"
        elif _has_fraction(frame):
            alike[exposure].append(frame)
    for group in alike.values():
        problems |= {
            copy.name: f"copy of {original.name}: the same file under another name"
            for original, copy in _find_equal_files(group)
        }
    return [replace(frame, problem=problems[frame.name]) if frame.name in problems else frame for frame in frames]


def _has_fraction(frame: Frame) -> bool:
    """Check whether the start of an exposure has fractions of a second, which two exposures seldom share."""
    seconds = (frame.mjd or 0.0) * SECONDS_A_DAY - 0.5 * frame.exposure_time
    return abs(seconds - round(seconds)) > 1e-4


def _find_equal_files(frames: Sequence[Frame]) -> Iterator[tuple[Frame, Frame]]:
    """Yield pairs of frames whose files have the same content; the second is a copy of the first."""
    if len(frames) < 2:
        return
    first: dict[Hashable, Frame] = {}
    for frame in frames:
        try:
            original = first.setdefault(frame.content, frame)
            if original is not frame and filecmp.cmp(original.path, frame.path, shallow=False):
                yield original, frame
        except OSError:  # the job that reads the file will give the reason
            continue
