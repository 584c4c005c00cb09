"""Read the cards that give a moment in an exposure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from nightcal.io.card_text import Value
from nightcal.io.date_formats import (
    LATEST,
    SECONDS_A_DAY,
    Moment,
    parse_clock,
    parse_decimal,
    parse_moment,
)
from nightcal.io.raw_header import RawHeader
from nightcal.warning_names import Warn, name_warning

_ZONES = "CET|CEST|EET|EEST|BST|EST|EDT|CST|CDT|MST|MDT|PST|PDT|CLT|CLST|SAST|JST|AEST|AEDT|AWST|NZST|NZDT"
_LOCAL = re.compile(rf"\b(?i:local)\b(?! *(?i:sid))|\b(?:{_ZONES})\b")
_UNIVERSAL = re.compile(r"\b(?:UTC?|GMT|universal)\b", re.I)
_MIDDLE = re.compile(r"\bmid(?!night)", re.I)
_END = re.compile(r"\b(?:end|ended|ending|finish\w*|stop\w*|completion)\b", re.I)
_BEGIN = re.compile(r"\b(?:start\w*|begin\w*|began|opened)\b", re.I)
_BEGIN_CARD = re.compile("BEG|STA|STRT")

FROM_BEGIN, FROM_DATE, FROM_NUMBER, FROM_JULIAN, FROM_MIDDLE, FROM_END, FROM_CLOCK = range(7)
"""How well the FITS standard defines a card, best first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one card, or a date with the time of day in another card, says.

    Attributes
    ----------
    card : str
    rank : int
        One of `FROM_BEGIN` to `FROM_CLOCK`.
    mjd : float
    resolution : float
        Step of the last digit [s].
    position : float
        Of this moment in the exposure: 0 at its start, 1 at its end.
    is_sure : bool
        Whether name or comment of the card says so.
    is_utc, has_utc_comment : bool
        Whether text or comment of the card says that it is in UTC.
    """

    card: str
    rank: int
    mjd: float
    resolution: float
    position: float = 0.0
    is_sure: bool = False
    is_utc: bool = False
    has_utc_comment: bool = False

    def find_start(self, exposure_time: float) -> float:
        """Find the start of the exposure [MJD]."""
        return self.mjd - self.position * exposure_time / SECONDS_A_DAY if self.position else self.mjd


@dataclass(frozen=True, slots=True)
class Day:
    """The date [MJD] in a card, and whether it is all that the card says."""

    card: str
    mjd: int
    is_alone: bool


def read_time_cards(
    header: RawHeader, cards: Mapping[str, Sequence[str]], problems: list[str], warn: Warn
) -> Iterator[Reading]:
    """Read all cards that give a moment in or of the exposure.

    Parameters
    ----------
    header : RawHeader
    cards : mapping of str to sequence of str
        Keywords of the roles ``start``, ``start_time``, ``middle`` and ``end``.
    problems : list of str
        A card that cannot be read, or is in local time, is added to it.
    warn : function

    Yields
    ------
    Reading
        In the order of the cards in the camera file; a date with the time of day in another card comes last.
    """
    clocks = cards.get("start_time", ())
    has_clock = any(_is_after_midnight(header, name) for name in clocks)
    days: list[Day] = []
    for role in ("start", "middle", "end"):
        for name in cards.get(role, ()):
            for value in _list_values(header, name):
                moment = _read_moment(header, name, value, problems)
                if moment is None:
                    continue
                if moment.guessed_century:
                    warn(name_warning("two-digit year", f"{name} has a year of two digits; 20.. is assumed"))
                if moment.guessed_order:
                    text = f"{name} is {value!r}, which may have the month first; day/month/year is assumed"
                    warn(name_warning("day or month", text))
                is_text = moment.is_date or not moment.has_time
                is_alone = not moment.has_time or (has_clock and is_text and moment.mjd % 1 == 0)
                if not is_alone:
                    yield _make_reading(header, name, value, moment, role)
                if role == "start" and is_text:
                    days.append(Day(name, int(moment.mjd), is_alone))
    day = next((day for day in days if day.is_alone), days[0] if days else None)
    for name in clocks:
        yield from _read_clock(header, name, day, problems)


def _list_values(header: RawHeader, name: str) -> tuple[Value | None, ...]:
    if name in header.repeated:
        return tuple(dict.fromkeys(header.values(name)))
    return (header.value(name),)


def _read_moment(header: RawHeader, name: str, value: Value | None, problems: list[str]) -> Moment | None:
    if value is None or value == 0:
        return None
    moment = parse_moment(value)
    if moment is None:
        problems.append(f"{name} is {value!r}; expected a time such as YYYY-MM-DDThh:mm:ss")
    elif not moment.is_possible:
        problems.append(f"{name} is {value!r}; expected a time between 1968 and 2132, of a clock that was set")
    elif name.startswith("JD") and (parse_decimal(value) or LATEST) < LATEST:
        problems.append(f"{name} is {value!r}, which may be an MJD, or a JD less 2400000")
    elif moment.has_time and not moment.is_utc and _is_local(header.comment(name)):
        problems.append(f"{name} is in local time ({header.comment(name)})")
    else:
        return moment
    return None


def _is_local(comment: str) -> bool:
    return bool(_LOCAL.search(comment)) and not _UNIVERSAL.search(comment)


def _is_after_midnight(header: RawHeader, name: str) -> bool:
    clock = parse_clock(header.value(name), header.comment(name))
    return clock is not None and clock.seconds > 0


def _make_reading(header: RawHeader, name: str, value: Value | None, moment: Moment, role: str) -> Reading:
    comment = header.comment(name)
    position, is_sure = {"middle": (0.5, True), "end": (1.0, True)}.get(role) or _find_position(name, comment)
    if position:
        rank = FROM_MIDDLE if position < 1 else FROM_END
    elif _BEGIN_CARD.search(name):
        rank = FROM_BEGIN
    elif moment.is_date:
        rank = FROM_DATE
    else:
        rank = FROM_NUMBER if (parse_decimal(value) or 0.0) < LATEST else FROM_JULIAN
    return Reading(
        name, rank, moment.mjd, moment.resolution, position, is_sure, moment.is_utc, bool(_UNIVERSAL.search(comment))
    )


def _find_position(name: str, comment: str) -> tuple[float, bool]:
    """Find where in the exposure a card of the start is: at its start, unless the comment says otherwise."""
    if _BEGIN_CARD.search(name) or _BEGIN.search(comment):
        return 0.0, True
    if _MIDDLE.search(comment):
        return 0.5, True
    return (1.0, True) if _END.search(comment) else (0.0, False)


def _read_clock(header: RawHeader, name: str, day: Day | None, problems: list[str]) -> Iterator[Reading]:
    """Read the time of day in one card, with the date of another; or both, if the card has them."""
    comment = header.comment(name)
    is_needed = day is not None and day.is_alone
    for value in _list_values(header, name):
        clock = parse_clock(value, comment)
        moment = parse_moment(value) if isinstance(value, str) and clock is None else None
        if moment is not None and moment.has_time and moment.is_possible and not _is_local(comment):
            yield _make_reading(header, name, value, moment, "start")
        elif clock is None:
            if value is not None and is_needed:
                problems.append(f"{name} is {value!r}; expected a time of day")
        elif _is_local(comment) and not clock.is_utc:
            if is_needed:
                problems.append(f"{name} is in local time ({comment})")
        elif day is not None:
            mjd = timedelta(days=day.mjd, seconds=clock.seconds) / timedelta(days=1)
            position, is_sure = _find_position(name, comment)
            says_utc = bool(_UNIVERSAL.search(comment))
            card = f"{day.card} with {name}"
            yield Reading(card, FROM_CLOCK, mjd, clock.resolution, position, is_sure, clock.is_utc, says_utc)


def find_elapsed(header: RawHeader, cards: Mapping[str, Sequence[str]]) -> float | None:
    """Find the time from start to end, if the header has cards for both [s]."""
    ends = [parse_moment(header.value(name)) for name in cards.get("end", ())]
    starts = [parse_moment(header.value(name)) for name in cards.get("start", ())]
    pairs = [
        (end.mjd - start.mjd) * SECONDS_A_DAY
        for end in ends
        for start in starts
        if end is not None and start is not None and start.has_time and max(start.resolution, end.resolution) <= 1
    ]
    return max(pairs) if pairs and max(pairs) > 0 else None
