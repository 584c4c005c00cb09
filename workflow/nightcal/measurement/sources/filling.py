"""Fill bad pixels within sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.own_profile import Profiles, find_room, measure_profiles
from nightcal.measurement.sources.stamps import Floats

REACH = 2
"""Half-width of the neighbourhood used to fill a pixel [pix]."""

WITHIN = 4.0
"""Largest distance of a profile, in standard deviations of a star."""


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
    With the profile P of the nearest source, the value is ``P sum(data) / sum(P)`` over the good pixels among 5 x 5,
    weighted by distance. Taking the mean of the aperture for a missing pixel instead, as sep does, is far too low in
    the core of a star and too high in its wings. P is a Gaussian, or the mean brightness of the source itself at each
    distance from its centre, if that can be measured: stars out of focus are no Gaussians. The scatter of the source
    about its profile, as a fraction of it, enters the error.
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
    which, nearest = np.unique(nearest, return_inverse=True)
    center = x[which], y[which]
    room = find_room(x, y, min(radius, WITHIN * sigma))[which]
    profiles = measure_profiles(data, uncertainty, hidden, center, sigma, room)
    center = center[0][nearest], center[1][nearest]
    values, errors = _estimate_values(data, uncertainty, hidden, (rows, columns), center, profiles, nearest)
    data[rows, columns], uncertainty[rows, columns] = values, np.maximum(errors, typical)


def _estimate_values(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    hidden: NDArray[np.bool_],
    at: Any,
    center: Any,
    profiles: Profiles,
    which: NDArray[np.int64],
) -> tuple[Floats, Floats]:
    """Estimate values and errors; 0 without a good neighbour."""

    def profile(rows: Any, columns: Any) -> Floats:
        return profiles.look_up(which, np.hypot(columns - center[0], rows - center[1]))

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
    value = signal * scale
    return value, np.sqrt(2 * scale * once + scale**2 * twice + (profiles.scatter[which] * value) ** 2)
