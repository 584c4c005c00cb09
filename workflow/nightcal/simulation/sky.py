"""A field of stars whose positions, magnitudes and colours are known, as a telescope shows it."""

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
"""Where the field lies [deg]."""

SCALE = 1.0
"""Of the middle of a frame [arcsec/pixel]."""

ROTATION = 12.0
"""Of the camera on the sky [deg]."""

DISTORTION = 0.002
"""By how much the corner of a frame is farther from the middle than the scale of the middle tells, as a part."""

MARGIN = 0.1
"""Part of a frame's side that stars reach beyond it."""

FAINTEST, BRIGHTEST = 20.0, 6000.0
"""Rates of the stars [e-/s]; their numbers fall as rate^-1.7."""

CATALOG_NOISE = {"position": 0.02, "magnitude": 0.01}
"""Errors of the catalogue [arcsec, mag]."""


@dataclass(frozen=True, slots=True)
class Passband:
    """How telescope and filter see a star: ``band = zero_point - 2.5 log10(rate) + colour_term * colour``.

    Attributes
    ----------
    band : str
        Of the catalogue.
    colour : (str, str)
        Bands whose difference is the colour.
    zero_point : float
        Of a rate of 1 e-/s and a star of colour 0 [mag].
    colour_term : float
    """

    band: str
    colour: tuple[str, str]
    zero_point: float
    colour_term: float

    def rate(self, magnitudes: Mapping[str, Floats]) -> Floats:
        """Photoelectrons of stars [e-/s]."""
        blue, red = self.colour
        colour = magnitudes[blue] - magnitudes[red]
        return 10 ** (-0.4 * (magnitudes[self.band] - self.zero_point - self.colour_term * colour))


PASSBANDS = {
    "B": Passband("B", ("B", "V"), 22.1, 0.05),
    "V": Passband("V", ("B", "V"), 22.5, -0.04),
    "R": Passband("r", ("g", "r"), 22.8, -0.09),
    "r": Passband("r", ("g", "r"), 22.9, 0.02),
}
"""Of the simulated telescope, by filter."""

WHITE = PASSBANDS["V"]
"""How filters that are not listed see stars."""


@dataclass(frozen=True, slots=True, eq=False)
class Sky:
    """Stars of a field.

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

    def image(self, filter_name: str | None, pointing: tuple[float, float], fwhm: float) -> Floats:
        """Photoelectrons of all stars [e-/s], shape (ny, nx).

        Parameters
        ----------
        filter_name : str or None
        pointing : (float, float)
            Right ascension and declination of the middle of the frame [deg].
        fwhm : float
            Of the stars [pixels].
        """
        x, y = camera_wcs(self.shape, pointing).all_world2pix(self.ra, self.dec, 0, tolerance=1e-6)
        return paint(self.shape, x, y, PASSBANDS.get(filter_name or "", WHITE).rate(self.magnitudes), fwhm)

    def write_catalog(self, path: Path, rng: Rng) -> None:
        """Write what a catalogue would know of these stars.

        Parameters
        ----------
        path : Path
            A CSV file, replaced if it exists.
        rng : numpy.random.Generator
            For the errors of the catalogue.
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
    """Scatter stars over a field and a little beyond.

    Parameters
    ----------
    shape : (ny, nx)
    n_stars : int
        Stars on the frame, on average.
    rng : numpy.random.Generator
    saturating : sequence of float
        Rates [e-/s] of further stars, too bright for a minute's exposure.
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
    ra, dec = camera_wcs(shape, centre).all_pix2world(x, y, 0)
    blue = rng.uniform(0.3, 1.4, rate.size)  # B - V
    visual = WHITE.zero_point - 2.5 * np.log10(rate) + WHITE.colour_term * blue
    magnitudes = {"B": visual + blue, "V": visual, "g": visual + 0.56 * blue - 0.11, "r": visual - 0.46 * blue + 0.11}
    return Sky(ra, dec, magnitudes, shape)


def camera_wcs(shape: tuple[int, int], pointing: tuple[float, float]) -> Any:
    """Sky coordinates of the simulated camera, with a distortion that grows as the cube of the distance.

    Parameters
    ----------
    shape : (ny, nx)
    pointing : (float, float)
        Right ascension and declination of the middle of the frame [deg].

    Returns
    -------
    astropy.wcs.WCS
        TAN-SIP (Shupe et al. 2005), mirrored as the sky is: east to the left of north.
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


def paint(shape: tuple[int, int], x: Floats, y: Floats, rate: Floats, fwhm: float) -> Floats:
    """Paint Gaussian stars.

    Parameters
    ----------
    shape : (ny, nx)
    x, y : ndarray
        Centres; the middle of the first pixel is 0. Stars whose centre is off the image leave what reaches it.
    rate : ndarray
        Total light.
    fwhm : float
        [pixels]

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
    stamps = rate / (2 * np.pi * sigma2) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma2))
    field = np.zeros((ny + 4 * half, nx + 4 * half))
    np.add.at(field, (rows + 2 * half, columns + 2 * half), stamps)
    return field[2 * half : 2 * half + ny, 2 * half : 2 * half + nx]
