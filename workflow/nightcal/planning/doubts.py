"""What is doubtful about the science frames of a night, summed up for the terminal and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nightcal.warning_names import find_kind, read_name

TOLD = frozenset(("FWHM unknown", "bias skipped", "dark skipped", "doubtful master", "flat skipped", "master rejected"))
"""Warnings that a summary tells by other means: steps that were skipped, masters, and the quality of frames."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Science frames that are less good than the others of their night, all for one cause.

    Attributes
    ----------
    cause : str
        As in ``clouds or haze``.
    frames : tuple of str
        Names of the products, in time order.
    worst : str
        What was measured in the worst one, and its name.
    is_common : bool
        Whether nights have such frames without anything being wrong.
    """

    cause: str
    frames: tuple[str, ...]
    worst: str
    is_common: bool = False


@dataclass(frozen=True, slots=True)
class WarningCount:
    """How many science frames have a kind of warning.

    Attributes
    ----------
    name : str
        One of `nightcal.warning_names.WARNINGS`.
    frames : int
    example : str
        The warning of the first frame.
    """

    name: str
    frames: int
    example: str

    @property
    def remedy(self) -> str:
        """What an observer can do."""
        kind = find_kind(self.name)
        return kind.remedy if kind else ""

    @property
    def is_handled(self) -> bool:
        """Whether nightcal has done what was needed, so that nobody has to look."""
        kind = find_kind(self.name)
        return kind is not None and kind.is_handled


def count_warnings(frames: Iterable[Sequence[str]]) -> tuple[WarningCount, ...]:
    """Count the frames that have each kind of warning.

    Parameters
    ----------
    frames : iterable of sequence of str
        Warnings of each science frame.

    Returns
    -------
    tuple of WarningCount
        Those that need a look first, then those of most frames; without those of `TOLD`.
    """
    number: Counter[str] = Counter()
    example: dict[str, str] = {}
    for warnings in frames:
        named = {read_name(text): text for text in reversed(warnings)}
        number.update(named.keys())
        example = named | example
    told = (name for name in number if find_kind(name) and name not in TOLD)
    counts = (WarningCount(name, number[name], example[name]) for name in told)
    return tuple(sorted(counts, key=lambda count: (count.is_handled, -count.frames, count.name)))


def describe_doubt(doubt: Doubt, total: int) -> str:
    """Say in a line how many frames are doubtful, and why."""
    number = f"{len(doubt.frames)} of {total} science frames" if total > 1 else "The science frame"
    return f"{number}: {doubt.cause} ({doubt.worst})."


def describe_warning(warning: WarningCount, total: int) -> str:
    """Say in a line how many frames have a warning."""
    return f"Warning in {warning.frames} of {total} science frames: {warning.example.rstrip('.')}."


def restore_doubts(rows: Iterable[Mapping[str, object]]) -> tuple[Doubt, ...]:
    """Restore doubts from what JSON keeps of them."""
    return tuple(Doubt(**{**row, "frames": tuple(row["frames"])}) for row in rows)  # type: ignore[arg-type]
