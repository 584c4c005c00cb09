"""Completeness and purity of the search for cosmic rays, and cores of stars hit, by seeing: a table.

python -m benchmarks.cosmic_rays --frames 4
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from nightcal.flags import Flag
from nightcal.measurement.cosmic_rays import CosmicRayOptions, find_cosmic_rays
from nightcal.simulation.cosmic_rays import Score, simulate_hits
from scipy.ndimage import binary_dilation
from scipy.special import ndtr

SIZE, STARS, HITS = 1024, 500, 200
SKIES, READ_NOISE, FULL_WELL = (5.0, 200.0), 6.0, 60000.0  # e-
PEAKS = (30.0, 50000.0)  # e-
SEEING = (1.5, 1.7, 1.9, 2.1, 2.3, 2.7, 3.5, 6.0)
HEAD = (
    "| FWHM [pix] | objlim | pixels found | pixels right | hits found | groups right | star cores hit |",
    "|---|---|---|---|---|---|---|",
)


@dataclass(frozen=True, slots=True)
class Field:
    """Light of sky and stars [e-], and the stars' middle pixels."""

    light: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def make_field(rng: np.random.Generator, sky: float, fwhm: float) -> Field:
    """Scatter Gaussian stars, integrated over pixels, whose peaks are as many in all powers of ten."""
    sigma, half = fwhm / np.sqrt(8 * np.log(2)), int(np.ceil(5 * fwhm))
    y, x = rng.uniform(half + 2, SIZE - half - 3, (2, STARS))
    rows, columns = np.rint(y).astype(int), np.rint(x).astype(int)
    flux = np.exp(rng.uniform(*np.log(PEAKS), STARS)) * 2 * np.pi * sigma**2
    edges = np.arange(-half, half + 2) - 0.5
    light = np.full((SIZE, SIZE), sky)
    for total, y0, x0, row, column in zip(flux, y, x, rows, columns, strict=True):
        along_y, along_x = (np.diff(ndtr((edges + near - at) / sigma)) for near, at in ((row, y0), (column, x0)))
        here = np.s_[row - half : row + half + 1, column - half : column + half + 1]
        light[here] += total * along_y[:, None] * along_x
    return Field(light, rows, columns)


def judge(rng: np.random.Generator, fwhm: float, objlim: float, sky: float) -> tuple[Score, int, int]:
    """Score one frame; count stars that no hit comes near, and those of them with a flag on or next to the core."""
    field = make_field(rng, sky, fwhm)
    hits = simulate_hits((SIZE, SIZE), rng, HITS)
    image = rng.poisson(field.light + hits.charge) + rng.normal(0, READ_NOISE, field.light.shape)
    image = np.minimum(image, FULL_WELL).astype(np.float32)
    noise = np.sqrt(field.light + READ_NOISE**2)
    mask = np.where(image >= FULL_WELL, Flag.SATURATED, np.uint8(0))
    options = CosmicRayOptions(objlim=objlim)
    found = find_cosmic_rays(image, mask, uncertainty=noise.astype(np.float32), options=options).hits
    alone = ~binary_dilation(hits.charge > 0.3 * noise, np.ones((5, 5)))[field.rows, field.columns]
    core = binary_dilation(found, np.ones((3, 3)))[field.rows, field.columns]
    return hits.score(found, noise), int(alone.sum()), int((core & alone).sum())


def row(fwhm: float, objlim: float, frames: int) -> str:
    """One line of the table: so many frames of each sky."""
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
    """Print the table, with the usual `objlim` and, for sharp frames, with that of `CosmicRayOptions.for_seeing`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cosmic_rays", description="How good the masks are.")
    parser.add_argument("--frames", type=int, default=4, help="of each seeing and sky (%(default)s)")
    frames = parser.parse_args().frames
    print("\n".join(HEAD))
    usual = CosmicRayOptions()
    for fwhm in SEEING:
        for objlim in dict.fromkeys((usual.objlim, usual.for_seeing(fwhm).objlim)):
            print(row(fwhm, objlim, frames), flush=True)


if __name__ == "__main__":
    main()
