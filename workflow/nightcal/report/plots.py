"""Small plots in SVG: points of several series over one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from nightcal.report.html import show

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 320, 140, 44, 6, 10, 18

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#c98500", "#3a9bd9", "#8b6f47", "#777777")
"""Colours that the colour-blind can tell apart, after Okabe and Ito."""

SHAPES = (
    "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0", "M-3,-3h6v6h-6z", "M0,-4L4,3H-4z", "M0,-4.5L4.5,0L0,4.5L-4.5,0z",
)  # fmt: skip

LARGE_FACTOR = 20
"""Values that differ by more are shown on a logarithmic scale."""

MOST_MARKS = 4


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a plot.

    Attributes
    ----------
    place : float
        Along the axis, from 0 to 1.
    value : float
    label : str
        Whose value it is.
    link : str
        Where a click leads.
    series : int
        Gives colour and shape.
    is_odd : bool
        Whether it is ringed.
    """

    place: float
    value: float
    label: str
    link: str
    series: int = 0
    is_odd: bool = False


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


def make_plot(title: str, style: str, points: Sequence[Point], marks: Sequence[tuple[float, str]]) -> str:
    """Plot points.

    Parameters
    ----------
    title : str
        What is plotted, with its unit.
    style : str
        Format of the values.
    points : sequence of Point
        At least one.
    marks : sequence of (float, str)
        Places along the axis, and what is written there.

    Returns
    -------
    str
        A figure, with median and range in its caption.
    """
    values = [point.value for point in points]
    scale, odd = make_scale(values), sum(point.is_odd for point in points)
    words = f"{title}: median {median(values):{style}}, {min(values):{style}} to {max(values):{style}}"
    words += f", {odd} {'outlier' if odd == 1 else 'outliers'} ringed" if odd else ""
    drawn = "".join(_draw_point(point, scale, style) for point in points)
    return (
        f'<figure><figcaption>{show(words)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="group" '
        f'aria-label="{show(words)}">{_draw_axes(scale, style, marks)}{drawn}</svg></figure>'
    )


def make_key(names: Sequence[str]) -> str:
    """Make the key of the series, in their order; empty for a single one without a name."""
    if not any(names):
        return ""
    size = 'width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true"'
    items = (f"<li><svg {size}>{draw_mark(n)}</svg>{show(name)}</li>" for n, name in enumerate(names))
    return f'<ul class="key">{"".join(items)}</ul>'


def draw_mark(series: int) -> str:
    """Draw the mark of a series around the origin."""
    colour, shape = COLOURS[series % len(COLOURS)], SHAPES[(series + series // len(COLOURS)) % len(SHAPES)]
    return f'<path d="{shape}" fill="{colour}"/>'


def _draw_point(point: Point, scale: Scale, style: str) -> str:
    x = _find_x(point.place)
    y = TOP + (HEIGHT - TOP - BOTTOM) * (1 - scale.place(point.value))
    ring = '<circle r="7" class="ring"/>' if point.is_odd else ""
    title = show(f"{point.label}: {point.value:{style}}")
    return (
        f'<a href="{show(point.link)}"><g transform="translate({x:.1f},{y:.1f})"><title>{title}</title>'
        f"{ring}{draw_mark(point.series)}</g></a>"
    )


def _draw_axes(scale: Scale, style: str, marks: Sequence[tuple[float, str]]) -> str:
    bottom = HEIGHT - BOTTOM
    lines = [f'<path class="axis" d="M{LEFT},{TOP}V{bottom}H{WIDTH - RIGHT}"/>']
    for value, y in ((scale.high, TOP), (scale.find_middle(), 0.5 * (TOP + bottom)), (scale.low, bottom)):
        lines.append(f'<text x="{LEFT - 4}" y="{y + 4:.0f}" text-anchor="end">{value:{style}}</text>')
    for place, text in marks[:: max(1, -(-len(marks) // MOST_MARKS))]:
        x = min(_find_x(place), WIDTH - 16)
        lines.append(f'<text x="{x:.0f}" y="{HEIGHT - 4}" text-anchor="middle">{show(text)}</text>')
    return "".join(lines)


def _find_x(place: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * place
