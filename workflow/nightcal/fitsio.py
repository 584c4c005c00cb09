"""Opening raw frames row by row, and writing products whole or not at all."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, SetAside, blame_machine
from nightcal.flags import MEANINGS, Flag
from nightcal.headers import RawHeader, read_header
from nightcal.version import __version__

HASH_DIGITS = 16
LONGEST_TEXT = 250  # of a value, over several cards if need be
NUMBER_COMMENT = 47  # characters beside a number
CARD_ROOM = 65  # for a text and its comment

RAW_ONLY = (
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "EXTEND", "PCOUNT", "GCOUNT", "GROUPS",
    "BSCALE", "BZERO", "BLANK", "BUNIT", "CHECKSUM", "DATASUM", "EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "NEXTEND",
    "TFIELDS", "TTYPE1", "TFORM1", "ZIMAGE", "ZSIMPLE", "ZBITPIX", "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZNAXIS3",
    "ZTILE1", "ZTILE2", "ZTILE3", "ZCMPTYPE", "ZNAME1", "ZVAL1", "ZNAME2", "ZVAL2", "ZQUANTIZ", "ZDITHER0", "ZBLANK",
    "ZTENSION", "ZPCOUNT", "ZGCOUNT", "ZEXTEND", "ZHECKSUM", "ZDATASUM",
)  # fmt: skip
"""Cards that describe the raw file rather than the exposure."""

GEOMETRY = {"BIASSEC": "RAWBIAS", "TRIMSEC": "RAWTRIM", "DATASEC": "RAWDATA"}
"""Sections of the raw image, which would mislead on a trimmed one, and the names they are kept under."""


class RawImage:
    """A raw frame whose pixels are read by rows.

    Use as a context manager, or `close` when done. Compressed tiles are decompressed once each when rows are read in
    order.

    Parameters
    ----------
    path : Path

    Raises
    ------
    SetAside
        If the file cannot be used, here or when its pixels turn out to be unreadable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: RawHeader = read_header(path)
        self._hdus: fits.HDUList | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns as read out."""
        return self.header.shape

    def __enter__(self) -> RawImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; reading rows opens it again."""
        if self._hdus is not None:
            self._hdus.close()
            self._hdus = None

    def rows(self, start: int, stop: int) -> NDArray[np.generic]:
        """Rows ``start`` to ``stop`` in ADU, in the data type of the file, native byte order.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, of the image as read out.

        Returns
        -------
        ndarray, shape (stop - start, nx)
            [ADU]

        Raises
        ------
        SetAside
            If the pixels cannot be read, or end before ``stop``.
        OSError
            If the fault is the machine's and not the file's, as with too many open files.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                if self._hdus is None:
                    self._hdus = fits.open(self.path, memmap=False)
                hdu = self._hdus[self.header.hdu]
                planes = (0,) * (hdu.header["NAXIS"] - 2)
                rows = np.asarray(hdu.section[(*planes, slice(start, stop), slice(None))])
            except (*UNREADABLE, RuntimeError) as error:
                blame_machine(error)
                raise SetAside(f"its pixels cannot be read ({type(error).__name__}: {str(error)[:80]})") from error
        if rows.shape != (stop - start, self.shape[1]):
            raise SetAside(f"its pixels end before row {stop}")
        return rows.astype(rows.dtype.newbyteorder("="), copy=False)

    def read(self) -> NDArray[np.generic]:
        """Read the whole image."""
        return self.rows(0, self.shape[0])

    @property
    def largest(self) -> float:
        """Largest value [ADU] that the file's integers can hold; infinity for floats."""
        cards = self.header.cards
        bits = int(cards.get("ZBITPIX", cards["BITPIX"]))
        if bits < 0:
            return float("inf")
        ends = (0, 255) if bits == 8 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return max(end * float(cards.get("BSCALE", 1)) for end in ends) + float(cards.get("BZERO", 0))


@dataclass(frozen=True, slots=True)
class Product:
    """What nightcal writes: an image with its error and mask.

    Attributes
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        In ``unit``; the uncertainty is one standard deviation.
    mask : ndarray of uint8, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    unit : str
        As in BUNIT; empty for a ratio.
    header : astropy.io.fits.Header
    survivors : ndarray of int16, shape (ny, nx), optional
        For a stack, how many frames each pixel was averaged over.
    """

    data: NDArray[Any]
    uncertainty: NDArray[np.float32]
    mask: NDArray[np.uint8]
    unit: str
    header: fits.Header
    survivors: NDArray[np.int16] | None = None


