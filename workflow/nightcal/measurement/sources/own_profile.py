"""Measure the brightness of single sources by the distance from their centres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.stamps import Floats, cut_stamps

WEAKEST = 1e-3
"""Smallest value of the profile relative to its peak: further out, the structure of the sky dominates."""

BRIGHT = 5.0
"""Peak of a profile, in sigma of the central pixel, from which it is preferred to a Gaussian."""

FEWEST = 1.0
"""Fewest pixels at a distance; without them, the next distance within or else beyond serves."""

LEAST_SCATTER = 0.05
"""Scatter of any source about its profile, as a fraction: no filled pixel is known better."""

CORE = 0.1
"""Fraction of the peak above which pixels show how round a source is."""


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Brightness of n sources by the distance from their centres.

    Attributes
    ----------
    sigma : float
        Standard deviation of a star [pix].
    ratio : ndarray of float64, shape (n, k)
        Brightness relative to that of a Gaussian, at distances of 0, 1, 2, ... pixels; straight lines between them.
    scatter : ndarray of float64, shape (n,)
        Of the source about its profile, as a fraction of it.
    """

    sigma: float
    ratio: Floats
    scatter: Floats

    def look_up(self, which: NDArray[np.int64], distance: Floats) -> Floats:
        """Find the brightness of some sources at some distances [pix]."""
        last = self.ratio.shape[1] - 1
        place = np.minimum(distance, last)
        low = np.minimum(place.astype(np.int64), last - 1)
        part = place - low
        ratio = (1 - part) * self.ratio[which, low] + part * self.ratio[which, low + 1]
        return ratio * _gaussian(distance, self.sigma)


def _gaussian(distance: Floats, sigma: float) -> Floats:
    return np.maximum(np.exp(-(distance**2) / (2 * sigma**2)), WEAKEST)


def measure_profiles(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    hidden: NDArray[np.bool_],
    center: tuple[Floats, Floats],
    sigma: float,
    room: Floats,
) -> Profiles:
    """Measure the profiles of sources; a Gaussian for faint ones.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Sky subtracted.
    hidden : ndarray of bool, shape (ny, nx)
    center : (x, y)
        Positions of n sources; the centre of the first pixel is 0.
    sigma : float
        Standard deviation of a star [pix].
    room : ndarray of float64, shape (n,)
        Distance out to which each profile is measured [pix]; beyond it, the ratio to a Gaussian is constant.

    Returns
    -------
    Profiles
    """
    rings = int(np.ceil(room.max(initial=0))) + 2
    ratio, scatter = np.ones((len(center[0]), rings)), np.full(len(center[0]), LEAST_SCATTER)
    for cut in cut_stamps(data.shape, *center, room):
        value, noise = cut.take_from(data), cut.take_from(uncertainty)
        distance = np.minimum(np.hypot(cut.dx, cut.dy), rings - 1.5)
        good = cut.inside & ~cut.take_from(hidden) & (distance < room[cut.which][:, None])
        own = _average_rings(value, _gaussian(distance, sigma), distance, good, rings)
        which = np.broadcast_to(np.arange(len(own))[:, None], distance.shape)
        model = Profiles(sigma, own, scatter).look_up(which, distance)
        peak = model.max(axis=1)
        usable = peak > BRIGHT * noise[:, noise.shape[1] // 2]
        floor = WEAKEST * peak[:, None] / _gaussian(np.arange(rings, dtype=np.float64), sigma)
        ratio[cut.which[usable]] = np.maximum(own, floor)[usable]
        core = good & (model > CORE * peak[:, None])
        scatter[cut.which[usable]] = _measure_scatter(value, noise, model, core)[usable]
    return Profiles(sigma, ratio, scatter)


def _measure_scatter(value: Floats, noise: Floats, model: Floats, core: NDArray[np.bool_]) -> Floats:
    """Measure the scatter of sources about their profiles beyond the noise, as a fraction, from their core pixels."""
    value, noise, model = (np.where(core, image, 0) for image in (value, noise, model))
    excess = ((value - model) ** 2 - noise**2).sum(axis=1)
    return np.maximum(np.sqrt(np.maximum(excess, 0) / np.maximum((model**2).sum(axis=1), 1e-30)), LEAST_SCATTER)


def _average_rings(value: Floats, gaussian: Floats, distance: Floats, good: NDArray[np.bool_], rings: int) -> Floats:
    """Average the ratio to a Gaussian by distance; each pixel is shared by the two nearest whole distances."""
    low = distance.astype(np.int64)
    part = distance - low
    index = low + rings * np.arange(len(value))[:, None]
    sums = np.zeros((3, len(value) * rings))
    for place, share in ((index, 1 - part), (index + 1, part)):
        share = np.where(good, share, 0.0)
        for row, weight in zip(sums, (share * value, share * gaussian, share), strict=True):
            row += np.bincount(place.ravel(), weight.ravel(), minlength=row.size)
    signal, expected, number = sums.reshape(3, len(value), rings)
    known = number >= FEWEST
    ratio = np.divide(signal, expected, out=np.ones_like(signal), where=known)
    nearest = np.where(known, np.arange(rings), known.argmax(axis=1)[:, None])
    return np.take_along_axis(ratio, np.maximum.accumulate(nearest, axis=1), axis=1)


def find_room(x: Floats, y: Floats, largest: float) -> Floats:
    """Find half the distance of each source to its nearest neighbour, at most some distance [pix]."""
    from scipy.spatial import cKDTree

    places = np.column_stack([x, y])
    distance = cKDTree(places).query(places, k=2, distance_upper_bound=2 * largest)[0][:, 1]
    return np.minimum(distance / 2, largest)
