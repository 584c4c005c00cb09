"""Match frames with masters: of the same setup, the closest in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import floor
from operator import itemgetter

from nightcal.cameras.settings import Difference
from nightcal.planning.ages import RISKY, USABLE, USUAL_AGES, Ages, grade_age
from nightcal.planning.dark_scaling import DarkPolicy, Span, amplification, are_equal, describe_use
from nightcal.planning.frames import Frame
from nightcal.planning.near_misses import explain_missing
from nightcal.planning.pedestal import keep_suitable, warn_of_temperature
from nightcal.planning.records import Match, PlannedMaster, Setup
from nightcal.planning.temperature import are_close, choose_temperature, is_off_set_point
from nightcal.warning_names import name_warning

PREFERENCE_DAYS = 1.0
"""A flat of the preferred light source may be this much further away in time than the nearest flat [days]."""

SKIPPED = ": step skipped"
Fits = Callable[[PlannedMaster], bool]
NO_DARKS_WANTED = "dark.scaling is bias_only"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the planner.

    Attributes
    ----------
    split_hours : mapping of str to float or None
        For bias, dark and flat: a longer pause begins a new master.
    max_age_days : mapping of str to float or None
        For bias, dark and flat: largest time between frame and master.
    too_old : mapping of str to str
        Beyond that age: ``use`` the master, ``skip`` the step (both with a warning), or ``reject`` the frame.
    temperature_tolerance : float
        Largest temperature difference between dark and frame [deg C].
    prefer_source : str
        ``twilight`` or ``dome`` flats are preferred to others up to a day closer in time; ``nearest``: no preference.
    darks : DarkPolicy
        Which exposure times a dark may be used for.
    age_days : mapping of str to (float, float)
        For bias, dark and flat: see `nightcal.planning.ages`.
    """

    split_hours: Mapping[str, float | None] = field(default_factory=dict)
    max_age_days: Mapping[str, float | None] = field(default_factory=dict)
    too_old: Mapping[str, str] = field(default_factory=dict)
    temperature_tolerance: float = 2.0
    prefer_source: str = "twilight"
    darks: DarkPolicy = field(default_factory=DarkPolicy)
    age_days: Ages = field(default_factory=lambda: USUAL_AGES)


def drop_copies(known: Sequence[PlannedMaster], made: Sequence[PlannedMaster]) -> list[PlannedMaster]:
    """Drop the masters of a library that are copies of masters which will be made: of one kind, night and name."""
    names = {(m.kind, m.night, m.name) for m in made if m.path is None}
    return [m for m in known if m.path is None or (m.kind, m.night, m.name) not in names]


def fits_always(_: PlannedMaster) -> bool:
    """Let every master compete."""
    return True


@dataclass(frozen=True, slots=True)
class _Rival:
    """A master that may serve, and the settings of which either side lacks the keyword."""

    master: PlannedMaster
    lacking: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class _DarkChoice:
    """A dark that may be used, and the criteria that rank it before time does."""

    dark: PlannedMaster
    lacking: tuple[Difference, ...]
    unsure: bool
    factor: float
    scaled: bool

    def rank(self, days: float, limit: float | None) -> tuple[float, ...]:
        """Rank the choice; the smallest rank wins."""
        too_old = limit is not None and days > limit
        return bool(self.lacking), too_old, self.unsure, self.factor, floor(days), self.scaled


