"""Read where the telescope pointed."""

from __future__ import annotations

from collections.abc import Sequence

from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import is_sexagesimal, parse_degrees
from nightcal.io.raw_header import RawHeader, Value
from nightcal.warning_names import Warn, name_warning


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
        Takes a warning if a value is impossible.

    Returns
    -------
    (float, float) or None
        [deg]; None if either is missing or impossible. Numbers are degrees, sexagesimal right ascensions are hours.
    """
    try:
        ra, dec = _find_card(header, ra_cards), _find_card(header, dec_cards)
    except FrameRejectedError as reason:
        warn(name_warning("unknown pointing", f"{reason}"))
        return None
    if ra is None or dec is None:
        return None
    alpha, delta = parse_degrees(ra[1]), parse_degrees(dec[1])
    if alpha is not None and is_sexagesimal(ra[1]):
        alpha *= 15
    if alpha is not None and delta is not None and 0 <= alpha <= 360 and -90 <= delta <= 90:
        return alpha, delta
    said = f"{ra[0]} is {ra[1]!r} and {dec[0]} {dec[1]!r}"
    warn(name_warning("unknown pointing", f"{said}; expected degrees, or hours and degrees"))
    return None


def _find_card(header: RawHeader, cards: Sequence[str]) -> tuple[str, Value] | None:
    return next(((card, value) for card in cards if (value := header.value(card)) is not None), None)
