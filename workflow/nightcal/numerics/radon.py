"""Sum an image along all straight lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VIEWS = ((False, False), (False, True), (True, False), (True, True))
"""Views of an image, transposed or not and mirrored or not; lines run down a view and to the right by up to 45 deg."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class LineSums:
    """Sums along the lines that cross strips of an image.

    Attributes
    ----------
    sums : ndarray of float32, shape (4, strips, rows, columns)
        By view, strip, slope and first column. The slope is the number of columns from the first row of a strip to the
        last.
    rows : int
        Of a strip.
    margin : int
        Columns on the left of the image.
    """

    sums: NDArray[np.float32]
    rows: int
    margin: int

    def locate(self, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Find both ends of lines.

        Parameters
        ----------
        places : ndarray of int64, shape (n, 4)
            Indices of `sums`.

        Returns
        -------
        ndarray of float64, shape (n, 2, 2)
            x and y of the centres of the first and of the last pixel.
        """
        view, strip, slope, column = places.T
        transposed, mirrored = (np.array(VIEWS)[view].T)[:, :, np.newaxis]
        rows = np.stack([strip * self.rows, (strip + 1) * self.rows - 1], axis=1)
        columns = np.stack([column, column + slope], axis=1) - self.margin
        columns = np.where(mirrored, self.margin - 1 - columns, columns)
        ends = np.where(transposed, rows, columns), np.where(transposed, columns, rows)
        return np.stack(ends, axis=2).astype(np.float64)


def sum_along_lines(image: NDArray[np.float32], shortest: int) -> Iterator[LineSums]:
    """Sum an image along all straight lines through strips of growing height.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
    shortest : int
        Height of the lowest strips [pix].

    Yields
    ------
    LineSums
        Strips of twice the height each time, the whole image last.

    Notes
    -----
    The discrete Radon transform of Brady (1998, SIAM J. Comput. 27, 107). Its partial sums find lines that end within
    the image (Nir et al. 2018, AJ 156, 229).
    """
    side = 1 << (max(image.shape) - 1).bit_length()
    square = np.zeros((side, side), np.float32)
    square[: image.shape[0], : image.shape[1]] = image
    lines = np.zeros((len(VIEWS), side, 1, 2 * side), np.float32)
    for view, (transposed, mirrored) in enumerate(VIEWS):
        seen = square.T if transposed else square
        lines[view, :, 0, side:] = seen[:, ::-1] if mirrored else seen
    while lines.shape[1] > 1:
        lines = _join_strips(lines)
        if lines.shape[2] >= shortest:
            yield LineSums(lines, lines.shape[2], side)


def _join_strips(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Join each strip with the next one."""
    first, second = lines[:, 0::2], lines[:, 1::2]
    views, strips, slopes, columns = first.shape
    joined = np.empty((views, strips, 2 * slopes, columns), np.float32)
    for slope in range(2 * slopes):
        half, shift = slope // 2, (slope + 1) // 2
        kept = columns - shift
        np.add(first[:, :, half, :kept], second[:, :, half, shift:], out=joined[:, :, slope, :kept])
        joined[:, :, slope, kept:] = first[:, :, half, kept:]
    return joined
