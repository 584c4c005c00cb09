"""Choose the first master that is not rejected, and say why another one was passed over."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from nightcal.io.master import MasterFrame, load_master
from nightcal.io.verdict import Outcome, Verdict, find_verdict
from nightcal.masters.distrust import WARNING, name_master, warn_of_rejected
from nightcal.warning_names import name_warning

log = logging.getLogger(__name__)

PlanWarnings = Mapping[str, Sequence[str]]
"""What the plan warns of if a master is used, by its path."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The master to use for a step, or None, and what to warn of."""

    master: MasterFrame | None = None
    warnings: tuple[str, ...] = ()
    path: Path | None = None

    def describe(self) -> tuple[str, ...]:
        """Describe all of it that a product depends on."""
        master = self.master
        own = () if master is None else (master.name, master.digest, master.verdict, master.age)
        return (*own, *self.warnings)


def choose_master(
    step: str,
    candidates: Sequence[str | PathLike[str]],
    warnings: PlanWarnings | None = None,
    ages: Mapping[str, str] | None = None,
) -> Choice:
    """Choose the first of several masters whose verdict is accepted or doubtful.

    Parameters
    ----------
    step : str
        ``bias``, ``dark``, ``flat``, ``bpm`` or ``fringe``.
    candidates : sequence of path
        Masters in order. A master without a verdict beside it, such as one of another program, is taken as it is.
    warnings : mapping of str to sequence of str, optional
        Warnings of the plan that hold if a master is used, by its path.
    ages : mapping of str to str, optional
        How old a master is for the frames, by its path: ``plan``, ``usable`` or ``risky``.

    Returns
    -------
    Choice
        Without a master if all are rejected.

    Raises
    ------
    ValueError
        If a master or a verdict cannot be read.
    """
    rejected: list[Verdict] = []
    for path in map(Path, candidates):
        verdict = find_verdict(path)
        if verdict is not None and verdict.outcome is Outcome.REJECTED:
            log.warning("%s %s of %s is rejected: %s.", step, verdict.master, verdict.night, verdict.why)
            rejected.append(verdict)
            continue
        outcome = "" if verdict is None else verdict.outcome.word
        master = replace(load_master(path), verdict=outcome, age=(ages or {}).get(str(path), ""))
        used = path.name if verdict is None else name_master(verdict)
        told = [*warn_of_rejected(step, rejected, used), *(warnings or {}).get(str(path), ())]
        if verdict is not None and verdict.outcome is Outcome.DOUBTFUL:
            told.append(name_warning("doubtful master", f"{name_master(verdict)}: {verdict.why}"))
        return Choice(master, tuple(told), path)
    return Choice(None, tuple(warn_of_rejected(step, rejected)))


def keep_accepted(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Keep the masters that are not rejected, to search them for bad pixels.

    Parameters
    ----------
    paths : sequence of Path

    Returns
    -------
    kept : list of Path
    warnings : list of str
        One for each rejected master.
    """
    verdicts = {path: find_verdict(path) for path in paths}
    rejected = [v for v in verdicts.values() if v is not None and v.outcome is Outcome.REJECTED]
    texts = [name_warning(WARNING, f"{name_master(v)}: {v.why}; not searched") for v in rejected]
    return [path for path, verdict in verdicts.items() if verdict not in rejected], texts
