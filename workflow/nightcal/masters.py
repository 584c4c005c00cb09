"""Master bias, dark, flat and bad pixel mask."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.special import chdtri

from nightcal.calibration import Calibration, in_electrons, inherit_warnings, note_skipped, used_cards
from nightcal.detector.readout import Readout
from nightcal.errors import SetAside
from nightcal.fitsio import Product, file_hash, set_cards, warn
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.robust import Clipped, clipped_mean, rstd
from nightcal.stack import Layer, Stack, stack

log = logging.getLogger(__name__)

LOW_FLAT = 0.2
NOISY_CHANCE = 1e-7
NOISY_LEAST = 2.0
HOT_SIGMA = 5.0
FAINTEST_FLAT = 10.0  # times the read noise
ALIKE = 2.0  # ratio of variances up to which frames count alike
FEWEST_USABLE = 0.5
SAME_GAIN = 0.01
MOST_OPEN = 500
RATIO_RANGE = (0.5, 2.0)

Image = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rejection:
    """Half-widths of the clipping, in rstd: of a frame's own level, and along a stack; whether noise sets a floor."""

    level: float = 3.5
    stack: float = 3.0
    floor: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """A raw frame that could not be used: its file, why, and the middle of its exposure [MJD] where that is known."""

    path: Path
    reason: str
    mjd: float | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """A calibration frame ready to be stacked: its readout, exposure time [s] and middle [MJD].

    ``keep_open`` tells whether its file stays open between two readings of rows.
    """

    readout: Readout
    exposure: float
    mjd: float
    keep_open: bool = True

    @property
    def path(self) -> Path:
        """The raw file."""
        return self.readout.image.path


def make_master_bias(
    exposures: Sequence[Exposure],
    rejection: Rejection = Rejection(),
    refused: Sequence[Refusal] = (),
) -> Product:
    """Stack bias frames, each brought to the mean level first.

    Parameters
    ----------
    exposures : sequence of Exposure
        Of equal shape.
    rejection : Rejection
    refused : sequence of Refusal
        Frames that could not even be opened, for the header.

    Returns
    -------
    Product
        In electrons; the mean level is in the image and in the header (``BIASLVL``).

    Raises
    ------
    SetAside
        If no frame could be read; one that cannot is left out and named in the header.
    """
    good, levels, refused = _levels(exposures, rejection, refused)
    mean_level = float(np.mean([level.mean for level in levels]))

    def layer(exposure: Exposure, level: Clipped) -> Layer:
        def rows(start: int, stop: int) -> Image:
            return _usable(exposure, start, stop) - (level.mean - mean_level)

        return Layer(rows, _read_variance(exposure))

    stacked = stack([layer(*pair) for pair in zip(good, levels, strict=True)], good[0].readout.shape, *_cut(rejection))
    mask = _mask(stacked)
    mask[_noisy(stacked, len(good))] |= Flag.BAD
    header = _header("bias", good, refused, stacked)
    cards = [
        ("BIASLVL", mean_level, "[electron] mean level of the frames"),
        ("BIASDRFT", float(np.std([level.mean for level in levels])), "[electron] scatter of the levels"),
        ("NOISY", int(np.sum(mask & Flag.BAD > 0)), "pixels much noisier than the read noise"),
    ]
    set_cards(header, cards)
    return _product(stacked, mask, "electron", header, fill=mean_level)


