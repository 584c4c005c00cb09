"""The page of all nights in a folder: their verdicts, and how the camera and the sky change from night to night."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from nightcal.planning.night_verdict import BAD, GOOD, LOOK, NightVerdict, describe_verdict, judge_night
from nightcal.planning.summary import NightSummary, read_summary
from nightcal.planning.summary_text import describe_counts
from nightcal.report.html import Cell, make_number, make_section, make_table, show
from nightcal.report.page import finish_page
from nightcal.report.plan_rows import Row, read_number, read_table
from nightcal.report.plots import Point, make_key, make_plot


@dataclass(frozen=True, slots=True)
class Trend:
    """A number that is shown over the nights.

    Attributes
    ----------
    table, column : str
        Where it stands.
    title, style : str
        With the unit; format.
    kind : str
        Of the masters that have it; empty for science frames.
    """

    table: str
    column: str
    title: str
    style: str
    kind: str = ""


TRENDS = (
    Trend("calibrations", "read_noise", "read noise [e-]", ".2f", "bias"),
    Trend("calibrations", "gain", "gain [e-/adu]", ".3f", "flat"),
    Trend("calibrations", "level", "bias level [e-]", ".1f", "bias"),
    Trend("calibrations", "dark_current", "dark current [e-/s]", ".3g", "dark"),
    Trend("calibrations", "hot", "hot pixels", ".0f", "dark"),
    Trend("calibrations", "shape_scatter", "change of shape within flats [percent]", ".2f", "flat"),
    Trend("frames", "seeing", "seeing [arcsec]", ".2f"),
    Trend("frames", "sky", "sky [e-/pix]", ".3g"),
    Trend("frames", "zero_point", "zero point [mag]", ".3f"),
)

COLUMNS = (
    "night",
    "verdict",
    "science frames",
    "with bias",
    "with dark",
    "with flat",
    "rejected",
    "seeing [arcsec]",
    "first",
)


@dataclass(frozen=True, slots=True)
class Night:
    """A reduced night.

    Attributes
    ----------
    name : str
        Of its folder.
    summary : NightSummary
    tables : mapping of str to sequence of mapping
        Rows of ``calibrations.csv`` and ``frames.csv``.
    """

    name: str
    summary: NightSummary
    tables: Mapping[str, Sequence[Row]]


def read_nights(results: Path) -> list[Night]:
    """Read what the reduced nights of a folder say of themselves.

    Parameters
    ----------
    results : Path

    Returns
    -------
    list of Night
        In order; folders without a readable summary are left out.
    """
    nights = []
    for path in sorted(results.glob("*/summary.json")):
        try:
            summary = read_summary(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError):  # of another version, or not ours
            continue
        tables = {name: _read_rows(path.parent / f"{name}.csv") for name in ("calibrations", "frames")}
        nights.append(Night(path.parent.name, summary, tables))
    return nights


def _read_rows(path: Path) -> list[dict[str, str]]:
    return read_table(path.read_text(encoding="utf-8")) if path.is_file() else []


def make_index(nights: Sequence[Night]) -> str:
    """Make the page.

    Parameters
    ----------
    nights : sequence of Night
        From `read_nights`.

    Returns
    -------
    str
        HTML that depends on these alone.
    """
    verdicts = [judge_night(night.summary) for night in nights]
    words = Counter(verdict.word for verdict in verdicts)
    head = f"<h1>Nights</h1><p class=soft>{words[GOOD]} good, {words[LOOK]} to look at, {words[BAD]} bad</p>"
    rows = [_make_row(night, verdict) for night, verdict in zip(nights, verdicts, strict=True)]
    links = _list_nights(nights, verdicts)
    table = make_table("Nights", COLUMNS, rows, [f"n{n}" for n in range(len(nights))])
    parts = [head, make_section("Open a night", links), make_section("All nights", table), *_make_trends(nights)]
    return finish_page("Nights", parts)


def _list_nights(nights: Sequence[Night], verdicts: Sequence[NightVerdict]) -> str:
    """List the nights, the last one first, each with its verdict and a link to its report."""
    items = (
        f'<li class="{verdict.word}"><a href="{show(night.name)}/report.html">{show(night.name)}</a> '
        f"{show(describe_verdict(verdict))} <small>{show(describe_counts(night.summary))}</small></li>"
        for night, verdict in reversed(list(zip(nights, verdicts, strict=True)))
    )
    return f"<ul class=nights>{''.join(items)}</ul>" if nights else "<p>No night was reduced.</p>"


def _make_row(night: Night, verdict: NightVerdict) -> list[Cell]:
    summary = night.summary
    seeing = _collect(night.tables["frames"], "seeing")
    return [
        Cell(night.name),
        Cell(verdict.word, is_warning=verdict.word != GOOD),
        make_number(summary.science, "d"),
        *(make_number(summary.having[step], "d") for step in ("bias", "dark", "flat")),
        make_number(summary.rejected, "d"),
        make_number(median(seeing) if seeing else None, ".2f"),
        Cell(verdict.findings[0].text if verdict.findings else ""),
    ]


def _make_trends(nights: Sequence[Night]) -> Iterable[str]:
    """Plot what changes from night to night, by filter or master."""
    places = {night.name: (n + 0.5) / len(nights) for n, night in enumerate(nights)}
    marks = [(place, name[4:] if len(name) == 8 else name) for name, place in places.items()]
    for table, title in (("calibrations", "Masters over the nights"), ("frames", "Sky over the nights")):
        values = {trend: _collect_series(nights, trend) for trend in TRENDS if trend.table == table}
        names = sorted({name for found in values.values() for _, name, _ in found})
        plots = [
            make_plot(trend.title, trend.style, [_make_point(item, places, names) for item in found], marks)
            for trend, found in values.items()
            if len({night for night, _, _ in found}) > 1
        ]
        if plots:
            yield make_section(title, make_key(names), f'<div class="plots">{"".join(plots)}</div>')


def _make_point(item: tuple[str, str, float], places: Mapping[str, float], names: Sequence[str]) -> Point:
    night, name, value = item
    label = f"{night}, {name}" if name else night
    return Point(places[night], value, label, f"{night}/report.html", names.index(name))


def _collect_series(nights: Sequence[Night], trend: Trend) -> list[tuple[str, str, float]]:
    """Collect the median of a number in each night, by filter or by master: night, name and value."""
    found = []
    for night in nights:
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in night.tables[trend.table]:
            if not trend.kind or row.get("kind") == trend.kind:
                groups[row.get("master" if trend.kind else "filter", "")].append(row)
        for name, rows in groups.items():
            if values := _collect(rows, trend.column):
                found.append((night.name, name, median(values)))
    return found


def _collect(rows: Iterable[Row], column: str) -> list[float]:
    """Collect the numbers of a column."""
    return [value for row in rows if (value := read_number(row, column)) is not None]
