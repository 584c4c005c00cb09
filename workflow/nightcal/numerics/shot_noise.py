"""Estimate the signal that determines the shot noise of a pixel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

AGREEMENT = 3.0

Image = NDArray[Any]


def expected_signal(
    signal: Image, floor: Image | float, per_signal: float = 1.0, valid: NDArray[np.bool_] | None = None
) -> Image:
    """Estimate the true signal: the mean of 3 x 3 pixels, or the pixel's own value if it stands out.

    Parameters
    ----------
    signal : ndarray of float32 or float64, shape (ny, nx)
        Measured signal [e-, or any unit of a stack]. For some rows of an image, add one row on each side.
    floor : array_like, broadcastable to (ny, nx)
        Variance without signal, in that unit squared.
    per_signal : float
        Variance per unit of signal; 1 in electrons.
    valid : ndarray of bool, shape (ny, nx), optional
        Pixels with a usable value; None for all finite pixels. Other pixels do not enter the mean of a neighbour.

    Returns
    -------
    ndarray of the signal's dtype, shape (ny, nx)
        Never negative.

    Notes
    -----
    A variance from the pixel's own value is too small if noise made the value low, and too large if noise made it high:
    (measured - true) / sigma then has a mean of -1 / (2 sigma), and weights 1 / sigma^2 pull every mean down by about
    one electron. The mean of nine pixels removes most of this bias. It would be wrong in the cores of stars, so a pixel
    that differs from it by more than 3 sigma keeps its own value.
    """
    valid = np.isfinite(signal) if valid is None else valid
    if valid.all():
        known, smooth = signal, sum_of_nine(signal)
        smooth *= signal.dtype.type(1 / 9)
    else:
        known = np.where(valid, signal, signal.dtype.type(0))
        smooth = sum_of_nine(known)
        smooth *= np.reciprocal(np.maximum(sum_of_nine(valid.astype(signal.dtype)), 1))
    np.maximum(smooth, 0, out=smooth)
    distance = known - smooth
    distance *= distance
    limit = smooth * signal.dtype.type(AGREEMENT**2 * per_signal)
    limit += AGREEMENT**2 * np.asarray(floor, signal.dtype)
    return np.where(distance <= limit, smooth, np.maximum(known, 0))


def sum_of_nine(image: Image) -> Image:
    """Sum each pixel and its eight neighbours; beyond the edge, the pixels at the edge count again."""
    rows = image.copy()
    rows[1:] += image[:-1]
    rows[0] += image[0]
    rows[:-1] += image[1:]
    rows[-1] += image[-1]
    total = rows.copy()
    total[:, 1:] += rows[:, :-1]
    total[:, 0] += rows[:, 0]
    total[:, :-1] += rows[:, 1:]
    total[:, -1] += rows[:, -1]
    return total
