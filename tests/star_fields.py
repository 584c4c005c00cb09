"""Simulated images: stars of known flux, integrated over pixels, on a Poisson sky, with correct errors."""

from dataclasses import dataclass

import numpy as np
from nightcal.numerics.shot_noise import expected_signal
from nightcal.simulation.sky import paint

SKY = 200.0
READ_NOISE = 5.0


@dataclass
class Field:
    """A calibrated frame and its truth; the first pixel is 0."""

    data: np.ndarray
    uncertainty: np.ndarray
    mask: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    truth: np.ndarray

    @property
    def arrays(self):
        return self.data, self.uncertainty, self.mask


def gaussian(dx, dy, fwhm, half):
    """Flux of a Gaussian star of flux 1 in each pixel around it."""
    side = 2 * half + 1
    return paint((side, side), *(np.array([value]) for value in (half + dx, half + dy, 1.0)), fwhm, integrate=True)


def moffat(dx, dy, fwhm, half, beta=3.0, fine=5):
    """Flux of a Moffat star of flux 1 in each pixel around it."""
    scale = fwhm / 2 / np.sqrt(2 ** (1 / beta) - 1)
    places = (np.arange((2 * half + 1) * fine) + 0.5) / fine - half - 0.5
    square = (places[:, None] - dy) ** 2 + (places - dx) ** 2
    flux = (beta - 1) / (np.pi * scale**2) * (1 + square / scale**2) ** -beta / fine**2
    return flux.reshape(2 * half + 1, fine, 2 * half + 1, fine).sum(axis=(1, 3))


def observed(truth, rng, sky_noise=READ_NOISE):
    """Add photon and read noise to a scene; return the data and the uncertainty of a calibrated frame."""
    data = (rng.poisson(truth) + rng.normal(0, sky_noise, truth.shape)).astype(np.float32)
    floor = np.float32(sky_noise**2)
    return data, np.sqrt(expected_signal(data, floor) + floor).astype(np.float32)


def field(shape, x, y, flux, fwhm=3.0, profile=gaussian, seed=0, background=SKY):
    """Simulate stars of given positions and fluxes on a sky."""
    half = round(6 * fwhm) + 4 if profile is gaussian else round(9 * fwhm)
    truth = np.zeros(shape) + background
    for star in zip(x, y, flux, strict=True):
        column, row = round(star[0]), round(star[1])
        stamp = profile(star[0] - column, star[1] - row, fwhm, half) * star[2]
        low, left = max(0, row - half), max(0, column - half)
        high, right = min(shape[0], row + half + 1), min(shape[1], column + half + 1)
        truth[low:high, left:right] += stamp[
            low - row + half : high - row + half, left - column + half : right - column + half
        ]
    data, uncertainty = observed(truth, np.random.default_rng(seed))
    return Field(data, uncertainty, np.zeros(shape, np.int16), *map(np.asarray, (x, y, flux)), truth)


def grid_field(side, spacing, fluxes, fwhm=3.0, profile=gaussian, seed=0):
    """Simulate isolated stars, one in each cell of a grid."""
    rng = np.random.default_rng(seed)
    centers = np.arange(spacing / 2, side - spacing / 4, spacing)
    x, y = (place.ravel() + rng.uniform(-3, 3, place.size) for place in np.meshgrid(centers, centers))
    flux = np.exp(rng.uniform(*np.log(fluxes), x.size))
    return field((side, side), x, y, flux, fwhm, profile, seed)


def random_field(side, stars, fluxes, fwhm=3.0, profile=gaussian, seed=0):
    """Simulate stars at random positions, some overlapping."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(0, side - 1, (2, stars))
    return field((side, side), x, y, np.exp(rng.uniform(*np.log(fluxes), stars)), fwhm, profile, seed)


def with_cosmic_rays(image, count, seed=0):
    """Add straight tracks of charge, most of them short, to a copy of an image."""
    rng, struck = np.random.default_rng(seed), image.copy()
    ny, nx = image.shape
    for _ in range(count):
        row, column = rng.uniform(0, ny), rng.uniform(0, nx)
        angle, charge = rng.uniform(0, np.pi), 10 ** rng.uniform(2.3, 4)
        for step in np.arange(0, rng.exponential(4) + 0.25, 0.25):
            place = int(row + step * np.sin(angle)) % ny, int(column + step * np.cos(angle)) % nx
            struck[place] += charge / 4
    return struck
