"""Tell cosmic rays on starlight from the light itself: a hit is sharper than the stars of its frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.coarse_sky import STRIDE, find_pixels_above, measure_coarse_sky
from nightcal.numerics.robust import RSTD, median

PAIRS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0), (2, 2), (2, -2))
"""Offsets of the pixels on opposite sides with which a pixel is compared [pix]."""

FAR = 3
SURROUNDINGS = tuple(
    (dy, dx) for dy in range(-FAR, FAR + 1) for dx in range(-FAR, FAR + 1) if max(abs(dy), abs(dx)) == FAR
)
"""Offsets of the pixels that show what a pixel stands on [pix]."""

LIT, ENOUGH = 5.0, 9
"""A pixel is on starlight, or beside it, if at least 9 of these 24 pixels are more than 5 sigma above the sky."""

PEAK = 20.0
"""Smallest signal-to-noise ratio of a peak from which the sharpness of the stars is learnt."""

MOST = 200
"""Largest number of such peaks, the brightest first."""

NOISE = 2.0
"""What noise adds to the largest of a few dozen pixels, in sigma."""

SPREAD = 3.0
"""Limit of the sharpness of stars, in rstd above the median."""

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]
Pixels = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows and columns."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A frame, and its sky at every fourth pixel.

    Attributes
    ----------
    image, noise : ndarray of float32, shape (ny, nx)
        Frame with its sky, and standard deviation of each pixel [e-].
    unusable : ndarray of bool, shape (ny, nx)
        Pixels without a value.
    sky, scatter : ndarray of float32, shape (ny / 4, nx / 4), rounded up
        From `measure_coarse_sky` [e-].
    """

    image: Image
    noise: Image
    unusable: Mask
    sky: Image
    scatter: Image

    def find_sky(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """Find the sky of some pixels."""
        return self.sky[rows // STRIDE, columns // STRIDE].astype(np.float64)

    def take(self, plane: Image, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        """Take pixels of the image or its noise; NaN beyond its edges and where unusable."""
        ny, nx = plane.shape
        inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
        rows, columns = rows.clip(0, ny - 1), columns.clip(0, nx - 1)
        return np.where(inside & ~self.unusable[rows, columns], plane[rows, columns], np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """How far n pixels stand out of their surroundings.

    Attributes
    ----------
    height : ndarray of float64, shape (n,)
        Above the sky [e-].
    excess : ndarray of float64, shape (8, n)
        Above the mean of each of the `PAIRS` [e-]; NaN where a pixel of the pair is unusable.
    noise : ndarray of float64, shape (n,)
        Standard deviation of the excess [e-].
    """

    height: Floats
    excess: Floats
    noise: Floats


def find_soft_hits(image: Image, noise: Image, unusable: Mask, hits: Mask, clip: float) -> Pixels:
    """Find the hits on starlight that are no sharper than the stars of the frame.

    Parameters
    ----------
    image, noise : ndarray of float32, shape (ny, nx)
        Frame with its sky, and standard deviation of each pixel [e-].
    unusable : ndarray of bool, shape (ny, nx)
        Pixels without a value.
    hits : ndarray of bool, shape (ny, nx)
        Found by the Laplacian test.
    clip : float
        Least amount by which a hit exceeds the limit of stars, in sigma.

    Returns
    -------
    rows, columns : ndarray of int64

    Notes
    -----
    After the third condition of Lupton's search in the photometric pipeline of SDSS: a pixel is compared with the mean
    of two pixels on opposite sides, in four directions and at two distances. The point spread function limits the
    fraction of its height above the sky by which a pixel can stand out. That limit does not follow from the FWHM if
    stars are out of focus, so it is learnt from the peaks on starlight in the frame: the median of each direction and
    distance, plus three times their rstd. A hit on starlight exceeds one of these limits, or touches a pixel that does.
    """
    rows, columns = np.divmod(np.flatnonzero(hits), hits.shape[1])
    if not len(rows):
        return rows, columns
    some = (slice(None, None, STRIDE),) * 2
    scene = Scene(image, noise, unusable, *measure_coarse_sky(image, noise, unusable[some] | hits[some]))
    lit = find_lit_pixels(scene, (rows, columns))
    rows, columns = rows[lit], columns[lit]
    if not len(rows):
        return rows, columns
    found, limit = measure_contrast(scene, (rows, columns)), learn_limit(scene)
    sharp = np.zeros(hits.shape, bool)
    sharp[rows, columns] = np.any(found.excess > clip * found.noise + limit[:, None] * found.height, axis=0)
    soft = ~_touch(sharp, rows, columns)
    return rows[soft], columns[soft]


def measure_contrast(scene: Scene, pixels: Pixels) -> Contrast:
    """Measure how far pixels stand out of their surroundings.

    Parameters
    ----------
    scene : Scene
    pixels : (rows, columns)

    Returns
    -------
    Contrast
    """
    rows, columns = pixels

    def take(plane: Image, dy: int, dx: int) -> Floats:
        return scene.take(plane, rows + dy, columns + dx)

    value = scene.image[rows, columns].astype(np.float64)
    excess = np.stack([value - (take(scene.image, dy, dx) + take(scene.image, -dy, -dx)) / 2 for dy, dx in PAIRS])
    pairs = np.stack([take(scene.noise, dy, dx) for dy, dx in PAIRS])
    return Contrast(value - scene.find_sky(rows, columns), excess, np.sqrt(1.5) * median(pairs))


def find_lit_pixels(scene: Scene, pixels: Pixels) -> Mask:
    """Find the pixels that stand on starlight or beside it, and not only on a track.

    Parameters
    ----------
    scene : Scene
    pixels : (rows, columns)

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    rows, columns = pixels
    sky, bright = scene.find_sky(rows, columns), np.zeros(len(rows), np.int64)
    for dy, dx in SURROUNDINGS:
        value, error = (scene.take(plane, rows + dy, columns + dx) for plane in (scene.image, scene.noise))
        bright += value - sky > LIT * error
    return bright >= ENOUGH


def learn_limit(scene: Scene) -> Floats:
    """Learn how far stars stand out of their surroundings at most.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    ndarray of float64, shape (8,)
        Excess over each of the `PAIRS`, as a fraction of the height above the sky; 0 without a peak on starlight.
    """
    rows, columns = find_peaks(scene)
    lit = find_lit_pixels(scene, (rows, columns))
    rows, columns = rows[lit][:MOST], columns[lit][:MOST]
    if not len(rows):
        return np.zeros(len(PAIRS))
    step = np.arange(-FAR, FAR + 1)
    around = (rows[:, None, None] + step[:, None], columns[:, None, None] + step)
    places = tuple(np.broadcast_to(axis, (len(rows), len(step), len(step))).ravel() for axis in around)
    found = measure_contrast(scene, (places[0], places[1]))
    bright = found.height > PEAK * found.noise
    fractions = np.where(bright, (found.excess - NOISE * found.noise) / np.where(bright, found.height, 1), -np.inf)
    largest = np.nan_to_num(fractions, nan=0).reshape(len(PAIRS), len(rows), -1).max(axis=2)
    middle = np.median(largest, axis=1)
    spread = RSTD * np.median(np.abs(largest - middle[:, None]), axis=1)
    return np.maximum(middle + SPREAD * spread, 0)


def find_peaks(scene: Scene) -> Pixels:
    """Find the brightest local maxima, away from the edges of the frame and from unusable pixels.

    Parameters
    ----------
    scene : Scene

    Returns
    -------
    rows, columns : ndarray of int64
        The brightest first.
    """
    image, unusable = scene.image, scene.unusable
    rows, columns = find_pixels_above(image, scene.sky + PEAK * scene.scatter)
    height = image[rows, columns] - scene.find_sky(rows, columns)
    inner = (np.minimum(rows, columns) >= FAR) & (rows < image.shape[0] - FAR) & (columns < image.shape[1] - FAR)
    peak = np.flatnonzero(inner & ~unusable[rows, columns] & (height > PEAK * scene.noise[rows, columns]))
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        beside = rows[peak] + dy, columns[peak] + dx
        peak = peak[(image[rows[peak], columns[peak]] >= image[beside]) & ~unusable[beside]]
    peak = peak[np.argsort(-height[peak], kind="stable")]
    return rows[peak], columns[peak]


def _touch(pixels: Mask, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Mask:
    """Check which places are among some pixels or beside one."""
    wide = np.pad(pixels, 1)
    out = np.zeros(len(rows), bool)
    for dy in range(3):
        for dx in range(3):
            out |= wide[rows + dy, columns + dx]
    return out
