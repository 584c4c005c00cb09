"""Plan the reduction: which frames are stacked, and which masters calibrate which frame.

Pure functions of records: no file is opened. Each decision carries its reason, so the table that an observer reads and
the jobs that Snakemake runs come from the same plan.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from nightcal.planning.batches import BATCH_SIZE, Batch, PreviousBatches, ScienceFrame, make_batches
from nightcal.planning.chosen_masters import MasterChooser
from nightcal.planning.earlier_masters import Earlier, find_earlier
from nightcal.planning.frames import Frame
from nightcal.planning.gains import plan_gains
from nightcal.planning.grouping import average_time, group_frames, make_names_unique
from nightcal.planning.matching import MasterMatcher, Options
from nightcal.planning.naming import make_printable, name_products
from nightcal.planning.overlaps import warn_of_overlaps
from nightcal.planning.pedestal import settle_dark
from nightcal.planning.pedestal_plan import count_from_pedestal, plan_pedestals
from nightcal.planning.records import Match, PlannedMaster, Setup
from nightcal.planning.temperature import is_off_set_point
from nightcal.planning.unlisted_settings import warn_of_unlisted_settings
from nightcal.planning.user_masks import UserMask, explain_misfit, find_fitting

STEPS = ("bias", "dark", "flat")
UNDATED = "undated"
REJECTED = "rejected"
"""Role of a frame that cannot be used."""
UNUSED = "unused"
"""Role of a frame that is not needed, or from which no master can be made."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of ``plan.csv``: a raw file, its role, masters, product and batch."""

    frame: Frame
    role: str
    group: str
    reason: str
    matches: Mapping[str, Match] = field(default_factory=dict)
    product: str = ""
    batch: str = ""


