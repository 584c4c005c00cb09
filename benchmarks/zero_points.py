"""Simulate skies of known zero point, and compare it with the one that catalogues of several depths give.

python -m benchmarks.zero_points --skies 60
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nightcal.flags import MASK_DTYPE
from nightcal.measurement.photometry import FilterRule, fit_zero_point
from nightcal.measurement.sources import find_sources
from nightcal.measurement.star_catalog import StarCatalog
from nightcal.simulation.sky import BRIGHTEST, CATALOG_NOISE, FAINTEST, MARGIN, PASSBANDS, paint
from numpy.typing import NDArray

SIZE, FWHM = 512, 3.0  # pix
SKY, READ_NOISE = 4.0, 5.0  # e-/s, e-
SLOPE = 0.7
"""The number of stars brighter than a count rate falls as its power of -0.7: 0.28 dex per magnitude."""

TRUE = PASSBANDS["r"]
RULE = FilterRule(TRUE.band, TRUE.colour)
MATCHED = 1.0  # pix
SHALLOWER = (0.0, 1.0, 2.0)  # mag
CASES = ((900, 120.0), (900, 12.0), (900, 3.0), (120, 120.0), (120, 12.0), (20, 120.0), (20, 12.0))
"""Stars on a frame and exposure time [s]: the faintest star has 24, 6 and 2 times the noise of a matched filter."""

HEAD = (
    "| stars | exposure [s] | catalogue shallower by [mag] | compared | mean error [mmag] | rms | quoted | rms pull |",
    "|---|---|---|---|---|---|---|---|",
)

Floats = NDArray[np.float64]
Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Stars:
    """Stars on a frame and slightly beyond.

    Attributes
    ----------
    x, y : ndarray of float64, shape (n,)
        The centre of the first pixel is 0.
    magnitude, colour : ndarray of float64, shape (n,)
        Of the band and the colour of `RULE`.
    """

    x: Floats
    y: Floats
    magnitude: Floats
    colour: Floats


@dataclass(frozen=True, slots=True)
class Departure:
    """What one sky gave; NaN without a zero point.

    Attributes
    ----------
    off, error : float
        Zero point less the truth, and the quoted error [mag].
    number : int
        Stars compared.
    """

    off: float
    error: float
    number: int


def scatter_stars(rng: np.random.Generator, n: int) -> Stars:
    """Scatter stars, on average so many on the frame; their number per magnitude grows by 0.28 dex."""
    total = round(n * (1 + 2 * MARGIN) ** 2)
    rate = rng.uniform(BRIGHTEST**-SLOPE, FAINTEST**-SLOPE, total) ** (-1 / SLOPE)
    x, y = rng.uniform(-0.5 - MARGIN * SIZE, SIZE - 0.5 + MARGIN * SIZE, (2, total))
    colour = rng.uniform(0.2, 1.0, total)
    return Stars(x, y, TRUE.zero_point - 2.5 * np.log10(rate) + TRUE.colour_term * colour, colour)


def expose(stars: Stars, exposure: float, rng: np.random.Generator) -> tuple[Image, Image]:
    """Expose a frame of these stars: its pixels and their uncertainty [e-], shape (SIZE, SIZE)."""
    rate = 10 ** (-0.4 * (stars.magnitude - TRUE.zero_point - TRUE.colour_term * stars.colour))
    signal = exposure * (SKY + paint((SIZE, SIZE), stars.x, stars.y, rate, FWHM, integrate=True))
    data = (rng.poisson(signal) + rng.normal(0, READ_NOISE, signal.shape)).astype(np.float32)
    return data, np.sqrt(np.maximum(data, 0) + np.float32(READ_NOISE**2))


def make_catalog(stars: Stars, rng: np.random.Generator, faintest: float) -> StarCatalog:
    """Make a catalogue of the stars down to a magnitude, with errors; 1 arcsec per pixel."""
    n = len(stars.x)
    offset, noise = rng.normal(0, CATALOG_NOISE["position"], (2, n)), rng.normal(0, CATALOG_NOISE["magnitude"], (2, n))
    ra, dec = 180 - (stars.x + offset[0]) / 3600, (stars.y + offset[1]) / 3600
    blue, red = TRUE.colour
    bands = {red: stars.magnitude + noise[0], blue: stars.magnitude + stars.colour + noise[1]}
    known = stars.magnitude <= faintest
    errors = dict.fromkeys(bands, np.full(known.sum(), CATALOG_NOISE["magnitude"]))
    still, bands = np.zeros(known.sum()), {band: values[known] for band, values in bands.items()}
    return StarCatalog("simulated", ra[known], dec[known], still, still, 2016.0, bands, errors)


def match_nearest(x: Floats, y: Floats, catalog: StarCatalog) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Match sources with their nearest star; a star keeps only its nearest source, as after a plate solution."""
    from scipy.spatial import cKDTree

    places = np.column_stack([(180 - catalog.ra) * 3600, catalog.dec * 3600])
    distance, star = cKDTree(places).query(np.column_stack([x, y]), distance_upper_bound=MATCHED)
    rows = np.argsort(distance, kind="stable")[: np.isfinite(distance).sum()]
    rows = np.sort(rows[np.unique(star[rows], return_index=True)[1]])
    return rows, star[rows]


