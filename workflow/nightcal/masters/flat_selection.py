"""Select the frames of a master flat: well exposed, of one shape, and without stars in the same place."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nightcal.errors import FrameRejectedError
from nightcal.io.master import MasterFrame
from nightcal.masters.flat_stars import find_stars_in_flat
from nightcal.masters.flat_trend import Trend, compare_with_typical, find_trend
from nightcal.masters.portraits import sample_rows
from nightcal.masters.set_agreement import find_missing_pattern, find_other_noise
from nightcal.numerics.blocks import average_nine, cut_blocks, sample_blocks
from nightcal.numerics.robust import RSTD, lower_median, median
from nightcal.numerics.sphere import unit_vectors
from nightcal.stacking.calibration_frame import (
    FEWEST_USABLE,
    Accepted,
    CalibrationFrame,
    RejectedFrame,
    accept_frames,
    find_central_level,
    read_signal,
    reject_frames,
)

log = logging.getLogger(__name__)

FAINTEST = 10.0
"""Smallest level of a flat, in read noises, so that a small error of the bias stays small."""

MOST_SATURATED = 0.02
"""Largest fraction of the central quarter that may be saturated."""

FEWEST = 3
"""Frames needed to find out which of them departs from the others."""

GRID = 16
"""Blocks on a side in which the signal of a frame is measured."""

BAND, SAMPLES = 16, 32
"""Largest number of rows and columns of a block that are measured."""

SIGNIFICANT = 5.0
REJECT = 3.5
ROUNDS = 5

MOSTLY = 2 / 3
"""Fraction of a set that must agree for the others to be left out without doubt."""

FEWEST_STARS = 3

CHIP_SPOTS = 4
"""Largest number of spots on a chip without stars."""

SAME_SPOT = 3.0
"""Distance [pixels] up to which spots of two frames are the same."""

Maps = NDArray[np.float64]
Pointing = tuple[float, float]


@dataclass(frozen=True, slots=True)
class FlatLimits:
    """Requirements on the frames of a flat.

    Attributes
    ----------
    faintest : float
        Smallest signal-to-noise ratio of a pixel at the level of the central quarter.
    departure : float
        Largest departure of a frame from the typical shape of the set [percent of the signal]; larger if the frames of
        the set differ more than that among each other.
    dither : float
        Smallest distance between twilight frames with stars [arcsec]; 0 for any distance.
    """

    faintest: float = 5.0
    departure: float = 2.0
    dither: float = 10.0


USUAL = FlatLimits()
"""The default requirements."""


@dataclass(frozen=True, slots=True)
class FlatSelection:
    """The frames of a flat.

    Attributes
    ----------
    accepted : Accepted
        The levels are those of the central quarter [e-].
    departure : float or None
        Largest departure [percent] of an accepted frame from the typical shape; None for fewer than 3 frames, whose
        shapes cannot be judged.
    trend : Trend
        How the shape changes over the accepted frames.
    doubt : str
        Why the set cannot be believed; empty if it mostly agrees.
    """

    accepted: Accepted
    departure: float | None
    trend: Trend
    doubt: str


class SignalMap(NamedTuple):
    """Median signal of each block of a frame and its error [e-]; NaN where most pixels are unusable."""

    signal: Maps
    error: Maps


def select_flats(
    frames: Sequence[CalibrationFrame],
    rejected: Sequence[RejectedFrame],
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    k: float,
    limits: FlatLimits,
) -> FlatSelection:
    """Find the level of each flat, and reject frames that would spoil the master.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
        Sorted by `nightcal.stacking.calibration_frame.sort_frames`.
    rejected : sequence of RejectedFrame
        Frames that could not be opened.
    bias, dark : MasterFrame or None
        In electrons and electrons per second.
    k : float
        Half-width of the clipping of a frame's level, in rstd.
    limits : FlatLimits

    Returns
    -------
    FlatSelection

    Raises
    ------
    FrameRejectedError
        If no frame is accepted.
    """
    maps: dict[Path, SignalMap] = {}

    def find_level(frame: CalibrationFrame) -> float:
        level = find_central_level(frame, bias, dark, k, MOST_SATURATED)
        variance = frame.readout.read_variance
        _check_exposure(level, variance, limits.faintest)
        maps[frame.path] = map_signal(
            lambda start, stop: read_signal(frame, bias, dark, slice(start, stop))[0], frame.readout.shape, variance
        )
        return level

    found = accept_frames(frames, rejected, find_level)
    departures, limit = _find_odd_shapes(found.frames, maps, limits.departure)
    odd = [n for n, departure in enumerate(departures) if departure > limit]
    response = _compare_response(found, odd, bias, dark)
    reasons = {
        n: f"{'another filter? ' if n in response else 'clouds or a gradient: '}differs from the typical shape by "
        f"{100 * departures[n]:.1f} percent (limit {100 * limit:.1f})"
        for n in odd
    }
    reasons |= {n: text for n, text in response.items() if n not in odd and text}
    odd = sorted(reasons)
    accepted = reject_frames(found, reasons)
    accepted = reject_frames(accepted, _find_frames_with_stars(accepted, limits.dither))
    number, kept = len(found.frames), [maps[frame.path] for frame in accepted.frames]
    return FlatSelection(
        accepted,
        100 * float(max(d for d in departures if d <= limit)) if number >= FEWEST else None,
        find_trend(
            [one.signal for one in kept],
            [one.error for one in kept],
            [frame.exposure_time for frame in accepted.frames],
            [frame.mjd for frame in accepted.frames],
        ),
        f"only {number - len(odd)} of {number} frames agree in shape" if number - len(odd) < MOSTLY * number else "",
    )


def _find_odd_shapes(
    frames: Sequence[CalibrationFrame], maps: Mapping[Path, SignalMap], percent: float
) -> tuple[NDArray[np.float64], float]:
    """Find the departure of each frame from the typical shape, as a fraction, and the limit."""
    if len(frames) < FEWEST:
        log.info("%d frames: too few to compare their shapes.", len(frames))
        return np.zeros(len(frames)), np.inf
    signals, errors = zip(*(maps[frame.path] for frame in frames), strict=True)
    departures, limit = compare_shapes(signals, errors, percent / 100)
    for frame, departure in zip(frames, departures, strict=True):
        log.info("%s: differs from the typical shape by %.2f percent", frame.path.name, 100 * departure)
    return departures, limit


def _compare_response(
    accepted: Accepted, odd: Sequence[int], bias: MasterFrame | None, dark: MasterFrame | None
) -> dict[int, str]:
    """Find the frames whose pixels respond otherwise than those of the set: through another filter, or displaced.

    The text is a reason to leave a frame out; it is empty where only the noise differs, which may be that of photons.
    """
    if len(accepted.frames) < FEWEST:
        return {}
    pairs = zip(accepted.frames, accepted.levels, strict=True)
    sample = np.stack([sample_rows(frame, bias, dark) / np.float64(level) for frame, level in pairs])
    within = np.array([n not in odd for n in range(len(sample))])
    found = dict.fromkeys(find_other_noise(np.diff(sample, axis=1), within), "")  # steps have no shape
    for n, percent in find_missing_pattern(sample, within).items():
        found[n] = f"only {percent:.0f} percent of the response of the pixels in the others: displaced?"
    return found


def _check_exposure(level: float, read_variance: float, ratio: float) -> None:
    """Reject a frame below a signal-to-noise ratio of its pixels, or below ten times the read noise."""
    needed = ratio**2 / 2 + np.sqrt(ratio**4 / 4 + ratio**2 * read_variance)  # S / sqrt(S + R^2) = ratio
    faintest = max(FAINTEST * read_variance**0.5, needed)
    if level < faintest:
        raise FrameRejectedError(f"too faint: {level:.1f} e- after bias and dark; expected at least {faintest:.0f}")


# --- shape -----------------------------------------------------------------------------------------------------------


def map_signal(
    rows: Callable[[int, int], NDArray[np.float32]], shape: tuple[int, int], read_variance: float
) -> SignalMap:
    """Measure the signal of a frame in 16 x 16 blocks, from up to 512 pixels of each.

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
    SignalMap
        Of fewer blocks if the frame has fewer than 64 rows or columns. The error is that of the median, from photon
        and read noise; the fixed pattern is the same in all frames.
    """
    above, beside = (cut_blocks(n, max(1, min(GRID, n // 4))) for n in shape)
    signal = np.full((len(above) - 1, len(beside) - 1), np.nan)
    known = np.zeros_like(signal)
    for n, (bottom, top) in enumerate(pairwise(above.tolist())):
        start = bottom + max(0, top - bottom - BAND) // 2
        values = sample_blocks(rows(start, min(start + BAND, top)), beside, SAMPLES)
        signal[n] = lower_median(values)
        known[n] = np.isfinite(values).mean(axis=1)
    pixels = np.minimum(BAND, np.diff(above))[:, np.newaxis] * np.minimum(SAMPLES, np.diff(beside))
    signal[known <= FEWEST_USABLE] = np.nan
    with np.errstate(divide="ignore"):
        error = np.sqrt(np.pi / 2 * (np.maximum(signal, 0.0) + read_variance) / (known * pixels))
    return SignalMap(signal, error)


def compare_shapes(signals: Sequence[Maps], errors: Sequence[Maps], least: float) -> tuple[NDArray[np.float64], float]:
    """Compare the shape of each frame with the typical shape of the set.

    Parameters
    ----------
    signals, errors : sequence of ndarray, shape (rows, columns)
        From `map_signal`.
    least : float
        Smallest limit, as a fraction of the signal.

    Returns
    -------
    departures : ndarray of float64, shape (n,)
        Of each frame, as a fraction of the signal.
    limit : float
        Largest departure of a frame that is fit to be stacked: 3.5 times the rstd of the set, at least `least`. At
        least half of the frames are within it.

    Notes
    -----
    The typical shape is the median of the frames within the limit; in up to five rounds, until these stay the same.
    """
    signal, error = np.stack(signals), np.stack(errors)
    within = np.ones(len(signal), dtype=bool)
    for _ in range(ROUNDS):
        found = find_departures(signal, error, within)
        limit = max(least, REJECT * RSTD * float(np.median(found)))
        before, within = within, found <= limit
        if np.array_equal(before, within):
            break
    return found, limit


def find_departures(signal: Maps, error: Maps, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Find the largest significant departure of each frame from the median shape of the chosen frames.

    Parameters
    ----------
    signal, error : ndarray of float64, shape (n, rows, columns)
        [e-]; each frame may have another unit.
    chosen : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Fraction of the signal, averaged over 3 x 3 blocks; 0 if none exceeds 5 times its error.
    """
    departure, noise = compare_with_typical(signal, error, chosen)
    with np.errstate(invalid="ignore", divide="ignore"):
        noise = np.hypot(noise, np.sqrt(np.pi / 2 * median(noise[chosen] ** 2) / np.count_nonzero(chosen)))
        excess, noise = average_nine(departure, noise)
        excess = np.abs(excess)
        return np.asarray(np.max(np.where(excess > SIGNIFICANT * noise, excess, 0.0), axis=(1, 2)))


