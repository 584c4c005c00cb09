"""`CCDData` of astropy, in and out of the low-level interface."""

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
"""A raw frame: the path of a file, a `CCDData` in ADU, or an array."""

IN_MEMORY = "in_memory.fits"
"""What ``RAWFILE`` says of a frame that is no file."""


@contextmanager
def as_file(raw: RawLike, header: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Give a raw frame as a file, an image in memory as a temporary one.

    Parameters
    ----------
    raw : path, CCDData or ndarray, shape (ny, nx)
        Pixels under the mask of a `CCDData` count as missing; its uncertainty is not used.
    header : mapping, optional
        Of an array; in place of a `CCDData`'s own.

    Yields
    ------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If it is neither a path nor an image of two dimensions in ADU.
    """
    if isinstance(raw, str | PathLike):
        if header is not None:
            raise TypeError("header is given beside the path of a raw frame, which has its own")
        if not Path(raw).is_file():
            raise FileNotFoundError(f"raw is {str(raw)!r}; there is no such file")
        yield Path(raw)
        return
    with tempfile.TemporaryDirectory(prefix="nightcal-") as folder:
        path = Path(folder) / IN_MEMORY
        fits.PrimaryHDU(_pixels(raw), _header(raw, header)).writeto(path, output_verify="silentfix+ignore")
        yield path


def _pixels(raw: Any) -> np.ndarray:
    pixels = np.asarray(getattr(raw, "data", raw))
    if pixels.ndim != 2 or pixels.dtype.kind not in "iuf":
        raise TypeError(f"raw is {type(raw).__name__}; expected a path, a CCDData, or an array of two dimensions")
    unit = getattr(raw, "unit", None)
    if unit is not None and str(unit) != "adu":
        raise ValueError(f"raw is a CCDData in {unit}; expected a raw frame in adu")
    mask = getattr(raw, "mask", None)
    if mask is None or isinstance(raw, np.ma.MaskedArray) or not np.any(mask):
        return pixels
    pixels = pixels.astype(np.float64)
    pixels[np.asarray(mask, dtype=bool)] = np.nan
    return pixels


def _header(raw: Any, header: Mapping[str, Any] | None) -> fits.Header:
    given = header if header is not None else getattr(raw, "header", {})
    made = given.copy() if isinstance(given, fits.Header) else fits.Header(dict(given))
    wcs = getattr(raw, "wcs", None)
    if header is None and wcs is not None:  # `CCDData.read` moves it out of the header
        made.update(wcs.to_header(relax=True))
    return made


def make_ccd_data(product: Product) -> CCDData:
    """Turn a product into what `CCDData.read` makes of its file, without a file.

    Parameters
    ----------
    product : Product

    Returns
    -------
    CCDData
        Data, `StdDevUncertainty`, mask (true where any bit is set), unit, WCS and header; the bits themselves are its
        ``flags``.
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
