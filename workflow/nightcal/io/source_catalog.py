"""Read and write source catalogues as FITS tables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.io.atomic import write_atomically
from nightcal.io.column_meanings import MEANINGS
from nightcal.io.keywords import set_cards
from nightcal.io.product import STRUCTURE, list_long_text_cards, put_axes_first

if TYPE_CHECKING:
    from astropy.table import Table

EXTENSION = "CATALOG"
APERTURES = "APERTURES"
DIAMETER = "APER"
"""Keywords of aperture diameters: this and a number."""

UNITS = {"electron": "count"}
"""Units in the file that stand for those of the table: neither FITS nor VOUnits knows electrons. SExtractor writes the
same, and in an image in electrons a count is an electron."""

READ_UNITS = {"ct": "electron"}
"""The same, as astropy reads it."""


def write_catalog(path: Path, table: Table, header: fits.Header | Iterable[tuple[str, Any, str]] = ()) -> None:
    """Write a source catalogue atomically; the same table gives the same bytes.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    table : astropy.table.Table
        With units; numbers and lists of numbers in its ``meta`` become keywords of the extension.
    header : astropy.io.fits.Header or iterable of (str, value, str)
        For the primary header, except keywords of the image's structure and checksums.
    """
    primary = fits.PrimaryHDU()
    if isinstance(header, fits.Header):
        primary.header.extend(
            (card for card in put_axes_first(header).cards if card.keyword not in STRUCTURE), bottom=True
        )
    else:
        set_cards(primary.header, [card for card in header if card[0] not in STRUCTURE])
    cards = primary.header.tostring(sep="", endcard=False, padding=False)
    set_cards(primary.header, list_long_text_cards(cards))
    _announce_wcs(primary.header)
    hdus = fits.HDUList([primary, _make_table_hdu(table)])
    for hdu in hdus:
        hdu.add_checksum(when="for the bytes as written")
    with write_atomically(path) as name:
        hdus.writeto(name, overwrite=True)


def read_positions(path: Path | None) -> NDArray[np.float64]:
    """Read row and column of the sources of a catalogue, 0-based, shape (n, 2); none without a catalogue."""
    if path is None or not path.exists():
        return np.empty((0, 2))
    with fits.open(path) as hdus:
        table = hdus[EXTENSION].data
        return np.stack([table["Y_IMAGE"] - 1.0, table["X_IMAGE"] - 1.0], axis=1)


def read_catalog(path: Path) -> Table:
    """Read a source catalogue from `write_catalog`.

    Parameters
    ----------
    path : Path

    Returns
    -------
    astropy.table.Table
        With units, descriptions, and ``meta["APERTURES"]`` [pix].
    """
    from astropy.table import Table
    from astropy.units import Unit, UnitsWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnitsWarning)  # of the electrons of earlier versions
        table = Table.read(path, hdu=EXTENSION)
    for number, column in enumerate(table.itercols(), 1):
        column.unit = None if column.unit is None else Unit(READ_UNITS.get(str(column.unit), str(column.unit)))
        column.description = table.meta.pop(f"TCOMM{number}", None)
        column.format = None
        table.meta.pop(f"TUCD{number}", None)
    for key in ("EXTNAME", "CHECKSUM", "DATASUM"):
        table.meta.pop(key, None)
    numbers = [key for key in table.meta if key.startswith(DIAMETER) and key[len(DIAMETER) :].isdigit()]
    if numbers:
        table.meta[APERTURES] = [table.meta.pop(key) for key in sorted(numbers, key=lambda key: int(key[4:]))]
    return table


def _announce_wcs(header: fits.Header) -> None:
    """Give the number of axes of each WCS of the frame, which NAXIS = 0 of a file without an image does not."""
    found = (re.fullmatch(r"(?:CTYPE|CRPIX|CRVAL|CDELT|CUNIT|CNAME|CD\d_|PC\d_)\d([A-Z]?)", name) for name in header)
    axes = {f"WCSAXES{match[1]}" for match in found if match is not None} - set(header)
    for name in sorted(axes):
        header.set(name, 2, "number of axes", after="EXTEND" if "EXTEND" in header else "NAXIS")


def _make_table_hdu(table: Table) -> fits.BinTableHDU:
    """Make the extension of a table, with units, UCDs, formats of display and descriptions in its header."""
    plain = table.copy(copy_data=False)
    plain.meta = {}
    for column in plain.itercols():
        column.unit = None
    hdu = fits.table_to_hdu(plain)
    hdu.name = EXTENSION
    for i, name in enumerate(table.colnames, 1):
        if table[name].unit is not None:  # as text: the FITS standard has no electrons
            unit = str(table[name].unit)
            hdu.header.set(f"TUNIT{i}", UNITS.get(unit, unit), after=f"TFORM{i}")
        if table[name].description:
            hdu.header.set(f"TCOMM{i}", table[name].description[:68], after=f"TFORM{i}")
        if name in MEANINGS:
            ucd, display = MEANINGS[name]
            hdu.header.set(f"TUCD{i}", ucd, after=f"TFORM{i}")
            hdu.header.set(f"TDISP{i}", display, after=f"TFORM{i}")
    set_cards(hdu.header, _make_keywords(table.meta))
    return hdu


def _make_keywords(meta: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """List the keywords for the ``meta`` of a table."""
    diameters = [
        (f"{DIAMETER}{i}", float(value), "[pix] diameter of a circular aperture")
        for i, value in enumerate(meta.get(APERTURES, ()), 1)
    ]
    others = [
        (key.upper(), value, "")
        for key, value in meta.items()
        if isinstance(value, str | int | float | np.number) and len(key) <= 8 and key.upper() not in STRUCTURE
    ]
    return diameters + others
