"""Fill bad pixels within sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

REACH = 2
"""Half-width of the neighbourhood used to fill a pixel [pix]."""

WEAKEST = 1e-3
"""Smallest value of the profile relative to its peak: further out, the structure of the sky dominates."""

Floats = NDArray[np.float64]


def fill_hidden_pixels(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    hidden: NDArray[np.bool_],
    x: Floats,
    y: Floats,
    sigma: float,
    radius: float,
    typical: float,
) -> None:
    """Fill the hidden pixels of sources from their good neighbours, scaled by the profile of a star.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Sky subtracted; changed in place.
    hidden : ndarray of bool, shape (ny, nx)
        Pixels that must not be used.
    x, y : ndarray of float64, shape (n,)
        Positions of sources; the centre of the first pixel is 0.
    sigma : float
        Standard deviation of a star [pix].
    radius : float
        Hidden pixels within this distance of a source are filled [pix]; all others become 0.
    typical : float
        Smallest uncertainty of a filled pixel.

    Notes
    -----
    With the profile G of the nearest source, the value is ``G sum(data) / sum(G)`` over the good pixels among 5 x 5,
    weighted by distance. Taking the mean of the aperture for a missing pixel instead, as sep does, is far too low in
    the core of a star and too high in its wings.
    """
    rows, columns = np.nonzero(hidden)
    if not len(rows):
        return
    data[rows, columns] = 0
    if not len(x):
        return
    from scipy.spatial import cKDTree

    distance, nearest = cKDTree(np.column_stack([x, y])).query(
        np.column_stack([columns, rows]), distance_upper_bound=radius
    )
    near = np.isfinite(distance)
    rows, columns, nearest = rows[near], columns[near], nearest[near]
    values, errors = _estimate_values(
        data, uncertainty, hidden, (rows, columns), (x[nearest], y[nearest]), sigma, typical
    )
    data[rows, columns], uncertainty[rows, columns] = values, errors


def _estimate_values(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    hidden: NDArray[np.bool_],
    at: Any,
    center: Any,
    sigma: float,
    typical: float,
) -> tuple[Floats, Floats]:
    """Estimate values and errors; 0 and the typical error without a good neighbour."""

    def profile(rows: Any, columns: Any) -> Floats:
        distance = (columns - center[0]) ** 2 + (rows - center[1]) ** 2
        return np.maximum(np.exp(-distance / (2 * sigma**2)), WEAKEST)

    signal, shape, once, twice = (np.zeros(len(at[0])) for _ in range(4))
    for up in range(-REACH, REACH + 1):
        for right in range(-REACH, REACH + 1):
            rows, columns = at[0] + up, at[1] + right
            inside = (rows >= 0) & (rows < data.shape[0]) & (columns >= 0) & (columns < data.shape[1])
            rows, columns = rows.clip(0, data.shape[0] - 1), columns.clip(0, data.shape[1] - 1)
            weight = np.exp(-0.5 * (up**2 + right**2)) * (inside & ~hidden[rows, columns])
            signal += weight * data[rows, columns]
            shape += weight * profile(rows, columns)
            variance = np.where(weight > 0, uncertainty[rows, columns].astype(np.float64), 0.0) ** 2
            once += weight * variance
            twice += weight**2 * variance
    scale = np.divide(profile(*at), shape, out=np.zeros_like(shape), where=shape > 0)
    # a neighbour's error enters a sum through its own pixel, too: (1 + c)^2 - 1 = 2 c + c^2 of its variance
    return signal * scale, np.maximum(np.sqrt(2 * scale * once + scale**2 * twice), typical)
