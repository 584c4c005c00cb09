"""Compare the brightness of the stars that frames have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE
from nightcal.io.source_catalog import EXTENSION
from nightcal.measurement.sources.records import UNRELIABLE
from nightcal.numerics.robust import rstd

Values = NDArray[np.float64]

LEAST_SNR = 20.0
"""Smallest signal-to-noise ratio of a star that is compared."""

MOST_STARS, BRIGHTEST = 500, 40
"""Largest number of stars of a frame, the brightest first, and of those that find the offset between frames."""

CELL = 4.0
"""Offsets between frames are counted in cells of this size [pix]."""

NEAR = 2.0
"""Largest distance of a star from where the offset puts it [pix]."""

FEWEST = 5
"""Smallest number of stars in common."""

CHANCE = 1e-4
"""Largest expected number of offsets that as many pairs of stars have by chance."""

MOST_FIELDS = 12
"""Largest number of frames with which others are compared, those with most stars first."""

CLIP = 3.0
NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class FrameStars:
    """Good stars of a frame, the brightest first.

    Attributes
    ----------
    places : ndarray of float64, shape (n, 2)
        [pix]
    magnitudes, errors : ndarray of float64, shape (n,)
        Instrumental magnitudes of the largest aperture, for 1 e-/s, and their errors.
    """

    places: Values
    magnitudes: Values
    errors: Values


@dataclass(frozen=True, slots=True)
class Fading:
    """How much fainter the stars of a frame are than those of the reference frame of its field.

    Attributes
    ----------
    field : int
        Frames of one number share stars.
    magnitudes, error : float
        [mag]
    """

    field: int
    magnitudes: float
    error: float


def read_stars(path: Path, exposure_time: float) -> FrameStars | None:
    """Read the good stars of a catalogue.

    Parameters
    ----------
    path : Path
    exposure_time : float
        [s]

    Returns
    -------
    FrameStars or None
        None if the catalogue is missing or cannot be read.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            table = hdus[EXTENSION].data
            places = np.stack([table["XWIN_IMAGE"], table["YWIN_IMAGE"]], axis=1).astype(np.float64)
            columns = (table[name] for name in ("FLUX_APER", "FLUXERR_APER"))
            flux, error = (np.atleast_2d(column.T)[-1].astype(np.float64) for column in columns)
            good = (table["FLAGS"] & int(UNRELIABLE)) == 0
    except (*UNREADABLE, KeyError):
        return None
    good &= np.isfinite(places).all(axis=1) & (error > 0) & (flux > LEAST_SNR * error)
    order = np.flatnonzero(good)[np.argsort(-flux[good], kind="stable")][:MOST_STARS]
    flux, error = flux[order], error[order]
    seconds = exposure_time if exposure_time > 0 else 1.0
    return FrameStars(places[order], -2.5 * np.log10(flux / seconds), 2.5 / np.log(10) * error / flux)


def read_catalog_stars(night: Path, product: str, exposure_time: float) -> FrameStars | None:
    """Read the stars of a science frame from its catalogue.

    Parameters
    ----------
    night : Path
        Folder of the night's products.
    product : str
        Path of the calibrated frame in that folder.
    exposure_time : float
        [s]

    Returns
    -------
    FrameStars or None
        As `read_stars`.
    """
    return read_stars(night / "catalogs" / Path(product).name, exposure_time)


def measure_fading(frames: Mapping[str, FrameStars | None]) -> dict[str, Fading]:
    """Measure how much fainter the stars of each frame are than in a reference frame of the same field.

    Parameters
    ----------
    frames : mapping of str to FrameStars or None
        Frames of one filter and camera, by name.

    Returns
    -------
    dict of str to Fading
        Without frames that share no stars with another one.
    """
    left = {name: stars for name, stars in frames.items() if stars is not None and len(stars.places) >= FEWEST}
    found: dict[str, Fading] = {}
    for field in range(MOST_FIELDS):
        if not left:
            break
        first = max(left, key=lambda name: (len(left[name].places), name))
        reference = left.pop(first)
        compared = {name: compare_stars(stars, reference) for name, stars in left.items()}
        shared = {name: Fading(field, *both) for name, both in compared.items() if both is not None}
        if shared:
            found |= {first: Fading(field, 0.0, min(fading.error for fading in shared.values()))} | shared
            left = {name: stars for name, stars in left.items() if name not in shared}
    return found


def compare_stars(stars: FrameStars, reference: FrameStars) -> tuple[float, float] | None:
    """Compare the magnitudes of the stars that two frames have in common.

    Parameters
    ----------
    stars, reference : FrameStars

    Returns
    -------
    (float, float) or None
        Weighted mean difference and its error [mag]; None with fewer than five stars in common, or if
        chance explains them.

    Notes
    -----
    Outliers beyond 3 rstd are left out. The error is larger than that of the fluxes if the stars scatter more. The
    second frame may be shifted, or turned by 180 degrees, as after a meridian flip.
    """
    pairs = (_match(turn * stars.places, reference.places) for turn in (1.0, -1.0))
    here, there = next((pair for pair in pairs if pair is not None), (NONE, NONE))
    if len(here) < FEWEST:
        return None
    difference = stars.magnitudes[here] - reference.magnitudes[there]
    noise = np.hypot(stars.errors[here], reference.errors[there])
    departure = (difference - np.median(difference)) / noise
    excess = max(1.0, float(rstd(departure)))
    kept = np.abs(departure) <= CLIP * excess
    if kept.sum() < FEWEST:
        return None
    weights = noise[kept] ** -2
    mean = np.sum(weights * difference[kept]) / np.sum(weights)
    return float(mean), excess / float(np.sqrt(np.sum(weights)))


def _match(places: Values, others: Values) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Match stars whose frames are shifted against each other."""
    from scipy.spatial import cKDTree

    offset = _find_offset(places[:BRIGHTEST], others[:BRIGHTEST])
    if offset is None:
        return None
    distance, nearest = cKDTree(others).query(places + offset)
    here = np.flatnonzero(distance < NEAR)
    there = nearest[here]
    single = np.bincount(there, minlength=len(others))[there] == 1
    return (here[single], there[single]) if single.any() else None


def _find_offset(places: Values, others: Values) -> Values | None:
    """Find the offset that most pairs of stars share; None if chance explains their number."""
    from scipy.stats import poisson

    offsets = (others[np.newaxis] - places[:, np.newaxis]).reshape(-1, 2)
    grids = [_count_in_cells(offsets + CELL / 2 * np.array(shift)) for shift in np.ndindex(2, 2)]
    count, best = max(grids, key=lambda found: found[0])
    expected = len(offsets) * CELL**2 / np.prod(np.ptp(offsets, axis=0) + CELL)
    trials = len(grids) * len(offsets)
    if count < FEWEST or trials * poisson.sf(count - 2, expected) > CHANCE:
        return None
    near = np.hypot(*(offsets - offsets[best]).T) <= CELL
    return np.asarray(np.median(offsets[near], axis=0))


def _count_in_cells(offsets: Values) -> tuple[int, int]:
    """Find how many offsets the fullest cell of a grid has, and one of them."""
    cells = np.floor((offsets - offsets.min(axis=0)) / CELL).astype(np.int64)
    index = cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1]
    _, first, counts = np.unique(index, return_index=True, return_counts=True)
    fullest = int(np.argmax(counts))
    return int(counts[fullest]), int(first[fullest])
