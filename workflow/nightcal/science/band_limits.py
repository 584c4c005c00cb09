"""Find the wavelengths that a filter passes from its name."""

from __future__ import annotations

import re

NANOMETRE = 1e-9

JOHNSON = {"U": (366.3, 65.0), "B": (436.1, 89.0), "V": (544.8, 84.0), "R": (640.7, 158.0), "I": (798.0, 154.0)}
SLOAN = {"u": (359.6, 57.0), "g": (463.9, 128.0), "r": (612.2, 115.0), "i": (743.9, 123.0), "z": (889.6, 107.0)}
"""Effective wavelength and full width at half maximum [nm], of Bessell (2005, ARA&A 43, 293), table 1."""

_JOHNSON_WORDS = {"johnson", "bessell", "bessel", "cousins", "jc", "kc"}
_SLOAN_WORDS = {"sloan", "sdss", "prime"}
_WORD = re.compile(r"[A-Za-z]+'?")
_NAME = re.compile(r"[A-Za-z'_\s.-]+")


def find_band_limits(name: str) -> tuple[float, float] | None:
    """Find the wavelengths between which a filter passes half of its maximum or more.

    Parameters
    ----------
    name : str
        Name of the filter, such as ``V``, ``Bessell-V``, ``rp`` or ``sdss_z``.

    Returns
    -------
    (float, float) or None
        [m]; None unless it is a filter of Johnson and Cousins, or of Sloan, and nothing else.
    """
    if not _NAME.fullmatch(name):
        return None
    words = _WORD.findall(name.replace("_", " "))
    lower = {word.lower() for word in words}
    rest = [word for word in words if word.lower() not in _JOHNSON_WORDS | _SLOAN_WORDS]
    if len(rest) != 1 or (lower & _JOHNSON_WORDS and lower & _SLOAN_WORDS):
        return None
    band = rest[0]
    if lower & _JOHNSON_WORDS:
        found = JOHNSON.get(band.upper())
    elif lower & _SLOAN_WORDS or (len(band) == 2 and band[1] in "p'"):
        found = SLOAN.get(band[0].lower()) if len(band) == 1 or band[1:] in ("p", "'") else None
    else:
        found = JOHNSON.get(band) or SLOAN.get(band)
    if found is None:
        return None
    middle, width = found
    return (middle - width / 2) * NANOMETRE, (middle + width / 2) * NANOMETRE
