"""Master bias, dark, flat and bad pixel mask."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray
from scipy.special import chdtri

from nightcal.detector.readout import Readout
from nightcal.errors import UNREADABLE, SetAside
from nightcal.fitsio import Product, file_hash, set_cards, warn
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.robust import QUANTISATION, Clipped, clipped_mean
from nightcal.stack import Layer, Stack, stack

log = logging.getLogger(__name__)

LOW_FLAT = 0.2
NOISY_CHANCE = 1e-7
NOISY_LEAST = 2.0
RATIO_RANGE = (0.5, 2.0)

Image = NDArray[np.float64]
Refused = Sequence[tuple[Path, str]]
"""Raw files that could not be used, and why."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Half-widths of the clipping, in rstd: of a frame's own level, and along a stack; whether noise sets a floor."""

    level: float = 3.5
    stack: float = 3.0
    floor: bool = True


@dataclass(frozen=True, slots=True)
class Exposure:
    """A calibration frame ready to be stacked: its readout, exposure time [s] and middle [MJD]."""

    readout: Readout
    exposure: float
    mjd: float

    @property
    def path(self) -> Path:
        """The raw file."""
        return self.readout.image.path


@dataclass(frozen=True, slots=True)
class Calibration:
    """A master as it is used: image and variance [e- or e-/s], mask, and where it came from."""

    data: Image
    variance: Image
    mask: NDArray[np.uint8]
    header: fits.Header
    name: str
    digest: str
    unit: str

    @property
    def refused(self) -> str:
        """Why the master holds nothing; empty for a good one."""
        return str(self.header.get("REFUSED", ""))


def load_master(path: Path) -> Calibration:
    """Read a master.

    Parameters
    ----------
    path : Path
        A product of nightcal, or any FITS image; without an ``UNCERT`` extension its error is taken to be 0, without
        ``MASK`` all its pixels to be good.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If the file cannot be read or holds no image.
    """
    try:
        with fits.open(path, memmap=False) as hdus:
            images = [hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] == 2]
            if not images:
                raise ValueError("it holds no image")
            data = np.asarray(images[0].data, dtype=np.float64)
            names = [hdu.name for hdu in hdus]
            error = np.asarray(hdus["UNCERT"].data, np.float64) if "UNCERT" in names else np.zeros_like(data)
            mask = (
                np.asarray(hdus["MASK"].data).astype(MASK_DTYPE)
                if "MASK" in names
                else np.zeros(data.shape, MASK_DTYPE)
            )
            header = images[0].header.copy()
    except UNREADABLE as reason:
        raise ValueError(f"{path} cannot be read as a master ({reason})") from reason
    mask[~np.isfinite(data)] |= Flag.NO_DATA
    unit = "".join(str(header.get("BUNIT", "adu")).lower().split())
    return Calibration(np.nan_to_num(data), error**2, mask, header, Path(path).name, file_hash(Path(path)), unit)


