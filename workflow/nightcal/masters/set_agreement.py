"""Compare each bias or dark with its set: its level, its shape, its noise and its fixed pattern.

Of a set that mostly agrees, the frames that depart are left out. Of a set that does not, nobody can tell which frames
are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.masters.compare_maps import Grid, calibrate_errors
from nightcal.masters.dividing_card import find_dividing_cards, find_gap, name_files
from nightcal.masters.portraits import Portrait
from nightcal.numerics.blocks import average_nine, find_neighbours
from nightcal.numerics.robust import RSTD, median, rstd
from nightcal.stacking.calibration_frame import CalibrationFrame

SIGNIFICANT = 5.0
"""Departures below this many standard errors are noise."""

MOSTLY = 2 / 3
"""Fraction of a set that must agree for the others to be left out."""

SHAPE = 0.25
"""Departure of the shape from the set's that matters, in read noises: weaker banding is usual, and averages out."""

QUIET = 40.0
"""Percentile of the frames whose departures are taken for noise: banding is common to the blocks of a row, and two
fifths of the frames are sound."""

BOTH_SIGNS = 0.6
"""Of a gradient, whose one end is below the median and whose other is above it, the bright end is named."""

LEVEL, LEVEL_WITH_OVERSCAN = 1.0, 0.5
"""Departure of the level that matters, in read noises. Without overscan the level drifts by a few tenths of it."""

DRIFT = 5.0
"""A level within this many rstd of the set's levels is a drift of all, not a fault of one."""

NOISE = 1.25
"""Noise of a frame over that of the set, or the inverse, that matters."""

PATTERN, CLEAR_PATTERN = 0.5, 6.0
"""A frame with less than this fraction of the set's fixed pattern is displaced, if the pattern is as clear as this many
standard errors."""

WINSOR = 4.0
"""Values farther out than this many rstd count as if they were there."""

SAME_TIME = 0.1
"""Exposure times that differ by less than this fraction are the same."""

FEWEST = 3
"""Frames of one exposure time whose noise and pattern can be compared."""

BAND = 8
"""Rows of the narrowest band that is looked for."""

NO_CURRENT = 0.5
"""Largest fraction of the dark current in a band that has none."""

VISIBLE = 0.3
"""Smallest dark signal in which a band can be seen, in read noises."""

LEAST_NOISE = 1.0
"""Read noise that is assumed if none is known, or less [e-]."""

