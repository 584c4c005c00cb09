"""Positions, shapes, fluxes and flags of sources that were found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag
from nightcal.measurement.sources.moments import Moments
from nightcal.measurement.sources.stamps import Floats, stamps

ADRIFT = 1.0
"""Farthest that a windowed position may be from where the source was found, in FWHM; it went to a neighbour then."""

EXTENDED = 1.5
"""Size from which on a source has a window of its own, in that of a star."""

WIDEST = 3.0
"""Largest window, in that of a star."""

NARROWEST = 1.2
"""Smallest standard deviation of a window [pix]; below, the pixels are too coarse for it."""

KRON_REACH = 6.0
KRON_LARGEST = 4.0
FAINT = 10.0
"""Signal-to-noise ratio below which a source is taken to be round for its Kron aperture."""

NEAR = 1.0
"""Radius in which bits of the mask flag a source, in FWHM of its window."""

FLAGS = (
    (1, Flag.BAD | Flag.HOT | Flag.LOW_FLAT | Flag.NO_DATA),
    (4, Flag.SATURATED | Flag.BLEED),
    (8, Flag.EDGE),
    (16, Flag.COSMIC_RAY),
)
MERGED = 1
"""Flag of sep for a source that was separated from another."""

DEBLENDED, OFF_EDGE = 2, 8


@dataclass(frozen=True, slots=True)
class Fluxes:
    """Light of sources [e-]; arrays of shape (n,), of circular apertures (n, apertures).

    Attributes
    ----------
    auto, auto_error : ndarray of float64
        Within the Kron aperture.
    kron : ndarray of float64
        Size of that aperture, in units of the source's standard deviations.
    aperture, aperture_error : ndarray of float64
        Within the circular apertures.
    half_light : ndarray of float64
        Radius that holds half of ``auto`` [pix].
    truncated : ndarray of bool
        Whether the largest circular aperture reaches beyond the image.
    """

    auto: Floats
    auto_error: Floats
    kron: Floats
    aperture: Floats
    aperture_error: Floats
    half_light: Floats
    truncated: NDArray[np.bool_]


def windows(objects: Any, sigma: float) -> Floats:
    """Choose the standard deviations of windows: a star's, and larger ones for larger sources that stand alone.

    Parameters
    ----------
    objects : structured ndarray, shape (n,)
        As `sep.extract` returns it, of an image filtered by a star.
    sigma : float
        Of a star [pix].

    Returns
    -------
    ndarray of float64, shape (n,)
        [pix]
    """
    size = np.sqrt(np.maximum(objects["a"].astype(np.float64) * objects["b"] - sigma**2, 0))
    own = (size > EXTENDED * sigma) & (objects["flag"] & MERGED == 0)
    return np.maximum(np.where(own, np.minimum(size, WIDEST * sigma), sigma), NARROWEST)


def positions(data: NDArray[Any], objects: Any, x: Floats, y: Floats, window: Floats) -> tuple[Floats, Floats]:
    """Windowed positions; where the iteration runs away to a neighbour, that of the detection.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Without the sky, hidden pixels filled.
    objects : structured ndarray, shape (n,)
        As `sep.extract` returns it.
    x, y : ndarray of float64, shape (n,)
        Where to begin; the centre of the first pixel is 0.
    window : ndarray of float64, shape (n,)
        Standard deviations of the windows [pix].

    Returns
    -------
    x, y : ndarray of float64, shape (n,)
        The centre of the first pixel is 0.
    """
    import sep

    x, y, _ = sep.winpos(data, x, y, window)
    lost = ~(np.hypot(x - objects["x"], y - objects["y"]) <= ADRIFT * 2.35 * window)
    return np.where(lost, objects["x"], x), np.where(lost, objects["y"], y)


def with_phase_error(moments: Moments, sigma: float, window: Floats) -> Moments:
    """Add to the position errors what the phase of a narrow star on the pixels does.

    Parameters
    ----------
    moments : Moments
    sigma : float
        Standard deviation of a star [pix].
    window : ndarray of float64, shape (n,)
        Standard deviations of the windows [pix].

    Returns
    -------
    Moments

    Notes
    -----
    Star times window is a Gaussian of variance v. Its first moment, sampled once a pixel, has a first harmonic of
    amplitude ``4 pi v exp(-2 pi^2 v)``, which the position divides by ``1 - v / window^2``: 0.003 pix rms for a FWHM
    of 1.5 pix, nothing above 2.
    """
    v = 1 / (1 / sigma**2 + 1 / window**2)
    square = (4 * np.pi * v * np.exp(-2 * np.pi**2 * v) / (1 - v / window**2)) ** 2 / 2
    return replace(moments, error_x=moments.error_x + square, error_y=moments.error_y + square)


def fluxes(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    moments: Moments,
    sigma: float,
    diameters: Floats,
    kron: tuple[float, float],
    sky_error: float,
) -> Fluxes:
    """Sum the light of sources in Kron and circular apertures.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Without the sky, hidden pixels filled.
    moments : Moments
        Of the sources.
    sigma : float
        Standard deviation of a star [pix].
    diameters : ndarray of float64
        Of the circular apertures [pix], ascending.
    kron : (float, float)
        Factor of the Kron radius, and smallest aperture in standard deviations of the source.
    sky_error : float
        Standard deviation of the sky's level [e-]; it counts once for every pixel of an aperture.

    Returns
    -------
    Fluxes

    Notes
    -----
    Kron (1980); the factors 2.5 and 3.5 are SExtractor's. Beside a brighter source the Kron radius is that source's, so
    that the aperture ends half-way to it, though not below its smallest size. The uncertainty holds the shot noise, so
    no gain is given.
    """
    import sep

    x, y = moments.x, moments.y
    a, b, theta = moments.a.copy(), moments.b.copy(), np.radians(moments.theta)
    faint = moments.snr < FAINT
    a[faint] = b[faint] = sigma
    radius, _ = sep.kron_radius(data, x, y, a, b, theta, KRON_REACH)
    usual = kron[1] / kron[0]
    radius = kron[0] * np.clip(np.where(np.isfinite(radius), radius, usual), usual, KRON_LARGEST)
    room = room_beside_brighter(x, y, moments.light, float((radius * a).max(initial=0)))
    radius = np.minimum(radius, np.maximum(room / a, kron[1]))
    auto, auto_error, _ = sep.sum_ellipse(data, x, y, a, b, theta, radius, err=uncertainty)
    sums = [sep.sum_circle(data, x, y, diameter / 2, err=uncertainty, subpix=0) for diameter in diameters]
    aperture, aperture_error = (np.stack([found[i] for found in sums], axis=1) for i in (0, 1))
    reach = np.maximum(radius * a, diameters[-1] / 2)
    half_light, _ = sep.flux_radius(data, x, y, reach, 0.5, normflux=auto)
    return Fluxes(
        auto,
        np.hypot(auto_error, np.pi * a * b * radius**2 * sky_error),
        radius,
        aperture,
        np.hypot(aperture_error, np.pi / 4 * diameters**2 * sky_error),
        half_light,
        sums[-1][2] & sep.APER_TRUNC > 0,
    )


def room_beside_brighter(x: Floats, y: Floats, light: Floats, reach: float) -> Floats:
    """Half the distance to the nearest brighter source [pix]; infinite where none is within twice the reach.

    Parameters
    ----------
    x, y, light : ndarray of float64, shape (n,)
    reach : float
        [pix]

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    from scipy.spatial import cKDTree

    places = np.column_stack([x, y])
    pairs = cKDTree(places).query_pairs(2 * reach, output_type="ndarray")
    first, second = pairs.T
    fainter = np.where(light[first] < light[second], first, second)
    room = np.full(len(x), np.inf)
    np.minimum.at(room, fainter, np.hypot(*(places[first] - places[second]).T) / 2)
    return room


