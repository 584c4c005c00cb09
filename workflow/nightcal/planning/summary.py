"""Summarise a night: how many science frames have bias, dark and flat, and what was not done, with the reasons."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nightcal.planning.batches import ScienceFrame
from nightcal.planning.doubts import Doubt, WarningCount, restore_doubts
from nightcal.planning.frames import Frame
from nightcal.planning.matching import NO_DARKS_WANTED, SKIPPED
from nightcal.planning.naming import make_printable
from nightcal.planning.near_misses import explain_missing, find_criterion
from nightcal.planning.plan import REJECTED, STEPS, UNUSED, Entry, Plan
from nightcal.planning.positions import Positions, count_positions
from nightcal.planning.records import Match, PlannedMaster, Setup

FALLBACK_CAMERA = "generic"
"""The camera file that reads usual headers, for cameras without one."""

MOST_VARIANTS = 4
"""Reasons that differ only in numbers and names are listed one by one up to this number."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to a raw frame.

    Attributes
    ----------
    name : str
        As printed in ``plan.csv``.
    kind : str
        Type of the frame; empty if unknown.
    role, reason : str
        As in ``plan.csv``.
    lacks : mapping of str to str
        Steps that are wanted but not applied, each with the reason.
    has_any : bool
        Whether at least the overscan, a bias, a dark or a flat is applied.
    has_mask : bool
        Whether a bad pixel mask is applied.
    remedies : mapping of str to str
        What helps, by step or role: ``check`` for a look at the camera file.
    """

    name: str
    kind: str
    role: str
    reason: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict)
    has_any: bool = True
    has_mask: bool = True
    remedies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Undone:
    """Frames of one type that were rejected, are unused or lack a step, all for the same reason.

    Attributes
    ----------
    what : str
        A step that the frames lack, or their role: ``rejected`` or ``unused``.
    kind : str
        Type of the frames; empty if they differ, or if it is unknown.
    reason : str
        That of the first frame.
    frames : tuple of str
        In time order.
    alike : bool
        Whether all reasons are equal; if not, they differ only in numbers and names.
    remedy : str
        As in `Fate`.
    """

    what: str
    kind: str
    reason: str
    frames: tuple[str, ...]
    alike: bool = True
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class NightSummary:
    """What is done in a night, and what is not.

    Attributes
    ----------
    night : str
    raw : int
        Number of raw frames.
    science : int
        Number of science frames, without those that are rejected or that the observer ignores.
    rejected_science : int
        Number of rejected frames that are known to be science frames.
    having : mapping of str to int
        Number of science frames with bias, dark, flat and bad pixel mask (``bpm``).
    uncalibrated : int
        Number of science frames to which no step was applied, not even the overscan.
    undone : tuple of Undone
        What matters most comes first.
    distrusted : tuple of str
        Sentences about masters that are rejected or doubtful, known only after they are made.
    positions : Positions or None
        How many frames have positions on the sky, known only after they are measured.
    poor : int
        Number of science frames of poor quality, likewise.
    doubts : tuple of Doubt
        Why frames are not good.
    warnings : tuple of WarningCount
        Warnings of science frames.
    """

    night: str
    raw: int
    science: int
    rejected_science: int
    having: Mapping[str, int]
    uncalibrated: int
    undone: tuple[Undone, ...]
    distrusted: tuple[str, ...] = ()
    positions: Positions | None = None
    poor: int = 0
    doubts: tuple[Doubt, ...] = ()
    warnings: tuple[WarningCount, ...] = ()

    @property
    def rejected(self) -> int:
        """Number of rejected frames."""
        return sum(len(group.frames) for group in self.undone if group.what == REJECTED)

    @property
    def skipped(self) -> tuple[Undone, ...]:
        """Steps that were skipped."""
        return tuple(group for group in self.undone if group.what in STEPS)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Calibration frames that exist but cannot be used.

    Attributes
    ----------
    unused : mapping
        Rows of the plan, by type, setup, and filter of flats.
    rejected : mapping of str to int
        Number of rejected frames by type.
    """

    unused: Mapping[tuple[str, Setup, str], Sequence[Entry]]
    rejected: Mapping[str, int]

    @staticmethod
    def from_plan(plan: Plan) -> Unavailable:
        """Take them from a plan."""
        unused: dict[tuple[str, Setup, str], list[Entry]] = defaultdict(list)
        for entry in plan.entries:
            if entry.role == UNUSED and entry.group and entry.frame.kind in STEPS:
                unused[entry.frame.kind, Setup.from_frame(entry.frame), entry.frame.filter].append(entry)
        return Unavailable(unused, Counter(entry.frame.kind for entry in plan.entries if entry.role == REJECTED))

    def find_unused(self, step: str, subject: ScienceFrame | PlannedMaster) -> Sequence[Entry]:
        """Find the frames that would serve, if they could be calibrated themselves."""
        frame = subject.frame if isinstance(subject, ScienceFrame) else subject
        filter_name = frame.filter if step == "flat" else ""
        if exact := self.unused.get((step, subject.setup, filter_name)):
            return exact
        alike = (
            entries
            for (kind, setup, name), entries in self.unused.items()
            if (kind, name) == (step, filter_name)
            and all(difference.is_lack for difference in subject.setup.find_differences(setup))
        )
        return next(alike, ())

    def explain(self, step: str, match: Match, subject: ScienceFrame | PlannedMaster) -> str:
        """Say why a step is skipped."""
        unused, rejected = self.find_unused(step, subject), self.rejected.get(step, 0)
        if unused:
            frames = f"the {len(unused)} {step} frames are" if len(unused) > 1 else f"the only {step} frame is"
            return make_printable(f"{frames} not used ({unused[0].reason})")
        reason = match.reason.removesuffix(SKIPPED)
        nearer = self._find_near_miss(step, subject) if reason.startswith(f"no {step}") else ""
        if nearer and bool(find_criterion(nearer)) >= (": " in reason):
            reason = nearer
        were = f"{rejected} {step} frames were" if rejected > 1 else f"{rejected} {step} frame was"
        if rejected and reason == f"no {step}":
            return f"{were} rejected, and there are no others"
        reason = make_printable(_shorten(reason, step))
        return f"{reason}; {were} rejected" if rejected else reason

    def _find_near_miss(self, step: str, subject: ScienceFrame | PlannedMaster) -> str:
        """Find frames that would not fit, either; empty if there are none."""
        known: dict[Setup, list[PlannedMaster]] = defaultdict(list)
        for (kind, setup, filter_name), entries in self.unused.items():
            if kind == step:
                frames = tuple(entry.frame for entry in entries)
                known[setup].append(PlannedMaster(kind, "", "", setup, 0.0, filter=filter_name, frames=frames))
        frame = subject.frame if isinstance(subject, ScienceFrame) else subject
        return explain_missing(step, subject.setup, frame.filter, known) if known else ""


