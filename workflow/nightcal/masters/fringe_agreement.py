"""Compare the fringes of odd and even frames: whether there are fringes at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIGNIFICANT = 5.0
"""Smallest ratio of the covariance of the halves to its error."""

SMALLEST = 0.001
"""Smallest rms of a fringe pattern, as a fraction of the sky: flats are no better."""

BLOCK = 32
"""Side of the blocks whose covariances give the error of their mean [pix]."""

FEWEST_BLOCKS = 8

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike the patterns of odd and even frames are.

    Attributes
    ----------
    amplitude : float
        Root mean square of the pattern that both have, as a fraction of the sky.
    significance : float
        Its square over the error of that.
    correlation : float
        Correlation coefficient, pixel by pixel.
    """

    amplitude: float
    significance: float
    correlation: float

    @property
    def why_not(self) -> str:
        """Why there are no fringes to subtract; empty if there are."""
        found = f"odd and even frames share a pattern of {100 * self.amplitude:.2f} percent of the sky"
        if not self.significance > SIGNIFICANT:
            return f"{found}, which is not significant ({self.significance:.1f} sigma)"
        return "" if self.amplitude > SMALLEST else f"{found}, less than {100 * SMALLEST:g} percent"


def compare_halves(odd: Image, even: Image, usable: NDArray[np.bool_]) -> Agreement:
    """Compare the patterns of two halves of a set.

    Parameters
    ----------
    odd, even : ndarray of float32, shape (ny, nx)
        Fringe frames of each half.
    usable : ndarray of bool, shape (ny, nx)
        Where both are known.

    Returns
    -------
    Agreement
        Of 0 if the image is too small to tell.

    Notes
    -----
    Each pixel is compared with the neighbours of the same pixel in the other half: the noise of a flat, which both
    halves share, is independent from pixel to pixel, but fringes are wider than a pixel.
    """
    first, second = (np.where(usable, half - half[usable].mean(), 0).astype(np.float64) for half in (odd, even))
    covariances = np.concatenate(
        [
            _average_blocks(first[:, 1:] * second[:, :-1], usable[:, 1:] & usable[:, :-1]),
            _average_blocks(first[1:] * second[:-1], usable[1:] & usable[:-1]),
        ]
    )
    if len(covariances) < FEWEST_BLOCKS:
        return Agreement(0.0, 0.0, 0.0)
    covariance = float(covariances.mean())
    error = float(covariances.std() / np.sqrt(max(1, len(covariances) / 2 - 1)))  # both directions see one pattern
    correlation = float(np.corrcoef(first[usable], second[usable])[0, 1])
    return Agreement(np.sqrt(max(covariance, 0.0)), covariance / error if error > 0 else 0.0, correlation)


def _average_blocks(image: NDArray[np.float64], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Average the usable pixels of each block; blocks of which less than half is usable are left out."""
    starts = [np.arange(0, length, BLOCK) for length in image.shape]

    def add(values: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(np.add.reduceat(np.add.reduceat(values, starts[0], 0), starts[1], 1), np.float64)

    number = add(usable.astype(np.float64))
    sums = add(np.where(usable, image, 0.0))
    return sums[number > BLOCK**2 / 2] / number[number > BLOCK**2 / 2]
