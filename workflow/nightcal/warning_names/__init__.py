"""Names of warnings, under which docs/warnings.md says what they mean and what to do.

A warning begins with its name, as in ``gain setting: GAIN is 100 ...``, wherever it appears: in the plan, in the log,
in the header of a product and in the report.
"""

from __future__ import annotations

from collections.abc import Callable

from nightcal.warning_names.frames import FRAME_WARNINGS
from nightcal.warning_names.headers import HEADER_WARNINGS
from nightcal.warning_names.kind import WarningName
from nightcal.warning_names.masters import MASTER_WARNINGS

Warn = Callable[[str], None]
"""Takes a warning."""

WARNINGS = tuple(sorted((*HEADER_WARNINGS, *MASTER_WARNINGS, *FRAME_WARNINGS), key=lambda warning: warning.name))
"""All kinds, in alphabetical order."""

_KINDS = {warning.name: warning for warning in WARNINGS}


def ignore_warning(warning: str) -> None:
    """Take no notice of a warning, which was given when the frame was planned."""


def name_warning(name: str, text: str) -> str:
    """Begin a warning with its name.

    Parameters
    ----------
    name : str
        One of `WARNINGS`.
    text : str
        What was found, and what was done.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such name.
    """
    if name not in _KINDS:
        raise ValueError(f"{name!r} is not the name of a warning; add it to nightcal.warning_names")
    return f"{name}: {text}"


def read_name(warning: str) -> str:
    """Read the name with which a warning begins."""
    return warning.partition(": ")[0]


def find_kind(warning: str) -> WarningName | None:
    """Find the kind of a warning, or of its name; None if there is no such name."""
    return _KINDS.get(read_name(warning))


def summarise_warnings(warnings: list[tuple[str, ...]]) -> list[str]:
    """Join the warnings of the frames of a set.

    Parameters
    ----------
    warnings : list of tuple of str
        Of each frame.

    Returns
    -------
    list of str
        Each different warning once; with the number of frames, unless all have it.
    """
    count: dict[str, int] = {}
    for text in (text for frame in warnings for text in dict.fromkeys(frame)):
        count[text] = count.get(text, 0) + 1
    total = len(warnings)
    return [text if number == total else f"{text} ({number} of {total} frames)" for text, number in count.items()]
