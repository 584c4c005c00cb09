"""Measure gain and read noise of amplifiers from pairs of bias frames and flats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nightcal.detector.subimages import (
    Subimages,
    SubimageValues,
    Values,
    find_subimage_medians,
    measure_subimage_variances,
)
from nightcal.numerics.robust import RSTD
from nightcal.warning_names import name_warning

ENOUGH = 1000
"""Number of subimages that suffices: read noise to 0.1 percent, gain to 0.2."""

FEWEST_SUBIMAGES = 4
FAINTEST = 1.0  # lowest photon noise of a pair of flats, in units of the read noise variance
LARGEST_RATIO = 5.0  # of the signals of two flats
SMALLEST_GAIN, LARGEST_GAIN = 1e-3, 100.0
FLOOR = 0.5  # ADU: lower limit of the rstd of a difference of two frames

SAME_SIDE = 2 / np.pi * np.arcsin(0.25)
"""Correlation of the sides of the median of two Gaussian values that are correlated by 1/4."""


@dataclass(frozen=True, slots=True)
class GainAndReadNoise:
    """Gain and read noise of a detector, and their origin.

    Attributes
    ----------
    gain, read_noise : float
        [e-/ADU], [e-], mean and root mean square of the amplifiers; the read noise includes digitisation noise.
    source : str
        For the header.
    warning : str
        Empty if both are measured or known.
    amplifiers : tuple of (float, float)
        Gain and read noise per amplifier, if measured.
    """

    gain: float
    read_noise: float
    source: str
    warning: str = ""
    amplifiers: tuple[tuple[float, float], ...] = ()

    def select_amplifier(self, amplifier: int) -> GainAndReadNoise:
        """Select the values of one amplifier, counted from 0; the mean values if unknown."""
        if amplifier >= len(self.amplifiers):
            return self
        gain, read_noise = self.amplifiers[amplifier]
        return replace(self, gain=gain, read_noise=read_noise, amplifiers=())


ASSUMED = GainAndReadNoise(
    1.0, 0.0, "assumed", name_warning("unknown gain", "1 e-/ADU assumed: do not trust the uncertainties")
)


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
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((level > 0) & (other_level > 0), level / other_level, np.nan)
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


def measure_gain(
    biases: Iterable[Sequence[Subimages]], flats: Mapping[str, Iterable[Sequence[Subimages]]]
) -> GainAndReadNoise:
    """Measure gain and read noise of a night's frames.

    Parameters
    ----------
    biases : iterable of sequence of ndarray
        For each frame the overscan-subtracted subimages of each amplifier [ADU]. Reading stops as soon as there are
        enough; two frames are held in memory.
    flats : mapping of str to iterable
        Flats in the same form, by filter.

    Returns
    -------
    GainAndReadNoise
        With a gain of 1 e-/ADU and a warning if no pair of flats has enough signal; `ASSUMED` without a pair of bias
        frames.
    """
    dark, bias = _pair_biases(biases)
    noises = [noise.value for pairs in dark if (noise := compute_read_noise(pairs)) is not None]
    if not noises or len(noises) < len(dark):
        return ASSUMED
    bias_pairs = f"{dark[0].n_pairs} pairs of bias"
    lit = [Pairs(partial(measure_noise_per_signal, read_variance=noise**2)) for noise in noises]
    for frames in flats.values():
        _add_flats(lit, frames, bias)
    gains = [gain.value for pairs in lit if (gain := compute_gain(pairs)) is not None]
    if len(gains) < len(lit):
        return _average_amplifiers([(1.0, noise) for noise in noises], f"read noise from {bias_pairs}", ASSUMED.warning)
    amplifiers = [(gain, gain * noise) for gain, noise in zip(gains, noises, strict=True)]
    return _average_amplifiers(amplifiers, f"measured: {bias_pairs}, {lit[0].n_pairs} of flats")


def _average_amplifiers(amplifiers: Sequence[tuple[float, float]], source: str, warning: str = "") -> GainAndReadNoise:
    gains, noises = np.transpose(amplifiers)
    read_noise = float(np.sqrt(np.mean(noises**2)))
    return GainAndReadNoise(float(np.mean(gains)), read_noise, source, warning, tuple(amplifiers))


def _pair_biases(frames: Iterable[Sequence[Subimages]]) -> tuple[list[Pairs], list[Subimages]]:
    """Compare the bias frames of each amplifier pair by pair, and average them."""
    pairs: list[Pairs] = []
    means: list[Subimages] = []
    for n, frame in enumerate(frames, start=1):
        if not pairs:
            pairs, means = (
                [Pairs(measure_bias_variance) for _ in frame],
                [np.zeros_like(subimages) for subimages in frame],
            )
        for amplifier, mean, subimages in zip(pairs, means, frame, strict=True):
            amplifier.add(subimages)
            mean += (subimages - mean) / np.float32(n)
        if all(amplifier.is_enough for amplifier in pairs):
            break
    return pairs, means


def _add_flats(pairs: Sequence[Pairs], frames: Iterable[Sequence[Subimages]], bias: Sequence[Subimages]) -> None:
    """Add flats of one filter until this filter alone has enough."""
    wanted = [amplifier.n_subimages + ENOUGH for amplifier in pairs]
    for frame in frames:
        for amplifier, subimages, mean in zip(pairs, frame, bias, strict=True):
            amplifier.add(subimages - mean)
        if all(amplifier.n_subimages >= number for amplifier, number in zip(pairs, wanted, strict=True)):
            break
    for amplifier in pairs:
        amplifier.start_new_set()


def _find_finite_median(values: Values) -> float:
    """Find the median of the finite values; NaN without any."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def write_gain(path: Path, noise: GainAndReadNoise) -> None:
    """Write gain and read noise as JSON.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    noise : GainAndReadNoise
    """
    from nightcal.io.atomic import write_text

    write_text(path, json.dumps(asdict(noise), indent=2) + "\n")


def read_gain(path: Path) -> GainAndReadNoise:
    """Read a file that `write_gain` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    GainAndReadNoise
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    amplifiers = tuple((gain, noise) for gain, noise in values.pop("amplifiers", []))
    return GainAndReadNoise(**values, amplifiers=amplifiers)
