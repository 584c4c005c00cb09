"""File names from header text and raw file names: safe, readable and unique."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence

from nightcal.io.raw_header import stem
from nightcal.planning.frames import Frame

LONGEST_NAME = 60


def slug(text: str) -> str:
    """Make header text safe in a file name: letters, digits and ``. _ + -``, never first a dot or hyphen."""
    clean = re.sub(r"[^A-Za-z0-9._+-]+", "-", text.strip()).strip(".-")
    if len(clean) > LONGEST_NAME:
        clean = clean[: LONGEST_NAME - 9] + "-" + digest(text)
    return clean or digest(text)


def printable(text: str) -> str:
    """Text for a table: control characters and bytes that are no UTF-8 are escaped."""
    if text.isprintable():
        return text
    escaped = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in escaped)


def digest(text: str) -> str:
    """First digits of a hash, to tell apart what would have the same name."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def product_names(frames: Sequence[Frame]) -> dict[str, str]:
    """Names of the products of science frames: the file's own, with its folder's where two are alike."""

    def settle(names: dict[str, str], longer: Callable[[str], str]) -> dict[str, str]:
        count = Counter((nights[raw], name.lower()) for raw, name in names.items())
        return {raw: longer(raw) if count[nights[raw], name.lower()] > 1 else name for raw, name in names.items()}

    nights = {frame.name: frame.night for frame in frames}
    names = {frame.name: slug(stem(frame.name).rpartition("/")[2]) for frame in frames}
    names = settle(names, lambda raw: slug(stem(raw).replace("/", "_")))
    return settle(names, lambda raw: f"{slug(stem(raw).replace('/', '_'))}_{digest(raw)}")
