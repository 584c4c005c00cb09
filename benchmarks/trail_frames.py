"""Simulate frames with stars, spikes, nebulae, hits and trails whose places are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from nightcal.flags import Flag, MaskBits
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.special import erf

SKY, READ_NOISE, FULL_WELL = 200.0, 6.0, 60_000.0  # e-
WIDTHS, HEIGHTS = (2.0, 8.0), (1.0, 20.0)  # of planted trails, in pixels and in sigma of a pixel of the sky
BROKEN = 0.25
PERIODS, LIT = 5, 0.65
SHORTEST = 0.25
BEYOND = 30.0
STEPS = 4000
BAD = 0.001

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
Shape = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PlantedTrail:
    """A trail from one point to another.

    Attributes
    ----------
    x, y : (float, float)
        Of both ends [pix].
    width : float
        [pix]
    height : float
        [sigma of a pixel of the sky]
    broken : bool
        Whether its light goes on and off, as that of a tumbling satellite or of an aeroplane.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    width: float
    height: float
    broken: bool = False

    @property
    def length(self) -> float:
        """Distance of its ends [pix]."""
        return float(np.hypot(self.x[1] - self.x[0], self.y[1] - self.y[0]))

    def paint(self, shape: Shape, blur: float = 1.2) -> Floats:
        """Paint the light of the trail, 1 along its middle, smeared by a Gaussian of that standard deviation [pix]."""
        ux, uy = (self.x[1] - self.x[0]) / self.length, (self.y[1] - self.y[0]) / self.length
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
        dx, dy = columns - self.x[0], rows - self.y[0]
        along, across = dx * ux + dy * uy, dy * ux - dx * uy
        light = _smear(across, -self.width / 2, self.width / 2, blur) * _smear(along, 0, self.length, blur)
        if self.broken:
            light *= np.mod(PERIODS * along / self.length + 0.3, 1) < LIT
        return light

    def find_core(self, shape: Shape) -> NDArray[np.bool_]:
        """Find the pixels within the width of the trail, without its dark parts."""
        return self.paint(shape) > 0.45


def _smear(place: Floats, low: float, high: float, blur: float) -> Floats:
    """Smear an interval with a Gaussian."""
    scale = blur * np.sqrt(2)
    return np.asarray(0.5 * (erf((place - low) / scale) - erf((place - high) / scale)))


def measure_cover(pixels: NDArray[np.bool_], trail: PlantedTrail) -> float:
    """Measure which fraction of the core of a trail is flagged."""
    core = trail.find_core(pixels.shape)
    return float(np.count_nonzero(pixels & core) / np.count_nonzero(core))


def make_trail(
    rng: np.random.Generator, shape: Shape, *, height: float | None = None, ends_inside: bool = False
) -> PlantedTrail:
    """Make a trail at random, of which at least a quarter of the side of the frame is seen.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
    height : float, optional
        [sigma of a pixel of the sky]
    ends_inside : bool
        Whether one end lies in the frame.

    Returns
    -------
    PlantedTrail
    """
    ny, nx = shape
    while True:
        angle, at = rng.uniform(0, np.pi), rng.uniform(0.02, 0.98, 2) * (nx, ny)
        reach = np.array([0.0 if ends_inside else -2.0, 2.0]) * max(shape)
        x, y = at[0] + reach * np.cos(angle), at[1] + reach * np.sin(angle)
        trail = PlantedTrail(
            (float(x[0]), float(x[1])),
            (float(y[0]), float(y[1])),
            rng.uniform(*WIDTHS),
            rng.uniform(*HEIGHTS) if height is None else height,
            bool(rng.random() < BROKEN),
        )
        if _cut(trail, shape, 0).length > SHORTEST * min(shape):
            return _cut(trail, shape, BEYOND)


def _cut(trail: PlantedTrail, shape: Shape, beyond: float) -> PlantedTrail:
    """Cut a trail at some distance from the frame, so that its dark parts fall into the frame."""
    x, y = (low + np.linspace(0, 1, STEPS) * (high - low) for low, high in (trail.x, trail.y))
    inside = (x > -beyond) & (x < shape[1] + beyond) & (y > -beyond) & (y < shape[0] + beyond)
    places = np.flatnonzero(inside)
    first, last = (places[0], places[-1]) if len(places) else (0, 1)
    return replace(trail, x=(float(x[first]), float(x[last])), y=(float(y[first]), float(y[last])))


