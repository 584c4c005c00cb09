"""Measure the sky at every fourth pixel: enough for whatever stands well above it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIDE = 4
"""The sky is measured on every fourth pixel of every fourth row."""

BOX = 32
"""Side of a sky box, in those pixels."""

Image = NDArray[np.float32]


def measure_coarse_sky(data: NDArray[Any], uncertainty: NDArray[Any], unusable: NDArray[np.bool_]) -> tuple[Any, Any]:
    """Measure sky and noise at every fourth pixel.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Sky included.
    unusable : ndarray of bool, shape (ny / 4, nx / 4), rounded up
        Whether each of these pixels must not be used.

    Returns
    -------
    sky, noise : ndarray of float32, shape (ny / 4, nx / 4), rounded up
        The noise is not below the median uncertainty.
    """
    import sep

    some = (slice(None, None, STRIDE),) * 2
    found = sep.Background(np.ascontiguousarray(data[some], np.float32), mask=unusable, bw=BOX, bh=BOX)
    typical = float(np.median(uncertainty[some]))
    return found.back(dtype=np.float32), np.maximum(found.rms(dtype=np.float32), np.float32(typical))


def find_pixels_above(data: NDArray[Any], limit: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pixels above a limit that is given at every fourth pixel.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
    limit : ndarray of float32, shape (ny / 4, nx / 4), rounded up

    Returns
    -------
    rows, columns : ndarray of int64
    """
    nx = data.shape[1]
    places = []
    for i, coarse in enumerate(limit):
        rows = data[i * STRIDE : (i + 1) * STRIDE]
        places.append(np.flatnonzero(rows > np.repeat(coarse, STRIDE)[:nx]) + i * STRIDE * nx)
    return np.divmod(np.concatenate(places), nx)
