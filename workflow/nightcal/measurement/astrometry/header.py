"""The WCS of a frame's header: a new one written, the raw one kept apart."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from nightcal.errors import UNREADABLE
from nightcal.io.keywords import set_cards, warn
from nightcal.measurement.astrometry.solution import Solution, cards

if TYPE_CHECKING:
    from astropy.wcs import WCS

PRIMARY = re.compile(
    r"WCSAXES|WCSNAME|(?:CTYPE|CUNIT|CNAME|CRVAL|CRPIX|CDELT|CROTA|CRDER|CSYER|PROJP)\d"
    r"|(?:PC|CD)(?:\d_\d|\d{6})|P[VS]\d_\d+|LON(?:G)?POLE|LATPOLE|[AB]P?_(?:ORDER|\d+_\d+|DMAX)"
    r"|C[PQ](?:DIS|ERR)\d|D[PQ]\d(?:\..*)?|DVERR|D2IM\w*|AXISCORR|WAT\d_\d{3}"
)
"""Cards of the primary WCS, with every distortion convention: FITS papers I, II and IV, SIP, PV, TNX."""

_SCALE = re.compile(r"CDELT\d|(?:PC|CD)(?:\d_\d|\d{6})")

SYSTEM = {"RADESYS": "RAWRADES", "RADECSYS": "RAWRADES", "EQUINOX": "RAWEQUIN", "EPOCH": "RAWEPOCH"}
"""Cards of the system of coordinates, and the names they are kept under: they may also tell of the pointing."""

DISTORTED = ("TPV", "TNX", "TPD", "ZPX", "ZPN")
"""Projections that are the tangent plane but for a distortion."""

LETTERS = "R" + "".join(reversed(ascii_uppercase.replace("R", "")))
"""Letters for the raw WCS, the first that is free."""

UNPARSED = (*UNREADABLE, AssertionError, AttributeError, MemoryError)
"""What astropy raises on a WCS that is none."""


def write_wcs(header: fits.Header, solution: Solution) -> None:
    """Write the WCS of a solution and the cards that tell of it.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the product, changed in place. Where the frame is solved, the linear part of the raw frame's WCS moves to an
        alternate WCS (letter R, ``WCSNAMER = 'raw header'``); its distortion, which cannot stand there, goes. Where it
        is not solved, the raw WCS stays as it is.
    solution : Solution
    """
    _remove(header, OWN)
    set_cards(header, cards(solution))
    if solution.wcs is None:
        return
    apart, readable = _raw_wcs(header)
    _remove(header, [name for name in header if PRIMARY.fullmatch(name)])
    for name, kept in SYSTEM.items():
        if name in header:
            value, comment = header[name], header.comments[name]
            _remove(header, [name])
            set_cards(header, [(kept, value, comment)])
    set_cards(header, apart)
    if not readable:
        warn(header, "the WCS of the raw header could not be read and was left out")
    set_cards(header, wcs_cards(solution.wcs))


OWN = ("WCSSTAT", "WCSCAT", "WCSNREF", "WCSNMAT", "WCSRMS", "WCSCHNC", "WCSORDER", "WCSSCALE", "WCSROT", "WCSMIRR")
"""Cards of `nightcal.measurement.astrometry.solution.cards`: a raw frame's must not be taken for them."""


def wcs_cards(wcs: WCS) -> list[tuple[str, Any, str]]:
    """Cards of a WCS that `nightcal.measurement.astrometry.sip.wcs_of` made: CD matrix, SIP coefficients, ICRS."""
    told: list[tuple[str, Any, str]] = [("WCSAXES", 2, "number of axes")]
    names = ("right ascension", "declination")
    for n, name in enumerate(names, start=1):
        told += [
            (f"CTYPE{n}", wcs.wcs.ctype[n - 1], f"{name}, tangent plane"),
            (f"CUNIT{n}", "deg", ""),
            (f"CRVAL{n}", float(wcs.wcs.crval[n - 1]), f"[deg] {name} at the reference pixel"),
            (f"CRPIX{n}", float(wcs.wcs.crpix[n - 1]), "reference pixel, the first is 1"),
        ]
    told += [(f"CD{i}_{j}", float(wcs.wcs.cd[i - 1, j - 1]), "[deg/pix]") for i in (1, 2) for j in (1, 2)]
    told += [("LONPOLE", 180.0, "[deg]"), ("RADESYS", "ICRS", "system of the coordinates")]
    if wcs.sip is not None:
        for name in ("a", "b", "ap", "bp"):
            square = getattr(wcs.sip, name)
            order = len(square) - 1
            told.append((f"{name.upper()}_ORDER", order, "order of the SIP polynomial"))
            told += [
                (f"{name.upper()}_{p}_{q}", float(square[p, q]), "")
                for p in range(order + 1)
                for q in range(order + 1 - p)
                if square[p, q] != 0
            ]
    return told


