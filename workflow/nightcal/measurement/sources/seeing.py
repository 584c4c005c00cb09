"""Estimate the seeing of a frame before its cosmic rays are masked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag
from nightcal.measurement.coarse_sky import STRIDE, find_pixels_above, measure_coarse_sky
from nightcal.measurement.sources.moments import FWHM, measure_moments
from nightcal.measurement.sources.stamps import Floats

PEAK = 15.0
"""Smallest peak, in standard deviations of the noise."""

ARM = 0.08
"""Smallest signal of each of the four neighbours, relative to the peak: cosmic rays have sharper edges."""

MOST = 400
"""Largest number of stars measured, the brightest first."""

FEWEST = 3
ROUNDEST = 0.6
"""Smallest ratio of the axes of a star."""

WIDTHS = (0.62, 8.0)
"""Allowed standard deviations of stars [pix]. Cosmic rays are sharper."""

ROUNDS = 4
ALIKE = 0.2
"""Stars agree in width within this fraction."""

COMMON = 0.2
"""Fewest stars of one width, relative to the largest group of sources alike."""

POOR = Flag.BAD | Flag.HOT | Flag.SATURATED | Flag.BLEED | Flag.COSMIC_RAY | Flag.LOW_FLAT | Flag.NO_DATA | Flag.TRAIL


def estimate_seeing(data: NDArray[Any], uncertainty: NDArray[Any], mask: NDArray[Any]) -> float:
    """Estimate the typical FWHM of the stars of a frame that still has its cosmic rays.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Sky included.
    mask : ndarray of int16, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.

    Returns
    -------
    float
        [pix]; NaN if fewer than three stars agree in width.

    Notes
    -----
    Peaks above 15 sigma with signal in all four neighbours are measured by moments under a Gaussian window, whose
    width is adapted to the stars in four rounds. The typical width is the half-sample mode of the logarithms (Bickel
    and Fruehwirth 2006): stars share one width, cosmic rays do not.
    """
    if min(data.shape) < 2 * STRIDE:
        return float("nan")
    x, y, sky = _find_peaks(data, uncertainty, mask)
    sigma, count = 1.5, 0
    for _ in range(ROUNDS):
        if len(x) < FEWEST:
            return float("nan")
        found = measure_moments(data, uncertainty, x, y, np.full(len(x), sigma), steps=2, sky=sky)
        kept = (np.hypot(found.x - x, found.y - y) < 1 + sigma) & (found.b > ROUNDEST * found.a) & (found.snr > PEAK)
        kept &= found.fwhm > WIDTHS[0] * FWHM
        if kept.sum() < FEWEST:
            return float("nan")
        widths = found.fwhm[kept] / FWHM
        typical = find_half_sample_mode(np.log(widths))
        count = int((np.abs(np.log(widths) - typical) < ALIKE).sum())
        sigma = float(np.clip(np.exp(typical), *WIDTHS))
    return sigma * FWHM if count >= FEWEST and sigma < WIDTHS[1] else float("nan")


def find_half_sample_mode(values: Floats) -> float:
    """Find the half-sample mode: the centre of the densest half of the densest half, and so on.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        At least one.

    Returns
    -------
    float
    """
    ordered = np.sort(values)
    while len(ordered) > 3:
        half = -(-len(ordered) // 2)
        widths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
        start = int(widths.argmin())
        ordered = ordered[start : start + half]
    return float(np.median(ordered))


def find_narrowest_common_width(widths: Floats, weights: Floats) -> float:
    """Find the width that stars have in common: galaxies, nebulae and blends are wider, and each has its own.

    Parameters
    ----------
    widths : ndarray of float64, shape (n,)
        Logarithms of the widths of sources.
    weights : ndarray of float64, shape (n,)
        What each source counts: less than 1 if it may not be a star.

    Returns
    -------
    float
        Centre of the narrowest group of at least three alike that is not much smaller than the largest group; NaN if
        no three are alike.
    """
    order = np.argsort(widths, kind="stable")
    ordered, total = widths[order], np.concatenate([[0], np.cumsum(weights[order])])
    stop = np.searchsorted(ordered, ordered + ALIKE, side="right")
    number = total[stop] - total[:-1]
    common = number >= max(FEWEST, COMMON * number.max(initial=0))
    if not common.any():
        return float("nan")
    start = int(common.argmax())
    center = float(np.median(ordered[start : stop[start]]))
    for _ in range(ROUNDS):
        center = float(np.median(ordered[np.abs(ordered - center) <= ALIKE / 2]))
    return center


def _find_peaks(data: NDArray[Any], uncertainty: NDArray[Any], mask: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Find bright local maxima with soft edges: their positions, brightest first, and the sky there."""
    sky, noise = measure_coarse_sky(data, uncertainty, mask[::STRIDE, ::STRIDE] & POOR > 0)
    rows, columns = find_pixels_above(data, sky + PEAK * noise)
    inner = (rows > 0) & (rows < data.shape[0] - 1) & (columns > 0) & (columns < data.shape[1] - 1)
    rows, columns = rows[inner], columns[inner]
    peak = data[rows, columns]
    good = np.ones(len(rows), bool)
    for up, right in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        beside = data[rows + up, columns + right]
        good &= (peak > beside) if (up, right) < (0, 0) else (peak >= beside)
        good &= mask[rows + up, columns + right] & POOR == 0
    good &= mask[rows, columns] & POOR == 0
    rows, columns, peak = rows[good], columns[good], peak[good]
    level = sky[rows // STRIDE, columns // STRIDE]
    height = peak - level
    soft = height > 0
    for up, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        soft &= data[rows + up, columns + right] - level > ARM * height
    order = np.argsort(-height[soft], kind="stable")[:MOST]
    x, y, level = (found[soft][order].astype(np.float64) for found in (columns, rows, level))
    return x, y, level
