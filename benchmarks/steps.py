"""What each step of a science frame costs in a long batch, once everything is warm: a table.

python -m benchmarks.steps RAW RESULTS

RAW is a night, RESULTS/<night>/masters are its masters as Snakemake made them; products go into a scratch folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from nightcal.cameras.camera_file import load_camera
from nightcal.config import STARS, measurements_of
from nightcal.io import source_catalog as catalogs
from nightcal.io.master import load_master
from nightcal.measurement import astrometry, photometry, sources
from nightcal.measurement import measure as measurement
from nightcal.measurement.measure import steps_of
from nightcal.science import reduce as science
from nightcal.science.prepared_frame import PreparedFrame

HOME = Path(__file__).parents[1]
WARM = 2
"""Frames before the clock counts: imports, compiled loops, masters brought into memory."""

STEPS: dict[str, list[tuple[Any, str]]] = {
    "calibration": [(PreparedFrame, "product")],
    "seeing": [(sources, "estimate_seeing")],
    "cosmic rays": [(measurement, "find_cosmic_rays")],
    "sources": [(sources, "find_sources")],
    "astrometry": [(measurement, "_solved"), (measurement, "write_wcs"), (astrometry, "add_positions")],
    "zero point": [(photometry, "fit_zero_point"), (photometry, "add_magnitudes")],
    "image written": [(science, "write_product")],
    "catalogue written": [(catalogs, "write_catalog")],
}


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
    steps = steps_of(measurements_of(config, {"B", "V", "R"}), stars)
    spent: dict[str, list[float]] = defaultdict(list)
    for step, functions in STEPS.items():
        for owner, name in functions:
            setattr(owner, name, timed(getattr(owner, name), spent[step]))
    batch = science.ScienceBatch(
        camera=camera, masters={kind: load_master(path) for kind, path in made.items()}, steps=steps
    )
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
    print(f"CPU seconds a frame, mean of {count} frames\n\n| step | CPU [s] |\n|---|---|")
    for step, times in spent.items():
        print(f"| {step} | {sum(times[spent_warm[step] :]) / count:.2f} |")
    print(f"| everything | {np.mean(whole[WARM:]):.2f} |")


if __name__ == "__main__":
    main()
