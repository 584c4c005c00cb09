"""Measure gain and read noise of amplifiers from pairs of bias frames and flats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nightcal.detector.gain import ASSUMED, GainAndReadNoise
from nightcal.detector.subimages import (
    Subimages,
    SubimageValues,
    Values,
    find_subimage_medians,
    measure_neighbour_correlation,
    measure_subimage_variances,
)
from nightcal.numerics.robust import RSTD

MOST = 4000
"""Number of subimages of flats from which on no flats of other filters are read."""

ENOUGH = 1000
"""Number of subimages that suffices: read noise to 0.1 percent, gain to 0.2."""

FEWEST_SUBIMAGES = 4
FAINTEST = 1.0  # lowest photon noise of a pair of flats, in units of the read noise variance
LARGEST_RATIO = 5.0  # of the signals of two flats
SMALLEST_GAIN, LARGEST_GAIN = 1e-3, 100.0
FLOOR = 0.5  # ADU: lower limit of the rstd of a difference of two frames

LARGEST_ERROR = 0.01
"""Largest relative error of a good measurement."""

FEWEST_PAIRS = 3
LARGEST_CORRELATION = 0.03
"""Largest fraction of the noise that neighbouring pixels may share, in flats for a good measurement."""

LARGEST_SCATTER = 0.02
"""Largest scatter of the pairs of flats of a good measurement, as a fraction, beyond that of their noise."""

SAME_SIDE = 2 / np.pi * np.arcsin(0.25)
"""Correlation of the sides of the median of two Gaussian values that are correlated by 1/4."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A measured value and its standard error."""

    value: float
    error: float


class Pairs:
    """Measurements from pairs of successive frames of an amplifier.

    Parameters
    ----------
    compare : function
        Measures the subimages of two frames; values that cannot be measured are not finite or missing.
    """

    def __init__(self, compare: Callable[[Subimages, Subimages], SubimageValues]) -> None:
        self._compare = compare
        self._previous: Subimages | None = None
        self._values: list[SubimageValues] = []
        self._last_succeeded = False
        self._shared = 0

    def add(self, subimages: Subimages) -> None:
        """Compare a frame with the previous frame."""
        if self._previous is not None:
            values = self._compare(self._previous, subimages)
            known = np.isfinite(values.value)
            if known.any():
                self._values.append(SubimageValues(values.value[known], values.error[known]))
                self._shared += self._last_succeeded
            self._last_succeeded = bool(known.any())
        self._previous = subimages

    def start_new_set(self) -> None:
        """Start a new set: the next frame is not compared with the last."""
        self._previous, self._last_succeeded = None, False

    @property
    def n_pairs(self) -> int:
        """Number of pairs with a measurement."""
        return len(self._values)

    @property
    def n_subimages(self) -> int:
        """Number of subimages measured in all pairs."""
        return sum(len(values.value) for values in self._values)

    @property
    def is_enough(self) -> bool:
        """Whether no further pair is needed."""
        return self.n_subimages >= ENOUGH

    def find_scatter(self) -> float:
        """Find the relative scatter of the medians of the pairs beyond that of their errors; 0 for one pair."""
        if self.n_pairs < 2:
            return 0.0
        medians = np.array([np.median(values.value) for values in self._values])
        errors = [np.sqrt(np.pi / 2 / len(v.error)) * np.median(v.error) for v in self._values]
        middle = np.median(medians)
        rstd = RSTD * float(np.median(np.abs(medians - middle)))
        return float(np.sqrt(max(rstd**2 - float(np.median(errors)) ** 2, 0.0)) / abs(middle))

    def find_median(self) -> Measured | None:
        """Find the median of all subimages of all pairs; None without any.

        Notes
        -----
        The median of n Gaussian values has pi / 2 times the variance of their mean. Variances from two pairs that share
        a frame are correlated by 1/4, the square of the correlation of the differences; the sides of the median on
        which they lie, by 2 / pi arcsin(1/4).
        """
        if not self._values:
            return None
        values, errors = (np.concatenate(parts) for parts in zip(*self._values, strict=True))
        value = float(np.median(values))
        scatter = max(RSTD * float(np.median(np.abs(values - value))), float(np.median(errors)))
        correlated = 1 + 2 * SAME_SIDE * self._shared / self.n_pairs
        return Measured(value, scatter * float(np.sqrt(np.pi / 2 * correlated / len(values))))


def measure_bias_variance(first: Subimages, second: Subimages, floor: float = FLOOR) -> SubimageValues:
    """Measure the variance of a bias frame in the subimages of a pair.

    Parameters
    ----------
    first, second : ndarray of float32, shape (subimages, ny, nx)
    floor : float
        Lower limit of the rstd of their difference: half an ADU, in their unit.

    Returns
    -------
    SubimageValues
        In the unit of the frames, squared.

    Notes
    -----
    ``var(B1 - B2) / 2``, since the fixed pattern cancels (Janesick, Photon Transfer, 2007, ch. 5).
    """
    variance = measure_subimage_variances(first - second, floor)
    return SubimageValues(variance.value / 2, variance.error / 2)


