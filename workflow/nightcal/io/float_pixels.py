"""Find raw values that stand for no data, and floats from 0 to 1 that were integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.errors import FrameRejectedError

LOWEST, HIGHEST = -(2.0**31), 2.0**32
"""Raw values of 32-bit integers lie in between; others, such as -1e30, stand for no data."""

SCALES = (255, 65535, 65536)
"""ADU that programs write as 1.0: those of 8 and 16 bits."""

OFF_WHOLE = 0.01
"""Largest distance from a whole number of ADU: 32-bit floats near 1 are exact to 0.004 / 65535."""

FEWEST_LEVELS = 8


def remove_sentinels(pixels: NDArray[Any]) -> NDArray[Any]:
    """Replace floats that no detector can give, infinity included, by NaN.

    Parameters
    ----------
    pixels : ndarray of floats
        [ADU]

    Returns
    -------
    ndarray
        The same array if there are none, else a copy.
    """
    with np.errstate(invalid="ignore"):
        plausible = (pixels > LOWEST) & (pixels <= HIGHEST)
    if plausible.all():
        return pixels
    cleaned = pixels.copy()
    cleaned[~plausible] = np.nan
    return cleaned


def remove_lowest(pixels: NDArray[Any]) -> NDArray[Any]:
    """Replace the lowest signed integer of 32 bits, which stands for no data, by NaN; parameters as for floats."""
    if pixels.dtype != np.int32 or not pixels.size or pixels.min() > LOWEST:
        return pixels
    cleaned = pixels.astype(np.float64)
    cleaned[cleaned == LOWEST] = np.nan
    return cleaned


def lie_in_unit_range(pixels: NDArray[Any]) -> bool:
    """Check that the finite pixels lie between 0 and 1; True if there are none."""
    finite = pixels[np.isfinite(pixels)]
    return bool(np.all((finite >= 0) & (finite <= 1)))


def find_scale(pixels: NDArray[Any]) -> int:
    """Find the number of ADU that 1.0 stands for.

    Parameters
    ----------
    pixels : ndarray of floats
        All pixels of a frame.

    Returns
    -------
    int
        1 for a frame in ADU; 255, 65535 or 65536 for integers scaled to floats from 0 to 1.

    Raises
    ------
    FrameRejectedError
        If all pixels lie between 0 and 1, but are not scaled integers.
    """
    finite = pixels[np.isfinite(pixels)]
    if not finite.size or not lie_in_unit_range(finite) or finite.min() == finite.max():
        return 1
    levels = np.unique(finite).astype(np.float64)
    if set(levels.tolist()) <= {0.0, 1.0}:
        return 1
    for scale in SCALES:
        off = np.abs(levels * scale - np.rint(levels * scale))
        if len(levels) >= FEWEST_LEVELS and off.max() <= OFF_WHOLE:
            return scale
    raise FrameRejectedError(
        f"pixels are floats from {finite.min():.4g} to {finite.max():.4g}, not ADU: export 16-bit integers"
    )
