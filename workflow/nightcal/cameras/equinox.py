"""Find the equinox of the coordinates in a header, and convert them to ICRS."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nightcal.io.raw_header import RawHeader, Value
from nightcal.warning_names import Warn, name_warning

FIRST_FK5 = 1984.0
"""Earlier equinoxes are those of FK4 if RADESYS is missing (FITS standard 8.3)."""

EARLIEST, LATEST = 1800.0, 2100.0

_EQUINOX = re.compile(r"[BJ]?\s*(\d{4}(?:\.\d*)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Equinox:
    """Equinox of mean coordinates.

    Attributes
    ----------
    system : str
        ``FK4`` or ``FK5``.
    year : float
        Besselian for FK4, Julian for FK5.
    """

    system: str
    year: float


J2000 = Equinox("FK5", 2000.0)
"""Differs from ICRS by less than 0.1 arcsec."""


def read_equinox(header: RawHeader, warn: Warn) -> Equinox:
    """Read the equinox of the pointing.

    Parameters
    ----------
    header : RawHeader
    warn : function
        Takes a warning if the equinox cannot be read.

    Returns
    -------
    Equinox
        From RADESYS (or RADECSYS) and EQUINOX. EPOCH, which many programs give the date of the exposure, counts only
        if it is before 1984. `J2000` if nothing is given.
    """
    system = str(header.find("RADESYS") or header.find("RADECSYS") or "").upper()
    if system == "ICRS":
        return J2000
    value = header.find("EQUINOX")
    year = _parse_year(value)
    if value is not None and year is None:
        warn(name_warning("unknown equinox", f"EQUINOX is {value!r}; 2000 assumed"))
        return J2000
    if year is None:
        epoch = _parse_year(header.find("EPOCH"))
        year = epoch if epoch is not None and epoch < FIRST_FK5 else None
    if system.startswith("FK4") or (year is not None and year < FIRST_FK5 and system != "FK5"):
        return Equinox("FK4", 1950.0 if year is None else year)
    return J2000 if year is None else Equinox("FK5", year)


def convert_to_icrs(place: tuple[float, float], equinox: Equinox) -> tuple[float, float]:
    """Convert a position [deg] to ICRS.

    Parameters
    ----------
    place : (float, float)
        Right ascension and declination of an equinox [deg].
    equinox : Equinox

    Returns
    -------
    (float, float)
        [deg]
    """
    if equinox == J2000:
        return place
    from astropy.coordinates import FK4, FK5, SkyCoord
    from astropy.time import Time

    frame = {"FK4": FK4, "FK5": FK5}[equinox.system]
    year = Time(equinox.year, format="byear" if equinox.system == "FK4" else "jyear")
    there = SkyCoord(*place, unit="deg", frame=frame(equinox=year)).icrs
    return float(there.ra.deg), float(there.dec.deg)


def _parse_year(value: Value | None) -> float | None:
    match = _EQUINOX.fullmatch(str(value).strip())
    year = float(match[1]) if match else None
    return year if year is not None and EARLIEST <= year <= LATEST else None
