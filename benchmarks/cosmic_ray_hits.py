"""Simulate cosmic ray hits with the shapes of real ones.

Six of ten hits are muons, straight tracks through the silicon; two are worms, left by scattered low-energy electrons;
two are points.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SHARES = (0.6, 0.2, 0.2)
PER_MICRON = 80.0
"""Most probable charge of a fast particle [e-/micron of silicon]."""

LANDAU_WIDTH = 0.2
"""Width of the charge distribution, in units of the most probable charge."""

STEP = 0.25
"""Distance between deposits [pix]."""

LONGEST = 60.0
DIFFUSION = (0.15, 0.45)
"""Standard deviation of a charge cloud when collected, from the front to the back of the silicon [pix]."""

WORM_CHARGE, POINT_CHARGE = (1500.0, 40000.0), (150.0, 8000.0)
REACH = 2


@dataclass(frozen=True, slots=True)
class Score:
    """Comparison of a mask with the true hits.

    Attributes
    ----------
    pixels_found, pixels : int
        Pixels with charge above 5 times the noise: flagged, and total.
    pixels_true, pixels_flagged : int
        Flagged pixels: with charge above the noise, and total.
    hits_found, hits : int
        Hits with a pixel above 8 times the noise: with a flagged pixel above the noise, and total.
    groups_true, groups : int
        Groups of adjacent flagged pixels: with a pixel of charge above the noise, and total.
    """

    pixels_found: int = 0
    pixels: int = 0
    pixels_true: int = 0
    pixels_flagged: int = 0
    hits_found: int = 0
    hits: int = 0
    groups_true: int = 0
    groups: int = 0

    def __add__(self, other: Score) -> Score:
        """Add the scores of two frames."""
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Simulated hits of a frame.

    Attributes
    ----------
    charge : ndarray of float64, shape (ny, nx)
        [e-]
    first : ndarray of int64, shape (n,)
        Index of the first pixel of each hit in the next two arrays.
    pixels : ndarray of int64
        Flat indices of the pixels of all hits, hit by hit.
    shares : ndarray of float64
        Charge of the hit in each pixel [e-].
    """

    charge: Floats
    first: Ints
    pixels: Ints
    shares: Floats

    def score(self, flagged: Mask, noise: Floats) -> Score:
        """Compare a mask with these hits.

        Parameters
        ----------
        flagged : ndarray of bool, shape (ny, nx)
        noise : ndarray of float, shape (ny, nx)
            Noise of each pixel without the hits [e-].

        Returns
        -------
        Score
        """
        from scipy.ndimage import label

        strength, seen = self.charge / noise, np.asarray(flagged).reshape(-1)
        strong, real = strength > 5, strength > 1
        groups, n = label(flagged, np.ones((3, 3)))
        single = self.shares / np.asarray(noise).reshape(-1)[self.pixels]
        bright = np.maximum.reduceat(single, self.first) > 8 if len(self.first) else np.zeros(0, bool)
        found = np.logical_or.reduceat(seen[self.pixels] & (single > 1), self.first) if len(self.first) else bright
        return Score(
            int((flagged & strong).sum()), int(strong.sum()), int((flagged & real).sum()), int(flagged.sum()),
            int((bright & found).sum()), int(bright.sum()), len(np.unique(groups[flagged & real])), int(n),
        )  # fmt: skip


def simulate_hits(
    shape: tuple[int, int], rng: np.random.Generator, n: int, *, depth: float = 40.0, pixel_size: float = 15.0
) -> Hits:
    """Simulate cosmic ray hits on a detector.

    Parameters
    ----------
    shape : (ny, nx)
    rng : numpy.random.Generator
    n : int
        Number of hits.
    depth : float
        Thickness of the silicon [micron].
    pixel_size : float
        [micron]

    Returns
    -------
    Hits

    Notes
    -----
    Zenith angles of muons have a density of cos^2 sin; the charge of each step follows Moyal's approximation to the
    Landau distribution (1955, Phil. Mag. 46, 263).
    """
    ny, nx = shape
    pixels, shares = [], []
    for kind in rng.choice(len(SHARES), n, p=SHARES):
        y, x, sigma, deposits = (_place_muon, _place_worm, _place_point)[kind](
            rng, depth / pixel_size, PER_MICRON * pixel_size
        )
        y, x = y + rng.uniform(-0.5, ny - 0.5), x + rng.uniform(-0.5, nx - 0.5)
        where, charge = _collect_charge(shape, y, x, sigma, deposits)
        pixels.append(where)
        shares.append(charge)
    first = np.cumsum([0, *map(len, pixels)])[:n]
    every = np.concatenate([np.zeros(0, np.int64), *pixels])
    charges = np.concatenate([np.zeros(0), *shares])
    charge = np.zeros(ny * nx)
    np.add.at(charge, every, charges)
    return Hits(charge.reshape(shape), first, every, charges)


