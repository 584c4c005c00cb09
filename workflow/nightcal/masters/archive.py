"""Add the masters of a night to a library."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from astropy.io import fits

from nightcal.io.atomic import write_atomically
from nightcal.io.verdict import Outcome, Verdict, find_verdict, locate_verdict
from nightcal.planning.earlier_masters import JUDGED
from nightcal.planning.library_index import IndexEntry, make_entry, read_index, write_index
from nightcal.planning.master_library import KINDS

log = logging.getLogger(__name__)


def archive_night(night: Path, library: Path) -> list[str]:
    """Copy the accepted masters of a night, its bad pixel masks and measured gains, and enter them in the index.

    Parameters
    ----------
    night : Path
        Results of the night, with ``masters`` and ``verdicts``.
    library : Path
        Folder of the library; made if it does not exist.

    Returns
    -------
    list of str
        The files that were added, by their path below the library. Those that are there already, byte by byte, are
        not written again.

    Notes
    -----
    Every file appears whole, the master after its verdict and the index last. Without its entry a master serves all
    the same, once it is opened.
    """
    index, added = read_index(library), []
    for path in sorted((night / "masters").glob("*.fits")):
        name = f"{night.name}/masters/{path.name}"
        header, verdict = fits.getheader(path), find_verdict(path)
        if not _is_wanted(header, verdict):
            index.pop(name, None)
            _remove(library / name)
            continue
        changed = verdict is not None and _copy(locate_verdict(path), locate_verdict(library / name))
        changed = _copy(path, library / name) or changed
        added += [name] if changed else []
        index[name] = _make_entry(library / name, header, verdict)
    for path in sorted((night / "masters").glob("gain_*.json")):
        name = f"{night.name}/masters/{path.name}"
        added += [name] if _copy(path, library / name) else []
    write_index(library, index)
    return added


def _is_wanted(header: Mapping[str, Any], verdict: Verdict | None) -> bool:
    """Check whether a master may serve other nights; kinds that are judged need a verdict."""
    if "EMPTY" in header or header.get("MASTER") not in KINDS:  # a fringe frame serves its own night only
        return False
    if header.get("MASTER") not in JUDGED:
        return True
    return verdict is not None and verdict.outcome is Outcome.ACCEPTED


def _make_entry(path: Path, header: Mapping[str, Any], verdict: Verdict | None) -> IndexEntry:
    if verdict is None:
        return make_entry(path, header)
    return make_entry(path, header, verdict.outcome.word, **verdict.numbers)


def _copy(source: Path, target: Path) -> bool:
    """Copy a file atomically, unless the target has the same content already."""
    if target.exists() and target.read_bytes() == source.read_bytes():
        return False
    with write_atomically(target) as name:
        shutil.copyfile(source, name)
    log.info("%s", target)
    return True


def _remove(path: Path) -> None:
    """Remove a master that is accepted no longer, with its verdict."""
    for one in (path, locate_verdict(path)):
        one.unlink(missing_ok=True)
