"""Which raw pixels are saturated, which lie where their charge leaks to, and which hold no number at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import MASK_DTYPE, Flag

Mask = NDArray[np.bool_]

DIRECTIONS = {"up": (0, 1), "down": (0, -1), "right": (1, 1), "left": (1, -1)}
"""Axis and step of each direction in which charge may leak; up is towards higher y."""


@dataclass(frozen=True, slots=True)
class Bleed:
    """Where the charge of a saturated pixel leaks to.

    Attributes
    ----------
    directions : tuple of str
        Of ``up``, ``down``, ``left`` and ``right`` in the raw image, up towards higher y; empty: nowhere.
    pixels : int
        How far.
    """

    directions: tuple[str, ...] = ()
    pixels: int = 0


NO_BLEED = Bleed()


def flag_raw(raw: NDArray[Any], saturation: float) -> NDArray[np.uint8]:
    """Flag saturated and missing pixels of a raw image, before anything is subtracted.

    Parameters
    ----------
    raw : ndarray of any real type, shape (ny, nx)
        [ADU]
    saturation : float
        Values at or above are saturated [ADU]; infinity for none.

    Returns
    -------
    ndarray of uint8, shape (ny, nx)
        ``SATURATED`` and ``NO_DATA`` bits.
    """
    mask = np.zeros(raw.shape, dtype=MASK_DTYPE)
    mask[np.asarray(raw >= saturation)] = Flag.SATURATED
    if raw.dtype.kind == "f":
        mask[~np.isfinite(raw)] = Flag.NO_DATA
    return mask


def flag_bleed(saturated: Mask, directions: Sequence[str], pixels: int) -> Mask:
    """Find the pixels that charge of saturated ones may have leaked into.

    Parameters
    ----------
    saturated : ndarray of bool, shape (ny, nx)
        Of the whole image: a trail does not end where a strip of rows does.
    directions : sequence of str
        Of ``up`` (towards higher y), ``down``, ``left`` and ``right`` (towards higher x).
    pixels : int
        How far charge leaks, counted from the last saturated pixel.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Without the saturated pixels themselves.
    """
    reached = np.zeros(saturated.shape, dtype=bool)
    for direction in directions:
        axis, step = DIRECTIONS[direction]
        # seen from the side from which charge comes, so that it always leaks to higher index
        view = (slice(None),) * axis + (slice(None, None, step),)
        reached[view] |= _spread(np.moveaxis(saturated[view], axis, 0), pixels, axis)
    return reached & ~saturated


def _spread(saturated: Mask, pixels: int, axis: int) -> Mask:
    """Pixels up to so many rows above a saturated one; the distance that is covered doubles with each round."""
    reached = np.zeros_like(saturated)
    if pixels > 0:
        reached[1:] = saturated[:-1]
    covered = 1
    while covered < min(pixels, len(saturated)):
        more = min(covered, pixels - covered)
        reached[more:] |= reached[:-more].copy()
        covered += more
    return np.moveaxis(reached, 0, axis)
