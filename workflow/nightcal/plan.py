"""Which frames are stacked, and which master serves which frame: pure functions of records.

Nothing here opens a file. The reasons for each choice and refusal travel with it, so that the table an observer reads
and the graph that Snakemake runs are the same thing.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from nightcal.camera import MJD_ZERO
from nightcal.frames import Frame
from nightcal.headers import SUFFIXES

STEPS = ("bias", "dark", "flat")
UNDATED = "undated"
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Setup:
    """What frames must share before one may calibrate another."""

    camera: str
    instrument: str
    binning: tuple[int, int]
    mode: str
    shape: tuple[int, int]

    @classmethod
    def of(cls, frame: Frame) -> Setup:
        """Take the setup from a frame."""
        return cls(frame.camera, frame.instrument, frame.binning, frame.mode, frame.shape)

    @property
    def name(self) -> str:
        """The setup in a file name."""
        rows, columns = self.shape
        parts = (self.camera, self.instrument, f"{columns}x{rows}", f"{self.binning[0]}x{self.binning[1]}", self.mode)
        return "_".join(slug(part) for part in parts if part)


@dataclass(frozen=True, slots=True)
class Match:
    """The master chosen for a step, or none, and why."""

    master: Master | None = None
    gap_hours: float | None = None
    reason: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Master:
    """One master that exists in the library or will be made.

    Attributes
    ----------
    kind : str
        ``bias``, ``dark``, ``flat``, ``bpm`` (bad pixel mask) or ``noise`` (gain and read noise, measured).
    name : str
        Stem of the file name, unique within its night.
    night : str
    setup : Setup
    mjd : float
        Mean of the middles of the exposures.
    filter : str
        Of a flat.
    set_temperature : float or None
        Of a dark [deg C].
    frames : tuple of Frame
        What is stacked, in time order.
    ingredients : tuple of Master
        Masters that a bad pixel mask is made from.
    bias, dark, noise : Match
        What calibrates the frames before they are stacked.
    path : Path or None
        Where a master of the library is; None for one of these nights.
    """

    kind: str
    name: str
    night: str
    setup: Setup
    mjd: float
    filter: str = ""
    set_temperature: float | None = None
    frames: tuple[Frame, ...] = ()
    ingredients: tuple[Master, ...] = ()
    bias: Match = Match()
    dark: Match = Match()
    noise: Match = Match()
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Science:
    """One science frame, the name of its product and what calibrates it."""

    frame: Frame
    name: str
    bias: Match
    dark: Match
    flat: Match
    bpm: Match
    noise: Match

    @property
    def setup(self) -> Setup:
        """Setup of the frame."""
        return Setup.of(self.frame)

    @property
    def matches(self) -> tuple[Match, ...]:
        """What calibrates the frame, step by step."""
        return self.bias, self.dark, self.flat, self.bpm, self.noise


@dataclass(frozen=True, slots=True)
class Batch:
    """Science frames that one job reduces with the same masters."""

    name: str
    night: str
    members: tuple[Science, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """What an observer may choose about a plan.

    Attributes
    ----------
    split_hours : mapping of str to float or None
        For bias, dark and flat: a pause longer than this begins another master.
    max_age_days : mapping of str to float or None
        For bias, dark and flat: the largest time between frame and master.
    too_old : mapping of str to str
        Beyond that: ``use``, ``skip`` the step, or ``refuse`` the frame; the first two are flagged.
    temperature_tolerance : float
        Largest difference of set temperatures between a dark and a frame [deg C].
    """

    split_hours: Mapping[str, float | None] = field(default_factory=dict)
    max_age_days: Mapping[str, float | None] = field(default_factory=dict)
    too_old: Mapping[str, str] = field(default_factory=dict)
    temperature_tolerance: float = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the plan's table: a raw file, its role, its masters, and the file it ends in."""

    frame: Frame
    role: str
    group: str
    reason: str
    matches: Mapping[str, Match] = field(default_factory=dict)
    product: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be done with a set of raw files."""

    entries: tuple[Entry, ...]
    masters: tuple[Master, ...]
    science: tuple[Science, ...]

    @property
    def nights(self) -> tuple[str, ...]:
        """Nights with at least one raw file, in order."""
        return tuple(sorted({entry.frame.night for entry in self.entries}))

    def masters_of(self, night: str) -> tuple[Master, ...]:
        """Masters that will be made from the frames of a night."""
        return tuple(master for master in self.masters if master.night == night and master.path is None)

    def science_of(self, night: str) -> tuple[Science, ...]:
        """Science frames of a night that will be reduced."""
        return tuple(science for science in self.science if science.frame.night == night)

    def set_aside(self, night: str) -> tuple[Entry, ...]:
        """Rows of the frames of a night that cannot be used."""
        return tuple(entry for entry in self.entries if entry.frame.night == night and entry.role == "set aside")

    def master(self, night: str, name: str) -> Master:
        """Look a master up by night and name.

        Raises
        ------
        KeyError
            If there is none.
        """
        for master in self.masters_of(night):
            if master.name == name:
                return master
        raise KeyError(name)

    def batches(self, night: str, size: int) -> tuple[Batch, ...]:
        """Science frames of a night in groups of equal masters, in time order, at most ``size`` in one."""
        alike: dict[tuple[Match, ...] | tuple[object, ...], list[Science]] = defaultdict(list)
        for science in self.science_of(night):
            key = tuple((m.master and (m.master.night, m.master.name), m.warning) for m in science.matches)
            alike[Setup.of(science.frame), key].append(science)
        chunks = [members[i : i + size] for members in alike.values() for i in range(0, len(members), size)]
        return tuple(Batch(f"{night}_{n:04d}", night, tuple(chunk)) for n, chunk in enumerate(chunks, start=1))

    def table(self, night: str) -> str:
        """Rows of a night as the text of ``plan.csv``."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows(_row(entry) for entry in self.entries if entry.frame.night == night)
        return text.getvalue()


