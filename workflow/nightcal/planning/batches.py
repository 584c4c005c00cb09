"""Which science frames one job reduces: those of equal masters, and always the same ones."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from nightcal.planning.frames import Frame
from nightcal.planning.naming import printable
from nightcal.planning.records import Match, Setup

BATCH_SIZE = 50
Previous = Mapping[str, Mapping[str, str]]
"""For each night, the batch of each raw file, by its name in the table."""


@dataclass(frozen=True, slots=True)
class ScienceFrame:
    """One science frame, the name of its product and what calibrates it."""

    frame: Frame
    name: str
    bias: Match
    dark: Match
    flat: Match
    bpm: Match
    measured_gain: Match

    @property
    def setup(self) -> Setup:
        """Setup of the frame."""
        return Setup.of(self.frame)

    @property
    def matches(self) -> tuple[Match, ...]:
        """What calibrates the frame, step by step."""
        return self.bias, self.dark, self.flat, self.bpm, self.measured_gain


@dataclass(frozen=True, slots=True)
class Batch:
    """Science frames that one job reduces with the same masters, in time order."""

    name: str
    night: str
    members: tuple[ScienceFrame, ...]


def make_batches(science: Sequence[ScienceFrame], size: int, previous: Previous) -> tuple[Batch, ...]:
    """Put science frames of equal night, setup, masters and warnings into batches that later frames leave as they are.

    A frame stays in the batch it was in. New ones fill the last batch of their group, then begin others: a frame that
    arrives late is reduced with few others, and never moves what is done already.

    Parameters
    ----------
    science : sequence of ScienceFrame
        In time order.
    size : int
        Largest number of frames in one batch.
    previous : mapping of str to mapping of str to str
        As made before. Where its batches hold frames that no longer fit together, or more than ``size``, those that
        came first stay and the others are taken for new.

    Returns
    -------
    tuple of Batch
        By night and name. Made again with its own result, it is the same.
    """
    nights: dict[str, list[ScienceFrame]] = defaultdict(list)
    for one in science:
        nights[one.frame.night].append(one)
    return tuple(
        batch
        for night in sorted(nights)
        for batch in _of_one_night(night, nights[night], size, previous.get(night, {}))
    )


def _of_one_night(night: str, science: Sequence[ScienceFrame], size: int, previous: Mapping[str, str]) -> list[Batch]:
    ours = re.compile(rf"{night}_(\d{{4,9}})")
    groups = {one.frame.name: _group(one) for one in science}
    members: dict[int, list[ScienceFrame]] = {}
    last: dict[Hashable, int] = {}

    def enter(one: ScienceFrame, number: int) -> None:
        members.setdefault(number, []).append(one)
        last[groups[one.frame.name]] = max(number, last.get(groups[one.frame.name], 0))

    new = []
    for one in science:
        match = ours.fullmatch(previous.get(printable(one.frame.name), ""))
        beside = members.get(int(match[1]), []) if match else []
        if match and len(beside) < size and (not beside or groups[beside[0].frame.name] == groups[one.frame.name]):
            enter(one, int(match[1]))
        else:
            new.append(one)
    for one in new:
        number = last.get(groups[one.frame.name])
        if number is None or len(members[number]) >= size:
            number = max(members, default=0) + 1
        enter(one, number)
    in_time = {one.frame.name: place for place, one in enumerate(science)}
    return [
        Batch(f"{night}_{number:04d}", night, tuple(sorted(members[number], key=lambda one: in_time[one.frame.name])))
        for number in sorted(members)
    ]


def _group(science: ScienceFrame) -> Hashable:
    return (
        science.setup,
        tuple((m.master and (m.master.night, m.master.name, m.master.path), m.warning) for m in science.matches),
    )
