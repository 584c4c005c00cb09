"""Read the filter of a frame, also from several filter wheels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nightcal.cameras.settings import format_value
from nightcal.io.raw_header import RawHeader

NO_FILTER = frozenset((
    "no", "none", "nofilter", "nofilt", "open", "air", "empty", "blank", "hole", "free", "out", "clear", "dia",
    "diaphragm", "unused", "null", "0", "na",
))  # fmt: skip
"""Names of an empty place of a filter wheel, in lower-case letters and digits."""


def is_no_filter(name: str) -> bool:
    """Check whether a name stands for an empty place of a filter wheel."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) in NO_FILTER or not re.search(r"\w", name)


def join_wheels(names: Sequence[str]) -> str:
    """Join what the filter wheels of a camera hold.

    Parameters
    ----------
    names : sequence of str
        In the order of the wheels; empty if the header does not name it.

    Returns
    -------
    str
        The only filter, or several as in ``B+ND``; without any the name of the first empty place, which may be a filter
        by itself (``clear``).
    """
    known = list(dict.fromkeys(name for name in names if name))
    filters = [name for name in known if not is_no_filter(name)]
    return "+".join(filters) or "".join(known[:1])


def read_wheels(header: RawHeader, wheels: Sequence[Sequence[str]]) -> list[str]:
    """Read the names of the filters in each wheel: the first keyword of a wheel that has a value."""
    values = ([header.value(card) for card in cards] for cards in wheels)
    return [next((format_value(value) for value in found if value is not None), "") for found in values]
