"""Rules of camera files that ask for the name of a file or of its folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

PATH_NAMES = ("file", "folder")
"""Names in rules that stand for the name of the file and that of its folder."""


def fits_path(path: Path, name: str, patterns: Sequence[str | float | None]) -> bool:
    """Check whether a file or its folder has one of several names.

    Parameters
    ----------
    path : Path
    name : str
        ``file`` or ``folder``.
    patterns : sequence of str
        As in camera files. One with slashes asks for as many folders above: ``Bias/*`` as a file is any file in a
        folder ``Bias``. So a rule depends only on the last parts of a path, not on where the raw frames are.
    """
    whole = Path(os.path.abspath(path))
    parts = (whole if name == "file" else whole.parent).parts
    return any(_fits(parts, str(pattern).strip("/").split("/")) for pattern in patterns)


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    last = parts[-len(wanted) :]
    return len(last) == len(wanted) and all(
        fnmatchcase(part.lower(), pattern.lower()) for part, pattern in zip(last, wanted, strict=True)
    )
