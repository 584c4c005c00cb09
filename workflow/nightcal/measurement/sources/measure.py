"""Measure positions, fluxes and flags of detected sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import Flag
from nightcal.measurement.sources.local_background import LocalBackground
from nightcal.measurement.sources.moments import Moments
from nightcal.measurement.sources.records import SourceFlag
from nightcal.measurement.sources.stamps import Floats, cut_stamps
from nightcal.measurement.sources.undersampling import SamplingErrors

ADRIFT = 1.0
"""Largest distance of a windowed position from the detection, in FWHM; further off it has moved to a neighbour."""

EXTENDED = 1.5
"""Sources larger than this many stars get a window that fits their size."""

WIDEST = 3.0
"""Largest window, relative to that of a star."""

NARROWEST = 1.2
"""Smallest standard deviation of a window [pix]: pixels are too coarse for narrower ones."""

NEIGHBOUR = 0.05
"""Flux of a neighbour that matters, relative to that of the source."""

KRON_REACH = 6.0
KRON_LARGEST = 4.0
FAINT = 10.0
"""Signal-to-noise ratio below which the Kron aperture of a source is round."""

NEAR = 1.0
"""Mask bits within this radius flag a source, in FWHM of its window."""

MASK_BITS = {
    SourceFlag.BAD_PIXEL: Flag.BAD | Flag.HOT | Flag.LOW_FLAT | Flag.NO_DATA,
    SourceFlag.SATURATED: Flag.SATURATED | Flag.BLEED,
    SourceFlag.TRAIL: Flag.TRAIL,
    SourceFlag.COSMIC_RAY: Flag.COSMIC_RAY,
}
"""Bits of the mask that set each flag of a source."""

MERGED = 1
"""Flag of sep for a source that was separated from another."""


@dataclass(frozen=True, slots=True)
class Fluxes:
    """Fluxes of n sources [e-]: arrays of shape (n,), or (n, apertures) for the circular apertures.

    Attributes
    ----------
    auto, auto_error : ndarray of float64
        Flux in the Kron aperture and its error.
    kron : ndarray of float64
        Size of the Kron aperture, in standard deviations of the source.
    aperture, aperture_error : ndarray of float64
        Fluxes in the circular apertures and their errors.
    half_light_radius : ndarray of float64
        Radius that encloses half of ``auto`` [pix].
    truncated : ndarray of bool
        Whether the largest circular aperture extends beyond the image.
    """

    auto: Floats
    auto_error: Floats
    kron: Floats
    aperture: Floats
    aperture_error: Floats
    half_light_radius: Floats
    truncated: NDArray[np.bool_]


def choose_windows(objects: Any, sigma: float) -> Floats:
    """Choose the width of each window: that of a star, or that of the source if it is isolated and larger.

    Parameters
    ----------
    objects : structured ndarray, shape (n,)
        From `sep.extract`, run on an image filtered with a star.
    sigma : float
        Standard deviation of a star [pix].

    Returns
    -------
    ndarray of float64, shape (n,)
        Standard deviations [pix].
    """
    size = np.sqrt(np.maximum(objects["a"].astype(np.float64) * objects["b"] - sigma**2, 0))
    own = (size > EXTENDED * sigma) & (objects["flag"] & MERGED == 0)
    return np.maximum(np.where(own, np.minimum(size, WIDEST * sigma), sigma), NARROWEST)


def measure_positions(data: NDArray[Any], objects: Any, x: Floats, y: Floats, window: Floats) -> tuple[Floats, Floats]:
    """Measure windowed positions; a source whose position moves to a neighbour keeps that of its detection.

    Parameters
    ----------
    data : ndarray of float32, shape (ny, nx)
        Sky subtracted, hidden pixels filled.
    objects : structured ndarray, shape (n,)
        From `sep.extract`.
    x, y : ndarray of float64, shape (n,)
        First guess; the centre of the first pixel is 0.
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


def add_sampling_errors(moments: Moments, fluxes: Fluxes, errors: SamplingErrors) -> tuple[Moments, Fluxes]:
    """Add what sampling by pixels adds to the errors of positions and fluxes.

    Parameters
    ----------
    moments : Moments
    fluxes : Fluxes
    errors : SamplingErrors

    Returns
    -------
    moments : Moments
    fluxes : Fluxes
    """
    square = errors.position**2
    moments = replace(moments, error_x=moments.error_x + square, error_y=moments.error_y + square)
    auto = np.hypot(fluxes.auto_error, errors.auto * fluxes.auto)
    aperture = np.hypot(fluxes.aperture_error, errors.aperture * fluxes.aperture)
    return moments, replace(fluxes, auto_error=auto, aperture_error=aperture)


