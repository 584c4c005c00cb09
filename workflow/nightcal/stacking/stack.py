"""Stack frames by their clipped mean, a few rows in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil, fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.numerics.blocks import cut_strips
from nightcal.numerics.kernels import clip
from nightcal.numerics.kernels.arguments import not_below, whole_and_part
from nightcal.numerics.robust import deviation_noise, pool_scatter
from nightcal.numerics.shot_noise import expected_signal
from nightcal.stacking.clipping_bias import ClippingBias, find_noise_ratio

BLOCK_BYTES = 2 * 2**20
"""Size of the raw rows of all frames that are stacked at a time: they stay in the cache."""

FEWEST_ROWS = 4
STRIP = 16
POOLED_PIXELS = 2**20
"""Pixels whose scatter is pooled: enough to know the noise ratio to a tenth of a percent."""

NOISY_CHANCE = 1e-7
NOISY_LEAST = 2.0

Rows = Callable[[int, int], NDArray[np.float32]]
"""``rows(start, stop)`` gives those rows of a master."""


@dataclass(frozen=True, slots=True)
class StackInput:
    """One frame of a stack: how its raw rows are scaled to the stack's units, and their noise.

    A pixel enters as ``(stored - offset) * scale - sum(factor * image)``.

    Attributes
    ----------
    read : function
        ``read(start, stop, out)`` fills an array of shape (stop - start, columns) with those raw rows.
    words : bool
        Whether these are signed big-endian 16-bit integers (dtype uint16), otherwise float32.
    columns : int
        Of the raw rows.
    offset : ndarray of float64, shape () or (ny,)
        Subtracted from each row first, in the units of the stored values.
    scale : float
    limit : float
        Stored values at or above it do not enter; nor do values that are not finite.
    factors : tuple of float
        With which each of the stack's images is subtracted.
    variance : float
        Variance of a pixel without signal, in the stack's units squared.
    variance_per_signal : float
        Shot noise: the variance that a unit of signal adds.
    weight : float
        Relative inverse variance.
    """

    read: Callable[[int, int, NDArray[Any]], None]
    words: bool
    columns: int
    offset: NDArray[np.float64]
    variance: float
    scale: float = 1.0
    limit: float = float("inf")
    factors: tuple[float, ...] = ()
    variance_per_signal: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Stack:
    """Clipped mean of a stack; arrays of shape (ny, nx).

    Attributes
    ----------
    mean : ndarray of float32
        NaN where nothing survived.
    uncertainty : ndarray of float32
        One standard error of the mean, from the noise model of the inputs and ``ratio``.
    survivors : ndarray of int16
    noisy : ndarray of bool
        Pixels whose scatter Gaussian noise exceeds once in ten million pixels.
    ratio : float
        True noise over modelled noise, pooled over the image; 1 for a single frame. 0 for frames that do not scatter at
        all: the errors are then the model's.
    """

    mean: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    survivors: NDArray[np.int16]
    noisy: NDArray[np.bool_]
    ratio: float


@dataclass(frozen=True, slots=True)
class _Noise:
    """Variance of a frame of the stack, ``constant + slope * signal``."""

    constant: float
    slope: float

    def variance(self, mean: NDArray[np.float32], frames: int, start: int, stop: int) -> NDArray[np.float32] | float:
        """Find the variance for some rows of the mean of a stack."""
        if self.slope == 0:
            return self.constant
        first, last = max(0, start - 1), min(len(mean), stop + 1)
        signal = expected_signal(mean[first:last], self.constant / frames, self.slope / frames)
        return (self.constant + self.slope * signal[start - first : stop - first]).astype(np.float32)


def stack(
    inputs: Sequence[StackInput],
    shape: tuple[int, int],
    k: float = 3.0,
    floored: bool = True,
    images: Sequence[Rows] = (),
    first_column: int = 0,
    threads: int = 1,
) -> Stack:
    """Average frames pixel by pixel, leaving out what lies more than ``k`` rstd from the median.

    Parameters
    ----------
    inputs : sequence of StackInput
    shape : (int, int)
        Rows and columns of the result.
    k : float
        Half-width of what is kept, in rstd along the stack.
    floored : bool
        Never reject values within ``k`` sigma of the noise model. The rstd of a few values is often far too small:
        with five Gaussian frames a plain 3 rstd cut makes the mean 12 percent noisier, with the floor 2 percent.
    images : sequence of function
        Rows of the masters that the inputs' factors are for.
    first_column : int
        The first column of the raw rows to stack.
    threads : int

    Returns
    -------
    Stack
        Independent of the order of the inputs (except weighted inputs of equal weight, whose sums may differ in the
        last of 64 bits), of the number of threads and of how many rows are read at a time.

    Notes
    -----
    The scatter of one pixel over N frames has N - 1 degrees of freedom; with an error taken from it alone,
    (mean - true) / sigma would follow Student's t. The error is therefore the model's, divided by the survivors, times
    the ratio of measured to modelled scatter pooled over the image; `nightcal.stacking.clipping_bias` corrects both for
    the effect of clipping.
    """
    inputs = sorted(inputs, key=lambda stack_input: (stack_input.weight, stack_input.variance))
    n = len(inputs)
    mean_weight = fsum(stack_input.weight for stack_input in inputs) / n
    weights = np.array([stack_input.weight / mean_weight for stack_input in inputs])
    noise = _Noise(
        fsum(weights**2 * [stack_input.variance for stack_input in inputs]) / n,
        fsum(weights**2 * [stack_input.variance_per_signal for stack_input in inputs]) / n,
    )
    unequal = None if np.all(weights == weights[0]) else weights
    floor = (noise.constant, noise.slope) if floored else (0.0, 0.0)
    mean, scatter, weight, survivors = _clip(inputs, shape, k, floor, unequal, images, first_column, threads)
    pooled = _pool_scatter(mean, scatter, noise, n)
    ratio, bias = find_noise_ratio(pooled, n, k, floored, None if unequal is None else tuple(unequal.tolist()))
    noisy = _scale_errors(mean, scatter, survivors if unequal is None else weight, noise, n, ratio, bias)
    ratio = 0.0 if pooled == 0 and n > 1 else ratio
    return Stack(mean, scatter, survivors, noisy, ratio)


def _clip(
    inputs: Sequence[StackInput],
    shape: tuple[int, int],
    k: float,
    floor: tuple[float, float],
    weights: NDArray[np.float64] | None,
    images: Sequence[Rows],
    first_column: int,
    threads: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.int16]]:
    """Find the clipped mean, variance of the survivors, sum of their weights, and their number."""
    mean, scatter = np.empty(shape, np.float32), np.empty(shape, np.float32)
    weight = np.empty(shape if weights is not None else (shape[0], 0), np.float32)
    survivors = np.empty(shape, np.int16)
    words = all(stack_input.words for stack_input in inputs)
    inputs = inputs if words else [convert_to_numbers(stack_input) for stack_input in inputs]
    factors = np.array([stack_input.factors for stack_input in inputs], np.float32).reshape(len(inputs), len(images))
    scales = np.array([stack_input.scale for stack_input in inputs], np.float32)
    limits = np.array([not_below(stack_input.limit) for stack_input in inputs], np.float32)
    noises = np.ones(len(inputs)) if weights is None else deviation_noise(weights)
    offsets = np.stack([whole_and_part(np.broadcast_to(stack_input.offset, shape[0])) for stack_input in inputs])
    columns = inputs[0].columns
    row_bytes = len(inputs) * columns * (2 if words else 4)
    height = min(shape[0], max(FEWEST_ROWS, BLOCK_BYTES // row_bytes))
    starts = range(0, shape[0], height)

    def work(worker: int) -> None:
        cube = np.empty((len(inputs), height, columns), np.uint16 if words else np.float32)
        for start in starts[worker::threads]:
            stop = min(start + height, shape[0])
            raw = cube[:, : stop - start] if stop - start == height else np.empty_like(cube[:, : stop - start])
            for stack_input, out in zip(inputs, raw, strict=True):
                stack_input.read(start, stop, out)
            masters = np.array([rows(start, stop) for rows in images], np.float32).reshape(-1, stop - start, shape[1])
            block = slice(start, stop)
            clip(
                raw, first_column, np.ascontiguousarray(offsets[:, block]), scales, limits, masters, factors,
                weights, noises, k, floor, mean[block], scatter[block], survivors[block], weight[block],
            )  # fmt: skip

    if threads == 1:
        work(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
    return mean, scatter, weight, survivors


def convert_to_numbers(stack_input: StackInput) -> StackInput:
    """Read stored integers as float32, to stack them with other frames of float32."""
    if not stack_input.words:
        return stack_input

    def read(start: int, stop: int, out: NDArray[np.float32]) -> None:
        words = np.empty(out.shape, np.uint16)
        stack_input.read(start, stop, words)
        out[:] = words.view(">i2")

    return replace(stack_input, read=read, words=False)


def _pool_scatter(mean: NDArray[np.float32], scatter: NDArray[np.float32], noise: _Noise, frames: int) -> float:
    """Pool measured over modelled scatter of strips of rows spread evenly over the image."""
    every = ceil(mean.size / POOLED_PIXELS)
    relative = [
        (scatter[strip] / noise.variance(mean, frames, strip.start, strip.stop)).ravel()
        for strip in cut_strips(len(mean), STRIP)[::every]
    ]
    return pool_scatter(np.concatenate(relative))


def _scale_errors(
    mean: NDArray[np.float32],
    scatter: NDArray[np.float32],
    weight: NDArray[Any],
    noise: _Noise,
    frames: int,
    ratio: float,
    bias: ClippingBias,
) -> NDArray[np.bool_]:
    """Turn the scatter into one standard error, in place; return which pixels are noisy."""
    noisy = np.zeros(mean.shape, dtype=bool)
    limit = (ratio * find_noisy_limit(frames)) ** 2
    factor = np.float32((ratio * bias.noise) ** 2)
    for strip in cut_strips(len(mean), STRIP):
        variance = np.asarray(noise.variance(mean, frames, strip.start, strip.stop), np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            np.greater(scatter[strip], variance * np.float32(limit), out=noisy[strip])
            np.sqrt(variance * factor / weight[strip].astype(np.float32), out=scatter[strip])
    return noisy


def find_noisy_limit(frames: int) -> float:
    """Find the scatter of ``frames`` values, in units of their noise, that a Gaussian exceeds once in ten million."""
    if frames < 3:
        return float("inf")
    from scipy.special import chdtri

    return max(NOISY_LEAST, float(np.sqrt(chdtri(frames - 1, NOISY_CHANCE) / (frames - 1))))
