"""Convert between sky coordinates and unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unit_vectors(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert sky coordinates [deg] to unit vectors, shape (..., 3)."""
    alpha, delta = np.radians(ra), np.radians(dec)
    return np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=-1)


def angles(vectors: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Convert vectors of any length, shape (..., 3), to right ascension from 0 to 360 and declination [deg]."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