def measure_sky(seed: int, n: int, exposure: float, shallower: Sequence[float] = SHALLOWER) -> list[Departure]:
    """Measure one sky with catalogues that lack its faintest stars.

    Parameters
    ----------
    seed : int
    n : int
        Stars on the frame.
    exposure : float
        [s]
    shallower : sequence of float
        Magnitudes by which the catalogue stops short of the faintest star.

    Returns
    -------
    list of Departure
        One for each catalogue.
    """
    rng = np.random.default_rng(seed)
    stars = scatter_stars(rng, n)
    data, uncertainty = expose(stars, exposure, rng)
    table = find_sources(data, uncertainty, np.zeros(data.shape, MASK_DTYPE)).table
    x, y = np.asarray(table["XWIN_IMAGE"]) - 1, np.asarray(table["YWIN_IMAGE"]) - 1
    limit = TRUE.zero_point - 2.5 * np.log10(FAINTEST)
    noise, found = int(rng.integers(2**32)), []
    for missing in shallower:
        catalog = make_catalog(stars, np.random.default_rng(noise), limit - missing)
        result = fit_zero_point(table, catalog, match_nearest(x, y, catalog), exposure, RULE)
        colour = np.nan_to_num(result.mean_colour, nan=float(np.mean(stars.colour)))
        truth = TRUE.zero_point + TRUE.colour_term * colour
        found.append(Departure(result.zero_point - truth, result.error, result.number))
    return found


def make_rows(n: int, exposure: float, seeds: Sequence[int]) -> list[str]:
    """Make the lines of the table for skies of one density."""
    found = zip(*(measure_sky(seed, n, exposure) for seed in seeds), strict=True)
    lines = []
    for missing, departures in zip(SHALLOWER, found, strict=True):
        known = [each for each in departures if np.isfinite(each.off)]
        off, error = (1000 * np.array([getattr(each, name) for each in known]) for name in ("off", "error"))
        lines.append(
            f"| {n} | {exposure:g} | {missing:g} | {np.mean([each.number for each in known]):.0f} "
            f"| {off.mean():.1f} +- {off.std(ddof=1) / np.sqrt(len(off)):.1f} | {np.sqrt(np.mean(off**2)):.1f} "
            f"| {error.mean():.1f} | {np.sqrt(np.mean((off / error) ** 2)):.2f} |"
        )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zero_points", description=__doc__)
    parser.add_argument("--skies", type=int, default=60, help="of each density (%(default)s)")
    parser.add_argument("--first", type=int, default=1000, help="seed of the first sky (%(default)s)")
    arguments = parser.parse_args()
    print("\n".join(HEAD))
    for n, exposure in CASES:
        seeds = range(arguments.first, arguments.first + arguments.skies)
        print("\n".join(make_rows(n, exposure, seeds)), flush=True)


if __name__ == "__main__":
    main()