def _shorten(reason: str, step: str) -> str:
    """Leave out of a reason what the words "without flat" have said already."""
    missing, _, nearest = reason.partition(": ")
    if not missing.startswith(f"no {step}"):
        return reason
    if nearest and (missing == f"no {step}" or find_criterion(nearest)):
        return nearest
    if missing == f"no {step}":
        return f"no {step} frames at hand, nor in a library"
    return f"{missing}, only {nearest}" if nearest and missing.startswith("no flat in filter") else reason


def is_lacking(match: Match) -> bool:
    """Check whether a frame lacks a step that the observer wants."""
    return match.master is None and not match.included and not match.reason.startswith(NO_DARKS_WANTED)


def summarise_plan(plan: Plan, night: str) -> NightSummary:
    """Summarise what will be done, and what will not.

    Parameters
    ----------
    plan : Plan
    night : str

    Returns
    -------
    NightSummary
    """
    science = {item.frame.name: item for item in plan.find_science(night)}
    stacks = {frame.name: master for master in plan.find_masters(night) for frame in master.frames}
    unavailable = Unavailable.from_plan(plan)
    taken = {entry.frame.kind for entry in plan.entries}

    def find_fate(entry: Entry) -> Fate:
        frame = entry.frame
        fate = Fate(make_printable(frame.name), frame.kind, entry.role, make_printable(entry.reason))
        if entry.role == REJECTED:
            return replace(fate, remedies={REJECTED: "check"} if _is_misread(frame) else {})
        subject = science.get(frame.name) or stacks.get(frame.name) if entry.matches else None
        if subject is None:
            return fate
        lacks = {
            step: unavailable.explain(step, match, subject)
            for step, match in entry.matches.items()
            if is_lacking(match)
        }
        has_any = frame.has_overscan or any(match.master for match in entry.matches.values())
        return replace(
            fate,
            lacks=lacks,
            has_any=has_any,
            has_mask=isinstance(subject, ScienceFrame) and subject.bpm.master is not None,
            remedies={step: _find_remedy(step, frame, taken) for step in lacks},
        )

    return summarise_fates(night, map(find_fate, plan.find_entries(night)))


