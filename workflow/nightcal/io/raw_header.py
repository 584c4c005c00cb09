"""One raw file's header: which image it holds, whether the file is whole, and its cards read with care.

A plain file that keeps to the FITS standard is read here, from its 80-column cards; a night has thousands of them.
Whatever is odd is left to astropy, which is slower and knows every convention.
"""

from __future__ import annotations

import gzip
import os
import re
import warnings
import zlib
from collections.abc import Iterator
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nightcal.errors import FrameRejectedError, blame_machine
from nightcal.io.sections import NOTHING

if TYPE_CHECKING:
    from astropy.io import fits

SUFFIXES = tuple(stem + end for stem in (".fits", ".fit", ".fts") for end in ("", ".fz", ".gz"))
"""Names that raw frames have, in lower case."""

_SUFFIX = re.compile("(" + "|".join(map(re.escape, sorted(SUFFIXES, key=len, reverse=True))) + r")\Z", re.I | re.A)

GZIP_MAGIC = b"\x1f\x8b"
LARGEST_NAXIS = 999
_NAXIS = re.compile(rb"NAXIS   =\s*(\d+)")

BLOCK = 2880
CARD = 80
AT_ONCE = 4 * BLOCK
LONGEST_PLAIN = 64 * BLOCK
EXTENSION = b"XTENSION"
COMMENTARY = ("COMMENT", "HISTORY")
_KEYWORD = re.compile(r"[A-Z0-9_-]{1,8}")
_END = re.compile(rb"END {77}")
FIRST = ["SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2"]
BITS = (8, 16, 32, 64, -32, -64)
_CARD = re.compile(r"(?:COMMENT |HISTORY | {8})[ -~]{72}|(?=([A-Z0-9_-]{1,8}) *= )[ -~]{8}= ([ -~]{70})")
_VALUE = re.compile(
    r" *(?:'(?P<text>[^']*)'|(?P<logical>[TF])|(?P<whole>[+-]?\d+)"
    r"|(?P<real>[+-]?(?:\d+\.\d*|\.\d+|\d+(?=[ED]))(?:[ED][+-]?\d+)?)|(?P<none>)) *(?:/.*)?"
)

Value = str | int | float | bool


def stem(name: str) -> str:
    """Name of a raw file without what makes it a FITS file: ``a.b.fits.fz`` is ``a.b``."""
    return _SUFFIX.sub("", name)


class RawHeader:
    """The header of one raw frame.

    Parameters
    ----------
    cards : astropy.io.fits.Header or str
        The image's cards, then those of the primary header that the image does not have. As text: cards of 80
        columns that keep to the FITS standard, without END; what is asked for is parsed, the rest is not.
    hdu : int
        Which HDU holds the image.
    shape : (int, int)
        Rows and columns as read out.
    plane : int, optional
        Which plane of a cube, from 0.
    planes : tuple of RawHeader, optional
        Of a file with several image planes, one for each: an extension, or a plane of a cube.
    primary : astropy.io.fits.Header, optional
        The primary header of a file whose images are in several extensions.
    """

    def __init__(
        self,
        cards: fits.Header | str,
        hdu: int,
        shape: tuple[int, int],
        plane: int = 0,
        planes: tuple[RawHeader, ...] = (),
        primary: fits.Header | None = None,
    ) -> None:
        self._cards = cards
        self._fields = _fields(cards) if isinstance(cards, str) else None
        self.hdu = hdu
        self.shape = shape
        self.plane = plane
        self.primary = primary
        self._planes = planes
        self._asked: dict[str, Value | None] = {}

    @property
    def planes(self) -> tuple[RawHeader, ...]:
        """Headers of all image planes of the file, in its order."""
        return self._planes or (self,)

    @cached_property
    def cards(self) -> fits.Header:
        """All cards, for programs that need more than values."""
        if not isinstance(self._cards, str):
            return self._cards
        from astropy.io import fits

        return fits.Header.fromstring(self._cards)

    @property
    def data_start(self) -> int | None:
        """Where the pixels begin in the file; None if astropy has to find out."""
        return _whole_blocks(len(self._cards) + CARD) if isinstance(self._cards, str) else None

    def images(self) -> list[str] | None:
        """Cards as they stand in the file, 80 columns each; None if one of them does not keep to the FITS standard."""
        if not isinstance(self._cards, str):
            return None
        images = [self._cards[start : start + CARD] for start in range(0, len(self._cards), CARD)]
        plain = all(i[8:10] != "= " or (": " not in i and _VALUE.fullmatch(i, 10)) for i in images)
        return images if plain else None

    def __iter__(self) -> Iterator[str]:
        return iter(self.cards if self._fields is None else self._fields)

    def value(self, name: str) -> Value | None:
        """Value of a card; None if it is absent or says that there is none (empty, UNKNOWN, N/A).

        Raises
        ------
        FrameRejectedError
            If the card is there and cannot be parsed.
        """
        if name not in self._asked:
            self._asked[name] = self._value(name)
        return self._asked[name]

    def _value(self, name: str) -> Value | None:
        if self._fields is not None:
            field = self._fields.get(name)
            if field is None and name not in COMMENTARY and _KEYWORD.fullmatch(name):
                return None
            match = _VALUE.fullmatch(field) if field is not None else None
            if match is not None and ": " not in match[0]:  # perhaps a record of several values in one card
                return _meaning(match)
        return self._parsed_by_astropy(name)

    def _parsed_by_astropy(self, name: str) -> Value | None:
        from astropy.io import fits

        try:
            value = self.cards.get(name)
        except fits.VerifyError as error:
            raise FrameRejectedError(
                f"{name} is {_as_written(self.cards.cards[name])!r}, not a value of FITS"
            ) from error
        if value is None or isinstance(value, fits.card.Undefined):
            return None
        return _said(value) if isinstance(value, str) else value


