"""Gain and read noise of a detector from pairs of bias frames and flats."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.robust import clipped_mean, median, rstd

TILE = 32
FEWEST_TILES = 4
FAINTEST = 1.0  # photon noise of a pair of flats, in variances of a bias
SMALLEST_GAIN, LARGEST_GAIN = 1e-3, 100.0
REJECT = 4.0

Image = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Noise:
    """Gain and read noise of a detector, and where they come from.

    ``warning`` is empty when both were measured or known. ``read_noise`` contains the noise of digitisation.
    """

    gain: float
    read_noise: float
    source: str
    warning: str = ""


ASSUMED = Noise(1.0, 0.0, "assumed", "gain unknown, 1 e-/ADU assumed: uncertainties are not to be trusted")


def measure_noise(biases: Iterable[Image], flats: Iterable[tuple[str, Image]]) -> Noise:
    """Measure gain and read noise.

    Parameters
    ----------
    biases : iterable of ndarray, shape (ny, nx)
        Overscan-subtracted and trimmed [ADU], NaN where saturated. Two at a time are held in memory.
    flats : iterable of (str, ndarray)
        Filter and image, likewise; neighbours of one filter are paired.

    Returns
    -------
    Noise
        With a gain of 1 e-/ADU and a warning if there is no pair of flats with light in it; `ASSUMED` if there is no
        pair of bias frames either.

    Notes
    -----
    Janesick, Photon Transfer (2007), ch. 5: with the second flat scaled by ``r`` to the first,
    ``gain = (F1 + r^2 F2) / (var(F1 - r F2) - (1 + r^2) var_bias)`` and ``var_bias = var(B1 - B2) / 2``. Differences
    cancel fixed patterns. Variances are taken in tiles of 32 x 32 pixels about a plane, so that slopes do not count, at
    4 rstd, whose loss for Gaussian noise is corrected; the median tile of all pairs counts.
    """
    bias, spreads = None, []
    for one, other in pairwise(biases):
        bias = 0.5 * (one + other) if bias is None else bias
        spreads.append(_tile_variances(one - other))
    if bias is None:
        return ASSUMED
    bias_variance = _middle(np.concatenate(spreads)) / 2
    if not bias_variance > 0:
        return ASSUMED
    gains = [
        _pair_gains(one - bias, other - bias, bias_variance)
        for (name, one), (other_name, other) in pairwise(flats)
        if name == other_name
    ]
    found = np.concatenate([np.empty(0), *gains])
    if np.isfinite(found).sum() < FEWEST_TILES or not SMALLEST_GAIN < _middle(found) < LARGEST_GAIN:
        return Noise(
            1.0, float(np.sqrt(bias_variance)), f"read noise from {len(spreads)} pairs of bias", ASSUMED.warning
        )
    gain = _middle(found)
    source = f"measured: {len(spreads)} pairs of bias, {sum(pair.size > 0 for pair in gains)} of flats"
    return Noise(gain, float(gain * np.sqrt(bias_variance)), source)


def _pair_gains(one: Image, other: Image, bias_variance: float) -> Image:
    """Gain [e-/ADU] from each tile of a pair of flats; empty if there is no light."""
    lights = [
        float(np.median(image[np.isfinite(image)])) if np.isfinite(image).any() else 0.0 for image in (one, other)
    ]
    ratio = lights[0] / lights[1] if lights[1] > 0 else 0.0
    if not 0.2 < ratio < 5:
        return np.empty(0)
    light = _tile_means(one + ratio**2 * other)
    spread = _tile_variances(one - ratio * other) - (1 + ratio**2) * bias_variance
    if not _middle(spread) > FAINTEST * bias_variance:
        return np.empty(0)  # too little light to see its noise beside the read noise
    with np.errstate(divide="ignore", invalid="ignore"):
        return light / spread


def _tiles(image: Image) -> Image:
    """Pixels of each tile along the first axis, shape (pixels, tiles); the tile is the image if that is smaller."""
    ny, nx = (min(TILE, length) for length in image.shape)
    rows, columns = image.shape[0] // ny, image.shape[1] // nx
    cut = image[: rows * ny, : columns * nx].reshape(rows, ny, columns, nx)
    return cut.transpose(1, 3, 0, 2).reshape(ny * nx, rows * columns)


def _tile_means(image: Image) -> Image:
    return clipped_mean(_tiles(image), REJECT).mean


def _tile_variances(image: Image) -> Image:
    """Variance of the pixels of each tile about a plane; NaN for a tile without two good pixels."""
    tiles = _tiles(image)
    tiles = tiles - median(tiles)
    tiles -= _planes(tiles, image.shape)
    scatter = clipped_mean(tiles, REJECT, floor=0.5).scatter
    return scatter**2 / KEPT_VARIANCE * len(tiles) / max(1, len(tiles) - PLANE)


def _planes(tiles: Image, shape: tuple[int, ...]) -> Image:
    """Least-squares plane through each tile; outliers beyond 4 rstd and missing pixels count as 0."""
    y, x = np.mgrid[: min(TILE, shape[0]), : min(TILE, shape[1])].reshape(2, -1)
    basis = np.stack([x - x.mean(), y - y.mean()], axis=1).astype(np.float64)
    with np.errstate(invalid="ignore"):
        inside = np.abs(tiles) <= REJECT * np.maximum(rstd(tiles), 0.5)
    slopes = np.linalg.pinv(basis) @ np.where(inside, tiles, 0.0)
    return np.asarray(basis @ slopes)


def _middle(values: Image) -> float:
    """Median of what is finite; NaN if nothing is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


PLANE = 2
"""Free parameters of a plane, its level aside."""

KEPT_VARIANCE = 1 - 2 * REJECT * np.exp(-(REJECT**2) / 2) / np.sqrt(2 * np.pi)
"""Variance of a Gaussian within 4 sigma."""


def write_noise(path: Path, noise: Noise) -> None:
    """Write a measurement as JSON.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    noise : Noise
    """
    from nightcal.files import write_text

    write_text(path, json.dumps(asdict(noise), indent=2) + "\n")


def read_noise(path: Path) -> Noise:
    """Read a measurement that `write_noise` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Noise
    """
    return Noise(**json.loads(path.read_text(encoding="utf-8")))
