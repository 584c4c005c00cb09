"""Rows of ``plan.csv``: read, write, and enter frames that were rejected during the reduction."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from astropy.io import fits

from nightcal.io.colour_mosaic import PLANES
from nightcal.io.keywords import LONGEST_TEXT, make_ascii
from nightcal.planning.naming import make_printable
from nightcal.planning.plan import COLUMNS, REJECTED, UNUSED

Row = Mapping[str, str]
Products = Mapping[str, fits.Header]
"""Headers of products, by path below the folder of the night."""


def read_table(text: str) -> list[dict[str, str]]:
    """Read the rows of a table such as ``plan.csv``."""
    return list(csv.DictReader(io.StringIO(text)))


def read_number(row: Row, column: str) -> float | None:
    """Read a finite number of a row; None if there is none."""
    try:
        value = float(row.get(column, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def is_lost(row: Row) -> bool:
    """Check whether a raw frame was rejected or left unused."""
    return row["role"] in (REJECTED, UNUSED)


def write_table(rows: Iterable[Row]) -> str:
    """Write the text of a ``plan.csv``."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


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
