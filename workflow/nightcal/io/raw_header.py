"""Read the header of a raw file, find its image and check that the file is complete.

Plain standard FITS files, of which a night has thousands, are parsed here; anything else is left to astropy, which is
slower and knows every convention.
"""

from __future__ import annotations

import gzip
import os
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nightcal.errors import FrameRejectedError, blame_machine
from nightcal.io.card_text import (
    CARD,
    COMMENTARY,
    KEYWORD,
    VALUE,
    Value,
    clean_text,
    convert,
    read_comment,
    split_cards,
)
from nightcal.io.foreign_text import find_foreign_texts

if TYPE_CHECKING:
    from astropy.io import fits

SUFFIXES = tuple(suffix + end for suffix in (".fits", ".fit", ".fts") for end in ("", ".fz", ".gz"))
"""Endings of the names of raw frames, in lower case."""

_SUFFIX = re.compile("(" + "|".join(map(re.escape, sorted(SUFFIXES, key=len, reverse=True))) + r")\Z", re.I | re.A)

GZIP_MAGIC = b"\x1f\x8b"
LARGEST_NAXIS = 999
_NAXIS = re.compile(rb"NAXIS   =\s*(\d+)")

BLOCK = 2880
AT_ONCE = 4 * BLOCK
LONGEST_PLAIN = 64 * BLOCK
EXTENSION = b"XTENSION"
_END = re.compile(rb"END {77}")
FIRST = ["SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2"]
BITS = (8, 16, 32, 64, -32, -64)


def strip_suffix(name: str) -> str:
    """Strip the FITS suffix from a file name: ``a.b.fits.fz`` becomes ``a.b``."""
    return _SUFFIX.sub("", name)


NO_TEXTS: Mapping[str, str] = {}


class RawHeader:
    """The header of a raw frame.

    Parameters
    ----------
    cards : astropy.io.fits.Header or str
        The cards of the image, then those of the primary header that the image lacks. As text: standard cards of 80
        columns without END, which are parsed on demand.
    hdu : int
        Index of the HDU that holds the image.
    shape : (int, int)
        Rows and columns as read out.
    plane : int, optional
        Index of the plane in a cube.
    planes : tuple of RawHeader, optional
        A header for each image plane (extension or plane of a cube) of a file with several.
    primary : astropy.io.fits.Header, optional
        The primary header of a file with images in several extensions.
    foreign : mapping of str to str, optional
        Texts that are not ASCII, of which astropy loses letters.

    Attributes
    ----------
    path : Path
        The file; the current folder if unknown.
    grid : (int, int) or None
        For one colour of a mosaic, its first row and column in the mosaic; every second is its own.
    """

    def __init__(
        self,
        cards: fits.Header | str,
        hdu: int,
        shape: tuple[int, int],
        plane: int = 0,
        planes: tuple[RawHeader, ...] = (),
        primary: fits.Header | None = None,
        foreign: Mapping[str, str] = NO_TEXTS,
    ) -> None:
        self._cards = cards
        self._split_cards = split_cards(cards) if isinstance(cards, str) else None
        self.hdu = hdu
        self.shape = shape
        self.plane = plane
        self.primary = primary
        self.path = Path()
        self.grid: tuple[int, int] | None = None
        self._read_planes = planes
        self._foreign = foreign
        self._asked: dict[str, Value | None] = {}

    @property
    def planes(self) -> tuple[RawHeader, ...]:
        """Headers of all image planes, in file order."""
        return self._read_planes or (self,)

    @cached_property
    def cards(self) -> fits.Header:
        """All cards as an astropy header."""
        if not isinstance(self._cards, str):
            return self._cards
        from astropy.io import fits

        return fits.Header.fromstring(self._cards)

    @property
    def data_start(self) -> int | None:
        """Offset of the pixels in the file; None if astropy has to find it."""
        return _round_up(len(self._cards) + CARD) if isinstance(self._cards, str) else None

    def card_images(self) -> list[str] | None:
        """Split the header into its cards of 80 columns; None if a card does not follow the FITS standard."""
        if not isinstance(self._cards, str):
            return None
        images = [self._cards[start : start + CARD] for start in range(0, len(self._cards), CARD)]
        plain = all(i[8:10] != "= " or (": " not in i and VALUE.fullmatch(i, 10)) for i in images)
        return images if plain else None

    @property
    def history(self) -> list[str]:
        """The lines of HISTORY."""
        if not isinstance(self._cards, str):
            return [str(line) for line in self._cards["HISTORY"]] if "HISTORY" in self._cards else []
        if "HISTORY " not in self._cards:
            return []
        cards = (self._cards[start : start + CARD] for start in range(0, len(self._cards), CARD))
        return [card[8:].strip() for card in cards if card.startswith("HISTORY ")]

    def __iter__(self) -> Iterator[str]:
        return iter(self.cards if self._split_cards is None else self._split_cards)

    def __contains__(self, name: str) -> bool:
        return name in (self.cards if self._split_cards is None else self._split_cards)

    def value(self, name: str) -> Value | None:
        """Look up the value of a keyword; None if it is absent or a placeholder (empty, UNKNOWN, N/A).

        A value that does not follow the FITS standard, such as ``3,2E-05`` or an unquoted ``NaN``, is given as text. Of
        a keyword that occurs several times, the first value is given.

        Raises
        ------
        FrameRejectedError
            If the value cannot be read at all.
        """
        if name not in self._asked:
            self._asked[name] = next((value for value in self.values(name) if value is not None), None)
        return self._asked[name]

    def find(self, name: str) -> Value | None:
        """Look up the value of a keyword as `value` does; None also if it cannot be read."""
        try:
            return self.value(name)
        except FrameRejectedError:
            return None

    def values(self, name: str) -> tuple[Value | None, ...]:
        """Look up the value of each card of a keyword; errors as for `value`."""
        if self._split_cards is not None and name not in COMMENTARY and (" " in name or KEYWORD.fullmatch(name)):
            fields = self._split_cards.get(name)  # keywords with a blank need HIERARCH, which a plain header lacks
            if fields is None:
                return ()
            matches = [VALUE.fullmatch(field) for field in fields]
            if all(match and ": " not in match[0] for match in matches):  # a colon may mark a record-valued card
                return tuple(convert(match) for match in matches if match)
        return (clean_text(self._foreign[name]),) if name in self._foreign else self._read_with_astropy(name)

    def comment(self, name: str) -> str:
        """Look up the comment of a keyword; empty if it has none."""
        if self._split_cards is not None and name in self._split_cards:
            return read_comment(self._split_cards[name][0])
        return str(self.cards.comments[name]) if self._split_cards is None and name in self.cards else ""

    @cached_property
    def repeated(self) -> frozenset[str]:
        """Keywords that occur several times."""
        if self._split_cards is not None:
            return frozenset(name for name, fields in self._split_cards.items() if len(fields) > 1)
        count = Counter(self.cards.keys())
        return frozenset(name for name in count if count[name] > 1) - {*COMMENTARY, ""}

    def _read_with_astropy(self, name: str) -> tuple[Value | None, ...]:
        from astropy.io import fits

        if name not in self.cards:
            return ()
        numbers = range(self.cards.count(name)) if name in self.repeated else [0]
        values = []
        for number in numbers:
            try:
                value = self.cards[name, number]
            except fits.VerifyError:
                value = _read_invalid_card(name, self.cards.cards[name, number])
            if isinstance(value, str):
                value = clean_text(value)
            values.append(None if isinstance(value, fits.card.Undefined) else value)
        return tuple(values)