def _said(text: str) -> str | None:
    stripped = text.strip()
    return None if stripped.upper() in NOTHING else stripped


def _meaning(match: re.Match[str]) -> Value | None:
    """Value of a card that keeps to the FITS standard (4.2)."""
    kind, text = match.lastgroup, match[match.lastgroup or 0]
    if kind == "text":
        return _said(text)
    if kind == "logical":
        return text == "T"
    if kind == "whole":
        return int(text)
    return float(text.replace("D", "E")) if kind == "real" else None


def _fields(cards: str) -> dict[str, str]:
    """Find what stands right of ``= `` in each card, by keyword; of cards with equal keywords the first counts.

    Parameters
    ----------
    cards : str
        Cards of 80 columns.

    Raises
    ------
    ValueError
        If one of them does not keep to the FITS standard.
    """
    found = _CARD.findall(cards)
    fields: dict[str, str] = {}
    for keyword, field in found:
        fields.setdefault(keyword, field)
    fields.pop("", None)  # commentary
    if len(found) * CARD != len(cards) or not fields.keys().isdisjoint(ODD):
        raise ValueError("not plain FITS cards")
    return fields


ODD = ("CONTINUE", "HIERARCH", "END", "GROUPS", "XTENSION", "NIGHTCAL")
"""Keywords that are left to astropy where a value stands beside them."""


def read_header(path: Path) -> RawHeader:
    """Find the image of a raw file and read its header; the pixels stay unread.

    Parameters
    ----------
    path : Path
        Plain FITS, ``.fz`` or ``.gz``; the image in any HDU.

    Returns
    -------
    RawHeader

    Raises
    ------
    FrameRejectedError
        If the file is not FITS, is truncated, or holds no image, or images of different sizes.
    """
    try:
        plain = _read_plain(path)
    except (OSError, ValueError, FrameRejectedError):
        plain = None
    return _read_by_astropy(path) if plain is None else plain


def _read_plain(path: Path) -> RawHeader | None:
    """Read the header of a file that is one plain image, whole, and nothing else; None if it is anything else.

    Raises
    ------
    OSError, ValueError, FrameRejectedError
        If the file cannot be read, or its header is not plain.
    """
    with open(path, "rb", buffering=0) as file:
        head = file.read(AT_ONCE)
        while (end := _end_of(head)) is None and len(head) < LONGEST_PLAIN and (more := file.read(AT_ONCE)):
            head += more
        length = os.fstat(file.fileno()).st_size
    if end is None:
        return None
    start = _whole_blocks(end + CARD)
    header = RawHeader(head[:end].decode("ascii"), 0, (0, 0))
    if head[end + CARD : start].strip(b" ") or not _is_plain_image(header):
        return None
    bits, columns, rows = (int(header.value(name) or 0) for name in ("BITPIX", "NAXIS1", "NAXIS2"))
    stop = start + abs(bits) // 8 * columns * rows
    header.shape = (rows, columns)
    return header if stop <= length <= _whole_blocks(stop) else None


def _is_plain_image(header: RawHeader) -> bool:
    """Whether cards are those of a primary image of two axes, in the order of the FITS standard (4.4.1)."""
    first = list(header)[: len(FIRST)]
    bits, *axes = [header.value(name) for name in ("BITPIX", "NAXIS1", "NAXIS2")]
    return (
        first == FIRST
        and header.value("SIMPLE") is True
        and header.value("NAXIS") == 2
        and type(bits) is int
        and bits in BITS
        and all(type(length) is int and length > 0 for length in axes)
        and header.value("PCOUNT") in (None, 0)
        and header.value("GCOUNT") in (None, 1)
    )