COLUMNS = (
    "file", "night", "camera", "type", "exposure", "filter", "mjd_mid", "group", "role",
    "bias", "bias_gap_hours", "dark", "dark_gap_hours", "flat", "flat_gap_hours", "product", "reason",
)  # fmt: skip
"""Columns of ``plan.csv``."""


def make_plan(frames: Sequence[Frame], options: Options = Options(), library: Sequence[Master] = ()) -> Plan:
    """Plan the reduction of a set of raw files.

    Parameters
    ----------
    frames : sequence of Frame
        As `nightcal.frames.scan` found them, of one night or many.
    options : Options
    library : sequence of Master
        Masters of other nights; they compete with those of these nights.

    Returns
    -------
    Plan
        The same for any order of the frames.
    """
    frames = _with_nights(sorted(frames, key=lambda frame: (frame.mjd or 0.0, frame.name)))
    usable = [frame for frame in frames if not frame.problem]
    noise = _noise_masters(usable)
    choose = _Chooser(options, [*library, *noise])

    biases = _stacks("bias", usable, options)
    choose.among(biases := [replace(m, noise=choose("noise", m)) for m in biases])

    darks, unscalable = _split_scalable(
        [
            replace(master, bias=choose("bias", master), noise=choose("noise", master))
            for master in _stacks("dark", usable, options)
        ]
    )
    choose.among(darks)

    flats = [
        replace(m, bias=choose("bias", m), dark=choose("dark", m), noise=choose("noise", m))
        for m in _stacks("flat", usable, options)
    ]
    choose.among(flats)
    choose.among(masks := _bad_pixel_masks([*biases, *darks, *flats]))

    names = _product_names([frame for frame in usable if frame.kind == "science"])
    science = [
        Science(f, names[f.name], *(choose(kind, f) for kind in (*STEPS, "bpm", "noise")))
        for f in usable
        if f.kind == "science"
    ]
    refused = {s.frame.name: reason for s in science if (reason := _refusal(s))}
    science = [s for s in science if s.frame.name not in refused]
    masters = (*noise, *biases, *darks, *flats, *masks)
    entries = _entries(frames, masters, science, refused, {f.name: m for m in unscalable for f in m.frames})
    return Plan(entries, masters, tuple(science))


