"""A night with ccdproc: the script next to this folder, in one process."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.jobs import Job

NAME = "ccdproc, a user's script"
VERSIONS = ("ccdproc", "astropy", "bottleneck")
LACKS: dict[str, str] = {}
SCRIPT = Path(__file__).parents[1] / "night_with_ccdproc.py"


def missing() -> str:
    """Explain why it cannot run; empty if it can."""
    return "" if find_spec("ccdproc") else "ccdproc is not installed"


def command(job: Job, result: Path) -> list[str]:
    """Make the command line."""
    return [sys.executable, str(SCRIPT), job.frames[0], str(result)]