def celestial_wcs(header: fits.Header) -> WCS | None:
    """Read the primary WCS of a raw header, or tell that it has none that can be used.

    Parameters
    ----------
    header : astropy.io.fits.Header

    Returns
    -------
    astropy.wcs.WCS or None
        Of two celestial axes; warnings about habits of old headers are swallowed.
    """
    from astropy.wcs import WCS

    own = fits.Header()
    for card in header.cards:
        try:
            keyword, value = card.keyword, card.value
        except (fits.VerifyError, ValueError):
            continue
        if (PRIMARY.fullmatch(keyword) or keyword in SYSTEM) and not keyword.startswith(("D2IM", "CPDIS", "CQDIS")):
            if isinstance(value, float) and not math.isfinite(value):  # 1E400 is too large for a computer
                return None
            own[keyword] = value
    told = {name: value for name, value in own.items() if isinstance(value, int | float) and value != 0}
    if not all(_is_number(own.get(name)) for name in ("CRVAL1", "CRVAL2")) or not any(map(_SCALE.fullmatch, told)):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = WCS(own)
            good = wcs.has_celestial and wcs.naxis == 2 and abs(_determinant(wcs)) > 0
        except UNPARSED:
            return None
    return wcs if good else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _determinant(wcs: WCS) -> float:
    (a, b), (c, d) = wcs.pixel_scale_matrix
    return float(a * d - b * c)


def _raw_wcs(header: fits.Header) -> tuple[list[tuple[str, Any, str]], bool]:
    """Cards of the linear part of the raw WCS under a letter of its own, and whether nothing was lost unread."""
    if not any(re.fullmatch(r"CTYPE\d|CRVAL\d", name) for name in header):
        return [], True
    wcs = celestial_wcs(header)
    if wcs is None:
        return [], False
    taken = {name[-1] for name in header if re.fullmatch(r"(?:CTYPE|CRVAL|CRPIX|CDELT)\d[A-Z]|WCSNAME[A-Z]", name)}
    letter = next((letter for letter in LETTERS if letter not in taken), "")
    if not letter:
        return [], False
    told: list[tuple[str, Any, str]] = [(f"WCSNAME{letter}", "raw header", "linear part of the raw frame's WCS")]
    for n in (1, 2):
        told += [
            (f"CTYPE{n}{letter}", _undistorted(wcs.wcs.ctype[n - 1]), ""),
            (f"CUNIT{n}{letter}", str(wcs.wcs.cunit[n - 1]), ""),
            (f"CRVAL{n}{letter}", float(wcs.wcs.crval[n - 1]), ""),
            (f"CRPIX{n}{letter}", float(wcs.wcs.crpix[n - 1]), ""),
        ]
        told += [(f"CD{n}_{m}{letter}", float(wcs.pixel_scale_matrix[n - 1, m - 1]), "") for m in (1, 2)]
    if _is_number(header.get("LONPOLE")):
        told.append((f"LONPOLE{letter}", float(header["LONPOLE"]), "[deg]"))
    if wcs.wcs.radesys:
        told.append((f"RADESYS{letter}", wcs.wcs.radesys, ""))
    if wcs.wcs.equinox == wcs.wcs.equinox:  # not NaN
        told.append((f"EQUINOX{letter}", float(wcs.wcs.equinox), ""))
    return told, True


def _undistorted(kind: str) -> str:
    """Projection of an axis without its distortion, as RA---TAN of RA---TPV."""
    return kind[:5] + ("TAN" if kind[5:8] in DISTORTED else kind[5:8])


def _remove(header: fits.Header, names: Iterable[str]) -> None:
    for name in names:
        header.remove(name, ignore_missing=True, remove_all=True)