def _whole_blocks(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _end_of(head: bytes) -> int | None:
    """Where the END card begins."""
    return next((match.start() for match in _END.finditer(head) if match.start() % CARD == 0), None)


def _read_by_astropy(path: Path) -> RawHeader:
    from astropy.io import fits

    from nightcal.errors import UNREADABLE

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _check_axes(path)
            with fits.open(path, memmap=True, lazy_load_hdus=False) as hdus:
                return _images(path, hdus)
        except UNREADABLE as error:
            blame_machine(error)
            raise FrameRejectedError(_why_unreadable(path, error)) from error


def _as_written(card: fits.Card) -> str:
    from astropy.io import fits

    repaired = copy(card)
    try:
        repaired.verify("silentfix")
        return str(repaired.value).strip()
    except (ValueError, fits.VerifyError):
        return "unreadable text"


def _images(path: Path, hdus: fits.HDUList) -> RawHeader:
    """Find the image planes of a file: one, several extensions of one plane each, or a cube."""
    places = [i for i, hdu in enumerate(hdus) if hdu.is_image and _has_pixels(hdu)]
    if not places:
        raise FrameRejectedError("the file holds no image")
    _check_length(path, places[-1])
    planes = tuple(plane for i in places for plane in _planes(i, hdus))
    if any("NIGHTCAL" in plane.cards for plane in planes):
        raise FrameRejectedError("the file is a product of nightcal, not a raw frame")
    first = planes[0]
    if len(planes) == 1:
        return first
    for plane in planes:
        if plane.shape != first.shape:
            sizes = " and ".join(f"{columns} x {rows}" for rows, columns in (plane.shape, first.shape))
            raise FrameRejectedError(f"its {len(planes)} image planes differ in size: {sizes}")
    primary = hdus[0].header.copy() if len(places) > 1 else None
    return RawHeader(first.cards, first.hdu, first.shape, planes=planes, primary=primary)


def _planes(index: int, hdus: fits.HDUList) -> list[RawHeader]:
    """Headers of the image planes of one HDU, with the cards of the primary header that it does not have."""
    hdu = hdus[index]
    axes = [hdu.header[f"NAXIS{i}"] for i in range(3, hdu.header["NAXIS"] + 1)]
    if any(length != 1 for length in axes[1:]):
        raise FrameRejectedError(f"an image has {len(axes) + 2} axes; expected two, or three for a cube of amplifiers")
    cards = hdu.header.copy()
    if index > 0:
        cards.extend(hdus[0].header, unique=True)
    shape = (hdu.header["NAXIS2"], hdu.header["NAXIS1"])
    return [RawHeader(cards, index, shape, plane) for plane in range(axes[0] if axes else 1)]


def _has_pixels(hdu: fits.hdu.base._BaseHDU) -> bool:
    axes = hdu.header.get("NAXIS", 0)
    return axes >= 2 and all(hdu.header.get(f"NAXIS{i}", 0) > 0 for i in range(1, axes + 1))


def _check_length(path: Path, index: int) -> None:
    """Compare the file's length with what its headers promise; padding at the very end may be missing."""
    from astropy.io import fits

    with fits.open(path, memmap=True, disable_image_compression=True) as hdus:
        promised = hdus[index].fileinfo()["datLoc"] + hdus[index].size
        last = hdus[-1].fileinfo()
        end = last["datLoc"] + last["datSpan"]
    if _is_gzip(path):
        with path.open("rb") as file:
            file.seek(-4, 2)
            found = int.from_bytes(file.read(4), "little")
        promised %= 2**32
    else:
        found = path.stat().st_size
    if found < promised:
        raise FrameRejectedError(f"the file is truncated: {found} bytes, its header promises {promised}")
    if index > 0:
        _check_end(path, end)


def _check_end(path: Path, end: int) -> None:
    """Refuse a file that ends within an extension: astropy passes over what is left of it.

    The last words of a gzip file tell its length, but not where it was cut off: it is read to its end.
    """
    packed = _is_gzip(path)
    with gzip.open(path) if packed else path.open("rb") as file:
        try:
            file.seek(end)
            rest = file.read(len(EXTENSION))
            while packed and file.read(AT_ONCE):
                pass
        except (EOFError, zlib.error) as error:
            raise FrameRejectedError("the file is truncated: its gzip stream has no end") from error
    if rest == EXTENSION:
        raise FrameRejectedError("the file is truncated: it ends within the header of an extension")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def _check_axes(path: Path) -> None:
    """Refuse a number of axes that astropy would count for hours."""
    with path.open("rb") as file:
        match = _NAXIS.search(file.read(2880))
    if match is not None and int(match[1]) > LARGEST_NAXIS:
        raise FrameRejectedError(f"NAXIS is {match[1].decode()[:20]}; expected a whole number up to {LARGEST_NAXIS}")


def _why_unreadable(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    if not path.is_file():
        return "the file cannot be opened"
    if path.stat().st_size == 0:
        return "the file is empty"
    if "No SIMPLE card" in text:
        return "the file is not FITS"
    if "END card" in text:
        return "the header has no END card"
    return f"the file cannot be read as FITS ({type(error).__name__}: {text[:120]})"
