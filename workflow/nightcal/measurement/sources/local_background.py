"""Measure the sky around single sources, where the background of the frame does not follow it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.background import mask_discs
from nightcal.measurement.sources.stamps import Floats
from nightcal.numerics.robust import RSTD, median

SAMPLES = 200
"""Number of pixels of an annulus that are looked at, spread evenly."""

AREA = 600.0
"""Area of an annulus [pix^2]."""

CORE = 1.5
"""Pixels within this radius of another source do not count [FWHM]."""

CLIP = 3.0
"""Pixels farther from the median do not count [rstd]."""

FEWEST = 30
"""Fewest pixels for a level."""

SIGNIFICANT = 3.0
"""The level of the annulus is used if it differs from the background by this many sigma."""

WINGS = 0.02
"""And if that matters: a share of the flux in the largest aperture. The wings of a star reach into its annulus."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalBackground:
    """Sky around n sources, above the background of the frame.

    Attributes
    ----------
    level, error : ndarray of float64, shape (n,)
        Of a pixel [e-]; 0 where the background of the frame is kept.
    """

    level: Floats
    error: Floats

    @property
    def used(self) -> NDArray[np.bool_]:
        """Whether the annulus is used."""
        return np.asarray(self.error > 0)


def measure_local_background(
    data: NDArray[Any], hidden: NDArray[np.bool_], x: Floats, y: Floats, inner: Floats, fwhm: float
) -> LocalBackground:
    """Measure the level in an annulus around each source, without other sources.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Background subtracted [e-].
    hidden : ndarray of bool, shape (ny, nx)
        Pixels that must not be used.
    x, y : ndarray of float64, shape (n,)
        Positions; the centre of the first pixel is 0.
    inner : ndarray of float64, shape (n,)
        Inner radii of the annuli [pix].
    fwhm : float
        Of a star [pix].

    Returns
    -------
    LocalBackground
        The clipped mean of the annulus and its error, of all sources with enough pixels; 0 for the others.

    Notes
    -----
    As in `photutils.aperture.ApertureStats` with a clipped mean, but for a sample of pixels, so that thousands of
    sources cost little.
    """
    taken = hidden.copy()
    mask_discs(taken, x, y, CORE * fwhm)
    step = np.arange(SAMPLES)
    turn = step * np.pi * (3 - np.sqrt(5))  # the golden angle
    radius = np.sqrt(inner[:, None] ** 2 + (step + 0.5) / SAMPLES * AREA / np.pi)
    columns = np.rint(x[:, None] + radius * np.cos(turn)).astype(np.int64)
    rows = np.rint(y[:, None] + radius * np.sin(turn)).astype(np.int64)
    inside = (rows >= 0) & (rows < data.shape[0]) & (columns >= 0) & (columns < data.shape[1])
    rows, columns = rows.clip(0, data.shape[0] - 1), columns.clip(0, data.shape[1] - 1)
    values = np.where(inside & ~taken[rows, columns], data[rows, columns], np.nan).astype(np.float64)
    middle = median(values, axis=1)[:, None]
    kept = np.abs(values - middle) <= CLIP * RSTD * median(np.abs(values - middle), axis=1)[:, None]
    number = kept.sum(axis=1)
    total = np.maximum(number, 1)
    level = np.where(kept, values, 0).sum(axis=1) / total
    scatter = np.sqrt(np.where(kept, (values - level[:, None]) ** 2, 0).sum(axis=1) / total)
    enough = number >= FEWEST
    return LocalBackground(np.where(enough, level, 0), np.where(enough, scatter / np.sqrt(total), 0))


def choose_background(found: LocalBackground, sky_error: float, flux: Floats, area: float) -> LocalBackground:
    """Keep the levels of annuli only where the background of the frame is wrong.

    Parameters
    ----------
    found : LocalBackground
    sky_error : float
        Standard deviation of the background of the frame [e-].
    flux : ndarray of float64, shape (n,)
        In the largest aperture [e-].
    area : float
        Of that aperture [pix^2].

    Returns
    -------
    LocalBackground
    """
    wrong = found.used & (np.abs(found.level) > SIGNIFICANT * np.hypot(found.error, sky_error))
    wrong &= np.abs(found.level) * area > WINGS * np.abs(flux - found.level * area)
    return LocalBackground(np.where(wrong, found.level, 0), np.where(wrong, found.error, 0))
