"""Say of rejected and doubtful masters what serves instead: in headers, on the terminal and in the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from nightcal.io.verdict import Outcome, Verdict
from nightcal.warning_names import name_warning

WARNING = "master rejected"


def warn_of_rejected(step: str, rejected: Sequence[Verdict], used: str = "") -> list[str]:
    """Warn of rejected masters, and say which one is used instead.

    Parameters
    ----------
    step : str
        ``bias``, ``dark`` or ``flat``.
    rejected : sequence of Verdict
        Verdicts on the masters that were passed over.
    used : str
        The master that is used; empty if there is none.

    Returns
    -------
    list of str
        One warning, or none without a rejected master.
    """
    if not rejected:
        return []
    whys = "; ".join(f"{name_master(verdict)}: {verdict.why}" for verdict in rejected)
    return [name_warning(WARNING, f"{whys}; {f'{used} used instead' if used else f'no other {step}: step skipped'}")]


def name_master(verdict: Verdict) -> str:
    """Name the master of a verdict, with its night."""
    return f"{verdict.master} of {verdict.night}"


def describe_distrusted(verdicts: Iterable[Verdict], warnings: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Say which masters of a night are rejected or doubtful, and what the science frames used instead.

    Parameters
    ----------
    verdicts : iterable of Verdict
        On the masters of the night.
    warnings : sequence of sequence of str
        Warnings in the header of each science frame.

    Returns
    -------
    tuple of str
        A sentence for each such master, the rejected ones first.
    """
    distrusted = [verdict for verdict in verdicts if verdict.outcome is not Outcome.ACCEPTED]
    return tuple(
        f"{verdict.master} is {verdict.outcome.word}: {verdict.why}{_describe_use(verdict, warnings)}."
        for verdict in sorted(distrusted, key=lambda one: -one.outcome)
    )


def _describe_use(verdict: Verdict, warnings: Sequence[Sequence[str]]) -> str:
    """Count the science frames that were to use a rejected master, by what they used."""
    if verdict.outcome is Outcome.DOUBTFUL:
        return ""
    said = [text for texts in warnings for text in texts if text.startswith(f"{WARNING}: ")]
    instead = Counter(text.rpartition("; ")[2] for text in said if f"{name_master(verdict)}: " in text)
    uses = [f"{number} science frame{'s' if number > 1 else ''}: {use}" for use, number in instead.most_common()]
    return f" ({'; '.join(uses)})" if uses else " (no science frame was to use it)"
