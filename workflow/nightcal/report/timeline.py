"""The timeline: a lane for each kind of frame and filter, and a tick for each frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from nightcal.io.header_values import format_clock
from nightcal.planning.plan import STEPS
from nightcal.report.html import show
from nightcal.report.plan_rows import Row, is_lost, read_number
from nightcal.report.time_axis import TimeAxis

ORDER = ("bias", "dark", "flat", "science")


def make_timeline(rows: Sequence[Row], axis: TimeAxis, anchors: Mapping[str, str]) -> str:
    """Make the timeline.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of the amended plan.
    axis : TimeAxis
    anchors : mapping of str to str
        Anchors of science frames, by product.

    Returns
    -------
    str
        Ticks of science frames name their masters by numbers, so that hovering over one lights the other.
    """
    masters = {product: n for n, product in enumerate(dict.fromkeys(row["product"] for row in rows if row["product"]))}
    by_name = {(row["night"], product.rpartition("/")[2].removesuffix(".fits")): masters[product]
               for row in rows if (product := row["product"]).startswith("masters/")}  # fmt: skip
    lanes: dict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in rows:
        if read_number(row, "mjd_mid") is not None:
            lanes[_name_lane(row)].append(row)

    def make_tick(row: Row) -> str:
        used = [by_name[row["night"], row[step]] for step in STEPS if (row["night"], row[step]) in by_name]
        return _make_tick(row, axis, masters, used, anchors)

    marks = "".join(f'<span style="left:{100 * place:.2f}%">{text}</span>' for place, text in axis.find_marks())
    body = "\n".join(_make_lane(lane, lanes[lane], map(make_tick, lanes[lane])) for lane in sorted(lanes))
    return f'<div class="timeline">{body}\n<div class="lane axis"><b>UT</b><div>{marks}</div></div></div>'


def _name_lane(row: Row) -> tuple[int, str]:
    kind = row["type"] or "other"
    rank = ORDER.index(kind) if kind in ORDER else len(ORDER)
    return rank, " ".join(filter(None, (kind, row["filter"] if kind in ("flat", "science") else "")))


def _make_lane(lane: tuple[int, str], rows: Sequence[Row], ticks: Iterable[str]) -> str:
    lost = sum(map(is_lost, rows))
    words = f"{len(rows)}" + (f", {lost} not used" if lost else "")
    return f'<div class="lane"><b>{show(lane[1])} <small>{words}</small></b><div>{"".join(ticks)}</div></div>'


def _make_tick(
    row: Row, axis: TimeAxis, masters: Mapping[str, int], used: Sequence[int], anchors: Mapping[str, str]
) -> str:
    mjd = read_number(row, "mjd_mid") or 0.0
    title = f"{row['file']}, {format_clock(mjd)} UT, {row['role']}"
    title += f": {row['reason']}" if is_lost(row) else ""
    kind = "x" if is_lost(row) else "t"
    links = f' data-u="{" ".join(map(str, used))}"' if used else ""
    links += f' data-g="{masters[row["product"]]}"' if row["product"] else ""
    style = f'style="left:{100 * axis.place(mjd):.2f}%"'
    if row["product"] in anchors:
        return f'<a class="{kind}" href="#{anchors[row["product"]]}" {style}{links} title="{show(title)}"></a>'
    return f'<i class="{kind}" {style}{links} title="{show(title)}"></i>'