def measure_noise_per_signal(
    first: Subimages, second: Subimages, read_variance: float, floor: float = FLOOR
) -> SubimageValues:
    """Measure photon noise over signal in the subimages of a pair of flats: for frames in ADU the inverse gain.

    Parameters
    ----------
    first, second : ndarray of float32, shape (subimages, ny, nx)
        Bias-subtracted; signals may differ between flats and between subimages.
    read_variance : float
        Variance of a pixel without light, in the unit of the frames squared.
    floor : float
        As for `measure_bias_variance`.

    Returns
    -------
    SubimageValues
        Empty if the signals of the two differ by more than a factor of 5, or if the photon noise is below the read
        noise.

    Notes
    -----
    Janesick, Photon Transfer (2007), ch. 5: with the second flat scaled by ``r`` to the first,
    ``(var(F1 - r F2) - (1 + r^2) var_bias) / (F1 + r^2 F2)``.
    """
    level, other_level = find_subimage_medians(first), find_subimage_medians(second)
    ratio = _find_ratio(first, second)
    if not 1 / LARGEST_RATIO < _find_finite_median(ratio) < LARGEST_RATIO:
        return NO_SUBIMAGES
    variance = measure_subimage_variances(first - ratio.astype(np.float32)[:, None, None] * second, floor)
    photon_noise = variance.value - (1 + ratio**2) * read_variance
    if not _find_finite_median(photon_noise) > FAINTEST * read_variance:
        return NO_SUBIMAGES
    signal = level + ratio**2 * other_level
    return SubimageValues(photon_noise / signal, variance.error / signal)


NO_SUBIMAGES = SubimageValues(np.empty(0), np.empty(0))


def compute_read_noise(pairs: Pairs, overscan_variance: float = 0.0) -> Measured | None:
    """Compute the read noise from pairs of bias frames.

    Parameters
    ----------
    pairs : Pairs
        Of `measure_bias_variance`.
    overscan_variance : float
        Variance of the subtracted overscan level, which is not read noise.

    Returns
    -------
    Measured or None
        In the unit of the frames; None if it cannot be measured.
    """
    variance = pairs.find_median()
    if variance is None or not variance.value > overscan_variance:
        return None
    noise = float(np.sqrt(variance.value - overscan_variance))
    return Measured(noise, variance.error / (2 * noise))


def compute_gain(pairs: Pairs) -> Measured | None:
    """Compute the gain from pairs of flats.

    Parameters
    ----------
    pairs : Pairs
        Of `measure_noise_per_signal`.

    Returns
    -------
    Measured or None
        Electrons per unit of the frames; None for fewer than 4 subimages, or outside 0.001 to 100.
    """
    inverse = pairs.find_median()
    if (
        inverse is None
        or pairs.n_subimages < FEWEST_SUBIMAGES
        or not 1 / LARGEST_GAIN < inverse.value < 1 / SMALLEST_GAIN
    ):
        return None
    return Measured(1 / inverse.value, inverse.error / inverse.value**2)


def measure_correlation(first: Subimages, second: Subimages, floor: float = FLOOR) -> SubimageValues:
    """Measure the correlation of neighbouring pixels in the noise of a pair of flats.

    Parameters
    ----------
    first, second, floor
        As for `measure_noise_per_signal`.

    Returns
    -------
    SubimageValues
        Sum of the correlations of a pixel with its four neighbours.

    Notes
    -----
    Photon noise is not correlated. Pixels that were interpolated or smoothed are, and share some of their noise; so do
    bright pixels that repel each other's charge (brighter-fatter effect). Photon transfer then finds too large a gain.
    """
    ratio = _find_ratio(first, second)
    if not 1 / LARGEST_RATIO < _find_finite_median(ratio) < LARGEST_RATIO:
        return NO_SUBIMAGES
    return measure_neighbour_correlation(first - ratio.astype(np.float32)[:, None, None] * second, floor)


