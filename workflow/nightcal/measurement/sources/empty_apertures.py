"""Measure the noise of apertures on empty sky, which the errors of faint sources should equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.background import mask_discs
from nightcal.measurement.sources.stamps import Floats
from nightcal.numerics.robust import rstd

ALONG = 24
"""Largest number of apertures along each axis of a frame."""

FEWEST = 30
"""Fewest empty apertures for their noise."""

BESIDE = 3.0
"""Apertures keep this distance from sources [FWHM]."""


def measure_empty_apertures(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    hidden: NDArray[np.bool_],
    sources: tuple[Floats, Floats],
    fwhm: float,
    radius: float,
    sky_error: float,
) -> float:
    """Compare the scatter of apertures on empty sky with their errors.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Sky subtracted [e-].
    hidden : ndarray of bool, shape (ny, nx)
        Pixels that must not be used.
    sources : (x, y)
        Positions of all sources; the centre of the first pixel is 0.
    fwhm : float
        Of a star [pix].
    radius : float
        Of the apertures [pix].
    sky_error : float
        Standard deviation of the sky level [e-].

    Returns
    -------
    float
        Scatter (rstd) of flux over error: 1 if the errors are right, more if neighbouring pixels vary together, as
        with fringes, row noise or undetected sources. NaN without enough empty apertures.
    """
    import sep

    taken = hidden.copy()
    mask_discs(taken, *sources, BESIDE * fwhm)
    margin = radius + 1
    axes = []
    for length in data.shape:
        number = int(np.clip((length - 2 * margin) / (2 * margin), 0, ALONG))
        axes.append(np.linspace(margin, length - 1 - margin, number))
    x, y = (grid.ravel() for grid in np.meshgrid(axes[1], axes[0]))
    if not len(x):
        return float("nan")
    empty = sep.sum_circle(taken.astype(np.float32), x, y, margin)[0] == 0
    if np.count_nonzero(empty) < FEWEST:
        return float("nan")
    flux, error, _ = sep.sum_circle(data, x[empty], y[empty], radius, err=uncertainty, subpix=0)
    return float(rstd(flux / np.hypot(error, np.pi * radius**2 * sky_error)))
