"""Checks of a master against an earlier one of its kind: what changed, and whether it matters to science frames.

A change counts only if it is significant and matters; the limits are fractions of the read noise of a pixel, or
percent of a flat. docs/verification.md tells how they were found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nightcal.io.master_maps import MasterMaps
from nightcal.io.verdict import Check, Outcome
from nightcal.masters.compare_maps import (
    SIGNIFICANT,
    Change,
    Map,
    average_blocks,
    calibrate_errors,
    divide_maps,
    find_change,
    find_changed_lines,
    find_slope,
    subtract_maps,
)

Line = NDArray[np.float32]

DOUBTFUL_SHAPE = 0.05
"""Change of a bias's shape that matters, in read noises: it adds to the sky of every frame."""

REJECTED_SHAPE = 0.5
"""Change of a bias's or dark's shape that spoils science frames, in read noises."""

DOUBTFUL_DARK = 0.3
"""Change of a dark's shape or level that matters, in read noises in its longest exposure."""

DOUBTFUL_LEVEL = 3.0
"""Change of a bias level without overscan that is unusual, in read noises: electronics drift from night to night."""

DOUBTFUL_RESIDUAL = 0.5
"""The same for what is left of the level after the overscan."""

WARMER = 2.0
"""Factor of the dark current beyond which it is not explained by a set temperature kept within 2 C."""

REJECTED_WARMER = 4.0

DOUBTFUL_FLAT, REJECTED_FLAT = 0.03, 0.15
"""Change of a flat over blocks of 64 pixels and more, as a fraction: another lamp, gradient or filter."""

DUST = 0.005
"""Change of a block of 16 pixels against those around that is called dust, as a fraction."""

OTHER_NOISE, OTHER_GAIN = 0.15, 0.05
"""Change of read noise and gain that matters, as a fraction."""

LINES = 0.5
"""Change of a column or row, in read noises."""

USUAL_NOISE = 10.0
"""Read noise [e-] if nobody knows it."""


def compare_masters(new: MasterMaps, old: MasterMaps) -> list[Check]:
    """Compare a master with an earlier one of its kind and size.

    Parameters
    ----------
    new, old : MasterMaps

    Returns
    -------
    list of Check
    """
    noise = _find_noise(new)
    if new.facts.get("MASTER") == "flat":
        return [*check_flat_shape(new, old), _check_number("gain", "GNMEAS1", "GNERR1", new, old, OTHER_GAIN)]
    if new.facts.get("MASTER") == "dark":
        time = new.find_number("EXPMAX") or 1.0
        return [check_dark_level(new, old, noise, time), check_shape(new, old, noise, time), check_hot(new, old)]
    return [
        check_bias_level(new, old, noise),
        check_shape(new, old, noise),
        check_lines("columns", new.columns, old.columns, noise),
        check_lines("rows", new.rows, old.rows, noise),
        _check_number("read noise", "RNMEAS1", "RNERR1", new, old, OTHER_NOISE),
    ]


def _find_noise(maps: MasterMaps) -> float:
    """Find the read noise of a pixel [e-]."""
    known = (maps.find_number(keyword) for keyword in ("RNMEAS1", "RNDARK", "RNUSED"))
    return next((noise for noise in known if noise is not None and noise > 0), USUAL_NOISE)


def _find_pair(keyword: str, new: MasterMaps, old: MasterMaps) -> tuple[float, float] | None:
    """Find a number of both masters; None if one of them lacks it."""
    now, before = new.find_number(keyword), old.find_number(keyword)
    return None if now is None or before is None else (now, before)


def _grade(size: float, doubtful: float, rejected: float = np.inf) -> Outcome:
    return Outcome(int(abs(size) > doubtful) + int(abs(size) > rejected))


def check_shape(new: MasterMaps, old: MasterMaps, noise: float, time: float = 1.0) -> Check:
    """Compare the shape of a bias [e-], or of a dark in its longest exposure [s]."""
    doubtful = (DOUBTFUL_SHAPE if new.facts.get("MASTER") == "bias" else DOUBTFUL_DARK) * noise
    rest = subtract_maps(new, old, time)
    change = max(find_change(rest), find_slope(rest), key=lambda one: abs(one.size))
    outcome = _grade(change.size, doubtful, REJECTED_SHAPE * noise if time == 1.0 else noise)
    text = "" if outcome is Outcome.ACCEPTED else f"shape changed by {_describe(change, 'e-')}: light leak, or glow?"
    return Check("shape", change.size, doubtful, outcome, text)


def _describe(change: Change, unit: str, factor: float = 1.0) -> str:
    return f"{change.size * factor:+.2g} {unit} {change.place} ({change.sigma:.0f} sigma)"