def write_product(path: Path, product: Product) -> None:
    """Write a product under a temporary name beside its own, then rename: it appears whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    product : Product
    """
    primary = fits.PrimaryHDU(product.data, header=product.header)
    primary.header.set("EXTEND", True, after="NAXIS2")
    primary.header["BUNIT"] = (product.unit, "unit of the image")
    uncertainty = fits.ImageHDU(product.uncertainty, name="UNCERT")
    uncertainty.header["UTYPE"] = ("StdDevUncertainty", "one standard deviation")
    uncertainty.header["BUNIT"] = (product.unit, "unit of the uncertainty")
    mask = fits.ImageHDU(product.mask, name="MASK")
    for name, meaning in MEANINGS.items():
        mask.header[f"BIT{getattr(Flag, name)}"] = (name, meaning)
    if "SKIPPED" in product.header:
        mask.header["SKIPPED"] = (product.header["SKIPPED"], "steps that no pixel of this frame had")
    hdus = fits.HDUList([primary, uncertainty, mask])
    if product.survivors is not None:
        hdus.append(fits.ImageHDU(product.survivors, name="NUSED"))
        hdus[-1].header["BUNIT"] = ("", "frames averaged")
    for hdu in hdus:
        hdu.add_checksum(when="FITS standard 4.4.2.7")  # the default comment is the time of day
    with _whole(path) as name:
        hdus.writeto(name, overwrite=True, output_verify="silentfix+ignore")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    text : str
        Written as UTF-8.
    """
    with _whole(path) as name:
        Path(name).write_text(text, encoding="utf-8", errors="surrogateescape")


class _whole:  # noqa: N801 - reads as a verb
    """Give a temporary name beside a file's own; sync and rename when the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> str:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for left_over in self.path.parent.glob(f".{glob.escape(self.path.name)}.*.partial"):
            left_over.unlink(missing_ok=True)
        handle, self.name = tempfile.mkstemp(".partial", f".{self.path.name}.", self.path.parent)
        os.close(handle)
        return self.name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            Path(self.name).unlink(missing_ok=True)
            return
        umask = os.umask(0)
        os.umask(umask)
        Path(self.name).chmod(0o666 & ~umask)
        for name in (self.name, str(self.path.parent)):
            handle = os.open(name, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
            if name == self.name:
                os.replace(self.name, self.path)


def product_header(raw: fits.Header) -> fits.Header:
    """Cards of a raw frame that its product keeps: all but those that describe the raw file.

    Parameters
    ----------
    raw : astropy.io.fits.Header

    Returns
    -------
    astropy.io.fits.Header
        Cards that are not FITS are kept as comments.
    """
    header = fits.Header()
    for card in raw.cards:
        try:
            keyword, value, comment = card.keyword, card.value, card.comment
        except fits.VerifyError:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # only the text as it stands in the file is safe to ask such a card for, and it has no public name
                header.add_comment(f"not FITS: {ascii_text(str(card._image).strip(), 60)}")
            continue
        if keyword in RAW_ONLY:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                header.append((GEOMETRY.get(keyword, keyword), value, comment), end=True)
            except (ValueError, fits.VerifyError):
                header.add_comment(f"not FITS: {ascii_text(f'{keyword} {value}', 60)}")
    return header


def set_cards(header: fits.Header, cards: Iterable[tuple[str, Any, str]]) -> None:
    """Set cards, replacing what the raw frame had under the same names; text is made printable ASCII.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    cards : iterable of (str, value, str)
        Keyword, value and comment. Text goes on over CONTINUE cards (FITS standard 4.2.1.2), up to 250 characters;
        comments are cut to what a card holds.
    """
    for keyword, value, comment in cards:
        if isinstance(value, str):
            text = ascii_text(value, LONGEST_TEXT)
            header[keyword] = (text, comment[: max(0, CARD_ROOM - len(text) - text.count("'"))])
        else:
            header[keyword] = (value, comment[:NUMBER_COMMENT])


def ascii_text(text: str, length: int) -> str:
    """Text as a FITS card can hold it: what is not printable ASCII is escaped, what is too long is cut.

    Parameters
    ----------
    text : str
    length : int
        Largest number of characters, after escaping.

    Returns
    -------
    str
        Control characters become blanks.
    """
    escaped = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else " " for c in escaped)[:length]


def warn(header: fits.Header, text: str) -> None:
    """Add a warning to a header, once, beside any cards of such a name that the raw frame had.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    text : str
        One sentence; it goes into the first free card of ``WARN001``, ``WARN002``, ...
    """
    text = ascii_text(text, LONGEST_TEXT)
    if text not in warnings_of(header):
        number = next(n for n in count(1) if f"WARN{n:03d}" not in header)
        header[f"WARN{number:03d}"] = text


def warnings_of(header: fits.Header) -> list[str]:
    """Warnings that a header carries."""
    return [str(header[keyword]) for keyword in header if re.fullmatch(r"WARN\d{3}", keyword)]


def provenance(header: fits.Header, options: Mapping[str, Any]) -> None:
    """Write the version and a hash of the options that mattered into a header.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    options : mapping of str to anything
        By name; their text is hashed, in any order.
    """
    text = repr(sorted((key, str(value)) for key, value in options.items()))
    set_cards(
        header,
        [
            ("NIGHTCAL", __version__, "version of nightcal"),
            ("CONFHASH", hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS], "hash of the options that mattered"),
        ],
    )


def file_hash(path: Path) -> str:
    """First digits of the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_DIGITS]
