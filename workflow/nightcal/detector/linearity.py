"""Correct the response of an amplifier for non-linearity, with a polynomial."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Numbers = TypeVar("Numbers", NDArray[np.float32], NDArray[np.float64])


def linearise(adu: Numbers, coefficients: Sequence[float]) -> tuple[Numbers, Numbers]:
    """Correct a signal for the non-linearity of its amplifier.

    Parameters
    ----------
    adu : ndarray of float32 or float64
        Signal above the bias level [ADU].
    coefficients : sequence of float
        ``c1``, ``c2``, ... [1/ADU, 1/ADU^2, ...] of ``adu (1 + c1 adu + c2 adu^2 + ...)``. Signals of 0 or less stay
        as they are.

    Returns
    -------
    corrected : ndarray
        Of the same type [ADU].
    slope : ndarray
        Derivative of the correction, by which errors are multiplied.
    """
    signal = np.maximum(adu, adu.dtype.type(0))
    factor = np.ones_like(signal)
    slope = np.ones_like(signal)
    power = np.ones_like(signal)
    for n, coefficient in enumerate(coefficients, start=1):
        power *= signal
        factor += adu.dtype.type(coefficient) * power
        slope += adu.dtype.type((n + 1) * coefficient) * power
    return adu * factor, slope
