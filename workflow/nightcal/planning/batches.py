"""Group science frames into batches, one for each job; a batch stays the same when more frames arrive."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from nightcal.planning.frames import Frame
from nightcal.planning.naming import make_printable
from nightcal.planning.records import Match, Setup

BATCH_SIZE = 50
PreviousBatches = Mapping[str, Mapping[str, str]]
"""For each night, the batch of each raw file, by its name in ``plan.csv``."""


@dataclass(frozen=True, slots=True)
class ScienceFrame:
    """A science frame, the name of its product, and the masters that calibrate it."""

    frame: Frame
    name: str
    bias: Match
    dark: Match
    flat: Match
    bpm: Match
    measured_gain: Match

    @property
    def setup(self) -> Setup:
        """The setup of the frame."""
        return Setup.from_frame(self.frame)

    @property
    def matches(self) -> tuple[Match, ...]:
        """What calibrates the frame, by step."""
        return self.bias, self.dark, self.flat, self.bpm, self.measured_gain


@dataclass(frozen=True, slots=True)
class Batch:
    """Science frames that a job reduces with the same masters, in time order."""

    name: str
    night: str
    members: tuple[ScienceFrame, ...]


def make_batches(science: Sequence[ScienceFrame], size: int, previous: PreviousBatches) -> tuple[Batch, ...]:
    """Put science frames with equal night, setup, masters and warnings into batches.

    A frame stays in its previous batch. New frames first fill the last batch of their group, then begin new ones: a
    late frame causes at most one batch to be reduced again.

    Parameters
    ----------
    science : sequence of ScienceFrame
        In time order.
    size : int
        Largest number of frames in a batch.
    previous : mapping of str to mapping of str to str
        Earlier batches. If the frames of a batch no longer fit together, or exceed ``size``, the first ones stay and
        the others count as new.

    Returns
    -------
    tuple of Batch
        Sorted by night and name. Given its own result as ``previous``, the function returns the same batches.
    """
    nights: dict[str, list[ScienceFrame]] = defaultdict(list)
    for item in science:
        nights[item.frame.night].append(item)
    return tuple(
        batch
        for night in sorted(nights)
        for batch in _make_night_batches(night, nights[night], size, previous.get(night, {}))
    )


def _make_night_batches(
    night: str, science: Sequence[ScienceFrame], size: int, previous: Mapping[str, str]
) -> list[Batch]:
    pattern = re.compile(rf"{night}_(\d{{4,9}})")
    groups = {item.frame.name: _find_group(item) for item in science}
    members: dict[int, list[ScienceFrame]] = {}
    last: dict[Hashable, int] = {}

    def add(item: ScienceFrame, number: int) -> None:
        members.setdefault(number, []).append(item)
        last[groups[item.frame.name]] = max(number, last.get(groups[item.frame.name], 0))

    new = []
    for item in science:
        match = pattern.fullmatch(previous.get(make_printable(item.frame.name), ""))
        others = members.get(int(match[1]), []) if match else []
        if match and len(others) < size and (not others or groups[others[0].frame.name] == groups[item.frame.name]):
            add(item, int(match[1]))
        else:
            new.append(item)
    for item in new:
        number = last.get(groups[item.frame.name])
        if number is None or len(members[number]) >= size:
            number = max(members, default=0) + 1
        add(item, number)
    order = {item.frame.name: n for n, item in enumerate(science)}
    return [
        Batch(f"{night}_{number:04d}", night, tuple(sorted(members[number], key=lambda item: order[item.frame.name])))
        for number in sorted(members)
    ]


def _find_group(science: ScienceFrame) -> Hashable:
    return (
        science.setup,
        tuple(_identify(match) for step in science.matches for match in (step, *step.others)),
    )


def _identify(match: Match) -> Hashable:
    return match.master and (match.master.night, match.master.name, match.master.path), match.warning, match.age
