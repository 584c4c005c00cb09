"""Gain and read noise of amplifiers from pairs of bias frames and flats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from nightcal.detector.subimages import Subimages, SubimageValues, Values, subimage_medians, subimage_variances
from nightcal.numerics.robust import RSTD

ENOUGH = 1000
"""Subimages from which on no further pair is asked for: read noise to 0.1 percent, gain to 0.2."""

FEWEST_SUBIMAGES = 4
FAINTEST = 1.0  # photon noise of a pair of flats, in variances of a bias
LARGEST_RATIO = 5.0  # of the light of two flats
SMALLEST_GAIN, LARGEST_GAIN = 1e-3, 100.0
FLOOR = 0.5  # ADU: smallest rstd of the difference of two frames that is believed
SAME_SIDE = 2 / np.pi * np.arcsin(0.25)


@dataclass(frozen=True, slots=True)
class GainAndReadNoise:
    """Gain and read noise of a detector, and where they come from.

    Attributes
    ----------
    gain, read_noise : float
        [e-/ADU], [e-], mean and root mean square of the amplifiers; the read noise contains the noise of digitisation.
    source : str
    warning : str
        Empty when both were measured or known.
    amplifiers : tuple of (float, float)
        Gain and read noise of each, if they were measured.
    """

    gain: float
    read_noise: float
    source: str
    warning: str = ""
    amplifiers: tuple[tuple[float, float], ...] = ()

    def of(self, amplifier: int) -> GainAndReadNoise:
        """Noise of one amplifier, from 0: its own if that was measured, else that of the detector."""
        if amplifier >= len(self.amplifiers):
            return self
        gain, read_noise = self.amplifiers[amplifier]
        return replace(self, gain=gain, read_noise=read_noise, amplifiers=())


ASSUMED = GainAndReadNoise(1.0, 0.0, "assumed", "gain unknown, 1 e-/ADU assumed: uncertainties are not to be trusted")


@dataclass(frozen=True, slots=True)
class Measured:
    """A number and its one standard error."""

    value: float
    error: float


class Pairs:
    """A number that successive frames of an amplifier tell, pair by pair.

    Parameters
    ----------
    compare : function
        Finds the number from the tiles of two frames; not finite, or of no tile at all, where they do not tell.
    """

    def __init__(self, compare: Callable[[Subimages, Subimages], SubimageValues]) -> None:
        self._compare = compare
        self._previous: Subimages | None = None
        self._told: list[SubimageValues] = []
        self._last_told = False
        self._shared = 0

    def add(self, tiles: Subimages) -> None:
        """Compare a frame with the one before."""
        if self._previous is not None:
            told = self._compare(self._previous, tiles)
            known = np.isfinite(told.value)
            if known.any():
                self._told.append(SubimageValues(told.value[known], told.error[known]))
                self._shared += self._last_told
            self._last_told = bool(known.any())
        self._previous = tiles

    def break_off(self) -> None:
        """Do not compare the next frame with the last: it is of another set."""
        self._previous, self._last_told = None, False

    @property
    def count(self) -> int:
        """Pairs that told something."""
        return len(self._told)

    @property
    def tiles(self) -> int:
        """Subimages of all pairs that told something."""
        return sum(len(told.value) for told in self._told)

    @property
    def enough(self) -> bool:
        """Whether no further pair is needed."""
        return self.tiles >= ENOUGH

    def typical(self) -> Measured | None:
        """Median of the tiles of all pairs; None if there is none.

        Notes
        -----
        The median of n Gaussian values has pi / 2 times the variance of their mean. The variances from two pairs that
        share a frame are correlated by 1/4, the square of the correlation of their differences; which side of the
        median they lie on, by 2 / pi arcsin(1/4).
        """
        if not self._told:
            return None
        values, errors = (np.concatenate(parts) for parts in zip(*self._told, strict=True))
        value = float(np.median(values))
        of_one = max(RSTD * float(np.median(np.abs(values - value))), float(np.median(errors)))
        correlated = 1 + 2 * SAME_SIDE * self._shared / self.count
        return Measured(value, of_one * float(np.sqrt(np.pi / 2 * correlated / len(values))))


def bias_variance(one: Subimages, other: Subimages, floor: float = FLOOR) -> SubimageValues:
    """Variance of a bias frame, from each tile of two.

    Parameters
    ----------
    one, other : ndarray of float32, shape (tiles, ny, nx)
    floor : float
        Smallest rstd of their difference that is believed: half an ADU, in their unit.

    Returns
    -------
    SubimageValues
        In the unit of the frames, squared.

    Notes
    -----
    Janesick, Photon Transfer (2007), ch. 5: ``var(B1 - B2) / 2``. The difference cancels the fixed pattern.
    """
    variance = subimage_variances(one - other, floor)
    return SubimageValues(variance.value / 2, variance.error / 2)


def noise_per_signal(one: Subimages, other: Subimages, read_variance: float, floor: float = FLOOR) -> SubimageValues:
    """Photon noise over light, from each tile of two flats: one over the gain of frames in ADU.

    Parameters
    ----------
    one, other : ndarray of float32, shape (tiles, ny, nx)
        Bias-subtracted. Their light may differ, and that of tiles.
    read_variance : float
        Variance of a pixel without light, in the unit of the frames squared.
    floor : float
        As for `bias_variance`.

    Returns
    -------
    SubimageValues
        Of no tile if the light of the two differs by more than a factor of 5, or is so faint that its noise is less
        than that of a bias.

    Notes
    -----
    Janesick, Photon Transfer (2007), ch. 5: with the second flat scaled by ``r`` to the first,
    ``(var(F1 - r F2) - (1 + r^2) var_bias) / (F1 + r^2 F2)``.
    """
    first, second = subimage_medians(one), subimage_medians(other)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((first > 0) & (second > 0), first / second, np.nan)
    if not 1 / LARGEST_RATIO < _middle(ratio) < LARGEST_RATIO:
        return NOTHING
    variance = subimage_variances(one - ratio.astype(np.float32)[:, None, None] * other, floor)
    photon_noise = variance.value - (1 + ratio**2) * read_variance
    if not _middle(photon_noise) > FAINTEST * read_variance:
        return NOTHING
    light = first + ratio**2 * second
    return SubimageValues(photon_noise / light, variance.error / light)


NOTHING = SubimageValues(np.empty(0), np.empty(0))


def read_noise_from(pairs: Pairs, of_level: float = 0.0) -> Measured | None:
    """Read noise from pairs of bias frames.

    Parameters
    ----------
    pairs : Pairs
        Of `bias_variance`.
    of_level : float
        Variance of the overscan level that was taken off, which is no read noise.

    Returns
    -------
    Measured or None
        In the unit of the frames; None if they do not tell.
    """
    variance = pairs.typical()
    if variance is None or not variance.value > of_level:
        return None
    noise = float(np.sqrt(variance.value - of_level))
    return Measured(noise, variance.error / (2 * noise))


def gain_from(pairs: Pairs) -> Measured | None:
    """Gain from pairs of flats.

    Parameters
    ----------
    pairs : Pairs
        Of `noise_per_signal`.

    Returns
    -------
    Measured or None
        Electrons for a unit of the frames; None of fewer than 4 tiles, or if it lies outside 0.001 to 100.
    """
    inverse = pairs.typical()
    if inverse is None or pairs.tiles < FEWEST_SUBIMAGES or not 1 / LARGEST_GAIN < inverse.value < 1 / SMALLEST_GAIN:
        return None
    return Measured(1 / inverse.value, inverse.error / inverse.value**2)


def measure_gain(
    biases: Iterable[Sequence[Subimages]], flats: Mapping[str, Iterable[Sequence[Subimages]]]
) -> GainAndReadNoise:
    """Measure gain and read noise of a night's frames.

    Parameters
    ----------
    biases : iterable of sequence of ndarray
        For each frame the tiles of each amplifier, overscan-subtracted [ADU]. No more frames are asked for than are
        needed, and two are held in memory.
    flats : mapping of str to iterable
        Likewise, for each filter.

    Returns
    -------
    GainAndReadNoise
        With a gain of 1 e-/ADU and a warning if there is no pair of flats with light in it; `ASSUMED` if there is no
        pair of bias frames either.
    """
    dark, level = _of_biases(biases)
    noises = [noise.value for pairs in dark if (noise := read_noise_from(pairs)) is not None]
    if not noises or len(noises) < len(dark):
        return ASSUMED
    of_bias = f"{dark[0].count} pairs of bias"
    lit = [Pairs(partial(noise_per_signal, read_variance=noise**2)) for noise in noises]
    for frames in flats.values():
        _add_flats(lit, frames, level)
    gains = [gain.value for pairs in lit if (gain := gain_from(pairs)) is not None]
    if len(gains) < len(lit):
        return _noise_of([(1.0, noise) for noise in noises], f"read noise from {of_bias}", ASSUMED.warning)
    amplifiers = [(gain, gain * noise) for gain, noise in zip(gains, noises, strict=True)]
    return _noise_of(amplifiers, f"measured: {of_bias}, {lit[0].count} of flats")


def _noise_of(amplifiers: Sequence[tuple[float, float]], source: str, warning: str = "") -> GainAndReadNoise:
    gains, noises = np.transpose(amplifiers)
    read_noise = float(np.sqrt(np.mean(noises**2)))
    return GainAndReadNoise(float(np.mean(gains)), read_noise, source, warning, tuple(amplifiers))


def _of_biases(frames: Iterable[Sequence[Subimages]]) -> tuple[list[Pairs], list[Subimages]]:
    """Pairs of each amplifier's bias frames, and their mean."""
    pairs: list[Pairs] = []
    level: list[Subimages] = []
    for n, frame in enumerate(frames, start=1):
        if not pairs:
            pairs, level = [Pairs(bias_variance) for _ in frame], [np.zeros_like(tiles) for tiles in frame]
        for each, mean, tiles in zip(pairs, level, frame, strict=True):
            each.add(tiles)
            mean += (tiles - mean) / np.float32(n)
        if all(each.enough for each in pairs):
            break
    return pairs, level


def _add_flats(pairs: Sequence[Pairs], frames: Iterable[Sequence[Subimages]], level: Sequence[Subimages]) -> None:
    """Add flats of one filter until they alone would do."""
    before = [each.tiles for each in pairs]
    for frame in frames:
        for each, tiles, bias in zip(pairs, frame, level, strict=True):
            each.add(tiles - bias)
        if all(each.tiles - had >= ENOUGH for each, had in zip(pairs, before, strict=True)):
            break
    for each in pairs:
        each.break_off()


def _middle(values: Values) -> float:
    """Median of what is finite; NaN if nothing is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")


def write_gain(path: Path, noise: GainAndReadNoise) -> None:
    """Write a measurement as JSON.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    noise : GainAndReadNoise
    """
    from nightcal.io.atomic import write_text

    write_text(path, json.dumps(asdict(noise), indent=2) + "\n")


def read_gain(path: Path) -> GainAndReadNoise:
    """Read a measurement that `write_gain` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    GainAndReadNoise
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    amplifiers = tuple((gain, noise) for gain, noise in found.pop("amplifiers", []))
    return GainAndReadNoise(**found, amplifiers=amplifiers)
