"""What was measured through the night, against time: seeing, sky, transparency and so on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from nightcal.report.facts import QUANTITIES, FrameFacts, Quantity
from nightcal.report.plots import Point, make_key, make_plot
from nightcal.report.time_axis import TimeAxis

INSTEAD = {"fwhm": "seeing", "sky": "sky_mag"}
"""What is not shown if there is something better."""

ODD, FEWEST = 5.0, 5
"""A point is ringed if it is this many rstd off the others in its filter, of which there must be this many."""


def make_plots(frames: Sequence[FrameFacts], axis: TimeAxis) -> str:
    """Plot what was measured against time, one small plot for each quantity.

    Parameters
    ----------
    frames : sequence of FrameFacts
    axis : TimeAxis

    Returns
    -------
    str
        Empty if nothing was measured.
    """
    filters = sorted({frame.filter for frame in frames})
    shown = {key for frame in frames for key in frame.numbers}
    plots = []
    for quantity in QUANTITIES:
        known = [frame for frame in frames if quantity.key in frame.numbers and frame.mjd is not None]
        if len(known) < 2 or INSTEAD.get(quantity.key) in shown:
            continue
        odd = find_odd(quantity, known)
        points = [
            Point(
                axis.place(frame.mjd or 0.0),
                frame.numbers[quantity.key],
                frame.name,
                f"#{frame.anchor}",
                filters.index(frame.filter),
                frame.name in odd,
            )
            for frame in known
        ]
        plots.append(make_plot(quantity.title, quantity.style, points, axis.find_marks()))
    return f'{make_key(filters)}<div class="plots">{"".join(plots)}</div>' if plots else ""


def find_odd(quantity: Quantity, frames: Sequence[FrameFacts]) -> set[str]:
    """Find the frames in which a quantity is far from that of the others in their filter.

    Parameters
    ----------
    quantity : Quantity
    frames : sequence of FrameFacts
        All with that quantity.

    Returns
    -------
    set of str
        Their names.
    """
    groups: dict[str, list[FrameFacts]] = defaultdict(list)
    for frame in frames:
        groups[frame.filter].append(frame)
    odd = set()
    for group in groups.values():
        values = [frame.numbers[quantity.key] for frame in group]
        middle = median(values)
        spread = 1.4826 * median(abs(value - middle) for value in values)
        if len(group) >= FEWEST and spread > 0:
            odd |= {f.name for f in group if abs(f.numbers[quantity.key] - middle) > ODD * spread}
    return odd
