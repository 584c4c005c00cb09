"""Siril: sigma rejection without normalisation. The sequence of links is made beforehand and not timed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

from benchmarks.jobs import Job

NAME = "Siril"
VERSIONS = ("siril",)
LACKS = dict.fromkeys(
    ("dark", "flat", "science"), "it calibrates frames to files in a separate step, and has no uncertainties"
)
IN_ADU = True
WHITE = 65535.0  # ADU of 1.0 in its images
SETTINGS = "requires 1.0.0\nsetext fits\nset32bits\nsetcpu 1\n"
PROGRAM = "siril-cli"


def missing() -> str:
    """Explain why it cannot run; empty if it can."""
    return "" if shutil.which(PROGRAM) else "siril-cli is not on the path (Debian: apt-get install siril)"


def version() -> str:
    """Read the version from the program."""
    return subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]


def command(job: Job, result: Path) -> list[str]:
    """Link the frames into a sequence, and make the command line that stacks it."""
    folder = result.with_suffix(".siril").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for i, path in enumerate(job.frames, start=1):
        (folder / f"frame_{i:05d}.fits").symlink_to(Path(path).resolve())
    script = folder / "stack.ssf"
    out = result.resolve().with_suffix("")
    script.write_text(f"{SETTINGS}stack frame rej s 3 3 -nonorm -out={out}\n")
    return [PROGRAM, "-d", str(folder), "-s", str(script)]


def inside(log: Path) -> float:
    """Read the wall time [s] that Siril prints for stacking, with reading and writing."""
    text = log.read_text(errors="replace")
    amount, unit = re.findall(r"log: Execution time: ([\d.]+) (ms|s|min)", text)[-1]
    return float(amount) * {"ms": 1e-3, "s": 1.0, "min": 60.0}[unit]


def read(path: Path) -> np.ndarray:
    """Read the mean [ADU]."""
    from astropy.io import fits

    return fits.getdata(path) * WHITE
