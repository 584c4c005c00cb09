"""Warn if a master flags more pixels than a usable detector has bad ones."""

from __future__ import annotations

from astropy.io import fits

from nightcal.io.keywords import warn
from nightcal.warning_names import name_warning

MOST_FLAGGED = 0.04
"""Fraction of the pixels; 0.004 to 0.017 for good detectors, vignetted corners included."""


def warn_of_flagged_pixels(
    header: fits.Header, counts: dict[str, int], pixels: int, most: float = MOST_FLAGGED
) -> None:
    """Warn of each kind of flagged pixels that are too many.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Of the master; changed in place.
    counts : dict of str to int
        Number of pixels by what is said of them, such as ``hot in the dark``.
    pixels : int
        Number of all pixels.
    most : float
        Fraction of them beyond which there are too many.
    """
    for what, number in counts.items():
        if number > most * pixels:
            percent = f"{100 * number / pixels:.1f} percent of the pixels are {what}"
            warn(header, name_warning("many flagged pixels", percent))
