"""Convert `CCDData` of astropy to raw frames, and products to `CCDData`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from nightcal.io.product import Product

if TYPE_CHECKING:  # costs 0.3 s
    from astropy.nddata import CCDData

RawLike = Any
"""A raw frame: a path, a `CCDData` in ADU, or an array."""

IN_MEMORY = "in_memory.fits"
"""Value of ``RAWFILE`` for a frame that is not read from a file."""


@contextmanager
def open_as_file(raw: RawLike, header: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Open a raw frame as a file; an image in memory becomes a temporary file.

    Parameters
    ----------
    raw : path, CCDData or ndarray, shape (ny, nx)
        Masked pixels of a `CCDData` count as missing; its uncertainty is ignored.
    header : mapping, optional
        Header of an array; replaces that of a `CCDData`.

    Yields
    ------
    Path

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    TypeError, ValueError
        If the frame is neither a path nor a two-dimensional image in ADU.
    """
    if isinstance(raw, str | PathLike):
        if header is not None:
            raise TypeError("header is given with the path of a raw frame; expected a header only for images in memory")
        if not Path(raw).is_file():
            raise FileNotFoundError(f"raw is {str(raw)!r}; the file does not exist")
        yield Path(raw)
        return
    with tempfile.TemporaryDirectory(prefix="nightcal-") as folder:
        path = Path(folder) / IN_MEMORY
        fits.PrimaryHDU(_read_pixels(raw), _make_header(raw, header)).writeto(path, output_verify="silentfix+ignore")
        yield path


def _read_pixels(raw: Any) -> np.ndarray:
    pixels = np.asarray(getattr(raw, "data", raw))
    if pixels.ndim != 2 or pixels.dtype.kind not in "iuf":
        raise TypeError(f"raw is {type(raw).__name__}; expected a path, a CCDData, or a two-dimensional array")
    unit = getattr(raw, "unit", None)
    if unit is not None and str(unit) != "adu":
        raise ValueError(f"raw is a CCDData in {unit}; expected a raw frame in adu")
    mask = getattr(raw, "mask", None)
    if mask is None or isinstance(raw, np.ma.MaskedArray) or not np.any(mask):
        return pixels
    pixels = pixels.astype(np.float64)
    pixels[np.asarray(mask, dtype=bool)] = np.nan
    return pixels


def _make_header(raw: Any, header: Mapping[str, Any] | None) -> fits.Header:
    given = header if header is not None else getattr(raw, "header", {})
    made = given.copy() if isinstance(given, fits.Header) else fits.Header(dict(given))
    wcs = getattr(raw, "wcs", None)
    if header is None and wcs is not None:  # `CCDData.read` moves it out of the header
        made.update(wcs.to_header(relax=True))
    return made


def make_ccd_data(product: Product) -> CCDData:
    """Convert a product to the `CCDData` that `CCDData.read` would read from its file.

    Parameters
    ----------
    product : Product

    Returns
    -------
    CCDData
        With `StdDevUncertainty`, mask (True if any bit is set), unit, WCS and header; ``flags`` has the bits.
    """
    from astropy.nddata import CCDData, StdDevUncertainty

    from nightcal.measurement.astrometry.header import read_celestial_wcs

    return CCDData(
        product.data,
        uncertainty=StdDevUncertainty(product.uncertainty),
        mask=product.mask != 0,
        flags=product.mask,
        unit=product.unit,
        header=product.header,
        wcs=read_celestial_wcs(product.header),
    )
