"""Master bias, dark and flat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.calibration import (
    Calibration,
    in_electrons,
    inherit_warnings,
    note_dark_scaling,
    note_skipped,
    used_cards,
)
from nightcal.cards import set_cards, warn
from nightcal.darks import judge_darks, scattered_read_noise
from nightcal.errors import SetAside
from nightcal.fitsio import Product
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.flats import CHIP_SPOTS, USUAL, FlatLimits, judge_flats
from nightcal.glow import Glow
from nightcal.kernels import kernels
from nightcal.layers import Exposure, Refusal, in_order, judge, layer_of, whole_level
from nightcal.levels import level_of_values
from nightcal.noise_check import note_gain, note_read_noise
from nightcal.sections import Area
from nightcal.spots import bright_spots
from nightcal.stack import Layer, Rows, Stack, joined, stack

log = logging.getLogger(__name__)

LOW_FLAT = 0.2
HOT_SIGMA = 5.0
UNSTEADY = 2.0  # times the limit of departure
ALIKE = 2.0  # ratio of variances up to which frames count alike
RATIO_RANGE = (0.5, 2.0)
STRIP = 64
TYPICAL_PIXELS = 2**20


@dataclass(frozen=True, slots=True)
class Rejection:
    """Half-widths of the clipping, in rstd: of a frame's own level, and along a stack; whether noise sets a floor."""

    level: float = 3.5
    stack: float = 3.0
    floor: bool = True


def make_master_bias(
    exposures: Sequence[Exposure],
    rejection: Rejection = Rejection(),
    refused: Sequence[Refusal] = (),
    threads: int = 1,
) -> Product:
    """Stack bias frames, each brought to the mean level first.

    Parameters
    ----------
    exposures : sequence of Exposure
        Of equal shape.
    rejection : Rejection
    refused : sequence of Refusal
        Frames that could not even be opened, for the header.
    threads : int

    Returns
    -------
    Product
        In electrons; the mean level is in the image and in the header (``BIASLVL``).

    Raises
    ------
    SetAside
        If no frame could be read; one that cannot is left out and named in the header.
    """
    exposures = in_order(exposures)
    work = len(exposures) * int(np.prod(exposures[0].readout.shape)) if exposures else 0
    judged = judge(exposures, refused, lambda exposure: whole_level(exposure, rejection.level, kernels(work)))
    mean_level = float(np.mean(judged.levels))

    def layers(exposures: Sequence[Exposure]) -> list[Layer]:
        return [layer_of(e, shift=level) for e, level in zip(exposures, judged.levels, strict=True)]

    stacked = _stacked(judged.exposures, layers, rejection, [], threads)
    mask = _mask(stacked)
    np.bitwise_or(mask, Flag.BAD, out=mask, where=stacked.noisy)
    header = _header("bias", judged.exposures, judged.refused, stacked)
    cards = [
        ("BIASLVL", mean_level, "[electron] mean level of the frames"),
        ("BIASDRFT", float(np.std(judged.levels)), "[electron] scatter of the levels"),
        ("NOISY", int(np.count_nonzero(stacked.noisy)), "pixels much noisier than the read noise"),
    ]
    set_cards(header, cards)
    note_read_noise(header, judged.exposures)
    return _product(stacked, mask, "electron", header, fill=mean_level, pedestal=-mean_level)