def make_master_dark(
    exposures: Sequence[Exposure],
    bias: Calibration | None,
    rejection: Rejection = Rejection(),
    refused: Sequence[Refusal] = (),
    hot: float = 10.0,
) -> Product:
    """Stack dark frames per second of exposure, after bias.

    Parameters
    ----------
    exposures : sequence of Exposure
        Exposure times may differ: frames are weighted by their inverse variance.
    bias : Calibration or None
        Frames with overscan do without.
    rejection : Rejection
    refused : sequence of Refusal
        As for a bias.
    hot : float
        A pixel whose current exceeds the typical one by more than this many rstd of all pixels, and by five times its
        own error, is hot.

    Returns
    -------
    Product
        In electrons per second. ``DARKTEFF`` is the exposure time by which an error of the bias entered. A typical
        current below 0 is a drift of the bias level, which must not be scaled to long exposures: the image is brought
        to 0, with a warning.

    Raises
    ------
    SetAside
        If no frame could be read, or the bias level of one cannot be taken off.
    """
    bias = _usable_master("bias", bias, exposures)
    good, levels, refused = _levels(exposures, rejection, refused, bias)
    _check_pedestal(bias, good)
    current = max(0.0, float(np.mean([level.mean / e.exposure for e, level in zip(good, levels, strict=True)])))

    def layer(exposure: Exposure) -> Layer:
        time = exposure.exposure

        def rows(start: int, stop: int) -> Image:
            return (_usable(exposure, start, stop) - _part(bias, start, stop)) / time

        variance, per_signal = _read_variance(exposure) / time**2, 1 / time
        return Layer(rows, variance, per_signal, weight=1 / (variance + current * per_signal))

    layers = [layer(exposure) for exposure in good]
    weights = np.array([item.weight for item in layers])
    effective = float(f"{weights.sum() / np.sum(weights / [exposure.exposure for exposure in good]):.9g}")
    stacked = stack(layers, good[0].readout.shape, *_cut(rejection))
    if bias is not None:
        stacked = _add_variance(stacked, bias.variance / effective**2)
    mask = _mask(stacked, bias)
    typical = clipped_mean(stacked.mean.ravel(), rejection.level)
    spread = rstd(stacked.mean.ravel())
    pedestal = min(0.0, float(typical.mean))
    mask[stacked.mean - typical.mean > np.maximum(hot * spread, HOT_SIGMA * stacked.uncertainty)] |= Flag.HOT
    header = _header("dark", good, refused, stacked)
    cards = [
        ("DARKCURR", float(typical.mean), "[electron/s] typical dark current"),
        ("DARKTEFF", effective, "[s] by which an error of the bias enters"),
        ("EXPTIME", effective, "[s] of the frames; the image is per second"),
        ("NHOT", int(np.sum(mask & Flag.HOT > 0)), "hot pixels"),
        *used_cards("bias", bias),
    ]
    set_cards(header, cards)
    inherit_warnings(header, bias)
    if pedestal < 0:
        warn(header, f"dark current of {pedestal:.2g} e-/s is bias drift: set to 0")
    note_skipped(header, {"bias": bias}, "steps that the frames did not have")
    return _product(stacked, mask, "electron / s", header, fill=float(typical.mean), pedestal=pedestal)


def make_master_flat(
    exposures: Sequence[Exposure],
    bias: Calibration | None,
    dark: Calibration | None,
    rejection: Rejection = Rejection(),
    refused: Sequence[Refusal] = (),
) -> Product:
    """Stack flats of one filter, each divided by the clipped mean of its central quarter, after bias and dark.

    Parameters
    ----------
    exposures : sequence of Exposure
        Levels and exposure times may differ.
    bias, dark : Calibration or None
        Pixels that they flag are left out of the normalisation.
    rejection : Rejection
    refused : sequence of Refusal
        As for a bias.

    Returns
    -------
    Product
        A ratio near 1; pixels below 0.2 are set to 1 and flagged ``LOW_FLAT``.

    Raises
    ------
    SetAside
        If no frame could be read, none has light in it, or the bias level of one cannot be taken off.
    """
    bias = _usable_master("bias", bias, exposures)
    dark = _usable_master("dark", dark, exposures, per_second=True)
    good, levels, refused = _levels(exposures, rejection, refused, bias, dark, central=True)
    _check_pedestal(bias, good)

    def layer(exposure: Exposure, level: Clipped) -> Layer:
        light, time = float(level.mean), exposure.exposure

        def rows(start: int, stop: int) -> Image:
            signal = _usable(exposure, start, stop) - _part(bias, start, stop) - time * _part(dark, start, stop)
            return signal / light

        variance = _read_variance(exposure) / light**2
        return Layer(rows, variance, 1 / light, weight=1 / (variance + 1 / light))

    layers = _plain_if_alike([layer(*pair) for pair in zip(good, levels, strict=True)])
    stacked = stack(layers, good[0].readout.shape, *_cut(rejection))
    lights = np.array([float(level.mean) for level in levels])
    times = np.array([exposure.exposure for exposure in good])
    weights = [item.weight for item in layers]
    shares = np.average(1 / lights, weights=weights), np.average(times / lights, weights=weights)
    for master, share in zip((bias, dark), shares, strict=True):
        if master is not None:
            stacked = _add_variance(stacked, master.variance * share**2)
    flags = _mask(stacked, bias, dark)
    low = stacked.mean < LOW_FLAT
    flags[low] |= Flag.LOW_FLAT
    stacked = replace(
        stacked, mean=np.where(low, 1.0, stacked.mean), uncertainty=np.where(low, 0.0, stacked.uncertainty)
    )
    header = _header("flat", good, refused, stacked)
    cards = [
        ("FLATLVL", float(lights.mean()), "[electron] mean light in the central quarter"),
        ("FLATLOW", int(low.sum()), "pixels below 0.2, set to 1"),
        *used_cards("bias", bias),
        *used_cards("dark", dark),
    ]
    set_cards(header, cards)
    inherit_warnings(header, bias, dark)
    note_skipped(header, {"bias": bias, "dark": dark}, "steps that the frames did not have")
    return _product(stacked, flags, "", header, fill=1.0)


