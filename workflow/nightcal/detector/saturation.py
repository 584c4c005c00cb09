"""Flag raw pixels that are saturated, next to saturation in the leak direction, or without data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import MASK_DTYPE, Flag, MaskBits

Mask = NDArray[np.bool_]

DIRECTIONS = {"up": (0, 1), "down": (0, -1), "right": (1, 1), "left": (1, -1)}
"""Axis and step of the directions in which charge may leak; up is towards higher y."""


@dataclass(frozen=True, slots=True)
class Bleed:
    """Directions in which saturated pixels bleed.

    Attributes
    ----------
    directions : tuple of str
        Any of ``up``, ``down``, ``left`` and ``right`` in the raw image, up towards higher y; empty for no bleeding.
    pixels : int
        Length of the trail.
    """

    directions: tuple[str, ...] = ()
    pixels: int = 0


NO_BLEED = Bleed()


def flag_raw(raw: NDArray[Any], saturation: float) -> MaskBits:
    """Flag saturated and missing pixels of a raw image, before anything is subtracted.

    Parameters
    ----------
    raw : ndarray of any real type, shape (ny, nx)
        [ADU]
    saturation : float
        Values at or above are saturated [ADU]; infinity for no limit.

    Returns
    -------
    ndarray of int16, shape (ny, nx)
        ``SATURATED`` and ``NO_DATA`` bits.
    """
    mask = np.zeros(raw.shape, dtype=MASK_DTYPE)
    mask[np.asarray(raw >= saturation)] = Flag.SATURATED
    if raw.dtype.kind == "f":
        mask[~np.isfinite(raw)] = Flag.NO_DATA
    return mask


def flag_bleed(saturated: Mask, directions: Sequence[str], pixels: int) -> Mask:
    """Find the pixels next to saturated ones in the leak directions.

    Parameters
    ----------
    saturated : ndarray of bool, shape (ny, nx)
        Of the whole image, since trails cross strips of rows.
    directions : sequence of str
        Any of ``up`` (towards higher y), ``down``, ``left`` and ``right`` (towards higher x).
    pixels : int
        Length of the trail from the last saturated pixel.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        Without the saturated pixels themselves.
    """
    reached = np.zeros(saturated.shape, dtype=bool)
    for direction in directions:
        axis, step = DIRECTIONS[direction]
        few = np.flatnonzero(saturated.any(axis=axis))  # columns, or rows, that hold saturated pixels
        lanes = (slice(None),) * (1 - axis) + (few,)
        reached[lanes] |= _extend(saturated.take(few, axis=1 - axis), axis, step, pixels)
    return reached & ~saturated


def _extend(saturated: Mask, axis: int, step: int, pixels: int) -> Mask:
    """Extend saturated pixels in one direction; the distance covered doubles at every step."""

    def shifted(by: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        far, near = ((slice(None),) * axis + (part,) for part in (slice(by, None), slice(None, -by)))
        return (far, near) if step > 0 else (near, far)

    reached = np.zeros_like(saturated)
    covered, longest = 0, min(pixels, saturated.shape[axis])
    while covered < longest:
        by = min(max(covered, 1), longest - covered)
        into, out_of = shifted(by)
        reached[into] |= reached[out_of].copy() if covered else saturated[out_of]
        covered += by
    return reached
