"""Masters of other nights, offered to the planner."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nightcal.errors import blame_machine
from nightcal.planning.frames import find
from nightcal.planning.records import PlannedMaster
from nightcal.planning.setup_keywords import _described

if TYPE_CHECKING:
    pass

KINDS = ("bias", "dark", "flat", "bpm")


def read_library(folder: Path) -> list[PlannedMaster]:
    """Read the headers of all masters below a folder.

    Parameters
    ----------
    folder : Path
        Such as the results of other nights; files that are no masters of nightcal are passed over.

    Returns
    -------
    list of PlannedMaster
        Sorted by path.
    """
    found = (_master(path) for path in sorted(find(folder)) if "{" not in str(path))
    return [master for master in found if master is not None]


def _master(path: Path) -> PlannedMaster | None:
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
        return _described(path, header)
    except (KeyError, TypeError, ValueError):  # a master of another program, or of a version that said less
        return None
