"""The summary of a night in words, for the terminal, the report, and a check of the night."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from shlex import quote

from nightcal.planning.doubts import describe_doubt, describe_warning
from nightcal.planning.near_misses import find_criterion
from nightcal.planning.plan import REJECTED, STEPS, UNUSED
from nightcal.planning.positions import FETCH_STARS, describe_positions
from nightcal.planning.summary import FALLBACK_CAMERA, NightSummary, Undone

NO_SCIENCE = "No science frames."

_SIZE = re.compile(r"(?:^| and )size \(")  # no rule makes masters of another size fit

MOST_LINES = 20
"""Lines about a night in the terminal."""


def describe_summary(
    summary: NightSummary, raw: str = "", most: int | None = MOST_LINES, fetch: str = FETCH_STARS
) -> list[str]:
    """Say what was done and what was not, and what helps.

    Parameters
    ----------
    summary : NightSummary
    raw : str
        Folder of the raw frames, for commands.
    most : int or None
        Largest number of lines about what was not done; None for all.
    fetch : str
        The command that downloads reference stars.

    Returns
    -------
    list of str
        The counts first, then what matters most.
    """
    lines = [
        *summary.distrusted,
        *(describe_group(group) for group in summary.undone),
        *(describe_doubt(doubt, summary.science) for doubt in summary.doubts),
        *(describe_warning(warning, summary.science) for warning in summary.warnings),
    ]
    if most is not None and len(lines) > most:
        lines = [*lines[:most], f"... and {_count(len(lines) - most, 'more line')} in the report."]
    positions = describe_positions(summary.positions, fetch)
    return [describe_counts(summary), *lines, *suggest(summary, raw), *([positions] if positions else [])]


def describe_counts(summary: NightSummary) -> str:
    """Say how many science frames have bias, dark and flat."""
    number, having = summary.science, summary.having
    if not number:
        return f"No science frames: {summary.rejected_science} rejected." if summary.rejected_science else NO_SCIENCE
    if all(having[step] == number for step in STEPS):
        which = {1: "The only science frame has", 2: "Both science frames have"}
        return f"{which.get(number, f'All {number} science frames have')} bias, dark and flat."
    counts = ", ".join(f"{having[step]} with {step}" for step in STEPS)
    bare = f"; {summary.uncalibrated} not calibrated at all" if summary.uncalibrated else ""
    return f"{_count(number, 'science frame')}: {counts}, {having['bpm']} with bad pixel mask{bare}."


def describe_group(group: Undone) -> str:
    """Say in a line what was not done, to how many frames, and why."""
    number, first = len(group.frames), group.frames[0]
    if number == 1 and group.what in (REJECTED, UNUSED):
        return f"{first} {group.what}: {group.reason}."
    subject = _count(number, f"{group.kind} frame".strip())
    fate = group.what if group.what in (REJECTED, UNUSED) else f"without {group.what}"
    if not group.alike:
        return f"{subject} {fate} for reasons like that of {first}: {group.reason}."
    return f"{subject} {fate}: {group.reason} ({'first: ' if number > 1 else ''}{first})."


def suggest(summary: NightSummary, raw: str = "") -> list[str]:
    """Say what helps.

    Parameters
    ----------
    summary : NightSummary
    raw : str
        Folder of the raw frames.

    Returns
    -------
    list of str
        Sentences and commands, the most important one first; empty if nothing has to be done.
    """
    return list(_find_suggestions(summary.undone, raw))


def _find_suggestions(undone: Sequence[Undone], raw: str) -> Iterator[str]:
    misread = [group for group in undone if group.remedy == "check"]
    if misread:
        example = min(misread, key=lambda group: group.what != REJECTED).frames[0]
        yield (
            "No camera file is made for these frames. See how their headers are read, and write one "
            "(docs/cameras.md): "
            f"python -m nightcal.check_camera config/cameras/{FALLBACK_CAMERA}.yaml "
            f"{quote(str(PurePosixPath(raw, example)))}"
        )
    criteria = ((group.what, find_criterion(group.reason)) for group in undone if group.what in STEPS)
    different = next((step for step, criterion in criteria if criterion and not _SIZE.search(criterion)), "")
    if different:
        yield (
            "If frames that differ in such a keyword belong together all the same, say so in night.yaml: "
            f"- {{where: {{type: science}}, use: {{{different}: <name of the master in plan.csv>}}}}"
        )
    if any(group.what in STEPS and group.kind == "science" for group in undone):
        yield (
            "To see which frames to take: snakemake missing, with the same --config. Masters of other nights serve, "
            "too: library=[/path/to/results]"
        )


def find_failure(summary: NightSummary) -> str:
    """Say why a night counts as failed: all files rejected, or no science frame calibrated; empty if it does not."""
    if summary.raw and summary.rejected == summary.raw:
        return "every raw frame was rejected"
    if summary.science and summary.uncalibrated == summary.science:
        return "no science frame was calibrated: no overscan, bias, dark or flat"
    return "every science frame was rejected" if summary.rejected_science and not summary.science else ""


def list_shortcomings(summary: NightSummary) -> list[str]:
    """List what a strict night does not forgive: rejected frames and skipped steps."""
    rejected = [f"{_count(summary.rejected, 'frame')} rejected"] if summary.rejected else []
    distrusted = [f"{_count(len(summary.distrusted), 'master')} rejected or doubtful"] if summary.distrusted else []
    return (
        rejected
        + distrusted
        + [f"{_count(len(group.frames), f'{group.kind} frame')} without {group.what}" for group in summary.skipped]
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
