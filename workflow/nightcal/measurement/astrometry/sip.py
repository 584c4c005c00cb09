"""Convert a plate to a FITS WCS: TAN, with SIP polynomials for the distortion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nightcal.measurement.astrometry.plate import Floats, Plate, list_powers

if TYPE_CHECKING:
    from astropy.wcs import WCS

DIGITS = {"CRVAL": 10, "CRPIX": 6}
"""Decimals of reference values and pixels."""

SIGNIFICANT = 12
"""Significant digits of the matrix."""

FINEST = 1e-8
"""Precision of a SIP coefficient: how far its rounding moves the corner [pix]. Finer digits are rounding noise."""

INVERSE_ORDER = 4
GRID = 33


def make_wcs(plate: Plate, shape: tuple[int, int]) -> WCS:
    """Convert a plate to a WCS.

    Parameters
    ----------
    plate : Plate
    shape : (int, int)
        Rows and columns of the frame, where the inverse polynomials hold.

    Returns
    -------
    astropy.wcs.WCS
        RA---TAN, DEC--TAN, or with -SIP and the coefficients A, B, AP, BP (Shupe et al. 2005, ASPC 347, 491). All
        numbers are rounded as in a header, so that both give the same coordinates.
    """
    from astropy.wcs import WCS, Sip

    matrix = plate.matrix
    offset = np.linalg.solve(matrix, plate.coefficients[:, 0])
    wcs = WCS(naxis=2)
    end = "-SIP" if plate.order > 1 else ""
    wcs.wcs.ctype = [f"RA---TAN{end}", f"DEC--TAN{end}"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = np.round([plate.ra, plate.dec], DIGITS["CRVAL"])
    wcs.wcs.crpix = np.round([plate.x - offset[0], plate.y - offset[1]], DIGITS["CRPIX"])
    wcs.wcs.cd = _round_digits(matrix)
    wcs.wcs.radesys = "ICRS"
    wcs.wcs.lonpole = 180.0
    if plate.order > 1:
        forward = np.linalg.solve(wcs.wcs.cd, _unscale(plate))
        a, b = (_arrange_square(row, plate.order, plate.size) for row in forward)
        backward = _fit_inverse(a, b, plate, shape)
        wcs.sip = Sip(a, b, *backward, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def _unscale(plate: Plate) -> Floats:
    """Convert coefficients of order 2 and up to positions in pixels, shape (2, terms); the others are 0."""
    lowest = [p + q for p, q in list_powers(plate.order)]
    return np.array(
        [
            [value / plate.size**total if total > 1 else 0.0 for value, total in zip(row, lowest, strict=True)]
            for row in plate.coefficients
        ]
    )


def _arrange_square(coefficients: Floats, order: int, size: float) -> Floats:
    """Arrange coefficients in the order of `list_powers` as a square matrix, rounded; rows are powers of x."""
    square = np.zeros((order + 1, order + 1))
    for (p, q), value in zip(list_powers(order), coefficients, strict=True):
        unit = FINEST / size ** (p + q)
        digits = int(np.floor(np.log10(abs(value) / unit))) if abs(value) > unit else -1
        square[p, q] = float(f"{value:.{digits}e}") if digits >= 0 else 0.0
    return square


def _fit_inverse(a: Floats, b: Floats, plate: Plate, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Fit the inverse polynomials, over the frame and slightly beyond."""
    rows, columns = shape
    size = plate.size
    reach_x, reach_y = (np.linspace(-1.05, 1.05, GRID) * length / 2 for length in (columns, rows))
    u, v = (values.ravel() for values in np.meshgrid(reach_x, reach_y))
    moved = [np.polynomial.polynomial.polyval2d(u, v, square) for square in (a, b)]
    s, t = (u + moved[0]) / size, (v + moved[1]) / size
    terms = [s**p * t**q for p, q in list_powers(INVERSE_ORDER)]
    matrix = np.array([[(one * two).sum() for one in terms] for two in terms])
    right = np.array([[-(term * values).sum() for values in moved] for term in terms])
    scaled = np.linalg.solve(matrix, right).T
    totals = [p + q for p, q in list_powers(INVERSE_ORDER)]
    ap, bp = (
        _arrange_square(
            np.array([value / size**total for value, total in zip(row, totals, strict=True)]), INVERSE_ORDER, size
        )
        for row in scaled
    )
    return ap, bp


def _round_digits(values: Floats) -> Floats:
    return np.array([float(f"{value:.{SIGNIFICANT}g}") for value in np.ravel(values)]).reshape(np.shape(values))