def make_frame(
    rng: np.random.Generator,
    shape: Shape = (1000, 1000),
    *,
    stars: int = 400,
    trails: tuple[PlantedTrail, ...] = (),
    saturated: int = 2,
    nebula: float = 0.0,
    fwhm: float = 3.0,
    hits: int = 100,
) -> tuple[Image, Image, MaskBits]:
    """Simulate a calibrated frame.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
    stars : int
    trails : tuple of PlantedTrail
    saturated : int
        Number of stars that bleed along columns and have four spikes.
    nebula : float
        Height of clouds, and a third of that of a galaxy seen edge-on [e-].
    fwhm : float
        [pix]
    hits : int
        Number of cosmic rays.

    Returns
    -------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        [e-]
    mask : ndarray of int16, shape (ny, nx)
    """
    light = _paint_stars(rng, shape, stars, fwhm)
    for _ in range(saturated):
        _add_saturated_star(light, rng, fwhm)
    if nebula:
        _add_nebula(light, rng, nebula)
    for trail in trails:
        light += trail.height * np.sqrt(SKY + READ_NOISE**2) * trail.paint(shape)
    data = rng.poisson(SKY + light) + rng.normal(0, READ_NOISE, shape)
    for _ in range(hits):
        _add_hit(data, rng)
    mask = np.where(data >= FULL_WELL, Flag.SATURATED, np.int16(0))
    data = np.minimum(data, FULL_WELL)
    uncertainty = np.sqrt(np.maximum(data, 0) + READ_NOISE**2)
    bad = rng.random(shape) < BAD
    bad[:, rng.integers(0, shape[1])] = True
    mask[bad] |= Flag.BAD
    data[bad] += 5000
    return data.astype(np.float32), uncertainty.astype(np.float32), mask


def _measure_offsets(shape: Shape, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Rows and columns of all pixels, from a place at random."""
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    return rows - rng.uniform(0, shape[0]), columns - rng.uniform(0, shape[1])


def _paint_stars(rng: np.random.Generator, shape: Shape, number: int, fwhm: float) -> Floats:
    light = np.zeros(shape)
    flux = np.minimum(200 * (1 - rng.random(number)) ** (-1 / 0.9), 1e6)
    rows, columns = (rng.integers(0, side, number) for side in shape)
    np.add.at(light, (rows, columns), flux)
    return np.asarray(gaussian_filter(light, fwhm / 2.355))


def _add_saturated_star(light: Floats, rng: np.random.Generator, fwhm: float) -> None:
    rows, columns = _measure_offsets(light.shape, rng)
    light += 3e6 * (1 + (np.hypot(rows, columns) / fwhm) ** 2) ** -2.5 / fwhm**2
    for along, across in ((rows, columns), (columns, rows)):
        light += 4000 * np.exp(-np.abs(along) / 60) * np.exp(-0.5 * (across / 1.2) ** 2)
    light[(np.abs(columns) < 2) & (np.abs(rows) < rng.uniform(20, 200))] = 1e6


def _add_nebula(light: Floats, rng: np.random.Generator, height: float) -> None:
    clouds = gaussian_filter(rng.normal(size=light.shape), 40, mode="wrap")
    light += height * np.clip(clouds / clouds.std(), 0, None)
    rows, columns = _measure_offsets(light.shape, rng)
    angle = rng.uniform(0, np.pi)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    light += 3 * height * np.exp(-np.hypot(along / 60, across / 9))


def _add_hit(data: Floats, rng: np.random.Generator) -> None:
    row, column = (rng.integers(0, side) for side in data.shape)
    angle = rng.uniform(0, 2 * np.pi)
    steps = np.arange(rng.integers(1, 12))
    rows, columns = (row + steps * np.sin(angle)).astype(int), (column + steps * np.cos(angle)).astype(int)
    inside = (rows >= 0) & (rows < data.shape[0]) & (columns >= 0) & (columns < data.shape[1])
    data[rows[inside], columns[inside]] += rng.uniform(300, 3000, inside.sum())
