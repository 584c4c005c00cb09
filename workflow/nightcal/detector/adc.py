"""Find the step and the top of an analogue-to-digital converter (ADC) in the pixels of a frame.

A converter of 12 bits whose values a driver shifts to 16 counts in steps of 16 and ends at 65520; one of 16 bits may be
stored in 32; integers may be stored as floats. No keyword says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_OUTLIERS = 1e-3
"""Largest fraction of the pixels that need not be a whole number of steps from the others."""

FEWEST_LEVELS = 4
"""Smallest number of different values from which a step is believed."""

FEWEST_AT_TOP = 3
FEWEST_AT_ODD_TOP = 10
"""Smallest number of pixels at the top of an ADC: if the next value would be a power of two, and if not."""

MOST_ABOVE = 3
"""Largest number of single values above the top, such as a lone 65535."""

NEAR = 8
"""Number of values below the top with which it is compared."""

PILE, ODD_PILE = 2.0, 10.0
"""Smallest number of pixels at the top, in units of the number at a value just below."""

BRIGHT = 17
"""Only pixels above the largest value divided by this are looked at: a lone 65535 beside a top of 4095 is not alone."""

HIGHEST = 4096
"""Number of the brightest pixels to look at, where a histogram of all would be too large."""


def find_step(pixels: NDArray[Any]) -> int | None:
    """Find the step of the ADC: the greatest common divisor of the differences of pixel values.

    Parameters
    ----------
    pixels : ndarray of any real type
        Some thousand raw values [ADU]; values that are not finite are ignored.

    Returns
    -------
    int or None
        [ADU]; None if there are fewer than 4 different values, or if they are not whole numbers.

    Notes
    -----
    Up to one pixel in a thousand may be off the steps. The step is the largest divisor of the most frequent difference
    of successive values that leaves nearly all pixels the same remainder.
    """
    values = pixels[np.isfinite(pixels)].ravel()
    levels, counts = np.unique(values, return_counts=True)
    whole = levels == np.rint(levels)
    needed = (1 - MOST_OUTLIERS) * values.size
    if whole.sum() < FEWEST_LEVELS or counts[whole].sum() < needed:
        return None
    levels, counts = levels[whole].astype(np.int64), counts[whole]
    gaps, which = np.unique(np.diff(levels), return_inverse=True)
    frequent = int(gaps[np.argmax(np.bincount(which, weights=np.minimum(counts[1:], counts[:-1])))])
    for step in (frequent // n for n in range(1, frequent + 1) if frequent % n == 0):
        remainders, which = np.unique(levels % step, return_inverse=True)
        shares = np.bincount(which, weights=counts, minlength=len(remainders))
        if shares.max() >= needed:
            return step if np.count_nonzero(which == shares.argmax()) >= FEWEST_LEVELS else None
    return None


def find_top(pixels: NDArray[Any], step: float = 1.0) -> float | None:
    """Find the top of the ADC: a value at which the brightest pixels pile up.

    Parameters
    ----------
    pixels : ndarray of any real type, shape (ny, nx)
        Raw values [ADU].
    step : float
        Of the ADC [ADU].

    Returns
    -------
    float or None
        [ADU]; None if the brightest pixels are all different, as in a frame without saturation.

    Notes
    -----
    The tail of a distribution falls towards its largest value; at the top of an ADC it rises. Top plus step is usually
    a power of two, and three pixels suffice then; otherwise ten are required that are not in one row or column, which
    could be defective.
    """
    levels, counts = _count_highest(pixels)
    for above in range(min(MOST_ABOVE + 1, len(levels))):
        top, count = float(levels[-1 - above]), int(counts[-1 - above])
        if count >= FEWEST_AT_TOP:
            return top if _is_pile(pixels, levels[: len(levels) - above], counts, top, count, step) else None
    return None


def _count_highest(pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Count the pixels at each of the highest values, in ascending order."""
    values = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels.ravel()
    bright = values[values > values.max(initial=0) / BRIGHT]
    values = bright if bright.size > FEWEST_AT_ODD_TOP + MOST_ABOVE else values
    if values.size > HIGHEST:
        values = np.partition(values, -HIGHEST)[-HIGHEST:]
    levels, counts = np.unique(values, return_counts=True)
    return levels.astype(np.float64), counts  # 32-bit floats do not tell large whole numbers apart


def _is_pile(
    pixels: NDArray[Any], levels: NDArray[Any], counts: NDArray[np.int64], top: float, count: int, step: float
) -> bool:
    """Check that more pixels have the top value than the values just below."""
    below = (levels < top) & (levels >= top - NEAR * step)
    next_lower = np.concatenate([[0], counts[: len(levels)][levels == top - step]]).max()
    typical = max(counts[: len(levels)][below].sum() / NEAR, float(next_lower))
    if float(np.log2(top + step)).is_integer() if top > 0 else False:
        return bool(count > PILE * typical)
    rows, columns = np.nonzero(pixels == top)
    spread = min(len(np.unique(rows)), len(np.unique(columns)))
    return bool(count >= FEWEST_AT_ODD_TOP and count > ODD_PILE * typical and spread >= FEWEST_AT_TOP)