def _is_misread(frame: Frame) -> bool:
    """Check whether a frame was rejected because of its header, and no camera file is made for it."""
    return frame.camera == FALLBACK_CAMERA and not frame.area


def _find_remedy(step: str, frame: Frame, taken: Iterable[str]) -> str:
    """Find what helps: to look at the camera file if such frames exist, but do not fit."""
    return "check" if frame.camera == FALLBACK_CAMERA and step in taken else ""


def complete_summary(
    planned: NightSummary,
    rows: Sequence[Mapping[str, str]],
    products: Mapping[str, Mapping[str, Any]],
    distrusted: Sequence[str] = (),
) -> NightSummary:
    """Summarise what was done, from the headers of the products.

    Parameters
    ----------
    planned : NightSummary
        Before the reduction.
    rows : sequence of mapping
        Rows of ``plan.csv``, with the frames that were rejected during the reduction.
    products : mapping of str to mapping
        Headers by path below the folder of the night.
    distrusted : sequence of str
        Sentences about masters that are rejected or doubtful.

    Returns
    -------
    NightSummary
    """
    known = {(name, group.what): group for group in planned.undone for name in group.frames}

    def find_fate(row: Mapping[str, str]) -> Fate:
        file, header = row["file"], products.get(row["product"])
        fate = Fate(file, row["type"], row["role"], row["reason"])
        if row["role"] == REJECTED:
            remedy = known[file, REJECTED].remedy if (file, REJECTED) in known else ""
            return replace(fate, remedies={REJECTED: remedy})
        if header is None:
            lacks = {step: known[file, step].reason for step in STEPS if (file, step) in known}
            return replace(fate, lacks=lacks, has_any=True)
        skipped = str(header.get("SKIPPED", "")).split(",")
        lacks = {step: known[file, step].reason for step in skipped if (file, step) in known}
        lacks |= {step: _find_trouble(step, row[step], products) for step in skipped if row.get(step)}
        return replace(
            fate,
            lacks=lacks,
            has_any=bool(header.get("OVSCCOR")) or any(header.get(f"{step.upper()}COR") for step in STEPS),
            has_mask=bool(header.get("BPMCOR")),
            remedies={step: known[file, step].remedy for step in lacks if (file, step) in known},
        )

    summary = summarise_fates(planned.night, map(find_fate, rows))
    measured = [products[row["product"]] for row in rows if row["type"] == "science" and row["product"] in products]
    return replace(summary, distrusted=tuple(map(make_printable, distrusted)), positions=count_positions(measured))


def _find_trouble(step: str, master: str, products: Mapping[str, Mapping[str, Any]]) -> str:
    header = products.get(f"masters/{master}.fits", {})
    return make_printable(f"the master {step} is empty ({header['EMPTY']})" if "EMPTY" in header else "not applied")


