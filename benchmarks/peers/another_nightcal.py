"""Another checkout of nightcal, side by side with this one: `--beside REPOSITORY`.

Its scripts run with the Python of its own environment (`.venv`) if it has one. Only whole processes are measured.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from benchmarks.jobs import Job
from benchmarks.peers import with_nightcal

NAME = "nightcal beside"
VERSIONS: tuple[str, ...] = ()
LACKS = {"cosmic_rays": "no script does only this"}
VARIABLE = "NIGHTCAL_BESIDE"
"""Environment variable that names the other checkout."""


def repository() -> Path:
    """Find the folder of the other checkout."""
    return Path(os.environ[VARIABLE]).resolve()


def wanted() -> bool:
    """Check whether there is another checkout to compare with."""
    return VARIABLE in os.environ


def missing() -> str:
    """Return an empty string: it can run if it was given."""
    return ""


def command(job: Job, result: Path) -> list[str]:
    """Make the command line of the other checkout."""
    own = repository() / ".venv/bin/python"
    return with_nightcal.command(job, result, repository(), own if own.exists() else Path(sys.executable))


read = with_nightcal.read
