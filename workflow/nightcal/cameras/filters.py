"""Read the filter of a frame, also from several filter wheels."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nightcal.cameras.settings import format_value
from nightcal.io.raw_header import RawHeader

NO_FILTER = frozenset((
    "no", "none", "nofilter", "nofilt", "open", "air", "empty", "blank", "hole", "free", "out", "clear", "dia",
    "diaphragm", "unused", "null", "na", "not",
))  # fmt: skip
"""Words for an empty place of a filter wheel."""

BESIDE = frozenset(("filter", "filters", "filt", "slot", "place", "position", "pos", "used", "in", "use", "installed",
    "selected", "of", "the", "beam", "path", "glass"))  # fmt: skip
"""Words that may stand beside these."""


def is_no_filter(name: str) -> bool:
    """Check whether a name stands for an empty place of a filter wheel, as ``<NO FILTER>`` or ``open1-6``."""
    words = set(re.findall(r"[^\W\d_]+", name.lower()))
    if not words:
        return not name.strip("0 -_.")
    return bool(words & NO_FILTER) and words <= NO_FILTER | BESIDE


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
    """Read the names of the filters in each wheel.

    Parameters
    ----------
    header : RawHeader
    wheels : sequence of sequence of str
        Keywords of each wheel.

    Returns
    -------
    list of str
        The value of the first keyword of a wheel that has one; if that stands for no filter, another one with a name.
    """
    return [_read_wheel(header, cards) for cards in wheels]


def _read_wheel(header: RawHeader, cards: Sequence[str]) -> str:
    names = [format_value(value) for card in cards if (value := header.value(card)) is not None]
    if not names or not is_no_filter(names[0]):
        return next(iter(names), "")
    return next((name for name in names if not is_no_filter(name) and re.search(r"[^\W\d_]", name)), names[0])