def refused_master(kind: str, shape: tuple[int, int], reason: str) -> Product:
    """Stand in for a master that could not be made: no data, the reason in the header, so that the night goes on.

    Parameters
    ----------
    kind : str
        ``bias``, ``dark``, ``flat`` or ``bpm``.
    shape : (int, int)
        Rows and columns.
    reason : str
        In one plain sentence.

    Returns
    -------
    Product
        Image and uncertainty are 0, every pixel is ``NO_DATA``.
    """
    header = fits.Header()
    set_cards(header, [("MASTER", kind, "kind of master"), ("REFUSED", reason, "why there is no data")])
    header["MJDMEAN"] = 0.0
    unit = {"bias": "electron", "dark": "electron / s"}.get(kind, "")
    zeros = np.zeros(shape, np.float32)
    return Product(zeros, zeros, np.full(shape, Flag.NO_DATA, MASK_DTYPE), unit, header)


def _plain_if_alike(layers: Sequence[Layer]) -> list[Layer]:
    """Take the weights away from frames that differ too little for weights to help: a plain mean is easier to check."""
    weights = [layer.weight for layer in layers]
    return [replace(layer, weight=1.0) for layer in layers] if max(weights) <= ALIKE * min(weights) else list(layers)


def _levels(
    exposures: Sequence[Exposure],
    rejection: Rejection,
    refused: Sequence[Refusal],
    bias: Calibration | None = None,
    dark: Calibration | None = None,
    central: bool = False,
) -> tuple[list[Exposure], list[Clipped], list[Refusal]]:
    """Find the level of each frame, one frame in memory at a time; leave out what cannot be used."""
    good, levels, left_out = [], [], list(refused)
    first_gain = exposures[0].readout.electronics.gain if exposures else 1.0
    for opened in exposures:
        exposure = replace(opened, keep_open=len(exposures) <= MOST_OPEN)
        try:
            gain = exposure.readout.electronics.gain
            if abs(gain - first_gain) > SAME_GAIN * first_gain:
                raise SetAside(f"its gain is {gain:g} e-/ADU, that of the first frame {first_gain:g}")
            ny, nx = exposure.readout.shape
            signal = _usable(exposure, 0, ny) - _part(bias, 0, ny) - exposure.exposure * _part(dark, 0, ny)
            known = np.ones(signal.shape, dtype=bool)
            for master in (bias, dark):
                if master is not None:
                    known &= master.mask == 0
            if central:
                middle = slice(ny // 4, ny - ny // 4), slice(nx // 4, nx - nx // 4)
                signal, known = signal[middle], known[middle]
            values = signal[known & np.isfinite(signal)]
            if values.size <= FEWEST_USABLE * np.count_nonzero(known):
                raise SetAside("fewer than half of its pixels hold a usable number")
            noise = np.sqrt(exposure.readout.electronics.read_variance)
            level = clipped_mean(values, rejection.level, noise)
            faintest = FAINTEST_FLAT * noise
            if central and level.mean < faintest:
                raise SetAside(f"too faint: {level.mean:.1f} e- after bias and dark, expected {faintest:.0f} or more")
        except SetAside as reason:
            log.warning("%s: set aside: %s.", exposure.path.name, reason)
            left_out.append(Refusal(exposure.path, str(reason), exposure.mjd))
            continue
        log.info("%s: level %.2f e-", exposure.path.name, level.mean)
        good.append(exposure)
        levels.append(level)
    if not good:
        raise SetAside(f"none of {len(left_out)} frames can be used; the first: {left_out[0].reason}")
    return good, levels, left_out


def _usable(exposure: Exposure, start: int, stop: int) -> Image:
    """Rows in electrons, NaN where saturated or missing."""
    electrons, flags = exposure.readout.rows(start, stop)
    if not exposure.keep_open:
        exposure.readout.image.close()
    electrons[flags > 0] = np.nan
    return electrons


def _part(master: Calibration | None, start: int, stop: int) -> Image | float:
    return 0.0 if master is None else master.data[start:stop]


def _usable_master(
    name: str, master: Calibration | None, exposures: Sequence[Exposure], per_second: bool = False
) -> Calibration | None:
    """Take a master in electrons of the frames' gain, or none if it holds no data."""
    if master is not None and master.refused:
        log.warning("%s holds no data (%s): step skipped.", master.name, master.refused)
        return None
    if master is None or not exposures:
        return master
    return in_electrons(name, master, exposures[0].readout.electronics.gain, per_second)


def _check_pedestal(bias: Calibration | None, exposures: Sequence[Exposure]) -> None:
    if bias is None and any(exposure.readout.level is None for exposure in exposures):
        raise SetAside("there is neither a master bias nor overscan to take the bias level off")


def _read_variance(exposure: Exposure) -> float:
    """Variance [e-^2] of a pixel without light, that of the overscan level included."""
    readout = exposure.readout
    return readout.electronics.read_variance + float(np.mean(readout.level_variance))


def _cut(rejection: Rejection) -> tuple[float, bool]:
    return rejection.stack, rejection.floor


def _mask(stacked: Stack, *ingredients: Calibration | None) -> NDArray[np.uint8]:
    mask = np.zeros(stacked.mean.shape, dtype=MASK_DTYPE)
    mask[stacked.survivors == 0] = Flag.NO_DATA
    for ingredient in ingredients:
        if ingredient is not None:
            mask |= ingredient.mask & Flag.NO_DATA
    return mask


def _noisy(stacked: Stack, n: int) -> NDArray[np.bool_]:
    """Pixels whose scatter no Gaussian of the frame's noise would show once in ten million."""
    if n < 3:
        return np.zeros(stacked.mean.shape, dtype=bool)
    limit = max(NOISY_LEAST, float(np.sqrt(chdtri(n - 1, NOISY_CHANCE) / (n - 1))))
    return stacked.excess > limit


def _add_variance(stacked: Stack, variance: Image) -> Stack:
    return replace(stacked, uncertainty=np.sqrt(stacked.uncertainty**2 + variance))


def _header(kind: str, exposures: Sequence[Exposure], refused: Sequence[Refusal], stacked: Stack) -> fits.Header:
    header = fits.Header()
    times = [exposure.mjd for exposure in exposures]
    electronics = exposures[0].readout.electronics
    cards: list[tuple[str, Any, str]] = [
        ("MASTER", kind, "kind of master"),
        ("MJDMEAN", float(np.mean(times)), "mean of the middles of the exposures"),
        ("MJDFIRST", min(times), "middle of the first exposure"),
        ("MJDLAST", max(times), "middle of the last exposure"),
        ("NFRAMES", len(exposures), "frames stacked"),
        ("NREFUSED", len(refused), "frames left out"),
        ("GAINUSED", electronics.gain, "[electron/adu]"),
        ("RNUSED", electronics.read_noise, "[electron]"),
        ("NOISERAT", stacked.ratio, "measured over modelled noise"),
        ("NUSEDAVG", float(stacked.survivors.mean()), "mean number of frames a pixel is averaged over"),
    ]
    levels = [float(np.mean(e.readout.level.value)) for e in exposures if e.readout.level is not None]
    if levels:
        cards.append(("OVSCLEV", float(np.mean(levels)), "[adu] mean overscan level"))
    for n, exposure in enumerate(exposures, start=1):
        cards.append((f"FRAM{n:04d}", exposure.path.name, "stacked"))
        cards.append((f"FSHA{n:04d}", file_hash(exposure.path), "its SHA-256 begins"))
    for n, refusal in enumerate(refused, start=1):
        cards += [(f"RFRM{n:04d}", refusal.path.name, "set aside"), (f"RWHY{n:04d}", refusal.reason, "")]
        if refusal.mjd is not None:
            cards.append((f"RMJD{n:04d}", refusal.mjd, "middle of its exposure"))
    set_cards(header, cards)
    if len(exposures) < 3:
        warn(header, f"{kind} of {len(exposures)} frame{'s' * (len(exposures) > 1)}: too few to reject outliers")
    if not RATIO_RANGE[0] < stacked.ratio < RATIO_RANGE[1]:
        warn(header, f"{kind} frames scatter {stacked.ratio:.2f} times what gain and read noise say")
    return header


def _product(
    stacked: Stack, mask: NDArray[np.uint8], unit: str, header: fits.Header, fill: float, pedestal: float = 0.0
) -> Product:
    empty = stacked.survivors == 0
    data = (np.where(empty, fill, stacked.mean) - pedestal).astype(np.float32)
    uncertainty = np.where(empty, 0.0, stacked.uncertainty).astype(np.float32)
    return Product(data, uncertainty, mask, unit, header, stacked.survivors)
