"""Write the header of a product: keywords of the raw frame and those of nightcal."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from astropy.io import fits

from nightcal.io.colour_plane import adapt_header
from nightcal.io.date_formats import parse_moment
from nightcal.io.header_values import format_time
from nightcal.io.keyword import Keyword, match_any
from nightcal.io.keyword_registry import find_keyword
from nightcal.io.raw_header import RawHeader
from nightcal.io.standard_keywords import RAW_NAMES, WITHOUT_MEANING
from nightcal.io.time_scales import find_time_scale, to_utc

LONGEST_TEXT = 250  # characters of a value, on several cards if necessary
NUMBER_COMMENT = 47  # characters of the comment of a number
CARD_ROOM = 65  # characters of a text and its comment together

RAW_ONLY = frozenset((
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", *(f"NAXIS{n}" for n in range(1, 1000)),  # the most axes of a FITS image
    "EXTEND", "PCOUNT", "GCOUNT", "GROUPS", "BSCALE", "BZERO", "BLANK", "BUNIT", "CHECKSUM", "DATASUM",
    "EXTNAME", "EXTVER", "EXTLEVEL", "INHERIT", "NEXTEND",
    "TFIELDS", "TTYPE1", "TFORM1", "ZIMAGE", "ZSIMPLE", "ZBITPIX", "ZNAXIS", "ZNAXIS1", "ZNAXIS2", "ZNAXIS3",
    "ZTILE1", "ZTILE2", "ZTILE3", "ZCMPTYPE", "ZNAME1", "ZVAL1", "ZNAME2", "ZVAL2", "ZQUANTIZ", "ZDITHER0", "ZBLANK",
    "ZTENSION", "ZPCOUNT", "ZGCOUNT", "ZEXTEND", "ZHECKSUM", "ZDATASUM",
))  # fmt: skip
"""Keywords that describe the raw file, not the exposure."""

LEFT_OUT = RAW_ONLY | WITHOUT_MEANING


def copy_raw_header(raw: RawHeader) -> fits.Header:
    """Copy the keywords of a raw frame that its product keeps.

    Parameters
    ----------
    raw : RawHeader

    Returns
    -------
    astropy.io.fits.Header
        Valid cards keep their format. Of a file with one extension per amplifier only the primary header is copied,
        since the others describe parts of the image.
    """
    images = raw.card_images()
    if images is None:
        header = copy_cards(raw.cards if raw.primary is None else raw.primary)
    else:
        kept = [(image[:8].rstrip(), image[8:]) for image in images]
        cards = "".join(f"{RAW_NAMES.get(k, k):8}{rest}" for k, rest in kept if k not in LEFT_OUT)
        header = fits.Header.fromstring(cards)
    if raw.grid is not None:
        adapt_header(header, raw.grid)
    return convert_times(_replace_old_keywords(header))


def _replace_old_keywords(header: fits.Header) -> fits.Header:
    """Replace RADECSYS, and EPOCH where it is not the only equinox, which are no longer FITS; in place."""
    for old, new in {"RADECSYS": "RADESYS", "EPOCH": "RAWEPOCH"}.items():
        if old not in header or header.count(old) > 1 or (old == "EPOCH" and "EQUINOX" not in header):
            continue
        if new in header:
            del header[old]
        else:
            header.rename_keyword(old, new)
    return header


def convert_times(header: fits.Header) -> fits.Header:
    """Convert the times of a header to UTC, the scale of the products, if TIMESYS names another one.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place. DATE-OBS in local time becomes DATE-LOC.

    Returns
    -------
    astropy.io.fits.Header
        The same header.
    """
    scale = find_time_scale(str(header.get("TIMESYS", "UTC")))
    if scale in (None, "UTC"):
        return header
    for name in ("DATE-OBS", "DATE-BEG", "DATE-AVG", "DATE-END", "MJD-OBS", "MJD-BEG", "MJD-AVG", "MJD-END"):
        moment = parse_moment(header[name]) if name in header else None
        if scale != "LOCAL" and moment is not None and moment.has_time and not moment.is_utc:
            mjd = to_utc(moment.mjd, str(scale))
            header[name] = format_time(mjd) if moment.is_date else mjd
    if scale == "LOCAL" and "DATE-OBS" in header:
        if "DATE-LOC" in header:
            del header["DATE-OBS"]
        else:
            header.rename_keyword("DATE-OBS", "DATE-LOC")
    header["TIMESYS"] = ("UTC", f"{scale} in the raw frame")
    return header


def copy_cards(raw: fits.Header) -> fits.Header:
    """Copy the cards of a raw header, except those that describe the raw file.

    Parameters
    ----------
    raw : astropy.io.fits.Header

    Returns
    -------
    astropy.io.fits.Header
        Cards that are not valid FITS become comments.
    """
    header = fits.Header()
    for card in raw.cards:
        try:
            keyword, value, comment = card.keyword, card.value, card.comment
        except fits.VerifyError:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # the text of an invalid card is the only safe access, and has no public name
                header.add_comment(f"not FITS: {make_ascii(str(card._image).strip(), 60)}")
            continue
        if keyword in LEFT_OUT:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                header.append((RAW_NAMES.get(keyword, keyword), value, comment), end=True)
            except (ValueError, fits.VerifyError):
                header.add_comment(f"not FITS: {make_ascii(f'{keyword} {value}', 60)}")
    return header


def set_cards(
    header: fits.Header,
    cards: Mapping[str, Any] | Iterable[tuple[str, Any, str]],
    keywords: Sequence[Keyword] = (),
) -> None:
    """Set keywords of a header, replacing those that the raw frame had under the same names.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    cards : mapping of str to value, or iterable of (str, value, str)
        Values, or pairs of value and comment, by keyword; or tuples of keyword, value and comment. Text is converted to
        printable ASCII of up to 250 characters, on CONTINUE cards (FITS standard 4.2.1.2) if necessary; comments are
        cut to fit.
    keywords : sequence of Keyword
        Keywords that are not in `nightcal.io.keyword_registry`.
    """
    for keyword, value, comment in _add_comments(cards, keywords) if isinstance(cards, Mapping) else cards:
        while keyword in header and header.count(keyword) > 1:
            del header[keyword, 1]
        if isinstance(value, str):
            text = make_ascii(value, LONGEST_TEXT)
            header[keyword] = (text, comment[: max(0, CARD_ROOM - len(text) - text.count("'"))])
        else:
            header[keyword] = (value, comment[:NUMBER_COMMENT])


def _add_comments(values: Mapping[str, Any], keywords: Sequence[Keyword]) -> Iterator[tuple[str, Any, str]]:
    for name, value in values.items():
        keyword = next((known for known in keywords if known.name == name), None) or find_keyword(name)
        if keyword is None:
            raise ValueError(f"{name} is not a keyword of nightcal; add it to nightcal.io.keyword_registry")
        yield (name, *value) if isinstance(value, tuple) else (name, value, keyword.card_comment)


def remove_keywords(header: fits.Header, keywords: tuple[Keyword, ...]) -> None:
    """Remove keywords that nightcal writes, except standard ones: in a raw frame they mean something else.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    keywords : tuple of Keyword
    """
    own = match_any(tuple(keyword for keyword in keywords if not keyword.standard))
    for name in {name for name in header if own.fullmatch(name)}:
        header.remove(name, remove_all=True)


def list_mean_time(mjd: float) -> list[tuple[str, Any, str]]:
    """List the keywords of the mean time of one or more exposures (FITS paper IV, 4.4.2.2).

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


