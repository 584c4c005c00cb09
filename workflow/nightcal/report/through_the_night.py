"""Small plots of what was measured, against time: seeing, sky, transparency and so on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from nightcal.report.facts import QUANTITIES, FrameFacts, Quantity
from nightcal.report.html import show
from nightcal.report.time_axis import TimeAxis

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 320, 140, 44, 10, 18
INSTEAD = {"fwhm": "seeing", "sky": "sky_mag"}
"""What is not shown if there is something better."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#c98500", "#3a9bd9", "#8b6f47", "#777777")
"""Colours that the colour-blind can tell apart, after Okabe and Ito."""

SHAPES = (
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0", "M-3,-3h6v6h-6z", "M0,-4L4,3H-4z", "M0,-4.5L4.5,0L0,4.5L-4.5,0z",
)  # fmt: skip

LARGE_FACTOR = 20
"""Values that differ by more are shown on a logarithmic scale."""

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
    filters = {name: n for n, name in enumerate(sorted({frame.filter for frame in frames}))}
    plots = []
    shown = {key for frame in frames for key in frame.numbers}
    for quantity in QUANTITIES:
        if INSTEAD.get(quantity.key) in shown:
            continue
        known = [frame for frame in frames if quantity.key in frame.numbers and frame.mjd is not None]
        if len(known) > 1:
            plots.append(_make_plot(quantity, known, axis, filters))
    if not plots:
        return ""
    keys = "".join(
        f'<li><svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">{_draw(n)}</svg>'
        f"{show(name) or 'no filter'}</li>"
        for name, n in filters.items()
    )
    return f'<ul class="key">{keys}</ul><div class="plots">{"".join(plots)}</div>'


def _draw(number: int, more: str = "") -> str:
    """Draw the mark of a filter."""
    colour, shape = COLOURS[number % len(COLOURS)], SHAPES[(number + number // len(COLOURS)) % len(SHAPES)]
    return f'<path d="{shape}" fill="{colour}"{more}/>'


def _make_plot(quantity: Quantity, frames: Sequence[FrameFacts], axis: TimeAxis, filters: Mapping[str, int]) -> str:
    values = [frame.numbers[quantity.key] for frame in frames]
    scale = make_scale(values)
    odd = find_odd(quantity, frames)

    def place(frame: FrameFacts) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - 6) * axis.place(frame.mjd or 0.0)
        return x, TOP + (HEIGHT - TOP - BOTTOM) * (1 - scale.place(frame.numbers[quantity.key]))

    points = []
    for frame in frames:
        x, y = place(frame)
        ring = '<circle r="7" class="ring"/>' if frame.name in odd else ""
        text = f"{frame.name}: {format(frame.numbers[quantity.key], quantity.style)}"
        points.append(
            f'<a href="#{frame.anchor}"><g transform="translate({x:.1f},{y:.1f})"><title>{show(text)}</title>'
            f"{ring}{_draw(filters[frame.filter])}</g></a>"
        )
    middle = median(values)
    words = f"{quantity.title}: median {format(middle, quantity.style)}, {format(min(values), quantity.style)} to "
    words += format(max(values), quantity.style) + (f", {len(odd)} outliers ringed" if odd else "")
    return (
        f'<figure><figcaption>{show(words)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
        f'aria-label="{show(words)}">{_draw_axes(scale, quantity, axis)}{"".join(points)}</svg></figure>'
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """The vertical axis, from its lower end to its upper end; logarithmic for what changes by large factors."""

    low: float
    high: float
    is_log: bool

    def place(self, value: float) -> float:
        """Find the place of a value, from 0 to 1."""
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def find_middle(self) -> float:
        """Find the value half-way up."""
        return math.sqrt(self.low * self.high) if self.is_log else 0.5 * (self.low + self.high)


def make_scale(values: Sequence[float]) -> Scale:
    """Make the vertical axis for some values."""
    low, high = min(values), max(values)
    if low > 0 and high > LARGE_FACTOR * low:
        return Scale(low / 1.1, high * 1.1, is_log=True)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(low - margin, high + margin, is_log=False)


def _draw_axes(scale: Scale, quantity: Quantity, axis: TimeAxis) -> str:
    bottom = HEIGHT - BOTTOM
    lines = [f'<path class="axis" d="M{LEFT},{TOP}V{bottom}H{WIDTH - 6}"/>']
    for value, y in ((scale.high, TOP), (scale.find_middle(), 0.5 * (TOP + bottom)), (scale.low, bottom)):
        lines.append(f'<text x="{LEFT - 4}" y="{y + 4:.0f}" text-anchor="end">{format(value, quantity.style)}</text>')
    marks = axis.find_marks()
    for place, text in marks[:: max(1, len(marks) // 4)]:
        x = LEFT + (WIDTH - LEFT - 6) * place
        lines.append(f'<text x="{min(x, WIDTH - 16):.0f}" y="{HEIGHT - 4}" text-anchor="middle">{text}</text>')
    return "".join(lines)


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