class MasterMatcher:
    """Choose the master closest in time among those known so far.

    Parameters
    ----------
    options : Options
    known : iterable of PlannedMaster
        Masters that compete from the start.
    """

    def __init__(self, options: Options, known: Iterable[PlannedMaster]) -> None:
        self.options = options
        self.known: dict[str, dict[Setup, list[PlannedMaster]]] = defaultdict(lambda: defaultdict(list))
        self._answers: dict[tuple[Setup, float | None, Span, bool], tuple[list[_DarkChoice], str]] = {}
        self._rivals: dict[tuple[str, Setup], list[_Rival]] = {}
        self.add(known)

    def add(self, masters: Iterable[PlannedMaster]) -> None:
        """Let more masters compete."""
        self._answers.clear()
        self._rivals.clear()
        masters = list(masters)
        for kind in {master.kind for master in masters}:
            for setup, known in self.known[kind].items():
                self.known[kind][setup] = drop_copies(known, masters)
        for master in masters:
            self.known[master.kind][master.setup].append(master)

    def __call__(
        self, kind: str, subject: Frame | PlannedMaster, mjd: float | None = None, fits: Fits = fits_always
    ) -> Match:
        """Choose a master for a frame, or for the frames of a master.

        Parameters
        ----------
        kind : str
            As in `PlannedMaster`.
        subject : Frame or PlannedMaster
            What is to be calibrated.
        mjd : float, optional
            The time to which the master is to be close, if not that of the subject.
        fits : function
            Tells which masters compete.

        Returns
        -------
        Match
        """
        setup = subject.setup if isinstance(subject, PlannedMaster) else Setup.from_frame(subject)
        time = (subject.mjd or 0.0) if mjd is None else mjd
        match = (
            self._choose_dark(setup, subject, time, fits)
            if kind == "dark"
            else self._choose_nearest(kind, setup, subject, time, fits)
        )
        if kind == "bias":
            match = self._warn_of_warm_bias(subject, match)
        match = _warn_of_skipped_step(kind, subject, match)
        if kind == "dark" or (subject.kind, kind) == ("dark", "bias"):
            return self._warn_of_temperature(subject, match)
        return match

    def _find_rivals(self, kind: str, setup: Setup) -> list[_Rival]:
        """Find the masters of a setup, and those that differ only in keywords that either side lacks."""
        if (kind, setup) not in self._rivals:
            differences = {other: tuple(setup.find_differences(other)) for other in self.known[kind]}
            self._rivals[kind, setup] = [
                _Rival(master, differences[other])
                for other, masters in self.known[kind].items()
                if all(difference.is_lack for difference in differences[other])
                for master in masters
            ]
        return self._rivals[kind, setup]

    def _choose_nearest(self, kind: str, setup: Setup, subject: Frame | PlannedMaster, mjd: float, fits: Fits) -> Match:
        rivals = [rival for rival in self._find_rivals(kind, setup) if fits(rival.master)]
        if kind == "flat":
            rivals = [
                _Rival(r.master, (*r.lacking, *_compare_filters(subject, r.master)))
                for r in rivals
                if r.master.filter == subject.filter or not (r.master.filter and subject.filter)
            ]
        exact = [r for r in rivals if not r.lacking]
        if not exact and (contradiction := _find_contradiction([r.lacking for r in rivals])):
            return Match(reason=f"no {kind}: {contradiction}{SKIPPED}")
        rivals = exact or rivals
        if not rivals:
            return Match(reason=explain_missing(kind, setup, subject.filter, self.known[kind]) + SKIPPED)
        if kind == "bias":
            rivals = self._keep_suitable_biases(rivals, subject)
            if not rivals:
                return Match(reason=f"no bias, and no shorter darks at this temperature to serve as bias{SKIPPED}")
        candidates = [r.master for r in rivals]
        preferred = self._keep_preferred(candidates, mjd) if kind == "flat" else candidates
        if kind == "bias":
            preferred = self._keep_of_temperature(candidates, subject, mjd)
        best = min(preferred, key=lambda m: _rank_by_time(m, mjd))
        source = ""
        if len(preferred) < len(candidates):
            source = f"{best.flat_source} preferred, " if kind == "flat" else "of its temperature, "
        use = f"made of darks of {best.pedestal_exposure:g} s" if best.pedestal_exposure > 0 else ""
        match = self._limit_age(kind, best, abs(best.mjd - mjd) * 24, source + _describe_choice(len(preferred)), use)
        return _warn_of_lack(match, next(r.lacking for r in rivals if r.master is best))

    def _keep_suitable_biases(self, rivals: Sequence[_Rival], subject: Frame | PlannedMaster) -> list[_Rival]:
        tolerance = self.options.temperature_tolerance
        temperature, exposures = _find_temperature(subject, tolerance), _find_exposures(subject)
        suitable = keep_suitable([r.master for r in rivals], subject.kind, exposures, temperature, tolerance)
        return [r for r in rivals if any(r.master is master for master in suitable)]

    def _keep_of_temperature(
        self, biases: Sequence[PlannedMaster], subject: Frame | PlannedMaster, mjd: float
    ) -> Sequence[PlannedMaster]:
        """Keep the biases at the temperature of the frames, if no overscan follows the level; all if there is none."""
        tolerance, limit = self.options.temperature_tolerance, self.options.max_age_days.get("bias")
        wanted = _find_temperature(subject, tolerance)
        known = [(choose_temperature(m, tolerance), m) for m in biases]
        alike = [m for degrees, m in known if None in (degrees, wanted) or are_close(degrees, wanted, tolerance)]
        recent = [m for m in alike if limit is None or abs(m.mjd - mjd) <= limit]
        return recent or biases

    def _keep_preferred(self, flats: Sequence[PlannedMaster], mjd: float) -> Sequence[PlannedMaster]:
        """Keep flats of the preferred source; keep all if none of them is recent enough."""
        preferred = [m for m in flats if m.flat_source == self.options.prefer_source]
        limit = self.options.max_age_days.get("flat")
        nearest = min(abs(m.mjd - mjd) for m in flats)
        reach = nearest + PREFERENCE_DAYS if limit is None else max(nearest, min(limit, nearest + PREFERENCE_DAYS))
        return preferred if any(abs(m.mjd - mjd) <= reach for m in preferred) else flats

    def _choose_dark(self, setup: Setup, subject: Frame | PlannedMaster, mjd: float, fits: Fits) -> Match:
        tolerance = self.options.temperature_tolerance
        if self.options.darks.scaling == "bias_only":
            return Match(reason=NO_DARKS_WANTED + SKIPPED)
        wanted, exposures = _find_temperature(subject, tolerance), _find_exposures(subject)
        question = setup, wanted, exposures, subject.kind == "flat"
        if question not in self._answers:
            self._answers[question] = self._list_darks(*question)
        choices, why = self._answers[question]
        choices = [choice for choice in choices if fits(choice.dark)]
        if not choices:
            if self.options.darks.otherwise == "reject":
                return Match(reason=f"{why}: frame rejected", rejected=True)
            return Match(reason=why + SKIPPED)
        limit = self.options.max_age_days.get("dark")
        ranks = [choice.rank(abs(choice.dark.mjd - mjd), limit) for choice in choices]
        rank, _, choice = min(
            zip(ranks, [_rank_by_time(choice.dark, mjd) for choice in choices], choices, strict=True),
            key=itemgetter(0, 1),
        )
        equals, best = ranks.count(rank), choice.dark
        how = _describe_choice(equals)
        if equals < len(choices):
            how = f"best of {len(choices)} by exposure time and date"
        use = describe_use(best.exposures, exposures, best.pedestal_exposure)
        match = self._limit_age("dark", best, abs(best.mjd - mjd) * 24, how, use)
        match = _warn_of_lack(match, choice.lacking)
        if match.master is None or not choice.unsure:
            return match
        unknown = "temperature of the dark or of the frames unknown"
        warning = name_warning("dark of unknown temperature", unknown)
        return replace(match, reason=f"{match.reason}; {unknown}", warning=_join(match.warning, warning))

    def _explain_no_dark(self, setup: Setup, wanted: float | None) -> str:
        """Explain why there is no dark; darks of another temperature may have become a bias."""
        why, tolerance = explain_missing("dark", setup, "", self.known["dark"]), self.options.temperature_tolerance
        made_of_darks = [r.master for r in self._find_rivals("bias", setup) if r.master.pedestal_exposure > 0]
        known = [(choose_temperature(master, tolerance), master) for master in made_of_darks]
        if why != "no dark" or wanted is None:
            return why
        others = [(t, master) for t, master in known if t is not None and not are_close(t, wanted, tolerance)]
        if not others:
            return why
        temperature, nearest = min(others, key=lambda other: abs(other[0] - wanted))
        seconds, number = nearest.pedestal_exposure, f"{len(nearest.frames)} " if nearest.frames else ""
        noun = "dark" if len(nearest.frames) == 1 else "darks"
        return f"no dark within {tolerance:g} C of {wanted:g} C: {number}{noun} of {seconds:g} s at {temperature:g} C"

    def _list_darks(
        self, setup: Setup, wanted: float | None, exposures: Span, of_flats: bool
    ) -> tuple[list[_DarkChoice], str]:
        """List the darks that may be used; if there are none, the reason."""
        policy, tolerance, rivals = (
            self.options.darks,
            self.options.temperature_tolerance,
            self._find_rivals("dark", setup),
        )
        if not rivals:
            return [], self._explain_no_dark(setup, wanted)
        known = [(choose_temperature(r.master, tolerance), r) for r in rivals]
        alike = [(t, r) for t, r in known if None in (t, wanted) or are_close(t, wanted, tolerance)]
        exact = [(t, r) for t, r in alike if not r.lacking]
        if not exact and (contradiction := _find_contradiction([r.lacking for _, r in alike])):
            return [], f"no dark: {contradiction}"
        alike = exact or alike
        if not alike:
            return [], f"no dark within {tolerance:g} C of {wanted:g} C"
        choices = [
            _DarkChoice(
                r.master,
                r.lacking,
                (t is None) != (wanted is None),
                amplification(r.master.exposures, exposures, r.master.pedestal_exposure),
                not are_equal(r.master.exposures, exposures),
            )
            for t, r in alike
            if policy.allows(setup.camera, r.master.exposures, exposures, r.master.pedestal_exposure, of_flats)
        ]
        available = [r.master.exposures for _, r in alike]
        pedestal = max((r.master for _, r in alike), key=lambda dark: dark.exposures[1]).pedestal_exposure
        why = "" if choices else policy.explain_rejection(setup.camera, available, exposures, pedestal)
        return choices, why

    def _warn_of_temperature(self, subject: Frame | PlannedMaster, match: Match) -> Match:
        """Add a warning if the CCD was off its set temperature."""
        tolerance = self.options.temperature_tolerance
        frames = subject.frames if isinstance(subject, PlannedMaster) else (subject,)
        if match.rejected or not any(is_off_set_point(frame, tolerance) for frame in frames):
            return match
        whose = f"{subject.kind} frames: " if isinstance(subject, PlannedMaster) else ""
        warning = name_warning("off set temperature", f"{whose}CCD more than {tolerance:g} C off its set temperature")
        return replace(match, warning=_join(match.warning, warning))

    def _warn_of_warm_bias(self, subject: Frame | PlannedMaster, match: Match) -> Match:
        """Add a warning if the bias is of another temperature, and that changes its level or dark current."""
        tolerance = self.options.temperature_tolerance
        if match.master is None:
            return match
        warning = warn_of_temperature(match.master, subject.kind, _find_temperature(subject, tolerance), tolerance)
        return replace(match, warning=_join(match.warning, warning)) if warning else match

    def _limit_age(self, kind: str, best: PlannedMaster, hours: float, how: str, use: str = "") -> Match:
        """Make the match with a master, unless it is too old."""
        age = grade_age(kind, hours / 24, self.options.age_days)
        graded = f" ({age})" if age in (USABLE, RISKY) else ""
        reason = f"{kind}: {how}, {hours:.1f} h away{graded}" + (f", {use}" if use else "")
        limit = self.options.max_age_days.get(kind)
        if limit is None or hours <= 24 * limit:
            return Match(best, hours, reason, self._warn_of_risk(kind, hours, age), age=age)
        policy = self.options.too_old.get(kind, "use")
        old = f"{kind} {best.name} of {best.night} is {hours / 24:.1f} days away (limit {limit:g})"
        if policy == "use":
            warning = name_warning("old master", f"{kind} older than {limit:g} days")
            return Match(best, hours, f"{reason}; {old}: used, with a warning", warning=warning, age=age)
        if policy == "skip":
            return Match(None, hours, f"{old}{SKIPPED}")
        return Match(None, hours, f"{old}: frame rejected", rejected=True)

    def _warn_of_risk(self, kind: str, hours: float, age: str) -> str:
        """Warn of a master that is older than is usable."""
        if age != RISKY:
            return ""
        usable = self.options.age_days[kind][1]
        return name_warning("risky age", f"{kind} is {hours / 24:.1f} days away; usable up to {usable:g}")


