"""Write products atomically."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.flags import MASK_DTYPE, MEANINGS, Flag, MaskBits
from nightcal.io.atomic import write_atomically
from nightcal.io.checksum import encode_checksum, fold_carries, sum_bytes
from nightcal.numerics.kernels import swap_and_sum

BLOCK = 2880
"""Size of a FITS block [bytes]."""

CARD = 80
WRITE_ROWS = 16

EXTENSIONS = {"UNCERT": np.float32, "MASK": MASK_DTYPE, "NUSED": np.int16}
"""Names and data types of the extensions."""

STRUCTURE = {"SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "BUNIT", "CHECKSUM", "DATASUM"}
WCS = re.compile(
    r"WCS(AXES|NAME)[A-Z]?|(CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA)[12][A-Z]?|(CD|PC)[12]_[12][A-Z]?|P[VS][12]_\d+[A-Z]?"
    r"|(LON|LAT)POLE[A-Z]?|RADESYS[A-Z]?|EQUINOX[A-Z]?|[AB]P?_(ORDER|DMAX|\d_\d)"
)
"""Keywords of celestial coordinates (FITS standard 8), and of the SIP convention."""

AXES = re.compile(r"WCSAXES[A-Z]?")

SUMS = (
    ("CHECKSUM", "0" * 16, "checksum of the HDU; FITS standard 4.4.2.7"),
    ("DATASUM", "0" * 10, "checksum of the data"),
)


@dataclass(frozen=True, slots=True)
class Product:
    """Image with its uncertainty, mask and header.

    Attributes
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        In ``unit``; the uncertainty is one standard deviation.
    mask : ndarray of int16, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    unit : str
        As in BUNIT; empty for a ratio.
    header : astropy.io.fits.Header
    survivors : ndarray of int16, shape (ny, nx), optional
        Number of frames averaged in each pixel of a stack.
    """

    data: NDArray[Any]
    uncertainty: NDArray[np.float32]
    mask: MaskBits
    unit: str
    header: fits.Header
    survivors: NDArray[np.int16] | None = None


class ProductFile:
    """Product file that is written row by row: image, ``UNCERT``, ``MASK``, and ``NUSED`` for a stack.

    Parameters
    ----------
    file : int
        Descriptor of an empty file, open for writing.
    shape : (int, int)
        Rows and columns.
    unit : str
        As in BUNIT; empty for a ratio.
    header : astropy.io.fits.Header
    dtype : data type
        Of the image.
    survivors : bool
        Whether to write ``NUSED``.
    """

    def __init__(
        self,
        file: int,
        shape: tuple[int, int],
        unit: str,
        header: fits.Header,
        dtype: Any = np.float32,
        survivors: bool = False,
    ) -> None:
        self.file = file
        header = put_axes_first(header)
        skipped, wcs = header.get("SKIPPED", ""), _format_wcs(header)
        texts = [_format_image_header(header, unit, np.dtype(dtype), shape)]
        texts += [_format_extension_header(name, unit, skipped, wcs, shape) for name in ("UNCERT", "MASK")]
        if survivors:
            texts.append(_format_extension_header("NUSED", "", skipped, wcs, shape))
        self._parts: list[_Part] = []
        for text, kind in zip(texts, (dtype, *EXTENSIONS.values()), strict=False):
            start = self._parts[-1].stop if self._parts else 0
            self._parts.append(_Part(text, np.dtype(kind), start, shape))

    def set(self, keyword: str, value: float | bool) -> None:
        """Change a value of a keyword that is already in the image's header."""
        self._parts[0].text = _replace_value(self._parts[0].text, keyword, value)

    def write(self, start: int, *images: NDArray[Any]) -> None:
        """Write some rows.

        Parameters
        ----------
        start : int
            First row.
        *images : ndarray, shape (rows, nx), C-contiguous
            Image, uncertainty, mask, and for a stack survivors, in their data types.
        """
        for part, image in zip(self._parts, images, strict=True):
            part.write(self.file, start, image)

    def finish(self) -> None:
        """Write headers with checksums, and padding."""
        for part in self._parts:
            part.finish(self.file)


