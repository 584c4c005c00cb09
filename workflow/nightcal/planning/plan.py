"""Which frames are stacked, and which master serves which frame: pure functions of records.

Nothing here opens a file. The reasons for each choice and refusal travel with it, so that the table an observer reads
and the graph that Snakemake runs are the same thing.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from nightcal.planning.batches import BATCH_SIZE, Batch, Previous, ScienceFrame, make_batches
from nightcal.planning.frames import Frame
from nightcal.planning.grouping import _mean_time, _stacks, _uniquely_named
from nightcal.planning.matching import EMPTY, MasterMatcher, Options
from nightcal.planning.naming import printable, product_names
from nightcal.planning.records import Match, PlannedMaster, Setup
from nightcal.planning.temperature import off_set_point
from nightcal.planning.user_masks import UserMask, fitting, without

STEPS = ("bias", "dark", "flat")
UNDATED = "undated"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the plan's table: a raw file, its role, its masters, the file it ends in, and the batch it is in."""

    frame: Frame
    role: str
    group: str
    reason: str
    matches: Mapping[str, Match] = field(default_factory=dict)
    product: str = ""
    batch: str = ""


@dataclass(frozen=True)
class Plan:
    """Everything that will be done with a set of raw files."""

    entries: tuple[Entry, ...]
    masters: tuple[PlannedMaster, ...]
    science: tuple[ScienceFrame, ...]
    batches: tuple[Batch, ...] = ()

    @property
    def nights(self) -> tuple[str, ...]:
        """Nights with at least one raw file, in order."""
        return tuple(sorted(self._entries_by_night))

    @cached_property
    def _entries_by_night(self) -> Mapping[str, tuple[Entry, ...]]:
        return _by_night((entry.frame.night, entry) for entry in self.entries)

    @cached_property
    def _science_by_night(self) -> Mapping[str, tuple[ScienceFrame, ...]]:
        return _by_night((science.frame.night, science) for science in self.science)

    @cached_property
    def _batches_by_night(self) -> Mapping[str, tuple[Batch, ...]]:
        return _by_night((batch.night, batch) for batch in self.batches)

    @cached_property
    def _masters_by_name(self) -> Mapping[str, Mapping[str, PlannedMaster]]:
        made = _by_night((master.night, master) for master in self.masters if master.path is None)
        return {night: {master.name: master for master in masters} for night, masters in made.items()}

    def entries_of(self, night: str) -> tuple[Entry, ...]:
        """Rows of the raw files of a night."""
        return self._entries_by_night.get(night, ())

    def masters_of(self, night: str) -> tuple[PlannedMaster, ...]:
        """Masters that will be made from the frames of a night."""
        return tuple(self._masters_by_name.get(night, {}).values())

    def science_of(self, night: str) -> tuple[ScienceFrame, ...]:
        """Science frames of a night that will be reduced."""
        return self._science_by_night.get(night, ())

    def batches_of(self, night: str) -> tuple[Batch, ...]:
        """Science frames of a night, by the job that reduces them; those of one batch share setup and warnings."""
        return self._batches_by_night.get(night, ())

    def set_aside(self, night: str) -> tuple[Entry, ...]:
        """Rows of the frames of a night that cannot be used."""
        return tuple(entry for entry in self.entries_of(night) if entry.role == "set aside")

    def master(self, night: str, name: str) -> PlannedMaster:
        """Look a master up by night and name.

        Parameters
        ----------
        night : str
            YYYYMMDD, or ``undated``.
        name : str
            Stem of the file name.

        Returns
        -------
        PlannedMaster

        Raises
        ------
        KeyError
            If there is none.
        """
        return self._masters_by_name.get(night, {})[name]

    def table(self, night: str) -> str:
        """Rows of a night as the text of ``plan.csv``."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(map(_row, self.entries_of(night)))
        return text.getvalue()


def _by_night(pairs: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    found: dict[str, list[T]] = defaultdict(list)
    for night, one in pairs:
        found[night].append(one)
    return {night: tuple(ones) for night, ones in found.items()}


DEFAULTS = Options()
NO_BATCHES: Previous = {}

COLUMNS = (
    "file", "night", "camera", "type", "exposure", "filter", "mjd_mid", "group", "role",
    "bias", "bias_gap_hours", "dark", "dark_gap_hours", "flat", "flat_gap_hours", "batch", "product",
    "reason",
)  # fmt: skip
"""Columns of ``plan.csv``."""


def make_plan(
    frames: Sequence[Frame],
    options: Options = DEFAULTS,
    library: Sequence[PlannedMaster] = (),
    batch_size: int = BATCH_SIZE,
    previous: Previous = NO_BATCHES,
    user_masks: Sequence[UserMask] = (),
) -> Plan:
    """Plan the reduction of a set of raw files.

    Parameters
    ----------
    frames : sequence of Frame
        As `nightcal.planning.frames.scan` found them, of one night or many.
    options : Options
    library : sequence of PlannedMaster
        Masters of other nights; they compete with those of these nights.
    batch_size : int
        Science frames that one job reduces; 1 or more.
    previous : mapping of str to mapping of str to str
        For nights that were planned before: the batch that each raw file was in, by its name in the table.
    user_masks : sequence of UserMask
        Bad pixel masks of the observer, which are added to those of the nights whose frames they fit.

    Returns
    -------
    Plan
        The same for any order of the frames.
    """
    frames = _with_nights(sorted(frames, key=lambda frame: (frame.mjd or 0.0, frame.name)))
    usable = [frame for frame in frames if not frame.problem]
    gains = _gain_measurements(usable)
    of_old = [master for master in library if master.kind == "bpm"]
    served = [master for master in library if master.kind != "bpm" or not fitting(user_masks, master.setup)]
    choose = MasterMatcher(options, [*served, *gains])

    biases = _stacks("bias", usable, options)
    choose.among(biases := [replace(m, measured_gain=choose("gain", m)) for m in biases])

    darks, unusable = _usable(
        [replace(m, bias=choose("bias", m), measured_gain=choose("gain", m)) for m in _stacks("dark", usable, options)]
    )
    choose.among(darks)

    flats, dim = _usable(
        [
            replace(m, bias=choose("bias", m), dark=choose("dark", m), measured_gain=choose("gain", m))
            for m in _stacks("flat", usable, options)
        ]
    )
    choose.among(flats)
    masks = _bad_pixel_masks([*biases, *darks, *flats], usable, user_masks, MasterMatcher(options, of_old))
    choose.among(masks)

    names = product_names([frame for frame in usable if frame.kind == "science"])
    science = [
        ScienceFrame(
            f,
            names[f.name],
            choose("bias", f),
            choose("dark", f),
            choose("flat", f),
            _mask(choose, f, user_masks),
            choose("gain", f),
        )
        for f in usable
        if f.kind == "science"
    ]
    refused = {s.frame.name: reason for s in science if (reason := _refusal(s.matches))}
    science = [s for s in science if s.frame.name not in refused]
    masters = (*gains, *biases, *darks, *flats, *masks)
    batches = make_batches(science, batch_size, previous)
    entries = _entries(frames, masters, batches, refused, unusable | dim, options)
    return Plan(entries, masters, tuple(science), batches)


def _with_nights(frames: Sequence[Frame]) -> list[Frame]:
    """Give every unusable file a night in which the observer will see it.

    That is its own if good frames were taken then, else that of most good frames beside it, else the first.
    """
    nights = Counter(frame.night for frame in frames if not frame.problem)
    beside: dict[str, Counter[str]] = defaultdict(Counter)
    for frame in frames:
        if not frame.problem:
            beside[frame.name.rpartition("/")[0]][frame.night] += 1
    fallback = min(nights) if nights else UNDATED

    def placed(frame: Frame) -> Frame:
        if not frame.problem or frame.night in nights:
            return frame
        near = beside[frame.name.rpartition("/")[0]]
        night = min(near, key=lambda n: (-near[n], n)) if near else fallback
        return replace(frame, night=night if nights else frame.night or UNDATED)

    return [placed(frame) for frame in frames]


def _gain_measurements(frames: Sequence[Frame]) -> list[PlannedMaster]:
    """Measurements of gain and read noise for the setups and nights whose headers do not tell both."""
    groups: dict[tuple[str, Setup], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.night, Setup.of(frame)].append(frame)
    return _uniquely_named(
        [
            PlannedMaster("gain", f"gain_{setup.name}", night, setup, _mean_time(pairs), frames=tuple(pairs))
            for (night, setup), members in groups.items()
            if any(frame.gain is None or frame.read_noise is None for frame in members)
            and sum(frame.kind == "bias" for frame in members) > 1
            and (pairs := [frame for frame in members if frame.kind in ("bias", "flat")])
        ]
    )


def _bad_pixel_masks(
    masters: Sequence[PlannedMaster], frames: Sequence[Frame], user_masks: Sequence[UserMask], of_others: MasterMatcher
) -> list[PlannedMaster]:
    """One for each night and setup with masters; with a user mask, for those with science frames only, too.

    The latter begin with the closest mask of another night, which would have served them otherwise.
    """
    groups: dict[tuple[str, Setup], list[PlannedMaster]] = defaultdict(list)
    for master in masters:
        groups[master.night, master.setup].append(master)
    alone: dict[tuple[str, Setup], list[Frame]] = defaultdict(list)
    for frame in frames if user_masks else ():
        if frame.kind == "science" and (frame.night, Setup.of(frame)) not in groups:
            alone[frame.night, Setup.of(frame)].append(frame)
    masks = []
    for (night, setup), found in groups.items():
        mjd, known = sum(m.mjd for m in found) / len(found), fitting(user_masks, setup)
        name, first = f"bpm_{setup.name}", found[0].frames[:1]
        masks.append(
            PlannedMaster("bpm", name, night, setup, mjd, frames=first, ingredients=tuple(found), user_masks=known)
        )
    for (night, setup), members in alone.items():
        if known := fitting(user_masks, setup):
            mjd, name, first = _mean_time(members), f"bpm_{setup.name}", tuple(members[:1])
            masks.append(PlannedMaster("bpm", name, night, setup, mjd, frames=first, user_masks=known))
    masks = _uniquely_named(masks)
    of_others.among(mask for mask in masks if mask.ingredients)
    return [mask if mask.ingredients else replace(mask, ingredients=_found(of_others("bpm", mask))) for mask in masks]


def _found(match: Match) -> tuple[PlannedMaster, ...]:
    return () if match.master is None else (match.master,)


def _mask(choose: MasterMatcher, frame: Frame, user_masks: Sequence[UserMask]) -> Match:
    """Choose the bad pixel mask of a frame; warn if user masks were given and none of them fits."""
    match, missing = choose("bpm", frame), without(user_masks, Setup.of(frame))
    return replace(match, warning=missing) if missing else match


def _usable(masters: Sequence[PlannedMaster]) -> tuple[list[PlannedMaster], dict[str, Entry]]:
    """Separate darks and flats that can be made from those that would mislead, with a row for each frame of these."""
    made: list[PlannedMaster] = []
    rows: dict[str, Entry] = {}
    for master in masters:
        reason = _refusal(master.matches)
        if not reason and master.bias.master is None and not all(frame.has_overscan for frame in master.frames):
            reason = NO_PEDESTAL[master.kind]
        if reason:
            rows |= {frame.name: Entry(frame, "unused", master.name, reason) for frame in master.frames}
        else:
            made.append(master)
    return made, rows


NO_PEDESTAL = {
    "dark": "no bias to take off and no overscan: its bias level would be scaled like dark current",
    "flat": "no bias to take off and no overscan: its bias level would be taken for light",
}


def _refusal(matches: Sequence[Match]) -> str:
    return next((match.reason for match in matches if match.master is None and match.warning == EMPTY), "")


def _entries(
    frames: Sequence[Frame],
    masters: Sequence[PlannedMaster],
    batches: Sequence[Batch],
    refused: Mapping[str, str],
    unused: Mapping[str, Entry],
    options: Options,
) -> tuple[Entry, ...]:
    stacked = {f.name: m for m in masters if m.kind in STEPS for f in m.frames}
    reduced = {science.frame.name: (batch.name, science) for batch in batches for science in batch.members}

    def entry(frame: Frame) -> Entry:
        if frame.problem:
            return Entry(frame, "set aside", "", frame.problem)
        if frame.name in refused:
            return Entry(frame, "set aside", Setup.of(frame).name, refused[frame.name])
        if frame.name in unused:
            return unused[frame.name]
        if frame.name in stacked:
            master = stacked[frame.name]
            wanted = {"bias": (), "dark": ("bias",), "flat": ("bias", "dark")}[master.kind]
            matches = {step: getattr(master, step) for step in wanted}
            reasons = [
                f"one of {len(master.frames)}" + (": too few to reject outliers" if len(master.frames) < 3 else "")
            ]
            reasons += [*(match.reason for match in matches.values()), *_remarks(frame, options)]
            return Entry(frame, "stacked", master.name, "; ".join(reasons), matches, f"masters/{master.name}.fits")
        if frame.name in reduced:
            batch, science = reduced[frame.name]
            matches = {step: getattr(science, step) for step in STEPS}
            warned = [science.bpm.warning] * bool(science.bpm.warning)
            reason = "; ".join([*(match.reason for match in matches.values()), *warned, *_remarks(frame, options)])
            return Entry(frame, "reduced", science.setup.name, reason, matches, f"science/{science.name}.fits", batch)
        return Entry(frame, "unused", "", "neither a calibration nor a science frame")

    return tuple(sorted(map(entry, frames), key=lambda e: (e.frame.mjd or 0.0, e.frame.name)))


def _remarks(frame: Frame, options: Options) -> list[str]:
    if not off_set_point(frame, options.temperature_tolerance):
        return []
    return [f"CCD at {frame.temperature:.1f} C, set to {frame.set_temperature:.1f} C"]


def _row(entry: Entry) -> list[str]:
    frame = entry.frame
    row = [
        printable(frame.name),
        frame.night,
        frame.camera,
        frame.kind,
        f"{frame.exposure_time:g}" if frame.kind else "",
        printable(frame.filter),
        f"{frame.mjd:.6f}" if frame.mjd is not None else "",
        entry.group,
        entry.role,
    ]
    for step in STEPS:
        match = entry.matches.get(step, Match())
        found = match.master is not None and match.gap_hours is not None
        row += [match.master.name, f"{match.gap_hours:.2f}"] if found and match.master else ["", ""]
    return [*row, entry.batch, entry.product, printable(entry.reason)]
