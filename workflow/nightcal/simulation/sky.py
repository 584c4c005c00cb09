"""Simulate a field of stars of known positions, magnitudes and colours, as seen by a telescope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.io.atomic import write_text

Floats = NDArray[np.float64]
Rng = np.random.Generator

CENTRE = 187.5, 12.4
"""Right ascension and declination of the field [deg]."""

SCALE = 1.0
"""Pixel scale at the centre of a frame [arcsec/pix]."""

ROTATION = 12.0
"""Rotation of the camera on the sky [deg]."""

DISTORTION = 0.002
"""Distortion in the corners, as a fraction of their distance from the centre."""

MARGIN = 0.1
"""Stars extend beyond each side of a frame by this fraction of its length."""

FAINTEST, BRIGHTEST = 20.0, 6000.0
"""Range of count rates of the stars [e-/s]; their number falls as rate^-1.7."""

CATALOG_NOISE = {"position": 0.02, "magnitude": 0.01}
"""Errors of the catalogue [arcsec, mag]."""


@dataclass(frozen=True, slots=True)
class Passband:
    """Response of telescope and filter to a star: ``band = zero_point - 2.5 log10(rate) + colour_term * colour``.

    Attributes
    ----------
    band : str
        Band of the catalogue.
    colour : (str, str)
        Two bands that make the colour.
    zero_point : float
        Magnitude of a star of colour 0 with 1 e-/s.
    colour_term : float
    """

    band: str
    colour: tuple[str, str]
    zero_point: float
    colour_term: float

    def compute_rate(self, magnitudes: Mapping[str, Floats]) -> Floats:
        """Compute the count rates of stars [e-/s]."""
        blue, red = self.colour
        colour = magnitudes[blue] - magnitudes[red]
        return 10 ** (-0.4 * (magnitudes[self.band] - self.zero_point - self.colour_term * colour))


PASSBANDS = {
    "B": Passband("B", ("B", "V"), 22.1, 0.05),
    "V": Passband("V", ("B", "V"), 22.5, -0.04),
    "R": Passband("r", ("g", "r"), 22.8, -0.09),
    "r": Passband("r", ("g", "r"), 22.9, 0.02),
}
"""Passbands of the simulated telescope, by filter."""

WHITE = PASSBANDS["V"]
"""Passband of filters that are not listed."""


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """Stars of a simulated field.

    Attributes
    ----------
    ra, dec : ndarray of float64
        [deg, ICRS]
    magnitudes : mapping of str to ndarray
        In the bands B, V, g and r.
    shape : (int, int)
        Rows and columns of a frame.
    """

    ra: Floats
    dec: Floats
    magnitudes: Mapping[str, Floats]
    shape: tuple[int, int]

    def render(self, filter_name: str | None, pointing: tuple[float, float], fwhm: float) -> Floats:
        """Render all stars [e-/s], shape (ny, nx).

        Parameters
        ----------
        filter_name : str or None
        pointing : (float, float)
            Right ascension and declination of the centre of the frame [deg].
        fwhm : float
            Of the stars [pix].
        """
        x, y = make_camera_wcs(self.shape, pointing).all_world2pix(self.ra, self.dec, 0, tolerance=1e-6)
        return paint(self.shape, x, y, PASSBANDS.get(filter_name or "", WHITE).compute_rate(self.magnitudes), fwhm)

    def write_catalog(self, path: Path, rng: Rng) -> None:
        """Write a catalogue of these stars, with errors.

        Parameters
        ----------
        path : Path
            A CSV file, replaced if it exists.
        rng : numpy.random.Generator
        """
        offset = CATALOG_NOISE["position"] / 3600
        columns = {
            "ra": self.ra + rng.normal(0, offset, self.ra.size) / np.cos(np.radians(self.dec)),
            "dec": self.dec + rng.normal(0, offset, self.ra.size),
        }
        for band, magnitude in self.magnitudes.items():
            columns[band] = magnitude + rng.normal(0, CATALOG_NOISE["magnitude"], magnitude.size)
            columns[f"e_{band}"] = np.full(magnitude.size, CATALOG_NOISE["magnitude"])
        rows = zip(*columns.values(), strict=True)
        lines = (",".join(f"{value:.7f}" for value in row) for row in rows)
        write_text(path, "\n".join([",".join(columns), *lines, ""]))


def make_sky(
    shape: tuple[int, int], n_stars: int, rng: Rng, saturating: Sequence[float] = (3e4, 6e4), centre: Any = CENTRE
) -> Sky:
    """Scatter stars over a field and slightly beyond.

    Parameters
    ----------
    shape : (ny, nx)
    n_stars : int
        Stars on the frame, on average.
    rng : numpy.random.Generator
    saturating : sequence of float
        Count rates of additional stars [e-/s], too bright for an exposure of a minute.
    centre : (float, float)
        Right ascension and declination [deg].

    Returns
    -------
    Sky
    """
    ny, nx = shape
    power_law = rng.uniform(BRIGHTEST**-0.7, FAINTEST**-0.7, round(n_stars * (1 + 2 * MARGIN) ** 2)) ** (-1 / 0.7)
    rate = np.append(power_law, saturating)
    x, y = (rng.uniform(-0.5 - MARGIN * n, n - 0.5 + MARGIN * n, rate.size) for n in (nx, ny))
    ra, dec = make_camera_wcs(shape, centre).all_pix2world(x, y, 0)
    blue = rng.uniform(0.3, 1.4, rate.size)  # B - V
    visual = WHITE.zero_point - 2.5 * np.log10(rate) + WHITE.colour_term * blue
    magnitudes = {"B": visual + blue, "V": visual, "g": visual + 0.56 * blue - 0.11, "r": visual - 0.46 * blue + 0.11}
    return Sky(ra, dec, magnitudes, shape)


def make_camera_wcs(shape: tuple[int, int], pointing: tuple[float, float]) -> Any:
    """Make the WCS of the simulated camera, with a cubic radial distortion.

    Parameters
    ----------
    shape : (ny, nx)
    pointing : (float, float)
        Right ascension and declination of the centre of the frame [deg].

    Returns
    -------
    astropy.wcs.WCS
        TAN-SIP (Shupe et al. 2005), with east to the left of north.
    """
    from astropy.wcs import WCS, Sip

    ny, nx = shape
    cos, sin = np.cos(np.radians(ROTATION)), np.sin(np.radians(ROTATION))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.crpix = [(nx + 1) / 2, (ny + 1) / 2]
    wcs.wcs.crval = pointing
    wcs.wcs.cd = SCALE / 3600 * np.array([[-cos, sin], [sin, cos]])
    a, b = np.zeros((4, 4)), np.zeros((4, 4))
    a[3, 0] = a[1, 2] = b[0, 3] = b[2, 1] = DISTORTION / ((nx / 2) ** 2 + (ny / 2) ** 2)
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def paint(
    shape: tuple[int, int], x: Floats, y: Floats, rate: Floats, fwhm: float, *, integrate: bool = False
) -> Floats:
    """Paint Gaussian stars on an empty image.

    Parameters
    ----------
    shape : (ny, nx)
    x, y : ndarray
        Positions; the centre of the first pixel is 0. Stars off the image contribute what falls on it.
    rate : ndarray
        Total flux.
    fwhm : float
        [pix]
    integrate : bool
        Whether to integrate over pixels; else each pixel has the value at its centre.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
    """
    ny, nx = shape
    half = int(np.ceil(3 * fwhm))
    near = (x > -half) & (x < nx - 1 + half) & (y > -half) & (y < ny - 1 + half)
    x, y, rate = (values[near][:, None, None] for values in (x, y, rate))
    step = np.arange(-half, half + 1)
    rows, columns = np.rint(y).astype(int) + step[:, None], np.rint(x).astype(int) + step
    sigma2 = fwhm**2 / (8 * np.log(2))
    if integrate:
        from scipy.special import ndtr

        down, across = ((places - centre) / np.sqrt(sigma2) for places, centre in ((rows, y), (columns, x)))
        half_pixel = 0.5 / np.sqrt(sigma2)
        in_rows, in_columns = (ndtr(axis + half_pixel) - ndtr(axis - half_pixel) for axis in (down, across))
        stamps = rate * in_rows * in_columns
    else:
        stamps = rate / (2 * np.pi * sigma2) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma2))
    field = np.zeros((ny + 4 * half, nx + 4 * half))
    np.add.at(field, (rows + 2 * half, columns + 2 * half), stamps)
    return field[2 * half : 2 * half + ny, 2 * half : 2 * half + nx]
