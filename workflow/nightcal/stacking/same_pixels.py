"""Find raw frames with the same pixels: copies under other names, or an exposure that was written twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.io.raw_image import RawImage

SAMPLED_ROWS = 8


class SeenPixels:
    """Frames seen so far, by a few of their rows."""

    def __init__(self) -> None:
        self._seen: dict[bytes, tuple[str, Path]] = {}

    def find(self, image: RawImage, name: str) -> str:
        """Find an earlier frame with the same pixels.

        Parameters
        ----------
        image : RawImage
        name : str
            For later frames.

        Returns
        -------
        str
            Name of the earlier frame; empty if there is none. Frames whose pixels are all equal are not compared: they
            have no noise to tell two exposures apart.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """
        sample = _sample_rows(image)
        if np.ptp(sample) == 0:
            return ""
        other, path = self._seen.setdefault(sample.tobytes(), (name, image.path))
        return "" if path == image.path or not _are_equal(image, path) else other


def _sample_rows(image: RawImage) -> NDArray[Any]:
    rows = sorted({int(row) for row in np.linspace(0, image.shape[0] - 1, SAMPLED_ROWS + 2)[1:-1]})
    return np.concatenate([image.rows(row, row + 1) for row in rows])


def _are_equal(image: RawImage, path: Path) -> bool:
    """Compare all pixels: a few rows may agree by chance where there is little noise."""
    with RawImage(path) as other:
        pairs = zip(image.planes, other.planes, strict=False)
        return len(image.planes) == len(other.planes) and all(
            np.array_equal(plane.read(), same.read(), equal_nan=True) for plane, same in pairs
        )