# --- stars -----------------------------------------------------------------------------------------------------------


def _find_frames_with_stars(accepted: Accepted, dither: float) -> dict[int, str]:
    """Find twilight frames whose stars would stay in the master, with the reason."""
    frames, levels = accepted.frames, accepted.levels
    pointings = {n: f.pointing for n, f in enumerate(frames) if f.pointing is not None and f.flat_source == "twilight"}

    @cache
    def find_spots(n: int) -> NDArray[np.float64]:
        with frames[n].readout.image.hold():
            electrons, flags = frames[n].readout.read()
        return find_stars_in_flat(electrons, flags > 0)

    reasons = {}
    for n, better in find_close_frames(pointings, levels, dither).items():
        elsewhere = _find_other_field(n, pointings, levels, dither)
        known = None if elsewhere is None else find_spots(elsewhere)
        stars = len(find_spots(n)) if known is None else count_new_spots(find_spots(n), known)
        distance = find_separation(pointings[n], pointings[better])
        where = f"{distance:.1f} arcsec from {frames[better].path.name}, which is better exposed"
        log.info("%s: points %s; stars: %d", frames[n].path.name, where, stars)
        if stars > (CHIP_SPOTS if known is None else FEWEST_STARS - 1):
            reasons[n] = f"stars: {stars} would remain in the master; the frame points {where}"
    return reasons


