"""The night on one page: what became of every raw frame, and how good the masters are."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any

from astropy.io import fits

from nightcal.io.keywords import LONGEST_TEXT, ascii_text, warnings_of
from nightcal.planning.naming import printable
from nightcal.planning.plan import COLUMNS
from nightcal.version import __version__

SET_ASIDE = "set aside"
Row = Mapping[str, str]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: 0.5em 0 2em; }
th, td { text-align: left; padding: 0.15em 0.9em 0.15em 0; border-bottom: 1px solid #ddd; vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.warn { color: #a40; }
"""


@dataclass(frozen=True, slots=True)
class Made:
    """A product of the night: its path below the night's folder, and its header."""

    path: str
    header: fits.Header

    @property
    def refused(self) -> str:
        """Why the product holds no data; empty for a good one."""
        return str(self.header.get("EMPTY", ""))

    @property
    def left_out(self) -> list[tuple[str, str, float | None]]:
        """Raw frames that a master was made without: name, why, middle of the exposure."""
        names = {k[3:]: str(v) for k, v in self.header.items() if re.fullmatch(r"REJ\d{3}", k)}
        return [(name, str(self.header.get(f"REJW{n}", "")), self.header.get(f"REJM{n}")) for n, name in names.items()]


def read_table(text: str) -> list[dict[str, str]]:
    """Rows of a ``plan.csv``."""
    return list(csv.DictReader(io.StringIO(text)))


def write_table(rows: Iterable[Row]) -> str:
    """Text of a ``plan.csv``."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def read_products(folder: Path, rows: Sequence[Row]) -> list[Made]:
    """Headers of the products that the rows of a plan name, in order of first appearance.

    Parameters
    ----------
    folder : Path
        Of the night.
    rows : sequence of mapping
        Rows of ``plan.csv``.

    Returns
    -------
    list of Made
        A product that does not exist is passed over.
    """
    paths = dict.fromkeys(row["product"] for row in rows if row["product"])
    return [Made(path, fits.getheader(folder / path)) for path in paths if (folder / path).is_file()]


def amend(rows: Sequence[Row], products: Sequence[Made]) -> list[dict[str, str]]:
    """Enter into a plan the frames whose trouble showed only when their pixels were read.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of ``plan.csv``.
    products : sequence of Made

    Returns
    -------
    list of dict
        Rows, in which those frames are set aside, with the reason.
    """
    reasons: dict[str, str] = {}
    for product in products:
        group = [row for row in rows if row["product"] == product.path and row["role"] != SET_ASIDE]
        if product.refused:
            reasons |= {row["file"]: product.refused for row in group}
        for name, reason, mjd in product.left_out:
            alike = [row for row in group if _file_name(row) == name and row["file"] not in reasons]
            if alike:
                reasons[min(alike, key=lambda row: abs(float(row["mjd_mid"] or 0) - (mjd or 0)))["file"]] = reason
    return [
        {**row, "role": SET_ASIDE, "reason": printable(reasons[row["file"]])} if row["file"] in reasons else dict(row)
        for row in rows
    ]


def _file_name(row: Row) -> str:
    return ascii_text(PurePosixPath(row["file"]).name, LONGEST_TEXT)


def report(night: str, rows: Sequence[Row], products: Sequence[Made]) -> str:
    """Write the page.

    Parameters
    ----------
    night : str
    rows : sequence of mapping
        Rows of the amended plan.
    products : sequence of Made

    Returns
    -------
    str
        HTML; all text from headers and file names is escaped.
    """
    by_product = {row["product"]: row for row in rows}
    roles = Counter(row["role"] for row in rows)
    masters = [p for p in products if p.path.startswith("masters/")]
    science = [p for p in products if p.path.startswith("science/")]
    parts = [
        f"<p>{len(rows)} raw frames: "
        + ", ".join(f"{n} {escape(role)}" for role, n in sorted(roles.items()))
        + ".</p>",
        _section(
            "Set aside",
            ("frame", "reason"),
            [(row["file"], row["reason"]) for row in rows if row["role"] in (SET_ASIDE, "unused")],
            "Every raw frame was used.",
        ),
        _section(
            "Masters",
            ("master", "frames", "averaged", "noise / model", "level", "warnings"),
            [_master_row(product) for product in masters],
            "No calibration frames.",
        ),
        _section(
            "Science frames",
            ("product", "object", "filter", "exposure [s]", "flagged pixels", "skipped", "warnings"),
            [_science_row(product, by_product.get(product.path, {})) for product in science],
            "No science frames.",
        ),
        _section(
            "Sky",
            ("product", "sky [e-]", "FWHM [pix]", "sources", "astrometry", "zero point [mag]", "5 sigma [mag]", "from"),
            [_sky_row(product) for product in science if "NSOURCES" in product.header and not product.refused],
            "No sources were looked for.",
        ),
    ]
    title = f"Night of {escape(night)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n" + "\n".join(parts) + f"\n<p>nightcal {__version__}</p></body></html>\n"
    )


def _master_row(product: Made) -> tuple[Any, ...]:
    header = product.header
    level = next((f"{header[k]:.4g} {u}" for k, u in LEVELS if k in header), "")
    warnings = [product.refused] if product.refused else warnings_of(header)
    return (
        PurePosixPath(product.path).stem,
        header.get("NCOMBINE", 0),
        _number(header.get("NUSEDAVG"), ".2f"),
        _number(header.get("NOISERAT"), ".3f"),
        level,
        "; ".join(warnings),
    )


LEVELS = (("BIASLVL", "e-"), ("DARKCURR", "e-/s"), ("FLATLVL", "e-"))


def _science_row(product: Made, row: Row) -> tuple[Any, ...]:
    header = product.header
    warnings = [product.refused] if product.refused else warnings_of(header)
    return (
        PurePosixPath(product.path).name,
        header.get("OBJECT", ""),
        row.get("filter", ""),
        row.get("exposure", ""),
        header.get("NMASKED", ""),
        header.get("SKIPPED", ""),
        "; ".join(warnings),
    )


def _sky_row(product: Made) -> tuple[Any, ...]:
    header = product.header
    zero_point = " +- ".join(filter(None, (_number(header.get(card), ".3f") for card in ("ZP", "ZPERR"))))
    return (
        PurePosixPath(product.path).name,
        _number(header.get("SKYLEVEL"), ".1f"),
        _number(header.get("FWHM"), ".2f"),
        header["NSOURCES"],
        header.get("WCSSTAT", ""),
        zero_point,
        _number(header.get("MAGLIM5"), ".2f"),
        header.get("ZPSTAT", ""),
    )


def _number(value: object, style: str) -> str:
    return format(value, style) if isinstance(value, int | float) else ""


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>{empty}</p>"
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join("<tr>" + "".join(map(_cell, columns, row)) + "</tr>" for row in rows)
    return f"<h2>{title}</h2>\n<table><tr>{head}</tr>\n{body}\n</table>"


def _cell(column: str, value: object) -> str:
    text = escape(str(value))
    if column in ("warnings", "reason"):
        return f'<td class="warn">{text}</td>'
    return f'<td class="n">{text}</td>' if isinstance(value, int) else f"<td>{text}</td>"
