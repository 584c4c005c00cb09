"""Find the pixels that are hit by "cosmic rays" in most frames of a night: they are defects.

That is known only after the night, so it serves the report and the next night, never the frames themselves: a product
must not depend on other science frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag, MaskBits
from nightcal.io.atomic import write_atomically

FEWEST = 5
"""Frames in which a pixel must be hit: a minute's frame of a megapixel has a hundred hits, none thrice in a place."""

MOST = 0.5
"""Fraction of the frames in which it must be hit."""

REACH = 3
"""Hits within so many pixels of a source are left out: the core of a sharp star can pass for a hit in every frame."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class PersistentHits:
    """Pixels that are hit again and again.

    Attributes
    ----------
    pixels : ndarray of bool, shape (ny, nx)
    frames : int
        Frames that were searched.
    hits, in_them : int
        Pixels with hits in all frames, and those of them in such pixels.
    """

    pixels: Mask
    frames: int
    hits: int
    in_them: int


def find_persistent_hits(frames: Iterable[tuple[MaskBits, NDArray[np.float64]]]) -> PersistentHits:
    """Find the pixels that are hit in at least half of the frames, and in five.

    Parameters
    ----------
    frames : iterable of (ndarray of int16, ndarray of float64)
        Mask of each frame, of one shape, and row and column of its sources, 0-based, shape (n, 2).

    Returns
    -------
    PersistentHits
        Of one good pixel if there are no frames.
    """
    count, number, total = None, 0, 0
    for mask, sources in frames:
        hit = mask & Flag.COSMIC_RAY > 0
        total += int(np.count_nonzero(hit))
        for row, column in np.rint(sources).astype(int).tolist():
            hit[max(0, row - REACH) : row + REACH + 1, max(0, column - REACH) : column + REACH + 1] = False
        count = hit.astype(np.uint16) if count is None else count + hit
        number += 1
    if count is None:
        count = np.zeros((1, 1), np.uint16)
    pixels = count >= max(FEWEST, MOST * number)
    return PersistentHits(pixels, number, total, int(count[pixels].sum()))


def write_hits(path: Path, found: PersistentHits) -> None:
    """Write the pixels as a mask that ``bad_pixels`` of the configuration takes; 1 is bad."""
    from astropy.io import fits  # here, because every call of Snakemake reads this module

    header = fits.Header()
    header["NFRAMES"] = (found.frames, "frames searched")
    header["NHITS"] = (found.hits, "pixels with hits in all of them")
    header["NPERSIST"] = (int(np.count_nonzero(found.pixels)), "pixels hit in at least half of them")
    header["NINTHEM"] = (found.in_them, "hits in these pixels")
    with write_atomically(path) as name:
        fits.PrimaryHDU(found.pixels.astype(np.uint8), header).writeto(name, overwrite=True)


def describe_hits(path: Path) -> str:
    """Say how many pixels are hit again and again, and what to do about it; empty if there are none."""
    from astropy.io import fits

    header = fits.getheader(path)
    number = header["NPERSIST"]
    if not number:
        return ""
    which = "1 pixel is" if number == 1 else f"{number} pixels are"
    return (
        f"{which} hit in at least half of {header['NFRAMES']} frames, and have {header['NINTHEM']} of "
        f"{header['NHITS']} hits: no cosmic rays, but bad. For the next night: bad_pixels={path}"
    )
