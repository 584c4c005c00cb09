"""Which flats of a set are fit for a master: neither saturated nor faint, of one shape, no stars in one place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nightcal.errors import FrameRejectedError
from nightcal.io.master import MasterFrame
from nightcal.masters.flat_stars import find_stars_in_flat, median_of_known
from nightcal.numerics.robust import RSTD, median
from nightcal.numerics.sphere import unit_vectors
from nightcal.stacking.calibration_frame import (
    FEWEST_USABLE,
    Accepted,
    CalibrationFrame,
    RejectedFrame,
    central_level,
    judge,
    leave_out,
    signal_of,
)

log = logging.getLogger(__name__)

FAINTEST = 10.0
"""Least light of a flat, in read noises, so that a small error of the bias stays small."""

MOST_SATURATED = 0.02
"""Largest part of the central quarter that may be saturated."""

FEWEST = 3
"""Frames that tell which of them departs from the others."""

GRID = 16
"""Blocks on a side in which the light of a frame is measured."""

BAND, SAMPLES = 16, 32
"""Rows and columns of a block that are looked at, at most."""

DARK = 0.2
"""Blocks that get less of the light than this are left out."""

SIGNIFICANT = 5.0
REJECT = 3.5
ROUNDS = 5

FEWEST_STARS = 3

CHIP_SPOTS = 4
"""As many spots a chip without stars may show."""

SAME_SPOT = 3.0
"""Distance [pixels] up to which spots of two frames are one."""

Maps = NDArray[np.float64]
Pointing = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FlatLimits:
    """What is asked of the frames of a flat.

    Attributes
    ----------
    faintest : float
        Smallest signal-to-noise ratio of a pixel at the level of the central quarter.
    departure : float
        Part [percent] of the light by which a frame may depart from the shape of its set, wherever the frames of the
        set are more alike than that.
    dither : float
        Twilight frames with stars must be so far apart [arcsec]; 0 for no such demand.
    """

    faintest: float = 5.0
    departure: float = 2.0
    dither: float = 10.0


USUAL = FlatLimits()
"""What is asked where nothing else is said."""


class LightMap(NamedTuple):
    """Median light of each block of a frame and its error [e-]; NaN where most pixels are unusable."""

    light: Maps
    error: Maps


def select_flats(
    exposures: Sequence[CalibrationFrame],
    refused: Sequence[RejectedFrame],
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    k: float,
    limits: FlatLimits,
) -> tuple[Accepted, float | None]:
    """Find the light of each flat and leave out what would spoil the master.

    Parameters
    ----------
    exposures : sequence of CalibrationFrame
        As `nightcal.stacking.calibration_frame.in_order` puts them.
    refused : sequence of RejectedFrame
        Frames that could not even be opened.
    bias, dark : MasterFrame or None
        In electrons and electrons per second.
    k : float
        Half-width of the clipping of a frame's level, in rstd.
    limits : FlatLimits

    Returns
    -------
    judged : Accepted
        The levels are those of the central quarter [e-].
    departure : float or None
        Largest departure [percent] of a frame that is left from the shape of the set; None for fewer than 3 frames,
        which cannot be judged.

    Raises
    ------
    FrameRejectedError
        If none is left.
    """
    maps: dict[Path, LightMap] = {}

    def light(exposure: CalibrationFrame) -> float:
        found = central_level(exposure, bias, dark, k, MOST_SATURATED)
        _check_bright(found, exposure.readout.electronics.read_variance, limits.faintest)
        maps[exposure.path] = _map_of(exposure, bias, dark)
        return found

    judged, departure = _of_one_shape(judge(exposures, refused, light), maps, limits.departure)
    return leave_out(judged, _with_stars(judged, limits.dither)), departure


def _of_one_shape(judged: Accepted, maps: Mapping[Path, LightMap], percent: float) -> tuple[Accepted, float | None]:
    """Leave out what departs from the shape of the set, and find the largest departure [percent] of what is left."""
    exposures = judged.exposures
    if len(exposures) < FEWEST:
        log.info("%d frames: too few to tell whether their light is of one shape.", len(exposures))
        return judged, None
    found = [maps[exposure.path] for exposure in exposures]
    departures, limit = one_shape([one.light for one in found], [one.error for one in found], percent / 100)
    for exposure, departure in zip(exposures, departures, strict=True):
        log.info("%s: departs from the shape of the set by %.2f percent", exposure.path.name, 100 * departure)
    reason = "clouds or a gradient: its light departs from that of the set by {:.1f} percent, the limit is {:.1f}"
    out = {n: reason.format(100 * d, 100 * limit) for n, d in enumerate(departures) if d > limit}
    return leave_out(judged, out), 100 * float(max(d for d in departures if d <= limit))


def _check_bright(light: float, read_variance: float, ratio: float) -> None:
    """Refuse a frame whose pixels have less than a signal-to-noise ratio, or than ten times the read noise."""
    needed = ratio**2 / 2 + np.sqrt(ratio**4 / 4 + ratio**2 * read_variance)  # S / sqrt(S + R^2) = ratio
    faintest = max(FAINTEST * read_variance**0.5, needed)
    if light < faintest:
        raise FrameRejectedError(f"too faint: {light:.1f} e- after bias and dark, expected {faintest:.0f} or more")


# --- shape -----------------------------------------------------------------------------------------------------------


def _map_of(exposure: CalibrationFrame, bias: MasterFrame | None, dark: MasterFrame | None) -> LightMap:
    def rows(start: int, stop: int) -> NDArray[np.float32]:
        return signal_of(exposure, bias, dark, slice(start, stop))[0]

    return light_map(rows, exposure.readout.shape, exposure.readout.electronics.read_variance)


def light_map(
    rows: Callable[[int, int], NDArray[np.float32]], shape: tuple[int, int], read_variance: float
) -> LightMap:
    """Measure the light of a frame in 16 x 16 blocks, from up to 512 pixels of each.

    Parameters
    ----------
    rows : function
        ``rows(start, stop)`` gives those rows [e-], NaN where a pixel is unusable.
    shape : (int, int)
        Rows and columns of the frame.
    read_variance : float
        [e-^2]

    Returns
    -------
    LightMap
        Fewer blocks of a frame of fewer than 64 rows or columns. The error is that of the median of photon and read
        noise; the fixed pattern is the same in all frames.
    """
    above, beside = (np.linspace(0, n, max(1, min(GRID, n // 4)) + 1).astype(int) for n in shape)
    columns = beside[:-1, np.newaxis] + np.arange(SAMPLES) * np.diff(beside)[:, np.newaxis] // SAMPLES
    light = np.full((len(above) - 1, len(beside) - 1), np.nan)
    known = np.zeros_like(light)
    for n, (bottom, top) in enumerate(pairwise(above)):
        start = bottom + max(0, top - bottom - BAND) // 2
        values = rows(start, min(start + BAND, top))[:, columns].transpose(1, 0, 2).reshape(len(columns), -1)
        light[n] = median_of_known(values)
        known[n] = np.isfinite(values).mean(axis=1)
    pixels = np.minimum(BAND, np.diff(above))[:, np.newaxis] * np.minimum(SAMPLES, np.diff(beside))
    light[known <= FEWEST_USABLE] = np.nan
    with np.errstate(divide="ignore"):
        error = np.sqrt(np.pi / 2 * (np.maximum(light, 0.0) + read_variance) / (known * pixels))
    return LightMap(light, error)


def one_shape(lights: Sequence[Maps], errors: Sequence[Maps], least: float) -> tuple[NDArray[np.float64], float]:
    """Compare the shape of the light of each frame with that of most frames of the set.

    Parameters
    ----------
    lights, errors : sequence of ndarray, shape (rows, columns)
        As `light_map` measures them.
    least : float
        Smallest limit, as part of the light.

    Returns
    -------
    departures : ndarray of float64, shape (n,)
        Of each frame, as part of the light.
    limit : float
        Frames beyond it are not of the set's shape: 3.5 times the rstd of the set, at least `least`. At least half of
        the frames are within.

    Notes
    -----
    The shape of the set is the median of the frames that are within the limit, found again until the same are, in up
    to five rounds.
    """
    light, error = np.stack(lights), np.stack(errors)
    within = np.ones(len(light), dtype=bool)
    for _ in range(ROUNDS):
        found = departures_from(light, error, within)
        limit = max(least, REJECT * RSTD * float(np.median(found)))
        before, within = within, found <= limit
        if np.array_equal(before, within):
            break
    return found, limit


def departures_from(light: Maps, error: Maps, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Largest significant departure of the light of each frame from the median shape of those chosen.

    Parameters
    ----------
    light, error : ndarray of float64, shape (n, rows, columns)
        [e-], in any units of their own for each frame.
    chosen : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        As part of the light, of means over 3 x 3 blocks; 0 where none exceeds 5 times its error.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        level = _middle(light)
        shapes = light / level
        typical = median(shapes[chosen])
        typical[~(typical > DARK)] = np.nan
        noise = error / level / typical
        noise = np.hypot(noise, np.sqrt(np.pi / 2 * median(noise[chosen] ** 2) / np.count_nonzero(chosen)))
        ratio = shapes / typical
        excess, noise = _means_of_nine(ratio / _middle(ratio) - 1, noise)
        excess = np.abs(excess)
        return np.asarray(np.max(np.where(excess > SIGNIFICANT * noise, excess, 0.0), axis=(1, 2)))


def _middle(maps: Maps) -> Maps:
    """Median of each map, shape (n, 1, 1)."""
    return median(maps.reshape(len(maps), -1).T)[:, np.newaxis, np.newaxis]


def _means_of_nine(values: Maps, noise: Maps) -> tuple[Maps, Maps]:
    """Mean of the 3 x 3 blocks about each, and its noise; what is not finite does not count."""
    around = [np.pad(part, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan) for part in (values, noise**2)]
    values, variances = (sliding_window_view(part, (3, 3), axis=(1, 2)) for part in around)
    known = np.isfinite(values) & np.isfinite(variances)
    count = known.sum(axis=(-2, -1))
    mean = np.sum(values, axis=(-2, -1), where=known) / count
    return mean, np.sqrt(np.sum(variances, axis=(-2, -1), where=known)) / count


# --- stars -----------------------------------------------------------------------------------------------------------


def _with_stars(judged: Accepted, dither: float) -> dict[int, str]:
    """Twilight frames whose stars would stay in the master, with the reason."""
    exposures = judged.exposures
    pointings = {
        n: e.pointing for n, e in enumerate(exposures) if e.pointing is not None and e.flat_source == "twilight"
    }
    spots: dict[int, NDArray[np.float64]] = {}

    def spots_of(n: int) -> NDArray[np.float64]:
        if n not in spots:
            with exposures[n].readout.image.hold():
                electrons, flags = exposures[n].readout.read()
            spots[n] = find_stars_in_flat(electrons, flags > 0)
        return spots[n]

    reasons = {}
    for n, better in too_close(pointings, judged.levels, dither).items():
        elsewhere = _elsewhere(n, pointings, judged.levels, dither)
        known = None if elsewhere is None else spots_of(elsewhere)
        stars = len(spots_of(n)) if known is None else count_others(spots_of(n), known)
        distance = separation(pointings[n], pointings[better])
        said = f"it points {distance:.1f} arcsec from {exposures[better].path.name}, which is better exposed"
        log.info("%s: %s; stars: %d", exposures[n].path.name, said, stars)
        if stars > (CHIP_SPOTS if known is None else FEWEST_STARS - 1):
            reasons[n] = f"stars: {said}, and shows {stars} stars, which would stay in the master"
    return reasons


def too_close(pointings: Mapping[int, Pointing], lights: Sequence[float], dither: float) -> dict[int, int]:
    """Find frames that point where a better exposed one does.

    Parameters
    ----------
    pointings : mapping of int to (float, float)
        Right ascension and declination [deg] of the frames that are compared.
    lights : sequence of float
        Of all frames [e-]; of equal ones the first is the better.
    dither : float
        Least distance of two frames [arcsec].

    Returns
    -------
    dict of int to int
        For each such frame the better one, which is none of them.
    """
    chosen: list[int] = []
    found: dict[int, int] = {}
    for n in _best_first(pointings, lights):
        better = next((m for m in chosen if separation(pointings[n], pointings[m]) < dither), None)
        if better is None:
            chosen.append(n)
        else:
            found[n] = better
    return found


def _best_first(pointings: Mapping[int, Pointing], lights: Sequence[float]) -> list[int]:
    return sorted(pointings, key=lambda n: (-lights[n], n))


def _elsewhere(n: int, pointings: Mapping[int, Pointing], lights: Sequence[float], dither: float) -> int | None:
    """Best exposed frame that sees another sky, and so has nothing but the chip's own pattern in common."""
    return next((m for m in _best_first(pointings, lights) if separation(pointings[n], pointings[m]) >= dither), None)


def separation(one: Pointing, other: Pointing) -> float:
    """Angle between two directions.

    Parameters
    ----------
    one, other : (float, float)
        Right ascension and declination [deg].

    Returns
    -------
    float
        [arcsec], from the chord between the unit vectors, which is exact for small angles.
    """
    here, there = unit_vectors(*np.array([one, other]).T)
    chord = float(np.linalg.norm(here - there))
    return float(np.degrees(2 * np.arcsin(min(1.0, chord / 2)))) * 3600


def count_others(spots: NDArray[np.float64], known: NDArray[np.float64]) -> int:
    """Count the spots that are none of those known, within 3 pixels.

    Parameters
    ----------
    spots, known : ndarray of float64, shape (n, 2)
        Rows and columns.

    Returns
    -------
    int
    """
    if len(spots) == 0 or len(known) == 0:
        return len(spots)
    from scipy.spatial import cKDTree

    distances, _ = cKDTree(known).query(spots, distance_upper_bound=SAME_SPOT)
    return int(np.isinf(distances).sum())
