"""A level, or a line, through measurements of which some are wrong and all scatter more than their errors say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEDIAN_OF_CHI_SQUARE = 0.4549
"""Of one degree of freedom: the median of a squared Gaussian in units of its variance."""

ROUNDS = 20
"""At most, of clipping and fitting, and of Newton's steps; seldom more than five are needed."""

HALVINGS = 14
"""Of the interval of a scatter that decides who is an outlier."""

PRECISION = 1e-9
"""To which chi^2 is made what it should be."""

NO_RANGE = 1e-6
"""Of x: points this near to each other tell no slope."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LineFit:
    """A straight line, its errors, and which points it was made of.

    Attributes
    ----------
    level, level_error : float
        The line at `centre`, and one sigma.
    slope, slope_error : float
        An error of 0 says that the slope was not fitted: it was given, or all points left have one x and it is 0.
    centre : float
        Mean of x with the weights of the fit: there, errors of level and slope are independent.
    intrinsic : float
        Scatter, one sigma, that the errors of the points do not explain.
    rms : float
        Of the residuals of the points that were kept.
    kept : ndarray of bool, shape (n,)
    """

    level: float
    level_error: float
    slope: float
    slope_error: float
    centre: float
    intrinsic: float
    rms: float
    kept: NDArray[np.bool_]


def fit_line(
    x: Vector,
    y: Vector,
    variance: Vector,
    *,
    slope: float | None = None,
    clip: float = 3.5,
    resamples: int = 500,
    seed: int = 0,
) -> LineFit:
    """Fit a line with weights, without outliers, with an intrinsic scatter and with errors from resampling.

    Parameters
    ----------
    x, y, variance : ndarray of float64, shape (n,)
        Points, one or more, all finite; variance of y, above 0.
    slope : float, optional
        Keep it at this value and fit the level only; at least three points are needed to fit it.
    clip : float
        Points further from the line than this many sigma, intrinsic scatter included, are left out.
    resamples : int
        Of the bootstrap; 0 gives formal errors.
    seed : int
        Of its random numbers.

    Returns
    -------
    LineFit

    Notes
    -----
    The scatter that decides who is an outlier is found such that the median of residual^2 / (variance + scatter^2) is
    that of a Gaussian: up to nearly half the points may be wrong. The one that weighs those left is found such that
    chi^2 is the number of degrees of freedom. The error is the larger of the formal one and the bootstrap's (Rubin
    1981, Annals of Statistics 9, 130), times the half-width that holds 68 percent of Student's distribution.
    """
    free = slope is None
    start = 0.0 if slope is None else slope
    line = (float(np.median(y - start * x)), start)
    kept = np.zeros(len(x), dtype=bool)
    extra = 0.0
    for _ in range(ROUNDS):
        before, residual = kept, y - line[0] - line[1] * x
        extra = _robust_extra(residual, variance)
        kept = np.abs(residual) <= clip * np.sqrt(_widening(len(x)) * (variance + extra))
        if np.array_equal(kept, before):
            break
        line = _fit(x[kept], y[kept], variance[kept] + extra, slope)
    return _weigh(x, y, variance, kept, free, line, resamples, seed)


def _weigh(
    x: Vector,
    y: Vector,
    variance: Vector,
    kept: NDArray[np.bool_],
    free: bool,
    line: tuple[float, float],
    resamples: int,
    seed: int,
) -> LineFit:
    """Fit the points that were kept with the scatter that makes chi^2 what it should be."""
    x, y, variance = x[kept], y[kept], variance[kept]
    free = free and _tells_slope(x)
    freedom = max(len(x) - 1 - free, 1)
    extra = 0.0
    for _ in range(3):
        extra = _fitting_extra(y - line[0] - line[1] * x, variance, freedom)
        line = _fit(x, y, variance + extra, None if free else line[1])
    weights = 1 / (variance + extra)
    centre = float(np.average(x, weights=weights))
    formal = np.array([1 / weights.sum(), 1 / np.sum(weights * (x - centre) ** 2) if free else 0.0])
    variances = formal
    if resamples:
        resampled = _bootstrap(x - centre, y - line[1] * x, weights, free, resamples, seed)
        variances = np.maximum(formal, resampled * (len(x) + 1) / freedom)
    error = np.sqrt(variances) * _student(freedom)
    residual = y - line[0] - line[1] * x
    rms = float(np.sqrt(np.sum(residual**2) / freedom))
    return LineFit(
        line[0] + line[1] * centre, float(error[0]), line[1], float(error[1]), centre, float(np.sqrt(extra)), rms, kept
    )


def _fit(x: Vector, y: Vector, variance: Vector, slope: float | None) -> tuple[float, float]:
    """Level at 0 and slope of the weighted least-squares line."""
    if slope is None and not _tells_slope(x):
        slope = 0.0
    if slope is not None:
        return float(np.average(y - slope * x, weights=1 / variance)), slope
    from astropy.modeling import fitting, models

    # a centred x keeps the normal equations well conditioned
    centre = float(np.mean(x))
    found = fitting.LinearLSQFitter()(models.Linear1D(), x - centre, y, weights=1 / np.sqrt(variance))
    tilt = float(found.slope.value)
    return float(found.intercept.value) - tilt * centre, tilt


def _tells_slope(x: Vector) -> bool:
    return len(x) > 2 and float(np.ptp(x)) > NO_RANGE


def _bootstrap(x: Vector, y: Vector, weights: Vector, free: bool, resamples: int, seed: int) -> Vector:
    """Variance of level at x = 0 and slope when the points are given random shares, all in one sweep.

    The shares are continuous (a Bayesian bootstrap), so that few points never collapse into one.
    """
    shares = np.random.default_rng(seed).standard_exponential((resamples, len(x)))
    moments = np.stack([weights, weights * x, weights * y, weights * x * x, weights * x * y], axis=1)
    # not a matrix product: its last bits depend on the number of threads
    one, mx, my, mxx, mxy = np.einsum("bi,ij->jb", shares, moments)
    if not free:
        return np.array([np.var(my / one), 0.0])
    spread = one * mxx - mx**2
    return np.array([np.var((mxx * my - mx * mxy) / spread), np.var((one * mxy - mx * my) / spread)])


def _robust_extra(residual: Vector, variance: Vector) -> float:
    """Variance to add so that the median of residual^2 / variance is that of a Gaussian; 0 if it is already."""
    squared = residual**2
    low, high = 0.0, float(np.median(squared)) / MEDIAN_OF_CHI_SQUARE
    if np.median(squared / variance) <= MEDIAN_OF_CHI_SQUARE:
        return 0.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if np.median(squared / (variance + middle)) > MEDIAN_OF_CHI_SQUARE:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _fitting_extra(residual: Vector, variance: Vector, freedom: int) -> float:
    """Variance to add so that chi^2 is the number of degrees of freedom; 0 if it is already."""
    squared, extra = residual**2, 0.0
    for _ in range(ROUNDS):
        total = variance + extra
        chi_square = float(np.sum(squared / total))
        if chi_square <= (1 + PRECISION) * freedom:
            break
        # Newton's step of 1 / chi^2, which is a concave function of the scatter: it never goes too far
        extra += (chi_square / freedom - 1) * chi_square / float(np.sum(squared / total**2))
    return extra


def _widening(n: int) -> float:
    """Factor on the variance that decides who is an outlier: of few points it is often too small by chance."""
    return 1 + 10 / n


def _student(freedom: int) -> float:
    """Half-width that holds 68.3 percent of Student's t (Abramowitz and Stegun 26.7.5 at x = 1)."""
    return 1 + 1 / (2 * freedom) + 1 / (4 * freedom**2) + 1 / (16 * freedom**3)
