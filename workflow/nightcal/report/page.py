"""Put the page together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import PurePosixPath

from astropy.io import fits

from nightcal.io.header_values import format_clock
from nightcal.io.keywords import read_warnings
from nightcal.io.verdict import Verdict
from nightcal.planning.night_verdict import describe_verdict, judge_night
from nightcal.planning.plan import STEPS
from nightcal.planning.summary import NightSummary
from nightcal.planning.summary_text import describe_counts
from nightcal.planning.verdict import find_verdict as find_rule
from nightcal.report.facts import FrameFacts, collect_facts, read_card
from nightcal.report.html import (
    Cell,
    format_number,
    make_gallery,
    make_list,
    make_number,
    make_section,
    make_table,
    show,
)
from nightcal.report.plan_rows import Products, Row, is_lost, read_number
from nightcal.report.through_the_night import make_plots
from nightcal.report.tiles import make_tiles
from nightcal.report.time_axis import make_axis
from nightcal.report.timeline import make_timeline
from nightcal.science.crosscheck import CrossCheck
from nightcal.science.frame_quality import FrameQuality
from nightcal.version import __version__
from nightcal.warning_names import find_kind, read_name

LEVELS = (("BIASLVL", "e-"), ("DARKCURR", "e-/s"), ("FLATLVL", "e-"))

SEPARATOR = " \N{MIDDLE DOT} "

MASTER_COLUMNS = "master", "verdict", "frames", "averaged per pixel", "noise / model", "level", "warnings"
SCIENCE_COLUMNS = (
    "time [UT]", "frame", "object", "filter", "exposure [s]", "quality", "seeing [arcsec]", "FWHM [pix]", "sky [e-]",
    "sources", "zero point [mag]", "5 sigma limit [mag]", "flagged [%]", "skipped", "ages", "astrometry",
    "zero point status", "warnings",
)  # fmt: skip


def make_report(
    summary: NightSummary,
    rows: Sequence[Row],
    products: Products,
    crosschecks: Sequence[CrossCheck] = (),
    raw: str = "",
    remarks: Sequence[str] = (),
    verdicts: Sequence[Verdict] = (),
    grades: Mapping[str, FrameQuality] | None = None,
    pictures: Mapping[str, bytes] | None = None,
) -> str:
    """Make the page.

    Parameters
    ----------
    summary : NightSummary
        Of the night after the reduction.
    rows : sequence of mapping
        Rows of the amended plan.
    products : mapping of str to astropy.io.fits.Header
    crosschecks : sequence of CrossCheck
        Comparisons with ccdproc.
    raw : str
        Folder of the raw frames, for commands.
    remarks : sequence of str
        Sentences for the top of the page.
    verdicts : sequence of Verdict
        On the masters of the night.
    grades : mapping of str to FrameQuality, optional
        Of the science frames, by product.
    pictures : mapping of str to bytes, optional
        Small pictures (JPEG) of masters and science frames, by product.

    Returns
    -------
    str
        HTML that depends on these alone, and asks for nothing else; all text from headers and file names is escaped.
    """
    frames = collect_facts(products, {row["product"]: row for row in rows}, grades or {})
    anchors = {frame.path: frame.anchor for frame in frames}
    masters = {path: header for path, header in products.items() if path.startswith("masters/")}
    times = [mjd for row in rows if (mjd := read_number(row, "mjd_mid")) is not None]
    axis = make_axis(times)
    parts = [
        _make_head(summary, rows, frames, times),
        _make_verdict(summary, raw, remarks),
        make_tiles(rows, frames, crosschecks),
        make_section("Timeline", make_timeline(rows, axis, anchors)) if axis else "",
        make_section("Through the night", plots) if axis and (plots := make_plots(frames, axis)) else "",
        _make_master_section(masters, verdicts, pictures or {}),
        _make_science_section(frames),
        _make_gallery_section(frames, pictures or {}),
        _make_problem_section(frames, masters),
        _make_loss_section(rows),
        _make_rule_section(rows),
        _make_crosscheck_section(crosschecks),
        _make_origin(rows, raw),
    ]
    return finish_page(f"Night of {summary.night}", parts)


def finish_page(title: str, parts: Sequence[str]) -> str:
    """Put the parts of a page together, with style sheet and script.

    Parameters
    ----------
    title : str
    parts : sequence of str
        HTML.

    Returns
    -------
    str
    """
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{show(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_read_file('page.css')}</style></head>\n<body><main>" + "\n".join(filter(None, parts)) + "</main>\n"
        f"<script>{_read_file('page.js')}</script></body></html>\n"
    )


def _make_head(summary: NightSummary, rows: Sequence[Row], frames: Sequence[FrameFacts], times: Sequence[float]) -> str:
    night = summary.night
    date = f"{night[:4]}-{night[4:6]}-{night[6:]}" if len(night) == 8 and night.isdecimal() else night
    words = [
        *sorted({row["camera"] for row in rows if row["camera"]}),
        *dict.fromkeys(frame.target for frame in frames if frame.target),
        f"{format_clock(min(times))} to {format_clock(max(times))} UT" if times else "",
    ]
    return f"<h1>Night of {show(date)}</h1><p class=soft>{show(SEPARATOR.join(filter(None, words)))}</p>"


def _make_verdict(summary: NightSummary, raw: str, remarks: Sequence[str]) -> str:
    """Say the verdict first, then what the science frames have, and what is to be done."""
    verdict = judge_night(summary, raw)
    items = []
    for finding in verdict.findings:
        advice = "".join(f"<br><small>{show(line)}</small>" for line in finding.advice.splitlines())
        items.append(f"<li{' class=warn' if finding.needs_look else ''}>{show(finding.text)}{advice}</li>")
    found = f"<ul>{''.join(items)}</ul>" if items else ""
    return (
        f'<div class="verdict {verdict.word}"><strong>{show(describe_verdict(verdict))}</strong>'
        f"<p>{show(describe_counts(summary))}</p>{found}{make_list(remarks, 'warn')}</div>"
    )


def _make_master_section(masters: Products, verdicts: Sequence[Verdict], pictures: Mapping[str, bytes]) -> str:
    if not masters:
        return make_section("Masters", "<p>No calibration frames.</p>")
    judged = {f"masters/{verdict.master}.fits": verdict for verdict in verdicts}
    rows = [_make_master_row(path, header, judged.get(path)) for path, header in masters.items()]
    whys = [f"{verdict.master}: {verdict.outcome.word}, {verdict.why}" for verdict in verdicts if verdict.why]
    lost = [f"{PurePosixPath(path).stem}: {text}" for path, header in masters.items() for text in _list_lost(header)]
    return make_section(
        "Masters",
        make_table("Masters", MASTER_COLUMNS, rows),
        _fold(f"Why: {len(whys)} verdicts", whys),
        _fold(f"{len(lost)} frames rejected from masters", lost),
        make_gallery([(pictures[path], PurePosixPath(path).stem, "") for path in masters if path in pictures]),
    )


def _make_gallery_section(frames: Sequence[FrameFacts], pictures: Mapping[str, bytes]) -> str:
    """Show the science frames in the order of time; each leads to its row."""
    items = []
    for frame in sorted(frames, key=lambda frame: frame.mjd or 0.0):
        picture = pictures.get(frame.path)
        if picture is not None:
            caption = " ".join(filter(None, (frame.name, frame.filter, frame.quality.grade)))
            items.append((picture, caption, f"#{frame.anchor}"))
    words = "Black to white: 2nd to 99.5th percentile, asinh. Flagged areas are red."
    return make_section("Pictures", f"<p class=soft>{words}</p>", make_gallery(items)) if items else ""


def _make_master_row(path: str, header: fits.Header, verdict: Verdict | None) -> list[Cell]:
    level = next((f"{header[k]:.4g} {u}" for k, u in LEVELS if read_card(header, k) is not None), "")
    return [
        Cell(PurePosixPath(path).stem),
        Cell("" if verdict is None else verdict.outcome.word),
        make_number(header.get("NCOMBINE", 0), "d"),
        make_number(header.get("NUSEDAVG"), ".2f"),
        make_number(header.get("NOISERAT"), ".3f"),
        Cell(level),
        Cell(str(header["EMPTY"]) if "EMPTY" in header else "; ".join(read_warnings(header)), is_warning=True),
    ]


def _list_lost(header: fits.Header) -> Iterator[str]:
    """List the frames that were rejected from a master, with the reasons."""
    for card, name in header.items():
        if card.startswith("REJ") and card[3:].isdecimal():
            yield f"{name}: {header.get(f'REJW{card[3:]}', '')}"


def _make_science_section(frames: Sequence[FrameFacts]) -> str:
    if not frames:
        return make_section("Science frames", "<p>No science frames.</p>")
    box = '<p id="filter" hidden><label>Show only frames with: <input type="search"></label></p>'
    rows = list(map(_make_science_row, frames))
    filled = [n for n in range(len(SCIENCE_COLUMNS)) if any(row[n].text for row in rows)]
    columns, cells = [SCIENCE_COLUMNS[n] for n in filled], [[row[n] for n in filled] for row in rows]
    table = make_table("Science frames", columns, cells, [frame.anchor for frame in frames])
    return make_section("Science frames", box, f'<div id="science">{table}</div>')


def _make_science_row(frame: FrameFacts) -> list[Cell]:
    header, numbers = frame.header, frame.numbers
    zero_point = " +- ".join(filter(None, (format_number(header.get(card), ".3f") for card in ("ZP", "ZPERR"))))
    quality = ": ".join(filter(None, (frame.quality.grade, frame.quality.why)))
    ages = [f"{step} {header[card]}" for step in STEPS if (card := f"{step.upper()}GRAD") in header]
    return [
        Cell(format_clock(frame.mjd) if frame.mjd else "", frame.mjd),
        Cell(frame.name),
        Cell(frame.target),
        Cell(frame.filter),
        make_number(frame.exposure, "g"),
        Cell(quality, is_warning=frame.quality.grade == "poor"),
        make_number(numbers.get("seeing"), ".2f"),
        make_number(numbers.get("fwhm"), ".2f"),
        make_number(None if frame.is_empty else read_card(header, "SKYLEVEL"), ".1f"),
        make_number(numbers.get("sources"), ".0f"),
        Cell(zero_point, numbers.get("zero_point")),
        make_number(None if frame.is_empty else read_card(header, "MAGLIM5"), ".2f"),
        make_number(frame.share_masked, ".2f"),
        Cell(str(header.get("SKIPPED", ""))),
        Cell(", ".join(ages)),
        Cell(str(header.get("WCSSTAT", ""))),
        Cell(str(header.get("ZPSTAT", ""))),
        Cell("; ".join(frame.warnings if frame.is_empty else map(_name, frame.warnings)), is_warning=True),
    ]


def _name(warning: str) -> str:
    """Take the name of a warning; its text is in the section of warnings."""
    kind = find_kind(warning)
    return kind.name if kind else warning


def _make_problem_section(frames: Sequence[FrameFacts], masters: Products) -> str:
    """List each kind of warning once: how many products have it, what it means, what to do, and which they are."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    texts = [(frame.name, frame.warnings) for frame in frames if not frame.is_empty]
    texts += [(PurePosixPath(path).stem, tuple(read_warnings(header))) for path, header in masters.items()]
    for name, warnings in texts:
        for text in warnings:
            found[read_name(text)][name] = text
    parts = []
    for kind in sorted(found, key=lambda kind: (-len(found[kind]), kind)):
        explained = find_kind(kind)
        words = f"<p>{show(explained.meaning)} <b>What to do:</b> {show(explained.remedy)}</p>" if explained else ""
        lines = Counter(found[kind].values())
        items = make_list(f"{number} times: {text}" if number > 1 else text for text, number in lines.items())
        names = f"<p class=soft>{show(', '.join(found[kind]))}</p>"
        head = f"<b>{show(kind)}</b>, {len(found[kind])} {'product' if len(found[kind]) == 1 else 'products'}"
        parts.append(f"<details><summary>{head}</summary>{words}{items}{names}</details>")
    return make_section("Warnings", *parts) if parts else ""