def _place_muon(rng: np.random.Generator, depth: float, per_pixel: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Place deposits along a straight track: y, x, sigma [pix] and charge [e-]."""
    cosine = max(rng.uniform() ** (1 / 3), 1e-3)
    direction = rng.uniform(0, 2 * np.pi)
    across = min(depth * np.sqrt(1 / cosine**2 - 1), LONGEST)
    length = np.hypot(across, depth)
    steps = int(np.ceil(length / STEP))
    part = (np.arange(steps) + 0.5) / steps
    deposits = _draw_landau(rng, len(part)) * per_pixel * length / len(part)
    return part * across * np.sin(direction), part * across * np.cos(direction), _spread_clouds(part), deposits


def _place_worm(rng: np.random.Generator, depth: float, per_pixel: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Place deposits along a scattered track, more strongly scattered as it slows down."""
    charge = _draw_charge(rng, *WORM_CHARGE)
    length = min(charge / (2 * per_pixel), LONGEST / 2)  # slow electrons deposit more than fast ones
    steps = max(4, int(np.ceil(length / STEP)))
    direction = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, steps))
    weights = np.linspace(0.7, 1.3, steps) * rng.gamma(8, 1 / 8, steps)
    y, x = np.cumsum(STEP * np.sin(direction)), np.cumsum(STEP * np.cos(direction))
    return y, x, np.full(steps, rng.uniform(*DIFFUSION)), charge * weights / steps


def _place_point(rng: np.random.Generator, depth: float, per_pixel: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Place one deposit."""
    nowhere = np.zeros(1)
    return nowhere, nowhere, rng.uniform(*DIFFUSION, 1), np.array([_draw_charge(rng, *POINT_CHARGE)])


def _draw_charge(rng: np.random.Generator, least: float, most: float) -> float:
    """Draw a charge, uniform in its logarithm."""
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def _draw_landau(rng: np.random.Generator, n: int) -> Floats:
    """Draw charges in units of the most probable one: -log of a squared normal deviate follows Moyal."""
    moyal = -np.log(rng.normal(0, 1, n) ** 2)
    return np.maximum(1 + LANDAU_WIDTH * np.minimum(moyal, 30), 0.1)


def _spread_clouds(part: Floats) -> Floats:
    """Compute the width of charge clouds: they spread as the square root of the distance to the gates."""
    front, back = DIFFUSION
    return front + (back - front) * np.sqrt(part)


def _collect_charge(
    shape: tuple[int, int], y: Floats, x: Floats, sigma: Floats, deposits: Floats
) -> tuple[Ints, Floats]:
    """Collect the pixels of one hit and their charge: Gaussian clouds, integrated over pixels."""
    ny, nx = shape
    rows, in_rows = _share_along(y, sigma)
    columns, in_columns = _share_along(x, sigma)
    charge = deposits[:, None, None] * in_rows[:, :, None] * in_columns[:, None, :]
    rows, columns = np.broadcast_arrays(rows[:, :, None], columns[:, None, :])
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    pixels, which = np.unique(rows[inside] * nx + columns[inside], return_inverse=True)
    shares = np.zeros(len(pixels))
    np.add.at(shares, which.reshape(-1), charge[inside])
    return pixels, shares


def _share_along(place: Floats, sigma: Floats) -> tuple[Ints, Floats]:
    """Find the pixels near a position along one axis, and the fraction of a cloud that each collects."""
    from scipy.special import ndtr

    near = np.rint(place).astype(np.int64)[:, None] + np.arange(-REACH, REACH + 1)
    edges = np.concatenate([near - 0.5, near[:, -1:] + 0.5], axis=1)
    return near, np.diff(ndtr((edges - place[:, None]) / sigma[:, None]), axis=1)
