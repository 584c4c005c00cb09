"""The bits of a pixel's mask."""

from typing import Final

import numpy as np

MASK_DTYPE = np.uint8


class Flag:
    """Reasons not to trust a pixel. Combine with ``|``, test with ``&``; 0 is a good pixel."""

    BAD: Final = np.uint8(1)
    HOT: Final = np.uint8(2)
    SATURATED: Final = np.uint8(4)
    BLEED: Final = np.uint8(8)
    COSMIC_RAY: Final = np.uint8(16)
    LOW_FLAT: Final = np.uint8(32)
    NO_DATA: Final = np.uint8(64)
    EDGE: Final = np.uint8(128)


MEANINGS = {
    "BAD": "bad pixel mask",
    "HOT": "high dark current",
    "SATURATED": "at or above saturation or linearity limit",
    "BLEED": "near saturation, in bleed direction",
    "COSMIC_RAY": "cosmic ray",
    "LOW_FLAT": "flat too low, set to 1",
    "NO_DATA": "not read out, or no value left in a master",
    "EDGE": "edge",
}
"""Meaning of each bit, for the header of every mask."""
