"""Check a master against its own frames: what is left of each, once the master is taken off, should be its noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.flags import MaskBits
from nightcal.io.keywords import set_cards
from nightcal.masters.portraits import choose_samples
from nightcal.stacking.calibration_frame import CalibrationFrame, release

FEWEST = 2
"""Frames whose residuals tell anything."""

FEWEST_FOR_HALVES = 4

FEWEST_PIXELS = 500
"""Sampled pixels of an amplifier from which its noise is known to 3 percent."""

WINSOR = 4.0
"""Residuals farther out than this many sigma count as if they were there: cosmic rays are not in the master."""

Values = NDArray[np.float64]
Sample = Callable[[CalibrationFrame, slice, int], NDArray[np.float32]]
"""Reads every n-th pixel of some rows of a frame, as it enters the stack."""


@dataclass(frozen=True, slots=True)
class Residual:
    """What is left of the frames of a master in one amplifier.

    Attributes
    ----------
    mean : float
        In units of its error.
    noise : float
        Over what gain and read noise promise.
    halves : float or None
        Noise of the difference between odd and even frames, over what they promise; None for fewer than 4 frames.
    """

    mean: float
    noise: float
    halves: float | None


def measure_residual(samples: Values, variances: Values, master: Values) -> Residual | None:
    """Measure what is left of the frames of a master.

    Parameters
    ----------
    samples, variances : ndarray of float64, shape (n, pixels)
        The same pixels of each frame as they enter the stack, NaN where unusable, and the variance that gain and read
        noise promise.
    master : ndarray of float64, shape (pixels,)
        NaN where it is flagged.

    Returns
    -------
    Residual or None
        None for fewer than 2 frames or 500 pixels.

    Notes
    -----
    A frame is part of the mean from which it is subtracted, so the variance of its residual is smaller by its share of
    the weight (inverse variance).
    """
    usable = np.isfinite(samples).all(axis=0) & np.isfinite(master) & (variances > 0).all(axis=0)
    if len(samples) < FEWEST or np.count_nonzero(usable) < FEWEST_PIXELS:
        return None
    samples, variances, master = samples[:, usable], variances[:, usable], master[usable]
    typical = variances.mean(axis=1)
    share = (1 / typical) / np.sum(1 / typical)
    pull = (samples - master) / np.sqrt(variances * (1 - share)[:, np.newaxis])
    pull = np.clip(pull, -WINSOR, WINSOR)
    halves = None
    if len(samples) >= FEWEST_FOR_HALVES:
        odd, even = samples[::2], samples[1::2]
        variance = variances[::2].sum(axis=0) / len(odd) ** 2 + variances[1::2].sum(axis=0) / len(even) ** 2
        apart = (odd.mean(axis=0) - even.mean(axis=0)) / np.sqrt(variance)
        halves = float(np.sqrt(np.mean(np.clip(apart, -WINSOR, WINSOR) ** 2)))
    return Residual(float(pull.mean() * pull.size**0.5), float(np.sqrt(np.mean(pull**2))), halves)


def note_residuals(
    header: fits.Header,
    frames: Sequence[CalibrationFrame],
    image: NDArray[np.float32],
    mask: MaskBits,
    read: Sample,
    promise: Callable[[CalibrationFrame, Values], Values],
) -> None:
    """Note in the header of a master what is left of its frames, for each amplifier.

    Parameters
    ----------
    header : astropy.io.fits.Header
        Changed in place.
    frames : sequence of CalibrationFrame
    image : ndarray of float32, shape (ny, nx)
        The stack.
    mask : ndarray of int16, shape (ny, nx)
        Of the master.
    read : function
        Reads the pixels of a frame as they enter the stack.
    promise : function
        Finds the variance of a frame where the stack has some values, in the unit of the stack.
    """
    rows, step = choose_samples(image.shape)
    sampled = []
    for frame in frames:
        sampled.append(np.concatenate([read(frame, slice(row, row + 1), step).ravel() for row in rows]))
        release(frame)
    samples = np.stack(sampled).astype(np.float64)
    picked, flags = image[rows, ::step].astype(np.float64), mask[rows, ::step] != 0
    for n, (area, _) in enumerate(frames[0].readout.shares, start=1):
        whole = np.zeros(image.shape, dtype=bool)
        whole[area.slices] = True
        inside = whole[rows, ::step].ravel()
        master = np.where(flags, np.nan, picked).ravel()[inside]
        parts = [replace(frame, readout=frame.readout.shares[n - 1][1]) for frame in frames]
        variances = np.stack([promise(part, master) for part in parts])
        residual = measure_residual(samples[:, inside], variances, master)
        if residual is not None:
            cards = {f"RESMEAN{n}": residual.mean, f"RESNOIS{n}": residual.noise}
            cards |= {} if residual.halves is None else {f"RESHALF{n}": residual.halves}
            set_cards(header, {name: float(f"{value:.4g}") for name, value in cards.items()})
