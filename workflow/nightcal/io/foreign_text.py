"""Text in headers that is not ASCII, which FITS does not allow and many programs write."""

from __future__ import annotations

import re

CARD = 80
_TEXT = re.compile(rb"([A-Z0-9_-]+) *= +'([^']*)'")


def find_foreign_texts(block: bytes) -> dict[str, str]:
    r"""Find the texts of a header that are not ASCII.

    Parameters
    ----------
    block : bytes
        The header as stored.

    Returns
    -------
    dict of str to str
        By keyword; letters that are not ASCII are escaped, as in ``H\u03b1``, so that different texts stay different.
    """
    if block.isascii():
        return {}
    cards = (block[start : start + CARD] for start in range(0, len(block), CARD))
    found = (_TEXT.match(card) for card in cards if not card.isascii())
    return {match[1].decode(): _escape(match[2]) for match in found if match}


def _escape(text: bytes) -> str:
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError:
        decoded = text.decode("latin-1")
    return decoded.strip().encode("ascii", "backslashreplace").decode("ascii")