def make_master_bias(
    exposures: Sequence[Exposure],
    rejection: Rejection = Rejection(),
    refused: Refused = (),
) -> Product:
    """Stack bias frames, each brought to the mean level first.

    Parameters
    ----------
    exposures : sequence of Exposure
        Of equal shape.
    rejection : Rejection
    refused : sequence of (path, str)
        Frames that could not even be opened, and why, for the header.

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
    refused: Refused = (),
    hot: float = 10.0,
) -> Product:
    """Stack dark frames per second of exposure, after bias.

    Parameters
    ----------
    exposures : sequence of Exposure
        Exposure times may differ: frames are weighted by their inverse variance.
    bias : Calibration or None
        Only frames with overscan do without.
    rejection : Rejection
    refused : sequence of (path, str)
        As for a bias.
    hot : float
        A pixel whose current exceeds the typical one by more than this many rstd of all pixels is hot.

    Returns
    -------
    Product
        In electrons per second. ``DARKTEFF`` is the exposure time by which an error of the bias entered. A typical
        current below 0 is a drift of the bias level, which must not be scaled to long exposures: the image is brought
        to 0, with a warning.

    Raises
    ------
    SetAside
        If no frame could be read.
    """
    bias = _usable_master(bias)
    good, levels, refused = _levels(exposures, rejection, refused, bias)
    current = max(0.0, float(np.mean([level.mean / e.exposure for e, level in zip(good, levels, strict=True)])))

    def layer(exposure: Exposure) -> Layer:
        time = exposure.exposure

        def rows(start: int, stop: int) -> Image:
            return (_usable(exposure, start, stop) - _part(bias, start, stop)) / time

        variance, per_signal = _read_variance(exposure) / time**2, 1 / time
        return Layer(rows, variance, per_signal, weight=1 / (variance + current * per_signal))

    layers = [layer(exposure) for exposure in good]
    weights = np.array([item.weight for item in layers])
    effective = float(weights.sum() / np.sum(weights / [exposure.exposure for exposure in good]))
    stacked = stack(layers, good[0].readout.shape, *_cut(rejection))
    if bias is not None:
        stacked = _add_variance(stacked, bias.variance / effective**2)
    mask = _mask(stacked, bias)
    typical = clipped_mean(stacked.mean.ravel(), rejection.level)
    pedestal = min(0.0, float(typical.mean))
    mask[stacked.mean - typical.mean > np.maximum(hot * typical.scatter, 5 * stacked.uncertainty)] |= Flag.HOT
    header = _header("dark", good, refused, stacked)
    cards = [
        ("DARKCURR", float(typical.mean), "[electron/s] typical dark current"),
        ("DARKTEFF", effective, "[s] exposure by which an error of the bias enters"),
        ("EXPTIME", effective, "[s] of the typical frame; the image is per second"),
        ("NHOT", int(np.sum(mask & Flag.HOT > 0)), "hot pixels"),
        *_used("BIAS", bias),
    ]
    set_cards(header, cards)
    if pedestal < 0:
        warn(header, f"dark current of {pedestal:.2g} e-/s is bias drift: set to 0")
    if bias is None:
        set_cards(header, [("SKIPPED", "bias", "steps that the frames did not have")])
    return _product(stacked, mask, "electron / s", header, fill=float(typical.mean), pedestal=pedestal)


def make_master_flat(
    exposures: Sequence[Exposure],
    bias: Calibration | None,
    dark: Calibration | None,
    rejection: Rejection = Rejection(),
    refused: Refused = (),
) -> Product:
    """Stack flats of one filter, each divided by the clipped mean of its central quarter, after bias and dark.

    Parameters
    ----------
    exposures : sequence of Exposure
        Levels and exposure times may differ.
    bias, dark : Calibration or None
        Pixels that they flag are left out of the normalisation.
    rejection : Rejection
    refused : sequence of (path, str)
        As for a bias.

    Returns
    -------
    Product
        A ratio near 1; pixels below 0.2 are set to 1 and flagged ``LOW_FLAT``.

    Raises
    ------
    SetAside
        If no frame could be read or none has light in it.
    """
    bias, dark = _usable_master(bias), _usable_master(dark)
    good, levels, refused = _levels(exposures, rejection, refused, bias, dark, central=True)

    def layer(exposure: Exposure, level: Clipped) -> Layer:
        light, time = float(level.mean), exposure.exposure

        def rows(start: int, stop: int) -> Image:
            signal = _usable(exposure, start, stop) - _part(bias, start, stop) - time * _part(dark, start, stop)
            return signal / light

        return Layer(rows, _read_variance(exposure) / light**2, 1 / light)

    layers = [layer(*pair) for pair in zip(good, levels, strict=True)]
    stacked = stack(layers, good[0].readout.shape, *_cut(rejection))
    lights = np.array([float(level.mean) for level in levels])
    times = np.array([exposure.exposure for exposure in good])
    for master, share in ((bias, np.mean(1 / lights)), (dark, np.mean(times / lights))):
        if master is not None:
            stacked = _add_variance(stacked, master.variance * share**2)
    flags = _mask(stacked, bias, dark)
    low = stacked.mean < LOW_FLAT
    flags[low] |= Flag.LOW_FLAT
    stacked.mean[low], stacked.uncertainty[low] = 1.0, 0.0
    header = _header("flat", good, refused, stacked)
    cards = [
        ("FLATLVL", float(lights.mean()), "[electron] mean light in the central quarter"),
        ("FLATLOW", int(low.sum()), "pixels below 0.2, set to 1"),
        *_used("BIAS", bias),
        *_used("DARK", dark),
    ]
    set_cards(header, cards)
    skipped = ",".join(name for name, master in (("bias", bias), ("dark", dark)) if master is None)
    if skipped:
        set_cards(header, [("SKIPPED", skipped, "steps that the frames did not have")])
    return _product(stacked, flags, "", header, fill=1.0)


def make_bad_pixel_mask(masters: Sequence[Calibration]) -> Product:
    """Gather what the night's masters say about pixels.

    Parameters
    ----------
    masters : sequence of Calibration
        Bias, darks and flats of one setup, any number of each.

    Returns
    -------
    Product
        The image is the mask: ``BAD`` where a pixel is noisy or never gave data, ``HOT`` where it is hot in a dark.
        What a flat says of its own filter (``LOW_FLAT``) stays with that flat.
    """
    bits = np.zeros(masters[0].mask.shape, dtype=MASK_DTYPE)
    for master in masters:
        if not master.refused:
            bits |= master.mask & (Flag.BAD | Flag.HOT)
            bits[master.mask & Flag.NO_DATA > 0] |= Flag.BAD
    header = fits.Header()
    times = [master.header["MJDMEAN"] for master in masters]
    cards: list[tuple[str, Any, str]] = [
        ("MASTER", "bpm", "kind of master"),
        ("MJDMEAN", float(np.mean(times)), "mean of the middles of the exposures"),
        ("NBAD", int(np.sum(bits & Flag.BAD > 0)), "bad pixels"),
        ("NHOT", int(np.sum(bits & Flag.HOT > 0)), "hot pixels"),
        ("NFRAMES", len(masters), "masters it is made from"),
    ]
    for n, master in enumerate(masters, start=1):
        cards += [(f"FRAM{n:04d}", master.name, "made from"), (f"FSHA{n:04d}", master.digest, "its SHA-256 begins")]
    set_cards(header, cards)
    return Product(bits, np.zeros(bits.shape, np.float32), bits, "", header)


def refused_master(kind: str, shape: tuple[int, int], reason: str) -> Product:
    """Stand in for a master that could not be made: no data, the reason in the header, so that the night goes on."""
    header = fits.Header()
    set_cards(header, [("MASTER", kind, "kind of master"), ("REFUSED", reason, "why there is no data")])
    header["MJDMEAN"] = 0.0
    unit = {"bias": "electron", "dark": "electron / s"}.get(kind, "")
    zeros = np.zeros(shape, np.float32)
    return Product(zeros, zeros, np.full(shape, Flag.NO_DATA, MASK_DTYPE), unit, header)


def _levels(
    exposures: Sequence[Exposure],
    rejection: Rejection,
    refused: Refused,
    bias: Calibration | None = None,
    dark: Calibration | None = None,
    central: bool = False,
) -> tuple[list[Exposure], list[Clipped], Refused]:
    """Find the level of each frame, one frame in memory at a time; leave out what cannot be used."""
    good, levels, left_out = [], [], list(refused)
    for exposure in exposures:
        try:
            ny, nx = exposure.readout.shape
            signal = _usable(exposure, 0, ny) - _part(bias, 0, ny) - exposure.exposure * _part(dark, 0, ny)
            for master in (bias, dark):
                if master is not None:
                    signal[master.mask > 0] = np.nan
            if central:
                signal = signal[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]
            values = signal[np.isfinite(signal)]
            if values.size == 0:
                raise SetAside("none of its pixels holds a usable number")
            electronics = exposure.readout.electronics
            level = clipped_mean(
                values, rejection.level, np.hypot(electronics.read_noise, QUANTISATION * electronics.gain)
            )
            if central and level.mean <= 0:
                raise SetAside(f"there is no light in it: its level is {level.mean:.1f} e- after bias and dark")
        except SetAside as reason:
            log.warning("%s: set aside: %s.", exposure.path.name, reason)
            left_out.append((exposure.path, str(reason)))
            continue
        log.info("%s: level %.2f e-", exposure.path.name, level.mean)
        good.append(exposure)
        levels.append(level)
    if not good:
        raise SetAside(f"none of {len(left_out)} frames can be used; the first: {left_out[0][1]}")
    return good, levels, left_out


def _usable(exposure: Exposure, start: int, stop: int) -> Image:
    """Rows in electrons, NaN where saturated or missing."""
    electrons, flags = exposure.readout.rows(start, stop)
    electrons[flags > 0] = np.nan
    return electrons


def _part(master: Calibration | None, start: int, stop: int) -> Image | float:
    return 0.0 if master is None else master.data[start:stop]


def _usable_master(master: Calibration | None) -> Calibration | None:
    if master is not None and master.refused:
        log.warning("%s holds no data (%s): step skipped.", master.name, master.refused)
        return None
    return master


def _read_variance(exposure: Exposure) -> float:
    """Variance [e-^2] of a pixel without light; digitisation alone where the read noise is unknown."""
    electronics = exposure.readout.electronics
    least = QUANTISATION * electronics.gain
    return max(electronics.read_noise, least) ** 2 + float(np.mean(exposure.readout.level_variance))


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
    uncertainty = np.sqrt(stacked.uncertainty**2 + variance)
    return Stack(stacked.mean, uncertainty, stacked.survivors, stacked.excess, stacked.ratio)


def _header(kind: str, exposures: Sequence[Exposure], refused: Refused, stacked: Stack) -> fits.Header:
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
    for n, (path, reason) in enumerate(refused, start=1):
        cards += [(f"RFRM{n:04d}", path.name, "set aside"), (f"RWHY{n:04d}", reason, "")]
    set_cards(header, cards)
    if len(exposures) < 3:
        warn(header, f"{kind} of {len(exposures)} frame{'s' * (len(exposures) > 1)}: too few to reject outliers")
    if not RATIO_RANGE[0] < stacked.ratio < RATIO_RANGE[1]:
        warn(header, f"{kind} frames scatter {stacked.ratio:.2f} times what gain and read noise say")
    return header


def _used(step: str, master: Calibration | None) -> list[tuple[str, Any, str]]:
    if master is None:
        return []
    return [(f"{step}MAST", master.name, f"master {step.lower()}"), (f"{step}SHA", master.digest, "its SHA-256 begins")]


def _product(
    stacked: Stack, mask: NDArray[np.uint8], unit: str, header: fits.Header, fill: float, pedestal: float = 0.0
) -> Product:
    empty = stacked.survivors == 0
    data = (np.where(empty, fill, stacked.mean) - pedestal).astype(np.float32)
    uncertainty = np.where(empty, 0.0, stacked.uncertainty).astype(np.float32)
    return Product(data, uncertainty, mask, unit, header, stacked.survivors)
