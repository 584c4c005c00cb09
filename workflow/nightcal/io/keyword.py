"""One keyword of a product's header: unit, comment, and what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

SCIENCE = ("science",)
STACKS = ("bias", "dark", "flat")
MASTERS = (*STACKS, "bpm")
ALL = (*SCIENCE, *MASTERS)
"""Kinds of product."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword of a product's header.

    Attributes
    ----------
    name : str
        ``n`` stands for a digit, a single ``n`` at the end for a number of any length, ``a`` for a letter.
    comment : str
        Beside the value, in the header.
    unit : str
        As in a header, in front of the comment.
    products : tuple of str
        Kinds of product that have it.
    note : str
        For the manual, in place of the comment.
    standard : bool
        Whether FITS, IRAF or ccdproc give it the same meaning. A raw frame may then have it as well; other keywords are
        nightcal's own, and a raw frame's must not be taken for them.
    """

    name: str
    comment: str = ""
    unit: str = ""
    products: tuple[str, ...] = SCIENCE
    note: str = ""
    standard: bool = False

    @property
    def card_comment(self) -> str:
        """Unit and comment, as a card has them."""
        return " ".join(filter(None, [f"[{self.unit}]" if self.unit else "", self.comment]))


@cache
def match_any(keywords: tuple[Keyword, ...]) -> re.Pattern[str]:
    """Make a pattern that matches a header's keyword, if it is one of these."""
    names = (re.sub(r"(?<!n)n$", r"\\d+", keyword.name) for keyword in keywords)  # a single n at the end
    return re.compile("|".join(name.replace("n", r"\d").replace("a", "[A-Z]") for name in names) or "(?!)")
