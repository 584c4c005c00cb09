"""Parse header values: times, angles, lists."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import Value

MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)

_TIME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[T ]\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?\s*(?:Z|\+00:?00)?")
_SEXAGESIMAL = re.compile(
    r"([+-]?)\s*(\d+(?:\.\d+)?)[\s:dh]+(\d+(?:\.\d+)?)(?:[\s:m']+(\d+(?:\.\d+)?))?[\s\"s]*([EW]?)"
)


def parse_time(text: str) -> float:
    """Parse a date and time.

    Parameters
    ----------
    text : str
        ``YYYY-MM-DDThh:mm:ss``, or with a blank in place of the T; 24:00:00 and second 60 are allowed.

    Returns
    -------
    float
        [MJD, UTC]

    Raises
    ------
    FrameRejectedError
        If the text is not such a time.
    """
    match = _TIME.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        year, month, day, hour, minute = map(int, match.groups()[:5])
        if hour > 24 or minute > 59 or float(match[6] or 0) >= 61:
            raise ValueError(text)
        moment = datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise FrameRejectedError(f"the time {text!r} cannot be read; expected YYYY-MM-DDThh:mm:ss") from error
    moment += timedelta(hours=hour, minutes=minute, seconds=float(match[6] or 0))
    return (moment - MJD_ZERO) / timedelta(days=1)


def format_time(mjd: float) -> str:
    """Format an MJD as FITS does (standard 9.1.1): ``YYYY-MM-DDThh:mm:ss.sss``.

    Parameters
    ----------
    mjd : float
        [UTC]

    Returns
    -------
    str
        Rounded to a millisecond.
    """
    moment = MJD_ZERO + timedelta(milliseconds=round(mjd * 86_400_000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"


def mjd_to_julian_year(mjd: float) -> float:
    """Convert an MJD to a Julian year, such as 2024.17."""
    return 2000 + (mjd - 51544.5) / 365.25


def check_mjd(mjd: float, said: str) -> float:
    """Reject a time before digital cameras, or in the far future.

    Parameters
    ----------
    mjd : float
        [UTC]
    said : str
        Beginning of the message.

    Returns
    -------
    float
        The same time.

    Raises
    ------
    FrameRejectedError
        If the time is before 1968 or after 2132.
    """
    if not 40000 < mjd < 100000:
        raise FrameRejectedError(f"{said}; expected a time between 1968 and 2132")
    return mjd


def parse_degrees(value: Value | None) -> float | None:
    """Parse an angle.

    Parameters
    ----------
    value : str, int, float, bool or None
        Degrees as a number, or ``[-]ddd mm ss``, optionally followed by E or W.

    Returns
    -------
    float or None
        From -360 to 360 [deg], east positive; None for anything else.
    """
    try:
        degrees = float(value) if value is not None and not isinstance(value, bool) else None
    except TypeError:
        return None
    except ValueError:
        match = _SEXAGESIMAL.fullmatch(str(value).strip())
        if match is None:
            return None
        sign, whole, minutes, seconds, side = match.groups()
        degrees = float(whole) + float(minutes) / 60 + float(seconds or 0) / 3600
        degrees = -degrees if (sign == "-") != (side == "W") else degrees
    return degrees if degrees is not None and -360 <= degrees <= 360 else None


def is_sexagesimal(value: Value | None) -> bool:
    """Check whether an angle is written as ``dd mm ss`` or ``hh mm ss``."""
    return _SEXAGESIMAL.fullmatch(str(value).strip()) is not None


def parse_numbers(listed: str) -> list[float]:
    """Parse a list in a string, such as ``[1.0, 1.1]``; empty if an element is not a number."""
    try:
        return [float(text) for text in listed.strip().strip("[]").split(",")]
    except ValueError:
        return []