@dataclass(frozen=True)
class Plan:
    """The plan of the reduction of a set of raw files."""

    entries: tuple[Entry, ...]
    masters: tuple[PlannedMaster, ...]
    science: tuple[ScienceFrame, ...]
    batches: tuple[Batch, ...] = ()
    earlier: Earlier = field(default_factory=dict)

    @property
    def nights(self) -> tuple[str, ...]:
        """Nights with at least one raw file, in order."""
        return tuple(sorted(self._entries_by_night))

    @cached_property
    def _entries_by_night(self) -> Mapping[str, tuple[Entry, ...]]:
        return _group_by_night((entry.frame.night, entry) for entry in self.entries)

    @cached_property
    def _science_by_night(self) -> Mapping[str, tuple[ScienceFrame, ...]]:
        return _group_by_night((science.frame.night, science) for science in self.science)

    @cached_property
    def _batches_by_night(self) -> Mapping[str, tuple[Batch, ...]]:
        return _group_by_night((batch.night, batch) for batch in self.batches)

    @cached_property
    def _masters_by_name(self) -> Mapping[str, Mapping[str, PlannedMaster]]:
        made = _group_by_night((master.night, master) for master in self.masters if master.path is None)
        return {night: {master.name: master for master in masters} for night, masters in made.items()}

    @cached_property
    def _served(self) -> Mapping[tuple[str, str], tuple[ScienceFrame, ...]]:
        found: dict[tuple[str, str], list[ScienceFrame]] = defaultdict(list)
        for science in self.science:
            for match in science.matches:
                if match.master is not None and match.master.path is None:
                    found[match.master.night, match.master.name].append(science)
        return {key: tuple(frames) for key, frames in found.items()}

    def find_served(self, master: PlannedMaster) -> tuple[ScienceFrame, ...]:
        """Find the science frames, of any night, whose first choice is a master that will be made."""
        return self._served.get((master.night, master.name), ())

    def find_entries(self, night: str) -> tuple[Entry, ...]:
        """Find the rows of the raw files of a night."""
        return self._entries_by_night.get(night, ())

    def find_masters(self, night: str) -> tuple[PlannedMaster, ...]:
        """Find the masters that will be made from the frames of a night."""
        return tuple(self._masters_by_name.get(night, {}).values())

    def find_science(self, night: str) -> tuple[ScienceFrame, ...]:
        """Find the science frames of a night that will be reduced."""
        return self._science_by_night.get(night, ())

    def find_batches(self, night: str) -> tuple[Batch, ...]:
        """Find the batches of science frames of a night."""
        return self._batches_by_night.get(night, ())

    def find_master(self, night: str, name: str) -> PlannedMaster:
        """Find a master by night and name.

        Parameters
        ----------
        night : str
            YYYYMMDD, or ``undated``.
        name : str
            File name without suffix.

        Returns
        -------
        PlannedMaster

        Raises
        ------
        KeyError
            If there is no such master.
        """
        return self._masters_by_name.get(night, {})[name]

    def table(self, night: str) -> str:
        """Write the rows of a night as the text of ``plan.csv``."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(map(_make_row, self.find_entries(night)))
        return text.getvalue()


def _group_by_night(pairs: Iterable[tuple[str, T]]) -> dict[str, tuple[T, ...]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for night, item in pairs:
        groups[night].append(item)
    return {night: tuple(items) for night, items in groups.items()}


DEFAULTS = Options()
NO_BATCHES: PreviousBatches = {}

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
    previous: PreviousBatches = NO_BATCHES,
    user_masks: Sequence[UserMask] = (),
    nights: Collection[str] | None = None,
) -> Plan:
    """Plan the reduction of a set of raw files.

    Parameters
    ----------
    frames : sequence of Frame
        From `nightcal.planning.frames.scan`, of any number of nights.
    options : Options
    library : sequence of PlannedMaster
        Masters of other nights; they compete with those of these nights.
    batch_size : int
        Largest number of science frames in a job.
    previous : mapping of str to mapping of str to str
        For nights that were planned before: the batch of each raw file, by its name in the table.
    user_masks : sequence of UserMask
        The observer's bad pixel masks, which are added to the masks of frames of the same size.
    nights : collection of str, optional
        The nights to reduce, from which masters may stand in for a rejected one; None for all.

    Returns
    -------
    Plan
        Independent of the order of the frames.

    Raises
    ------
    ConfigurationError
        If the observer names a master that does not exist.
    """
    frames = assign_nights(sorted(frames, key=lambda frame: (frame.mjd or 0.0, frame.name)))
    usable = [frame for frame in frames if not frame.problem and not frame.is_ignored]
    gains = plan_gains(usable, {master.setup for master in library if master.kind == "gain"})
    library_masks = [master for master in library if master.kind == "bpm"]
    competing = [master for master in library if master.kind != "bpm" or not find_fitting(user_masks, master.setup)]
    choose = MasterChooser(MasterMatcher(options, [*competing, *gains]), [*competing, *gains], nights)

    biases = [replace(m, measured_gain=choose("gain", m)) for m in group_frames("bias", usable, options)]
    choose.add(biases)

    pedestals = plan_pedestals(usable, options, lambda darks: choose("bias", darks))
    pedestals = [replace(m, measured_gain=choose("gain", m)) for m in pedestals]
    choose.add(pedestals)
    biases += pedestals
    in_pedestals = {frame.name for pedestal in pedestals for frame in pedestal.frames}

    darks = group_frames("dark", [frame for frame in usable if frame.name not in in_pedestals], options)
    darks, short_darks = _count_from_pedestals([replace(m, bias=choose("bias", m)) for m in darks])
    darks, unused_darks = _drop_unusable([replace(m, measured_gain=choose("gain", m)) for m in darks])
    choose.add(darks)

    flats = [
        replace(m, bias=(bias := choose("bias", m)), dark=settle_dark(bias, choose("dark", m), m.exposures))
        for m in group_frames("flat", usable, options)
    ]
    flats, unused_flats = _drop_unusable([replace(m, measured_gain=choose("gain", m)) for m in flats])
    choose.add(flats)

    masks = _plan_masks([*biases, *darks, *flats], usable, user_masks, MasterMatcher(options, library_masks))
    choose.add(masks)

    names = name_products([frame for frame in usable if frame.kind == "science"])
    science = [
        ScienceFrame(
            f,
            names[f.name],
            bias := choose("bias", f),
            settle_dark(bias, choose("dark", f), (f.exposure_time, f.exposure_time)),
            choose("flat", f),
            _choose_mask(choose, f, user_masks),
            choose("gain", f),
        )
        for f in usable
        if f.kind == "science"
    ]
    rejected = {s.frame.name: reason for s in science if (reason := _find_rejection(s.matches))}
    science = warn_of_unlisted_settings([s for s in science if s.frame.name not in rejected])
    science = warn_of_overlaps(science, usable)
    masters = (*gains, *biases, *darks, *flats, *masks)
    batches = make_batches(science, batch_size, previous)
    entries = _make_entries(frames, masters, batches, rejected, short_darks | unused_darks | unused_flats, options)
    earlier = find_earlier(masters, library, nights, options.temperature_tolerance)
    return Plan(entries, masters, tuple(science), batches, earlier)


def assign_nights(frames: Sequence[Frame]) -> list[Frame]:
    """Give every unusable file a night, so that the observer sees it in a report.

    That is its own night if it has good frames, else the night of most good frames in the same folder, else the first.
    """
    nights = Counter(frame.night for frame in frames if not frame.problem)
    in_folder: dict[str, Counter[str]] = defaultdict(Counter)
    for frame in frames:
        if not frame.problem:
            in_folder[frame.name.rpartition("/")[0]][frame.night] += 1
    fallback = min(nights) if nights else UNDATED

    def assign_night(frame: Frame) -> Frame:
        if not frame.problem or frame.night in nights:
            return frame
        near = in_folder[frame.name.rpartition("/")[0]]
        night = min(near, key=lambda n: (-near[n], n)) if near else fallback
        return replace(frame, night=night if nights else frame.night or UNDATED)

    return [assign_night(frame) for frame in frames]


def _plan_masks(
    masters: Sequence[PlannedMaster], frames: Sequence[Frame], user_masks: Sequence[UserMask], matcher: MasterMatcher
) -> list[PlannedMaster]:
    """Plan a bad pixel mask for each night and setup with masters; with user masks, also for science frames alone.

    The latter start from the closest mask of another night, which would have been used otherwise.
    """
    groups: dict[tuple[str, Setup], list[PlannedMaster]] = defaultdict(list)
    for master in masters:
        groups[master.night, master.setup].append(master)
    alone: dict[tuple[str, Setup], list[Frame]] = defaultdict(list)
    for frame in frames if user_masks else ():
        if frame.kind == "science" and (frame.night, Setup.from_frame(frame)) not in groups:
            alone[frame.night, Setup.from_frame(frame)].append(frame)
    masks = []
    for (night, setup), own in groups.items():
        found = [*own, *_find_akin(setup, own, [m for m in masters if m.night == night])]
        mjd, known = sum(m.mjd for m in own) / len(own), find_fitting(user_masks, setup)
        name, first = f"bpm_{setup.name}", found[0].frames[:1]
        masks.append(
            PlannedMaster("bpm", name, night, setup, mjd, frames=first, ingredients=tuple(found), user_masks=known)
        )
    for (night, setup), members in alone.items():
        if known := find_fitting(user_masks, setup):
            mjd, name, first = average_time(members), f"bpm_{setup.name}", tuple(members[:1])
            masks.append(PlannedMaster("bpm", name, night, setup, mjd, frames=first, user_masks=known))
    masks = make_names_unique(masks)
    matcher.add(mask for mask in masks if mask.ingredients)
    closest = [None if mask.ingredients else matcher("bpm", mask).master for mask in masks]
    return [replace(m, ingredients=(other,)) if other else m for m, other in zip(masks, closest, strict=True)]


def _find_akin(setup: Setup, own: Sequence[PlannedMaster], others: Sequence[PlannedMaster]) -> list[PlannedMaster]:
    """Find masters of kinds that a setup lacks and that differ from it only in keywords that either side lacks.

    Their rows are in the same order: masters are not turned for a mask.
    """
    kinds, order = {master.kind for master in own}, own[0].frames[0].row_order
    return [
        m
        for m in others
        if m.kind not in kinds
        and len({order, m.frames[0].row_order, ""}) < 3
        and all(d.is_lack for d in setup.find_differences(m.setup))
    ]


def _choose_mask(choose: MasterChooser, frame: Frame, user_masks: Sequence[UserMask]) -> Match:
    """Choose the bad pixel mask of a frame; warn if user masks were given but none has its size."""
    match, missing = choose("bpm", frame), explain_misfit(user_masks, Setup.from_frame(frame))
    return replace(match, warning=missing) if missing else match


def _count_from_pedestals(darks: Sequence[PlannedMaster]) -> tuple[list[PlannedMaster], dict[str, Entry]]:
    """Count exposure times from those of the darks that serve as bias; return rows for darks that are not longer."""
    made: list[PlannedMaster] = []
    rows: dict[str, Entry] = {}
    for dark in darks:
        counted, unused = count_from_pedestal(dark)
        made += [] if counted is None else [counted]
        rows |= {f.name: Entry(f, UNUSED, dark.name, unused[f.name]) for f in dark.frames if f.name in unused}
    return made, rows


def _drop_unusable(masters: Sequence[PlannedMaster]) -> tuple[list[PlannedMaster], dict[str, Entry]]:
    """Drop darks and flats that cannot be calibrated themselves; return the others, and rows for the unused frames."""
    made: list[PlannedMaster] = []
    rows: dict[str, Entry] = {}
    for master in masters:
        reason = _find_rejection(master.matches)
        if not reason and master.bias.master is None and not all(frame.has_overscan for frame in master.frames):
            reason = NO_PEDESTAL[master.kind]
        if reason:
            rows |= {frame.name: Entry(frame, UNUSED, master.name, reason) for frame in master.frames}
        else:
            made.append(master)
    return made, rows


NO_PEDESTAL = {
    "dark": "no bias and no overscan: the bias level would be scaled like dark current",
    "flat": "no bias and no overscan: the bias level would be counted as signal",
}


def _find_rejection(matches: Sequence[Match]) -> str:
    return next((match.reason for match in matches if match.rejected), "")


def _make_entries(
    frames: Sequence[Frame],
    masters: Sequence[PlannedMaster],
    batches: Sequence[Batch],
    rejected: Mapping[str, str],
    unused: Mapping[str, Entry],
    options: Options,
) -> tuple[Entry, ...]:
    stacked = {f.name: m for m in masters if m.kind in STEPS for f in m.frames}
    reduced = {science.frame.name: (batch.name, science) for batch in batches for science in batch.members}

    def entry(frame: Frame) -> Entry:
        if frame.override is None:
            return decide(frame)
        if frame.override.ignored:
            return Entry(frame, UNUSED, "", frame.override.ignored)
        found = decide(frame)
        return replace(found, reason=f"{found.reason}; {frame.override.remark}")

    def decide(frame: Frame) -> Entry:
        if frame.problem:
            return Entry(frame, REJECTED, "", frame.problem)
        if frame.name in rejected:
            return Entry(frame, REJECTED, Setup.from_frame(frame).name, rejected[frame.name])
        if frame.name in unused:
            return unused[frame.name]
        if frame.name in stacked:
            master = stacked[frame.name]
            wanted = {"bias": (), "dark": ("bias",), "flat": ("bias", "dark")}[master.kind]
            matches = {step: getattr(master, step) for step in wanted}
            few = ": too few to reject outliers" if len(master.frames) < 3 else ""
            serves = [f"serves as bias with the dark current of {frame.exposure_time:g} s, for lack of bias frames"]
            reasons = [f"in a stack of {len(master.frames)}{few}", *(serves if frame.kind != master.kind else ())]
            reasons += [*(match.explanation for match in matches.values())]
            reasons += [*master.warnings, *_make_remarks(frame, options)]
            return Entry(frame, "stacked", master.name, "; ".join(reasons), matches, f"masters/{master.name}.fits")
        if frame.name in reduced:
            batch, science = reduced[frame.name]
            matches = {step: getattr(science, step) for step in STEPS}
            reasons = [*(match.explanation for match in matches.values()), science.bpm.warning]
            reason = "; ".join(filter(None, [*reasons, *_make_remarks(frame, options)]))
            return Entry(frame, "reduced", science.setup.name, reason, matches, f"science/{science.name}.fits", batch)
        return Entry(frame, UNUSED, "", "neither a calibration frame nor a science frame")

    return tuple(sorted(map(entry, frames), key=lambda e: (e.frame.mjd or 0.0, e.frame.name)))


def _make_remarks(frame: Frame, options: Options) -> list[str]:
    remarks = list(frame.warnings)
    if is_off_set_point(frame, options.temperature_tolerance):
        remarks.append(f"CCD at {frame.temperature:.1f} C, set to {frame.set_temperature:.1f} C")
    return remarks


def _make_row(entry: Entry) -> list[str]:
    frame = entry.frame
    row = [
        make_printable(frame.name),
        frame.night,
        frame.camera,
        frame.kind,
        f"{frame.exposure_time:g}" if frame.kind and frame.mjd is not None else "",
        make_printable(frame.filter),
        f"{frame.mjd:.6f}" if frame.mjd is not None else "",
        entry.group,
        entry.role,
    ]
    for step in STEPS:
        match = entry.matches.get(step, Match())
        found = match.master is not None and match.gap_hours is not None
        row += [match.master.name, f"{match.gap_hours:.2f}"] if found and match.master else ["", ""]
    return [*row, entry.batch, entry.product, make_printable(entry.reason)]
