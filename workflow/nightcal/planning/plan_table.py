"""The plan of a night as a table of groups: a line for each master, and one for frames that are reduced alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from nightcal.io.header_values import format_clock
from nightcal.planning.batches import ScienceFrame
from nightcal.planning.frames import Frame
from nightcal.planning.naming import make_printable
from nightcal.planning.plan import STEPS, Plan
from nightcal.planning.records import Match, PlannedMaster

MASTER_COLUMNS = "master", "frames", "taken [UT]", "for science frames"
SCIENCE_COLUMNS = "object", "filter", "exposure", "frames", "taken [UT]", *STEPS

LONGEST = 40
"""Longest text in a column; the rest is left out."""

NUMBERS = frozenset(("frames", "for science frames"))


def describe_plan(plan: Plan, night: str) -> list[str]:
    """Describe what will be made from the frames of a night.

    Parameters
    ----------
    plan : Plan
    night : str

    Returns
    -------
    list of str
        Lines of two tables, without those that would be empty. For each step, science frames have the time between
        them and the master, or a dash.
    """
    masters = [master for master in plan.find_masters(night) if master.kind in STEPS]
    tables = (
        (MASTER_COLUMNS, [_make_master_row(plan, master) for master in masters]),
        (SCIENCE_COLUMNS, list(_make_science_rows(plan.find_science(night)))),
    )
    return [line for columns, rows in tables if rows for line in (*_align(columns, rows), "")][:-1]


def _make_master_row(plan: Plan, master: PlannedMaster) -> tuple[str, ...]:
    served = len(plan.find_served(master))
    return master.name, str(len(master.frames)), _describe_times(master.frames), str(served or "-")


def _make_science_rows(science: Sequence[ScienceFrame]) -> Iterator[tuple[str, ...]]:
    """Make a row for all frames of one object, filter, exposure time and choice of masters."""
    groups: dict[tuple[object, ...], list[ScienceFrame]] = defaultdict(list)
    for item in science:
        frame = item.frame
        chosen = (getattr(item, step) for step in STEPS)
        names = tuple(match.master and (match.master.night, match.master.name) for match in chosen)
        groups[frame.target, frame.filter, frame.exposure_time, names].append(item)
    for group in groups.values():
        first = group[0].frame
        ages = (_describe_age([getattr(item, step) for item in group]) for step in STEPS)
        exposure = f"{first.exposure_time:g} s"
        times = _describe_times([item.frame for item in group])
        yield _shorten(first.target) or "-", _shorten(first.filter) or "-", exposure, str(len(group)), times, *ages


def _describe_age(matches: Sequence[Match]) -> str:
    """Describe the longest time between frames and their master."""
    gaps = [match.gap_hours for match in matches if match.gap_hours is not None]
    if not gaps or matches[0].master is None:
        return "-"
    longest = max(map(abs, gaps))
    return f"{longest:.1f} h" if longest < 48 else f"{longest / 24:.0f} d"


def _describe_times(frames: Sequence[Frame]) -> str:
    """Describe from when to when frames were taken."""
    times = sorted(frame.mjd for frame in frames if frame.mjd is not None)
    if not times:
        return "-"
    first, last = (format_clock(time) for time in (times[0], times[-1]))
    return first if first == last else f"{first}-{last}"


def _shorten(text: str) -> str:
    printable = make_printable(text)
    return printable if len(printable) <= LONGEST else f"{printable[: LONGEST - 3]}..."


def _align(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Align the columns of a table, numbers to the right."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        cells = (
            cell.rjust(width) if name in NUMBERS else cell.ljust(width)
            for name, cell, width in zip(columns, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
