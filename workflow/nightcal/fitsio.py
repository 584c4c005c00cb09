"""Writing products whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.checksum import encoded, folded, sum_of_bytes, sum_of_words
from nightcal.files import whole
from nightcal.flags import MEANINGS, Flag

BLOCK = 2880
"""Bytes of a FITS block."""

WRITE_ROWS = 16


@dataclass(frozen=True, slots=True)
class Product:
    """What nightcal writes: an image with its error and mask.

    Attributes
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        In ``unit``; the uncertainty is one standard deviation.
    mask : ndarray of uint8, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    unit : str
        As in BUNIT; empty for a ratio.
    header : astropy.io.fits.Header
    survivors : ndarray of int16, shape (ny, nx), optional
        For a stack, how many frames each pixel was averaged over.
    """

    data: NDArray[Any]
    uncertainty: NDArray[np.float32]
    mask: NDArray[np.uint8]
    unit: str
    header: fits.Header
    survivors: NDArray[np.int16] | None = None


class ProductFile:
    """A product that is written by rows: image, ``UNCERT``, ``MASK``, and for a stack ``NUSED``.

    Parameters
    ----------
    file : int
        Descriptor of an empty file.
    shape : (int, int)
        Rows and columns.
    unit : str
        As in BUNIT; empty for a ratio.
    header : astropy.io.fits.Header
    dtype : data type
        Of the image.
    survivors : bool
        Whether there will be numbers of survivors.

    Attributes
    ----------
    header : astropy.io.fits.Header
        That of the image, a copy. Numbers and flags may still change until `finish`, the number of cards may not.
    """

    def __init__(
        self,
        file: int,
        shape: tuple[int, int],
        unit: str,
        header: fits.Header,
        dtype: Any = np.float32,
        survivors: bool = False,
    ) -> None:
        self.file = file
        primary = fits.PrimaryHDU(_blank(shape, dtype), header=header)
        primary.header.set("EXTEND", True, after="NAXIS2")
        primary.header["BUNIT"] = (unit, "unit of the image")
        uncertainty = fits.ImageHDU(_blank(shape, np.float32), name="UNCERT")
        uncertainty.header["UTYPE"] = ("StdDevUncertainty", "one standard deviation")
        uncertainty.header["BUNIT"] = (unit, "unit of the uncertainty")
        mask = fits.ImageHDU(_blank(shape, np.uint8), name="MASK")
        for name, meaning in MEANINGS.items():
            mask.header[f"BIT{getattr(Flag, name)}"] = (name, meaning)
        if "SKIPPED" in header:
            mask.header["SKIPPED"] = (header["SKIPPED"], "steps that no pixel of this frame had")
        hdus = [primary, uncertainty, mask]
        if survivors:
            hdus.append(fits.ImageHDU(_blank(shape, np.int16), name="NUSED"))
            hdus[-1].header["BUNIT"] = ("", "frames averaged")
        self._parts = []
        start = 0
        for hdu, kind in zip(hdus, (dtype, np.float32, np.uint8, np.int16), strict=False):
            hdu.verify("silentfix+ignore")
            hdu.header["CHECKSUM"] = ("0" * 16, "of the HDU; FITS standard 4.4.2.7")
            hdu.header["DATASUM"] = ("0" * 10, "of its data")
            self._parts.append(_Part(hdu.header, np.dtype(kind), start, shape))
            start = self._parts[-1].stop
        self.header = primary.header

    def write(self, start: int, *images: NDArray[Any]) -> None:
        """Write some rows.

        Parameters
        ----------
        start : int
            The first of them.
        *images : ndarray, shape (rows, nx), C-contiguous
            Image, uncertainty, mask and, where promised, survivors, in the data types promised.
        """
        for part, image in zip(self._parts, images, strict=True):
            part.write(self.file, start, image)

    def finish(self) -> None:
        """Write headers, with checksums, and padding."""
        for part in self._parts:
            part.finish(self.file)


class _Part:
    """One HDU of a product: its header, where it lies in the file, and the sum of what was written."""

    def __init__(self, header: fits.Header, dtype: np.dtype[Any], start: int, shape: tuple[int, int]) -> None:
        self.header, self.dtype, self.start, self.columns = header, dtype, start, shape[1]
        self.data = start + len(_text(header))
        self.size = shape[0] * shape[1] * dtype.itemsize
        self.stop = self.data - (-self.size // BLOCK) * BLOCK
        self.sum = 0

    def write(self, file: int, start: int, rows: NDArray[Any]) -> None:
        place = start * self.columns * self.dtype.itemsize
        stored = rows.astype(self.dtype.newbyteorder(">"), copy=False).reshape(-1).view(np.uint8)
        self.sum += sum_of_words(rows) if self.dtype.itemsize == 4 else sum_of_bytes(stored, place)
        _write_all(file, stored, self.data + place)

    def finish(self, file: int) -> None:
        self.header["DATASUM"] = f"{folded(self.sum):010d}"
        self.header["CHECKSUM"] = "0" * 16
        text = _text(self.header)
        self.header["CHECKSUM"] = encoded(self.sum + sum_of_bytes(np.frombuffer(text, np.uint8)))
        text = _text(self.header)
        if self.start + len(text) != self.data:
            raise ValueError("cards were added to the header of a product that is being written")
        _write_all(file, np.frombuffer(text, np.uint8), self.start)
        os.ftruncate(file, max(self.stop, os.fstat(file).st_size))


def _blank(shape: tuple[int, int], dtype: Any) -> NDArray[Any]:
    """Give an image for its shape and data type only, which takes no memory."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def _text(header: fits.Header) -> bytes:
    return bytes(header.tostring().encode("ascii"))


def _write_all(file: int, content: NDArray[np.uint8], place: int) -> None:
    written = 0
    while written < content.size:
        written += os.pwrite(file, content[written:].data, place + written)


def write_product(path: Path, product: Product) -> None:
    """Write a product under a temporary name beside its own, then rename: it appears whole or not at all.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    product : Product
    """
    images = [product.data, product.uncertainty, product.mask]
    if product.survivors is not None:
        images.append(product.survivors)
    with product_file(
        path, product.mask.shape, product.unit, product.header, product.data.dtype, product.survivors is not None
    ) as file:
        for start in range(0, len(product.mask), WRITE_ROWS):
            file.write(start, *(image[start : start + WRITE_ROWS] for image in images))


@contextmanager
def product_file(
    path: Path,
    shape: tuple[int, ...],
    unit: str,
    header: fits.Header,
    dtype: Any = np.float32,
    survivors: bool = False,
) -> Iterator[ProductFile]:
    """Write a product by rows, under a temporary name that becomes its own when the block ends well.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    shape, unit, header, dtype, survivors
        As for `ProductFile`.
    """
    with whole(path) as name:
        descriptor = os.open(name, os.O_RDWR)
        try:
            file = ProductFile(descriptor, (shape[0], shape[1]), unit, header, dtype, survivors)
            yield file
            file.finish()
        finally:
            os.close(descriptor)
