"""Verdicts on masters: accepted, doubtful or rejected, and why. Each stands in a small file of its own.

The verdict is no part of the master's file: it depends on masters of other nights, and a master that changed with it
would have to be applied again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

from nightcal.io.atomic import write_text


class Outcome(IntEnum):
    """What a master is worth; the worst of several outcomes is the largest."""

    ACCEPTED = 0
    DOUBTFUL = 1
    REJECTED = 2

    @property
    def word(self) -> str:
        """The outcome in lower case."""
        return self.name.lower()

    @staticmethod
    def parse(word: str) -> Outcome:
        """Parse the word; ValueError for another one."""
        try:
            return Outcome[word.upper()]
        except KeyError:
            raise ValueError(f"{word!r} is no outcome; expected accepted, doubtful or rejected") from None


@dataclass(frozen=True, slots=True)
class Check:
    """A check of a master: its name, statistic and limit, and what follows.

    Attributes
    ----------
    name : str
        As in ``docs/verification.md``.
    value, limit : float or None
        In the unit that the name's section gives; None if it could not be measured.
    outcome : Outcome
    text : str
        What was found, in plain words; empty if there is nothing to say.
    """

    name: str
    value: float | None = None
    limit: float | None = None
    outcome: Outcome = Outcome.ACCEPTED
    text: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on a master.

    Attributes
    ----------
    master, night, kind : str
    outcome : Outcome
    why : str
        One sentence: what decided.
    compared_with : str
        Night and name of the last accepted master; empty if there is none.
    checks : tuple of Check
    numbers : mapping of str to float
        Level, read noise, gain, dark current and so on, for trends.
    """

    master: str
    night: str
    kind: str
    outcome: Outcome
    why: str
    compared_with: str = ""
    checks: tuple[Check, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


def write_verdict(path: Path, verdict: Verdict) -> None:
    """Write a verdict as JSON."""
    values = asdict(verdict)
    values["outcome"] = verdict.outcome.word
    values["checks"] = [asdict(check) | {"outcome": check.outcome.word} for check in verdict.checks]
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def read_verdict(path: Path) -> Verdict:
    """Read a verdict.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is no verdict.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        checks = tuple(Check(**each | {"outcome": Outcome.parse(each["outcome"])}) for each in values["checks"])
        return Verdict(**values | {"outcome": Outcome.parse(values["outcome"]), "checks": checks})
    except (AttributeError, KeyError, TypeError) as mistake:
        raise ValueError(f"{path} is no verdict of nightcal ({mistake})") from mistake


def locate_verdict(master: Path) -> Path:
    """Locate the verdict on a master: ``NIGHT/verdicts/NAME.json`` for ``NIGHT/masters/NAME.fits``."""
    return master.parent.parent / "verdicts" / f"{master.name.removesuffix('.fz').removesuffix('.fits')}.json"


def find_verdict(master: Path) -> Verdict | None:
    """Find the verdict on a master; None for a master that nobody judged, such as one of another program."""
    path = locate_verdict(master)
    return read_verdict(path) if path.exists() else None
