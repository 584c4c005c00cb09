"""Read the binning."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nightcal.io.raw_header import RawHeader, Value
from nightcal.warning_names import Warn, name_warning

LARGEST_BIN = 64

_PAIR = re.compile(r"[\[(]?\s*[+-]?(\d+)(?:\.0*)?\s*[x*:,;\s]\s*[+-]?(\d+)(?:\.0*)?\s*[\])]?", re.I)
_SINGLE = re.compile(r"[+-]?(\d+)(?:\.0*)?")


def read_binning(header: RawHeader, binning: Sequence[Sequence[str]], warn: Warn) -> tuple[int, int]:
    """Read the binning in x and y.

    Parameters
    ----------
    header : RawHeader
    binning : sequence of sequence of str
        Pairs of keywords, or single keywords that hold both numbers.
    warn : function
        Takes a warning if none of the keywords that the header has can be read.

    Returns
    -------
    (int, int)
        From the first that can be read. A single number is that of both directions; 1 x 1 if there is none.
    """
    problems = []
    for cards in binning:
        values = {card: value for card in cards if (value := header.value(card)) is not None}
        if not values:
            continue
        bins = _parse_bins(list(values.values()))
        if bins is None:
            problems.append(" and ".join(f"{card} is {value!r}" for card, value in values.items()))
        elif len(values) < len(cards) and "".join(map(str, values.values())).isdecimal():
            missing = next(card for card in cards if card not in values)
            warn(name_warning("unknown binning", f"{missing} is missing; {bins[0]} x {bins[1]} is assumed"))
            return bins
        else:
            return bins
    if problems:
        warn(name_warning("unknown binning", f"{problems[0]}; 1 x 1 is assumed"))
    return 1, 1


def _parse_bins(values: Sequence[Value]) -> tuple[int, int] | None:
    """Parse one or two values; None if they are not two numbers of pixels, or one."""
    text = " ".join(str(value).strip() for value in values if not isinstance(value, bool))
    match = _PAIR.fullmatch(text) or _PAIR.fullmatch(str(values[0]).strip())
    if match is None:
        match = _SINGLE.fullmatch(text)
    if match is None:
        return None
    bins = int(match[1]), int(match[match.lastindex or 1])
    return bins if all(1 <= number <= LARGEST_BIN for number in bins) else None
