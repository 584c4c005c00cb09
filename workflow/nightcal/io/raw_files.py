"""Find raw files, also those in a form that is not opened, with what to do about each."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nightcal.io.raw_header import SUFFIXES, strip_suffix

PACKED = re.compile(r"\.(?:fits|fit|fts)(?:\.fz)?\.(bz2|xz|z|zip|zst|zstd|7z|lz|lz4|lzma|rar|tar|tgz)\Z", re.I)
"""Ending of a packed FITS file."""

RAW_PHOTOS = (
    "cr2", "cr3", "crw", "nef", "nrw", "arw", "srf", "sr2", "dng", "raf", "orf", "rw2", "rwl", "pef", "srw", "x3f",
    "3fr", "iiq", "erf", "kdc", "dcr", "mrw",
)  # fmt: skip
"""Raw files of digital cameras."""

OTHER_FORMATS = {
    "xisf": "XISF of PixInsight",
    "ser": "a SER film",
    "tif": "TIFF",
    "tiff": "TIFF",
    "imh": "an image of IRAF",
    "sbig": "an image of CCDOPS",
    **{f"st{n}": "an image of CCDOPS" for n in (4, 5, 6, 7, 8, 9, 10)},
}
"""Other formats, in the words of an observer."""

_ENDING = re.compile(r"\.([^.]+)\Z")


def find_files(folder: Path, leave_out: Sequence[Path] = (), *, unopened: bool = False) -> Iterator[Path]:
    """Yield the files below a folder that have the name of a FITS file.

    Parameters
    ----------
    folder : Path
        Searched recursively; links are followed, hidden files and folders skipped.
    leave_out : sequence of Path
        Folders not to search.
    unopened : bool
        Also yield files of other formats that may hold raw frames, unless a FITS file of the same name is beside them.

    Yields
    ------
    Path
        In the order of the file system.
    """
    skipped = {os.path.realpath(path) for path in leave_out}
    seen = set()
    for directory, subfolders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(directory)
        if real in seen or real in skipped:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files = [name for name in files if not name.startswith(".")]
        fits = [name for name in files if name.lower().endswith(SUFFIXES)]
        for name in fits:
            yield Path(directory, name)
        if unopened and len(fits) < len(files):
            opened = {strip_suffix(name).lower() for name in fits}
            for name in files:
                if explain_unopened(name) and strip_ending(name).lower() not in opened:
                    yield Path(directory, name)


def explain_unopened(name: str) -> str:
    """Explain why a file that may hold a raw frame is not opened.

    Parameters
    ----------
    name : str
        File name.

    Returns
    -------
    str
        What it is and what to do; empty for any other file, such as a log or a JPEG picture.
    """
    packed = PACKED.search(name)
    if packed:
        return f"packed as .{packed[1]}, which is not opened: unpack it"
    ending = _ENDING.search(name)
    kind = ending[1].lower() if ending else ""
    if kind in RAW_PHOTOS:
        return f"a raw photo of a digital camera (.{kind}), which is not opened: convert it to FITS"
    if kind in OTHER_FORMATS:
        return f"{OTHER_FORMATS[kind]} (.{kind}), which is not opened: convert it to FITS"
    return ""


def strip_ending(name: str) -> str:
    """Strip the ending of such a file: ``a.b.fits.bz2`` becomes ``a.b``."""
    return (PACKED if PACKED.search(name) else _ENDING).sub("", name)
