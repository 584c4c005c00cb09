"""Small pictures of frames for the report, made by the jobs that have the pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nightcal.io.atomic import write_atomically

SIDE = 160
"""Largest number of pixels along a side."""

DARKEST, BRIGHTEST = 2.0, 99.5
"""Percentiles of the blocks that are black and white."""

SOFTENING = 0.1
"""The scale is linear below this share of the range, and logarithmic above."""

MOST_FLAGGED = 0.25
"""A block with more flagged pixels is red."""

RED = (220, 40, 40)
QUALITY = 80


def make_thumbnail(image: NDArray[Any], flagged: NDArray[np.bool_] | None = None, enlarge: int = 1) -> bytes:
    """Make a small picture of a frame.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        NaN where nothing is known.
    flagged : ndarray of bool, shape (ny, nx), optional
        Pixels that are shown in red, where they are many.
    enlarge : int
        How many pixels of the picture show one of a small image, along each side.

    Returns
    -------
    bytes
        A JPEG, the first row at the bottom; grey from black to white by an inverse hyperbolic sine.
    """
    step = max(1, -(-max(image.shape) // SIDE))
    blocks = _average_blocks(image, step)
    grey = _stretch(blocks)
    picture = np.repeat(grey[:, :, np.newaxis], 3, axis=2)
    red = ~np.isfinite(blocks)
    if flagged is not None:
        red |= _average_blocks(flagged.view(np.uint8), step) > MOST_FLAGGED
    picture[red] = RED
    picture = picture[::-1].repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _average_blocks(image: NDArray[Any], step: int) -> NDArray[np.float32]:
    """Average blocks of pixels; what is left over at the ends is not shown."""
    ny, nx = (max(side // step, 1) for side in image.shape)
    rows, columns = min(step, image.shape[0]), min(step, image.shape[1])
    blocks = image[: ny * rows, : nx * columns].reshape(ny, rows, nx, columns)
    return blocks.mean(axis=1, dtype=np.float32).mean(axis=2)


def _stretch(blocks: NDArray[np.float32]) -> NDArray[np.uint8]:
    known = blocks[np.isfinite(blocks)]
    if not known.size:
        return np.zeros(blocks.shape, np.uint8)
    low, high = np.percentile(known, (DARKEST, BRIGHTEST))
    share = np.clip((np.nan_to_num(blocks, nan=low) - low) / max(high - low, 1e-30), 0, 1)
    return np.asarray(255 * np.arcsinh(share / SOFTENING) / np.arcsinh(1 / SOFTENING)).astype(np.uint8)


def write_thumbnail(path: Path, image: NDArray[Any], flagged: NDArray[np.bool_] | None = None) -> None:
    """Write a small picture of a frame atomically.

    Parameters
    ----------
    path : Path
    image, flagged
        As for `make_thumbnail`.
    """
    with write_atomically(path) as name:
        Path(name).write_bytes(make_thumbnail(image, flagged))
