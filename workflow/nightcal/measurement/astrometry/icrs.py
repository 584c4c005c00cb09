"""Find ICRS coordinates and the pixel scale of any celestial WCS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from astropy.wcs import WCS


def find_icrs(wcs: WCS, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
    """Find the sky coordinates of pixels with any celestial WCS.

    Parameters
    ----------
    wcs : astropy.wcs.WCS
        Of any equinox, or galactic.
    x, y : array_like of float, shape (n,)
        The first pixel is 1.

    Returns
    -------
    ndarray of float64, shape (2, n)
        Right ascension and declination, ICRS [deg].

    Raises
    ------
    ValueError
        If the WCS has coordinates that cannot be converted, such as solar ones.
    """
    from astropy.coordinates import ICRS, SkyCoord
    from astropy.wcs.utils import wcs_to_celestial_frame

    frame = wcs_to_celestial_frame(wcs)
    axes = wcs.all_pix2world(np.atleast_1d(x), np.atleast_1d(y), 1)
    lon, lat = axes[wcs.wcs.lng] % 360, axes[wcs.wcs.lat]
    if isinstance(frame, ICRS):
        return np.array([lon, lat])
    there = SkyCoord(lon, lat, unit="deg", frame=frame).icrs
    return np.array([there.ra.deg, there.dec.deg])


def measure_scale(wcs: WCS) -> float:
    """Measure the scale of a WCS at its reference pixel [arcsec/pix]; the mean of both axes."""
    return float(3600 * np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))))