def find_close_frames(pointings: Mapping[int, Pointing], levels: Sequence[float], dither: float) -> dict[int, int]:
    """Find frames that point to the same field as a better exposed frame.

    Parameters
    ----------
    pointings : mapping of int to (float, float)
        Right ascension and declination [deg] of the frames to compare.
    levels : sequence of float
        Of all frames [e-]; of equal levels the first is the better.
    dither : float
        Smallest distance between two frames [arcsec].

    Returns
    -------
    dict of int to int
        For each such frame the better frame, which is not such a frame itself.
    """
    chosen: list[int] = []
    found: dict[int, int] = {}
    for n in _sort_by_level(pointings, levels):
        better = next((m for m in chosen if find_separation(pointings[n], pointings[m]) < dither), None)
        if better is None:
            chosen.append(n)
        else:
            found[n] = better
    return found


def _sort_by_level(pointings: Mapping[int, Pointing], levels: Sequence[float]) -> list[int]:
    return sorted(pointings, key=lambda n: (-levels[n], n))


def _find_other_field(n: int, pointings: Mapping[int, Pointing], levels: Sequence[float], dither: float) -> int | None:
    """Find the best exposed frame of another field, which shares only the chip's pattern with this frame."""
    others = _sort_by_level(pointings, levels)
    return next((m for m in others if find_separation(pointings[n], pointings[m]) >= dither), None)


def find_separation(one: Pointing, other: Pointing) -> float:
    """Find the angle between two directions.

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


def count_new_spots(spots: NDArray[np.float64], known: NDArray[np.float64]) -> int:
    """Count the spots that are not within 3 pixels of a known spot.

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
