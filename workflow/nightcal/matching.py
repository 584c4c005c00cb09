"""Which master serves which frame: of the same setup, the closest in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from operator import attrgetter
from pathlib import Path

from nightcal.frames import Frame
from nightcal.naming import digest, slug

LONGEST_SETUP = 110
LIGHT_DAYS = 1.0
"""So much further away in time may a flat of the preferred light be than the nearest one."""

REFUSED = "refused"
"""Warning of a match that an observer's policy forbids."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What frames must share before one may calibrate another."""

    camera: str
    instrument: str
    binning: tuple[int, int]
    mode: str
    shape: tuple[int, int]
    has_overscan: bool = False
    area: str = ""

    @staticmethod
    def of(frame: Frame) -> Setup:
        """Take the setup from a frame."""
        return _shared(*_IN_FRAME(frame))

    @property
    def name(self) -> str:
        """The setup in a file name."""
        return _name_of(self)


_shared = cache(Setup)  # thousands of frames have few setups
_IN_FRAME = attrgetter(*(attribute.name for attribute in fields(Setup)))


@cache
def _name_of(setup: Setup) -> str:
    rows, columns = setup.shape
    binning = f"{setup.binning[0]}x{setup.binning[1]}"
    parts = (setup.camera, setup.instrument, f"{columns}x{rows}", binning, setup.mode)
    name = "_".join(slug(part) for part in parts if part)
    return name if len(name) <= LONGEST_SETUP else f"{name[:LONGEST_SETUP]}_{digest(name)}"


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
    light : str
        Of a flat: ``twilight``, ``dome``, or nothing where that is unknown.
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
    light: str = ""
    set_temperature: float | None = None
    frames: tuple[Frame, ...] = ()
    ingredients: tuple[Master, ...] = ()
    bias: Match = Match()
    dark: Match = Match()
    noise: Match = Match()
    path: Path | None = None

    @property
    def matches(self) -> tuple[Match, ...]:
        """What calibrates the frames, step by step."""
        return self.bias, self.dark, self.noise


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
    prefer_light : str
        Of flats: ``twilight`` or ``dome`` before others up to a day nearer in time, or ``nearest``.
    """

    split_hours: Mapping[str, float | None] = field(default_factory=dict)
    max_age_days: Mapping[str, float | None] = field(default_factory=dict)
    too_old: Mapping[str, str] = field(default_factory=dict)
    temperature_tolerance: float = 2.0
    prefer_light: str = "twilight"


class Chooser:
    """Finds the master closest in time among those known so far.

    Parameters
    ----------
    options : Options
    known : iterable of Master
        Those that compete from the start.
    """

    def __init__(self, options: Options, known: Iterable[Master]) -> None:
        self.options = options
        self.known: dict[tuple[str, Setup], list[Master]] = defaultdict(list)
        self.among(known)

    def among(self, masters: Iterable[Master]) -> None:
        """Let more masters compete."""
        for master in masters:
            self.known[master.kind, master.setup].append(master)

    def __call__(self, kind: str, subject: Frame | Master) -> Match:
        """Choose a master of a kind for a frame, or for the frames of a master.

        Parameters
        ----------
        kind : str
            As in `Master`.
        subject : Frame or Master
            What is to be calibrated.

        Returns
        -------
        Match
            Without a master, the reason; with ``REFUSED`` for a warning if the frame must not be used without.
        """
        setup = subject.setup if isinstance(subject, Master) else Setup.of(subject)
        rivals = self.known[kind, setup]
        if not rivals:
            return Match(reason=f"no {kind} of this camera, binning, mode and shape: step skipped")
        if kind == "dark":
            wanted = _set_temperature(subject)
            tolerance = self.options.temperature_tolerance
            rivals = [
                m for m in rivals if None in (wanted, m.set_temperature) or close(m.set_temperature, wanted, tolerance)
            ]
            if not rivals:
                return Match(reason=f"no dark within {tolerance:g} C of {wanted:g} C: step skipped")
        if kind == "flat":
            rivals = [m for m in rivals if m.filter == subject.filter]
            if not rivals:
                return Match(reason=f"no flat in filter {subject.filter or '(none)'}: step skipped")
        mjd = subject.mjd or 0.0
        preferred = self._of_preferred_light(rivals, mjd) if kind == "flat" else rivals
        best = min(preferred, key=lambda m: (abs(m.mjd - mjd), m.mjd, m.path is not None, m.night, m.name))
        light = f"{best.light} preferred, " if len(preferred) < len(rivals) else ""
        return self._judged(kind, best, abs(best.mjd - mjd) * 24, len(preferred), light)

    def _of_preferred_light(self, flats: Sequence[Master], mjd: float) -> Sequence[Master]:
        """Flats of the preferred light; all, if the nearest of these is a day further away than another, or too old."""
        preferred = [m for m in flats if m.light == self.options.prefer_light]
        limit = self.options.max_age_days.get("flat")
        nearest = min(abs(m.mjd - mjd) for m in flats)
        reach = nearest + LIGHT_DAYS if limit is None else max(nearest, min(limit, nearest + LIGHT_DAYS))
        return preferred if any(abs(m.mjd - mjd) <= reach for m in preferred) else flats

    def _judged(self, kind: str, best: Master, hours: float, rivals: int, light: str = "") -> Match:
        reason = "the only one" if rivals == 1 else f"nearest of {rivals} in time"
        reason = f"{kind}: {light}{reason}, {hours:.1f} h"
        limit = self.options.max_age_days.get(kind)
        if limit is None or hours <= 24 * limit:
            return Match(best, hours, reason)
        policy = self.options.too_old.get(kind, "use")
        old = f"{kind} {best.name} of {best.night} is {hours / 24:.1f} days away, the limit is {limit:g}"
        if policy == "use":
            return Match(best, hours, f"{reason}; {old}: used and flagged", warning=f"{kind} older than {limit:g} days")
        if policy == "skip":
            return Match(None, hours, f"{old}: step skipped")
        return Match(None, hours, f"{old}: frame refused", warning=REFUSED)


def _set_temperature(subject: Frame | Master) -> float | None:
    if isinstance(subject, Frame):
        return subject.set_temperature
    return next((f.set_temperature for f in subject.frames if f.set_temperature is not None), None)


def close(one: float | None, other: float | None, tolerance: float) -> bool:
    """Whether two set temperatures, or their absence, are alike.

    Parameters
    ----------
    one, other : float or None
        [deg C]; None where a header does not tell.
    tolerance : float
        Largest difference [deg C].

    Returns
    -------
    bool
        Two absent ones are alike, one absent and one present are not.
    """
    return one == other or (one is not None and other is not None and abs(one - other) <= tolerance)
