"""Cache of interpreted headers, so that a night of thousands of frames is planned again in a moment.

A record is valid as long as its file has the same length and time stamps; the whole cache, as long as the camera files
and the version of nightcal stay the same. A job on a cluster uses the cache of the run that submitted it unchecked.
"""

from __future__ import annotations

import dataclasses
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
from nightcal.cameras.settings import Setting
from nightcal.io.colour_mosaic import PLANES
from nightcal.io.raw_files import find_files
from nightcal.planning.frames import Frame, name_plane, read_frames, reject_copies
from nightcal.version import __version__

CACHE_FILE = Path("logs/header_cache")
"""Path of the cache below the results."""

_CACHED = tuple(attribute.name for attribute in fields(Frame) if attribute.name not in ("path", "name"))
_PAIRS = [_CACHED.index(name) for name in ("binning", "shape", "pointing", "warnings")]
_SETTINGS = _CACHED.index("settings")
_attributes = attrgetter(*_CACHED)
_parts = attrgetter("parts")  # sorts like the paths themselves, many times faster
_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]
"""Length [byte], modification time and change time [ns] of a file."""


@dataclass(frozen=True, slots=True)
class CachedFrame:
    """A frame, and the stamp of its file when the header was read."""

    frame: Frame
    stamp: Stamp


def read_cached_frames(
    folder: Path, cameras: Sequence[Camera], results: Path, *, trusted: bool = False, save: bool = True
) -> list[Frame]:
    """Find all frames below a folder, reading only the headers that are not in the cache.

    Parameters
    ----------
    folder : Path
        As in `nightcal.planning.frames.scan`.
    cameras : sequence of Camera
        Tried in this order.
    results : Path
        Folder of the products, which is not searched; the cache is in it.
    trusted : bool
        Use a valid cache without looking for files or reading headers.
    save : bool
        Update the cache. A cache that cannot be written costs time, nothing else.

    Returns
    -------
    list of Frame
        As from `nightcal.planning.frames.scan`.
    """
    path, validity = results / CACHE_FILE, make_validity_key(folder, cameras)
    known = load_cache(path, validity)
    if trusted and known is not None:
        return reject_copies([cached.frame for cached in known.values()])
    paths = sorted(find_files(folder, [results], unopened=True), key=_parts)
    found = [cached for raw in paths for cached in _read_or_reuse(raw, folder, cameras, known or {})]
    if save and list((known or {}).values()) != found:
        save_cache(path, validity, found)
    return reject_copies([cached.frame for cached in found])


def _read_or_reuse(
    path: Path, folder: Path, cameras: Sequence[Camera], known: Mapping[str, CachedFrame]
) -> list[CachedFrame]:
    stamp, name = _read_stamp(path), path.relative_to(folder).as_posix()
    names = [name] if name in known else [name_plane(name, plane) for plane in PLANES]
    old = [known[one] for one in names if one in known]
    if old and all(cached.stamp == stamp for cached in old):
        return old
    return [CachedFrame(frame, stamp) for frame in read_frames(path, name, cameras)]


def _read_stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:  # a broken link: reading it will give the reason
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def make_validity_key(folder: Path, cameras: Sequence[Camera]) -> str:
    """Hash whatever else the interpretation of headers depends on: version, camera files, and the raw folder."""
    parts = [__version__, *_CACHED, str(folder), *(camera.path.read_text(encoding="utf-8") for camera in cameras)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load_cache(path: Path, validity: str) -> dict[str, CachedFrame] | None:
    """Read a cache.

    Parameters
    ----------
    path : Path
    validity : str
        From `make_validity_key`.

    Returns
    -------
    dict of str to CachedFrame or None
        By name of the frame; None if there is no cache, or it is damaged or for other camera files.
    """
    try:
        seal, _, text = path.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        _log.warning("%s cannot be read (%s): reading all headers again.", path, error)
        return None
    if seal != _make_seal(validity, text):
        _log.warning("%s is damaged or for other camera files: reading all headers again.", path)
        return None
    return {row[1]: _restore(*row) for row in json.loads(text)}


def _restore(path: str, name: str, stamp: Sequence[int], values: list[Any]) -> CachedFrame:
    for place in _PAIRS:
        values[place] = None if values[place] is None else tuple(values[place])
    settings = values[_SETTINGS] or ()
    values[_SETTINGS] = tuple(Setting(label, card, tuple(map(tuple, cards))) for label, card, cards in settings)
    size, changed, touched = stamp
    return CachedFrame(Frame(Path(path), name, *values), (size, changed, touched))


def save_cache(path: Path, validity: str, found: Iterable[CachedFrame]) -> None:
    """Write a cache; a failure is only logged."""
    from nightcal.io.atomic import write_text

    text = dump_cache(found)
    try:
        write_text(path, f"{_make_seal(validity, text)}\n{text}")
    except OSError as error:
        _log.warning("%s cannot be written (%s): the next run will read all headers again.", path, error)


def dump_cache(found: Iterable[CachedFrame]) -> str:
    """Write a cache as text, in pure ASCII whatever the headers and file names contain."""
    return json.dumps(
        [(str(c.frame.path), c.frame.name, c.stamp, _attributes(c.frame)) for c in found], default=dataclasses.astuple
    )


def _make_seal(validity: str, text: str) -> str:
    return hashlib.sha256(f"{validity}\n{text}".encode()).hexdigest()