def slug(text: str) -> str:
    """Make header text safe in a file name: letters, digits and ``. _ + -``, never first a dot or hyphen."""
    clean = re.sub(r"[^A-Za-z0-9._+-]+", "-", text.strip()).strip(".-")
    if len(clean) > LONGEST_NAME:
        clean = clean[: LONGEST_NAME - 9] + "-" + _digest(text)
    return clean or _digest(text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


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


def _stacks(kind: str, frames: Sequence[Frame], options: Options) -> list[Master]:
    """Put the frames of one type into groups that may be stacked."""
    groups: dict[tuple[str, Setup, str], list[Frame]] = defaultdict(list)
    for frame in frames:
        if frame.kind == kind:
            groups[frame.night, Setup.of(frame), frame.filter if kind == "flat" else ""].append(frame)
    masters = []
    for (night, setup, filter_name), members in groups.items():
        sets = _by_temperature(members, options.temperature_tolerance) if kind == "dark" else [members]
        for alike in sets:
            parts = _by_pause(alike, options.split_hours.get(kind))
            for part in parts:
                name = [kind, setup.name]
                if kind == "flat":
                    name.append(slug(filter_name) if filter_name else "nofilter")
                temperature = part[0].set_temperature if kind == "dark" else None
                if temperature is not None:
                    name.append(f"{temperature:+.0f}C")
                if len(parts) > 1:
                    name.append(f"{MJD_ZERO + timedelta(days=part[0].mjd or 0):t%H%M%S}")
                masters.append(
                    Master(
                        kind,
                        "_".join(name),
                        night,
                        setup,
                        _mean_time(part),
                        filter=filter_name,
                        set_temperature=temperature,
                        frames=tuple(part),
                    )
                )
    return _uniquely_named(masters)


def _uniquely_named(masters: Sequence[Master]) -> list[Master]:
    """Tell masters apart whose names became equal when header text was made safe."""
    count = Counter((m.night, m.name.lower()) for m in masters)
    return [
        replace(m, name=f"{m.name}_{_digest(repr((m.setup, m.filter, m.set_temperature, m.frames[0].name)))}")
        if count[m.night, m.name.lower()] > 1
        else m
        for m in masters
    ]


def _by_temperature(frames: Sequence[Frame], tolerance: float) -> list[list[Frame]]:
    """Part darks whose set temperatures differ; a dark without one goes by itself."""
    sets: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: (f.set_temperature is not None, f.set_temperature or 0.0)):
        if sets and _close(sets[-1][0].set_temperature, frame.set_temperature, tolerance):
            sets[-1].append(frame)
        else:
            sets.append([frame])
    return [sorted(alike, key=lambda f: (f.mjd or 0.0, f.name)) for alike in sets]


def _close(one: float | None, other: float | None, tolerance: float) -> bool:
    return one == other or (one is not None and other is not None and abs(one - other) <= tolerance)


def _by_pause(frames: Sequence[Frame], hours: float | None) -> list[list[Frame]]:
    parts: list[list[Frame]] = []
    for frame in frames:
        last = parts[-1][-1] if parts else None
        if last is not None and (hours is None or ((frame.mjd or 0) - (last.mjd or 0)) * 24 <= hours):
            parts[-1].append(frame)
        else:
            parts.append([frame])
    return parts


def _mean_time(frames: Sequence[Frame]) -> float:
    return sum(frame.mjd or 0.0 for frame in frames) / len(frames)


