"""Measure time and memory of a child process, as the kernel counts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

LAUNCHER = Path(__file__).with_name("launch.py")
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: wall and CPU time (user and system, descendants included) [s], peak memory [MB]."""

    wall: float
    cpu: float
    peak: float | None = None


class ChildFailedError(Exception):
    """A child ended with an error; the message is the end of its log."""


def run(command: Sequence[str], log: Path, folder: Path, environment: Mapping[str, str] | None = None) -> Sample:
    """Run a command to its end.

    Parameters
    ----------
    command : sequence of str
    log : Path
        Receives standard output and error.
    folder : Path
        Working directory.
    environment : mapping, optional
        Added to that of this process.

    Returns
    -------
    Sample
        The peak memory is that of the largest single process, including pages of mapped files.

    Raises
    ------
    ChildFailedError
        If the exit status is not 0.
    """
    note = log.with_suffix(".cost.json")
    launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(note), str(log)]
    subprocess.run([*launcher, *command], cwd=folder, env={**os.environ, **(environment or {})}, check=True)
    cost = json.loads(note.read_text())
    status = cost.pop("status")
    if status != 0:
        raise ChildFailedError(f"{' '.join(command[:4])} ...: status {status}; {log}:\n{_tail(log)}")
    return Sample(**cost)


def warm_page_cache(paths: Sequence[Path]) -> None:
    """Read files once, so that no run waits for the disk."""
    for path in paths:
        with path.open("rb") as file:
            while file.read(2**24):
                pass


def middle(values: Sequence[float]) -> tuple[float, float, float]:
    """Find the median, the smallest and the largest value."""
    return median(values), min(values), max(values)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