def list_start(mjd: float) -> dict[str, Any]:
    """List the keywords of the start of an exposure, by keyword.

    Parameters
    ----------
    mjd : float
        [UTC]

    Returns
    -------
    dict
        ``DATE-OBS``, ``MJD-OBS`` and ``TIMESYS``.
    """
    return {"DATE-OBS": format_time(mjd), "MJD-OBS": mjd, "TIMESYS": "UTC"}


def make_ascii(text: str, length: int) -> str:
    """Convert text to printable ASCII for a FITS card, and cut it to a length.

    Parameters
    ----------
    text : str
    length : int
        Maximum number of characters, after escaping.

    Returns
    -------
    str
        Other characters are escaped; control characters become blanks.
    """
    escaped = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else " " for c in escaped)[:length]


def warn(header: fits.Header, text: str) -> None:
    """Add a warning to a header, unless it is already present.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    text : str
        A sentence; it gets the first free keyword of ``WARN001``, ``WARN002``, and so on.
    """
    text = make_ascii(text, LONGEST_TEXT)
    if text not in read_warnings(header):
        number = next(n for n in count(1) if f"WARN{n:03d}" not in header)
        header[f"WARN{number:03d}"] = text


def read_warnings(header: fits.Header) -> list[str]:
    """Read the warnings of a header."""
    return [str(header[keyword]) for keyword in header if re.fullmatch(r"WARN\d{3}", keyword)]
