"""Measure shapes and position errors of sources from moments under a Gaussian window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.stamps import Floats, cut_stamps

FWHM = float(2 * np.sqrt(2 * np.log(2)))
"""FWHM of a Gaussian, in standard deviations."""

REACH = 4.0
"""Radius of the window, in standard deviations."""

NARROWEST, WIDEST = 0.05, 0.9
"""Limits of a measured second moment relative to that of the window: beyond, the window cannot be corrected for."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of n sources: arrays of shape (n,).

    Attributes
    ----------
    x, y : ndarray of float64
        Positions about which the moments were measured.
    error_x, error_y, error_xy : ndarray of float64
        Variances and covariance of the position [pix^2].
    a, b : ndarray of float64
        Standard deviations along the axes, corrected for the window [pix].
    theta : ndarray of float64
        Angle of the long axis from x towards y [deg], -90 to 90.
    snr : ndarray of float64
        Signal-to-noise ratio under the window.
    flux : ndarray of float64
        Signal under the window.
    fwhm : ndarray of float64
        FWHM of a Gaussian of the same area [pix].
    """

    x: Floats
    y: Floats
    error_x: Floats
    error_y: Floats
    error_xy: Floats
    a: Floats
    b: Floats
    theta: Floats
    snr: Floats
    flux: Floats
    fwhm: Floats


def measure_moments(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    x: Floats,
    y: Floats,
    sigma: Floats,
    steps: int = 0,
    sky: Floats | None = None,
) -> Moments:
    """Measure moments of sources under Gaussian windows.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
    x, y : ndarray of float64, shape (n,)
        Positions; the centre of the first pixel is 0.
    sigma : ndarray of float64, shape (n,)
        Standard deviations of the windows [pix].
    steps : int
        Iterations that move each position to where the windowed first moment is 0.
    sky : ndarray of float64, shape (n,), optional
        Sky under each source; None if it is subtracted already.

    Returns
    -------
    Moments

    Notes
    -----
    With the window ``w``, the position is where ``sum w I dx = 0``, so its variance is ``sum w^2 var dx^2`` divided by
    the square of ``sum w I (1 - dx^2 / sigma^2)``. SExtractor's ERRX2WIN_IMAGE is the special case of a Gaussian star
    as wide as the window, where the divisor is ``(sum w I)^2 / 4``. The second moment ``V`` under the window gives
    that of the source by ``1 / V = 1 / source + 1 / sigma^2``, exact for a Gaussian.
    """
    out = np.zeros((8, len(x)))
    level = np.zeros(len(x)) if sky is None else sky
    at = np.array([x, y], np.float64)
    for _ in range(steps):
        for cut in cut_stamps(data.shape, at[0], at[1], REACH * sigma + 1):
            width = sigma[cut.which]
            flux = _weigh_window(cut, width) * (cut.take_from(data) - level[cut.which][:, None])
            total = np.maximum(flux.sum(axis=1), 1e-30)
            for axis, distance in enumerate((cut.dx, cut.dy)):
                step = 2 * (flux * distance).sum(axis=1) / total
                at[axis, cut.which] += np.clip(step, -width, width)
    for cut in cut_stamps(data.shape, at[0], at[1], REACH * sigma + 1):
        out[:, cut.which] = _measure_stamps(cut, data, uncertainty, sigma[cut.which], level[cut.which])
    xx, yy, xy, a, b, theta, snr, flux = out
    return Moments(at[0], at[1], xx, yy, xy, a, b, theta, snr, flux, FWHM * np.sqrt(a * b))


def _weigh_window(cut: Any, sigma: Floats) -> Floats:
    """Compute the Gaussian window of each cut-out."""
    distance = (cut.dx**2 + cut.dy**2) / (sigma**2)[:, None]
    return np.where(distance < REACH**2, np.exp(-distance / 2), 0.0)


def _measure_stamps(cut: Any, data: NDArray[Any], uncertainty: NDArray[Any], sigma: Floats, sky: Floats) -> Floats:
    """Measure the moments of the sources of some cut-outs: the rows of `Moments` without positions and FWHM."""
    window = _weigh_window(cut, sigma)
    flux = window * (cut.take_from(data) - sky[:, None])
    noise = np.where(window > 0, window * cut.take_from(uncertainty), 0.0) ** 2
    total, variance = flux.sum(axis=1), sigma**2
    safe = np.where(total > 0, total, np.inf)
    second = [(flux * product).sum(axis=1) / safe for product in (cut.dx**2, cut.dy**2, cut.dx * cut.dy)]
    scatter = [(noise * product).sum(axis=1) for product in (cut.dx**2, cut.dy**2, cut.dx * cut.dy)]
    slope_x, slope_y = (safe * (1 - np.clip(v / variance, 0, WIDEST)) for v in second[:2])
    snr = total / np.sqrt(np.maximum(noise.sum(axis=1), 1e-30))
    errors = (scatter[0] / slope_x**2, scatter[1] / slope_y**2, scatter[2] / (slope_x * slope_y))
    return np.array([*errors, *_measure_axes(second[0], second[1], second[2], variance), snr, total])


def _measure_axes(xx: Floats, yy: Floats, xy: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Derive axes and angle from second moments, corrected for the window."""
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    along, across = (
        np.clip(v, NARROWEST * variance, WIDEST * variance) for v in (middle + half, middle - half)
    )  # fmt: skip
    a, b = (np.sqrt(v * variance / (variance - v)) for v in (along, across))
    return a, b, np.degrees(np.arctan2(2 * xy, xx - yy)) / 2
