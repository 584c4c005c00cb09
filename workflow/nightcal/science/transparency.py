"""Compare the transparency of the sky in frames of a night."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.science.common_stars import Fading, FrameStars, measure_fading

PER_MAGNITUDE = 0.4 * np.log(10)
"""Relative change of a flux by one magnitude, if it is small."""

ReadStars = Callable[[str, float], FrameStars | None]
"""Takes the path of a frame and its exposure time [s]."""


@dataclass(frozen=True, slots=True)
class Transparency:
    """Transparency of atmosphere and clouds, relative to the best frame of the night in a filter.

    Attributes
    ----------
    value, error : float
        NaN if unknown.
    source : str
        ``zero points``, ``stars in common``, or empty if unknown.
    """

    value: float
    error: float
    source: str


NO_TRANSPARENCY = Transparency(float("nan"), float("nan"), "")


def read_nothing(path: str, exposure_time: float) -> FrameStars | None:
    """Read no stars, where there are no catalogues."""
    return None


def measure_transparency(
    paths: Sequence[str],
    exposure_times: NDArray[np.float64],
    zero_points: NDArray[np.float64],
    errors: NDArray[np.float64],
    read: ReadStars,
) -> list[Transparency]:
    """Measure the transparency in frames of one filter and camera.

    Parameters
    ----------
    paths : sequence of str, n
    exposure_times : ndarray of float64, shape (n,)
        [s]
    zero_points, errors : ndarray of float64, shape (n,)
        [mag]; NaN if unknown.
    read : function
        Reads the stars of a frame. Only called if a frame has no zero point.

    Returns
    -------
    list of Transparency
        From the zero points. A frame without one is compared by the stars that it has in common with others: with those
        that have a zero point, or else with the best frame of its field.
    """
    known = np.isfinite(zero_points)
    best = np.argmax(np.where(known, zero_points - errors, -np.inf)) if known.any() else 0
    found = [
        _compare(zero_points[best] - point, error, "zero points") if there else NO_TRANSPARENCY
        for point, error, there in zip(zero_points, errors, known, strict=True)
    ]
    if known.all():
        return found
    stars = {path: read(path, float(time)) for path, time in zip(paths, exposure_times, strict=True)}
    fading = measure_fading(stars)
    losses = dict(zip(paths, np.where(known, zero_points[best] - zero_points, np.nan), strict=True))
    for n, path in enumerate(paths):
        if not known[n] and path in fading:
            own = fading[path]
            field = {name: each for name, each in fading.items() if each.field == own.field}
            loss = own.magnitudes - _find_level(field, losses)
            found[n] = _compare(loss, own.error, "stars in common")
    return found


def _find_level(field: dict[str, Fading], losses: dict[str, float]) -> float:
    """Find the fading of a frame through a sky of transparency 1, among the frames of a field [mag]."""
    levels = [each.magnitudes - losses[name] for name, each in field.items() if np.isfinite(losses[name])]
    if levels:
        return float(np.median(levels))
    return min(field.values(), key=lambda each: each.magnitudes + each.error).magnitudes


def _compare(loss: float, error: float, source: str) -> Transparency:
    """Convert a loss of light [mag] and its error."""
    value = float(10 ** (-0.4 * loss))
    return Transparency(value, float(value * PER_MAGNITUDE * error), source)
