"""Detect sources with a matched filter weighted by the error of every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STRIP = 64
BRIGHT = 5.0
"""Above this signal-to-noise ratio the shot noise of a pixel's own signal is ignored."""

SEEN = 0.1
"""Fraction of the filter's weight that must fall on good pixels."""

NARROWER = 0.6
"""Width of the filter relative to a star: separates closer pairs, at the cost of 12 percent in signal to noise."""

NARROWEST = 0.7
"""Smallest standard deviation of the filter [pix]: it must bridge a bad column."""

BUFFERS = (1_000_000, 20_000_000)
"""Number of pixels above the threshold that sep may hold: first try, and second try if that is too few."""

SUB_OBJECTS = (1024, 16384)
"""Number of parts into which sep may divide one group of pixels."""

FULL = ("pixel buffer full", "overflow")

Image = NDArray[np.float32]


def apply_matched_filter(data: Image, uncertainty: Image, hidden: NDArray[np.bool_], noise: Image, sigma: float) -> Any:
    """Fit the flux of a star centred on each pixel by least squares.

    Parameters
    ----------
    data, uncertainty : ndarray of float32, shape (ny, nx)
        Sky subtracted.
    hidden : ndarray of bool, shape (ny, nx)
        Pixels that must not be used.
    noise : ndarray of float32, shape (ny, nx)
        Uncertainty of the sky, smoothed.
    sigma : float
        Standard deviation of a star [pix].

    Returns
    -------
    flux, error : ndarray of float32, shape (ny, nx)
        The flux is 0 where too few of the surrounding pixels are good.

    Notes
    -----
    With the profile G of a star and weights ``w = 1 / noise^2`` (0 for hidden pixels), the flux is
    ``sum G w data / sum G^2 w`` and its error ``1 / sqrt(sum G^2 w)``. Within bright sources the noise is that of the
    surrounding sky: their own shot noise would flatten the filtered peaks, and deblending would suffer.
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
        weight = _weigh_pixels(data[around], uncertainty[around], hidden[around], noise[around])
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


def _weigh_pixels(data: Image, uncertainty: Image, hidden: NDArray[np.bool_], noise: Image) -> Image:
    """Compute the weights 1 / noise^2, without the shot noise of bright sources."""
    sigma = np.where(data > BRIGHT * noise, np.minimum(uncertainty, noise), uncertainty)
    sigma *= sigma
    np.maximum(sigma, np.float32(1e-12), out=sigma)
    np.divide(1, sigma, out=sigma)
    sigma[hidden] = 0
    return sigma


def _smooth(image: Image, taps: Image) -> Image:
    """Convolve with a symmetric profile along both axes, dropping the rows at top and bottom that it needs."""
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
    """Extract sources from a filtered image and separate overlapping ones.

    Parameters
    ----------
    flux, error : ndarray of float32, shape (ny, nx)
        From `apply_matched_filter`.
    threshold : float
        In units of the error.
    area : int
        Smallest number of connected pixels above the threshold.
    levels : int
        Number of thresholds for deblending.
    contrast : float
        Smallest fraction of the flux for a separate source.

    Returns
    -------
    objects : structured ndarray
        As `sep.extract` returns it.
    problem : str
        Why overlapping sources were not separated; empty if they were.
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
            except Exception as problem:  # sep has no exception class for a full buffer
                if not any(words in str(problem) for words in FULL):
                    raise
    return attempt(flux.size + 1, SUB_OBJECTS[-1], 1), "too many overlapping sources to separate them"


def measure_largest_group(bright: NDArray[np.bool_]) -> int:
    """Count the pixels of the largest group of pixels that touch each other, before overlapping sources are separated.

    Parameters
    ----------
    bright : ndarray of bool, shape (ny, nx)

    Returns
    -------
    int
    """
    from scipy.ndimage import label

    groups, number = label(bright, np.ones((3, 3)), output=np.int32)
    return int(np.bincount(groups[bright]).max()) if number else 0