def _noise_masters(frames: Sequence[Frame]) -> list[Master]:
    """Measurements of gain and read noise for the setups and nights whose headers do not tell both."""
    groups: dict[tuple[str, Setup], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.night, Setup.of(frame)].append(frame)
    return _uniquely_named(
        [
            Master("noise", f"noise_{setup.name}", night, setup, _mean_time(pairs), frames=tuple(pairs))
            for (night, setup), members in groups.items()
            if any(frame.gain is None or frame.read_noise is None for frame in members)
            and sum(frame.kind == "bias" for frame in members) > 1
            and (pairs := [frame for frame in members if frame.kind in ("bias", "flat")])
        ]
    )


def _bad_pixel_masks(masters: Sequence[Master]) -> list[Master]:
    groups: dict[tuple[str, Setup], list[Master]] = defaultdict(list)
    for master in masters:
        groups[master.night, master.setup].append(master)
    masks = []
    for (night, setup), found in groups.items():
        mjd = sum(m.mjd for m in found) / len(found)
        name = f"bpm_{setup.name}"
        masks.append(Master("bpm", name, night, setup, mjd, frames=found[0].frames[:1], ingredients=tuple(found)))
    return _uniquely_named(masks)


def _split_scalable(darks: Sequence[Master]) -> tuple[list[Master], list[Master]]:
    """Separate the darks whose bias level can be taken off from those where it would be scaled like current."""
    usable = [m for m in darks if m.bias.master is not None or all(frame.has_overscan for frame in m.frames)]
    return usable, [m for m in darks if m not in usable]


class _Chooser:
    """Finds the master closest in time among those known so far."""

    def __init__(self, options: Options, known: Iterable[Master]) -> None:
        self.options = options
        self.known: dict[tuple[str, Setup], list[Master]] = defaultdict(list)
        self.among(known)

    def among(self, masters: Iterable[Master]) -> None:
        for master in masters:
            self.known[master.kind, master.setup].append(master)

    def __call__(self, kind: str, subject: Frame | Master) -> Match:
        setup = subject.setup if isinstance(subject, Master) else Setup.of(subject)
        rivals = self.known[kind, setup]
        if not rivals:
            return Match(reason=f"no {kind} of this camera, binning, mode and shape: step skipped")
        if kind == "dark":
            wanted = _set_temperature(subject)
            tolerance = self.options.temperature_tolerance
            rivals = [
                m for m in rivals if None in (wanted, m.set_temperature) or _close(m.set_temperature, wanted, tolerance)
            ]
            if not rivals:
                return Match(reason=f"no dark within {tolerance:g} C of {wanted:g} C: step skipped")
        if kind == "flat":
            rivals = [m for m in rivals if m.filter == subject.filter]
            if not rivals:
                return Match(reason=f"no flat in filter {subject.filter or '(none)'}: step skipped")
        mjd = subject.mjd or 0.0
        best = min(rivals, key=lambda m: (abs(m.mjd - mjd), m.mjd, m.night, m.name))
        return self._judged(kind, best, abs(best.mjd - mjd) * 24, len(rivals))

    def _judged(self, kind: str, best: Master, hours: float, rivals: int) -> Match:
        reason = "the only one" if rivals == 1 else f"nearest of {rivals} in time"
        reason = f"{kind}: {reason}, {hours:.1f} h"
        limit = self.options.max_age_days.get(kind)
        if limit is None or hours <= 24 * limit:
            return Match(best, hours, reason)
        policy = self.options.too_old.get(kind, "use")
        old = f"{kind} {best.name} of {best.night} is {hours / 24:.1f} days away, the limit is {limit:g}"
        if policy == "use":
            return Match(best, hours, f"{reason}; {old}: used and flagged", warning=f"{kind} older than {limit:g} days")
        if policy == "skip":
            return Match(None, hours, f"{old}: step skipped")
        return Match(None, hours, f"{old}: frame refused", warning="refused")


