"""Find when an exposure began, from all cards that say something about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nightcal.cameras.quantities import list_keywords
from nightcal.cameras.time_cards import (
    FROM_BEGIN,
    FROM_CLOCK,
    FROM_DATE,
    FROM_JULIAN,
    FROM_NUMBER,
    Reading,
    read_time_cards,
)
from nightcal.errors import FrameRejectedError
from nightcal.io.date_formats import SECONDS_A_DAY
from nightcal.io.raw_header import RawHeader
from nightcal.io.time_scales import find_time_scale, to_utc
from nightcal.warning_names import Warn, name_warning

TOLERANCE = 1.0
"""Two cards agree if they differ by no more than this and their last digits [s]."""

COARSE, FINE = 10000.0, 0.1
"""A card of longer steps gives only the day; one of shorter steps needs no other [s]."""

LATE_END = 600.0
"""An end after start and exposure time by more than this is not due to the readout [s]."""

ZONE = 1800.0
"""Time zones differ by a multiple of this [s]."""


def find_start(header: RawHeader, cards: Mapping[str, Sequence[str]], exposure_time: float, warn: Warn) -> float:
    """Find the start of an exposure.

    Parameters
    ----------
    header : RawHeader
    cards : mapping of str to sequence of str
        Keywords of the roles ``start``, ``start_time``, ``middle`` and ``end``.
    exposure_time : float
        [s]; 0 if unknown.
    warn : function
        Takes warnings about cards that disagree or cannot be read.

    Returns
    -------
    float
        [MJD, UTC]

    Raises
    ------
    FrameRejectedError
        If no card gives the time in UTC.
    """
    problems: list[str] = []
    readings = list(read_time_cards(header, cards, problems, warn))
    scale = _read_time_scale(header, warn)
    if scale == "LOCAL" and readings:
        readings = _keep_universal(readings)
        problems.insert(0, f"TIMESYS is {header.value('TIMESYS')!r}")
    if not readings:
        raise FrameRejectedError(_explain(header, cards, problems))
    for problem in problems:
        warn(name_warning("unusable time", f"{problem}; {_choose_best(readings).card} is used"))
    universal = [r if r.is_utc else replace(r, mjd=to_utc(r.mjd, scale)) for r in readings]
    return compare_readings(universal, exposure_time, warn)


def _explain(header: RawHeader, cards: Mapping[str, Sequence[str]], problems: Sequence[str]) -> str:
    if problems:
        return f"no card gives the start in UTC: {problems[0]}"
    names = cards.get("start", ())
    dates = ((name, header.value(name)) for name in names)
    bare = next((f"{name} is {value!r}, a date without a time" for name, value in dates if value), "")
    return bare or f"the start time is missing ({list_keywords(names)})"


def _read_time_scale(header: RawHeader, warn: Warn) -> str:
    name = header.value("TIMESYS")
    scale = find_time_scale(str(name)) if name is not None else "UTC"
    if scale is None:
        warn(name_warning("unknown time scale", f"TIMESYS is {name!r}; UTC is assumed"))
    return scale or "UTC"


def _keep_universal(readings: Sequence[Reading]) -> list[Reading]:
    """Keep what is in UTC although TIMESYS says local time: by its own words, or a time zone away from local dates."""
    local = [r for r in readings if r.rank in (FROM_DATE, FROM_CLOCK) and not (r.is_utc or r.has_utc_comment)]
    return [
        r
        for r in readings
        if r.is_utc
        or r.has_utc_comment
        or (r.rank in (FROM_BEGIN, FROM_NUMBER, FROM_JULIAN) and all(_is_zone_away(r, other) for other in local))
    ]


def _is_zone_away(one: Reading, other: Reading) -> bool:
    return is_zone((one.mjd - other.mjd) * SECONDS_A_DAY, _add_steps(one, other))


def is_zone(seconds: float, tolerance: float) -> bool:
    """Check whether a difference is one between time zones, as far as cards of this precision can tell."""
    return (
        tolerance < ZONE / 4
        and abs(seconds) >= 2 * ZONE - tolerance
        and abs(seconds - round(seconds / ZONE) * ZONE) <= tolerance
    )


def compare_readings(readings: Sequence[Reading], exposure_time: float, warn: Warn) -> float:
    """Choose among readings, and warn of those that disagree.

    Parameters
    ----------
    readings : sequence of Reading
        One or more, in UTC.
    exposure_time : float
        [s]
    warn : function

    Returns
    -------
    float
        Start of the exposure [MJD].
    """
    best = _choose_best(readings, exposure_time)
    others = [_bring_to_day(r, best) for r in readings]
    if best.position == 0 and not best.is_sure:
        best = _find_true_position(best, others, exposure_time, warn)
    agreeing = []
    for other in others:
        if not other.position and not other.is_sure and abs(_subtract(other, best)) <= _add_steps(other, best):
            other = replace(other, position=best.position)
        conflict = _find_conflict(other, best, exposure_time)
        if conflict:
            warn(conflict)
        elif other.position == best.position:
            agreeing.append(other)
    fine = [r for r in agreeing if r.resolution <= FINE]
    return (fine[0] if fine else min(agreeing, key=lambda r: r.resolution)).find_start(exposure_time)


def _choose_best(readings: Sequence[Reading], exposure_time: float = 0.0) -> Reading:
    """Choose the best defined card; but a date a time zone away from a number of days, or from UT, is in local time."""
    best = min(readings, key=lambda r: (r.resolution > COARSE, r.rank))
    if best.rank == FROM_DATE and not _says_universal(best):
        for other in readings:
            near = _bring_to_day(other, best)
            is_start = not near.position and (near.rank in (FROM_NUMBER, FROM_JULIAN) or _says_universal(near))
            seconds, tolerance = _subtract(near, best), _add_steps(near, best)
            if is_start and is_zone(seconds, tolerance) and not _find_share(seconds, exposure_time, tolerance):
                return near
    return best


def _says_universal(reading: Reading) -> bool:
    """Check whether the name of a card, such as ``UTSTART`` or ``DATE-UTC``, its text or its comment says UT."""
    name = reading.card.rpartition(" ")[2]
    is_named = name.startswith("UT") or name.endswith(("-UT", "-UTC", "_UT", "_UTC"))
    return is_named or reading.is_utc or reading.has_utc_comment


def _bring_to_day(reading: Reading, best: Reading) -> Reading:
    """Bring a time of day to the date of another card, if the date beside it is that of the evening or morning."""
    days = round(best.mjd - reading.mjd) if reading.rank == FROM_CLOCK else 0
    return replace(reading, mjd=reading.mjd + days) if abs(days) == 1 else reading


def _subtract(one: Reading, other: Reading) -> float:
    return (one.mjd - other.mjd) * SECONDS_A_DAY


def _add_steps(one: Reading, other: Reading) -> float:
    """Find by how much two readings of the same moment may differ [s]."""
    steps = one.resolution, other.resolution
    return max(TOLERANCE, *steps) + 0.5 * min(steps)


def _find_true_position(best: Reading, others: Sequence[Reading], exposure_time: float, warn: Warn) -> Reading:
    """Find whether what should be the start is the middle or end: other cards say so, or are that much earlier."""
    found = set()
    for other in others:
        tolerance = _add_steps(best, other)
        if exposure_time <= 4 * tolerance:
            continue
        behind = _subtract(best, other)
        if other.position:
            share = _find_share(behind + other.position * exposure_time, exposure_time, tolerance)
        else:
            share = 0.0 if is_zone(behind, tolerance) else _find_share(behind, exposure_time, tolerance)
        if share:
            found.add((share, other.card))
    if len({share for share, _ in found}) != 1:
        return best
    share, card = min(found)
    warn(_describe_position(best, share, f"according to {card}"))
    return replace(best, position=share)


def _find_share(seconds: float, exposure_time: float, tolerance: float) -> float:
    """Find whether a difference is half or all of the exposure time (0.5, 1), else 0."""
    if exposure_time > 4 * tolerance:
        for share in (0.5, 1.0):
            if abs(seconds - share * exposure_time) <= tolerance:
                return share
    return 0.0


def _describe_position(reading: Reading, share: float, why: str) -> str:
    where = "middle" if share < 1 else "end"
    return name_warning("not the start", f"{reading.card} is the {where} of the exposure, not its start, {why}")


def _find_conflict(other: Reading, best: Reading, exposure_time: float) -> str:
    """Describe how a reading disagrees with the best one; empty if it does not."""
    tolerance = _add_steps(other, best)
    start = best.find_start(exposure_time)
    after = (other.mjd - start) * SECONDS_A_DAY
    if other.position == 1.0 and best.position != 1.0:
        beyond = after - exposure_time
        if -tolerance <= beyond <= LATE_END:
            return ""
        when = "before" if beyond < 0 else "after"
        text = f"{other.card} is {_format_span(beyond)} {when} the end of the exposure by {best.card}, which is used"
        return name_warning("time cards disagree", text)
    if other.position == 0.5 and -tolerance <= after <= exposure_time + tolerance:
        return ""
    late = (other.find_start(exposure_time) - start) * SECONDS_A_DAY
    if abs(late) <= tolerance:
        return ""
    is_open = not (other.position or other.is_sure or is_zone(late, tolerance))
    share = 0.0 if not is_open else _find_share(late, exposure_time, tolerance)
    if share:
        return _describe_position(other, share, f"according to {best.card}, which is used")
    when = "later" if late > 0 else "earlier"
    which = other.card if other.card != best.card else f"another {other.card}"
    text = f"{which} is {_format_span(late)} {when} than {best.card}, which is used"
    return name_warning("time cards disagree", text)


def _format_span(seconds: float) -> str:
    span = abs(seconds)
    return f"{span / 3600:.2f} h" if span >= 3600 else f"{span:.0f} s"
