"""Simulate frames of stars out of focus, and count those in which the search for cosmic rays flags starlight.

python -m benchmarks.defocused_stars --frames 30
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
from nightcal.flags import MASK_DTYPE
from nightcal.measurement.cosmic_rays import CosmicRayOptions, find_cosmic_rays
from nightcal.measurement.sources import estimate_seeing
from numpy.typing import NDArray

from benchmarks.cosmic_ray_hits import Score, simulate_hits

SIZE, STARS, HITS = 512, 30, 40
SKY, READ_NOISE = 100.0, 6.0  # e-
SNR = (50.0, 2000.0)
SEEING, JITTER = 2.2, 0.1  # pix; standard deviation of its logarithm
WIDTHS = (4.0, 6.0, 9.0, 11.6, 14.0)
OBSTRUCTION = 0.45
VANE = 0.08
TILT = 0.25
FINE = 5
HEAD = (
    "| stars | FWHM [pix] | stars hit | share | pixels found | pixels right | hits found | groups right |",
    "|---|---|---|---|---|---|---|---|",
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StarFrame:
    """A frame without noise and without cosmic rays.

    Attributes
    ----------
    signal : ndarray of float64, shape (SIZE, SIZE)
        [e-]
    x, y : ndarray of float64, shape (STARS,)
        The centre of the first pixel is 0.
    """

    signal: Floats
    x: Floats
    y: Floats


def make_ring(diameter: float, seeing: float) -> Floats:
    """Make a star out of focus: the pupil with obstruction and vanes, one side brighter, blurred by the seeing.

    Parameters
    ----------
    diameter, seeing : float
        Of the pupil's image, and FWHM of the blur [pix].

    Returns
    -------
    ndarray of float64, shape (k, k)
        Sampled `FINE` times per pixel; k is an odd multiple of `FINE`.
    """
    from scipy.ndimage import gaussian_filter

    outer = diameter / 2
    half = int(np.ceil(outer + 3 * seeing)) + 2
    places = (np.arange((2 * half + 1) * FINE) + 0.5) / FINE - half - 0.5
    x, y = np.meshgrid(places, places)
    radius = np.hypot(x, y)
    pupil = (radius < outer) & (radius >= OBSTRUCTION * outer)
    pupil &= np.minimum(np.abs(x), np.abs(y)) > VANE * outer
    return gaussian_filter(pupil * (1 + TILT * x / outer), seeing / 2.3548 * FINE)


def make_disc(fwhm: float) -> Floats:
    """Make a broad Gaussian star, sampled like `make_ring`."""
    half = int(np.ceil(3 * fwhm)) + 2
    places = (np.arange((2 * half + 1) * FINE) + 0.5) / FINE - half - 0.5
    profile = np.exp(-4 * np.log(2) * (places / fwhm) ** 2)
    return np.outer(profile, profile)


def make_star_frame(rng: np.random.Generator, fwhm: float, ring: bool) -> StarFrame:
    """Scatter stars of one shape, with signal-to-noise ratios uniform in their logarithm.

    Parameters
    ----------
    rng : numpy.random.Generator
    fwhm : float
        Diameter of the rings, or FWHM of the Gaussians [pix]; both vary from frame to frame.
    ring : bool

    Returns
    -------
    StarFrame
    """
    jitter = np.exp(rng.normal(0, JITTER))
    star = make_ring(fwhm * jitter, SEEING * jitter) if ring else make_disc(fwhm * jitter)
    half = (len(star) // FINE - 1) // 2
    square = np.exp(2 * rng.uniform(*np.log(SNR), STARS))
    background = np.pi * fwhm**2 * (SKY + READ_NOISE**2)
    flux = (square + np.sqrt(square**2 + 4 * square * background)) / 2
    x, y = np.rint(FINE * rng.uniform(half + 1, SIZE - half - 2, (2, STARS))) / FINE
    signal = np.full((SIZE, SIZE), SKY)
    for column, row, total in zip(x, y, flux, strict=True):
        i, j = round(row), round(column)
        shift = round((row - i) * FINE), round((column - j) * FINE)
        stamp = np.roll(star, shift, axis=(0, 1)).reshape(2 * half + 1, FINE, 2 * half + 1, FINE).sum(axis=(1, 3))
        signal[i - half : i + half + 1, j - half : j + half + 1] += stamp * (total / stamp.sum())
    return StarFrame(signal, x, y)


def count_stars_hit(
    rng: np.random.Generator, fwhm: float, ring: bool, spare_stars: bool = True
) -> tuple[Score, int, int]:
    """Score one frame; count the stars without a hit near them, and those of them with a flag.

    Parameters
    ----------
    rng : numpy.random.Generator
    fwhm : float
        [pix]
    ring : bool
    spare_stars : bool
        As in `CosmicRayOptions`.

    Returns
    -------
    score : Score
    alone, flagged : int
    """
    from scipy.ndimage import binary_dilation

    field = make_star_frame(rng, fwhm, ring)
    hits = simulate_hits(field.signal.shape, rng, HITS)
    image = rng.poisson(field.signal + hits.charge) + rng.normal(0, READ_NOISE, field.signal.shape)
    image = image.astype(np.float32)
    uncertainty = np.sqrt(np.maximum(image, 0) + np.float32(READ_NOISE**2))
    mask = np.zeros(image.shape, MASK_DTYPE)
    options = CosmicRayOptions(spare_stars=spare_stars).adapt_to_seeing(estimate_seeing(image, uncertainty, mask))
    found = find_cosmic_rays(image, mask, uncertainty=uncertainty, options=options).hits
    noise = np.sqrt(field.signal + READ_NOISE**2)
    struck = binary_dilation(hits.charge > 0.3 * noise, np.ones((5, 5)))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    near = [np.hypot(columns - x, rows - y) < fwhm for x, y in zip(field.x, field.y, strict=True)]
    alone = [star for star in near if not struck[star].any()]
    return hits.score(found, noise), len(alone), sum(bool(found[star].any()) for star in alone)


def row(fwhm: float, ring: bool, frames: int) -> str:
    """Make one line of the table."""
    score, stars, hit = Score(), 0, 0
    for n in range(frames):
        new = count_stars_hit(np.random.default_rng([n, int(10 * fwhm), ring]), fwhm, ring)
        score, stars, hit = score + new[0], stars + new[1], hit + new[2]
    shares = (
        hit / stars,
        score.pixels_found / score.pixels,
        score.pixels_true / score.pixels_flagged,
        score.hits_found / score.hits,
        score.groups_true / score.groups,
    )
    name = "rings" if ring else "Gaussian"
    return f"| {name} | {fwhm:g} | {hit} of {stars} | {' | '.join(f'{share:.3f}' for share in shares)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.defocused_stars", description=__doc__)
    parser.add_argument("--frames", type=int, default=30, help="of each shape and width (%(default)s)")
    frames = parser.parse_args().frames
    print("\n".join(HEAD))
    for ring in (True, False):
        for fwhm in WIDTHS:
            print(row(fwhm, ring, frames), flush=True)


if __name__ == "__main__":
    main()
