"""Read what the products of a night say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from astropy.io import fits

from nightcal.io.keywords import read_warnings
from nightcal.io.master_maps import read_maps
from nightcal.io.thumbnail import make_thumbnail
from nightcal.io.verdict import Verdict, find_verdict
from nightcal.masters.distrust import describe_distrusted
from nightcal.report.plan_rows import Products, Row

ENLARGED = 2
"""How many pixels of the picture of a master show a block of its pixels, along each side."""


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


def read_thumbnails(folder: Path, products: Products) -> dict[str, bytes]:
    """Read the small pictures of science frames, and draw those of masters from the summaries by which they are judged.

    Parameters
    ----------
    folder : Path
        Of the night.
    products : mapping of str to astropy.io.fits.Header

    Returns
    -------
    dict of str to bytes
        JPEG pictures, by product; those that do not exist are left out.
    """
    pictures = {}
    for path in products:
        name = PurePosixPath(path).stem
        science, maps = folder / "thumbnails" / f"{name}.jpg", folder / "verdicts" / f"{name}.npz"
        if path.startswith("science/") and science.is_file():
            pictures[path] = science.read_bytes()
        elif path.startswith("masters/") and maps.is_file():
            pictures[path] = make_thumbnail(read_maps(maps).fine, enlarge=ENLARGED)
    return pictures


def describe_masters(verdicts: Sequence[Verdict], products: Products) -> tuple[str, ...]:
    """Say which masters are rejected or doubtful, and what the science frames used instead."""
    science = [read_warnings(header) for path, header in products.items() if path.startswith("science/")]
    return describe_distrusted(verdicts, science)
