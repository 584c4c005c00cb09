"""Plain numpy: read the bytes of each file, swap their order, add them up. No clipping, no uncertainties."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.jobs import Job

NAME = "numpy, sum only"
VERSIONS = ("numpy",)
NO_CLIPPING = "it only adds up pixels"
LACKS = dict.fromkeys(("dark", "flat", "science"), NO_CLIPPING)
IN_ADU = True
BLOCK = 2880
CARD = 80


def missing() -> str:
    """Return an empty string: it can always run."""
    return ""


def bias(job: Job) -> np.ndarray:
    """Average raw files [ADU]: 16-bit images stored with BZERO = 32768."""
    offset, shape = _layout(Path(job.frames[0]))
    total = np.zeros(shape, np.float32)
    for path in job.frames:
        stored = np.fromfile(path, ">i2", total.size, offset=offset).reshape(shape)
        total += stored
    return total / len(job.frames) + 32768


def write(result: np.ndarray, path: Path) -> None:
    """Write only the pixels."""
    with path.open("wb") as file:
        np.save(file, result)


def read(path: Path) -> np.ndarray:
    """Read the mean [ADU]."""
    return np.load(path)


def _layout(path: Path) -> tuple[int, tuple[int, int]]:
    """Find the size of the header [bytes] and the shape of the image."""
    cards: dict[str, str] = {}
    with path.open("rb") as file:
        while "END" not in cards:
            block = file.read(BLOCK).decode("ascii")
            for start in range(0, BLOCK, CARD):
                cards[block[start : start + 8].strip()] = block[start + 10 : start + CARD].split("/")[0]
        return file.tell(), (int(cards["NAXIS2"]), int(cards["NAXIS1"]))