Values = NDArray[np.float64]
Sample = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a set agrees.

    Attributes
    ----------
    departing : dict of int to str
        Places of the frames that are left out, with the reasons.
    doubt : str
        Why nothing in the set can be believed; empty if it mostly agrees.
    """

    departing: dict[int, str]
    doubt: str = ""


def compare_with_set(
    frames: Sequence[CalibrationFrame],
    portraits: Sequence[Portrait],
    times: Sequence[float] | None = None,
    serves: float | None = None,
) -> Agreement:
    """Find the frames of a set that depart from it.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
    portraits : sequence of Portrait
        Of the frames.
    times : sequence of float, optional
        Exposure times of darks [s]; signals are compared at equal currents. None for bias frames.
    serves : float, optional
        Mean time of the science frames [MJD]. Of levels in two groups, those nearest to it are kept.

    Returns
    -------
    Agreement
    """
    if len(frames) < 2:
        return Agreement({})
    noise = max(LEAST_NOISE, frames[0].readout.read_noise)
    scales = np.ones(len(frames)) if times is None else np.asarray(times, np.float64)
    has_overscan = all(frame.readout.has_overscan for frame in frames)
    within = np.ones(len(frames), dtype=bool)
    found: dict[int, str] = {}
    for _ in range(2):
        found = _find_departing(portraits, scales, within, noise, has_overscan)
        keep = np.array([n not in found for n in range(len(frames))])
        if np.array_equal(keep, within) or keep.sum() < MOSTLY * len(frames):
            break
        within = keep
    if len(frames) - len(found) >= max(2, MOSTLY * len(frames)):
        return Agreement({n: why + _name_cards(frames, n, found) for n, why in found.items()})
    return _settle_groups(frames, found, serves, has_overscan)


def _settle_groups(
    frames: Sequence[CalibrationFrame], found: dict[int, str], serves: float | None, has_overscan: bool
) -> Agreement:
    """Keep the group nearest in time to the science frames, if only the levels differ; else believe nothing."""
    agreeing = f"only {len(frames) - len(found)} of {len(frames)} frames agree"
    place, first = next(iter(found.items()))
    levels_only = all(reason.startswith("level ") and ";" not in reason for reason in found.values())
    others = [n for n in range(len(frames)) if n not in found]
    if not levels_only or has_overscan or serves is None or not others:
        return Agreement({}, f"{agreeing}; {frames[place].path.name}: {first}")
    groups = sorted(found), others
    gaps = [min(abs(frames[n].mjd - serves) for n in group) for group in groups]
    near, far = groups if gaps[0] <= gaps[1] else groups[::-1]
    names = name_files([frames[n].path.name for n in far], [frames[n].path.name for n in near])
    line = f"for a second master, night.yaml: - {{group: other, file: {names}}}"
    reason = "level of another group of frames; those nearest to the science frames are kept"
    doubt = f"{agreeing}: levels in two groups; the {len(near)} nearest to the science frames are used; {line}"
    return Agreement(dict.fromkeys(far, reason), doubt)


def _find_departing(
    portraits: Sequence[Portrait], times: Values, within: NDArray[np.bool_], noise: float, has_overscan: bool
) -> dict[int, str]:
    """Find the frames that depart from those within, each with all that is wrong."""
    signal, error = (np.stack([getattr(p, name) for p in portraits]) for name in ("signal", "error"))
    typical, spread = np.empty_like(signal), np.empty_like(error)
    for n, time in enumerate(times.tolist()):
        like = _choose_like(times, within, time)
        typical[n] = median(signal[like] / times[like][:, None, None]) * time
        squares = median((error[like] / times[like][:, None, None]) ** 2) * time**2
        spread[n] = np.sqrt(np.pi / 2 * squares / np.count_nonzero(like))
    rest, errors = signal - typical, np.hypot(error, spread)
    levels = median(rest.reshape(len(rest), -1), axis=1)
    reasons: dict[int, list[str]] = {n: [] for n in range(len(portraits))}
    for n, text in _compare_levels(levels, noise, has_overscan).items():
        reasons[n].append(text)
    for n, text in _compare_shapes(rest - levels[:, None, None], errors, noise).items():
        reasons[n].append(text)
    sample = np.stack([p.sample for p in portraits])
    for n, texts in _compare_samples(sample, times, within).items():
        reasons[n] += texts
    profiles = np.stack([p.profile for p in portraits])
    for n, text in _find_bands(profiles, times, within, noise).items():
        reasons[n].append(text)
    return {n: "; ".join(texts) for n, texts in reasons.items() if texts}


def _choose_like(times: Values, within: NDArray[np.bool_], time: float) -> NDArray[np.bool_]:
    """Choose the frames with which one is compared: of its exposure time, or the longer ones if these are few.

    Glow and a drift of the level do not grow with the exposure time.
    """
    same = within & (np.abs(times - time) <= SAME_TIME * time)
    if np.count_nonzero(same) >= FEWEST:
        return same
    return within & (times >= 0.5 * times[within].max())


def _compare_levels(levels: Values, noise: float, has_overscan: bool) -> dict[int, str]:
    """Find levels that depart from the set's, in two groups or alone."""
    least = (LEVEL_WITH_OVERSCAN if has_overscan else LEVEL) * noise
    if len(levels) == 2:
        apart = float(levels[0] - levels[1])
        texts = {0: _describe_level(apart), 1: _describe_level(-apart)}
        return texts if abs(apart) > least else {}
    groups = find_gap(levels.tolist())
    if groups is not None:
        fewer, more = sorted(groups, key=len)
        gap = levels[more].mean() - levels[fewer].mean()
        limit = max(least, DRIFT * float(rstd(levels[more])))
        return {n: _describe_level(levels[n] - levels[more].mean()) for n in fewer} if abs(gap) > limit else {}
    middle, limit = float(np.median(levels)), max(least, DRIFT * float(rstd(levels)))
    return {n: _describe_level(x - middle) for n, x in enumerate(levels.tolist()) if abs(x - middle) > limit}


