"""Which master serves which frame: of the same setup, the closest in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from math import floor
from operator import attrgetter, itemgetter
from pathlib import Path

from nightcal.dark_policy import DarkPolicy, Span, amplification, equal, use_in_words
from nightcal.frames import Frame
from nightcal.naming import digest, slug
from nightcal.temperature import close, effective, off_set_point

LONGEST_SETUP = 110
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
    set_temperature, temperature : float or None
        Of a dark, as set and as measured, of its first frame [deg C].
    exposures : (float, float)
        Shortest and longest of a dark or flat [s]; 0 where that is unknown.
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
    temperature: float | None = None
    exposures: Span = (0.0, 0.0)
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
        Largest difference of temperatures between a dark and a frame [deg C].
    darks : DarkPolicy
        Which exposures a dark may serve.
    """

    split_hours: Mapping[str, float | None] = field(default_factory=dict)
    max_age_days: Mapping[str, float | None] = field(default_factory=dict)
    too_old: Mapping[str, str] = field(default_factory=dict)
    temperature_tolerance: float = 2.0
    darks: DarkPolicy = field(default_factory=DarkPolicy)


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
        match = self._dark(setup, subject, rivals) if kind == "dark" else self._nearest(kind, subject, rivals)
        return self._flagged(subject, match) if kind == "dark" or (subject.kind, kind) == ("dark", "bias") else match

    def _nearest(self, kind: str, subject: Frame | Master, rivals: Sequence[Master]) -> Match:
        if not rivals:
            return Match(reason=_none_of(kind) + SKIPPED)
        if kind == "flat":
            rivals = [m for m in rivals if m.filter == subject.filter]
            if not rivals:
                return Match(reason=f"no flat in filter {subject.filter or '(none)'}{SKIPPED}")
        mjd = subject.mjd or 0.0
        best = min(rivals, key=lambda m: _nearness(m, mjd))
        return self._judged(kind, best, abs(best.mjd - mjd) * 24, _among(len(rivals)))

    def _dark(self, setup: Setup, subject: Frame | Master, rivals: Sequence[Master]) -> Match:
        policy, tolerance = self.options.darks, self.options.temperature_tolerance
        if policy.scaling == "bias_only":
            return Match(reason=f"dark: bias only, as configured{SKIPPED}")
        if not rivals:
            return self._without_dark(subject, _none_of("dark"))
        wanted, exposures = _temperature(subject, tolerance), _exposures(subject)
        alike = [m for m in rivals if _may_be_close(effective(m, tolerance), wanted, tolerance)]
        if not alike:
            why = f"no dark within {tolerance:g} C of {wanted:g} C"
            return self._without_dark(subject, why, "no dark of this temperature: dark skipped")
        serving = [m for m in alike if policy.allows(setup.camera, m.exposures, exposures)]
        if not serving:
            why = policy.refusal(setup.camera, [m.exposures for m in alike], exposures)
            return self._without_dark(subject, why, "no dark may be scaled to this exposure: dark skipped")
        mjd = subject.mjd or 0.0
        ranks = [self._rank(m, mjd, wanted, exposures) for m in serving]
        nearest = [_nearness(m, mjd) for m in serving]
        rank, _, best = min(zip(ranks, nearest, serving, strict=True), key=itemgetter(0, 1))
        equals = ranks.count(rank)
        how = _among(equals) if equals == len(serving) else f"best of {len(serving)} by exposure and time"
        match = self._judged("dark", best, abs(best.mjd - mjd) * 24, how, use_in_words(best.exposures, exposures))
        if match.master is None or (wanted is None) == (effective(best, tolerance) is None):
            return match
        unknown = "temperature of the dark or of the frames unknown"
        return replace(match, reason=f"{match.reason}; {unknown}", warning=_joined(match.warning, unknown))

    def _rank(self, dark: Master, mjd: float, wanted: float | None, exposures: Span) -> tuple[float, ...]:
        """Rank a dark that may serve by what counts before time does; the smallest is taken."""
        limit, days = self.options.max_age_days.get("dark"), abs(dark.mjd - mjd)
        known = effective(dark, self.options.temperature_tolerance) is not None
        return (
            limit is not None and days > limit,
            known != (wanted is not None),
            amplification(dark.exposures, exposures),
            floor(days),
            not equal(dark.exposures, exposures),
        )

    def _without_dark(self, subject: Frame | Master, why: str, warning: str = "") -> Match:
        if self.options.darks.otherwise == "refuse":
            return Match(reason=f"{why}: frame refused", warning=REFUSED)
        return Match(reason=why + SKIPPED, warning=warning if isinstance(subject, Frame) else "")

    def _flagged(self, subject: Frame | Master, match: Match) -> Match:
        """Warn of frames whose CCD was off its set temperature."""
        tolerance = self.options.temperature_tolerance
        frames = subject.frames if isinstance(subject, Master) else (subject,)
        if match.warning == REFUSED or not any(off_set_point(frame, tolerance) for frame in frames):
            return match
        whose = f"{subject.kind} frames: " if isinstance(subject, Master) else ""
        warning = f"{whose}CCD more than {tolerance:g} C off its set temperature"
        return replace(match, warning=_joined(match.warning, warning))

    def _judged(self, kind: str, best: Master, hours: float, how: str, use: str = "") -> Match:
        reason = f"{kind}: {how}, {hours:.1f} h" + (f", {use}" if use else "")
        limit = self.options.max_age_days.get(kind)
        if limit is None or hours <= 24 * limit:
            return Match(best, hours, reason)
        policy = self.options.too_old.get(kind, "use")
        old = f"{kind} {best.name} of {best.night} is {hours / 24:.1f} days away, the limit is {limit:g}"
        if policy == "use":
            return Match(best, hours, f"{reason}; {old}: used and flagged", warning=f"{kind} older than {limit:g} days")
        if policy == "skip":
            return Match(None, hours, f"{old}{SKIPPED}")
        return Match(None, hours, f"{old}: frame refused", warning=REFUSED)


SKIPPED = ": step skipped"


def _none_of(kind: str) -> str:
    return f"no {kind} of this camera, binning, mode and shape"


def _among(rivals: int) -> str:
    return "the only one" if rivals == 1 else f"nearest of {rivals} in time"


def _nearness(master: Master, mjd: float) -> tuple[float, float, bool, str, str]:
    return abs(master.mjd - mjd), master.mjd, master.path is not None, master.night, master.name


def _joined(*warnings: str) -> str:
    return "; ".join(warning for warning in warnings if warning)


def _exposures(subject: Frame | Master) -> Span:
    return subject.exposures if isinstance(subject, Master) else (subject.exposure, subject.exposure)


def _temperature(subject: Frame | Master, tolerance: float) -> float | None:
    frames = subject.frames if isinstance(subject, Master) else (subject,)
    known = (effective(frame, tolerance) for frame in frames)
    return next((degrees for degrees in known if degrees is not None), None)


def _may_be_close(found: float | None, wanted: float | None, tolerance: float) -> bool:
    return found is None or wanted is None or close(found, wanted, tolerance)