def summarise_fates(night: str, fates: Iterable[Fate]) -> NightSummary:
    """Summarise what happens to the frames of a night.

    Parameters
    ----------
    night : str
    fates : iterable of Fate
        In time order.

    Returns
    -------
    NightSummary
    """
    fates = tuple(fates)
    science = [fate for fate in fates if fate.kind == "science" and fate.role not in (REJECTED, UNUSED)]
    having = {step: sum(step not in fate.lacks for fate in science) for step in STEPS}
    having["bpm"] = sum(fate.has_mask for fate in science)
    skipped = [(step, fate) for step in STEPS for fate in fates if step in fate.lacks and fate.role != REJECTED]
    undone = [
        *_group([item for item in skipped if item[1].kind == "science"], lambda step, fate: fate.lacks[step]),
        *_group([(REJECTED, fate) for fate in fates if fate.role == REJECTED], lambda _, fate: fate.reason),
    ]
    told = {(group.what, group.reason) for group in undone}  # once: flats lack a dark for the reason science frames do
    of_masters = _group([item for item in skipped if item[1].kind != "science"], lambda step, fate: fate.lacks[step])
    undone += [group for group in of_masters if (group.what, group.reason) not in told]
    undone += _group([(UNUSED, fate) for fate in fates if fate.role == UNUSED], lambda _, fate: fate.reason)
    return NightSummary(
        night,
        len(fates),
        len(science),
        sum(fate.kind == "science" and fate.role == REJECTED for fate in fates),
        having,
        sum(not fate.has_any for fate in science),
        tuple(undone),
    )


def _group(items: Sequence[tuple[str, Fate]], find_reason: Callable[[str, Fate], str]) -> list[Undone]:
    """Join frames with the same reason; the largest groups come first.

    Reasons that differ only in numbers and names are joined, too, if there are many.
    """
    groups: dict[tuple[str, str, str], dict[str, list[Fate]]] = defaultdict(lambda: defaultdict(list))
    for what, fate in items:
        reason, kind = find_reason(what, fate), "" if what == REJECTED else fate.kind
        groups[what, kind, _mask_numbers(reason)][reason].append(fate)
    undone = []
    for (what, kind, _), variants in groups.items():
        if len(variants) > MOST_VARIANTS:
            order = {id(fate): n for n, (_, fate) in enumerate(items)}
            joined = sorted((fate for members in variants.values() for fate in members), key=lambda f: order[id(f)])
            undone.append(_make_group(what, kind, next(iter(variants)), joined, alike=False))
        else:
            undone += [_make_group(what, kind, reason, members) for reason, members in variants.items()]
    ranks = {what: rank for rank, what in enumerate((*STEPS, REJECTED, UNUSED))}
    return sorted(undone, key=lambda group: (ranks[group.what], -len(group.frames)))


def _make_group(what: str, kind: str, reason: str, members: Sequence[Fate], alike: bool = True) -> Undone:
    remedy = next((fate.remedies[what] for fate in members if fate.remedies.get(what)), "")
    return Undone(what, kind, reason, tuple(fate.name for fate in members), alike, remedy)


_FILE = r"[^\s']+\.(?:fits?|fts)(?:\.\w+)?"
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"


def _mask_numbers(reason: str) -> str:
    """Replace what differs from frame to frame: names of FITS files, and numbers that are not part of a word."""
    return re.sub(rf"{_FILE}|(?<![\w.]){_NUMBER}(?![\w.]*[a-z])", "#", reason, flags=re.IGNORECASE)


def write_summary(summary: NightSummary) -> str:
    """Write a summary as JSON."""
    return json.dumps(asdict(summary), indent=1) + "\n"


def read_summary(text: str) -> NightSummary:
    """Read a summary from JSON.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the text is not a summary.
    """
    values = json.loads(text)
    undone = tuple(Undone(**group | {"frames": tuple(group["frames"])}) for group in values.pop("undone"))
    positions = values.pop("positions", None)
    values["distrusted"] = tuple(values["distrusted"])
    values["doubts"] = restore_doubts(values.get("doubts", ()))
    values["warnings"] = tuple(WarningCount(**count) for count in values.get("warnings", ()))
    return NightSummary(
        **values,
        undone=undone,
        positions=None if positions is None else Positions(**positions),
    )
