"""Read reference stars from a table: identify its columns and their units."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.errors import UNREADABLE, ConfigurationError, blame_machine
from nightcal.io.header_values import is_sexagesimal, parse_degrees
from nightcal.measurement.star_catalog.record import StarCatalog

if TYPE_CHECKING:
    from astropy.table import Table

FORMATS = {".fits": "fits", ".fit": "fits", ".fts": "fits", ".ecsv": "ascii.ecsv", ".csv": "ascii.csv"}

USUAL = {
    "ra": ("ra", "ra_icrs", "ra_deg", "radeg", "raj2000", "_raj2000", "ra_j2000", "alphawin_j2000", "alpha_j2000",
           "ramean", "ra2000", "right_ascension"),
    "dec": ("dec", "de_icrs", "dec_icrs", "dec_deg", "decdeg", "dedeg", "dej2000", "decj2000", "_dej2000", "dec_j2000",
            "deltawin_j2000", "delta_j2000", "decmean", "dec2000", "declination"),
    "pm_ra": ("pmra", "pm_ra", "pmra_cosdec", "pm_ra_cosdec"),
    "pm_dec": ("pmdec", "pmde", "pm_dec", "pm_de"),
    "epoch": ("ref_epoch", "epoch"),
}  # fmt: skip
"""Usual column names in lower case: VizieR, the Gaia archive, SExtractor, and tables of observers."""

BANDS = ("u", "g", "r", "i", "z", "y", "w", "U", "B", "V", "R", "I", "J", "H", "K", "Ks", "G", "BP", "RP")
_MAGNITUDE = re.compile(rf"(?P<band>{'|'.join(sorted(BANDS, key=len, reverse=True))})'?_?(?:mag|MeanPSFMag)?")
_GAIA = re.compile(r"phot_(?P<band>g|bp|rp)_mean_mag")
_ERRORS = ("e_{}", "{}_error", "{}_err", "{}err", "d{}", "err_{}", "{}Err")
_EPOCH = re.compile(r"\bep(?:och)?\b[\s=.:]*J?\s*(\d{4}(?:\.\d+)?)", re.IGNORECASE)
FAINTEST = 50.0  # catalogues write 99 for a missing magnitude


def read_star_catalog(path: Path, columns: Mapping[str, Any] | None = None) -> StarCatalog:
    """Read a table of reference stars.

    Parameters
    ----------
    path : Path
        FITS, ECSV, CSV, or Parquet if ``pyarrow`` is installed.
    columns : mapping, optional
        Names of the columns: ``ra``, ``dec``, ``pm_ra``, ``pm_dec``, ``epoch`` (or a number, the Julian year), and,
        by band, ``magnitudes`` and ``errors``. The usual names are tried for the others. Without a unit, positions are
        in degrees, or in hours and degrees if written as ``13:47:57 -05:03:45``; proper motions are in mas/yr, in right
        ascension times cos(declination).

    Returns
    -------
    StarCatalog
        Named after the file; stars without a position are removed.

    Raises
    ------
    ConfigurationError
        If the file cannot be read, or a column is missing or wrong.
    """
    columns = columns or {}
    table = _read(path)
    ra, dec = (
        _read_positions(table, _find_column(table, key, columns, path, needed=True), key, path) for key in ("ra", "dec")
    )
    pm_ra, pm_dec = (
        _read_motions(table, _find_column(table, key, columns, path), key, path) for key in ("pm_ra", "pm_dec")
    )
    moving = bool(np.any(pm_ra != 0) or np.any(pm_dec != 0))
    magnitudes, errors = _read_magnitudes(table, columns, path)
    epoch = _find_epoch(table, columns, path, moving)
    catalog = StarCatalog(path.name, ra, dec, pm_ra, pm_dec, epoch, magnitudes, errors)
    good = np.isfinite(ra) & np.isfinite(dec) & (np.abs(dec) <= 90)
    if not good.any():
        raise ConfigurationError(f"{path}: none of its {len(table)} rows has a valid position.")
    return catalog.select(np.flatnonzero(good))


def _read(path: Path) -> Table:
    """Read a table by the suffix of its file."""
    from astropy.table import Table

    suffix = path.with_suffix("").suffix if path.suffix.lower() in (".gz", ".bz2") else path.suffix
    if suffix.lower() == ".parquet":
        return _read_parquet(path)
    kind = FORMATS.get(suffix.lower())
    if kind is None:
        raise ConfigurationError(
            f"catalog.file is {str(path)!r}; expected a file named .fits, .ecsv, .csv or .parquet."
        )
    try:
        return Table.read(path, format=kind, **({"encoding": "utf-8-sig"} if kind == "ascii.csv" else {}))
    except FileNotFoundError as error:
        raise ConfigurationError(f"catalog.file is {str(path)!r}, which does not exist.") from error
    except UNREADABLE as error:
        blame_machine(error)
        reason = " ".join(str(error).split())[:200]
        raise ConfigurationError(f"{path}: the star catalogue cannot be read ({reason}).") from error


def _read_parquet(path: Path) -> Table:
    from astropy.table import Table

    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigurationError(
            f"catalog.file is {str(path)!r}; Parquet needs the package pyarrow (pip install pyarrow); "
            "or convert the table to FITS, ECSV or CSV."
        ) from error
    try:
        read = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ConfigurationError(f"{path}: the star catalogue cannot be read ({error}).") from error
    return Table({name: np.ma.masked_invalid(read[name].to_numpy()) if _is_real(read[name]) else read[name].to_numpy()
                  for name in read.column_names})  # fmt: skip


def _is_real(column: Any) -> bool:
    return bool(np.issubdtype(column.to_numpy().dtype, np.floating))


def _find_column(table: Table, key: str, columns: Mapping[str, Any], path: Path, needed: bool = False) -> str | None:
    """Find the name of a column: the one given, else the first of the usual names."""
    given = columns.get(key)
    if given is not None:
        return _check_column(table, str(given), f"catalog.columns.{key}", path)
    by_small = {name.lower(): name for name in reversed(table.colnames)}
    found = next((by_small[name] for name in USUAL[key] if name in by_small), None)
    if found is None and needed:
        raise ConfigurationError(
            f"{path}: no column found for {key}; set catalog.columns.{key} to one of {_list_names(table.colnames)}."
        )
    return found


def _check_column(table: Table, name: str, key: str, path: Path) -> str:
    """Check that a column exists."""
    if name not in table.colnames:
        raise ConfigurationError(
            f"{path}: {key} is {name!r}; expected one of the columns {_list_names(table.colnames)}."
        )
    return name


def _list_names(names: list[str]) -> str:
    """List at most 40 names."""
    return ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")


def _read_numbers(table: Table, name: str, key: str, path: Path, unit: str = "") -> NDArray[np.float64]:
    """Read a column as numbers, converted to a unit if it has one; NaN if missing."""
    column = table[name]
    try:
        values = np.asarray(np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"{path}: {key} is the column {name!r}, which is not numeric.") from error
    if values.ndim != 1:
        raise ConfigurationError(f"{path}: {key} is the column {name!r}; expected one number per star.")
    if unit and column.unit is not None:
        values = values * _find_factor(str(column.unit), unit, f"{path}: {key} is the column {name!r}")
    return values


def _find_factor(found: str, wanted: str, subject: str) -> float:
    """Find the factor between two units."""
    from astropy import units

    try:
        return float(units.Unit(found).to(wanted))
    except (ValueError, units.UnitsError) as error:
        raise ConfigurationError(f"{subject} in {found}; expected a unit such as {wanted}.") from error


def _read_positions(table: Table, name: str | None, key: str, path: Path) -> NDArray[np.float64]:
    assert name is not None
    column = table[name]
    if column.dtype.kind not in "SUO":
        return _read_numbers(table, name, f"catalog.columns.{key}", path, "deg")
    texts = [str(value) for value in np.ma.filled(np.ma.asarray(column).astype(str), "")]
    values = np.array([_read_angle(text, 15.0 if key == "ra" else 1.0) for text in texts])
    if not np.isfinite(values).any():
        raise ConfigurationError(f"{path}: catalog.columns.{key} is the column {name!r}, which contains no angles.")
    return values


def _read_angle(text: str, hours: float) -> float:
    degrees = parse_degrees(text)
    if degrees is None:
        return np.nan
    return degrees * hours if is_sexagesimal(text) else degrees


def _read_motions(table: Table, name: str | None, key: str, path: Path) -> NDArray[np.float64]:
    if name is None:
        return np.zeros(len(table))
    return np.nan_to_num(_read_numbers(table, name, f"catalog.columns.{key}", path, "mas/yr"))


def _find_epoch(table: Table, columns: Mapping[str, Any], path: Path, moving: bool) -> float | NDArray[np.float64]:
    """Find the epoch of the positions: given, from a column, from the description of the right ascension, else 2000."""
    given = columns.get("epoch")
    if isinstance(given, int | float) and not isinstance(given, bool):
        if not 1800 < given < 2200:
            raise ConfigurationError(f"catalog.columns.epoch is {given}; expected a Julian year such as 2016.0.")
        return float(given)
    name = _find_column(table, "epoch", columns, path)
    if name is not None:
        years = _read_numbers(table, name, "catalog.columns.epoch", path, "yr")
        known = years[np.isfinite(years)]
        if len(known) and known.min() > 1800 and known.max() < 2200:
            same = known.min() == known.max()
            return float(known[0]) if same else np.where(np.isfinite(years), years, np.median(known))
        if given is not None:
            raise ConfigurationError(
                f"{path}: catalog.columns.epoch is the column {name!r}; expected a column of Julian years."
            )
    right_ascension = table[_find_column(table, "ra", columns, path, needed=True)]
    match = _EPOCH.search(str(right_ascension.description or ""))
    if match is not None:
        return float(match[1])
    if moving:
        raise ConfigurationError(
            f"{path}: the table has proper motions but no epoch; set catalog.columns.epoch to a Julian year (2016.0 for"
            " Gaia DR3) or a column."
        )
    return 2000.0


def _read_magnitudes(
    table: Table, columns: Mapping[str, Any], path: Path
) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
    """Read magnitudes and their errors, by band."""
    given = columns.get("magnitudes")
    names = dict(_find_usual_magnitudes(table)) if given is None else dict(given)
    given_errors = dict(columns.get("errors") or {})
    magnitudes, errors = {}, {}
    for band, name in names.items():
        key = f"catalog.columns.magnitudes.{band}"
        magnitudes[band] = _mask_implausible(
            _read_numbers(table, _check_column(table, str(name), key, path), key, path), -FAINTEST
        )
        usual = next((e for form in _ERRORS if (e := form.format(name)) in table.colnames), None)
        error = given_errors.pop(band, usual)
        if error is not None:
            key = f"catalog.columns.errors.{band}"
            errors[band] = _mask_implausible(
                _read_numbers(table, _check_column(table, str(error), key, path), key, path), 0.0
            )
    if given_errors:
        band = next(iter(given_errors))
        raise ConfigurationError(
            f"catalog.columns.errors has {band!r}; expected one of catalog.columns.magnitudes:"
            f" {', '.join(names) or 'none'}."
        )
    return magnitudes, errors


def _find_usual_magnitudes(table: Table) -> Iterator[tuple[str, str]]:
    """Find the columns with usual names of magnitudes: band and name."""
    found = set()
    for name in table.colnames:
        gaia, plain = _GAIA.fullmatch(name), _MAGNITUDE.fullmatch(name)
        band = gaia["band"].upper() if gaia else plain["band"] if plain else ""
        if band and band not in found and table[name].dtype.kind in "fiu":
            found.add(band)
            yield band, name


def _mask_implausible(values: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Replace implausible values by NaN."""
    return np.where((values > least) & (values < FAINTEST), values, np.nan)
