"""The width of stars, before anything else is known of a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag
from nightcal.measurement.sources.moments import FWHM, windowed_moments
from nightcal.measurement.sources.stamps import Floats

STRIDE = 4
"""Every fourth pixel of every fourth row is enough to know the sky."""

BOX = 32
"""Side of a box of the sky, in those pixels."""

PEAK = 15.0
"""Smallest peak, in units of the noise."""

ARM = 0.08
"""Smallest part of the peak in each of the four neighbours: cosmic rays have sharper edges."""

MOST = 400
"""Stars that are measured, the brightest."""

FEWEST = 3
ROUNDEST = 0.6
"""Smallest ratio of the axes of a star."""

WIDTHS = (0.62, 8.0)
"""Standard deviations that stars may have [pix]: no telescope makes sharper ones, but cosmic rays are."""

ROUNDS = 4
ALIKE = 0.2
"""Stars are those whose widths differ by less than this part."""

POOR = Flag.BAD | Flag.HOT | Flag.SATURATED | Flag.BLEED | Flag.COSMIC_RAY | Flag.LOW_FLAT | Flag.NO_DATA


def seeing_of(data: NDArray[Any], uncertainty: NDArray[Any], mask: NDArray[Any]) -> float:
    """Typical full width at half maximum of the stars of a frame, cosmic rays and all.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        With the sky.
    mask : ndarray of uint8, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.

    Returns
    -------
    float
        [pix]; NaN if fewer than three stars look alike.

    Notes
    -----
    Peaks that stand 15 sigma out and have light in all four neighbours are measured by moments under a Gaussian
    window that takes the width of the stars in four rounds. The typical width is the half-sample mode of the
    logarithms (Bickel and Fruehwirth 2006): stars are alike, cosmic rays are not.
    """
    if min(data.shape) < 2 * STRIDE:
        return float("nan")
    x, y, sky = _peaks(data, uncertainty, mask)
    sigma, count = 1.5, 0
    for _ in range(ROUNDS):
        if len(x) < FEWEST:
            return float("nan")
        found = windowed_moments(data, uncertainty, x, y, np.full(len(x), sigma), steps=2, sky=sky)
        kept = (np.hypot(found.x - x, found.y - y) < 1 + sigma) & (found.b > ROUNDEST * found.a) & (found.snr > PEAK)
        kept &= found.fwhm > WIDTHS[0] * FWHM
        if kept.sum() < FEWEST:
            return float("nan")
        widths = found.fwhm[kept] / FWHM
        typical = half_sample_mode(np.log(widths))
        count = int((np.abs(np.log(widths) - typical) < ALIKE).sum())
        sigma = float(np.clip(np.exp(typical), *WIDTHS))
    return sigma * FWHM if count >= FEWEST and sigma < WIDTHS[1] else float("nan")


def half_sample_mode(values: Floats) -> float:
    """Centre of the densest half of the values, of the densest half of those, and so on.

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


def _peaks(data: NDArray[Any], uncertainty: NDArray[Any], mask: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Positions of bright local maxima with soft edges, brightest first, and the sky there."""
    sky, noise = _coarse_sky(data, uncertainty, mask)
    rows, columns = _above(data, sky + PEAK * noise)
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


def _coarse_sky(data: NDArray[Any], uncertainty: NDArray[Any], mask: NDArray[Any]) -> tuple[Any, Any]:
    """Sky and noise at every fourth pixel."""
    import sep

    some = (slice(None, None, STRIDE),) * 2
    hidden = mask[some] & POOR > 0
    found = sep.Background(np.ascontiguousarray(data[some], np.float32), mask=hidden, bw=BOX, bh=BOX)
    typical = float(np.median(uncertainty[some]))
    return found.back(dtype=np.float32), np.maximum(found.rms(dtype=np.float32), np.float32(typical))


def _above(data: NDArray[Any], limit: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels above a limit that is known at every fourth pixel."""
    rows, columns = [], []
    for i, coarse in enumerate(limit):
        across = np.repeat(coarse, STRIDE)[: data.shape[1]]
        up, right = np.nonzero(data[i * STRIDE : (i + 1) * STRIDE] > across)
        rows.append(up + i * STRIDE)
        columns.append(right)
    return np.concatenate(rows), np.concatenate(columns)
