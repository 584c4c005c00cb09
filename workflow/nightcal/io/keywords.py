"""Cards of a product's header: what it keeps of the raw frame, and what nightcal adds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from itertools import count
from typing import Any

from astropy.io import fits

from nightcal.io.header_values import format_time
from nightcal.io.raw_header import RawHeader

LONGEST_TEXT = 250  # of a value, over several cards if need be
NUMBER_COMMENT = 47  # characters beside a number
CARD_ROOM = 65  # for a text and its comment

RAW_ONLY = frozenset((
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", *(f"NAXIS{n}" for n in range(1, 1000)),  # the most axes of a FITS image
    "EXTEND", "PCOUNT", "GCOUNT", "GROUPS", "BSCALE", "BZERO", "BLANK", "BUNIT", "CHECKSUM", "DATASUM",
    "EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "NEXTEND",
    "TFIELDS", "TTYPE1", "TFORM1", "ZIMAGE", "ZSIMPLE", "ZBITPIX", "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZNAXIS3",
    "ZTILE1", "ZTILE2", "ZTILE3", "ZCMPTYPE", "ZNAME1", "ZVAL1", "ZNAME2", "ZVAL2", "ZQUANTIZ", "ZDITHER0", "ZBLANK",
    "ZTENSION", "ZPCOUNT", "ZGCOUNT", "ZEXTEND", "ZHECKSUM", "ZDATASUM",
))  # fmt: skip
"""Cards that describe the raw file rather than the exposure."""

GEOMETRY = {"BIASSEC": "RAWBIAS", "TRIMSEC": "RAWTRIM", "DATASEC": "RAWDATA"}
"""Sections of the raw image, which would mislead on a trimmed one, and the names they are kept under."""


def kept_header(raw: RawHeader) -> fits.Header:
    """Cards of a raw frame that its product keeps.

    Parameters
    ----------
    raw : RawHeader

    Returns
    -------
    astropy.io.fits.Header
        As `product_header` makes it; cards that keep to the FITS standard stay as they were written. Of a file with
        an extension for each amplifier, those of the primary header: the others describe parts of the image.
    """
    images = raw.card_images()
    if images is None:
        return product_header(raw.cards if raw.primary is None else raw.primary)
    kept = [(image[:8].rstrip(), image[8:]) for image in images]
    return fits.Header.fromstring("".join(f"{GEOMETRY.get(k, k):8}{rest}" for k, rest in kept if k not in RAW_ONLY))


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
    """Set cards, replacing what the raw frame had under the same names; text is made make_printable ASCII.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    cards : iterable of (str, value, str)
        Keyword, value and comment. Text goes on over CONTINUE cards (FITS standard 4.2.1.2), up to 250 characters;
        comments are cut to what a card holds.
    """
    for keyword, value, comment in cards:
        while keyword in header and header.count(keyword) > 1:
            del header[keyword, 1]
        if isinstance(value, str):
            text = ascii_text(value, LONGEST_TEXT)
            header[keyword] = (text, comment[: max(0, CARD_ROOM - len(text) - text.count("'"))])
        else:
            header[keyword] = (value, comment[:NUMBER_COMMENT])


def mean_time_cards(mjd: float) -> list[tuple[str, Any, str]]:
    """Keywords of the middle of an exposure, or of several (FITS paper IV, 4.4.2.2).

    Parameters
    ----------
    mjd : float
        [UTC]

    Returns
    -------
    list of (str, value, str)
        ``MJD-AVG`` and ``DATE-AVG``.
    """
    return [("MJD-AVG", mjd, "middle of exposure, UTC"), ("DATE-AVG", format_time(mjd), "middle of exposure, UTC")]


def ascii_text(text: str, length: int) -> str:
    """Text as a FITS card can hold it: what is not make_printable ASCII is escaped, what is too long is cut.

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
