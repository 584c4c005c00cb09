"""Convert times of other scales to UTC (FITS standard 9.2.1)."""

from __future__ import annotations

import re
from bisect import bisect_right

from nightcal.io.date_formats import SECONDS_A_DAY

LEAP_SECONDS = (
    41317, 41499, 41683, 42048, 42413, 42778, 43144, 43509, 43874, 44239, 44786, 45151, 45516, 46247,
    47161, 47892, 48257, 48804, 49169, 49534, 50083, 50630, 51179, 53736, 54832, 56109, 57204, 57754,
)  # fmt: skip
"""Days [MJD] from which TAI - UTC is 10 s, 11 s, and so on."""

TT_TAI, TAI_GPS = 32.184, 19.0
COORDINATE_ZERO = 43144.0003725
"""When TT, TCG and TCB agreed [MJD]."""

TCG_RATE, TCB_RATE = 6.969290134e-10, 1.550519768e-8

_NAMES = {
    **dict.fromkeys(("UTC", "UT", "GMT", "Z", "ZULU", "UT1", "UT0", "UT2", "UNIVERSAL", "UNIVERSAL TIME"), "UTC"),
    **dict.fromkeys(("TAI", "IAT"), "TAI"),
    **dict.fromkeys(("TT", "TDT", "ET", "TDB"), "TT"),
    **dict.fromkeys(("LOCAL", "LT", "LOCAL TIME", "CIVIL", "LMT", "ZONE"), "LOCAL"),
    "TCG": "TCG",
    "TCB": "TCB",
    "GPS": "GPS",
}


def find_time_scale(name: str) -> str | None:
    """Find the scale of a name.

    Parameters
    ----------
    name : str
        As in TIMESYS, with or without a realisation or remark: ``UTC``, ``TT(BIPM08)``, ``UTC approximate``.

    Returns
    -------
    str or None
        ``UTC`` (also for UT1, which differs by less than a second), ``TAI``, ``TT`` (also for TDB, which differs by 2
        milliseconds), ``TCG``, ``TCB``, ``GPS`` or ``LOCAL``; None for an unknown name.
    """
    words = re.sub(r"\s*[(,:/].*", "", name).upper().split()
    return _NAMES.get(" ".join(words)) or next((_NAMES[word] for word in words[:1] if word in _NAMES), None)


def to_utc(mjd: float, scale: str) -> float:
    """Convert a time to UTC.

    Parameters
    ----------
    mjd : float
        [MJD]
    scale : str
        As from `find_time_scale`.

    Returns
    -------
    float
        [MJD, UTC]; the same time for ``UTC`` and ``LOCAL``.
    """
    if scale in ("UTC", "LOCAL"):
        return mjd
    ahead = 0.0  # of TAI [s]
    if scale == "GPS":
        ahead = -TAI_GPS
    elif scale in ("TT", "TCG", "TCB"):
        rate = {"TCG": TCG_RATE, "TCB": TCB_RATE}.get(scale, 0.0)
        ahead = TT_TAI + rate * (mjd - COORDINATE_ZERO) * SECONDS_A_DAY
    tai = mjd - ahead / SECONDS_A_DAY
    return tai - count_leap_seconds(tai - count_leap_seconds(tai) / SECONDS_A_DAY) / SECONDS_A_DAY


def count_leap_seconds(mjd: float) -> float:
    """Count the seconds by which TAI is ahead of UTC at a time [MJD, UTC]; 10 s before 1972."""
    return 9.0 + max(bisect_right(LEAP_SECONDS, mjd), 1)
