"""Build and read the table of sources: SExtractor's column names, units, FITS pixel convention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.records import UNRELIABLE
from nightcal.measurement.sources.stamps import Floats

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.sources.measure import Fluxes
    from nightcal.measurement.sources.moments import Moments

FIRST_PIXEL = 1.0
"""Coordinate of the centre of the first pixel in the FITS convention."""

COLUMNS: dict[str, tuple[str, str, str]] = {
    "NUMBER": ("i4", "", "brightest first"),
    "XWIN_IMAGE": ("f8", "pix", "windowed position; first pixel is 1"),
    "YWIN_IMAGE": ("f8", "pix", "windowed position; first pixel is 1"),
    "ERRX2WIN_IMAGE": ("f8", "pix2", "variance of the windowed x"),
    "ERRY2WIN_IMAGE": ("f8", "pix2", "variance of the windowed y"),
    "ERRXYWIN_IMAGE": ("f8", "pix2", "covariance of the windowed x and y"),
    "X_IMAGE": ("f8", "pix", "position where detected"),
    "Y_IMAGE": ("f8", "pix", "position where detected"),
    "FLUX_AUTO": ("f8", "electron", "within the Kron aperture"),
    "FLUXERR_AUTO": ("f8", "electron", "its standard deviation"),
    "KRON_RADIUS": ("f4", "", "Kron aperture in units of A_IMAGE and B_IMAGE"),
    "FLUX_APER": ("f8", "electron", "within circular apertures"),
    "FLUXERR_APER": ("f8", "electron", "their standard deviations"),
    "FLUX_RADIUS": ("f4", "pix", "radius of half of FLUX_AUTO"),
    "FWHM_IMAGE": ("f4", "pix", "from the moments; of stars, the FWHM of the frame"),
    "A_IMAGE": ("f4", "pix", "standard deviation along the long axis"),
    "B_IMAGE": ("f4", "pix", "standard deviation along the short axis"),
    "THETA_IMAGE": ("f4", "deg", "of the long axis, from x towards y"),
    "ELONGATION": ("f4", "", "A_IMAGE / B_IMAGE"),
    "BACKGROUND": ("f4", "electron", "sky under the source, of a pixel"),
    "LOCAL_SKY": ("i2", "", "1: sky from an annulus, 0: from the frame"),
    "FLUX_MAX": ("f4", "electron", "brightest pixel above the sky"),
    "SNR_WIN": ("f4", "", "windowed signal to noise"),
    "FLAGS": ("i2", "", "1 bad pixel 2 deblended 4 saturated 8 edge 16 cosmic ray"),
}
"""Data type, unit and meaning of each column."""


def make_table(
    objects: Any,
    moments: Moments,
    fluxes: Fluxes,
    sky: Floats,
    local: NDArray[np.bool_],
    peaks: Floats,
    flags: NDArray[Any],
    diameters: Floats,
) -> Table:
    """Arrange measurements in a table, brightest source first.

    Parameters
    ----------
    objects : structured ndarray, shape (n,)
        From `sep.extract`.
    moments : Moments
    fluxes : Fluxes
    sky, peaks : ndarray of float64, shape (n,)
        Sky at each source, and its brightest pixel [e-].
    local : ndarray of bool, shape (n,)
        Whether the sky is that of an annulus.
    flags : ndarray of int16, shape (n,)
    diameters : ndarray of float64
        Diameters of the circular apertures [pix].

    Returns
    -------
    astropy.table.Table
        With ``meta["APERTURES"]``, the diameters [pix].
    """
    order = np.lexsort((moments.x, moments.y, -fluxes.auto))
    values = {
        "NUMBER": np.argsort(order) + 1,
        "XWIN_IMAGE": moments.x + FIRST_PIXEL,
        "YWIN_IMAGE": moments.y + FIRST_PIXEL,
        "ERRX2WIN_IMAGE": moments.error_x,
        "ERRY2WIN_IMAGE": moments.error_y,
        "ERRXYWIN_IMAGE": moments.error_xy,
        "X_IMAGE": objects["x"] + FIRST_PIXEL,
        "Y_IMAGE": objects["y"] + FIRST_PIXEL,
        "FLUX_AUTO": fluxes.auto,
        "FLUXERR_AUTO": fluxes.auto_error,
        "KRON_RADIUS": fluxes.kron,
        "FLUX_APER": fluxes.aperture,
        "FLUXERR_APER": fluxes.aperture_error,
        "FLUX_RADIUS": fluxes.half_light_radius,
        "FWHM_IMAGE": moments.fwhm,
        "A_IMAGE": moments.a,
        "B_IMAGE": moments.b,
        "THETA_IMAGE": moments.theta,
        "ELONGATION": moments.a / moments.b,
        "BACKGROUND": sky,
        "LOCAL_SKY": local,
        "FLUX_MAX": peaks,
        "SNR_WIN": moments.snr,
        "FLAGS": flags,
    }
    return _build_table({name: value[order] for name, value in values.items()}, diameters)


def make_empty_table(diameters: Floats) -> Table:
    """Make a table without sources, with all columns."""
    wide = {"FLUX_APER", "FLUXERR_APER"}
    return _build_table({name: np.zeros((0, len(diameters)) if name in wide else 0) for name in COLUMNS}, diameters)


def _build_table(values: dict[str, NDArray[Any]], diameters: Floats) -> Table:
    from astropy.table import Column, Table

    columns = [
        Column(values[name].astype(kind), name, unit=unit or None, description=meaning)
        for name, (kind, unit, meaning) in COLUMNS.items()
    ]
    return Table(columns, meta={"APERTURES": [float(diameter) for diameter in diameters]}, copy=False)


def read_column(table: Table, name: str) -> Floats:
    """Read a column as a plain array of float64, NaN where masked."""
    # arithmetic with a Column is ten times slower
    return np.asarray(np.ma.filled(np.ma.asarray(table[name]).astype(np.float64), np.nan))


def find_reliable_sources(table: Table) -> NDArray[np.bool_]:
    """Find the sources without an `UNRELIABLE` flag."""
    return (np.asarray(table["FLAGS"]).astype(np.int64) & UNRELIABLE) == 0
