"""astroscrappy, with true medians."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.jobs import Job
from benchmarks.peers.with_nightcal import calibrated, write_mask

NAME = "astroscrappy"
VERSIONS = ("astroscrappy",)
LACKS: dict[str, str] = {}


def missing() -> str:
    """Explain why it cannot run; empty if it can."""
    try:
        import astroscrappy  # noqa: F401
    except ImportError as error:
        return str(error)
    return ""


def cosmic_rays(job: Job) -> np.ndarray:
    """Find the hit pixels of a calibrated frame."""
    from astroscrappy import detect_cosmics

    image, uncertainty = calibrated(job.frames[0])
    return detect_cosmics(image, invar=uncertainty**2, satlevel=np.inf, sepmed=False)[0]


def write(result: np.ndarray, path: Path) -> None:
    """Write the mask of hit pixels."""
    write_mask(result, path)