def _describe_level(change: float) -> str:
    return f"level {abs(change):.1f} e- {'above' if change > 0 else 'below'} the others"


def _compare_shapes(shapes: Values, errors: Values, noise: float) -> dict[int, str]:
    """Find frames whose shape departs from the set's; errors are at least what neighbouring blocks scatter."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, error = average_nine(*calibrate_errors(Grid(shapes, errors)))
        error *= _find_usual(mean / error)
        significant = np.abs(mean) > np.maximum(SIGNIFICANT * error, SHAPE * noise)
    found = {}
    for n in np.flatnonzero(significant.any(axis=(1, 2))).tolist():
        sizes = np.where(significant[n], np.abs(mean[n]), 0.0)
        brighter = np.where(mean[n] > 0, sizes, 0.0)
        sizes = brighter if brighter.max() > BOTH_SIGNS * sizes.max() else sizes
        row, column = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
        size = float(mean[n, row, column])
        where = _describe_place(row / (sizes.shape[0] - 1 or 1), column / (sizes.shape[1] - 1 or 1))
        cause = "light leak?" if size > 0 else "another pattern?"
        found[n] = f"shape differs by {size:+.1f} e- at the {where}: {cause}"
    return found


def _find_usual(departures: Values) -> Values:
    """Find by how much the blocks of sound frames scatter more than their errors, shape (rows, columns).

    The noise of a row's overscan is common to all its blocks, and one amplifier may have more of it than another: the
    scatter is found for all blocks, and for three columns and three rows of blocks at a time.
    """
    sizes = np.abs(departures)
    around = find_neighbours(sizes)
    number, rows, columns = sizes.shape
    everywhere = sizes.reshape(number, 1, 1, -1)
    of_rows = around[..., 1].reshape(number, rows, 1, -1)
    of_columns = around[..., 1, :].transpose(0, 2, 1, 3).reshape(number, 1, columns, -1)
    usual = (RSTD * median(part, axis=-1) for part in (everywhere, of_rows, of_columns))
    quiet = [np.nanpercentile(part, QUIET, axis=0) for part in usual]
    return np.asarray(np.fmax(1.0, np.fmax(quiet[0], np.fmax(quiet[1], quiet[2]))))


def _describe_place(y: float, x: float) -> str:
    """Name a place of the chip, whose first row is at the bottom; both coordinates run from 0 to 1."""
    vertical = "bottom" if y < 1 / 3 else "top" if y > 2 / 3 else ""
    horizontal = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    return " ".join(filter(None, (vertical, horizontal))) or "centre"


def _compare_samples(sample: Sample, times: Values, within: NDArray[np.bool_]) -> dict[int, list[str]]:
    """Compare noise and fixed pattern among the frames of one exposure time."""
    found: dict[int, list[str]] = {}
    for time in np.unique(times):
        alike = np.flatnonzero(np.abs(times - time) <= SAME_TIME * time)
        if len(alike) < FEWEST or alike[0] in found.keys() & set(alike.tolist()):
            continue
        group, trusted = sample[alike].astype(np.float64), within[alike]
        texts = [(n, f"noise {r:.2f} times that of the others") for n, r in find_other_noise(group, trusted).items()]
        texts += [
            (n, f"only {percent:.0f} percent of the fixed pattern of the others: displaced?")
            for n, percent in find_missing_pattern(group, trusted).items()
        ]
        for n, text in texts:
            known = found.setdefault(int(alike[n]), [])
            known += [text] if text not in known else []
    return found


def find_other_noise(sample: Values, within: NDArray[np.bool_]) -> dict[int, float]:
    """Find frames that are noisier or quieter than the others.

    Parameters
    ----------
    sample : ndarray of float64, shape (n, pixels)
        The same pixels of all frames, NaN where unusable; all frames have one level.
    within : ndarray of bool, shape (n,)
        Frames that show what is usual.

    Returns
    -------
    dict of int to float
        Noise of such frames over that of the others.
    """
    centred = sample - median(sample, axis=1)[:, np.newaxis]
    rest = centred - median(centred[within])
    spread = float(rstd(rest[np.isfinite(rest)]))
    squares = np.clip(rest, -WINSOR * spread, WINSOR * spread) ** 2
    known = np.isfinite(squares)
    pixels = known.sum(axis=1)
    number = max(2, int(np.count_nonzero(within)))  # a frame takes part in the median from which it is measured
    part = np.sqrt(np.where(within, 1 - 1 / number, 1 + 1 / number))
    noises = np.sqrt(np.sum(squares, axis=1, where=known) / np.maximum(pixels, 1)) / part
    usual = float(np.median(noises[within])) if within.any() else 0.0
    if usual == 0:
        return {}
    least = np.maximum(NOISE, 1 + SIGNIFICANT / np.sqrt(np.maximum(pixels, 1)))
    odd = (noises > least * usual) | (noises * least < usual)
    return {n: float(noises[n] / usual) for n in np.flatnonzero(odd).tolist()}


def find_missing_pattern(sample: Values, within: NDArray[np.bool_]) -> dict[int, float]:
    """Find frames in which the fixed pattern of the set is missing.

    Parameters and result are those of `find_other_noise`, with the percentage of the pattern that is there. Steps from
    pixel to pixel show the pattern without gradients.
    """
    found = {}
    centred = np.diff(sample, axis=1)
    known = [frame[np.isfinite(frame)] for frame in centred]
    ceilings = [WINSOR * float(rstd(values)) if values.size else 0.0 for values in known]  # some may be noisier
    centred = np.nan_to_num([np.clip(frame, -most, most) for frame, most in zip(centred, ceilings, strict=True)])
    for n, frame in enumerate(centred):
        others = np.flatnonzero(within & (np.arange(len(centred)) != n))
        if len(others) < FEWEST - 1:
            continue
        one, two = (centred[part].mean(axis=0) for part in (others[::2], others[1::2]))
        common = float(np.sum(one * two))  # noise of the two halves is not common
        shared = 0.5 * float(np.sum(frame * (one + two)))
        error = float(np.std(frame)) * float(np.sum(((one + two) / 2) ** 2)) ** 0.5
        if common > CLEAR_PATTERN * error and shared + SIGNIFICANT * error < common and shared < PATTERN * common:
            found[n] = max(0.0, 100 * shared / common)
    return found


def _find_bands(profiles: Sample, times: Values, within: NDArray[np.bool_], noise: float) -> dict[int, str]:
    """Find bands of rows in which a dark has no dark current."""
    if profiles.shape[1] < 4 * BAND:
        return {}
    typical = median((profiles / times[:, np.newaxis])[within & (times >= 0.5 * times[within].max())])
    kernel = np.ones(BAND) / BAND
    found = {}
    for n, time in enumerate(times.tolist()):
        expected = np.convolve(np.nan_to_num(typical * time), kernel, "valid")
        rest = np.nan_to_num(profiles[n] - typical * time)
        scatter = RSTD * float(np.median(np.abs(rest - np.median(rest)))) / BAND**0.5
        smooth = np.convolve(rest, kernel, "valid")
        limit = max(SIGNIFICANT * scatter, VISIBLE * noise)
        usual = float(np.median(expected))
        missing = (smooth < -(1 - NO_CURRENT) * expected) & (smooth < -limit)
        alone = (smooth > (1 - NO_CURRENT) * usual) & (expected < NO_CURRENT * usual) & (smooth > limit)
        for rows, who in ((np.flatnonzero(missing), ""), (np.flatnonzero(alone), " of the others")):
            if rows.size and usual > limit:
                found[n] = f"no dark current in rows {rows[0] + 1} to {rows[-1] + BAND}{who}: a transfer fault?"
    return found


def _name_cards(frames: Sequence[CalibrationFrame], place: int, departing: dict[int, str]) -> str:
    """Name the header cards in which a frame differs from those that agree."""
    others = [frame.readout.image.header for n, frame in enumerate(frames) if n not in departing]
    cards = find_dividing_cards([frames[place].readout.image.header], others)
    return f"; differs from them in {', '.join(cards)}" if cards else ""
