"""The index of a library: what its masters are, so that the planner need not open each file."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nightcal.io.atomic import write_text

log = logging.getLogger(__name__)

NAME = "index.json"

KEPT = (
    "MASTER",
    "NIGHT",
    "MJD-AVG",
    "FILTER",
    "FLATSRC",
    "SET-TEMP",
    "CCD-TEMP",
    "EXPTIME",
    "EXPMIN",
    "EXPMAX",
    "PEDEXP",
)
"""Keywords that tell what a master is, besides those that begin with `SETUP_PREFIX`."""

SETUP_PREFIX = "NC"


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A master of a library.

    Attributes
    ----------
    size, mtime_ns : int
        Of its file; a file that differs in one of them has changed, and is opened.
    header : mapping of str to value
        The keywords that tell what it is.
    verdict : str
        ``accepted``; empty for kinds that are not judged.
    numbers : mapping of str to float
        Level, read noise, gain and so on.
    """

    size: int
    mtime_ns: int
    header: Mapping[str, Any]
    verdict: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def describes(self, path: Path) -> bool:
        """Check whether a file is still the one that was indexed."""
        status = path.stat()
        return (status.st_size, status.st_mtime_ns) == (self.size, self.mtime_ns)


Index = Mapping[str, IndexEntry]
"""Entries by path below the folder of the library."""


def make_entry(path: Path, header: Mapping[str, Any], verdict: str = "", **numbers: float) -> IndexEntry:
    """Make the entry of a master from its file and header."""
    kept = {key: header[key] for key in header if key in KEPT or key.startswith(SETUP_PREFIX)}
    status = path.stat()
    return IndexEntry(status.st_size, status.st_mtime_ns, kept, verdict, numbers)


def write_index(folder: Path, index: Index) -> None:
    """Write the index of a library atomically, sorted by path."""
    entries = {path: asdict(entry) for path, entry in sorted(index.items())}
    write_text(folder / NAME, json.dumps(entries, indent=1) + "\n")


def read_index(folder: Path) -> dict[str, IndexEntry]:
    """Read the index of a library; empty if there is none, or, with a warning, if it is damaged."""
    path = folder / NAME
    try:
        return {name: IndexEntry(**entry) for name, entry in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as mistake:
        log.warning("%s cannot be read (%s): each master of the library is opened.", path, mistake)
        return {}