class _Part:
    """HDU of a product: its header, position in the file, and the checksum of the data so far."""

    def __init__(self, text: bytes, dtype: np.dtype[Any], start: int, shape: tuple[int, int]) -> None:
        self.text, self.dtype, self.start, self.columns = text, dtype, start, shape[1]
        self.data = start + len(text)
        self.size = shape[0] * shape[1] * dtype.itemsize
        self.stop = self.data - (-self.size // BLOCK) * BLOCK
        self.sum = 0

    def write(self, file: int, start: int, rows: NDArray[Any]) -> None:
        place = start * self.columns * self.dtype.itemsize
        if self.dtype.itemsize == 4:
            stored, total = swap_and_sum(rows)
        else:
            stored = rows.astype(self.dtype.newbyteorder(">"), copy=False).reshape(-1)
            total = sum_bytes(stored.view(np.uint8), place)
        self.sum += total
        _write_all(file, stored.view(np.uint8), self.data + place)

    def finish(self, file: int) -> None:
        text = _replace_value(self.text, "DATASUM", f"{fold_carries(self.sum):010d}")
        total = self.sum + sum_bytes(np.frombuffer(text, np.uint8))
        text = _replace_value(text, "CHECKSUM", encode_checksum(total))
        _write_all(file, np.frombuffer(text, np.uint8), self.start)
        os.ftruncate(file, max(self.stop, os.fstat(file).st_size))


def _format_image_header(header: fits.Header, unit: str, dtype: np.dtype[Any], shape: tuple[int, int]) -> bytes:
    """Format the header of the image: mandatory keywords, given cards, and placeholders for checksums."""
    if not STRUCTURE.isdisjoint(header):
        header = header.copy()
        for keyword in STRUCTURE & set(header):
            del header[keyword]
    cards = header.tostring(sep="", endcard=False, padding=False)
    opening = _format_cards(
        ("SIMPLE", True, "conforms to FITS standard"), *_list_axes(dtype, shape), ("EXTEND", True, "")
    )
    closing = [("BUNIT", unit, "unit of the image"), *list_long_text_cards(cards), *SUMS]
    return _pad(opening + cards + _format_cards(*closing))


def put_axes_first(header: fits.Header) -> fits.Header:
    """Put WCSAXES in front of all other keywords of a WCS, as FITS requires (standard 8.2); changes a copy."""
    axes = {card.keyword: card for card in header.cards if AXES.fullmatch(card.keyword)}
    if not axes:
        return header
    header = header.copy()
    for keyword, card in axes.items():
        header.remove(keyword, remove_all=True)
        header.insert(0, card)
    return header


def list_long_text_cards(cards: str) -> list[tuple[str, str, str]]:
    """List the card that announces texts on several cards, if the cards of a header have any and lack it."""
    names = {cards[start : start + 8] for start in range(0, len(cards), CARD)}
    is_told = "CONTINUE" not in names or "LONGSTRN" in names
    return [] if is_told else [("LONGSTRN", "OGIP 1.0", "some texts have CONTINUE cards")]


def _format_wcs(header: fits.Header) -> str:
    """Format the cards of a header that say where its pixels lie on the sky."""
    return "".join(card.image for card in header.cards if WCS.fullmatch(card.keyword))


@lru_cache(maxsize=16)
def _format_extension_header(name: str, unit: str, skipped: str, wcs: str, shape: tuple[int, int]) -> bytes:
    """Format the header of an extension, with the WCS of the image."""
    cards: list[tuple[str, Any, str]] = [
        ("XTENSION", "IMAGE", "image extension"),
        *_list_axes(np.dtype(EXTENSIONS[name]), shape),
        ("PCOUNT", 0, "number of parameters"),
        ("GCOUNT", 1, "number of groups"),
        ("EXTNAME", name, "extension name"),
    ]
    if name == "UNCERT":
        cards += [("UTYPE", "StdDevUncertainty", "one standard deviation"), ("BUNIT", unit, "unit of the uncertainty")]
    elif name == "MASK":
        cards += [(f"BIT{getattr(Flag, bit)}", bit, meaning) for bit, meaning in MEANINGS.items()]
        cards += [("SKIPPED", skipped, "steps that no pixel of this frame had")] if skipped else []
    else:
        cards.append(("BUNIT", "", "frames averaged"))
    return _pad(_format_cards(*cards) + wcs + _format_cards(*SUMS))


def _list_axes(dtype: np.dtype[Any], shape: tuple[int, int]) -> list[tuple[str, int, str]]:
    bits = 8 * dtype.itemsize * (-1 if dtype.kind == "f" else 1)
    return [("BITPIX", bits, "array data type"), ("NAXIS", 2, ""), ("NAXIS1", shape[1], ""), ("NAXIS2", shape[0], "")]


def _format_cards(*cards: tuple[str, Any, str]) -> str:
    return "".join(fits.Card(*card).image for card in cards)


def _pad(cards: str) -> bytes:
    text = cards + f"{'END':80}"
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def _replace_value(text: bytes, keyword: str, value: Any) -> bytes:
    """Replace the value of a card in the text of a header."""
    places = (match.start() for match in re.finditer(f"{keyword:8}= ".encode(), text))
    place = next(place for place in places if place % CARD == 0)
    card = fits.Card.fromstring(text[place : place + CARD])
    card.value = value
    return text[:place] + card.image.encode("ascii") + text[place + CARD :]


def _write_all(file: int, content: NDArray[np.uint8], place: int) -> None:
    written = 0
    while written < content.size:
        written += os.pwrite(file, content[written:].data, place + written)


def write_product(path: str | PathLike[str], product: Product) -> None:
    """Write a product atomically: under a temporary name in the same folder, then renamed.

    Parameters
    ----------
    path : path
        Replaced if it exists; its folder is created.
    product : Product
    """
    images = [product.data, product.uncertainty, product.mask]
    if product.survivors is not None:
        images.append(product.survivors)
    with open_product(
        Path(path), product.mask.shape, product.unit, product.header, product.data.dtype, product.survivors is not None
    ) as file:
        for start in range(0, len(product.mask), WRITE_ROWS):
            file.write(start, *(image[start : start + WRITE_ROWS] for image in images))


@contextmanager
def open_product(
    path: Path,
    shape: tuple[int, ...],
    unit: str,
    header: fits.Header,
    dtype: Any = np.float32,
    survivors: bool = False,
) -> Iterator[ProductFile]:
    """Open a product to write row by row, under a temporary name; renamed at the end of the ``with`` block.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is created.
    shape, unit, header, dtype, survivors
        As for `ProductFile`.
    """
    with write_atomically(path) as name:
        descriptor = os.open(name, os.O_RDWR)
        try:
            file = ProductFile(descriptor, (shape[0], shape[1]), unit, header, dtype, survivors)
            yield file
            file.finish()
        finally:
            os.close(descriptor)