def read_header(path: Path) -> RawHeader:
    """Find the image of a raw file and read its header, but not the pixels.

    Parameters
    ----------
    path : Path
        Plain FITS, ``.fz`` or ``.gz``, with the image in any HDU.

    Returns
    -------
    RawHeader

    Raises
    ------
    FrameRejectedError
        If the file is not FITS, is truncated, or contains no image, or images of different sizes.
    """
    try:
        plain = read_plain_header(path)
    except (OSError, ValueError, FrameRejectedError):
        plain = None
    header = read_header_with_astropy(path) if plain is None else plain
    header.path = path
    return header


def read_plain_header(path: Path) -> RawHeader | None:
    """Read the header of a file that is a single plain, complete image; None for any other file.

    Raises
    ------
    OSError, ValueError, FrameRejectedError
        If the file cannot be read, or its header is not plain.
    """
    with open(path, "rb", buffering=0) as file:
        head = file.read(AT_ONCE)
        while (end := _find_end(head)) is None and len(head) < LONGEST_PLAIN and (more := file.read(AT_ONCE)):
            head += more
        length = os.fstat(file.fileno()).st_size
    if end is None:
        return None
    start = _round_up(end + CARD)
    header = RawHeader(head[:end].decode("ascii"), 0, (0, 0))
    if head[end + CARD : start].strip(b" ") or not _is_plain_image(header):
        return None
    bits, columns, rows = (int(header.value(name) or 0) for name in ("BITPIX", "NAXIS1", "NAXIS2"))
    stop = start + abs(bits) // 8 * columns * rows
    header.shape = (rows, columns)
    return header if stop <= length <= _round_up(stop) else None


def _is_plain_image(header: RawHeader) -> bool:
    """Check for a two-dimensional primary image with its keywords in the order of the FITS standard (4.4.1)."""
    names = list(header)
    bits, *axes = [header.value(name) for name in ("BITPIX", "NAXIS1", "NAXIS2")]
    return (
        names[: len(FIRST)] == FIRST
        and header.value("SIMPLE") is True
        and header.value("NAXIS") == 2
        and type(bits) is int
        and bits in BITS
        and all(type(length) is int and length > 0 for length in axes)
        and ("PCOUNT" not in names or header.value("PCOUNT") == 0)
        and ("GCOUNT" not in names or header.value("GCOUNT") == 1)
    )


