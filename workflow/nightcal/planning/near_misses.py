"""Explain why no master fits: the nearest candidates, and the criterion that excluded them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from nightcal.planning.records import PlannedMaster, Setup

NOUNS = {"bias": "bias frame", "dark": "dark", "flat": "flat"}

_CRITERION = re.compile(r" differs? in (.+)", re.DOTALL)


def explain_missing(kind: str, setup: Setup, filter_name: str, known: Mapping[Setup, Sequence[PlannedMaster]]) -> str:
    """Explain why no master of a kind fits.

    Parameters
    ----------
    kind : str
        ``bias``, ``dark``, ``flat``, ``bpm`` or ``gain``.
    setup : Setup
        Of the frames to calibrate.
    filter_name : str
        Of the frames; only for flats.
    known : mapping of Setup to sequence of PlannedMaster
        All masters of the kind.

    Returns
    -------
    str
        As in ``no flat in filter V: 5 flats in V differ in READMODE ('' and 'Slow')``.
    """
    what = f"no flat in filter {filter_name or '(none)'}" if kind == "flat" else f"no {kind}"
    masters = [master for group in known.values() for master in group]
    if not masters or kind not in NOUNS:
        return what
    misses = {master.setup: master.setup.find_differences(setup) for master in masters}

    def rank(master: PlannedMaster) -> tuple[bool, int]:
        wrong_filter = kind == "flat" and master.filter != filter_name
        return wrong_filter, sum(not miss.is_lack for miss in misses[master.setup])

    best = min(map(rank, masters))
    nearest = [master for master in masters if rank(master) == best]
    differences = " and ".join(str(miss) for miss in misses[nearest[0].setup] if not miss.is_lack)
    nearest = [master for master in nearest if misses[master.setup] == misses[nearest[0].setup]]
    verb = "differs" if len(nearest) == 1 and len(nearest[0].frames) <= 1 else "differ"
    criterion = f" {verb} in {differences}" if differences else ""
    return f"{what}: {_count(kind, nearest)}{criterion}"


def find_criterion(reason: str) -> str:
    """Find in what the nearest candidates differ, according to a reason; empty if it does not say."""
    match = _CRITERION.search(reason)
    return match[1] if match else ""


def _count(kind: str, masters: Sequence[PlannedMaster]) -> str:
    """Count the frames of masters, by filter for flats, as in ``5 flats in V and 3 in R``."""
    frames = Counter[str]()
    for master in masters:
        frames[master.filter if kind == "flat" else ""] += max(len(master.frames), 1)
    noun = NOUNS[kind] if all(master.frames for master in masters) else f"library {NOUNS[kind]}"
    parts = []
    for n, (name, number) in enumerate(sorted(frames.items())):
        counted = f"{number} {noun}{'s' * (number > 1)}" if n == 0 else str(number)
        parts.append(f"{counted} in {name or '(no filter)'}" if kind == "flat" else counted)
    return " and ".join(parts)
