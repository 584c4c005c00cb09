"""The signal whose shot noise a pixel has."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

AGREEMENT = 3.0


def expected_signal(
    signal: NDArray[np.float64],
    floor: NDArray[np.float64] | float,
    per_signal: float = 1.0,
    valid: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Estimate the true signal: the mean of a 3 x 3 neighbourhood, the pixel's own value where it stands out.

    Parameters
    ----------
    signal : ndarray of float64, shape (ny, nx)
        Measured signal [e-, or any unit of a stack].
    floor : array_like, broadcastable to (ny, nx)
        Variance without signal, in that unit squared.
    per_signal : float
        Variance that a unit of signal adds; 1 in electrons.
    valid : ndarray of bool, shape (ny, nx), optional
        Pixels that hold a number; None for those that are finite. The others do not enter the mean of a neighbour.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        Never negative.

    Notes
    -----
    A variance from the pixel's own value is too small where noise made the value low and too large where it made it
    high: (measured - true) / sigma then has a mean of -1 / (2 sigma), and weights 1 / sigma^2 pull every mean down by
    about one electron. The mean of nine pixels takes most of that away. In the cores of stars it would be wrong, so a
    pixel that differs from it by more than 3 sigma keeps its own value.
    """
    valid = np.isfinite(signal) if valid is None else valid
    known = np.where(valid, signal, 0.0)
    share = uniform_filter(valid.astype(np.float64), 3, mode="nearest")
    smooth = np.maximum(uniform_filter(known, 3, mode="nearest"), 0) / np.maximum(share, 1 / 9)
    agrees = (known - smooth) ** 2 <= AGREEMENT**2 * (per_signal * smooth + floor)
    return np.where(agrees, smooth, np.maximum(known, 0))
