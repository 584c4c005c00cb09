"""Choose the type of a frame of which several keywords, or keyword and file name, say different things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nightcal.io.raw_header import Value, strip_suffix
from nightcal.warning_names import Warn, ignore_warning, name_warning

LONGEST_BIAS = 1.0
"""A frame that was exposed longer [s] is no bias if another keyword has a type for it."""

_NAMED = {"bias": "bias", "biases": "bias", "dark": "dark", "darks": "dark", "flat": "flat", "flats": "flat"}
_SEPARATOR = re.compile(r"[\W_]+|(?<=[a-z])(?=\d)")


def settle_type(
    path: Path, said: Mapping[str, tuple[Value, str]], exposure_time: float | None, warn: Warn = ignore_warning
) -> str:
    """Settle the type of a frame; warn if keywords, or keyword and file name, disagree.

    Of several keywords the first has its way; but bias is left aside if the frame was exposed, and science, which is
    what programs write if nobody told them, if another keyword gives another type.

    Parameters
    ----------
    path : Path
    said : mapping of str to (Value, str)
        By keyword its value, and the type that it stands for; the first first.
    exposure_time : float or None
        [s]; None if unknown.
    warn : Warn

    Returns
    -------
    str
    """
    kinds = {card: kind for card, (_, kind) in said.items()}
    first = next(iter(kinds))
    others = [card for card in kinds if kinds[card] != kinds[first]]
    if not others:
        named = find_named_type(path)
        if named and kinds[first] == "science":
            text = f"{first} is {said[first][0]!r} and the name of the file says {named}; science is used"
            warn(name_warning("types disagree", text))
        return kinds[first]
    chosen = _choose_keyword(kinds, exposure_time)
    pair = (first, others[0] if kinds[chosen] == kinds[first] else chosen)
    text = " and ".join(f"{card} is {said[card][0]!r}" for card in pair)
    warn(name_warning("types disagree", f"{text}; {kinds[chosen]} is used"))
    return kinds[chosen]


def _choose_keyword(kinds: Mapping[str, str], exposure_time: float | None) -> str:
    is_exposed = exposure_time is not None and exposure_time > LONGEST_BIAS
    possible = {card: kind for card, kind in kinds.items() if not (is_exposed and kind == "bias")} or kinds
    return next((card for card, kind in possible.items() if kind != "science"), "") or next(iter(possible))


def find_named_type(path: Path) -> str:
    """Find the type of calibration that a file is named after, as in ``dark_120s_01.fits``; empty for none.

    A longer word behind it is the name of a target, as in ``dark_nebula_01.fits``.
    """
    first, *others = _SEPARATOR.split(strip_suffix(path.name).lower())
    return "" if any(len(word) > 2 and word.isalpha() for word in others) else _NAMED.get(first, "")
