"""Parse dates and times in all the ways in which headers write them."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, replace
from datetime import date, timedelta

from nightcal.io.card_text import Value

SECONDS_A_DAY = 86400.0
MJD_TO_JD = 2400000.5
EARLIEST, LATEST = 40000, 100000
"""Before digital cameras, and in the far future [MJD]."""

FIRST_CENTURY_YEAR = 68
"""Years of two digits are of the 20th century from here on."""

UNSET = {40587: "1970-01-01", 44239: "1980-01-01", 44244: "1980-01-06"}
"""Days [MJD] at which clocks start that were never set."""

_DAY_ZERO = date(1858, 11, 17).toordinal()
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_YEAR_FIRST = re.compile(r"(?P<y>\d{4})([-/.])(?P<m>\d{1,2})\2(?P<d>\d{1,2})(?!\d)")
_DATES = (
    _YEAR_FIRST,
    re.compile(r"(?P<y>\d{4})-?(?P<n>\d{3})(?!\d)"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?!\d)"),
    re.compile(r"(?P<d>\d{1,2})([-/.])(?P<m>\d{1,2})\2(?P<y>\d{4})(?!\d)"),
    re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})(?!\d)"),
    re.compile(r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{2})(?!\d)"),
    re.compile(r"(?P<d>\d{1,2})[- ]?(?P<m>[A-Za-z]{3,9})[-., ] ?(?P<y>\d{4})(?!\d)"),
    re.compile(r"(?:[A-Za-z]{3},? )?(?P<m>[A-Za-z]{3,9})\.? +(?P<d>\d{1,2}),? (?P<y>\d{4})(?!\d)"),
)
_CTIME = re.compile(r"(?:[A-Za-z]{3},? )?([A-Za-z]{3}) +(\d{1,2}) ([\d:.]+) (\d{4})")
_CLOCK = re.compile(
    r"(?P<h>\d{1,2})\s*[:h\s]\s*(?P<m>\d{1,2})\s*(?:[:m\s]\s*(?P<s>\d{1,2}(?:[.,]\d*)?)|m)?\s*s?"
    r"\s*(?P<half>[ap])?(?:\.?m\.?)?\s*(?P<zone>Z|UTC|UT|GMT)?\s*(?P<offset>[+-]\d{1,2}(?::?\d{2})?)?",
    re.I,
)
_PACKED = re.compile(r"(\d{2})-?(\d{2})-?(\d{2}(?:[.,]\d*)?)")


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as a card gives it.

    Attributes
    ----------
    mjd : float
        In the time scale of the card; 0h if there is only a date.
    has_time : bool
        Whether there is a time of day.
    resolution : float
        Step of the last digit [s].
    is_utc : bool
        Whether the text itself says UTC, or gives an offset from it.
    is_date : bool
        Whether it is a calendar date, not a number of days.
    guessed_century : bool
        Whether the year has two digits and cannot be of the 20th century, as the FITS standard says.
    guessed_order : bool
        Whether day and month could be the other way round, as in ``03/01/2024``.
    """

    mjd: float
    has_time: bool = True
    resolution: float = 1.0
    is_utc: bool = False
    is_date: bool = True
    guessed_century: bool = False
    guessed_order: bool = False

    @property
    def is_possible(self) -> bool:
        """Whether a digital camera may have been used then, and its clock been set."""
        return EARLIEST < self.mjd < LATEST and math.floor(self.mjd) not in UNSET


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of day [s]; attributes otherwise as for a `Moment`."""

    seconds: float
    resolution: float = 1.0
    is_utc: bool = False


def parse_moment(value: Value | None) -> Moment | None:
    """Parse a date, with or without time, or a number of days.

    Parameters
    ----------
    value : str, int, float, bool or None
        An MJD or JD, as number or text; ``YYYY-MM-DDThh:mm:ss``, with a blank in place of the T, with slashes, without
        any separators (``20190503T051233``), with the day of the year (``2019-123``), the month in words, or the day
        first (``dd/mm/yy``, ``dd/mm/yyyy``); then ``Z``, ``UTC`` or an offset such as ``+02:00``.

    Returns
    -------
    Moment or None
        None for anything else.
    """
    number = parse_decimal(value)
    if number is not None and not _is_packed_date(number):
        return _read_day_number(number, value)
    text = re.sub(r"\s+", " ", str(value if number is None else int(number)).strip())
    if (match := _CTIME.fullmatch(text)) is not None:
        text = f"{match[2]} {match[1]} {match[4]} {match[3]}"
    for pattern in _DATES:
        match = pattern.match(text)
        day = _find_day(match.groupdict()) if match is not None else None
        if match is not None and day is not None:
            moment = _add_clock(day, text[match.end() :])
            return None if moment is None else replace(moment, **_find_guesses(match))
    return None


def _find_guesses(match: re.Match[str]) -> dict[str, bool]:
    """Find what a date leaves open: the century of a year of two digits, or which number is the month."""
    year, numbers = match["y"], match[0].split("/")
    is_open = len(numbers) == 3 and len(year) == 4 and numbers[2] == year and numbers[0] != numbers[1]
    return {
        "guessed_century": len(year) == 2 and int(year) < FIRST_CENTURY_YEAR,
        "guessed_order": is_open and max(int(numbers[0]), int(numbers[1])) <= 12,
    }


def _add_clock(day: int, rest: str) -> Moment | None:
    """Add the time of day that follows a date."""
    if rest in ("", "T", "Z"):
        return Moment(day, has_time=False, resolution=SECONDS_A_DAY)
    clock = parse_clock(rest[1:].strip()) if rest[0] in "Tt _," else None
    if clock is None:
        return None
    mjd = timedelta(days=day, seconds=clock.seconds) / timedelta(days=1)  # to a microsecond
    return Moment(mjd, True, clock.resolution, clock.is_utc)


def _find_day(parts: dict[str, str | None]) -> int | None:
    """Find the MJD of a date; None if there is no such day."""
    year = int(parts["y"] or 0)
    if len(parts["y"] or "") == 2:  # FITS standard: 1900 to 1999; but there were no digital cameras before 1968
        year += 1900 if year >= FIRST_CENTURY_YEAR else 2000
    try:
        if parts.get("n"):
            day = date(year, 1, 1).toordinal() + int(parts["n"] or 0) - 1
            return day - _DAY_ZERO if 1 <= int(parts["n"] or 0) <= 366 else None
        month = parts["m"] or ""
        number = int(month) if month.isdecimal() else 1 + _MONTHS.index(month[:3].lower())
        return date(year, number, int(parts["d"] or 0)).toordinal() - _DAY_ZERO
    except ValueError:
        return None


def parse_clock(value: Value | None, comment: str = "") -> Clock | None:
    """Parse a time of day.

    Parameters
    ----------
    value : str, int, float, bool or None
        ``hh:mm:ss``, ``hh mm ss``, ``5h12m33s``, ``hhmmss``; decimal hours; seconds of the day if the comment says so.
        24:00:00 and second 60 are allowed.
    comment : str
        Comment of the card.

    Returns
    -------
    Clock or None
        None for anything else.
    """
    text = "" if value is None else str(value).strip()
    number = parse_decimal(value)
    if number is not None and re.search(r"\bsec|\[s\]", comment, re.I) and 0 <= number <= SECONDS_A_DAY:
        return Clock(number, _find_step(value))
    if (match := _PACKED.fullmatch(text)) is not None and isinstance(value, str):
        return _make_clock(match[1], match[2], match[3])
    if number is not None:
        return Clock(number * 3600, 3600 * _find_step(value)) if 0 <= number < 24 else None
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    clock = _make_clock(match["h"], match["m"], match["s"], (match["half"] or "").lower())
    if clock is None or not (match["zone"] or match["offset"]):
        return clock
    return Clock(clock.seconds - _parse_offset(match["offset"] or ""), clock.resolution, is_utc=True)


def _make_clock(hour: str, minute: str, second: str | None, half: str = "") -> Clock | None:
    seconds = float((second or "0").replace(",", "."))
    hours = int(hour) % 12 + (12 if half == "p" else 0) if half else int(hour)
    if hours > 24 or int(minute) > 59 or seconds >= 61:
        return None
    step = 60.0 if second is None else _find_step(second.replace(",", "."))
    return Clock(hours * 3600 + int(minute) * 60 + seconds, step)


def _parse_offset(text: str) -> float:
    """Parse the offset of a local time from UTC [s]."""
    digits = text.lstrip("+-").replace(":", "")
    seconds = int(digits[:2] or 0) * 3600 + int(digits[2:] or 0) * 60
    return -seconds if text.startswith("-") else seconds


def parse_decimal(value: Value | None) -> float | None:
    """Parse a finite number, also written as text or with a decimal comma."""
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and "_" in value:  # Python's own, in no other language
        return None
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_packed_date(number: float) -> bool:
    """Check for a date written as a whole number, as in 20190503."""
    return number.is_integer() and 1968_01_01 <= number <= 2132_12_31 and number % 10000 >= 101


def _read_day_number(number: float, value: Value | None) -> Moment:
    """Read an MJD or JD, with the step of its last digit or of single precision."""
    step = max(_find_step(value), min(_find_rounding(number), 0.1)) * SECONDS_A_DAY
    is_julian = EARLIEST < number - MJD_TO_JD < LATEST
    return Moment(number - MJD_TO_JD if is_julian else number, resolution=step, is_date=False)


def _find_step(value: Value | None) -> float:
    """Find the step of the last digit of a number: 0.01 for 60.25, and 1 for 60.0."""
    decimals = str(value).strip().replace(",", ".").partition(".")[2]
    return 10.0 ** -len(decimals.rstrip("0") if isinstance(value, float) else decimals)


def _find_rounding(number: float) -> float:
    """Find the step between floating point numbers: single precision if the number may be one."""
    is_single = struct.unpack("f", struct.pack("f", number))[0] == number if abs(number) < 1e30 else False
    return 2.0 ** (math.frexp(number)[1] - (24 if is_single else 53))
