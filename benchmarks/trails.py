"""Plant trails into simulated frames, and count those found, and those found in frames without any.

python -m benchmarks.trails --planted 40 --clean 200
"""

from __future__ import annotations

import argparse
from time import process_time
from typing import Any

import numpy as np
from nightcal.measurement.trails import find_trails

from benchmarks.trail_frames import make_frame, make_trail, measure_cover

SHAPE = (1000, 1000)
FOUND = 0.8
FAINT = 3.0
SKIES: dict[str, dict[str, Any]] = {
    "stars": {"saturated": 0},
    "two stars with spikes": {},
    "3000 stars, spikes": {"stars": 3000},
    "nebula, rms 300 e-": {"saturated": 0, "nebula": 300},
    "nebula, rms 2000 e-, spikes": {"nebula": 2000},
}


def plant(seed: int, number: int, sky: dict[str, Any]) -> tuple[list[bool], list[bool], int]:
    """Plant one trail into each of a number of frames.

    Returns
    -------
    bright, faint : list of bool
        Whether each trail above and below 3 sigma a pixel is found.
    false : int
        Number of other trails found, and of pieces of a trail that cover less than 80 percent of it.
    """
    bright: list[bool] = []
    faint: list[bool] = []
    false = 0
    for n in range(number):
        rng = np.random.default_rng((seed, n))
        trail = make_trail(rng, SHAPE, ends_inside=n % 4 == 0)
        data, _, mask = make_frame(rng, SHAPE, trails=(trail,), **sky)
        found = find_trails(data, mask)
        seen = measure_cover(found.pixels, trail) > FOUND
        (bright if trail.height > FAINT else faint).append(seen)
        false += len(found.trails) - seen
    return bright, faint, false


def count_false(seed: int, number: int, sky: dict[str, Any]) -> tuple[int, float]:
    """Count the frames without a trail in which one is found, and the median time of the search [s]."""
    false, times = 0, []
    for n in range(number):
        data, _, mask = make_frame(np.random.default_rng((seed, 1, n)), SHAPE, **sky)
        begin = process_time()
        false += bool(find_trails(data, mask).trails)
        times.append(process_time() - begin)
    return false, float(np.median(times))


def main() -> None:
    """Print a table, a row for each kind of sky."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planted", type=int, default=40, help="trails for each kind of sky")
    parser.add_argument("--clean", type=int, default=200, help="frames without a trail, of all kinds together")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    print("| sky | found above 3 sigma a pixel | found below | others found | false without any | time [ms] |")
    print("|---|---|---|---|---|---|")
    for sky, options in SKIES.items():
        bright, faint, false = plant(args.seed, args.planted, options)
        number = args.clean // len(SKIES)
        alone, seconds = count_false(args.seed, number, options)
        found = " | ".join(f"{sum(seen)} of {len(seen)}" for seen in (bright, faint))
        print(f"| {sky} | {found} | {false} | {alone} of {number} | {1000 * seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
