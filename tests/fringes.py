"""A night in z with fringes: raw frames for Snakemake, and calibrated frames for the functions."""

from datetime import datetime, timedelta

import numpy as np
from astropy.io import fits
from nightcal.io.product import Product, write_product
from nightcal.simulation.night import expose, simulate_night, write_raw
from nightcal.simulation.sky import CENTRE, make_sky

FILTER = "z"
READ_NOISE = 6.0


def make_pattern(shape):
    """Make fringes of amplitude 1: bent waves, 25 pixels apart."""
    y, x = np.indices(shape)
    return np.sin(2 * np.pi * (x / 25 + 3 * np.sin(y / 60) + y / 90))


def dither(n):
    """Step the telescope by 20 arcsec east, and from time to time north."""
    ra, dec = 20 * (n % 4) / 3600, 20 * (n // 4) / 3600
    return CENTRE[0] + ra / np.cos(np.radians(CENTRE[1])), CENTRE[1] + dec


def write_calibrated(folder, amplitude, frames=10, shape=(256, 256), n_stars=70):
    """Write calibrated frames; return paths, pointings, truths without fringes, and levels of the sky."""
    rng, pattern = np.random.default_rng(3), make_pattern(shape)
    stars = make_sky(shape, n_stars, rng)
    paths, pointings, truths, levels = [], [], [], []
    for n in range(frames):
        pointings.append(dither(n))
        level = 5000 * rng.uniform(0.7, 1.3)
        sky = level * (1 + 0.02 * np.linspace(0, 1, shape[1])) * np.ones(shape)
        truth = sky + 100 * stars.render(FILTER, pointings[-1], 3.0)
        image = rng.poisson(truth + sky * amplitude * pattern) + rng.normal(0, READ_NOISE, shape)
        uncertainty = np.sqrt(np.maximum(image, 0) + READ_NOISE**2).astype(np.float32)
        mask = np.zeros(shape, np.int16)
        mask[100, 20:200] = 1
        header = fits.Header({"FILTER": FILTER, "NIGHT": "20240301", "MJD-AVG": 60370 + n / 100})
        header["NIGHTCAL"] = "simulated"
        paths.append(folder / f"frame_{n}.fits")
        write_product(paths[-1], Product(image.astype(np.float32), uncertainty, mask, "electron", header))
        truths.append(truth)
        levels.append(level)
    return paths, pointings, truths, levels


def write_raw_night(folder, amplitude, frames=8, shape=(160, 192)):
    """Write the raw frames of a night; return the truth of each science frame without fringes [e-], by name."""
    calibrations = {"n_bias": 6, "n_dark": 3, "n_flat": 3, "n_science": 0}
    night = simulate_night(folder, folder.parent / "truth", shape=shape, filters=(FILTER,), n_stars=1, **calibrations)
    (folder / "stars.csv").unlink()
    chip, rng = night.chip, np.random.default_rng(5)
    stars, pattern = make_sky(shape, 40, rng), make_pattern(shape)
    truths = {}
    for n in range(1, frames + 1):
        pointing, rate, exposure = dither(n), rng.uniform(30, 50), 120.0
        scene = rate + stars.render(FILTER, pointing, 3.0)
        raw = expose(chip, rng, scene + rate * amplitude * pattern, exposure, FILTER)
        start = datetime(2024, 3, 2, 1) + timedelta(minutes=3 * n)
        write_raw(folder / f"field_{n}.fits", raw, chip, "Light Frame", exposure, FILTER, start, "Field", pointing)
        truths[f"field_{n}.fits"] = scene * exposure
    return truths


def measure_amplitude(residual, pattern, where):
    """Fit the amplitude of the pattern in what is left of some pixels."""
    shape = pattern[where] - pattern[where].mean()
    return float((residual[where] * shape).sum() / (shape**2).sum())
