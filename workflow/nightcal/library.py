"""Masters of other nights, offered to the planner."""

from __future__ import annotations

import warnings
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from nightcal.dark_policy import Span
from nightcal.errors import blame_machine
from nightcal.frames import find
from nightcal.matching import Master, Setup

if TYPE_CHECKING:
    from astropy.io import fits

KINDS = ("bias", "dark", "flat", "bpm")


def read_library(folder: Path) -> list[Master]:
    """Read the headers of all masters below a folder.

    Parameters
    ----------
    folder : Path
        Such as the results of other nights; files that are no masters of nightcal are passed over.

    Returns
    -------
    list of Master
        Sorted by path.
    """
    found = (_master(path) for path in sorted(find(folder)) if "{" not in str(path))
    return [master for master in found if master is not None]


def _master(path: Path) -> Master | None:
    from astropy.io import fits

    from nightcal.errors import UNREADABLE

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = fits.getheader(path)
    except UNREADABLE as error:
        blame_machine(error)
        return None
    if header.get("MASTER") not in KINDS or "REFUSED" in header:
        return None
    try:
        return _described(path, header)
    except (KeyError, TypeError, ValueError):  # a master of another program, or of a version that said less
        return None


def _described(path: Path, header: fits.Header) -> Master:
    setup = Setup(
        camera=header["NCCAMERA"],
        instrument=header["NCINSTR"],
        binning=(header["NCXBIN"], header["NCYBIN"]),
        mode=header["NCMODE"],
        shape=(header["NCNY"], header["NCNX"]),
        has_overscan=header["NCOVSC"],
        area=_area(header),
        amplifiers=header.get("NCAMPS", 1),
    )
    return Master(
        header["MASTER"],
        path.stem,
        header["NIGHT"],
        setup,
        header["MJDMEAN"],
        filter=header.get("FILTER", ""),
        light=header.get("NCLIGHT", ""),
        set_temperature=header.get("SET-TEMP") if header["MASTER"] == "dark" else None,
        temperature=header.get("CCD-TEMP") if header["MASTER"] == "dark" else None,
        exposures=_exposures(header) if header["MASTER"] == "dark" else (0.0, 0.0),
        path=path,
    )


def _area(header: fits.Header) -> str:
    """Areas of all amplifiers, which may go on over several cards."""
    names = takewhile(header.__contains__, (f"NCAREA{n:02d}" for n in count(2)))
    return " ".join([header["NCAREA"], *(header[name] for name in names)])


def _exposures(header: fits.Header) -> Span:
    """Shortest and longest exposure of a dark; one number where its header knows no more."""
    return float(header.get("EXPMIN", header["EXPTIME"])), float(header.get("EXPMAX", header["EXPTIME"]))
