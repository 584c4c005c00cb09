"""Cut small squares around many positions at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 64
"""Half-width of the largest cut-out [pix]."""

TABLE = 400_000
"""Largest number of pixels in cut-outs held at a time."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Stamps:
    """Pixels around n positions, k each.

    Attributes
    ----------
    which : ndarray of int64, shape (n,)
        Indices of the positions.
    rows, columns : ndarray of int64, shape (n, k)
        Pixel coordinates; those beyond the image are moved into it.
    inside : ndarray of bool, shape (n, k)
        False for pixels beyond the image.
    dx, dy : ndarray of float64, shape (n, k)
        Offsets of the pixels from the position.
    """

    which: NDArray[np.int64]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    inside: NDArray[np.bool_]
    dx: Floats
    dy: Floats

    def take_from(self, image: NDArray[Any]) -> NDArray[Any]:
        """Take these pixels from an image; 0 beyond its edges."""
        return np.where(self.inside, image[self.rows, self.columns], image.dtype.type(0))


def cut_stamps(shape: tuple[int, int], x: Floats, y: Floats, radius: Floats) -> Iterator[Stamps]:
    """Cut squares around positions, those of equal size together.

    Parameters
    ----------
    shape : (int, int)
        Of the image.
    x, y : ndarray of float64, shape (n,)
        Positions; the centre of the first pixel is 0.
    radius : ndarray of float64, shape (n,)
        Smallest half-width of each cut-out [pix]; at most `LARGEST`.

    Yields
    ------
    Stamps
    """
    half = np.minimum(np.ceil(radius), LARGEST).astype(np.int64)
    half[half > 8] = np.minimum(-(-half[half > 8] // 8) * 8, LARGEST)
    for size in np.unique(half).tolist():
        along = np.arange(-size, size + 1)
        right, up = np.tile(along, 2 * size + 1), np.repeat(along, 2 * size + 1)
        alike = np.flatnonzero(half == size)
        number = max(1, TABLE // right.size)
        for start in range(0, len(alike), number):
            which = alike[start : start + number]
            columns = np.rint(x[which]).astype(np.int64)[:, None] + right
            rows = np.rint(y[which]).astype(np.int64)[:, None] + up
            inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
            dx, dy = columns - x[which][:, None], rows - y[which][:, None]
            yield Stamps(
                which, rows.clip(0, shape[0] - 1), columns.clip(0, shape[1] - 1), inside, dx, dy
            )  # fmt: skip
