"""The table of a frame's sources: SExtractor's names, units, FITS positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.stamps import Floats

if TYPE_CHECKING:
    from astropy.table import Table

    from nightcal.measurement.sources.measure import Fluxes
    from nightcal.measurement.sources.moments import Moments

FIRST_PIXEL = 1.0
"""Position of the centre of the first pixel in the FITS convention."""

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
    "FLUX_MAX": ("f4", "electron", "brightest pixel above the sky"),
    "SNR_WIN": ("f4", "", "windowed signal to noise"),
    "FLAGS": ("i2", "", "1 bad pixel 2 deblended 4 saturated 8 edge 16 cosmic ray"),
}
"""Data type, unit and meaning of each column."""


def table_of(
    objects: Any, moments: Moments, fluxes: Fluxes, sky: Floats, peaks: Floats, flags: NDArray[Any], diameters: Floats
) -> Table:
    """Bring measurements into a table, brightest first.

    Parameters
    ----------
    objects : structured ndarray, shape (n,)
        As `sep.extract` returns it.
    moments : Moments
    fluxes : Fluxes
    sky, peaks : ndarray of float64, shape (n,)
        Sky at each source and its brightest pixel [e-].
    flags : ndarray of int16, shape (n,)
    diameters : ndarray of float64
        Of the circular apertures [pix].

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
        "FLUX_RADIUS": fluxes.half_light,
        "FWHM_IMAGE": moments.fwhm,
        "A_IMAGE": moments.a,
        "B_IMAGE": moments.b,
        "THETA_IMAGE": moments.theta,
        "ELONGATION": moments.a / moments.b,
        "BACKGROUND": sky,
        "FLUX_MAX": peaks,
        "SNR_WIN": moments.snr,
        "FLAGS": flags,
    }
    return _table({name: value[order] for name, value in values.items()}, diameters)


def empty_table(diameters: Floats) -> Table:
    """Table of no sources, with all columns."""
    wide = {"FLUX_APER", "FLUXERR_APER"}
    return _table({name: np.zeros((0, len(diameters)) if name in wide else 0) for name in COLUMNS}, diameters)


def _table(values: dict[str, NDArray[Any]], diameters: Floats) -> Table:
    from astropy.table import Column, Table

    columns = [
        Column(values[name].astype(kind), name, unit=unit or None, description=meaning)
        for name, (kind, unit, meaning) in COLUMNS.items()
    ]
    return Table(columns, meta={"APERTURES": [float(diameter) for diameter in diameters]}, copy=False)
