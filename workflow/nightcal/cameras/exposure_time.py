"""Find the exposure time, from all cards that say something about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nightcal.cameras.quantities import list_keywords
from nightcal.cameras.time_cards import find_elapsed
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import may_be_thousands, parse_quantity
from nightcal.io.raw_header import RawHeader
from nightcal.warning_names import Warn, name_warning

LONGEST_EXPOSURE = 86400.0
EXPECTED = "seconds between 0 and 86400"

SAME_SHARE, SAME_SECONDS = 0.01, 0.02
"""Exposure times that differ by less are the same."""

_UNITS = (
    (1e-6, re.compile(r"[u\xb5\u03bc]s(?:ecs?)?|micro-?s\w*", re.I)),
    (1e-3, re.compile(r"ms(?:ecs?)?|milli-?s\w*", re.I)),
    (60.0, re.compile(r"min(?:utes?)?", re.I)),
    (1.0, re.compile(r"|s|secs?|seconds?", re.I)),
)
_COMMENTS = (
    (1e-6, re.compile(r"\b[u\xb5\u03bc]s(?:ecs?)?\b|\bmicro-?s", re.I)),
    (1e-3, re.compile(r"\bms(?:ecs?)?\b|\bmilli-?s", re.I)),
    (60.0, re.compile(r"\[min\]|\bminutes\b", re.I)),
)


SECONDS: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Written:
    """An exposure time [s], and the card that has it."""

    card: str
    seconds: float
    text: str


def read_exposure_time(
    header: RawHeader,
    cards: Mapping[str, Sequence[str]],
    warn: Warn,
    is_bias: bool = False,
    units: Mapping[str, float] = SECONDS,
) -> float:
    """Read the exposure time.

    Parameters
    ----------
    header : RawHeader
    cards : mapping of str to sequence of str
        Keywords of the roles ``exposure``, ``start`` and ``end``.
    warn : function
        Takes warnings about cards that disagree or cannot be read.
    is_bias : bool
        Whether the frame is a bias, whose exposure time is 0 if the header has none that is possible.
    units : mapping of str to float
        Seconds in the unit of a keyword, where that is not the second.

    Returns
    -------
    float
        [s]

    Raises
    ------
    FrameRejectedError
        If the header has no possible exposure time.
    """
    names = cards.get("exposure", ())
    problems: list[str] = []
    written = list(_read_cards(header, names, units, problems, warn))
    if written:
        chosen = _choose(written, find_elapsed(header, cards) if len(written) > 1 else None, is_bias, warn)
        for problem in problems:
            warn(name_warning("unusable exposure time", f"{problem}; {chosen.card} is used"))
        return chosen.seconds
    reason = (
        f"{problems[0]}; expected {EXPECTED}" if problems else f"the exposure time is missing ({list_keywords(names)})"
    )
    if is_bias:
        warn(name_warning("unusable exposure time", f"{reason}; 0 s is assumed for a bias"))
        return 0.0
    raise FrameRejectedError(reason)


def _read_cards(
    header: RawHeader, names: Sequence[str], units: Mapping[str, float], problems: list[str], warn: Warn
) -> Iterator[Written]:
    for name in names:
        repeated = name in header.repeated
        for value in header.values(name) if repeated else (header.value(name),):
            if value is None:
                continue
            seconds = _convert(parse_quantity(value), header.comment(name), units.get(name))
            if seconds is None or not 0 <= seconds <= LONGEST_EXPOSURE:
                problems.append(f"{name} is {value!r}")
                continue
            if may_be_thousands(value):
                warn(name_warning("decimal comma", f"the comma of {name} is read as a decimal comma"))
            yield Written(name, seconds, str(value))


def _convert(quantity: tuple[float, str] | None, comment: str, known: float | None) -> float | None:
    """Convert to seconds, by the unit behind the number, of the keyword, or in the comment."""
    if quantity is None:
        return None
    number, unit = quantity
    if unit:
        return next((number * factor for factor, name in _UNITS if name.fullmatch(unit)), None)
    if known is not None:
        return number * known
    return number * next((factor for factor, name in _COMMENTS if name.search(comment)), 1.0)


def _choose(written: Sequence[Written], elapsed: float | None, is_bias: bool, warn: Warn) -> Written:
    """Choose among exposure times; the first, unless another card shows that it is wrong."""
    first = written[0]
    other = next((w for w in written if not _is_same(w.seconds, first.seconds)), None)
    if other is None:
        return first
    chosen = first if is_bias else _choose_plausible(written, elapsed)
    said = f"{first.card} is {first.text} and {'then' if other.card == first.card else other.card} {other.text}"
    warn(name_warning("exposure times disagree", f"{said}; {chosen.seconds:g} s is used"))
    return chosen


def _choose_plausible(written: Sequence[Written], elapsed: float | None) -> Written:
    positive = [w for w in written if w.seconds > 0]
    if elapsed is not None:
        nearest = min(positive, key=lambda w: abs(w.seconds - elapsed))
        if abs(nearest.seconds - elapsed) <= max(2.0, 0.1 * elapsed):
            return nearest
    smallest, largest = (find(positive, key=lambda w: w.seconds) for find in (min, max))
    for factor in (1e3, 1e6):
        if smallest.seconds and _is_same(largest.seconds, factor * smallest.seconds, 0.001):
            return smallest
    first = positive[0]
    twice = [w for w in positive if w.card == first.card]
    others = [w for w in positive if w.card != first.card]
    backed = [w for w in twice if any(_is_same(w.seconds, other.seconds) for other in others)]
    return backed[0] if backed else twice[-1]


def _is_same(one: float, other: float, share: float = SAME_SHARE) -> bool:
    return abs(one - other) <= max(SAME_SECONDS, share * max(one, other))
