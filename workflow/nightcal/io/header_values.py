"""Parse header values: numbers with units, angles, lists; format times."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

from nightcal.io.card_text import Value

MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)

_QUANTITY = re.compile(r"([+-]?(?:\d[\d.,]*|[.,]\d+)(?:[eEdD][+-]?\d+)?)(?:\s*/\s*(\d+))?\s*([^\d\s.,+#-].*)?")
_SEXAGESIMAL = re.compile(
    r"(?P<before>[EW]?)\s*(?P<sign>[+-]?)\s*(?P<d>\d+(?:\.\d+)?)"
    r"(?:(?:[\s:dh\xb0]|deg)+(?P<m>\d+(?:\.\d+)?)(?:[\s:m']+(?P<s>\d+(?:\.\d+)?))?)?(?:[\s\"s'md\xb0]|deg)*(?P<after>[EW]?)",
    re.I,
)


def parse_quantity(value: Value | None) -> tuple[float, str] | None:
    """Parse a number, and the unit behind it.

    Parameters
    ----------
    value : str, int, float, bool or None
        A number, or a text such as ``60.0 s``, ``120,5``, ``1/60`` or ``-20C``. A single comma is a decimal comma.
        ``1.#QNAN`` and ``1.#INF`` are what some compilers print for NaN and infinity.

    Returns
    -------
    (float, str) or None
        The number, which is finite, and the unit or an empty text; None for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if not isinstance(value, str):
        return (float(value), "") if math.isfinite(value) and abs(value) < 1e300 else None
    match = _QUANTITY.fullmatch(value.strip())
    try:
        number = float(_unify_marks(match[1])) if match is not None else float("nan")
    except ValueError:
        return None
    if match is None or not math.isfinite(number) or (match[2] and not int(match[2])):
        return None
    return number / int(match[2] or 1), (match[3] or "").strip()


def _unify_marks(text: str) -> str:
    """Write a number with a decimal point: of point and comma, the last is the decimal mark."""
    text = text.upper().replace("D", "E")
    if "." in text and "," in text:
        thousands = min(".,", key=text.rfind)
        text = text.replace(thousands, "")
    return text.replace(",", ".")


def may_be_thousands(value: Value | None) -> bool:
    """Check whether the comma of a number might separate thousands, as in ``1,200``."""
    return isinstance(value, str) and re.match(r"\s*[+-]?[1-9]\d{0,2},\d{3}(?![\d.,])", value) is not None


def is_number(value: object) -> TypeGuard[int | float]:
    """Check whether a value is a finite number, and not true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def format_clock(mjd: float) -> str:
    """Format the time of day of an MJD, to a minute: ``hh:mm``."""
    minutes = round(mjd % 1 * 1440) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


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


def parse_degrees(value: Value | None) -> float | None:
    """Parse an angle.

    Parameters
    ----------
    value : str, int, float, bool or None
        Degrees as a number, or ``[-]ddd mm ss``, with or without units; E or W before or after it. A sign beside a
        letter says the same again: ``-70 W`` is ``70 W``.

    Returns
    -------
    float or None
        From -360 to 360 [deg], east positive; None for anything else.
    """
    if isinstance(value, str):
        degrees = _parse_text_degrees(value.strip())
    else:
        degrees = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    return degrees if degrees is not None and -360 <= degrees <= 360 else None


def _parse_text_degrees(text: str) -> float | None:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        match = _SEXAGESIMAL.fullmatch(text)
    if match is None or (match["before"] and match["after"]):
        return None
    degrees = float(match["d"]) + float(match["m"] or 0) / 60 + float(match["s"] or 0) / 3600
    side = (match["before"] or match["after"]).upper()
    return -degrees if side == "W" or (match["sign"] == "-" and not side) else degrees


def is_sexagesimal(value: Value | None) -> bool:
    """Check whether an angle is written as ``dd mm ss`` or ``hh mm ss``."""
    match = _SEXAGESIMAL.fullmatch(str(value).strip())
    return match is not None and match["m"] is not None


def parse_numbers(listed: str) -> list[float]:
    """Parse a list in a string, such as ``[1.0, 1.1]``; empty if an element is not a number."""
    try:
        return [float(text) for text in listed.strip().strip("[]").split(",")]
    except ValueError:
        return []
