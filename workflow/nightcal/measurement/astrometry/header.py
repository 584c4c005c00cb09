"""Write the WCS of a solved frame to its header, and keep the raw WCS as an alternate."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from nightcal.errors import UNREADABLE
from nightcal.io.keyword_registry import ASTROMETRY
from nightcal.io.keywords import remove_keywords, set_cards, warn
from nightcal.measurement.astrometry.solution import Solution, make_keywords
from nightcal.warning_names import name_warning

if TYPE_CHECKING:
    from astropy.wcs import WCS

PRIMARY = re.compile(
    r"WCSAXES|WCSNAME|(?:CTYPE|CUNIT|CNAME|CRVAL|CRPIX|CDELT|CROTA|CRDER|CSYER|PROJP)\d"
    r"|(?:PC|CD)(?:\d_\d|\d{6})|P[VS]\d_\d+|LON(?:G)?POLE|LATPOLE|[AB]P?_(?:ORDER|\d+_\d+|DMAX)"
    r"|C[PQ](?:DIS|ERR)\d|D[PQ]\d(?:\..*)?|DVERR|D2IM\w*|AXISCORR|WAT\d_\d{3}"
)
"""Keywords of the primary WCS and its distortions: FITS papers I, II and IV, SIP, PV, TNX."""

_SCALE = re.compile(r"CDELT\d|(?:PC|CD)(?:\d_\d|\d{6})")

SYSTEM = {"RADESYS": "RAWRADES", "RADECSYS": "RAWRADES", "EQUINOX": "RAWEQUIN", "EPOCH": "RAWEPOCH"}
"""Keywords of the coordinate system, and the keywords that keep their raw values: they may belong to the pointing."""

DISTORTED = ("TPV", "TNX", "TPD", "ZPX", "ZPN")
"""Projections that are a tangent plane with a distortion."""

LETTERS = "R" + "".join(reversed(ascii_uppercase.replace("R", "")))
"""Letters for the raw WCS: the first free one is used."""

UNPARSED = (*UNREADABLE, AssertionError, AttributeError, MemoryError)
"""Exceptions of astropy on an invalid WCS."""


def write_wcs(header: fits.Header, solution: Solution) -> None:
    """Write the WCS of a solution and its keywords.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product, changed in place. If the frame is solved, the linear part of the raw WCS moves to an alternate
        WCS (letter R, ``WCSNAMER = 'raw header'``) and its distortion, which cannot be kept there, is removed. If it is
        not solved, the raw WCS is unchanged.
    solution : Solution
    """
    remove_keywords(header, ASTROMETRY)
    set_cards(header, make_keywords(solution))
    if solution.wcs is None:
        return
    apart, readable = _make_raw_wcs_keywords(header)
    _remove_keywords(header, [name for name in header if PRIMARY.fullmatch(name)])
    for name, kept in SYSTEM.items():
        if name in header:
            value, comment = header[name], header.comments[name]
            _remove_keywords(header, [name])
            set_cards(header, [(kept, value, comment)])
    set_cards(header, apart)
    if not readable:
        warn(header, name_warning("raw WCS removed", "the WCS of the raw header cannot be read"))
    set_cards(header, make_wcs_keywords(solution.wcs))


def make_wcs_keywords(wcs: WCS) -> list[tuple[str, Any, str]]:
    """List the keywords of a WCS from `nightcal.measurement.astrometry.sip.make_wcs`: CD matrix, SIP, ICRS."""
    keywords: list[tuple[str, Any, str]] = [("WCSAXES", 2, "number of axes")]
    names = ("right ascension", "declination")
    for n, name in enumerate(names, start=1):
        keywords += [
            (f"CTYPE{n}", wcs.wcs.ctype[n - 1], f"{name}, tangent plane"),
            (f"CUNIT{n}", "deg", ""),
            (f"CRVAL{n}", float(wcs.wcs.crval[n - 1]), f"[deg] {name} at the reference pixel"),
            (f"CRPIX{n}", float(wcs.wcs.crpix[n - 1]), "reference pixel, the first is 1"),
        ]
    keywords += [(f"CD{i}_{j}", float(wcs.wcs.cd[i - 1, j - 1]), "[deg/pix]") for i in (1, 2) for j in (1, 2)]
    keywords += [("LONPOLE", 180.0, "[deg]"), ("RADESYS", "ICRS", "system of the coordinates")]
    if wcs.sip is not None:
        for name in ("a", "b", "ap", "bp"):
            square = getattr(wcs.sip, name)
            order = len(square) - 1
            keywords.append((f"{name.upper()}_ORDER", order, "order of the SIP polynomial"))
            keywords += [
                (f"{name.upper()}_{p}_{q}", float(square[p, q]), "")
                for p in range(order + 1)
                for q in range(order + 1 - p)
                if square[p, q] != 0
            ]
    return keywords


def read_celestial_wcs(header: fits.Header) -> WCS | None:
    """Read the primary WCS of a raw header.

    Parameters
    ----------
    header : astropy.io.fits.Header

    Returns
    -------
    astropy.wcs.WCS or None
        With two celestial axes; None if the header has no usable WCS. Warnings about old conventions are suppressed.
    """
    from astropy.wcs import WCS

    primary = fits.Header()
    for card in header.cards:
        try:
            keyword, value = card.keyword, card.value
        except (fits.VerifyError, ValueError):
            continue
        if (PRIMARY.fullmatch(keyword) or keyword in SYSTEM) and not keyword.startswith(("D2IM", "CPDIS", "CQDIS")):
            if isinstance(value, float) and not math.isfinite(value):  # 1E400 overflows
                return None
            primary[keyword] = value
    numbers = {name: value for name, value in primary.items() if isinstance(value, int | float) and value != 0}
    if not all(_is_number(primary.get(name)) for name in ("CRVAL1", "CRVAL2")) or not any(
        map(_SCALE.fullmatch, numbers)
    ):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(primary)
            good = wcs.has_celestial and wcs.naxis == 2 and abs(_find_determinant(wcs)) > 0
        except UNPARSED:
            return None
    return wcs if good else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _find_determinant(wcs: WCS) -> float:
    (a, b), (c, d) = wcs.pixel_scale_matrix
    return float(a * d - b * c)


def _make_raw_wcs_keywords(header: fits.Header) -> tuple[list[tuple[str, Any, str]], bool]:
    """List the keywords of the linear raw WCS under a free letter, and whether the raw WCS could be read."""
    if not any(re.fullmatch(r"CTYPE\d|CRVAL\d", name) for name in header):
        return [], True
    wcs = read_celestial_wcs(header)
    if wcs is None:
        return [], False
    taken = {name[-1] for name in header if re.fullmatch(r"(?:CTYPE|CRVAL|CRPIX|CDELT)\d[A-Z]|WCSNAME[A-Z]", name)}
    letter = next((letter for letter in LETTERS if letter not in taken), "")
    if not letter:
        return [], False
    keywords: list[tuple[str, Any, str]] = [(f"WCSNAME{letter}", "raw header", "linear part of the raw frame's WCS")]
    for n in (1, 2):
        keywords += [
            (f"CTYPE{n}{letter}", _strip_distortion(wcs.wcs.ctype[n - 1]), ""),
            (f"CUNIT{n}{letter}", str(wcs.wcs.cunit[n - 1]), ""),
            (f"CRVAL{n}{letter}", float(wcs.wcs.crval[n - 1]), ""),
            (f"CRPIX{n}{letter}", float(wcs.wcs.crpix[n - 1]), ""),
        ]
        keywords += [(f"CD{n}_{m}{letter}", float(wcs.pixel_scale_matrix[n - 1, m - 1]), "") for m in (1, 2)]
    if _is_number(header.get("LONPOLE")):
        keywords.append((f"LONPOLE{letter}", float(header["LONPOLE"]), "[deg]"))
    if wcs.wcs.radesys:
        keywords.append((f"RADESYS{letter}", wcs.wcs.radesys, ""))
    if wcs.wcs.equinox == wcs.wcs.equinox:  # not NaN
        keywords.append((f"EQUINOX{letter}", float(wcs.wcs.equinox), ""))
    return keywords, True


def _strip_distortion(kind: str) -> str:
    """Remove the distortion from the type of an axis: RA---TPV becomes RA---TAN."""
    return kind[:5] + ("TAN" if kind[5:8] in DISTORTED else kind[5:8])


def _remove_keywords(header: fits.Header, names: Iterable[str]) -> None:
    for name in names:
        header.remove(name, ignore_missing=True, remove_all=True)
