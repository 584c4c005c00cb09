"""Find what the sampling by pixels adds to the errors of sharp stars: nothing but their place on the pixels varies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.sources.stamps import Floats

WELL_SAMPLED = 3.5
"""FWHM from which sampling adds nothing that matters [pix]."""

BETA = 6.0
"""Exponent of the Moffat profile of a star."""

PHASES = 6
"""Number of places on a pixel, along each axis."""

FINE = 8
"""Number of samples per pixel, along each axis."""

PIXEL = 0.5
"""What integration over a pixel adds to the square of the FWHM [pix^2]."""

SHARPEST = 0.8
"""Smallest FWHM before integration over pixels [pix]."""


@dataclass(frozen=True, slots=True, eq=False)
class SharpStars:
    """Stars of one flux without noise, on all places of a pixel.

    Attributes
    ----------
    image : ndarray of float32, shape (k, k)
        Each star has a flux of 1.
    x, y : ndarray of float64, shape (n,)
        The centre of the first pixel is 0.
    """

    image: NDArray[np.float32]
    x: Floats
    y: Floats


def paint_sharp_stars(fwhm: float, reach: float) -> SharpStars:
    """Paint stars without noise.

    Parameters
    ----------
    fwhm : float
        As measured, hence with the smoothing by the pixels [pix].
    reach : float
        Radius of the largest aperture [pix].

    Returns
    -------
    SharpStars
    """
    core = np.sqrt(max(fwhm**2 - PIXEL, SHARPEST**2))
    scale = core / 2 / np.sqrt(2 ** (1 / BETA) - 1)
    half = int(np.ceil(reach)) + 2
    side = 2 * half + 1
    steps = (np.arange(PHASES) + 0.5) / PHASES - 0.5
    places = (np.arange(side * FINE) + 0.5) / FINE - 0.5 - half
    square = (places[None, :] - steps[:, None]) ** 2
    image = np.zeros((PHASES * side, PHASES * side), np.float32)
    for i, along in enumerate(square):
        for j, across in enumerate(square):
            fine = (1 + (along[:, None] + across) / scale**2) ** -BETA
            stamp = fine.reshape(side, FINE, side, FINE).sum(axis=(1, 3))
            image[i * side : (i + 1) * side, j * side : (j + 1) * side] = stamp / stamp.sum()
    centers = np.arange(PHASES) * side + half + steps
    x, y = np.tile(centers, PHASES), np.repeat(centers, PHASES)
    return SharpStars(image, x, y)


@dataclass(frozen=True, slots=True, eq=False)
class SamplingErrors:
    """Standard deviations that sampling adds to the measurements of a star.

    Attributes
    ----------
    position : float
        Along each axis [pix].
    auto : float
        Of the flux in the Kron aperture, as a fraction.
    aperture : ndarray of float64, shape (apertures,)
        Of the fluxes in the circular apertures, as a fraction.
    """

    position: float
    auto: float
    aperture: Floats


def measure_sampling_errors(fwhm: float, window: float, diameters: Floats, kron_radius: float) -> SamplingErrors:
    """Measure stars without noise as those of a frame are measured: what scatters is due to sampling.

    Parameters
    ----------
    fwhm : float
        [pix]
    window : float
        Standard deviation of the window for positions [pix].
    diameters : ndarray of float64, shape (apertures,)
        Of the circular apertures [pix].
    kron_radius : float
        Radius of the Kron aperture of a star [pix].

    Returns
    -------
    SamplingErrors
        Zeros for well-sampled stars.

    Notes
    -----
    A windowed position is exact where the product of star and window is sampled well; an aperture cuts pixels, within
    which it takes the light to be spread evenly.
    """
    if not fwhm < WELL_SAMPLED:
        return SamplingErrors(0.0, 0.0, np.zeros(len(diameters)))
    import sep

    stars = paint_sharp_stars(fwhm, max(float(diameters[-1]) / 2, kron_radius))
    x, y, _ = sep.winpos(stars.image, stars.x, stars.y, np.full(len(stars.x), window))
    radii = [*(diameters / 2), kron_radius]
    fluxes = np.stack([sep.sum_circle(stars.image, x, y, radius, subpix=0)[0] for radius in radii])
    scatter = fluxes.std(axis=1) / fluxes.mean(axis=1)
    position = np.sqrt(((x - stars.x) ** 2 + (y - stars.y) ** 2).mean() / 2)
    return SamplingErrors(float(position), float(scatter[-1]), scatter[:-1])