def _compare_filters(subject: Frame | PlannedMaster, flat: PlannedMaster) -> list[Difference]:
    return [] if subject.filter == flat.filter else [Difference("the filter", subject.filter, flat.filter)]


def _find_contradiction(lacking: Sequence[Sequence[Difference]]) -> str:
    """Find a setting that a frame lacks and in which its candidates differ: any of them may be wrong."""
    values: dict[str, dict[str, None]] = defaultdict(dict)
    for difference in (difference for differences in lacking for difference in differences):
        values[difference.card][difference.second] = None
    for card, found in values.items():
        if len(found) > 1:
            return f"{card} is missing, and the candidates differ in it ({', '.join(map(repr, found))})"
    return ""


def _warn_of_lack(match: Match, lacking: Sequence[Difference]) -> Match:
    """Add a warning for the settings that were assumed to be equal."""
    if match.master is None or match.master.kind not in ("bias", "dark", "flat") or not lacking:
        return match
    assumed = ", ".join(
        f"{d.card} ({d.first or d.second!r} in the {'frames' if d.first else match.master.kind} only)" for d in lacking
    )
    warning = name_warning("assumed alike", f"{match.master.kind} and frames, for lack of {assumed}")
    return replace(match, reason=f"{match.reason}; {warning}", warning=_join(match.warning, warning))


