"""Finding sources: a matched filter that knows the error of every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIP = 64
BRIGHT = 5.0
"""Signal in units of the sky's noise from which on a pixel's own shot noise does not count against it."""

SEEN = 0.1
"""Part of a star's weight that must fall on good pixels."""

NARROWER = 0.6
"""Width of the filter in that of a star: it costs 12 percent of the signal to noise, and tells closer pairs apart."""

NARROWEST = 0.7
"""Smallest standard deviation of the filter [pix]: it must reach over a bad column."""

BUFFERS = (1_000_000, 20_000_000)
"""Pixels above the threshold that sep may hold at a time: at first, and where that is too few."""

SUB_OBJECTS = (1024, 16384)
"""Parts into which sep may divide one group of pixels."""

FULL = ("pixel buffer full", "overflow")

Image = NDArray[np.float32]


def matched_filter(data: Image, uncertainty: Image, hidden: NDArray[np.bool_], noise: Image, sigma: float) -> Any:
    """Flux of a star centred on each pixel, by least squares, and its error.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Without the sky.
    hidden : ndarray of bool, shape (ny, nx)
        Pixels that must not be used.
    noise : ndarray of float32, shape (ny, nx)
        What the uncertainty is on the sky, smooth.
    sigma : float
        Of a Gaussian star [pix].

    Returns
    -------
    flux, error : ndarray of float32, shape (ny, nx)
        Flux 0 where too few of the pixels around are good.

    Notes
    -----
    With the star's profile G and weights ``w = 1 / noise^2``, 0 for hidden pixels, the flux is
    ``sum G w data / sum G^2 w``, its error ``1 / sqrt(sum G^2 w)``. Within bright sources the noise is that of the sky
    beside them: with their own shot noise the filter would flatten their peaks, and deblending would suffer.
    """
    width = max(NARROWER * sigma, NARROWEST)
    half = max(1, round(2.5 * width))
    profile = np.exp(-0.5 * (np.arange(half + 1) / width) ** 2)
    profile /= 2 * profile.sum() - profile[0]
    flux, error = np.empty_like(data), np.empty_like(data)
    taps, squares = profile.astype(np.float32), (profile**2).astype(np.float32)
    norm = np.float32((2 * squares.sum() - squares[0]) ** 2)
    for start in range(0, len(data), STRIP):
        stop = min(start + STRIP, len(data))
        low, high = max(0, start - half), min(len(data), stop + half)
        around = slice(low, high)
        weight = _weights(data[around], uncertainty[around], hidden[around], noise[around])
        margin = ((half - start + low, half - high + stop), (0, 0))
        signal = _smooth(np.pad(data[around] * weight, margin), taps)
        power = _smooth(np.pad(weight, margin), squares)
        typical = norm / np.maximum(noise[start:stop], np.float32(1e-20)) ** 2
        poor = power < SEEN * typical
        np.maximum(power, SEEN * typical, out=power)
        signal[poor] = 0
        np.divide(signal, power, out=flux[start:stop])
        np.divide(1, np.sqrt(power, out=power), out=error[start:stop])
    return flux, error


def _weights(data: Image, uncertainty: Image, hidden: NDArray[np.bool_], noise: Image) -> Image:
    sigma = np.where(data > BRIGHT * noise, np.minimum(uncertainty, noise), uncertainty)
    sigma *= sigma
    np.maximum(sigma, np.float32(1e-12), out=sigma)
    np.divide(1, sigma, out=sigma)
    sigma[hidden] = 0
    return sigma


def _smooth(image: Image, taps: Image) -> Image:
    """Convolve with a symmetric profile along both axes; loses the rows at top and bottom that the profile reaches."""
    half = len(taps) - 1
    rows = len(image) - 2 * half
    down = image[half : half + rows] * taps[0]
    for k in range(1, half + 1):
        pair = image[half - k : half - k + rows] + image[half + k : half + k + rows]
        pair *= taps[k]
        down += pair
    wide = np.pad(down, ((0, 0), (half, half)))
    columns = image.shape[1]
    across = down * taps[0]
    for k in range(1, half + 1):
        pair = wide[:, half - k : half - k + columns] + wide[:, half + k : half + k + columns]
        pair *= taps[k]
        across += pair
    return across


def extract(flux: Image, error: Image, threshold: float, area: int, levels: int, contrast: float) -> tuple[Any, str]:
    """Find peaks of a filtered image that stand out, and separate what overlaps.

    Parameters
    ----------
    flux, error : ndarray of float32, shape (ny, nx)
        Of `matched_filter`.
    threshold : float
        In units of the error.
    area : int
        Smallest number of connected pixels above the threshold.
    levels : int
        Number of thresholds for deblending.
    contrast : float
        Smallest part of the light for a source of its own.

    Returns
    -------
    objects : structured ndarray
        As `sep.extract` returns it.
    words : str
        What had to be given up; empty if nothing.
    """
    import sep

    def attempt(buffer: int, parts: int, levels: int) -> Any:
        sep.set_extract_pixstack(buffer)
        sep.set_sub_object_limit(parts)
        return sep.extract(
            flux, threshold, err=error, minarea=area, filter_kernel=None, deblend_nthresh=levels, deblend_cont=contrast
        )

    for buffer in BUFFERS:
        for parts in SUB_OBJECTS:
            try:
                return attempt(buffer, parts, levels), ""
            except Exception as problem:  # sep has no class of its own for a full buffer
                if not any(words in str(problem) for words in FULL):
                    raise
    return attempt(flux.size + 1, SUB_OBJECTS[-1], 1), "too many overlapping sources to separate them"
