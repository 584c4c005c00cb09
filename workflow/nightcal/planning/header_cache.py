"""Cache of interpreted headers, so that a night of thousands of frames is planned again in a moment.

A record is valid as long as its file has the same length and time stamps; the whole cache, as long as the camera files
and the version of nightcal stay the same. A job on a cluster uses the cache of the run that submitted it unchecked.
A header that the observer corrects has two records: as it is, and as corrected.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from nightcal.cameras.camera import Camera
from nightcal.cameras.corrected_camera import Facts, correct_cameras
from nightcal.cameras.settings import Setting
from nightcal.io.colour_mosaic import PLANES
from nightcal.io.raw_files import find_files
from nightcal.planning.frames import Frame, name_plane, read_frames, reject_copies
from nightcal.planning.naming import hash_text
from nightcal.planning.overrides import NO_OVERRIDE, Override
from nightcal.version import __version__

_CACHED = tuple(attribute.name for attribute in fields(Frame) if attribute.name not in ("path", "name", "override"))
_PAIRS = [_CACHED.index(name) for name in ("binning", "shape", "pointing", "warnings")]
_SETTINGS, _UNLISTED = _CACHED.index("settings"), _CACHED.index("unlisted")
_attributes = attrgetter(*_CACHED)
_parts = attrgetter("parts")  # sorts like the paths themselves, many times faster
_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]
"""Length [byte], modification time and change time [ns] of a file."""

Overrule = Callable[[Sequence[Frame]], Mapping[str, Override]]
"""Takes the frames as their headers describe them; returns what the observer says of some, by name."""


@dataclass(frozen=True, slots=True)
class CachedFrame:
    """A frame, the stamp of its file when the header was read, and what the observer said of it, as JSON."""

    frame: Frame
    stamp: Stamp
    said: str = ""


Known = Mapping[tuple[str, str], CachedFrame]
"""Records by name of the frame and what the observer said of it."""


def read_cached_frames(
    folder: Path,
    cameras: Sequence[Camera],
    results: Path,
    overrule: Overrule | None = None,
    *,
    trusted: bool = False,
    save: bool = True,
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
    overrule : callable, optional
        Tells what the observer says of the frames.
    trusted : bool
        Use a valid cache without looking for files or reading headers.
    save : bool
        Update the cache. A cache that cannot be written costs time, nothing else.

    Returns
    -------
    list of Frame
        As from `nightcal.planning.frames.scan`, or as the observer corrects them.
    """
    path, validity = locate_cache(results, folder), make_validity_key(folder, cameras)
    cached = load_cache(path, validity)
    known = cached or {}
    if trusted and cached is not None:
        found = [old for old in known.values() if not old.said]
    else:
        paths = sorted(find_files(folder, [results], unopened=True), key=_parts)
        found = [one for raw in paths for one in _read_or_reuse(raw, folder, cameras, known)]
    overrides = overrule([one.frame for one in found]) if overrule else {}
    corrected = {
        one.frame.name: _correct_or_reuse(one, cameras, known, facts)
        for one in found
        if (facts := overrides.get(one.frame.name, NO_OVERRIDE).facts)
    }
    everything = [*found, *(one for part in corrected.values() for one in part)]
    if save and list(known.values()) != everything:
        save_cache(path, validity, everything)
    frames = [
        replace(frame, override=overrides.get(one.frame.name))
        for one in found
        for frame in (part.frame for part in corrected.get(one.frame.name, [one]))
    ]
    return reject_copies(frames)


def _read_or_reuse(path: Path, folder: Path, cameras: Sequence[Camera], known: Known) -> list[CachedFrame]:
    stamp, name = _read_stamp(path), path.relative_to(folder).as_posix()
    return _find_known(name, "", stamp, known) or [
        CachedFrame(frame, stamp) for frame in read_frames(path, name, cameras)
    ]


def _correct_or_reuse(old: CachedFrame, cameras: Sequence[Camera], known: Known, facts: Facts) -> list[CachedFrame]:
    """Read the header of a frame again, as the observer corrects it; of a mosaic in parts, that of one colour."""
    said, frame = json.dumps(facts.list_known()), old.frame
    if reused := _find_known(frame.name, said, old.stamp, known):
        return reused
    frames = read_frames(frame.path, frame.file, correct_cameras(cameras, facts))
    if frame.plane:
        frames = [one for one in frames if one.name == frame.name] or [replace(frames[0], name=frame.name)]
    return [CachedFrame(one, old.stamp, said) for one in frames]


def _find_known(name: str, said: str, stamp: Stamp, known: Known) -> list[CachedFrame]:
    """Find the records of a frame, or those of the colours of a mosaic; none if its file has changed."""
    names = [name] if (name, said) in known else [name_plane(name, plane) for plane in PLANES]
    old = [known[one, said] for one in names if (one, said) in known]
    return old if all(cached.stamp == stamp for cached in old) else []


def _read_stamp(path: Path) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:  # a broken link: reading it will give the reason
        return 0, 0, 0
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def locate_cache(results: Path, folder: Path) -> Path:
    """Locate the cache for a folder of raw frames: each has its own."""
    return results / "logs" / f"header_cache_{hash_text(str(folder))}"


def make_validity_key(folder: Path, cameras: Sequence[Camera]) -> str:
    """Hash whatever else the interpretation of headers depends on: version, camera files, and the raw folder."""
    parts = [__version__, *_CACHED, str(folder), *(camera.path.read_text(encoding="utf-8") for camera in cameras)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def load_cache(path: Path, validity: str) -> dict[tuple[str, str], CachedFrame] | None:
    """Read a cache.

    Parameters
    ----------
    path : Path
    validity : str
        From `make_validity_key`.

    Returns
    -------
    dict of (str, str) to CachedFrame or None
        By name of the frame and what the observer said of it; None if there is no cache, or it is damaged or for
        other camera files.
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
    return {(row[2], row[1]): _restore(*row) for row in json.loads(text)}


def _restore(path: str, said: str, name: str, stamp: Sequence[int], values: list[Any]) -> CachedFrame:
    for place in _PAIRS:
        values[place] = None if values[place] is None else tuple(values[place])
    settings = values[_SETTINGS] or ()
    values[_SETTINGS] = tuple(Setting(label, card, tuple(map(tuple, cards))) for label, card, cards in settings)
    values[_UNLISTED] = tuple(map(tuple, values[_UNLISTED]))
    size, changed, touched = stamp
    return CachedFrame(Frame(Path(path), name, *values), (size, changed, touched), said)


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
    rows = [(str(c.frame.path), c.said, c.frame.name, c.stamp, _attributes(c.frame)) for c in found]
    return json.dumps(rows, default=dataclasses.astuple)


def _make_seal(validity: str, text: str) -> str:
    return hashlib.sha256(f"{validity}\n{text}".encode()).hexdigest()
