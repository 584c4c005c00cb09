"""Charge that cosmic rays leave in a detector, with the shapes that they have in real frames.

Of ten hits six are muons, straight through the silicon; two are electrons of low energy, which are scattered all the
way and leave worms; two deposit their charge in one place.
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
"""Of the distribution of charge along a pixel, in units of the most probable value."""

STEP = 0.25
"""Length between deposits [pixels]."""

LONGEST = 60.0
DIFFUSION = (0.15, 0.45)
"""Sigma of the cloud of charge when it is collected, from the front to the back of the silicon [pixels]."""

WORM_CHARGE, POINT_CHARGE = (1500.0, 40000.0), (150.0, 8000.0)
REACH = 2


@dataclass(frozen=True, slots=True)
class Score:
    """How a mask compares with the truth.

    Attributes
    ----------
    pixels_found, pixels : int
        Pixels with charge above 5 times the noise, flagged and in all.
    pixels_true, pixels_flagged : int
        Flagged pixels with charge above the noise, and all that are flagged.
    hits_found, hits : int
        Hits with a pixel above 8 times the noise, of which a pixel above the noise is flagged, and in all.
    groups_true, groups : int
        Groups of flagged pixels that touch, with charge above the noise in one of them, and in all.
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
        """Put two frames together."""
        return Score(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What cosmic rays left in a frame.

    Attributes
    ----------
    charge : ndarray of float64, shape (ny, nx)
        [e-]
    first : ndarray of int64, shape (n,)
        Of each hit, where its pixels begin in the next two.
    pixels : ndarray of int64
        Flat indices of the pixels of all hits, one hit after the other.
    shares : ndarray of float64
        Charge of that hit in that pixel [e-].
    """

    charge: Floats
    first: Ints
    pixels: Ints
    shares: Floats

    def score(self, flagged: Mask, noise: Floats) -> Score:
        """Compare a mask with this truth.

        Parameters
        ----------
        flagged : ndarray of bool, shape (ny, nx)
        noise : ndarray of float, shape (ny, nx)
            One sigma of each pixel without the hits [e-].

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
    """Let cosmic rays pass through a detector.

    Parameters
    ----------
    shape : (ny, nx)
    rng : numpy.random.Generator
    n : int
        How many.
    depth : float
        Of the silicon that collects charge [micron].
    pixel_size : float
        [micron]

    Returns
    -------
    Hits

    Notes
    -----
    Zenith angles of muons have a density of cos^2 sin; the charge of each step follows Moyal's approximation of
    Landau's distribution (1955, Phil. Mag. 46, 263).
    """
    ny, nx = shape
    pixels, shares = [], []
    for kind in rng.choice(len(SHARES), n, p=SHARES):
        y, x, sigma, deposits = (_muon, _worm, _point)[kind](rng, depth / pixel_size, PER_MICRON * pixel_size)
        y, x = y + rng.uniform(-0.5, ny - 0.5), x + rng.uniform(-0.5, nx - 0.5)
        where, charge = _collected(shape, y, x, sigma, deposits)
        pixels.append(where)
        shares.append(charge)
    first = np.cumsum([0, *map(len, pixels)])[:n]
    every = np.concatenate([np.zeros(0, np.int64), *pixels])
    charges = np.concatenate([np.zeros(0), *shares])
    charge = np.zeros(ny * nx)
    np.add.at(charge, every, charges)
    return Hits(charge.reshape(shape), first, every, charges)


def _muon(rng: np.random.Generator, depth: float, per_pixel: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Place deposits along a straight track: y, x [pixels], sigma [pixels], charge [e-]."""
    cosine = max(rng.uniform() ** (1 / 3), 1e-3)
    direction = rng.uniform(0, 2 * np.pi)
    across = min(depth * np.sqrt(1 / cosine**2 - 1), LONGEST)
    length = np.hypot(across, depth)
    steps = int(np.ceil(length / STEP))
    part = (np.arange(steps) + 0.5) / steps
    deposits = _landau(rng, len(part)) * per_pixel * length / len(part)
    return part * across * np.sin(direction), part * across * np.cos(direction), _clouds(part), deposits


def _worm(rng: np.random.Generator, depth: float, per_pixel: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Place deposits along a track that is scattered again and again, ever more as it slows down."""
    charge = _between(rng, *WORM_CHARGE)
    length = min(charge / (2 * per_pixel), LONGEST / 2)  # slow electrons leave more than fast ones
    steps = max(4, int(np.ceil(length / STEP)))
    direction = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.35, steps))
    weights = np.linspace(0.7, 1.3, steps) * rng.gamma(8, 1 / 8, steps)
    y, x = np.cumsum(STEP * np.sin(direction)), np.cumsum(STEP * np.cos(direction))
    return y, x, np.full(steps, rng.uniform(*DIFFUSION)), charge * weights / steps


def _point(rng: np.random.Generator, depth: float, per_pixel: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Place one deposit."""
    nowhere = np.zeros(1)
    return nowhere, nowhere, rng.uniform(*DIFFUSION, 1), np.array([_between(rng, *POINT_CHARGE)])


def _between(rng: np.random.Generator, least: float, most: float) -> float:
    """Choose a charge, all powers of ten alike."""
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def _landau(rng: np.random.Generator, n: int) -> Floats:
    """Charge of each step in units of the most probable one: minus the logarithm of a squared normal is Moyal's."""
    moyal = -np.log(rng.normal(0, 1, n) ** 2)
    return np.maximum(1 + LANDAU_WIDTH * np.minimum(moyal, 30), 0.1)


def _clouds(part: Floats) -> Floats:
    """Sigma of charge set free at a part of the depth: it spreads as the root of the way to the gates."""
    front, back = DIFFUSION
    return front + (back - front) * np.sqrt(part)


def _collected(shape: tuple[int, int], y: Floats, x: Floats, sigma: Floats, deposits: Floats) -> tuple[Ints, Floats]:
    """Pixels of one hit, each once, and their charge: Gaussian clouds, integrated over pixels."""
    ny, nx = shape
    rows, in_rows = _along(y, sigma)
    columns, in_columns = _along(x, sigma)
    charge = deposits[:, None, None] * in_rows[:, :, None] * in_columns[:, None, :]
    rows, columns = np.broadcast_arrays(rows[:, :, None], columns[:, None, :])
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    pixels, which = np.unique(rows[inside] * nx + columns[inside], return_inverse=True)
    shares = np.zeros(len(pixels))
    np.add.at(shares, which.reshape(-1), charge[inside])
    return pixels, shares


def _along(place: Floats, sigma: Floats) -> tuple[Ints, Floats]:
    """Pixels near a place along one axis, and the share of a cloud that each collects."""
    from scipy.special import ndtr

    near = np.rint(place).astype(np.int64)[:, None] + np.arange(-REACH, REACH + 1)
    edges = np.concatenate([near - 0.5, near[:, -1:] + 0.5], axis=1)
    return near, np.diff(ndtr((edges - place[:, None]) / sigma[:, None]), axis=1)
