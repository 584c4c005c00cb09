"""The report of a night on one page: what happened to every raw frame, and how good the masters are."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from nightcal.io.colour_mosaic import PLANES
from nightcal.io.keywords import LONGEST_TEXT, make_ascii, read_warnings
from nightcal.io.verdict import Verdict, find_verdict
from nightcal.masters.distrust import describe_distrusted
from nightcal.planning.naming import make_printable
from nightcal.planning.plan import COLUMNS, REJECTED, STEPS, UNUSED
from nightcal.planning.positions import describe_positions
from nightcal.planning.summary import NightSummary
from nightcal.planning.summary_text import describe_counts, describe_group, suggest
from nightcal.planning.verdict import find_verdict as find_rule
from nightcal.version import __version__

if TYPE_CHECKING:
    from nightcal.science.crosscheck import CrossCheck
    from nightcal.science.frame_quality import FrameQuality

Row = Mapping[str, str]
Products = Mapping[str, fits.Header]
"""Headers of products, by path below the folder of the night."""

LEVELS = (("BIASLVL", "e-"), ("DARKCURR", "e-/s"), ("FLATLVL", "e-"))

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 0.5em 0 2em; }
th, td { text-align: left; padding: 0.15em 0.9em 0.15em 0; border-bottom: 1px solid #ddd; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.warn { color: #a40; }
"""


def read_table(text: str) -> list[dict[str, str]]:
    """Read the rows of a ``plan.csv``."""
    return list(csv.DictReader(io.StringIO(text)))


def write_table(rows: Iterable[Row]) -> str:
    """Write the text of a ``plan.csv``."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def read_products(folder: Path, rows: Sequence[Row]) -> dict[str, fits.Header]:
    """Read the headers of the products in a plan.

    Parameters
    ----------
    folder : Path
        Of the night.
    rows : sequence of mapping
        Rows of ``plan.csv``.

    Returns
    -------
    dict of str to astropy.io.fits.Header
        By path, in the order of the rows; products that do not exist are skipped.
    """
    paths = dict.fromkeys(row["product"] for row in rows if row["product"])
    return {path: fits.getheader(folder / path) for path in paths if (folder / path).is_file()}


def read_verdicts(folder: Path, products: Products) -> list[Verdict]:
    """Read the verdicts on the masters of a night, in the order of the products."""
    found = (find_verdict(folder / path) for path in products if path.startswith("masters/"))
    return [verdict for verdict in found if verdict is not None]


def describe_masters(verdicts: Sequence[Verdict], products: Products) -> tuple[str, ...]:
    """Say which masters are rejected or doubtful, and what the science frames used instead."""
    science = [read_warnings(header) for path, header in products.items() if path.startswith("science/")]
    return describe_distrusted(verdicts, science)


def amend(rows: Sequence[Row], products: Products) -> list[dict[str, str]]:
    """Mark the frames that were rejected during the reduction.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of ``plan.csv``.
    products : mapping of str to astropy.io.fits.Header

    Returns
    -------
    list of dict
        The rows, with role and reason of rejected frames changed.
    """
    reasons: dict[str, str] = {}
    for path, header in products.items():
        group = [row for row in rows if row["product"] == path and row["role"] != REJECTED]
        if "EMPTY" in header:
            reasons |= {row["file"]: str(header["EMPTY"]) for row in group}
        for name, reason, mjd in _find_rejected(header):
            alike = [row for row in group if _file_name(row) == name and row["file"] not in reasons]
            if alike:
                reasons[min(alike, key=lambda row: abs(float(row["mjd_mid"] or 0) - (mjd or 0)))["file"]] = reason
    amended = [dict(row) for row in rows]
    for row in amended:
        if row["file"] in reasons:
            row |= {"role": REJECTED, "reason": make_printable(reasons[row["file"]])}
    return amended


def _find_rejected(header: fits.Header) -> list[tuple[str, str, float | None]]:
    """Find the raw frames that were rejected from a master: name, reason, mid-exposure."""
    names = {k[3:]: str(v) for k, v in header.items() if re.fullmatch(r"REJ\d{3}", k)}
    return [(name, str(header.get(f"REJW{n}", "")), header.get(f"REJM{n}")) for n, name in names.items()]


_PLANE = re.compile(":(" + "|".join(PLANES) + r")\Z")


def _file_name(row: Row) -> str:
    name = PurePosixPath(row["file"]).name
    return make_ascii(_PLANE.sub("", name), LONGEST_TEXT)


def make_report(
    summary: NightSummary,
    rows: Sequence[Row],
    products: Products,
    crosschecks: Sequence[CrossCheck] = (),
    raw: str = "",
    remarks: Sequence[str] = (),
    verdicts: Sequence[Verdict] = (),
    grades: Mapping[str, FrameQuality] | None = None,
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

    Returns
    -------
    str
        HTML; all text from headers and file names is escaped.
    """
    by_product = {row["product"]: row for row in rows}
    judged = {f"masters/{verdict.master}.fits": verdict for verdict in verdicts}
    roles = Counter(row["role"] for row in rows)
    masters = {path: header for path, header in products.items() if path.startswith("masters/")}
    science = {path: header for path, header in products.items() if path.startswith("science/")}
    parts = [
        _describe_undone(summary, raw),
        f"<p>{len(rows)} raw frames: "
        + ", ".join(f"{n} {escape(role)}" for role, n in sorted(roles.items()))
        + ".</p>",
        *(f'<p class="warn">{escape(remark)}</p>' for remark in remarks),
        _make_section(
            "Rejected and unused",
            ("frame", "role", "reason"),
            [(row["file"], row["role"], row["reason"]) for row in rows if row["role"] in (REJECTED, UNUSED)],
            "No raw frame was rejected or left unused.",
        ),
        *_make_rules_section(rows),
        _make_section(
            "Masters",
            ("master", "verdict", "frames", "averaged per pixel", "noise / model", "level", "warnings"),
            [_make_master_row(path, header, judged.get(path)) for path, header in masters.items()],
            "No calibration frames.",
        ),
        _make_section(
            "Verdicts",
            ("master", "verdict", "why"),
            [(verdict.master, verdict.outcome.word, verdict.why) for verdict in verdicts],
            "No masters to judge.",
        ),
        _make_section(
            "Science frames",
            ("product", "object", "filter", "exposure time [s]", "flagged pixels", "skipped", "ages", "warnings"),
            [_make_science_row(path, header, by_product.get(path, {})) for path, header in science.items()],
            "No science frames.",
        ),
        _make_section(
            "Sky",
            (
                "product",
                "quality",
                "sky [e-]",
                "FWHM [pix]",
                "sources",
                "astrometry",
                "zero point [mag]",
                "5 sigma limit [mag]",
                "zero point status",
            ),
            [
                _make_sky_row(path, header, (grades or {}).get(path))
                for path, header in science.items()
                if _has_sources(header)
            ],
            "Sources were not measured.",
        ),
    ]
    if crosschecks:
        columns = "frame", "median difference [sigma]", "largest [sigma]", "pixels above 0.01 sigma", "not compared"
        checked = [_make_crosscheck_row(check) for check in crosschecks]
        parts.append(_make_section("Compared with ccdproc", columns, checked, ""))
    title = f"Night of {escape(summary.night)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n" + "\n".join(parts) + f"\n<p>nightcal {__version__}</p></body></html>\n"
    )


