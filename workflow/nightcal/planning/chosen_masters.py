"""Let the observer choose masters by name; whatever he leaves open is matched as usual."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from nightcal.errors import ConfigurationError
from nightcal.planning.frames import Frame
from nightcal.planning.matching import SKIPPED, MasterMatcher
from nightcal.planning.records import Match, PlannedMaster, Setup
from nightcal.planning.user_masks import find_image_size


class MasterChooser:
    """Choose the master that the observer names, else the one that the matcher finds.

    Parameters
    ----------
    matcher : MasterMatcher
    known : iterable of PlannedMaster
        Masters that the matcher knows from the start.
    """

    def __init__(self, matcher: MasterMatcher, known: Iterable[PlannedMaster]) -> None:
        self.matcher = matcher
        self.known: dict[str, list[PlannedMaster]] = defaultdict(list)
        self._remember(known)

    def add(self, masters: Iterable[PlannedMaster]) -> None:
        """Let more masters compete."""
        masters = list(masters)
        self._remember(masters)
        self.matcher.add(masters)

    def _remember(self, masters: Iterable[PlannedMaster]) -> None:
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
            return self.matcher(kind, subject)
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


def _check_size(master: PlannedMaster, subject: Frame | PlannedMaster, said: str) -> None:
    setup = subject.setup if isinstance(subject, PlannedMaster) else Setup.from_frame(subject)
    (rows, columns), expected = find_image_size(master.setup), find_image_size(setup)
    if (rows, columns) != expected:
        raise ConfigurationError(
            f"{said}, which has {columns} x {rows} pixels; expected {expected[1]} x {expected[0]}, as the frames have."
        )
