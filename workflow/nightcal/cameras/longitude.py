"""Read the longitude of the observatory."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from nightcal.io.header_values import parse_degrees
from nightcal.io.raw_header import RawHeader, Value
from nightcal.warning_names import Warn, name_warning

_RADIANS = re.compile(r"\brad(?:ians?)?\b", re.I)
NEAR = 0.1
"""Two longitudes are the same if they differ by less [deg]."""


def read_longitude(header: RawHeader, cards: Sequence[str], warn: Warn) -> float | None:
    """Read the longitude of the observatory.

    Parameters
    ----------
    header : RawHeader
    cards : sequence of str
        Keywords; the first that can be read is used.
    warn : function
        Takes a warning if a card cannot be read, or was written in an odd way.

    Returns
    -------
    float or None
        [deg east]; None if no card can be read.
    """
    written = {card: value for card in cards if (value := header.value(card)) is not None}
    known = {card: degrees for card, value in written.items() if (degrees := parse_degrees(value)) is not None}
    for card, value in written.items():
        if card not in known:
            warn(name_warning("unknown longitude", f"{card} is {value!r}; expected degrees east, or ddd mm ss"))
            continue
        degrees = known[card]
        if _is_in_radians(header, card, known):
            warn(name_warning("longitude in radians", f"{card} is {value!r}: {math.degrees(degrees):.4f} deg"))
            return math.degrees(degrees)
        if _has_sign_and_west(value):
            side = "west" if degrees < 0 else "east"
            text = f"{card} is {value!r}; {abs(degrees):.4f} deg {side} is assumed"
            warn(name_warning("sign of the longitude", text))
        return degrees
    return None


def says_radians(header: RawHeader, card: str) -> bool:
    """Check whether the comment of a card says that its angle is in radians."""
    return _RADIANS.search(header.comment(card)) is not None


def _is_in_radians(header: RawHeader, card: str, known: dict[str, float]) -> bool:
    """Check whether a small number is an angle in radians: the comment or another card says so."""
    number = known[card]
    if isinstance(header.value(card), str) or not 0 < abs(number) <= 2 * math.pi:
        return False
    others = [degrees for other, degrees in known.items() if other != card]
    return says_radians(header, card) or any(
        abs((math.degrees(number) - degrees + 180) % 360 - 180) < NEAR for degrees in others
    )


def _has_sign_and_west(value: Value) -> bool:
    text = str(value)
    return text.lstrip("EWew ").startswith("-") and re.search("[EW]", text, re.I) is not None and isinstance(value, str)
