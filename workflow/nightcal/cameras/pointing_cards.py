"""Read where the telescope pointed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nightcal.cameras.equinox import convert_to_icrs, read_equinox
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import is_sexagesimal, parse_degrees, parse_quantity
from nightcal.io.raw_header import RawHeader, Value
from nightcal.warning_names import Warn, name_warning

Place = tuple[float, float]
"""Right ascension and declination [deg]."""

OTHER_PAIRS = (("OBJCTRA", "OBJCTDEC"), ("TELRA", "TELDEC"), ("CRVAL1", "CRVAL2"))
"""Keywords to compare the pointing with, whether or not the camera file lists them."""

LARGEST_DIFFERENCE = 1.0
"""[deg] between two pairs of keywords; precession from 1950 to 2000 takes up to 0.7."""

_HOURS = re.compile(r"(?<![a-z])h(?:ours?|rs?)?(?![a-z])", re.IGNORECASE)
_DEGREES = re.compile(r"(?<![a-z])deg(?:rees?|s)?(?![a-z])|\xb0", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pair of keywords, and the places it may stand for: two if the unit of the right ascension is not known."""

    ra_card: str
    dec_card: str
    ra: Value
    dec: Value
    places: tuple[Place, ...]

    @property
    def text(self) -> str:
        return f"{self.ra_card} is {self.ra!r} and {self.dec_card} {self.dec!r}"


def read_pointing(
    header: RawHeader, ra_cards: Sequence[str], dec_cards: Sequence[str], warn: Warn
) -> tuple[float, float] | None:
    """Read right ascension and declination.

    Parameters
    ----------
    header : RawHeader
    ra_cards, dec_cards : sequence of str
        Keywords; the first with a value is used.
    warn : function
        Takes a warning if a value is impossible, or contradicts other keywords.

    Returns
    -------
    (float, float) or None
        ICRS [deg]; None if either is missing or impossible. Sexagesimal right ascensions are hours. Numbers are
        degrees, but hours if their unit or comment, or other keywords of the pointing, say so.
    """
    try:
        ra, dec = _find_card(header, ra_cards), _find_card(header, dec_cards)
    except FrameRejectedError as reason:
        warn(name_warning("unknown pointing", f"{reason}"))
        return None
    if ra is None or dec is None:
        return None
    first = _make_pair(header, ra, dec)
    others = list(_find_others(header, first, (*zip(ra_cards, dec_cards, strict=False), *OTHER_PAIRS)))
    if not first.places:
        warn(name_warning("unknown pointing", f"{first.text}; expected degrees, or hours and degrees"))
        others = [pair for pair in others if pair.ra_card != "CRVAL1"]  # which need not be the centre of the frame
        return convert_to_icrs(others[0].places[0], read_equinox(header, warn)) if others else None
    return convert_to_icrs(_choose_place(first, others, warn), read_equinox(header, warn))


def _choose_place(first: _Pair, others: Sequence[_Pair], warn: Warn) -> Place:
    """Choose what a pair of keywords stands for: the place that agrees best with another pair."""
    if not others:
        if len(first.places) > 1:
            text = f"{first.ra_card} is {first.ra!r}, in degrees or in hours; read as degrees"
            warn(name_warning("unit of right ascension", text))
        return first.places[0]
    nearest = min(
        ((_measure_distance(place, other.places[0]), n) for n, place in enumerate(first.places) for other in others)
    )
    if nearest[0] <= LARGEST_DIFFERENCE:
        return first.places[nearest[1]]
    distance = min(_measure_distance(first.places[0], other.places[0]) for other in others)
    text = f"{first.text}, {others[0].text}: {distance:.3g} degrees apart; the first pair is used"
    warn(name_warning("pointings disagree", text))
    return first.places[0]


def _measure_distance(one: Place, other: Place) -> float:
    """Measure the angle between two places [deg], by the haversine; without numpy, to keep planning quick."""
    (ra, dec), (other_ra, other_dec) = (map(math.radians, place) for place in (one, other))
    along, across = math.sin((other_dec - dec) / 2), math.sin((other_ra - ra) / 2)
    haversine = along**2 + math.cos(dec) * math.cos(other_dec) * across**2
    return 2 * math.degrees(math.asin(math.sqrt(min(haversine, 1.0))))


def _find_others(header: RawHeader, first: _Pair, names: Sequence[tuple[str, str]]) -> Iterator[_Pair]:
    """Find the other pairs whose meaning is certain; 0 and 0 is what programs write that do not know."""
    for ra_card, dec_card in dict.fromkeys(names):
        if ra_card == first.ra_card or (ra_card == "CRVAL1" and not _is_equatorial(header)):
            continue
        try:
            ra, dec = _find_card(header, [ra_card]), _find_card(header, [dec_card])
        except FrameRejectedError:
            continue
        if ra is None or dec is None:
            continue
        pair = _make_pair(header, ra, dec)
        if len(pair.places) == 1 and pair.places[0] != (0, 0):
            yield pair


def _is_equatorial(header: RawHeader) -> bool:
    try:
        return str(header.value("CTYPE1")).startswith("RA--") and str(header.value("CTYPE2")).startswith("DEC-")
    except FrameRejectedError:
        return False


def _make_pair(header: RawHeader, ra: tuple[str, Value], dec: tuple[str, Value]) -> _Pair:
    comment = "deg" if ra[0] == "CRVAL1" else header.comment(ra[0])
    delta = parse_degrees(dec[1])
    places = tuple(
        (alpha, delta)
        for alpha in _list_right_ascensions(ra[1], comment)
        if delta is not None and 0 <= alpha <= 360 and -90 <= delta <= 90
    )
    return _Pair(ra[0], dec[0], ra[1], dec[1], places)


def _list_right_ascensions(value: Value, comment: str) -> tuple[float, ...]:
    """List what a right ascension may be [deg], the likelier first; empty if it cannot be read."""
    angle = parse_degrees(value)
    if is_sexagesimal(value):
        return () if angle is None else (15 * angle,)
    number, unit = parse_quantity(value) or (None, "")
    if angle is None:
        angle = number if _HOURS.fullmatch(unit) else None
    if angle is None:
        return ()
    in_hours, in_degrees = (pattern.search(f"{unit} {comment}") is not None for pattern in (_HOURS, _DEGREES))
    if not 0 < angle < 24 or (in_degrees and not in_hours):
        return (angle,)
    return (15 * angle,) if in_hours and not in_degrees else (angle, 15 * angle)


def _find_card(header: RawHeader, cards: Sequence[str]) -> tuple[str, Value] | None:
    return next(((card, value) for card in cards if (value := header.value(card)) is not None), None)
