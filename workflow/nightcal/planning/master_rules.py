"""Find what the observer's rules say of masters: accepted or rejected, whatever the checks find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from nightcal.planning.earlier_masters import JUDGED
from nightcal.planning.night_file import OF_MASTERS, Rule
from nightcal.planning.records import PlannedMaster

ByHand = Mapping[tuple[str, str], str]
"""What the observer says of masters, by night and name: ``accepted by night.yaml: ...``."""


def find_by_hand(
    rules: Mapping[str, Sequence[Rule]], masters: Iterable[PlannedMaster]
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Find what rules say of the masters of their nights.

    Parameters
    ----------
    rules : mapping of str to sequence of Rule
        By night. Of several rules for a master, the last counts.
    masters : iterable of PlannedMaster
        Those that will be made.

    Returns
    -------
    by_hand : dict of (str, str) to str
        By night and name; each sentence begins with ``accepted`` or ``rejected``.
    remarks : list of str
        One for each rule that matches no master of any of its nights.
    """
    judged = [master for master in masters if master.kind in JUDGED and master.path is None]
    by_hand: dict[tuple[str, str], str] = {}
    unmatched: dict[str, Rule] = {}
    matched: set[str] = set()
    for night, listed in rules.items():
        for rule in (rule for rule in listed if rule.masters):
            covered = [m for m in judged if m.night == night and _covers(rule, m)]
            by_hand |= {(m.night, m.name): _tell(rule) for m in covered}
            unmatched[rule.place] = rule
            matched |= {rule.place} if covered else set()
    names = ", ".join(sorted({master.name for master in judged})) or "none"
    remarks = [f"{place} matches no master; there are: {names}." for place in unmatched if place not in matched]
    return by_hand, remarks


def _covers(rule: Rule, master: PlannedMaster) -> bool:
    names = master.name, f"{master.night}/{master.name}"
    return any(fnmatchcase(name, pattern) for name in names for pattern in rule.masters)


def _tell(rule: Rule) -> str:
    word = next(word for word in OF_MASTERS if word in rule.says)
    why = rule.says[word]
    return f"{word}ed by {rule.source}" + ("" if why is True else f": {why}")