def measure_gain(
    biases: Iterable[Sequence[Subimages]], flats: Mapping[str, Iterable[Sequence[Subimages]]], step: float = 1.0
) -> GainAndReadNoise:
    """Measure gain and read noise of a night's frames.

    Parameters
    ----------
    biases : iterable of sequence of ndarray
        For each frame the overscan-subtracted subimages of each amplifier [ADU]. Reading stops as soon as there are
        enough; two frames are held in memory.
    flats : mapping of str to iterable
        Flats in the same form, by filter.
    step : float
        Of the ADC [ADU].

    Returns
    -------
    GainAndReadNoise
        With a gain of 1 e-/ADU and a warning if no pair of flats has enough signal; `ASSUMED` without a pair of bias
        frames.
    """
    dark, bias = _pair_biases(biases, FLOOR * step)
    noises = [noise for pairs in dark if (noise := compute_read_noise(pairs)) is not None]
    if not noises or len(noises) < len(dark):
        return replace(ASSUMED, step=step)
    bias_pairs = f"{dark[0].n_pairs} pairs of bias"
    lit = [
        Pairs(partial(measure_noise_per_signal, read_variance=noise.value**2, floor=FLOOR * step)) for noise in noises
    ]
    alike = [Pairs(partial(measure_correlation, floor=FLOOR * step)) for _ in lit]
    for frames in flats.values():
        _add_flats(lit, alike, frames, bias)
        if all(pairs.n_subimages >= MOST for pairs in lit):
            break
    gains = [gain for pairs in lit if (gain := compute_gain(pairs)) is not None]
    if len(gains) < len(lit):
        numbers = [(1.0, noise.value) for noise in noises]
        return replace(
            _average_amplifiers(numbers, f"read noise from {bias_pairs}"), warning=ASSUMED.warning, step=step
        )
    found = _average_amplifiers(
        [(gain.value, gain.value * noise.value) for gain, noise in zip(gains, noises, strict=True)],
        f"measured: {bias_pairs}, {lit[0].n_pairs} of flats",
    )
    errors = tuple((gain.error, gain.value * noise.error) for gain, noise in zip(gains, noises, strict=True))
    doubts = (_find_doubt(*each) for each in zip(lit, alike, gains, strict=True))
    return replace(found, errors=errors, doubt=next(filter(None, doubts), ""), step=step)


def _find_doubt(lit: Pairs, alike: Pairs, gain: Measured) -> str:
    """Find why a measured gain is not good enough to correct a header; empty if it is."""
    correlation = alike.find_median()
    if lit.n_pairs < FEWEST_PAIRS:
        return f"only {lit.n_pairs} pair{'s' * (lit.n_pairs > 1)} of flats"
    if gain.error > LARGEST_ERROR * gain.value:
        return f"the gain is measured to {100 * gain.error / gain.value:.1f} percent only"
    if lit.find_scatter() > LARGEST_SCATTER:
        return f"pairs of flats differ by {100 * lit.find_scatter():.1f} percent: nonlinear, or another light"
    if correlation is None or abs(correlation.value) > LARGEST_CORRELATION + 2 * correlation.error:
        value = 0.0 if correlation is None else correlation.value
        return f"neighbouring pixels share {100 * value:.1f} percent of the photon noise: interpolated or smoothed?"
    return ""


def _average_amplifiers(amplifiers: Sequence[tuple[float, float]], source: str) -> GainAndReadNoise:
    gains, noises = np.transpose(amplifiers)
    read_noise = float(np.sqrt(np.mean(noises**2)))
    return GainAndReadNoise(float(np.mean(gains)), read_noise, source, amplifiers=tuple(amplifiers))


def _pair_biases(frames: Iterable[Sequence[Subimages]], floor: float) -> tuple[list[Pairs], list[Subimages]]:
    """Compare the bias frames of each amplifier pair by pair, and average them."""
    pairs: list[Pairs] = []
    means: list[Subimages] = []
    for n, frame in enumerate(frames, start=1):
        if not pairs:
            pairs, means = (
                [Pairs(partial(measure_bias_variance, floor=floor)) for _ in frame],
                [np.zeros_like(subimages) for subimages in frame],
            )
        for amplifier, mean, subimages in zip(pairs, means, frame, strict=True):
            amplifier.add(subimages)
            mean += (subimages - mean) / np.float32(n)
        if all(amplifier.is_enough for amplifier in pairs):
            break
    return pairs, means


def _add_flats(
    pairs: Sequence[Pairs], alike: Sequence[Pairs], frames: Iterable[Sequence[Subimages]], bias: Sequence[Subimages]
) -> None:
    """Add flats of one filter until this filter alone has enough."""
    wanted = [amplifier.n_subimages + ENOUGH for amplifier in pairs]
    for frame in frames:
        for amplifier, other, subimages, mean in zip(pairs, alike, frame, bias, strict=True):
            amplifier.add(subimages - mean)
            other.add(subimages - mean)
        if all(amplifier.n_subimages >= number for amplifier, number in zip(pairs, wanted, strict=True)):
            break
    for amplifier in (*pairs, *alike):
        amplifier.start_new_set()


def _find_ratio(first: Subimages, second: Subimages) -> Values:
    """Find the ratio of the signals of two flats in each subimage; NaN without signal."""
    level, other_level = find_subimage_medians(first), find_subimage_medians(second)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((level > 0) & (other_level > 0), level / other_level, np.nan)


def _find_finite_median(values: Values) -> float:
    """Find the median of the finite values; NaN without any."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