def _describe_undone(summary: NightSummary, raw: str) -> str:
    """Say first how many science frames were calibrated, and what was not done."""
    lines = [f"<p>{escape(describe_counts(summary))}</p>"]
    told = [*summary.distrusted, *map(describe_group, summary.undone)]
    if told:
        items = "\n".join(f"<li>{escape(line)}</li>" for line in told)
        lines.append(f'<ul class="warn">\n{items}\n</ul>')
    advice = filter(None, (*suggest(summary, raw), describe_positions(summary.positions)))
    lines += [f"<p>{escape(sentence)}</p>" for sentence in advice]
    title = "What was not done" if told else "Calibration"
    return f"<h2>{title}</h2>\n" + "\n".join(lines)


def _make_rules_section(rows: Sequence[Row]) -> list[str]:
    """List the frames of which the observer's rules say something; nothing without rules."""
    ruled = [(row["file"], row["role"], verdict) for row in rows if (verdict := find_rule(row["reason"]))]
    return [_make_section("What the observer's rules say", ("frame", "role", "rule"), ruled, "")] if ruled else []


def _make_crosscheck_row(check: CrossCheck) -> tuple[Any, ...]:
    return check.frame, _format(check.median, ".2g"), _format(check.largest, ".2g"), check.above_limit, check.reason


def _has_sources(header: fits.Header) -> bool:
    return "NSOURCES" in header and "EMPTY" not in header


def _list_warnings(header: fits.Header) -> str:
    return str(header["EMPTY"]) if "EMPTY" in header else "; ".join(read_warnings(header))


def _make_master_row(path: str, header: fits.Header, verdict: Verdict | None) -> tuple[Any, ...]:
    level = next((f"{header[k]:.4g} {u}" for k, u in LEVELS if k in header), "")
    return (
        PurePosixPath(path).stem,
        "" if verdict is None else verdict.outcome.word,
        header.get("NCOMBINE", 0),
        _format(header.get("NUSEDAVG"), ".2f"),
        _format(header.get("NOISERAT"), ".3f"),
        level,
        _list_warnings(header),
    )


def _make_science_row(path: str, header: fits.Header, row: Row) -> tuple[Any, ...]:
    return (
        PurePosixPath(path).name,
        header.get("OBJECT", ""),
        row.get("filter", ""),
        row.get("exposure", ""),
        header.get("NMASKED", ""),
        header.get("SKIPPED", ""),
        ", ".join(f"{step} {header[card]}" for step in STEPS if (card := f"{step.upper()}GRAD") in header),
        _list_warnings(header),
    )


def _make_sky_row(path: str, header: fits.Header, quality: FrameQuality | None) -> tuple[Any, ...]:
    zero_point = " +- ".join(filter(None, (_format(header.get(card), ".3f") for card in ("ZP", "ZPERR"))))
    return (
        PurePosixPath(path).name,
        "" if quality is None else ": ".join(filter(None, (quality.grade, quality.why))),
        _format(header.get("SKYLEVEL"), ".1f"),
        _format(header.get("FWHM"), ".2f"),
        header["NSOURCES"],
        header.get("WCSSTAT", ""),
        zero_point,
        _format(header.get("MAGLIM5"), ".2f"),
        header.get("ZPSTAT", ""),
    )


def _format(value: object, style: str) -> str:
    return format(value, style) if isinstance(value, int | float) else ""


def _make_section(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>{empty}</p>"
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join("<tr>" + "".join(map(_make_cell, columns, row)) + "</tr>" for row in rows)
    return f"<h2>{title}</h2>\n<table><tr>{head}</tr>\n{body}\n</table>"


def _make_cell(column: str, value: object) -> str:
    text = escape(str(value))
    if column in ("warnings", "reason"):
        return f'<td class="warn">{text}</td>'
    return f'<td class="n">{text}</td>' if isinstance(value, int) else f"<td>{text}</td>"
