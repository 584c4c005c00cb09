"""Read numbers of a role that a frame can do without: an impossible one counts as unknown, with a warning."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nightcal.io.header_values import parse_quantity
from nightcal.io.raw_header import RawHeader
from nightcal.warning_names import Warn, name_warning

ICE = 273.15
"""0 deg C [K]."""

COLDEST, WARMEST = -270.0, 100.0
"""A CCD is not at absolute zero, nor does it boil [deg C]."""

LARGEST_SUM = 1e6
MOST_SHOWN = 6

_CELSIUS = re.compile(r"|\xb0?\s*C|deg\.?\s*C?|degrees?( C\w*)?|celsius", re.I)
_KELVIN = re.compile(r"\xb0?\s*K|kelvin|deg\.?\s*K", re.I)
_KELVIN_COMMENT = re.compile(r"\bkelvin\b|[\[(]\s*K\s*[\])]|\bin K\b|\bdeg(?:rees)? K\b", re.I)


def list_keywords(names: Sequence[str]) -> str:
    """List the keywords that were searched, for messages; of many the first few."""
    shown = names if len(names) <= MOST_SHOWN else names[: MOST_SHOWN - 1]
    rest = len(names) - len(shown)
    return (" or ".join(shown) or "no keyword") + (f" or {rest} others" if rest else "")


def read_temperature(header: RawHeader, cards: Sequence[str], warn: Warn) -> float | None:
    """Read a temperature.

    Parameters
    ----------
    header : RawHeader
    cards : sequence of str
        Keywords; the first with a possible value is used.
    warn : function
        Takes a warning about each impossible value.

    Returns
    -------
    float or None
        [deg C]; None if it is unknown. A number is in kelvin if the unit behind it or the comment says so.
    """
    for card in cards:
        value = header.value(card)
        if value is None:
            continue
        degrees = _to_celsius(parse_quantity(value), header.comment(card))
        if degrees is not None:
            return degrees
        warn(name_warning("unknown temperature", f"{card} is {value!r}; expected degrees Celsius"))
    return None


def _to_celsius(quantity: tuple[float, str] | None, comment: str) -> float | None:
    if quantity is None:
        return None
    number, unit = quantity
    if _KELVIN.fullmatch(unit) or (not unit and number > 0 and _KELVIN_COMMENT.search(comment)):
        number -= ICE
    elif not _CELSIUS.fullmatch(unit):
        return None
    return number if COLDEST <= number <= WARMEST else None


def read_quantity(
    header: RawHeader, cards: Sequence[str], bounds: tuple[float, float], name: str, expected: str, warn: Warn
) -> float | None:
    """Read a number within bounds.

    Parameters
    ----------
    header : RawHeader
    cards : sequence of str
        Keywords; the first with a possible value is used.
    bounds : (float, float)
        Smallest and largest possible value.
    name : str
        Of the warning about each impossible value.
    expected : str
        What was expected, as in ``e- of 0 or more``.
    warn : function

    Returns
    -------
    float or None
        None if it is unknown.
    """
    for card in cards:
        value = header.value(card)
        if value is None:
            continue
        quantity = parse_quantity(value)
        if quantity is not None and bounds[0] <= quantity[0] <= bounds[1]:
            return quantity[0]
        warn(name_warning(name, f"{card} is {value!r}; expected {expected}"))
    return None


def count_summed(header: RawHeader, cards: Sequence[str], warn: Warn) -> int:
    """Count the readouts that were summed at the telescope; 1 if no keyword tells."""
    for card in cards:
        quantity = parse_quantity(header.value(card))
        if quantity is not None and 1 < quantity[0] <= LARGEST_SUM and quantity[0].is_integer():
            text = f"{card} = {quantity[0]:g}: bias level and read noise count {quantity[0]:g} times"
            warn(name_warning("summed at the telescope", text))
            return int(quantity[0])
    return 1
