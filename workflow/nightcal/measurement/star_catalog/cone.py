"""Reference stars of one field, downloaded once and kept."""

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
"""Centres are rounded to so many degrees, so that all frames of a field share one file."""


class NotDownloaded(Exception):  # noqa: N818 - not a failure: the night goes on without
    """The stars of a field could not be downloaded; the message is the reason, in one plain sentence."""


@dataclass(frozen=True, slots=True)
class Source:
    """A catalogue of VizieR.

    Attributes
    ----------
    table : str
        Its name there.
    epoch : float
        Of the positions [Julian year].
    positions, motions : tuple of str
        Columns of right ascension and declination, and of the proper motions.
    bands : tuple of str
        Columns of magnitudes; that of the limit is the first. Their errors are named ``e_...``.
    """

    table: str
    epoch: float
    bands: tuple[str, ...]
    positions: tuple[str, str] = ("RA_ICRS", "DE_ICRS")
    motions: tuple[str, str] = ("pmRA", "pmDE")

    @property
    def columns(self) -> list[str]:
        """All columns that are asked for."""
        return [*self.positions, *self.motions, *(name for band in self.bands for name in (band, f"e_{band}"))]


SOURCES = {
    "gaia": Source("I/355/gaiadr3", 2016.0, ("Gmag", "BPmag", "RPmag")),
    "refcat2": Source("J/ApJ/867/105/refcat2", 2015.5, ("rmag", "gmag", "imag", "zmag", "Gmag", "Jmag")),
}
"""Catalogues that can be downloaded: Gaia DR3, and ATLAS-Refcat2 (Tonry et al. 2018, ApJ 867, 105)."""


@dataclass(frozen=True, slots=True)
class Cone:
    """A round piece of the sky: centre and radius [deg]."""

    ra: float
    dec: float
    radius: float

    def name(self, catalogue: str, faintest: float) -> str:
        """Name of the file that holds the stars of a catalogue down to a magnitude."""
        return f"{catalogue}_{self.place}_{self.radius:.2f}deg_{faintest:g}mag.ecsv"

    @property
    def place(self) -> str:
        """Centre, as it stands in names of files."""
        return f"{self.ra:07.3f}{self.dec:+07.3f}"


def cone_of(ra: float, dec: float, radius: float) -> Cone:
    """Round a cone so that the frames of one field ask for the same.

    Parameters
    ----------
    ra, dec, radius : float
        What a frame needs [deg].

    Returns
    -------
    Cone
        Its centre on a grid of 0.1 degrees, its radius larger by as much: it holds what the frame needs.
    """
    rounded = max(-90.0, min(90.0, round(dec / STEP) * STEP))
    turns = max(1, round(360 * math.cos(math.radians(rounded)) / STEP))
    around = round((ra % 360) / 360 * turns) % turns * 360 / turns
    return Cone(round(around, 6), round(rounded, 6), round(math.ceil(radius / STEP + 1 - 1e-9) * STEP, 1))


def is_for(name: str, ra: float, dec: float) -> bool:
    """Whether a file of this name, one of `Cone.name`, holds the cone of a frame that points to a place [deg]."""
    return f"_{cone_of(ra, dec, STEP).place}_" in name


def download_cone(cone: Cone, catalogue: str, path: Path, faintest: float = 19.0) -> int:
    """Download the stars of a cone from VizieR with ``astroquery`` and write them as a table.

    Parameters
    ----------
    cone : Cone
    catalogue : str
        One of `SOURCES`.
    path : Path
        ECSV; appears whole or not at all. `nightcal.measurement.star_catalog.file.read_star_catalog` reads it as it is.
    faintest : float
        Magnitude limit, r of Refcat2, G of Gaia.

    Returns
    -------
    int
        Number of stars.

    Raises
    ------
    ValueError
        If the catalogue is not known.
    NotDownloaded
        If the network, the service or ``astroquery`` is not there, or the cone holds no star.
    """
    if catalogue not in SOURCES:
        raise ValueError(f"catalog.download is {catalogue!r}; expected one of {', '.join(SOURCES)}.")
    source = SOURCES[catalogue]
    table = _query(cone, source, faintest)
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


def _query(cone: Cone, source: Source, faintest: float) -> Table:
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
        said = type(error).__name__
        raise NotDownloaded(f"VizieR did not answer ({said}): is there a network?") from error
    if len(tables) == 0 or len(tables[0]) == 0:
        raise NotDownloaded(f"{source.table} of VizieR has no star within {cone.radius:.2f} deg")
    return tables[0]
