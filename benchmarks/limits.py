"""How closely each program must agree with nightcal, and with which of its results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """Required agreement of a program.

    Attributes
    ----------
    reference : str
        ``same clipping``: nightcal without its floor, as in ccdproc and BANZAI; ``default``: with its defaults.
    statistic : str
        ``rms`` or ``rstd`` of the difference; ``rstd`` if cosmic rays remain.
    most : float
        Largest value of that statistic, in units of nightcal's error.
    median : float
        Largest median of the difference.
    scale : float
        Largest departure of an arbitrary scale from 1. A flat normalised over the whole frame, whose corners are dark,
        differs by several percent from a flat normalised in the centre.
    """

    reference: str
    statistic: str
    most: float
    median: float = 0.02
    scale: float = 0.1


SAME_CLIPPING = Limit("same clipping", "rms", 0.05)
STACK_LIMITS = {
    "with_nightcal": Limit("same clipping", "rms", 0.4, median=0.05),
    "with_ccdproc": SAME_CLIPPING,
    "with_banzai": SAME_CLIPPING,
    "with_siril": Limit("default", "rms", 0.4),
    "with_numpy": Limit("default", "rstd", 0.2),
}
FRAME_LIMIT = Limit("default", "rms", 0.05)
SAME_NUMBERS = Limit("default", "rms", 0.0, median=0.0)
MASK_LIMIT = Limit("default", "rms", 0.0, median=0.0)
NIGHT_LIMIT = Limit("default", "rms", 0.15)


def find_limit(task: str, peer: str) -> Limit:
    """Look up the limit of a program in a task."""
    if peer == "another_nightcal":
        return SAME_NUMBERS
    if task == "night":
        return NIGHT_LIMIT
    if task == "cosmic_rays":
        return MASK_LIMIT
    return FRAME_LIMIT if task == "science" else STACK_LIMITS[peer]
