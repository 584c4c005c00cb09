"""The response of an amplifier to light, made linear by a polynomial."""

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
        ``c1``, ``c2``, ... [1/ADU, 1/ADU^2, ...] of ``adu (1 + c1 adu + c2 adu^2 + ...)``. At and below a signal of 0
        nothing is changed.

    Returns
    -------
    corrected : ndarray
        Of the same type [ADU].
    slope : ndarray
        By which an error of the signal grows.
    """
    light = np.maximum(adu, adu.dtype.type(0))
    factor = np.ones_like(light)
    slope = np.ones_like(light)
    power = np.ones_like(light)
    for n, coefficient in enumerate(coefficients, start=1):
        power *= light
        factor += adu.dtype.type(coefficient) * power
        slope += adu.dtype.type((n + 1) * coefficient) * power
    return adu * factor, slope
