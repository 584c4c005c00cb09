"""Read the crosstalk of amplifiers from a header."""

from __future__ import annotations

from itertools import permutations

from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader

Coefficients = tuple[tuple[float, ...], ...]


def read_crosstalk(header: RawHeader, template: str, known: Coefficients, amplifiers: int) -> Coefficients:
    """Read the fraction of the signal of each amplifier (row) that appears on each other one (column).

    Parameters
    ----------
    header : RawHeader
    template : str
        Of the keywords, as in `Camera.crosstalk_cards`; empty for none.
    known : tuple of tuple of float
        Used if the header has none.
    amplifiers : int
        Number of amplifiers.

    Returns
    -------
    tuple of tuple of float

    Raises
    ------
    FrameRejectedError
        If a value is not a number between -1 and 1.
    """
    numbers = range(1, amplifiers + 1)
    pairs = permutations(numbers, 2) if template else ()
    found = {pair: _read_share(header, name_crosstalk_card(template, *pair)) for pair in pairs}
    if all(share is None for share in found.values()):
        return known
    return tuple(tuple(found.get((i, j)) or 0.0 for j in numbers) for i in numbers)


def name_crosstalk_card(template: str, source: int, target: int) -> str:
    """Name the crosstalk keyword of two amplifiers, both counted from 1."""
    return template.replace("{from}", str(source)).replace("{on}", str(target))


def _read_share(header: RawHeader, card: str) -> float | None:
    value = header.value(card)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 < value < 1:
        raise FrameRejectedError(f"{card} is {value!r}; expected a fraction of the signal between -1 and 1")
    return float(value)
