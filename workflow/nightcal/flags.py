"""The bits of a pixel's mask."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MASK_DTYPE = np.int16
"""FITS has no unsigned integers of 16 bits; all bits but the sign are free to use."""

MaskBits = NDArray[np.int16]


class Flag:
    """Reasons not to trust a pixel. Combine with ``|``, test with ``&``; 0 is a good pixel."""

    BAD: Final = np.int16(1)
    HOT: Final = np.int16(2)
    SATURATED: Final = np.int16(4)
    BLEED: Final = np.int16(8)
    COSMIC_RAY: Final = np.int16(16)
    LOW_FLAT: Final = np.int16(32)
    NO_DATA: Final = np.int16(64)
    TRAIL: Final = np.int16(256)


MEANINGS = {
    "BAD": "bad pixel mask",
    "HOT": "high dark current",
    "SATURATED": "at or above saturation or linearity limit",
    "BLEED": "near saturation, in bleed direction",
    "COSMIC_RAY": "cosmic ray",
    "LOW_FLAT": "flat too low, set to 1",
    "NO_DATA": "not read out, or no value left in a master",
    "TRAIL": "trail of a satellite or an aeroplane",
}
"""Meaning of each bit, for the header of every mask."""