def _make_loss_section(rows: Sequence[Row]) -> str:
    """List the frames that were rejected or left unused, by reason."""
    lost = [row for row in rows if is_lost(row)]
    if not lost:
        return make_section("Rejected and unused", "<p>No raw frame was rejected or left unused.</p>")
    columns = "frame", "type", "role", "reason"
    cells = [
        [Cell(row["file"]), Cell(row["type"]), Cell(row["role"]), Cell(row["reason"], is_warning=True)] for row in lost
    ]
    return make_section("Rejected and unused", make_table("Rejected and unused frames", columns, cells))


def _make_rule_section(rows: Sequence[Row]) -> str:
    """List the frames of which the observer's rules say something; nothing without rules."""
    ruled = [
        [Cell(row["file"]), Cell(row["role"]), Cell(verdict)] for row in rows if (verdict := find_rule(row["reason"]))
    ]
    title = "What the observer's rules say"
    return make_section(title, make_table(title, ("frame", "role", "rule"), ruled)) if ruled else ""


def _make_crosscheck_section(checks: Sequence[CrossCheck]) -> str:
    if not checks:
        return ""
    columns = "frame", "median difference [sigma]", "largest [sigma]", "pixels above 0.01 sigma", "not compared"
    cells = [
        [
            Cell(check.frame),
            make_number(check.median, ".2g"),
            make_number(check.largest, ".2g"),
            make_number(check.above_limit, "d"),
            Cell(check.reason),
        ]
        for check in checks
    ]
    return make_section("Compared with ccdproc", make_table("Compared with ccdproc", columns, cells))


def _make_origin(rows: Sequence[Row], raw: str) -> str:
    cameras = ", ".join(sorted({row["camera"] for row in rows if row["camera"]})) or "none"
    lines = [
        f"Raw frames: {raw or 'unknown'}",
        f"Camera files: {cameras}",
        f"nightcal {__version__}; the header of a product names its raw frame, its masters and a hash of the options.",
        "Every frame with its role, its masters and the reasons: plan.csv; numbers for programs: frames.csv, "
        "calibrations.csv, summary.json",
    ]
    return make_section("How it was made", make_list(lines))


def _fold(title: str, lines: Sequence[str]) -> str:
    return f"<details><summary>{show(title)}</summary>{make_list(lines)}</details>" if lines else ""


def _read_file(name: str) -> str:
    """Read the style sheet or the script of the page."""
    return files("nightcal.report").joinpath(name).read_text(encoding="utf-8")
