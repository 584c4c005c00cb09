"""Measure completeness and purity of the search for cosmic rays, and star cores flagged, by seeing.

python -m benchmarks.cosmic_rays --frames 4
"""

from __future__ import annotations

import argparse

import numpy as np
from nightcal.flags import Flag
from nightcal.measurement.cosmic_rays import CosmicRayOptions, find_cosmic_rays
from nightcal.simulation.sky import paint
from scipy.ndimage import binary_dilation

from benchmarks.cosmic_ray_hits import Score, simulate_hits

SIZE, STARS, HITS = 1024, 500, 200
SKIES, READ_NOISE, FULL_WELL = (5.0, 200.0), 6.0, 60000.0  # e-
PEAKS = (30.0, 50000.0)  # e-
SEEING = (1.5, 1.7, 1.9, 2.1, 2.3, 2.7, 3.5, 6.0)
HEAD = (
    "| FWHM [pix] | objlim | pixels found | pixels right | hits found | groups right | star cores hit |",
    "|---|---|---|---|---|---|---|",
)


def make_field(rng: np.random.Generator, sky: float, fwhm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scatter Gaussian stars on a sky, with peaks uniform in their logarithm.

    Returns
    -------
    signal : ndarray of float64, shape (SIZE, SIZE)
        [e-]
    rows, columns : ndarray of int64
        Central pixels of the stars.
    """
    margin = int(np.ceil(5 * fwhm)) + 2
    y, x = rng.uniform(margin, SIZE - margin - 1, (2, STARS))
    flux = np.exp(rng.uniform(*np.log(PEAKS), STARS)) * 2 * np.pi * fwhm**2 / (8 * np.log(2))
    signal = sky + paint((SIZE, SIZE), x, y, flux, fwhm, integrate=True)
    return signal, np.rint(y).astype(int), np.rint(x).astype(int)


def judge(rng: np.random.Generator, fwhm: float, objlim: float, sky: float) -> tuple[Score, int, int]:
    """Score one frame; count the stars away from hits, and those with a flag on or next to the core."""
    signal, rows, columns = make_field(rng, sky, fwhm)
    hits = simulate_hits((SIZE, SIZE), rng, HITS)
    image = rng.poisson(signal + hits.charge) + rng.normal(0, READ_NOISE, signal.shape)
    image = np.minimum(image, FULL_WELL).astype(np.float32)
    noise = np.sqrt(signal + READ_NOISE**2)
    mask = np.where(image >= FULL_WELL, Flag.SATURATED, np.int16(0))
    options = CosmicRayOptions(objlim=objlim)
    found = find_cosmic_rays(image, mask, uncertainty=noise.astype(np.float32), options=options).hits
    alone = ~binary_dilation(hits.charge > 0.3 * noise, np.ones((5, 5)))[rows, columns]
    core = binary_dilation(found, np.ones((3, 3)))[rows, columns]
    return hits.score(found, noise), int(alone.sum()), int((core & alone).sum())


def row(fwhm: float, objlim: float, frames: int) -> str:
    """Make one line of the table, from some frames of each sky."""
    score, stars, cores = Score(), 0, 0
    for n in range(frames):
        for sky in SKIES:
            new = judge(np.random.default_rng([n, int(100 * fwhm), int(sky)]), fwhm, objlim, sky)
            score, stars, cores = score + new[0], stars + new[1], cores + new[2]
    shares = (
        score.pixels_found / score.pixels,
        score.pixels_true / score.pixels_flagged,
        score.hits_found / score.hits,
        score.groups_true / score.groups,
    )
    return f"| {fwhm} | {objlim:g} | {' | '.join(f'{share:.3f}' for share in shares)} | {cores} of {stars} |"


def main() -> None:
    """Print the table, with the usual `objlim` and that of `CosmicRayOptions.adapt_to_seeing` for sharp frames."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cosmic_rays", description="Measure the quality of cosmic ray masks."
    )
    parser.add_argument("--frames", type=int, default=4, help="of each seeing and sky (%(default)s)")
    frames = parser.parse_args().frames
    print("\n".join(HEAD))
    usual = CosmicRayOptions()
    for fwhm in SEEING:
        for objlim in dict.fromkeys((usual.objlim, usual.adapt_to_seeing(fwhm).objlim)):
            print(row(fwhm, objlim, frames), flush=True)


if __name__ == "__main__":
    main()
