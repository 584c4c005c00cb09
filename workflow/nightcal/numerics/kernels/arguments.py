"""Convert numbers to the form that the compiled and the plain loops need."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole_and_part(offset: ArrayLike) -> NDArray[np.float32]:
    """Split offsets into whole and fractional parts: integers less the whole part are exact in 32 bits.

    Parameters
    ----------
    offset : array_like of float64, shape (...)

    Returns
    -------
    ndarray of float32, shape (..., 2)
    """
    whole = np.rint(offset)
    return np.stack([whole, offset - whole], axis=-1).astype(np.float32)


def not_below(limit: float) -> np.float32:
    """Find the smallest 32-bit number that is not below a limit."""
    rounded = np.float32(limit)
    return np.nextafter(rounded, np.float32(np.inf)) if float(rounded) < limit else rounded
