"""Hash a file, or a raw file without reading all of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

HASH_DIGITS = 16

SAMPLES, SAMPLE = 4, 16 * 1024
"""Number and length [byte] of the parts that are read: the first and the last one, and others evenly between."""

LONGEST_HEADER = 64 * 1024
"""Read from the beginning of files whose header is not plain [byte]."""


def hash_file(path: Path) -> str:
    """Hash a file: the first digits of its SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_DIGITS]


def hash_content(path: Path, header: int | None = None) -> str:
    """Hash the header of a raw file, its length, and samples of its pixels.

    Two exposures differ in nearly every pixel, so a few samples tell them apart; a copy has the same hash.

    Parameters
    ----------
    path : Path
    header : int, optional
        Length of the header [byte]; by default, the beginning of the file is read.

    Returns
    -------
    str
        Hexadecimal digits; empty if the file cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            length = os.fstat(file.fileno()).st_size
            found = hashlib.sha256(str(length).encode())
            found.update(file.read(LONGEST_HEADER if header is None else header))
            for n in range(SAMPLES):
                file.seek(max(0, length - SAMPLE) * n // (SAMPLES - 1))
                found.update(file.read(SAMPLE))
    except OSError:  # the job that reads the file will give the reason
        return ""
    return found.hexdigest()[:HASH_DIGITS]
