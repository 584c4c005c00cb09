"""Sections of an image: ``[x1:x2,y1:y2]`` in headers and camera files, half-open areas in Python."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from numbers import Integral
from typing import Any

NOTHING = {"", "UNKNOWN", "N/A", "NONE"}
"""Placeholders for a missing value, in upper case."""

_SECTION = re.compile(r"\[([^:,\[\]]+):([^:,\[\]]+),([^:,\[\]]+):([^:,\[\]]+)\]")
_NUMBERS_ONLY = re.compile(r"[\[\]\d:,\s]{1,60}", re.A)
_EMPTY = re.compile(r"[\[\](),:\s0]*")
_TERM = re.compile(r"([+-]?)(\d+|[A-Z][A-Z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of pixels: 0-based, half-open, as in ``image[ymin:ymax, xmin:xmax]``.

    ``flip_x`` and ``flip_y`` mark sections that were written in descending order.
    """

    xmin: int
    xmax: int
    ymin: int
    ymax: int
    flip_x: bool = False
    flip_y: bool = False

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the area in an image."""
        return slice(self.ymin, self.ymax), slice(self.xmin, self.xmax)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.ymax - self.ymin, self.xmax - self.xmin

    def fits_in(self, shape: tuple[int, int]) -> bool:
        """Check that the area is not empty and lies within an image of this shape."""
        return 0 <= self.xmin < self.xmax <= shape[1] and 0 <= self.ymin < self.ymax <= shape[0]

    def __str__(self) -> str:
        x = (self.xmin + 1, self.xmax)[:: -1 if self.flip_x else 1]
        y = (self.ymin + 1, self.ymax)[:: -1 if self.flip_y else 1]
        return f"[{x[0]}:{x[1]},{y[0]}:{y[1]}]"


def parse_section(text: object, value: Callable[[str], Any] = lambda name: None) -> Area | None:
    """Read a FITS/IRAF section.

    Parameters
    ----------
    text : object
        ``[x1:x2,y1:y2]``: 1-based, inclusive; a descending range means a flip; spaces allowed, brackets not needed.
        Each number may be a sum of integers and keywords with an integer value, as in
        ``[NAXIS1-COVER+1:NAXIS1,1:NAXIS2]``.
    value : function, optional
        Looks up the value of a keyword.

    Returns
    -------
    Area or None
        None for a missing section: None, an empty string, ``UNKNOWN``, ``N/A``, ``[]``, ``[0:0,0:0]``.

    Raises
    ------
    ValueError
        If the text is not a section, a keyword is not an integer, or a pixel number is below 1.
    """
    if text is None or str(text).strip().upper() in NOTHING or (isinstance(text, str) and _EMPTY.fullmatch(text)):
        return None
    if isinstance(text, str) and _NUMBERS_ONLY.fullmatch(text):
        return _parse_numbers(text)
    return _parse(str(text), value)


@lru_cache(4096)
def _parse_numbers(text: str) -> Area:
    """Parse a section without keywords; a night has few different ones."""
    return _parse(text, lambda name: None)


def _parse(text: str, value: Callable[[str], Any]) -> Area:
    squeezed = re.sub(r"\s*([\[\]:,+-])\s*", r"\1", text.strip())
    match = _SECTION.fullmatch(squeezed if "[" in squeezed or "]" in squeezed else f"[{squeezed}]")
    if match is None:
        raise ValueError(f"{text!r} is not a section; expected [x1:x2,y1:y2]")
    x1, x2, y1, y2 = (_parse_number(term, value) for term in match.groups())
    if min(x1, x2, y1, y2) < 1:
        raise ValueError(f"section {text!r} starts below pixel 1")
    return Area(min(x1, x2) - 1, max(x1, x2), min(y1, y2) - 1, max(y1, y2), flip_x=x1 > x2, flip_y=y1 > y2)


def parse_zero_based(text: object, shape: tuple[int, int]) -> Area | None:
    """Read a section whose pixels are counted from 0, as in ``[0:1023,0:1023]``.

    Parameters
    ----------
    text : object
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    Area or None
        None if the text is not such a section, or it does not fit the image. If its end lies just outside the image,
        the last pixel is not part of it, as in Python.
    """
    numbers = [int(number) for number in re.findall(r"\d+", str(text))]
    if len(numbers) != 4 or min(numbers) > 0 or not _NUMBERS_ONLY.fullmatch(str(text)):
        return None
    x1, x2, y1, y2 = numbers
    for last in (1, 0):
        area = Area(x1, x2 + last, y1, y2 + last)
        if area.fits_in(shape):
            return area
    return None


def _parse_number(text: str, value: Callable[[str], Any]) -> int:
    terms = _TERM.findall(text)
    if "".join(sign + value for sign, value in terms) != text or any(not sign for sign, _ in terms[1:]):
        raise ValueError(f"{text!r} is not a pixel number")
    return sum((-1 if sign == "-" else 1) * _parse_term(name, value) for sign, name in terms)


def _parse_term(text: str, value: Callable[[str], Any]) -> int:
    if text.isdecimal():
        return int(text)
    number = value(text)
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValueError(f"{text} is {number!r}; expected a keyword with an integer value")
    return number


def as_dictionaries(areas: Sequence[Area]) -> list[dict[str, int]]:
    """Turn areas into dictionaries with ``xmin``, ``xmax``, ``ymin``, ``ymax``."""
    return [{"xmin": a.xmin, "xmax": a.xmax, "ymin": a.ymin, "ymax": a.ymax} for a in areas]


def as_area(entry: Area | Mapping[str, int]) -> Area:
    """Turn a dictionary with ``xmin``, ``xmax``, ``ymin``, ``ymax`` into an area.

    Raises
    ------
    ValueError
        If a key is missing or unknown, a value is not an integer, or the area is empty, inverted or negative.
    """
    if isinstance(entry, Area):
        area = entry
    else:
        names = ("xmin", "xmax", "ymin", "ymax")
        if not isinstance(entry, Mapping) or set(entry) != set(names):
            raise ValueError("expected xmin, xmax, ymin and ymax")
        if not all(isinstance(entry[n], Integral) and not isinstance(entry[n], bool) for n in names):
            raise ValueError("expected whole numbers of pixels")
        xmin, xmax, ymin, ymax = (int(entry[n]) for n in names)
        area = Area(xmin, xmax, ymin, ymax)
    if not (0 <= area.xmin < area.xmax and 0 <= area.ymin < area.ymax):
        raise ValueError("expected 0 <= xmin < xmax and 0 <= ymin < ymax")
    return area
