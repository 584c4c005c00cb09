"""The verdict on a night: is it good, what has to be looked at, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nightcal.planning.doubts import describe_doubt, describe_warning
from nightcal.planning.plan import REJECTED, STEPS
from nightcal.planning.positions import FETCH_STARS, explain_positions
from nightcal.planning.summary import NightSummary
from nightcal.planning.summary_text import describe_group, find_failure, suggest

GOOD, LOOK, BAD = "GOOD", "LOOK", "BAD"

MOST_POOR = 0.5
"""A night is bad if more than this share of its science frames is poor or rejected."""

MOST_WARNINGS = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that an observer should know of a night.

    Attributes
    ----------
    text : str
        One sentence, with a number.
    advice : str
        What to do, with the command if there is one, a line each; empty if nothing has to be done. What helps against
        frames that lack a step or were rejected stands with the first of them.
    needs_look : bool
        Whether the night is not good for that reason.
    """

    text: str
    advice: str = ""
    needs_look: bool = True


@dataclass(frozen=True, slots=True)
class NightVerdict:
    """A verdict in one word, and why.

    Attributes
    ----------
    word : str
        ``GOOD``, ``LOOK`` or ``BAD``.
    findings : tuple of Finding
        What science frames lack first, then what was rejected, masters, the quality of frames, warnings, positions.
    """

    word: str
    findings: tuple[Finding, ...]

    @property
    def to_do(self) -> int:
        """Number of findings about which something can be done."""
        return sum(bool(finding.advice) for finding in self.findings)


def judge_night(summary: NightSummary, raw: str = "", fetch: str = FETCH_STARS) -> NightVerdict:
    """Judge a night by its summary after the reduction.

    Parameters
    ----------
    summary : NightSummary
    raw : str
        Folder of the raw frames, for commands.
    fetch : str
        The command that downloads reference stars.

    Returns
    -------
    NightVerdict
    """
    findings = tuple(_find(summary, raw, fetch))
    lost = summary.poor + summary.rejected_science
    if find_failure(summary) or lost > MOST_POOR * (summary.science + summary.rejected_science):
        return NightVerdict(BAD, findings)
    return NightVerdict(LOOK if any(finding.needs_look for finding in findings) else GOOD, findings)


def describe_verdict(verdict: NightVerdict) -> str:
    """Say the verdict in one line."""
    if not verdict.to_do:
        return f"{verdict.word}."
    return f"{verdict.word}, with {verdict.to_do} thing{'s' if verdict.to_do > 1 else ''} to do."


def _find(summary: NightSummary, raw: str, fetch: str) -> Iterator[Finding]:
    """Find what an observer should know, the most important first."""
    advice = "\n".join(suggest(summary, raw))
    if failure := find_failure(summary):
        yield Finding(f"{failure[0].upper()}{failure[1:]}.")
    lacking = [group for group in summary.undone if group.what in STEPS and group.kind == "science"]
    rejected = [group for group in summary.undone if group.what == REJECTED]
    for group in (*lacking, *rejected):
        yield Finding(describe_group(group), advice)
        advice = ""
    yield from map(Finding, summary.distrusted)
    for doubt in summary.doubts:
        yield Finding(describe_doubt(doubt, summary.science), needs_look=not doubt.is_common)
    for warning in summary.warnings[:MOST_WARNINGS]:
        look = not warning.is_handled
        yield Finding(describe_warning(warning, summary.science), warning.remedy if look else "", look)
    text, remedy = explain_positions(summary.positions, fetch)
    if text:
        yield Finding(text, remedy, needs_look=False)