def _warn_of_skipped_step(kind: str, subject: Frame | PlannedMaster, match: Match) -> Match:
    """Add a warning if a science frame gets no master, unless that is wanted."""
    wanted = kind in ("bias", "dark", "flat") and isinstance(subject, Frame)
    if not wanted or match.master is not None or match.rejected or match.reason.startswith(NO_DARKS_WANTED):
        return match
    why = match.reason.removesuffix(SKIPPED)
    return replace(match, warning=_join(match.warning, name_warning(f"{kind} skipped", why)))


def _describe_choice(rivals: int) -> str:
    return "only candidate" if rivals == 1 else f"nearest of {rivals} in time"


def _rank_by_time(master: PlannedMaster, mjd: float) -> tuple[float, float, bool, str, str]:
    return abs(master.mjd - mjd), master.mjd, master.path is not None, master.night, master.name


def _join(*warnings: str) -> str:
    return "; ".join(warning for warning in warnings if warning)


def describe_needs(subject: Frame | PlannedMaster, tolerance: float) -> Hashable:
    """Describe all that decides which masters fit a frame, or the frames of a master, but its time.

    Parameters
    ----------
    subject : Frame or PlannedMaster
    tolerance : float
        Largest difference between measured and set temperature [deg C].

    Returns
    -------
    hashable
    """
    frames = subject.frames if isinstance(subject, PlannedMaster) else (subject,)
    return (
        subject.kind,
        subject.setup if isinstance(subject, PlannedMaster) else Setup.from_frame(subject),
        subject.filter,
        _find_exposures(subject),
        _find_temperature(subject, tolerance),
        any(is_off_set_point(frame, tolerance) for frame in frames),
    )


def _find_exposures(subject: Frame | PlannedMaster) -> Span:
    return subject.exposures if isinstance(subject, PlannedMaster) else (subject.exposure_time, subject.exposure_time)


def _find_temperature(subject: Frame | PlannedMaster, tolerance: float) -> float | None:
    frames = subject.frames if isinstance(subject, PlannedMaster) else (subject,)
    known = (choose_temperature(frame, tolerance) for frame in frames)
    return next((degrees for degrees in known if degrees is not None), None)
