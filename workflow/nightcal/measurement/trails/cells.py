"""Bin a frame into cells, in units of their noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELL = 4
"""Side of a cell [pix]: trails are wider than two pixels, and a cell that a star fills says little of it."""

BOX = 24
"""Side of the boxes in which the sky is measured [cells]."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A frame in cells of 4 x 4 pixels.

    Attributes
    ----------
    signal : ndarray of float32, shape (ny / 4, nx / 4)
        Mean above the sky, in units of its noise; NaN where fewer than half of the pixels are good, or near saturation.
    sky, noise : ndarray of float32, shape (ny / 4, nx / 4)
        Sky and its standard deviation, for a pixel [e-].
    """

    signal: Image
    sky: Image
    noise: Image


def bin_frame(data: NDArray[Any], good: NDArray[np.bool_], saturated: NDArray[np.bool_]) -> Cells | None:
    """Bin a frame into cells and subtract the sky; pixels beyond the last whole cell are left out.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Sky included [e-].
    good, saturated : ndarray of bool, shape (ny, nx)
        Cells with a saturated pixel, and those beside them, are unknown: their charge has run along a column.

    Returns
    -------
    Cells or None
        None if the noise of the sky is 0.
    """
    import sep
    from scipy.ndimage import maximum_filter

    count = _add_cells(good.view(np.uint8), np.uint8)
    total = _add_cells(np.where(good, data, np.float32(0)), np.float32)
    poor = count < CELL**2 // 2
    if saturated.any():
        poor |= maximum_filter(_add_cells(saturated.view(np.uint8), np.uint8), size=3) > 0
    mean = total / np.maximum(count, 1)
    found = sep.Background(mean, mask=poor, bw=BOX, bh=BOX)
    sky, noise = found.back(dtype=np.float32), found.rms(dtype=np.float32)
    lowest = np.float32(0.5 * np.median(noise))
    if not lowest > 0:
        return None
    np.maximum(noise, lowest, out=noise)
    signal = (mean - sky) / noise
    signal *= np.sqrt(count, dtype=np.float32) / CELL
    signal[poor] = np.nan
    return Cells(signal, sky, noise * np.float32(CELL))


def _add_cells(image: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Add the pixels of each cell."""
    ny, nx = (side // CELL * CELL for side in image.shape)
    rows = image[0:ny:CELL, :nx].astype(dtype)
    for start in range(1, CELL):
        rows += image[start:ny:CELL, :nx]
    return rows[:, 0::CELL] + rows[:, 1::CELL] + rows[:, 2::CELL] + rows[:, 3::CELL]