def check_bias_level(new: MasterMaps, old: MasterMaps, noise: float) -> Check:
    """Compare the levels of two biases, which without overscan may drift [e-]."""
    levels = _find_pair("BIASLVL", new, old)
    if levels is None:
        return Check("level")
    limit = (DOUBTFUL_RESIDUAL if "OVSCLEV" in new.facts else DOUBTFUL_LEVEL) * noise
    change = levels[0] - levels[1]
    outcome = _grade(change, limit)
    text = f"level {abs(change):.1f} e- {'above' if change > 0 else 'below'}" if outcome else ""
    return Check("level", change, limit, outcome, text)


def check_dark_level(new: MasterMaps, old: MasterMaps, noise: float, time: float) -> Check:
    """Compare the typical dark currents, by what the change adds to the longest exposure [e-]."""
    currents = _find_pair("DARKCURR", new, old)
    if currents is None:
        return Check("dark current")
    now, before = currents
    change, limit = (now - before) * time, DOUBTFUL_DARK * noise
    high, low = max(now, before), min(now, before)
    outcome = Outcome.ACCEPTED
    if abs(change) > limit and high > WARMER * max(low, 0.0):
        spoilt = change > noise and high > REJECTED_WARMER * max(low, 0.0)
        outcome = Outcome.REJECTED if spoilt else Outcome.DOUBTFUL
    text = f"dark current {now:.3g} e-/s where it was {before:.3g}: light, or another temperature?" if outcome else ""
    return Check("dark current", change, limit, outcome, text)


def check_hot(new: MasterMaps, old: MasterMaps) -> Check:
    """Tell how many of the hot pixels are the same; they change with temperature and age, so nothing follows."""
    fewest = min(len(new.hot), len(old.hot))
    if fewest == 0:
        return Check("hot pixels")
    kept = len(np.intersect1d(new.hot, old.hot)) / fewest
    text = f"only {100 * kept:.0f} percent of the hot pixels are the same" if kept < 0.5 and fewest > 20 else ""
    return Check("hot pixels", kept, None, Outcome.ACCEPTED, text)


def check_lines(name: str, new: Line, old: Line, noise: float) -> Check:
    """Count the columns or rows that changed against their neighbours; the bad pixel mask finds them."""
    found = find_changed_lines(new, old, LINES * noise)
    text = f"{len(found)} {name} changed (from 1: {_list_some([n + 1 for n in found])})" if found else ""
    return Check(name, float(len(found)), None, Outcome.ACCEPTED, text)


def _list_some(numbers: Sequence[int], most: int = 5) -> str:
    return ", ".join(map(str, numbers[:most])) + (", ..." if len(numbers) > most else "")


def _check_number(name: str, keyword: str, error: str, new: MasterMaps, old: MasterMaps, most: float) -> Check:
    """Compare a measured number of two masters."""
    numbers, errors = _find_pair(keyword, new, old), _find_pair(error, new, old)
    if numbers is None or errors is None or numbers[1] <= 0:
        return Check(name)
    now, before = numbers
    change = now / before - 1
    significant = abs(now - before) > SIGNIFICANT * float(np.hypot(*errors))
    outcome = _grade(change, most) if significant else Outcome.ACCEPTED
    text = f"{name} {now:.3g} where it was {before:.3g}" if outcome else ""
    return Check(name, change, most, outcome, text)


def check_flat_shape(new: MasterMaps, old: MasterMaps) -> list[Check]:
    """Compare two flats: their large-scale shape, and dust."""
    ratio = divide_maps(new, old)
    coarse = average_blocks(ratio)
    change = find_change(ratio)
    large = _find_large_scale(coarse.values)
    shape = large if abs(change.size) > 0 else 0.0
    outcome = _grade(shape, DOUBTFUL_FLAT, REJECTED_FLAT)
    text = f"illumination changed by {100 * shape:+.1f} percent: another lamp, gradient or filter?" if outcome else ""
    spots = _count_dust(ratio.values, coarse.values, calibrate_errors(ratio).errors)
    dust = f"dust moved: {spots} blocks of 16 x 16 pixels changed" if spots else ""
    return [
        Check("illumination", shape, DOUBTFUL_FLAT, outcome, text),
        Check("dust", float(spots), None, Outcome.ACCEPTED, dust),
    ]


def _find_large_scale(coarse: Map) -> float:
    """Find the largest departure of the coarse map, less one that only a few blocks have: dust is no gradient."""
    known = coarse[np.isfinite(coarse)]
    if not known.size:
        return 0.0
    low, high = np.percentile(known, (2, 98))
    return float(high if high > -low else low)


def _count_dust(fine: Map, coarse: Map, errors: Map) -> int:
    """Count the blocks that changed against the coarse map around."""
    around = np.repeat(np.repeat(coarse, 4, axis=0), 4, axis=1)[: fine.shape[0], : fine.shape[1]]
    rest = np.abs(fine - around)
    with np.errstate(invalid="ignore"):
        return int(np.count_nonzero((rest > DUST) & (rest > SIGNIFICANT * errors)))
