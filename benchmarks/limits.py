"""How closely each peer must agree with nightcal, and with which of its results."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """What is asked of a peer.

    Attributes
    ----------
    reference : str
        ``same clipping``: nightcal without its floor, which is what ccdproc and BANZAI do; ``default``: as it is used.
    statistic : str
        ``rms`` or ``rstd`` of the difference; the second where cosmic rays stay in.
    most : float
        Of that statistic, in errors of nightcal.
    median : float
        Most of the median.
    scale : float
        Most by which the scale may be off, where it is free. A flat normalised over the whole frame, whose corners
        are dark, differs by several percent from one that is normalised in the centre.
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


def limit_of(task: str, peer: str) -> Limit:
    """Look up what is asked of a peer in a task."""
    if peer == "another_nightcal":
        return SAME_NUMBERS
    if task == "night":
        return NIGHT_LIMIT
    if task == "cosmic_rays":
        return MASK_LIMIT
    return FRAME_LIMIT if task == "science" else STACK_LIMITS[peer]
