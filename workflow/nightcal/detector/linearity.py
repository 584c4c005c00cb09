"""The response of an amplifier to light, made linear by a polynomial."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def linearise(
    adu: NDArray[np.float32], coefficients: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correct a signal for the non-linearity of its amplifier.

    Parameters
    ----------
    adu : ndarray of float32
        Signal above the bias level [ADU].
    coefficients : sequence of float
        ``c1``, ``c2``, ... [1/ADU, 1/ADU^2, ...] of ``adu (1 + c1 adu + c2 adu^2 + ...)``. At and below a signal of 0
        nothing is changed.

    Returns
    -------
    corrected : ndarray of float32
        [ADU]
    slope : ndarray of float32
        By which an error of the signal grows.
    """
    light = np.maximum(adu, np.float32(0))
    factor = np.ones_like(light)
    slope = np.ones_like(light)
    power = np.ones_like(light)
    for n, coefficient in enumerate(coefficients, start=1):
        power *= light
        factor += np.float32(coefficient) * power
        slope += np.float32((n + 1) * coefficient) * power
    return adu * factor, slope
