"""Sky background: a smooth surface through the mean levels of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.blocks import bracket, cut_blocks, find_middles, find_neighbours, interpolate
from nightcal.numerics.robust import RSTD

CLIP = 4.0
"""Pixels within this many standard deviations of the sky enter the mean of a box."""

ENOUGH = 0.2
"""Fraction of the pixels of a box that must be free of sources."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Background:
    """Sky background of a frame.

    Attributes
    ----------
    level : ndarray of float32, shape (ny, nx)
        In the unit of the frame.
    sky : float
        Median of the boxes.
    noise : float
        Standard deviation of a pixel of the sky, median of the boxes.
    error : float
        Standard deviation of the level, from the number of pixels in a box.
    """

    level: Image
    sky: float
    noise: float
    error: float


def estimate_background(data: Image, hidden: NDArray[np.bool_], box: int, smooth: bool = True) -> tuple[Image, Image]:
    """Estimate the sky and its noise from the mode in boxes, as SExtractor does, without masking sources.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        C-contiguous.
    hidden : ndarray of bool, shape (ny, nx)
        Pixels that must not be used.
    box : int
        Side of a box [pix].
    smooth : bool
        Whether to replace each box by the median of 3 x 3 boxes: bright stars then leave no trace in the sky, but the
        peaks and edges of a nebula stay in the frame.

    Returns
    -------
    level, noise : ndarray of float32, shape (ny, nx)
    """
    import sep

    found = sep.Background(data, mask=hidden, bw=box, bh=box, fw=3 if smooth else 1, fh=3 if smooth else 1)
    if (found.globalback, found.globalrms) == (0, 1):  # what sep says where no box is at least half visible
        visible = data[~hidden]
        middle = np.median(visible)
        spread = RSTD * np.median(np.abs(visible - middle))
        return np.full_like(data, middle), np.full_like(data, spread)
    return found.back(dtype=np.float32), found.rms(dtype=np.float32)


def mask_discs(mask: NDArray[np.bool_], x: NDArray[Any], y: NDArray[Any], radius: NDArray[Any] | float) -> None:
    """Mark the pixels of discs around sources.

    Parameters
    ----------
    mask : ndarray of bool, shape (ny, nx)
        Changed in place.
    x, y : ndarray of float64, shape (n,)
        Centres; the centre of the first pixel is 0.
    radius : ndarray of float64, shape (n,), or float
        [pix]
    """
    import sep

    ones = np.ones(len(x))
    sep.mask_ellipse(mask, x, y, ones, ones, 0 * ones, radius)


def refine_background(data: Image, taken: NDArray[np.bool_], level: Image, noise: Image, box: int) -> Background:
    """Measure the sky again, from the mean of the pixels between the sources.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
    taken : ndarray of bool, shape (ny, nx)
        Pixels of sources, and pixels that must not be used.
    level, noise : ndarray of float32, shape (ny, nx)
        From `estimate_background`; a box with too few free pixels keeps its level.
    box : int
        Side of a box [pix].

    Returns
    -------
    Background

    Notes
    -----
    SExtractor's mode, 2.5 median - 1.5 mean, lies 0.4 e- below the mean of a Poisson distribution (100 e- in an
    aperture of 250 pixels) and is twice as noisy as the mean. With the sources masked, the mean within 4 sigma is safe.
    """
    rows, columns = (cut_blocks(length, max(1, round(length / box)), nearest=True) for length in data.shape)
    count, first, second = (np.zeros((len(rows) - 1, len(columns) - 1)) for _ in range(3))
    for i in range(len(rows) - 1):
        strip = slice(rows[i], rows[i + 1])
        residual = data[strip] - level[strip]
        kept = np.abs(residual) <= CLIP * noise[strip]
        kept &= ~taken[strip]
        residual[~kept] = 0
        count[i] = np.add.reduceat(kept.sum(axis=0), columns[:-1])
        first[i] = np.add.reduceat(residual.sum(axis=0, dtype=np.float64), columns[:-1])
        residual *= residual
        second[i] = np.add.reduceat(residual.sum(axis=0, dtype=np.float64), columns[:-1])
    enough = count >= ENOUGH * np.outer(np.diff(rows), np.diff(columns))
    return _of_boxes(level, noise, rows, columns, enough, count, first, second)


def _of_boxes(
    level: Image, noise: Image, rows: Any, columns: Any, enough: Any, count: Any, first: Any, second: Any
) -> Background:
    total = np.maximum(count, 1)
    shift = np.where(enough, first / total, np.nan)
    scatter = np.sqrt(np.maximum(second / total - (first / total) ** 2, 0))
    centers = [find_middles(edges) for edges in (rows, columns)]
    sky = level[np.ix_(centers[0].astype(int), centers[1].astype(int))].astype(np.float64)
    sky += np.nan_to_num(shift)
    refined = level.copy()
    _add_surface(refined, _mended(shift), centers)
    if enough.any():
        quiet = float(np.median(scatter[enough]))
        error = quiet / np.sqrt(np.median(count[enough]))
    else:
        quiet = float(np.median(noise))
        error = 2 * quiet / np.sqrt(np.diff(rows).mean() * np.diff(columns).mean())  # the mode is twice as noisy
    return Background(refined, float(np.median(sky)), quiet, float(error))


def _mended(shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give a box without sky no shift; a box that stands out takes the median of its neighbourhood."""
    shift = np.where(np.isfinite(shift), shift, 0.0)
    middle = np.median(find_neighbours(shift, mode="edge"), axis=(-2, -1))
    spread = RSTD * np.median(np.abs(shift - middle))
    return np.where(np.abs(shift - middle) > 4 * spread, middle, shift)


def _add_surface(image: Image, values: NDArray[np.float64], centers: list[NDArray[np.float64]]) -> None:
    """Add values at the centres of boxes to an image, straight lines between them."""
    (ny, nx), (rows, columns) = image.shape, centers
    wide = interpolate(values, columns, np.arange(nx), axis=1, hold=True).astype(np.float32)
    step = np.diff(wide, axis=0, append=wide[-1:])
    low, _, part = bracket(np.arange(ny), rows, hold=True)
    for y, (box, share) in enumerate(zip(low.tolist(), part.astype(np.float32), strict=True)):
        image[y] += wide[box]
        image[y] += step[box] * share
