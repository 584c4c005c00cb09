"""Print the CPU time of each step of a science frame in a long batch, after warming up.

python -m benchmarks.steps RAW RESULTS

RAW is a night, RESULTS/<night>/masters are its masters, made by Snakemake; products go to a temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from nightcal.cameras.camera_file import load_camera
from nightcal.config import STARS, select_measurements
from nightcal.io import source_catalog as catalogs
from nightcal.io.master import load_master
from nightcal.science import reduce as science
from nightcal.science.measure import read_measurements
from nightcal.science.prepared_frame import PreparedFrame
from nightcal.science.steps import MEASUREMENTS

HOME = Path(__file__).parents[1]
WARM = 2
"""Frames before timing starts: imports, compiled loops, masters read into memory."""

STEPS: dict[str, tuple[Any, str]] = {
    "calibration": (PreparedFrame, "product"),
    **{
        name: (import_module(step.function.rpartition(".")[0]), step.function.rpartition(".")[2])
        for name, step in MEASUREMENTS.items()
    },
    "image written": (science, "write_product"),
    "catalogue written": (catalogs, "write_catalog"),
}
"""Functions to time, by owner and name; the seeing is measured in the first step that needs it."""


def timed(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    """Add the processor time of each call [s] to a list."""

    def call(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent.append(time.process_time() - start)

    return call


def main() -> None:
    """Reduce the science frames of a night and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, metavar="RAW")
    parser.add_argument("results", type=Path, metavar="RESULTS")
    args = parser.parse_args()
    (masters,) = args.results.glob("*/masters")
    frames = sorted(args.raw.glob("field_*.fits"))
    made = {kind: next(masters.glob(f"{kind}_*.fits")) for kind in ("bias", "dark", "flat", "bpm")}
    camera = load_camera(HOME / "config" / "cameras" / "generic.yaml")
    config = yaml.safe_load((HOME / "config" / "config.yaml").read_text())
    stars = [args.raw / name for name in STARS if (args.raw / name).is_file()]
    measurements = read_measurements(select_measurements(config, {"B", "V", "R"}), stars)
    spent: dict[str, list[float]] = defaultdict(list)
    for step, (owner, name) in STEPS.items():
        setattr(owner, name, timed(getattr(owner, name), spent[step]))
    loaded = {kind: load_master(path) for kind, path in made.items()}
    batch = science.ScienceBatch(camera=camera, masters=loaded, measurements=measurements)
    whole = []
    with tempfile.TemporaryDirectory() as scratch:
        for n, frame in enumerate(frames):
            if n == WARM:
                spent_warm = {step: len(times) for step, times in spent.items()}
            start = time.process_time()
            out, catalog = Path(scratch) / "out.fits", Path(scratch) / "catalog.fits"
            science.reduce_frame(frame, out, batch, catalog, frames=50)
            whole.append(time.process_time() - start)
    count = len(frames) - WARM
    print(f"CPU seconds per frame, mean of {count} frames\n\n| step | CPU [s] |\n|---|---|")
    for step, times in spent.items():
        print(f"| {step} | {sum(times[spent_warm[step] :]) / count:.2f} |")
    print(f"| total | {np.mean(whole[WARM:]):.2f} |")


if __name__ == "__main__":
    main()
