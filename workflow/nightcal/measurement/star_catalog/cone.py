"""Download the reference stars of one field."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nightcal.io.atomic import write_atomically

if TYPE_CHECKING:
    from astropy.table import Table

STEP = 0.1
"""Centres are rounded to this many degrees, so that all frames of a field share one file."""


class NotDownloaded(Exception):  # noqa: N818 - not an error: the night is reduced without
    """Raised if the stars of a field cannot be downloaded; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Source:
    """A catalogue on VizieR.

    Attributes
    ----------
    table : str
        Name on VizieR.
    epoch : float
        Of the positions [Julian year].
    positions, motions : tuple of str
        Columns of right ascension and declination, and of the proper motions.
    bands : tuple of str
        Columns of magnitudes, the limiting one first. Their errors are named ``e_...``.
    """

    table: str
    epoch: float
    bands: tuple[str, ...]
    positions: tuple[str, str] = ("RA_ICRS", "DE_ICRS")
    motions: tuple[str, str] = ("pmRA", "pmDE")

    @property
    def columns(self) -> list[str]:
        """All columns to download."""
        return [*self.positions, *self.motions, *(name for band in self.bands for name in (band, f"e_{band}"))]


SOURCES = {
    "gaia": Source("I/355/gaiadr3", 2016.0, ("Gmag", "BPmag", "RPmag")),
    "refcat2": Source("J/ApJ/867/105/refcat2", 2015.5, ("rmag", "gmag", "imag", "zmag", "Gmag", "Jmag")),
}
"""Catalogues to download: Gaia DR3, and ATLAS-Refcat2 (Tonry et al. 2018, ApJ 867, 105)."""


@dataclass(frozen=True, slots=True)
class Cone:
    """Centre and radius of a cone on the sky [deg]."""

    ra: float
    dec: float
    radius: float

    def name_file(self, catalogue: str, faintest: float) -> str:
        """Name the file with the stars of a catalogue down to a magnitude."""
        return f"{catalogue}_{self.place}_{self.radius:.2f}deg_{faintest:g}mag.ecsv"

    @property
    def place(self) -> str:
        """Centre, as written in file names."""
        return f"{self.ra:07.3f}{self.dec:+07.3f}"


def round_cone(ra: float, dec: float, radius: float) -> Cone:
    """Round a cone, so that all frames of a field share it.

    Parameters
    ----------
    ra, dec, radius : float
        Cone that a frame needs [deg].

    Returns
    -------
    Cone
        Centred on a grid of 0.1 degrees and larger by as much, so that it contains the cone of the frame.
    """
    rounded = max(-90.0, min(90.0, round(dec / STEP) * STEP))
    turns = max(1, round(360 * math.cos(math.radians(rounded)) / STEP))
    around = round((ra % 360) / 360 * turns) % turns * 360 / turns
    return Cone(round(around, 6), round(rounded, 6), round(math.ceil(radius / STEP + 1 - 1e-9) * STEP, 1))


def holds_field(name: str, ra: float, dec: float) -> bool:
    """Check that a file named by `Cone.name_file` holds the field of a frame at a position [deg]."""
    return f"_{round_cone(ra, dec, STEP).place}_" in name


def download_cone(cone: Cone, catalogue: str, path: Path, faintest: float = 19.0) -> int:
    """Download the stars of a cone from VizieR with ``astroquery`` and write them as a table.

    Parameters
    ----------
    cone : Cone
    catalogue : str
        One of `SOURCES`.
    path : Path
        ECSV, written atomically, for `nightcal.measurement.star_catalog.file.read_star_catalog`.
    faintest : float
        Magnitude limit: r of Refcat2, G of Gaia.

    Returns
    -------
    int
        Number of stars.

    Raises
    ------
    ValueError
        If the catalogue is unknown.
    NotDownloaded
        Without network, service or ``astroquery``, or if the cone contains no star.
    """
    if catalogue not in SOURCES:
        raise ValueError(f"catalog.download is {catalogue!r}; expected one of {', '.join(SOURCES)}.")
    source = SOURCES[catalogue]
    table = _query_vizier(cone, source, faintest)
    absent = [name for name in source.columns if name not in table.colnames]
    if absent:
        raise NotDownloaded(f"{source.table} of VizieR no longer has the columns {', '.join(absent)}")
    stars = table[source.columns]
    stars = stars[np.lexsort([np.asarray(stars[name], dtype=float) for name in reversed(source.positions)])]
    stars["ref_epoch"] = source.epoch
    stars.meta = {"comments": [f"{source.table} of VizieR, {cone.radius:.2f} deg around {cone.ra} {cone.dec}"]}
    with write_atomically(path) as name:
        stars.write(name, format="ascii.ecsv", overwrite=True)
    return len(stars)


def _query_vizier(cone: Cone, source: Source, faintest: float) -> Table:
    """Query VizieR for the stars of a cone."""
    try:
        from astroquery.exceptions import RemoteServiceError, TableParseError, TimeoutError
        from astroquery.vizier import Vizier
    except ImportError as error:
        raise NotDownloaded("the package astroquery is not installed (pip install astroquery)") from error
    from astropy import units
    from astropy.coordinates import SkyCoord

    centre = SkyCoord(cone.ra, cone.dec, unit="deg", frame="icrs")
    try:
        vizier = Vizier(columns=source.columns, column_filters={source.bands[0]: f"<{faintest:g}"}, row_limit=-1)
        tables = vizier.query_region(centre, radius=cone.radius * units.deg, catalog=source.table)
    except (OSError, ValueError, RemoteServiceError, TableParseError, TimeoutError) as error:
        raise NotDownloaded(f"VizieR did not answer ({type(error).__name__}); check the network") from error
    if len(tables) == 0 or len(tables[0]) == 0:
        raise NotDownloaded(f"{source.table} of VizieR has no stars within {cone.radius:.2f} deg")
    return tables[0]
