"""Read what the products of a night say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from astropy.io import fits

from nightcal.io.keywords import read_warnings
from nightcal.io.verdict import Verdict, find_verdict
from nightcal.masters.distrust import describe_distrusted
from nightcal.report.plan_rows import Products, Row


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
