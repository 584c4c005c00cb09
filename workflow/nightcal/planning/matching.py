"""Which master serves which frame: of the same setup, the closest in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor
from operator import itemgetter

from nightcal.planning.dark_scaling import DarkPolicy, Span, amplification, equal, use_in_words
from nightcal.planning.frames import Frame
from nightcal.planning.records import Match, PlannedMaster, Setup
from nightcal.planning.temperature import close, effective, off_set_point

LIGHT_DAYS = 1.0
"""So much further away in time may a flat of the preferred light be than the nearest one."""

EMPTY = "refused"
"""Warning of a match that an observer's policy forbids."""


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
    prefer_source : str
        Of flats: ``twilight`` or ``dome`` before others up to a day nearer in time, or ``nearest``.
    """

    split_hours: Mapping[str, float | None] = field(default_factory=dict)
    max_age_days: Mapping[str, float | None] = field(default_factory=dict)
    too_old: Mapping[str, str] = field(default_factory=dict)
    temperature_tolerance: float = 2.0
    prefer_source: str = "twilight"
    darks: DarkPolicy = field(default_factory=DarkPolicy)


@dataclass(frozen=True, slots=True)
class _Fit:
    """A dark that may serve frames, and what of it counts before time does."""

    dark: PlannedMaster
    unsure: bool
    factor: float
    scaled: bool

    def rank(self, days: float, limit: float | None) -> tuple[float, ...]:
        """Order among those that may serve; the smallest is taken."""
        return limit is not None and days > limit, self.unsure, self.factor, floor(days), self.scaled


class MasterMatcher:
    """Finds the master closest in time among those known so far.

    Parameters
    ----------
    options : Options
    known : iterable of PlannedMaster
        Those that compete from the start.
    """

    def __init__(self, options: Options, known: Iterable[PlannedMaster]) -> None:
        self.options = options
        self.known: dict[tuple[str, Setup], list[PlannedMaster]] = defaultdict(list)
        self._answers: dict[tuple[Setup, float | None, Span], tuple[list[_Fit], str, str]] = {}
        self.among(known)

    def among(self, masters: Iterable[PlannedMaster]) -> None:
        """Let more masters compete."""
        self._answers.clear()
        for master in masters:
            self.known[master.kind, master.setup].append(master)

    def __call__(self, kind: str, subject: Frame | PlannedMaster) -> Match:
        """Choose a master of a kind for a frame, or for the frames of a master.

        Parameters
        ----------
        kind : str
            As in `PlannedMaster`.
        subject : Frame or PlannedMaster
            What is to be calibrated.

        Returns
        -------
        Match
            Without a master, the reason; with ``EMPTY`` for a warning if the frame must not be used without.
        """
        setup = subject.setup if isinstance(subject, PlannedMaster) else Setup.of(subject)
        match = self._dark(setup, subject) if kind == "dark" else self._nearest(kind, setup, subject)
        return self._flagged(subject, match) if kind == "dark" or (subject.kind, kind) == ("dark", "bias") else match

    def _nearest(self, kind: str, setup: Setup, subject: Frame | PlannedMaster) -> Match:
        rivals = self.known[kind, setup]
        if not rivals:
            return Match(reason=_none_of(kind) + SKIPPED)
        if kind == "flat":
            rivals = [m for m in rivals if m.filter == subject.filter]
            if not rivals:
                return Match(reason=f"no flat in filter {subject.filter or '(none)'}{SKIPPED}")
        mjd = subject.mjd or 0.0
        preferred = self._of_preferred_light(rivals, mjd) if kind == "flat" else rivals
        best = min(preferred, key=lambda m: _nearness(m, mjd))
        light = f"{best.flat_source} preferred, " if len(preferred) < len(rivals) else ""
        return self._judged(kind, best, abs(best.mjd - mjd) * 24, light + _among(len(preferred)))

    def _of_preferred_light(self, flats: Sequence[PlannedMaster], mjd: float) -> Sequence[PlannedMaster]:
        """Flats of the preferred light; all, if the nearest of these is a day further away than another, or too old."""
        preferred = [m for m in flats if m.flat_source == self.options.prefer_source]
        limit = self.options.max_age_days.get("flat")
        nearest = min(abs(m.mjd - mjd) for m in flats)
        reach = nearest + LIGHT_DAYS if limit is None else max(nearest, min(limit, nearest + LIGHT_DAYS))
        return preferred if any(abs(m.mjd - mjd) <= reach for m in preferred) else flats

    def _dark(self, setup: Setup, subject: Frame | PlannedMaster) -> Match:
        tolerance = self.options.temperature_tolerance
        if self.options.darks.scaling == "bias_only":
            return Match(reason=f"dark: bias only, as configured{SKIPPED}")
        wanted, exposures = _temperature(subject, tolerance), _exposures(subject)
        question = setup, wanted, exposures
        if question not in self._answers:
            self._answers[question] = self._fits(*question)
        fits, why, warning = self._answers[question]
        if not fits:
            return self._without_dark(subject, why, warning)
        mjd, limit = subject.mjd or 0.0, self.options.max_age_days.get("dark")
        ranks = [fit.rank(abs(fit.dark.mjd - mjd), limit) for fit in fits]
        rank, _, fit = min(
            zip(ranks, [_nearness(fit.dark, mjd) for fit in fits], fits, strict=True), key=itemgetter(0, 1)
        )
        equals, best = ranks.count(rank), fit.dark
        how = _among(equals) if equals == len(fits) else f"best of {len(fits)} by exposure and time"
        match = self._judged("dark", best, abs(best.mjd - mjd) * 24, how, use_in_words(best.exposures, exposures))
        if match.master is None or not fit.unsure:
            return match
        unknown = "temperature of the dark or of the frames unknown"
        return replace(match, reason=f"{match.reason}; {unknown}", warning=_joined(match.warning, unknown))

    def _fits(self, setup: Setup, wanted: float | None, exposures: Span) -> tuple[list[_Fit], str, str]:
        """Find the darks that may serve; if there is none, say why, in the plan and in a header."""
        policy, tolerance, rivals = self.options.darks, self.options.temperature_tolerance, self.known["dark", setup]
        if not rivals:
            return [], _none_of("dark"), ""
        known = [(effective(m, tolerance), m) for m in rivals]
        alike = [(t, m) for t, m in known if None in (t, wanted) or close(t, wanted, tolerance)]
        if not alike:
            why = f"no dark within {tolerance:g} C of {wanted:g} C"
            return [], why, "no dark of this temperature: dark skipped"
        fits = [
            _Fit(
                m,
                (t is None) != (wanted is None),
                amplification(m.exposures, exposures),
                not equal(m.exposures, exposures),
            )
            for t, m in alike
            if policy.allows(setup.camera, m.exposures, exposures)
        ]
        why = "" if fits else policy.refusal(setup.camera, [m.exposures for _, m in alike], exposures)
        return fits, why, "no dark may be scaled to this exposure: dark skipped"

    def _without_dark(self, subject: Frame | PlannedMaster, why: str, warning: str = "") -> Match:
        if self.options.darks.otherwise == "refuse":
            return Match(reason=f"{why}: frame refused", warning=EMPTY)
        return Match(reason=why + SKIPPED, warning=warning if isinstance(subject, Frame) else "")

    def _flagged(self, subject: Frame | PlannedMaster, match: Match) -> Match:
        """Warn of frames whose CCD was off its set temperature."""
        tolerance = self.options.temperature_tolerance
        frames = subject.frames if isinstance(subject, PlannedMaster) else (subject,)
        if match.warning == EMPTY or not any(off_set_point(frame, tolerance) for frame in frames):
            return match
        whose = f"{subject.kind} frames: " if isinstance(subject, PlannedMaster) else ""
        warning = f"{whose}CCD more than {tolerance:g} C off its set temperature"
        return replace(match, warning=_joined(match.warning, warning))

    def _judged(self, kind: str, best: PlannedMaster, hours: float, how: str, use: str = "") -> Match:
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
        return Match(None, hours, f"{old}: frame refused", warning=EMPTY)


SKIPPED = ": step skipped"


def _none_of(kind: str) -> str:
    return f"no {kind} of this camera, binning, mode and shape"


def _among(rivals: int) -> str:
    return "the only one" if rivals == 1 else f"nearest of {rivals} in time"


def _nearness(master: PlannedMaster, mjd: float) -> tuple[float, float, bool, str, str]:
    return abs(master.mjd - mjd), master.mjd, master.path is not None, master.night, master.name


def _joined(*warnings: str) -> str:
    return "; ".join(warning for warning in warnings if warning)


def _exposures(subject: Frame | PlannedMaster) -> Span:
    return subject.exposures if isinstance(subject, PlannedMaster) else (subject.exposure_time, subject.exposure_time)


def _temperature(subject: Frame | PlannedMaster, tolerance: float) -> float | None:
    frames = subject.frames if isinstance(subject, PlannedMaster) else (subject,)
    known = (effective(frame, tolerance) for frame in frames)
    return next((degrees for degrees in known if degrees is not None), None)
