"""The row of numbers below the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from nightcal.report.facts import FrameFacts
from nightcal.report.html import DASH, format_number, show
from nightcal.report.plan_rows import Row
from nightcal.science.crosscheck import CrossCheck

MOST_FILTERS = 4


def make_tiles(rows: Sequence[Row], frames: Sequence[FrameFacts], checks: Sequence[CrossCheck]) -> str:
    """Make the tiles: a number with its range, or a dash with the reason."""
    masked = [share for frame in frames if (share := frame.share_masked) is not None and not frame.is_empty]
    tiles = [
        _count_raw(rows),
        _show_quantity("seeing", frames, "seeing", ".1f", '"', "no pixel scale, or no stars"),
        _show_sky(frames),
        _show_quantity("transparency", frames, "transparency", ".2f", "", "nothing to compare"),
        _show_quantity("noise", frames, "noise / expected", ".2f", "", "sources were not measured"),
        _show_range("masked", masked, ".1f", " %", "no science frame"),
        _show_checks(checks),
    ]
    return '<dl class="tiles">' + "".join(tiles) + "</dl>"


def _make_tile(name: str, value: str, more: str) -> str:
    return f"<div><dt>{show(name)}</dt><dd><strong>{show(value)}</strong> <small>{show(more)}</small></dd></div>"


def _count_raw(rows: Sequence[Row]) -> str:
    roles = Counter(row["role"] for row in rows)
    more = ", ".join(f"{number} {role}" for role, number in sorted(roles.items()))
    return _make_tile("raw frames", str(len(rows)), more or "none")


def _show_quantity(key: str, frames: Sequence[FrameFacts], name: str, style: str, unit: str, why: str) -> str:
    return _show_range(name, [frame.numbers[key] for frame in frames if key in frame.numbers], style, unit, why)


def _show_range(name: str, values: Sequence[float], style: str, unit: str, why: str) -> str:
    if not values:
        return _make_tile(name, DASH, why)
    low, high = (format(value, style) for value in (min(values), max(values)))
    return _make_tile(name, format(median(values), style) + unit, f"{low} to {high}" if low != high else "")


def _show_sky(frames: Sequence[FrameFacts]) -> str:
    """Show the typical sky of each filter, in magnitudes if they all have zero points."""
    key = "sky_mag" if all("sky_mag" in frame.numbers for frame in frames) else "sky"
    filters = sorted({frame.filter for frame in frames if key in frame.numbers})
    if not filters:
        return _make_tile("sky", DASH, "sources were not measured")
    style, unit = (".1f", "mag/arcsec\N{SUPERSCRIPT TWO}") if key == "sky_mag" else (".3g", "e-/s/pix")
    found = {
        name: format(median(f.numbers[key] for f in frames if f.filter == name and key in f.numbers), style)
        for name in filters
    }
    if len(found) == 1:
        return _make_tile("sky", next(iter(found.values())), unit)
    shown = ", ".join(f"{name} {value}" for name, value in list(found.items())[:MOST_FILTERS])
    return _make_tile("sky", shown, unit)


def _show_checks(checks: Sequence[CrossCheck]) -> str:
    if not checks:
        return _make_tile("compared with ccdproc", DASH, "not asked for: crosscheck=true")
    largest = [check.largest for check in checks if check.largest is not None]
    if not largest:
        return _make_tile("compared with ccdproc", DASH, checks[0].reason)
    return _make_tile("compared with ccdproc", f"{format_number(max(largest), '.2g')} sigma", "largest difference")
