"""One colour of a mosaic as an image of its own: its pixels, and what its header says about them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.io.colour_mosaic import OFFSET_CARDS, PATTERN_CARDS, is_pattern
from nightcal.io.raw_header import RawHeader
from nightcal.io.raw_image import Buffer, RawImage

SIZE_CARDS = (
    "XPIXSZ", "YPIXSZ", "PIXSIZE1", "PIXSIZE2", "PIXSCALE", "PIXSCAL1", "PIXSCAL2", "SECPIX", "SECPIX1", "SECPIX2",
    "PLTSCALE", "SCALE", "CCDSCALE",
)  # fmt: skip
"""Keywords with the size of a pixel, which is twice as large in a plane."""


def adapt_header(header: fits.Header, grid: tuple[int, int]) -> None:
    """Adapt the header of a mosaic to one of its colours: pixels of twice the size, no mosaic any more.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    grid : (int, int)
        First row and column of the colour in the mosaic.
    """
    others = [name for name in header if name not in ("", "COMMENT", "HISTORY") and is_pattern(header[name])]
    for card in (*PATTERN_CARDS, *OFFSET_CARDS, *others):
        header.remove(card, ignore_missing=True, remove_all=True)
    for name in list(header):
        value = header[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if match := re.fullmatch(r"CRPIX([12])[A-Z]?", name):
            header[name] = (value - grid[2 - int(match[1])] + 1) / 2
        elif match := re.fullmatch(r"[AB]P?_(\d)_(\d)", name):  # SIP: in powers of pixels
            header[name] = value * 2.0 ** (int(match[1]) + int(match[2]) - 1)
        elif name in SIZE_CARDS or re.fullmatch(r"CD[12]_[12][A-Z]?|CDELT[12][A-Z]?", name):
            header[name] = 2 * value


class ColourPlane(RawImage):
    """One colour of a mosaic, read like any other frame.

    Parameters
    ----------
    whole : RawImage
        The mosaic.
    header : RawHeader
        From `select_plane`.
    """

    def __init__(self, whole: RawImage, header: RawHeader) -> None:
        super().__init__(whole.path, (header, whole._file))
        self._whole = whole

    @property
    def planes(self) -> tuple[RawImage, ...]:
        """The colour itself: a mosaic has one image plane."""
        return (self,)

    def hold(self, buffer: Buffer | None = None) -> RawImage:
        """Keep the file in memory; see `RawImage.hold`."""
        self._whole.hold(buffer)
        return self

    def words(self, start: int, stop: int, out: NDArray[np.uint16] | None = None) -> NDArray[np.uint16]:
        """Read rows of the colour as FITS stores them; see `RawImage.words`."""
        words = self._thin(self._whole.words(2 * start, 2 * stop))
        if out is None:
            return np.ascontiguousarray(words)
        out[:] = words
        return out

    def rows(self, start: int, stop: int) -> NDArray[np.generic]:
        """Read rows of the colour; see `RawImage.rows`."""
        return np.ascontiguousarray(self._thin(self._whole.rows(2 * start, 2 * stop)))

    def _thin(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Take the pixels of the colour from whole rows of the mosaic."""
        top, left = self.header.grid or (0, 0)
        return rows[top::2, left : 2 * self.shape[1] : 2]
