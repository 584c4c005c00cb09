"""Masters of other nights, offered to the planner."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from nightcal.detector.gain import SETUP
from nightcal.errors import blame_machine
from nightcal.io.raw_files import find_files
from nightcal.planning.naming import find_misread
from nightcal.planning.records import PlannedMaster
from nightcal.planning.setup_keywords import read_planned_master

KINDS = ("bias", "dark", "flat", "bpm")


def read_library(folder: Path) -> list[PlannedMaster]:
    """Read the headers of all masters below a folder.

    Parameters
    ----------
    folder : Path
        Such as the results of other nights; files that are not masters, or measured gains, of nightcal are skipped.

    Returns
    -------
    list of PlannedMaster
        Sorted by path.
    """
    masters = (_read_master(path) for path in sorted(find_files(folder)) if not find_misread(path))
    gains = (_read_gain(path) for path in sorted(folder.rglob("gain_*.json")) if not find_misread(path))
    return [master for master in (*masters, *gains) if master is not None]


def _read_gain(path: Path) -> PlannedMaster | None:
    """Read the setup of a measured gain; None for one without flats, or from an older version."""
    from astropy.io import fits

    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["warning"]:
            return None
        return read_planned_master(path, fits.Header(values[SETUP]))
    except OSError as error:
        blame_machine(error)
    except (KeyError, TypeError, ValueError):
        pass
    return None


def _read_master(path: Path) -> PlannedMaster | None:
    from astropy.io import fits

    from nightcal.errors import UNREADABLE

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = fits.getheader(path)
    except UNREADABLE as error:
        blame_machine(error)
        return None
    if header.get("MASTER") not in KINDS or "EMPTY" in header:
        return None
    try:
        return read_planned_master(path, header)
    except (KeyError, TypeError, ValueError):  # from another program, or an older version with fewer keywords
        return None
