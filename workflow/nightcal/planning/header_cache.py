"""What headers said when they were last read, so that a night of thousands is planned again in a moment.

A record is believed while its file has the same length and time stamps, and all of them while camera files and version
of nightcal are the same. In a job of a cluster, the manifest of the run that sent it is believed as it stands.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from nightcal.cameras.camera import Camera
from nightcal.planning.frames import Frame, find, read_frame, without_copies
from nightcal.version import __version__

PLACE = Path("logs/frames.manifest")
"""Where a manifest lies below the results."""

_TOLD = tuple(attribute.name for attribute in fields(Frame) if attribute.name not in ("path", "name"))
_PAIRS = [_TOLD.index(name) for name in ("binning", "shape", "pointing")]
_attributes = attrgetter(*_TOLD)
_parts = attrgetter("parts")  # paths in their own order, many times faster than they compare
_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]
"""Length [byte], time of the last change of content and of the last change of any kind [ns] of a file."""


@dataclass(frozen=True, slots=True)
class Known:
    """A frame, and the stamp that its file had when its header was read."""

    frame: Frame
    stamp: Stamp


def frames_below(
    folder: Path, cameras: Sequence[Camera], results: Path, *, trusted: bool = False, save: bool = True
) -> list[Frame]:
    """Find every frame below a folder, reading only the headers that the manifest does not know.

    Parameters
    ----------
    folder : Path
        As in `nightcal.planning.frames.scan`.
    cameras : sequence of Camera
        In the order in which they are asked.
    results : Path
        Folder of the products, which is not searched; the manifest lies in it.
    trusted : bool
        Take the manifest for the truth and look at no file, if there is a valid one.
    save : bool
        Write what is new into the manifest. One that cannot be written costs time, nothing else.

    Returns
    -------
    list of Frame
        As from `nightcal.planning.frames.scan`.
    """
    path, validity = results / PLACE, validity_of(folder, cameras)
    known = load(path, validity)
    if trusted and known is not None:
        return without_copies([one.frame for one in known.values()])
    found = [_look(raw, folder, cameras, known or {}) for raw in sorted(find(folder, [results]), key=_parts)]
    if save and list((known or {}).values()) != found:
        _save(path, validity, found)
    return without_copies([one.frame for one in found])


def _look(path: Path, folder: Path, cameras: Sequence[Camera], known: Mapping[str, Known]) -> Known:
    stamp = _stamp(path)
    old = known.get(str(path))
    if old is not None and old.stamp == stamp:
        return old
    return Known(read_frame(path, path.relative_to(folder).as_posix(), cameras), stamp)


def _stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:  # a link to nowhere: reading it tells why
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def validity_of(folder: Path, cameras: Sequence[Camera]) -> str:
    """Hash of what else decides what a header means: version, records and camera files; and of the raw folder."""
    parts = [__version__, *_TOLD, str(folder), *(camera.path.read_text(encoding="utf-8") for camera in cameras)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load(path: Path, validity: str) -> dict[str, Known] | None:
    """Read a manifest.

    Parameters
    ----------
    path : Path
    validity : str
        As `validity_of` says.

    Returns
    -------
    dict of str to Known or None
        By path of the raw file; None if there is no manifest, or it is damaged or of other camera files.
    """
    try:
        seal, _, text = path.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read (%s): all headers are read again.", path, error)
        return None
    if seal != _seal(validity, text):
        _log.warning("%s is damaged, or of other camera files: all headers are read again.", path)
        return None
    return {row[0]: _known(*row) for row in json.loads(text)}


def _known(path: str, name: str, stamp: Sequence[int], values: list[Any]) -> Known:
    for place in _PAIRS:
        values[place] = values[place] and tuple(values[place])
    size, changed, touched = stamp
    return Known(Frame(Path(path), name, *values), (size, changed, touched))


def _save(path: Path, validity: str, found: Iterable[Known]) -> None:
    from nightcal.io.atomic import write_text

    text = dump(found)
    try:
        write_text(path, f"{_seal(validity, text)}\n{text}")
    except OSError as error:
        _log.warning("%s cannot be written (%s): next time, all headers are read again.", path, error)


def dump(found: Iterable[Known]) -> str:
    """Text of a manifest, in pure ASCII whatever headers and file names hold."""
    return json.dumps([(str(one.frame.path), one.frame.name, one.stamp, _attributes(one.frame)) for one in found])


def _seal(validity: str, text: str) -> str:
    return hashlib.sha256(f"{validity}\n{text}".encode()).hexdigest()