def make_master_dark(
    exposures: Sequence[Exposure],
    bias: Calibration | None,
    rejection: Rejection = Rejection(),
    refused: Sequence[Refusal] = (),
    hot: float = 10.0,
    threads: int = 1,
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
    threads : int

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
    exposures = in_order(exposures)
    bias = _usable_master("bias", bias, exposures)
    judged, glow = judge_darks(exposures, bias, refused, rejection.level)
    good = judged.exposures
    _check_pedestal(bias, good)
    times = [exposure.exposure for exposure in good]
    layers = _dark_layers(good, judged.levels, bias)
    weights = np.array([layer.weight for layer in layers])
    effective = float(f"{weights.sum() / np.sum(weights / times):.9g}")
    stacked = _stacked(good, lambda exposures: _dark_layers(exposures, judged.levels, bias), rejection, [bias], threads)
    if bias is not None:
        _add_variance(stacked, bias, 1 / effective)
    mask = _mask(stacked, bias)
    sample = stacked.mean[:: ceil(stacked.mean.size / TYPICAL_PIXELS)]
    typical = level_of_values(sample, rejection.level, 0.0)
    hot_pixels = _above(stacked, typical.mean, hot * typical.rstd, HOT_SIGMA)
    mask[hot_pixels] |= Flag.HOT
    np.bitwise_or(mask, Flag.BAD, out=mask, where=stacked.noisy)
    pedestal = min(0.0, typical.mean)
    header = _header("dark", good, judged.refused, stacked)
    cards = [
        ("DARKCURR", typical.mean, "[electron/s] typical dark current"),
        ("DARKTEFF", effective, "[s] by which an error of the bias enters"),
        ("EXPTIME", effective, "[s] of the frames; the image is per second"),
        ("EXPMIN", min(times), "[s] shortest exposure"),
        ("EXPMAX", max(times), "[s] longest exposure; frames are matched by it"),
        ("NHOT", int(np.count_nonzero(hot_pixels)), "hot pixels"),
        ("NOISY", int(np.count_nonzero(stacked.noisy)), "pixels much noisier than read and photon noise"),
        ("HOTLIMIT", typical.mean + hot * typical.rstd - pedestal, "[electron/s] a hot pixel exceeds this"),
        *used_cards("bias", bias),
    ]
    read_noise = scattered_read_noise(good, layers, stacked.ratio, typical.mean)
    if read_noise is not None:
        cards.append(("RNDARK", read_noise, "[electron] read noise, by the scatter of frames"))
    set_cards(header, cards)
    inherit_warnings(header, bias)
    if glow is not None:
        _note_glow(header, glow, good[0].read_variance ** 0.5)
    if pedestal < 0:
        warn(header, f"dark current of {pedestal:.2g} e-/s is bias drift: set to 0")
    note_skipped(header, {"bias": bias}, "steps that the frames did not have")
    return _product(stacked, mask, "electron / s", header, fill=typical.mean - pedestal, pedestal=pedestal)


def _note_glow(header: fits.Header, glow: Glow, read_noise: float) -> None:
    cards = [
        ("DARKGLOW", glow.light, "[electron] light that does not scale, at most"),
        ("DARKGERR", glow.error, "[electron] its error"),
    ]
    set_cards(header, cards)
    if glow.matters(read_noise):
        where = f"{glow.light:+.2g} e- in each frame around pixel {glow.x}, {glow.y}"
        cause = "amplifier glow" if glow.light > 0 else "more in the bias"
        warn(header, f"dark does not scale with exposure: {where}, {cause}?")


def _dark_layers(exposures: Sequence[Exposure], levels: Sequence[float], bias: Calibration | None) -> list[Layer]:
    """Electrons per second, weighted by the noise that read-out and the typical dark current make."""
    current = max(0.0, float(np.mean([level / e.exposure for e, level in zip(exposures, levels, strict=True)])))

    def layer(exposure: Exposure) -> Layer:
        time = exposure.exposure
        factors = () if bias is None else (1 / time,)
        weight = 1 / (exposure.read_variance / time**2 + current / time)
        return layer_of(exposure, scale=1 / time, factors=factors, weight=weight, per_signal=1 / time)

    return [layer(exposure) for exposure in exposures]


def make_master_flat(
    exposures: Sequence[Exposure],
    bias: Calibration | None,
    dark: Calibration | None,
    rejection: Rejection = Rejection(),
    refused: Sequence[Refusal] = (),
    threads: int = 1,
    limits: FlatLimits = USUAL,
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
    threads : int
    limits : FlatLimits
        What is asked of the frames.

    Returns
    -------
    Product
        A ratio near 1; pixels below 0.2 are set to 1 and flagged ``LOW_FLAT``.

    Raises
    ------
    SetAside
        If no frame could be read, none has light in it, or the bias level of one cannot be taken off.
    """
    exposures = in_order(exposures)
    bias = _usable_master("bias", bias, exposures)
    dark = _usable_master("dark", dark, exposures, per_second=True)
    judged, departure = judge_flats(exposures, refused, bias, dark, rejection.level, limits)
    good, lights = judged.exposures, np.array(judged.levels)
    _check_pedestal(bias, good)
    times = np.array([exposure.exposure for exposure in good])
    layers = _flat_layers(good, judged.levels, bias, dark)
    stacked = _stacked(
        good, lambda exposures: _flat_layers(exposures, judged.levels, bias, dark), rejection, [bias, dark], threads
    )
    weights = [layer.weight for layer in layers]
    shares = np.average(1 / lights, weights=weights), np.average(times / lights, weights=weights)
    for master, share in zip((bias, dark), shares, strict=True):
        if master is not None:
            _add_variance(stacked, master, share)
    mask = _mask(stacked, bias, dark)
    low = stacked.mean < LOW_FLAT
    mask[low] |= Flag.LOW_FLAT
    stacked.mean[low], stacked.uncertainty[low] = 1.0, 0.0
    spots = bright_spots(stacked.mean, mask != 0)
    header = _header("flat", good, judged.refused, stacked)
    cards = [
        ("FLATLVL", float(lights.mean()), "[electron] mean light in the central quarter"),
        ("FLATLOW", int(np.count_nonzero(low)), "pixels below 0.2, set to 1"),
        ("NRESID", len(spots), "compact bright spots, as of stars"),
        *used_cards("bias", bias),
        *used_cards("dark", dark),
    ]
    set_cards(header, cards)
    note_gain(header, good, bias)
    note_dark_scaling(header, dark, float(times.max()), "flat frames: ")
    if departure is not None:
        set_cards(header, [("FLATDEP", departure, "[percent] largest departure from the shape of the set")])
    _warn_of_flat(header, good, len(spots), departure, limits)
    inherit_warnings(header, bias, dark)
    note_skipped(header, {"bias": bias, "dark": dark}, "steps that the frames did not have")
    return _product(stacked, mask, "", header, fill=1.0)


def _warn_of_flat(
    header: fits.Header, exposures: Sequence[Exposure], spots: int, departure: float | None, limits: FlatLimits
) -> None:
    if departure is not None and departure > UNSTEADY * limits.departure:
        warn(header, f"flat frames differ in shape by up to {departure:.1f} percent: unsteady light?")
    if spots > CHIP_SPOTS and any(exposure.light != "dome" for exposure in exposures):
        warn(header, f"flat has {spots} compact bright spots: stars?")


def _flat_layers(
    exposures: Sequence[Exposure], lights: Sequence[float], bias: Calibration | None, dark: Calibration | None
) -> list[Layer]:
    def layer(exposure: Exposure, light: float) -> Layer:
        shares = ((bias, 1 / light), (dark, exposure.exposure / light))
        factors = tuple(share for master, share in shares if master is not None)
        weight = 1 / (exposure.read_variance / light**2 + 1 / light)
        return layer_of(exposure, scale=1 / light, factors=factors, weight=weight, per_signal=1 / light)

    return _plain_if_alike([layer(*pair) for pair in zip(exposures, lights, strict=True)])


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


def _usable_master(
    name: str, master: Calibration | None, exposures: Sequence[Exposure], per_second: bool = False
) -> Calibration | None:
    """Take a master in electrons of the frames' gain, or none if it holds no data."""
    if master is not None and master.refused:
        log.warning("%s holds no data (%s): step skipped.", master.name, master.refused)
        return None
    if master is None or not exposures:
        return master
    shape = exposures[0].readout.shape
    if master.data.shape != shape:
        sizes = f"{master.data.shape[1]} x {master.data.shape[0]} pixels, the frames {shape[1]} x {shape[0]}"
        raise SetAside(f"the master {name} {master.name} has {sizes}")
    return in_electrons(name, master, exposures[0].readout.electronics.gain, per_second)


def _check_pedestal(bias: Calibration | None, exposures: Sequence[Exposure]) -> None:
    if bias is None and not all(exposure.readout.has_overscan for exposure in exposures):
        raise SetAside("there is neither a master bias nor overscan to take the bias level off")


def _stacked(
    exposures: Sequence[Exposure],
    layers: Callable[[Sequence[Exposure]], Sequence[Layer]],
    rejection: Rejection,
    masters: Sequence[Calibration | None],
    threads: int,
) -> Stack:
    """Stack what each amplifier read by itself, since each has its own noise."""
    shape = exposures[0].readout.shape
    work = len(exposures) * shape[0] * shape[1]
    stacks = []
    for n, (area, share) in enumerate(exposures[0].readout.shares):
        alone = [replace(exposure, readout=exposure.readout.shares[n][1]) for exposure in exposures]
        images = [_rows_of(master, area) for master in masters if master is not None]
        first = share.area.xmin
        stacked = stack(layers(alone), area.shape, rejection.stack, rejection.floor, images, first, threads, work)
        stacks.append((area, stacked))
    return stacks[0][1] if stacks[0][0].shape == shape else joined(stacks, shape)


def _rows_of(master: Calibration, area: Area) -> Rows:
    columns = slice(area.xmin, area.xmax)
    return lambda start, stop: master.data[area.ymin + start : area.ymin + stop][:, columns]


def _mask(stacked: Stack, *ingredients: Calibration | None) -> NDArray[np.uint8]:
    mask = np.zeros(stacked.mean.shape, dtype=MASK_DTYPE)
    for strip in _strips(mask):
        mask[strip][stacked.survivors[strip] == 0] = Flag.NO_DATA
    for ingredient in ingredients:
        if ingredient is not None:
            mask |= np.asarray(ingredient.mask)
    return mask


def _strips(image: NDArray[Any]) -> list[slice]:
    return [slice(start, start + STRIP) for start in range(0, len(image), STRIP)]


def _above(stacked: Stack, typical: float, excess: float, sigmas: float) -> NDArray[np.bool_]:
    """Pixels that exceed the typical one by both, an excess and so many of their own errors."""
    above = np.zeros(stacked.mean.shape, dtype=bool)
    for strip in _strips(above):
        above[strip] = stacked.mean[strip] - typical > np.maximum(excess, sigmas * stacked.uncertainty[strip])
    return above


def _add_variance(stacked: Stack, master: Calibration, share: float) -> None:
    """Add the error of a master that was subtracted with a factor, in place."""
    for strip in _strips(stacked.mean):
        uncertainty = stacked.uncertainty[strip]
        np.sqrt(uncertainty**2 + master.variance[strip] * np.float32(share**2), out=uncertainty)


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
    parts = exposures[0].readout.parts
    for n, part in enumerate(parts if len(parts) > 1 else (), start=1):
        cards.append((f"AMPSEC{n:02d}", str(part.area), f"pixels of amplifier {n}"))
        cards.append((f"GAINUS{n:02d}", part.gain, "[electron/adu]"))
        cards.append((f"RNUSED{n:02d}", part.read_noise, "[electron]"))
    levels = [level for exposure in exposures if (level := exposure.readout.mean_level) is not None]
    if levels:
        cards.append(("OVSCLEV", float(np.mean(levels)), "[adu] mean overscan level"))
    for n, exposure in enumerate(exposures, start=1):
        cards.append((f"FRAM{n:04d}", exposure.path.name, "stacked"))
        cards.append((f"FSHA{n:04d}", exposure.readout.image.digest, "its SHA-256 begins"))
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
    """Finish a stack in place: where nothing survived it gets a number and no error."""
    for strip in _strips(mask):
        mean, uncertainty, empty = stacked.mean[strip], stacked.uncertainty[strip], stacked.survivors[strip] == 0
        mean -= np.float32(pedestal)
        mean[empty], uncertainty[empty] = fill, 0.0
    return Product(stacked.mean, stacked.uncertainty, mask, unit, header, stacked.survivors)
