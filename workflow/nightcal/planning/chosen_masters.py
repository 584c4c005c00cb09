"""Choose masters, as the observer names them or as they match, and those that stand in if one is rejected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import replace

from nightcal.errors import ConfigurationError
from nightcal.planning.earlier_masters import JUDGED
from nightcal.planning.frames import Frame
from nightcal.planning.matching import SKIPPED, MasterMatcher, describe_needs, drop_copies
from nightcal.planning.records import Match, PlannedMaster, Setup
from nightcal.planning.user_masks import find_image_size

MOST_CANDIDATES = 3
"""Masters that a job may choose from, once it is known which of them are accepted."""


class MasterChooser:
    """Choose the master that the observer names, else the one that the matcher finds.

    Parameters
    ----------
    matcher : MasterMatcher
    known : iterable of PlannedMaster
        Masters that the matcher knows from the start.
    nights : collection of str, optional
        Only masters of these nights, and those of a library, stand in for others; None for those of any night.
    """

    def __init__(
        self, matcher: MasterMatcher, known: Iterable[PlannedMaster], nights: Collection[str] | None = None
    ) -> None:
        self.matcher = matcher
        self.nights = nights
        self._others: dict[Hashable, tuple[Match, ...]] = {}
        self.known: dict[str, list[PlannedMaster]] = defaultdict(list)
        self._remember(known)

    def add(self, masters: Iterable[PlannedMaster]) -> None:
        """Let more masters compete."""
        masters = list(masters)
        self._others.clear()
        self._remember(masters)
        self.matcher.add(masters)

    def _remember(self, masters: Iterable[PlannedMaster]) -> None:
        masters = list(masters)
        for kind in {master.kind for master in masters}:
            self.known[kind] = drop_copies(self.known[kind], masters)
        for master in masters:
            self.known[master.kind].append(master)

    def __call__(self, kind: str, subject: Frame | PlannedMaster) -> Match:
        """Choose a master; parameters and result as for `MasterMatcher`.

        Raises
        ------
        ConfigurationError
            If the observer names a master that does not exist, or has another number of pixels.
        """
        frame = subject.frames[0] if isinstance(subject, PlannedMaster) and subject.frames else subject
        override = frame.override if isinstance(frame, Frame) else None
        use = dict(override.use) if override else {}
        if override is None or kind not in use:
            match = self.matcher(kind, subject)
            return replace(match, others=self._find_others(kind, subject, match)) if kind in JUDGED else match
        source = override.text.partition(":")[0]
        name = use[kind]
        if name is None:
            return Match(reason=f"{kind}: none, as {source} says{SKIPPED}")
        mjd = subject.mjd or 0.0
        named = [m for m in self.known[kind] if name in (m.name, f"{m.night}/{m.name}")]
        if not named:
            names = ", ".join(sorted({f"{m.night}/{m.name}" for m in self.known[kind]})) or f"there is no {kind}"
            raise ConfigurationError(f"{source}: use.{kind} is {name!r} (for {frame.name}); expected one of {names}.")
        best = min(named, key=lambda m: (abs(m.mjd - mjd), m.night))
        _check_size(best, subject, f"{source}: use.{kind} is {name!r}")
        return Match(
            best, abs(best.mjd - mjd) * 24, f"{kind}: named in {source}, {abs(best.mjd - mjd) * 24:.1f} h away"
        )

    def _find_others(self, kind: str, subject: Frame | PlannedMaster, first: Match) -> tuple[Match, ...]:
        """Find the masters that stand in for the first choice, until one that is judged already (of a library).

        They are close to the first choice in time, not to the subject: all frames with the same first choice then have
        the same candidates, and can stay in one batch.
        """
        if first.master is None or first.master.path is not None:
            return ()
        needs = describe_needs(subject, self.matcher.options.temperature_tolerance)
        question = kind, first.master.night, first.master.name, needs
        if question not in self._others:
            self._others[question] = tuple(self._list_others(kind, subject, first.master))
        return self._others[question]

    def _list_others(self, kind: str, subject: Frame | PlannedMaster, first: PlannedMaster) -> Iterable[Match]:
        passed, limit = [first], self.matcher.options.max_age_days.get(kind)

        def fits(master: PlannedMaster) -> bool:
            offered = master.path is not None or self.nights is None or master.night in self.nights
            alike = master.pedestal_exposure == first.pedestal_exposure
            return offered and alike and not any(master is other for other in passed)

        while len(passed) < MOST_CANDIDATES and passed[-1].path is None:
            match = self.matcher(kind, subject, first.mjd, fits)
            if match.master is None or (limit is not None and (match.gap_hours or 0.0) > 24 * limit):
                return
            passed.append(match.master)
            yield match


def _check_size(master: PlannedMaster, subject: Frame | PlannedMaster, said: str) -> None:
    setup = subject.setup if isinstance(subject, PlannedMaster) else Setup.from_frame(subject)
    (rows, columns), expected = find_image_size(master.setup), find_image_size(setup)
    if (rows, columns) != expected:
        raise ConfigurationError(
            f"{said}, which has {columns} x {rows} pixels; expected {expected[1]} x {expected[0]}, as the frames have."
        )
