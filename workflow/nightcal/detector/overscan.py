"""Measure the bias level of a readout in its overscan pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, member

import numpy as np
from numpy.typing import NDArray

from nightcal.io.sections import Area, as_area
from nightcal.numerics.robust import QUANTISATION, RSTD, clipped_mean, median

Image = NDArray[np.generic]

MEDIAN_VARIANCE = np.pi / 2
"""Variance of the median of many Gaussian values, relative to that of their mean."""

SMOOTH_ORDER = 3
RUNNING_ROWS = 33
OverscanAreas = Area | Mapping[str, int] | Sequence[Area | Mapping[str, int]]

ALL_ROWS = slice(None)


@dataclass(frozen=True, slots=True)
class OverscanLevel:
    """Bias level of a frame, measured in the overscan.

    Attributes
    ----------
    value, variance : ndarray of float64
        [ADU], [ADU^2]; shape () for a single level, (ny, 1) for a level per row, (ny, nx) for a user's own method.
    """

    value: NDArray[np.float64]
    variance: NDArray[np.float64]

    def cut_rows(self, start: int, stop: int) -> OverscanLevel:
        """Cut out the level of some rows.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, of the image as read out.

        Returns
        -------
        OverscanLevel
            Unchanged for a single level.
        """

        def cut(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return values if values.ndim == 0 else values[start:stop]

        return OverscanLevel(cut(self.value), cut(self.variance))

    def cut_columns(self, columns: slice) -> OverscanLevel:
        """Cut out the level of some columns; unchanged if the level is the same in all columns."""

        def cut(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return values[:, columns] if values.ndim == 2 and values.shape[1] > 1 else values

        return OverscanLevel(cut(self.value), cut(self.variance))


def _read_pixels(image: Image, overscans: Sequence[Area]) -> NDArray[np.float64]:
    values = np.concatenate([np.asarray(image[area.slices], dtype=np.float64).ravel() for area in overscans])
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise ValueError("the overscan areas contain no finite pixel")
    return values


def _read_rows(image: Image, overscans: Sequence[Area]) -> NDArray[np.float64]:
    """Read the overscan pixels of each row, shape (n, ny); missing pixels are NaN."""
    columns = np.full((image.shape[0], sum(area.shape[1] for area in overscans)), np.nan)
    left = 0
    for area in overscans:
        right = left + area.shape[1]
        columns[area.ymin : area.ymax, left:right] = image[area.slices]
        left = right
    columns[~np.isfinite(columns)] = np.nan
    if not np.isfinite(columns).any():
        raise ValueError("the overscan areas contain no finite pixel")
    return columns.T


def _find_scatter(values: NDArray[np.float64], step: float) -> float:
    """Find the scatter of digitised values, at least that of digitisation."""
    rounding = QUANTISATION * step
    return max(float(clipped_mean(values, 3.5, rounding).scatter), rounding) if values.size > 1 else 0.0


def _find_rounding_variance(values: NDArray[np.float64], step: float) -> float:
    """Find the variance of rounding a median of integer ADU."""
    finite = values[np.isfinite(values)]
    return (QUANTISATION * step) ** 2 if np.array_equal(finite, np.rint(finite)) else 0.0


def _median(image: Image, overscans: Sequence[Area], step: float) -> OverscanLevel:
    values = _read_pixels(image, overscans)
    error = MEDIAN_VARIANCE * _find_scatter(values, step) ** 2 / values.size
    return OverscanLevel(np.asarray(np.median(values)), np.asarray(error + _find_rounding_variance(values, step)))


def _mean(image: Image, overscans: Sequence[Area], step: float) -> OverscanLevel:
    values = _read_pixels(image, overscans)
    return OverscanLevel(
        np.asarray(values.mean()), np.asarray(values.var(ddof=1) / values.size if values.size > 1 else 0.0)
    )


def _clipped_mean(image: Image, overscans: Sequence[Area], step: float) -> OverscanLevel:
    values = _read_pixels(image, overscans)
    rounding = QUANTISATION * step
    clipped = clipped_mean(values, 3.5, rounding)
    scatter = max(float(clipped.scatter), rounding) if values.size > 1 else 0.0
    return OverscanLevel(clipped.mean, np.asarray(scatter**2 / clipped.survivors))


def _row_median(image: Image, overscans: Sequence[Area], step: float) -> OverscanLevel:
    values = _read_rows(image, overscans)
    number = np.isfinite(values).sum(axis=0)
    scatter = _find_scatter(_find_residuals(values), step)
    variance = np.where(number > 2, MEDIAN_VARIANCE, 1.0) * scatter**2 / np.maximum(number, 1)
    variance += _find_rounding_variance(values, step)
    return OverscanLevel(median(values)[:, np.newaxis], variance[:, np.newaxis])


def _row_mean(image: Image, overscans: Sequence[Area], step: float) -> OverscanLevel:
    values = _read_rows(image, overscans)
    number = np.isfinite(values).sum(axis=0)
    variance = _find_scatter(_find_residuals(values), step) ** 2 / np.maximum(number, 1)
    return OverscanLevel(_average_rows(values)[:, np.newaxis], variance[:, np.newaxis])


def _smooth(image: Image, overscans: Sequence[Area], step: float) -> OverscanLevel:
    from astropy.modeling.fitting import FittingWithOutlierRemoval, LinearLSQFitter
    from astropy.modeling.models import Chebyshev1D
    from astropy.stats import sigma_clip

    rows = _row_mean(image, overscans, step)
    y = np.linspace(-1, 1, len(rows.value)) if len(rows.value) > 1 else np.zeros(1)
    seen = np.isfinite(rows.value[:, 0])
    order = min(SMOOTH_ORDER, int(seen.sum()) - 1)
    fit = FittingWithOutlierRemoval(LinearLSQFitter(), sigma_clip, niter=3, sigma=3.5, stdfunc="mad_std")
    model, _ = fit(Chebyshev1D(order), y[seen], rows.value[seen, 0])
    basis = np.polynomial.chebyshev.chebvander(y, order)
    leverage = np.einsum("ij,jk,ik->i", basis, np.linalg.pinv(basis[seen].T @ basis[seen]), basis)
    value = np.where(seen, model(y), np.nan)  # no extrapolation to rows without overscan
    return OverscanLevel(value[:, np.newaxis], (leverage * np.median(rows.variance[seen]))[:, np.newaxis])


def _average_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the overscan pixels of each row; NaN for rows without any."""
    with np.errstate(invalid="ignore"):
        return np.nansum(values, axis=0) / np.isfinite(values).sum(axis=0)


