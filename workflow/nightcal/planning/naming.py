"""File names from header text and raw file names: safe, readable and unique."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from nightcal.io.raw_header import strip_suffix
from nightcal.planning.frames import Frame

LONGEST_NAME = 60

MISREAD = re.compile(r"\{|<[a-z][a-z0-9_]*>")
"""What Snakemake reads as a wildcard or a variable in the path of an input or output."""


def find_misread(path: str | Path) -> str:
    """Find what Snakemake would read as a wildcard or a variable in a path, such as ``{`` or ``<copy>``; or empty."""
    match = MISREAD.search(str(path))
    return match[0] if match else ""


def slugify(text: str) -> str:
    """Make header text safe in a file name: letters, digits and ``. _ + -``, not beginning with a dot or hyphen."""
    clean = re.sub(r"[^A-Za-z0-9._+-]+", "-", text.strip()).strip(".-")
    if len(clean) > LONGEST_NAME:
        clean = clean[: LONGEST_NAME - 9] + "-" + hash_text(text)
    return clean or hash_text(text)


def make_printable(text: str) -> str:
    """Escape control characters and bytes that are not UTF-8."""
    if text.isprintable():
        return text
    escaped = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped)


def hash_text(text: str) -> str:
    """Hash text into 8 digits, to distinguish names that would be equal."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def name_products(frames: Sequence[Frame]) -> dict[str, str]:
    """Name the products of science frames after their files; with the folder where two names are equal."""

    def lengthen(names: dict[str, str], longer: Callable[[str], str]) -> dict[str, str]:
        count = Counter((nights[raw], name.lower()) for raw, name in names.items())
        return {raw: longer(raw) if count[nights[raw], name.lower()] > 1 else name for raw, name in names.items()}

    nights = {frame.name: frame.night for frame in frames}
    stems = {frame.name: "_".join(filter(None, (strip_suffix(frame.file), frame.plane))) for frame in frames}
    names = {raw: slugify(stem.rpartition("/")[2]) for raw, stem in stems.items()}
    names = lengthen(names, lambda raw: slugify(stems[raw].replace("/", "_")))
    return lengthen(names, lambda raw: f"{slugify(stems[raw].replace('/', '_'))}_{hash_text(raw)}")