def _round_up(length: int) -> int:
    return -(-length // BLOCK) * BLOCK


def _find_end(head: bytes) -> int | None:
    """Find the offset of the END card."""
    return next((match.start() for match in _END.finditer(head) if match.start() % CARD == 0), None)


def read_header_with_astropy(path: Path) -> RawHeader:
    """Read the header of any file with astropy; parameters and errors as for `read_header`."""
    from astropy.io import fits

    from nightcal.errors import UNREADABLE

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _check_axes(path)
            with fits.open(path, memmap=True, lazy_load_hdus=False) as hdus:
                return _find_planes(path, hdus)
        except UNREADABLE as error:
            blame_machine(error)
            raise FrameRejectedError(_explain_unreadable(path, error)) from error


def _read_invalid_card(name: str, card: fits.Card) -> str:
    """Read the text of a value that does not follow the FITS standard."""
    from astropy.io import fits

    repaired = copy(card)
    try:
        repaired.verify("silentfix")
        text = str(repaired.value).strip()
    except (ValueError, fits.VerifyError):
        text = ""
    if not text or not text.isprintable():
        raise FrameRejectedError(f"{name} is {text or 'unreadable text'!r}, not a valid FITS value")
    return text


def _find_planes(path: Path, hdus: fits.HDUList) -> RawHeader:
    """Find the image planes of a file: a single image, several extensions, or a cube."""
    places = [i for i, hdu in enumerate(hdus) if hdu.is_image and _has_pixels(hdu)]
    if not places:
        raise FrameRejectedError("the file contains no image")
    _check_length(path, places[-1])
    planes = tuple(plane for i in places for plane in _read_planes(i, hdus))
    if any("NIGHTCAL" in plane.cards for plane in planes):
        raise FrameRejectedError("the file is a product of nightcal, not a raw frame")
    first = planes[0]
    if len(planes) == 1:
        return first
    for plane in planes:
        if plane.shape != first.shape:
            sizes = " and ".join(f"{columns} x {rows}" for rows, columns in (plane.shape, first.shape))
            raise FrameRejectedError(f"the {len(planes)} image planes differ in size: {sizes}")
    primary = hdus[0].header.copy() if len(places) > 1 else None
    return RawHeader(first.cards, first.hdu, first.shape, planes=planes, primary=primary, foreign=first._foreign)


def _read_planes(index: int, hdus: fits.HDUList) -> list[RawHeader]:
    """Read the headers of the image planes of an HDU, completed by the primary header."""
    hdu = hdus[index]
    axes = [hdu.header[f"NAXIS{i}"] for i in range(3, hdu.header["NAXIS"] + 1)]
    if any(length != 1 for length in axes[1:]):
        raise FrameRejectedError(f"the image has {len(axes) + 2} axes; expected two, or three for a cube of amplifiers")
    cards = hdu.header.copy()
    if index > 0:
        cards.extend(hdus[0].header, unique=True)
    shape = (hdu.header["NAXIS2"], hdu.header["NAXIS1"])
    foreign = _read_foreign_texts(hdus[0]) | _read_foreign_texts(hdu)
    return [RawHeader(cards, index, shape, plane, foreign=foreign) for plane in range(axes[0] if axes else 1)]


def _read_foreign_texts(hdu: fits.hdu.base._BaseHDU) -> dict[str, str]:
    """Read the texts of a header that are not ASCII; astropy shows their letters as question marks."""
    place = hdu.fileinfo()
    if place is None:
        return {}
    place["file"].seek(place["hdrLoc"])
    return find_foreign_texts(place["file"].read(place["datLoc"] - place["hdrLoc"]))


def _has_pixels(hdu: fits.hdu.base._BaseHDU) -> bool:
    axes = hdu.header.get("NAXIS", 0)
    return axes >= 2 and all(hdu.header.get(f"NAXIS{i}", 0) > 0 for i in range(1, axes + 1))


def _check_length(path: Path, index: int) -> None:
    """Compare the length of the file with its headers; padding at the very end may be missing."""
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
        raise FrameRejectedError(f"the file is truncated: it has {found} bytes; its header requires {promised}")
    if index > 0:
        _check_end(path, end)


def _check_end(path: Path, end: int) -> None:
    """Reject a file that ends within an extension, whose rest astropy ignores.

    The last bytes of a gzip file give its length, but not whether it was cut off, so it is read to the end.
    """
    packed = _is_gzip(path)
    with gzip.open(path) if packed else path.open("rb") as file:
        try:
            file.seek(end)
            rest = file.read(len(EXTENSION))
            while packed and file.read(AT_ONCE):
                pass
        except (EOFError, zlib.error) as error:
            raise FrameRejectedError("the file is truncated: incomplete gzip stream") from error
    if rest == EXTENSION:
        raise FrameRejectedError("the file is truncated: it ends within the header of an extension")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


def _check_axes(path: Path) -> None:
    """Reject a number of axes that would keep astropy busy for hours."""
    with path.open("rb") as file:
        match = _NAXIS.search(file.read(2880))
    if match is not None and int(match[1]) > LARGEST_NAXIS:
        raise FrameRejectedError(f"NAXIS is {match[1].decode()[:20]}; expected an integer up to {LARGEST_NAXIS}")


def _explain_unreadable(path: Path, error: Exception) -> str:
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
