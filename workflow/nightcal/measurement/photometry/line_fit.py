"""Fit a level or a line to measurements with outliers and intrinsic scatter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MEDIAN_OF_CHI_SQUARE = 0.4549
"""With one degree of freedom: the median of a squared Gaussian in units of its variance."""

ROUNDS = 20
"""Largest number of clipping rounds, and of Newton steps; more than five are rarely needed."""

HALVINGS = 14
"""Bisections for the scatter that defines outliers."""

PRECISION = 1e-9
"""Relative precision of chi^2 per degree of freedom."""

NO_RANGE = 1e-6
"""Points within this range of x determine no slope."""

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LineFit:
    """A straight line, its errors, and the points used.

    Attributes
    ----------
    level, level_error : float
        Value of the line at `centre`, and its 1 sigma error.
    slope, slope_error : float
        The error is 0 if the slope was not fitted: it was given, or all points have the same x and it is 0.
    centre : float
        Weighted mean of x, where the errors of level and slope are independent.
    intrinsic : float
        Scatter (1 sigma) in excess of the errors of the points.
    rms : float
        Of the residuals of the points kept.
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
    """Fit a weighted line with outlier rejection, intrinsic scatter and errors from a bootstrap.

    Parameters
    ----------
    x, y, variance : ndarray of float64, shape (n,)
        One or more finite points, and the variance of y, above 0.
    slope : float, optional
        Fixed slope: only the level is fitted. Fitting the slope needs at least three points.
    clip : float
        Points more than this many sigma from the line, with intrinsic scatter, are rejected.
    resamples : int
        Number of bootstrap resamples; 0 gives formal errors.
    seed : int
        Of the bootstrap.

    Returns
    -------
    LineFit

    Notes
    -----
    The scatter that defines outliers gives residual^2 / (variance + scatter^2) the median of a Gaussian: nearly half
    of the points may be outliers. The scatter that weights the points kept makes chi^2 equal to the number of degrees
    of freedom. The error is the larger of the formal and the bootstrap error (Rubin 1981, Annals of Statistics 9, 130),
    times the half-width that holds 68 percent of Student's distribution.
    """
    free = slope is None
    start = 0.0 if slope is None else slope
    line = (float(np.median(y - start * x)), start)
    kept = np.zeros(len(x), dtype=bool)
    extra = 0.0
    for _ in range(ROUNDS):
        before, residual = kept, y - line[0] - line[1] * x
        extra = _estimate_robust_scatter(residual, variance)
        kept = np.abs(residual) <= clip * np.sqrt(_widen_variance(len(x)) * (variance + extra))
        if np.array_equal(kept, before):
            break
        line = _fit(x[kept], y[kept], variance[kept] + extra, slope)
    return _fit_kept(x, y, variance, kept, free, line, resamples, seed)


def _fit_kept(
    x: Vector,
    y: Vector,
    variance: Vector,
    kept: NDArray[np.bool_],
    free: bool,
    line: tuple[float, float],
    resamples: int,
    seed: int,
) -> LineFit:
    """Fit the points kept, with the scatter that makes chi^2 equal to the degrees of freedom."""
    x, y, variance = x[kept], y[kept], variance[kept]
    free = free and _has_range(x)
    freedom = max(len(x) - 1 - free, 1)
    extra = 0.0
    for _ in range(3):
        extra = _estimate_fit_scatter(y - line[0] - line[1] * x, variance, freedom)
        line = _fit(x, y, variance + extra, None if free else line[1])
    weights = 1 / (variance + extra)
    centre = float(np.average(x, weights=weights))
    formal = np.array([1 / weights.sum(), 1 / np.sum(weights * (x - centre) ** 2) if free else 0.0])
    variances = formal
    if resamples:
        resampled = _bootstrap(x - centre, y - line[1] * x, weights, free, resamples, seed)
        variances = np.maximum(formal, resampled * (len(x) + 1) / freedom)
    error = np.sqrt(variances) * _widen_error(freedom)
    residual = y - line[0] - line[1] * x
    rms = float(np.sqrt(np.sum(residual**2) / freedom))
    return LineFit(
        line[0] + line[1] * centre, float(error[0]), line[1], float(error[1]), centre, float(np.sqrt(extra)), rms, kept
    )


def _fit(x: Vector, y: Vector, variance: Vector, slope: float | None) -> tuple[float, float]:
    """Fit a line by weighted least squares: its level at 0 and its slope."""
    if slope is None and not _has_range(x):
        slope = 0.0
    if slope is not None:
        return float(np.average(y - slope * x, weights=1 / variance)), slope
    from astropy.modeling import fitting, models

    # centring x keeps the normal equations well conditioned
    centre = float(np.mean(x))
    found = fitting.LinearLSQFitter()(models.Linear1D(), x - centre, y, weights=1 / np.sqrt(variance))
    tilt = float(found.slope.value)
    return float(found.intercept.value) - tilt * centre, tilt


def _has_range(x: Vector) -> bool:
    """Check that the points determine a slope."""
    return len(x) > 2 and float(np.ptp(x)) > NO_RANGE


def _bootstrap(x: Vector, y: Vector, weights: Vector, free: bool, resamples: int, seed: int) -> Vector:
    """Estimate the variance of level (at x = 0) and slope with a Bayesian bootstrap.

    Its continuous weights never reduce a few points to one.
    """
    shares = np.random.default_rng(seed).standard_exponential((resamples, len(x)))
    moments = np.stack([weights, weights * x, weights * y, weights * x * x, weights * x * y], axis=1)
    # the last bits of a matrix product depend on the number of threads
    one, mx, my, mxx, mxy = np.einsum("bi,ij->jb", shares, moments)
    if not free:
        return np.array([np.var(my / one), 0.0])
    spread = one * mxx - mx**2
    return np.array([np.var((mxx * my - mx * mxy) / spread), np.var((one * mxy - mx * my) / spread)])


def _estimate_robust_scatter(residual: Vector, variance: Vector) -> float:
    """Find the variance to add so that the median of residual^2 / variance is at most that of a Gaussian."""
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


def _estimate_fit_scatter(residual: Vector, variance: Vector, freedom: int) -> float:
    """Find the variance to add so that chi^2 is at most the number of degrees of freedom."""
    squared, extra = residual**2, 0.0
    for _ in range(ROUNDS):
        total = variance + extra
        chi_square = float(np.sum(squared / total))
        if chi_square <= (1 + PRECISION) * freedom:
            break
        # Newton step for 1 / chi^2, a concave function of the scatter: it never overshoots
        extra += (chi_square / freedom - 1) * chi_square / float(np.sum(squared / total**2))
    return extra


def _widen_variance(n: int) -> float:
    """Widen the variance that defines outliers: with few points it is often too small by chance."""
    return 1 + 10 / n


def _widen_error(freedom: int) -> float:
    """Find the half-width that holds 68.3 percent of Student's t (Abramowitz and Stegun 26.7.5 at x = 1)."""
    return 1 + 1 / (2 * freedom) + 1 / (4 * freedom**2) + 1 / (16 * freedom**3)