def flags(mask: NDArray[Any], moments: Moments, radius: Floats, deblended: Any, truncated: Any) -> NDArray[np.int16]:
    """Flag sources: 1 a bad pixel, 2 deblended, 4 saturated, 8 edge, 16 cosmic ray.

    Parameters
    ----------
    mask : ndarray of uint8, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    moments : Moments
        Of the sources.
    radius : ndarray of float64, shape (n,)
        Within which a pixel's bits count [pix].
    deblended, truncated : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of int16, shape (n,)
    """
    bits, cut_off = np.zeros(len(radius), np.uint8), np.array(truncated)
    for cut in stamps(mask.shape, moments.x, moments.y, radius):
        near = cut.dx**2 + cut.dy**2 <= (radius[cut.which] ** 2)[:, None]
        bits[cut.which] = np.bitwise_or.reduce(np.where(near, cut.of(mask), np.uint8(0)), axis=1)
        cut_off[cut.which] |= (near & ~cut.inside).any(axis=1)
    found = np.where(deblended, DEBLENDED, 0) | np.where(cut_off, OFF_EDGE, 0)
    for flag, meant in FLAGS:
        found |= np.where(bits & meant, flag, 0)
    return found.astype(np.int16)


def peaks(data: NDArray[Any], moments: Moments) -> Floats:
    """Largest of the nine pixels about each position."""
    out = np.zeros(len(moments.x))
    for cut in stamps(data.shape, moments.x, moments.y, np.ones(len(out))):
        out[cut.which] = np.where(cut.inside, cut.of(data), -np.inf).max(axis=1)
    return out