def _set_temperature(subject: Frame | Master) -> float | None:
    if isinstance(subject, Frame):
        return subject.set_temperature
    return next((f.set_temperature for f in subject.frames if f.set_temperature is not None), None)


def _refusal(science: Science) -> str:
    return next((m.reason for m in science.matches if m.master is None and m.warning == "refused"), "")


def _product_names(frames: Sequence[Frame]) -> dict[str, str]:
    """Names of the products of science frames: the file's own, with its folder's where two are alike."""

    def stem(name: str) -> str:
        lower = name.lower()
        return next((name[: -len(end)] for end in sorted(SUFFIXES, key=len, reverse=True) if lower.endswith(end)), name)

    def settle(names: dict[str, str], longer: Callable[[str], str]) -> dict[str, str]:
        count = Counter((nights[raw], name.lower()) for raw, name in names.items())
        return {raw: longer(raw) if count[nights[raw], name.lower()] > 1 else name for raw, name in names.items()}

    nights = {frame.name: frame.night for frame in frames}
    names = {frame.name: slug(stem(frame.name).rpartition("/")[2]) for frame in frames}
    names = settle(names, lambda raw: slug(stem(raw).replace("/", "_")))
    return settle(names, lambda raw: f"{slug(stem(raw).replace('/', '_'))}_{_digest(raw)}")


def _entries(
    frames: Sequence[Frame],
    masters: Sequence[Master],
    reductions: Sequence[Science],
    refused: Mapping[str, str],
    unscalable: Mapping[str, Master],
) -> tuple[Entry, ...]:
    stacked = {f.name: m for m in masters if m.kind in STEPS for f in m.frames}
    reduced = {s.frame.name: s for s in reductions}

    def entry(frame: Frame) -> Entry:
        if frame.problem:
            return Entry(frame, "set aside", "", frame.problem)
        if frame.name in refused:
            return Entry(frame, "set aside", Setup.of(frame).name, refused[frame.name])
        if frame.name in unscalable:
            reason = "no bias to take off and no overscan: its bias level would be scaled like dark current"
            return Entry(frame, "unused", unscalable[frame.name].name, reason)
        if frame.name in stacked:
            master = stacked[frame.name]
            wanted = {"bias": (), "dark": ("bias",), "flat": ("bias", "dark")}[master.kind]
            matches = {step: getattr(master, step) for step in wanted}
            reasons = [
                f"one of {len(master.frames)}" + (": too few to reject outliers" if len(master.frames) < 3 else "")
            ]
            reasons += [match.reason for match in matches.values()]
            return Entry(frame, "stacked", master.name, "; ".join(reasons), matches, f"masters/{master.name}.fits")
        if frame.name in reduced:
            science = reduced[frame.name]
            matches = {step: getattr(science, step) for step in STEPS}
            reason = "; ".join(match.reason for match in matches.values())
            return Entry(frame, "reduced", science.setup.name, reason, matches, f"science/{science.name}.fits")
        return Entry(frame, "unused", "", "neither a calibration nor a science frame")

    return tuple(sorted(map(entry, frames), key=lambda e: (e.frame.mjd or 0.0, e.frame.name)))


def _row(entry: Entry) -> list[str]:
    frame = entry.frame
    row = [
        frame.name,
        frame.night,
        frame.camera,
        frame.kind,
        f"{frame.exposure:g}" if frame.kind else "",
        frame.filter,
        f"{frame.mjd:.6f}" if frame.mjd is not None else "",
        entry.group,
        entry.role,
    ]
    for step in STEPS:
        match = entry.matches.get(step, Match())
        found = match.master is not None and match.gap_hours is not None
        row += [match.master.name, f"{match.gap_hours:.2f}"] if found and match.master else ["", ""]
    return [*row, entry.product, entry.reason]
