"""Masters of other nights, offered to the planner."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

from nightcal.detector.gain import SETUP
from nightcal.errors import blame_machine
from nightcal.io.raw_files import find_files
from nightcal.io.verdict import Outcome, find_verdict
from nightcal.planning.library_index import IndexEntry, read_index
from nightcal.planning.naming import find_misread
from nightcal.planning.records import PlannedMaster
from nightcal.planning.setup_keywords import read_planned_master

log = logging.getLogger(__name__)

KINDS = ("bias", "dark", "flat", "bpm")


def read_library(folder: Path) -> list[PlannedMaster]:
    """Read the headers of all masters below a folder.

    Parameters
    ----------
    folder : Path
        Such as the results of other nights, or an archive, whose index saves opening each file; files that are not
        masters, or measured gains, of nightcal are skipped, and masters that are rejected.

    Returns
    -------
    list of PlannedMaster
        Sorted by path.
    """
    index = read_index(folder)
    paths = [path for path in sorted(find_files(folder)) if not find_misread(path)]
    masters = (_read_entry(path, index.get(path.relative_to(folder).as_posix())) for path in paths)
    gains = (_read_gain(path) for path in sorted(folder.rglob("gain_*.json")) if not find_misread(path))
    return [master for master in (*masters, *gains) if master is not None]


def _is_rejected(path: Path) -> bool:
    """Check whether a master is rejected, or the verdict on it cannot be read."""
    try:
        verdict = find_verdict(path)
    except (OSError, ValueError) as mistake:
        log.warning("%s is not used: the verdict on it cannot be read (%s).", path, mistake)
        return True
    return verdict is not None and verdict.outcome is Outcome.REJECTED


def _read_entry(path: Path, entry: IndexEntry | None) -> PlannedMaster | None:
    """Read what a master is from the index, or from its header if it is not there or has changed."""
    if entry is not None and entry.describes(path):
        try:
            return read_planned_master(path, entry.header)
        except (KeyError, TypeError, ValueError):
            log.warning("%s is indexed without all that tells what it is: it is opened.", path)
    return None if _is_rejected(path) else _read_master(path)


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