def _find_residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the mean of each row, and scale the rest to the scatter of single pixels."""
    number = np.isfinite(values).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        residuals = (values - _average_rows(values)) * np.sqrt(number / (number - 1.0))
    return residuals[np.isfinite(residuals)]


def _row_running(image: Image, overscans: Sequence[Area], step: float) -> OverscanLevel:
    rows = _row_mean(image, overscans, step)
    seen = np.flatnonzero(np.isfinite(rows.value[:, 0]))
    means = rows.value[seen, 0]
    number = _sum_windows(np.ones(len(seen)))
    smooth = _sum_windows(means) / number
    off = np.abs(means - smooth - np.median(means - smooth))
    good = off <= 3.5 * max(RSTD * float(np.median(off)), 1e-9)
    number = _sum_windows(good.astype(float))
    value, variance = np.full((2, len(rows.value)), np.nan)
    value[seen] = np.where(number > 0, _sum_windows(np.where(good, means, 0.0)) / np.maximum(number, 1), smooth)
    variance[seen] = np.median(rows.variance[seen]) / np.maximum(number, 1)
    return OverscanLevel(value[:, np.newaxis], variance[:, np.newaxis])


def _sum_windows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum windows of `RUNNING_ROWS` values, fewer at the ends."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    half = RUNNING_ROWS // 2
    return sums[np.minimum(place + half + 1, len(values))] - sums[np.maximum(place - half, 0)]


class OverscanMethods(Enum):
    """Methods of measuring and subtracting the overscan level.

    A method is a callable ``(image, overscans) -> corrected image``, like a user's own function; `find_level` returns
    the level and its variance.

    * ``median``, ``mean``: a single level from all overscan pixels.
    * ``clipped_mean``: the mean within 3.5 rstd of the median, used by the pipeline because the median of integer ADU
      can be off by half an ADU.
    * ``row_median``, ``row_mean``: a level per row.
    * ``row_running``: a running mean of 33 rows, without outlying rows.
    * ``smooth``: a cubic (Chebyshev) fitted to the means of the rows, with outlying rows rejected.
    """

    median = member(_median)
    mean = member(_mean)
    clipped_mean = member(_clipped_mean)
    row_median = member(_row_median)
    row_mean = member(_row_mean)
    row_running = member(_row_running)
    smooth = member(_smooth)

    def find_level(
        self, image: Image, overscans: Sequence[Area], rows: slice = ALL_ROWS, step: float = 1.0
    ) -> OverscanLevel:
        """Measure the overscan level of an image.

        Parameters
        ----------
        image : ndarray, shape (ny, nx)
            Raw image [ADU].
        overscans : sequence of Area
            One or more overscan areas inside the image.
        rows : slice
            Rows that need a level, usually those of the light-sensitive pixels.
        step : float
            Of the ADC [ADU].

        Returns
        -------
        OverscanLevel

        Raises
        ------
        ValueError
            If a row-by-row method meets a row without overscan pixels.
        """
        level: OverscanLevel = self.value(image, overscans, step)
        if level.value.ndim == 2 and not np.isfinite(level.value[rows]).all():
            missing = range(*rows.indices(len(level.value)))[int(np.argmin(np.isfinite(level.value[rows]).all(axis=1)))]
            raise ValueError(
                f"row {missing} has no overscan pixel; a row-by-row method needs overscan beside every row"
            )
        return level

    def __call__(self, image: Image, overscans: OverscanAreas) -> NDArray[np.float64]:
        """Subtract the overscan level.

        Parameters
        ----------
        image : ndarray, shape (ny, nx)
            Raw image [ADU].
        overscans : dict, Area, or sequence of them
            Overscan areas; dictionaries have ``xmin``, ``xmax``, ``ymin`` and ``ymax``, 0-based and half-open.

        Returns
        -------
        ndarray of float64, shape (ny, nx)
            [ADU]
        """
        listed = [overscans] if isinstance(overscans, Area | Mapping) else overscans
        return np.asarray(image, dtype=np.float64) - self.find_level(image, [as_area(area) for area in listed]).value

    def __str__(self) -> str:
        return self.name


def measure_read_noise(image: Image, overscans: Sequence[Area]) -> float:
    """Measure the read noise of a single frame from the scatter of its overscan.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Raw image [ADU].
    overscans : sequence of Area
        Inside the image.

    Returns
    -------
    float
        [ADU], including digitisation noise.

    Notes
    -----
    Uses differences of neighbouring pixels, which cancel drifts and slopes of the level. Differences beyond 5 rstd (or
    3 ADU, for a read noise below the digitisation step) are left out.
    """
    differences = []
    for area in overscans:
        pixels = np.asarray(image[area.slices], dtype=np.float64)
        differences.append(np.diff(pixels, axis=1 if pixels.shape[1] > 1 else 0).ravel())
    values = np.concatenate(differences)
    values = values[np.isfinite(values)] / np.sqrt(2)
    return max(float(clipped_mean(values, 5.0, 2 * QUANTISATION).scatter), QUANTISATION) if values.size > 1 else 0.0
