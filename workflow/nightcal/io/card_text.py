"""Parse the text of standard FITS cards."""

from __future__ import annotations

import re

from nightcal.io.sections import NOTHING

Value = str | int | float | bool

COMMENTARY = ("COMMENT", "HISTORY")
CARD = 80
KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_CARD = re.compile(r"(?:COMMENT |HISTORY | {8})[ -~]{72}|(?=([A-Z0-9_-]{1,8}) *= )[ -~]{8}= ([ -~]{70})")
VALUE = re.compile(
    r" *(?:'(?P<text>[^']*)'|(?P<logical>[TF])|(?P<whole>[+-]?\d+)"
    r"|(?P<real>[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[ED]))(?:[ED][+-]?\d+)?)|(?P<none>)) *(?:/.*)?"
)
"""A value as the FITS standard (4.2) has it, and a comment."""

_COMMENT = re.compile(r" *(?:'(?:[^']|'')*' *|[^'/]*)/(.*)")
ODD = ("CONTINUE", "HIERARCH", "END", "GROUPS", "XTENSION", "NIGHTCAL")
"""Keywords that are left to astropy."""


def split_cards(cards: str) -> dict[str, list[str]]:
    """Split cards into keywords and the text after ``= `` of each of their cards.

    Parameters
    ----------
    cards : str
        Cards of 80 columns.

    Returns
    -------
    dict of str to list of str
        Without commentary.

    Raises
    ------
    ValueError
        If a card does not follow the FITS standard.
    """
    found = _CARD.findall(cards)
    fields: dict[str, list[str]] = {}
    for keyword, field in found:
        fields.setdefault(keyword, []).append(field)
    fields.pop("", None)
    if len(found) * CARD != len(cards) or not fields.keys().isdisjoint(ODD):
        raise ValueError("not plain FITS cards")
    return fields


def convert(match: re.Match[str]) -> Value | None:
    """Convert a value that `VALUE` matched."""
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    if kind == "text":
        return clean_text(text)
    if kind == "logical":
        return text == "T"
    if kind == "whole":
        return int(text)
    return float(text.replace("D", "E")) if kind == "real" else None


def clean_text(text: str) -> str | None:
    """Strip blanks; None for a placeholder."""
    stripped = text.strip()
    return None if stripped.upper() in NOTHING else stripped


def read_comment(field: str) -> str:
    """Read the comment behind a value; empty if there is none."""
    match = _COMMENT.match(field)
    return "" if match is None else match[1].strip()