def measure_fluxes(
    data: NDArray[Any],
    uncertainty: NDArray[Any],
    moments: Moments,
    sigma: float,
    diameters: Floats,
    kron: tuple[float, float],
    sky_error: float,
    local: LocalBackground,
) -> Fluxes:
    """Measure fluxes in Kron and circular apertures.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Sky subtracted, hidden pixels filled.
    moments : Moments
    sigma : float
        Standard deviation of a star [pix].
    diameters : ndarray of float64
        Of the circular apertures [pix], ascending.
    kron : (float, float)
        Size of the aperture in Kron radii, and its smallest size in standard deviations of the source.
    sky_error : float
        Standard deviation of the sky level [e-]; it is common to all pixels of an aperture.
    local : LocalBackground
        To be subtracted. Where it is used, the Kron aperture is that of a star, as the sky would make it too large.

    Returns
    -------
    Fluxes

    Notes
    -----
    Kron (1980); the factors 2.5 and 3.5 are SExtractor's. Near a brighter source the Kron radius would be that of the
    brighter source, so the aperture ends half-way to it, but not below its smallest size. The uncertainty already
    contains the shot noise, so sep is given no gain.
    """
    import sep

    x, y = moments.x, moments.y
    a, b, theta = moments.a.copy(), moments.b.copy(), np.radians(moments.theta)
    faint = (moments.snr < FAINT) | local.used
    a[faint] = b[faint] = sigma
    radius, _ = sep.kron_radius(data, x, y, a, b, theta, KRON_REACH)
    usual = kron[1] / kron[0]
    radius = kron[0] * np.clip(np.where(np.isfinite(radius) & ~local.used, radius, usual), usual, KRON_LARGEST)
    room = find_room_beside_brighter(x, y, moments.flux, float((radius * a).max(initial=0)))
    radius = np.minimum(radius, np.maximum(room / a, kron[1]))
    auto, auto_error, _ = sep.sum_ellipse(data, x, y, a, b, theta, radius, err=uncertainty)
    sums = [sep.sum_circle(data, x, y, diameter / 2, err=uncertainty, subpix=0) for diameter in diameters]
    aperture, aperture_error = (np.stack([found[i] for found in sums], axis=1) for i in (0, 1))
    reach = np.maximum(radius * a, diameters[-1] / 2)
    half_light_radius, _ = sep.flux_radius(data, x, y, reach, 0.5, normflux=auto)
    level_error = np.where(local.used, local.error, sky_error)
    areas, kron_area = np.pi / 4 * diameters**2, np.pi * a * b * radius**2
    return Fluxes(
        auto - kron_area * local.level,
        np.hypot(auto_error, kron_area * level_error),
        radius,
        aperture - areas * local.level[:, None],
        np.hypot(aperture_error, areas * level_error[:, None]),
        half_light_radius,
        sums[-1][2] & sep.APER_TRUNC > 0,
    )


def find_room_beside_brighter(x: Floats, y: Floats, flux: Floats, reach: float) -> Floats:
    """Find half the distance to the nearest brighter source.

    Parameters
    ----------
    x, y, flux : ndarray of float64, shape (n,)
    reach : float
        Neighbours up to twice this far count [pix].

    Returns
    -------
    ndarray of float64, shape (n,)
        [pix]; infinite without a brighter neighbour.
    """
    from scipy.spatial import cKDTree

    places = np.column_stack([x, y])
    pairs = cKDTree(places).query_pairs(2 * reach, output_type="ndarray")
    first, second = pairs.T
    fainter = np.where(flux[first] < flux[second], first, second)
    room = np.full(len(x), np.inf)
    np.minimum.at(room, fainter, np.hypot(*(places[first] - places[second]).T) / 2)
    return room


def find_crowded_sources(moments: Moments, reach: float) -> NDArray[np.bool_]:
    """Find the sources with a neighbour within a distance [pix] that has more than a twentieth of their flux."""
    from scipy.spatial import cKDTree

    pairs = cKDTree(np.column_stack([moments.x, moments.y])).query_pairs(reach, output_type="ndarray")
    crowded = np.zeros(len(moments.x), bool)
    for one, other in (pairs.T, pairs.T[::-1]):
        crowded[one[moments.flux[other] > NEIGHBOUR * moments.flux[one]]] = True
    return crowded


def flag_sources(
    mask: NDArray[Any], moments: Moments, radius: Floats, deblended: Any, truncated: Any
) -> NDArray[np.int16]:
    """Flag sources with the bits of `SourceFlag`.

    Parameters
    ----------
    mask : ndarray of int16, shape (ny, nx)
        Bits of `nightcal.flags.Flag`.
    moments : Moments
    radius : ndarray of float64, shape (n,)
        Mask bits within this radius count [pix].
    deblended, truncated : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of int16, shape (n,)
    """
    bits, cut_off = np.zeros(len(radius), mask.dtype), np.array(truncated)
    for cut in cut_stamps(mask.shape, moments.x, moments.y, radius):
        near = cut.dx**2 + cut.dy**2 <= (radius[cut.which] ** 2)[:, None]
        bits[cut.which] = np.bitwise_or.reduce(np.where(near, cut.take_from(mask), 0), axis=1)
        cut_off[cut.which] |= (near & ~cut.inside).any(axis=1)
    found = np.where(deblended, SourceFlag.DEBLENDED, 0) | np.where(cut_off, SourceFlag.EDGE, 0)
    for flag, mask_bits in MASK_BITS.items():
        found |= np.where(bits & mask_bits, flag, 0)
    return found.astype(np.int16)


def measure_peaks(data: NDArray[Any], moments: Moments) -> Floats:
    """Find the largest of the nine pixels around each position."""
    out = np.zeros(len(moments.x))
    for cut in cut_stamps(data.shape, moments.x, moments.y, np.ones(len(out))):
        out[cut.which] = np.where(cut.inside, cut.take_from(data), -np.inf).max(axis=1)
    return out
