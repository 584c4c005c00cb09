"""Master bias, dark and flat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.keywords import mean_time_cards, set_cards, warn
from nightcal.io.master import MasterFrame, in_electrons
from nightcal.io.product import Product
from nightcal.io.sections import Area
from nightcal.masters.keywords import list_inputs, list_rejected
from nightcal.stacking.calibration_frame import CalibrationFrame, RejectedFrame
from nightcal.stacking.stack import Rows, Stack, StackInput, stack

log = logging.getLogger(__name__)

RATIO_RANGE = (0.5, 2.0)
STRIP = 64


@dataclass(frozen=True, slots=True)
class Rejection:
    """Half-widths of the clipping, in rstd: of a frame's own level, and along a stack; whether noise sets a floor."""

    frame_sigma: float = 3.5
    stack_sigma: float = 3.0
    floor: bool = True


USUAL_REJECTION = Rejection()


def empty_master(kind: str, shape: tuple[int, int], reason: str) -> Product:
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
    set_cards(header, [("MASTER", kind, "kind of master"), ("EMPTY", reason, "why there is no data")])
    header["MJD-AVG"] = 0.0
    unit = {"bias": "electron", "dark": "electron / s"}.get(kind, "")
    zeros = np.zeros(shape, np.float32)
    return Product(zeros, zeros, np.full(shape, Flag.NO_DATA, MASK_DTYPE), unit, header)


def _usable_master(
    name: str, master: MasterFrame | None, exposures: Sequence[CalibrationFrame], per_second: bool = False
) -> MasterFrame | None:
    """Take a master in electrons of the frames' gain, or none if it holds no data."""
    if master is not None and master.refused:
        log.warning("%s holds no data (%s): step skipped.", master.name, master.refused)
        return None
    if master is None or not exposures:
        return master
    shape = exposures[0].readout.shape
    if master.data.shape != shape:
        sizes = f"{master.data.shape[1]} x {master.data.shape[0]} pixels, the frames {shape[1]} x {shape[0]}"
        raise FrameRejectedError(f"the master {name} {master.name} has {sizes}")
    return in_electrons(name, master, exposures[0].readout.electronics.gain, per_second)


def _check_pedestal(bias: MasterFrame | None, exposures: Sequence[CalibrationFrame]) -> None:
    if bias is None and not all(exposure.readout.has_overscan for exposure in exposures):
        raise FrameRejectedError("there is neither a master bias nor overscan to take the bias level off")


def _stacked(
    exposures: Sequence[CalibrationFrame],
    inputs: Callable[[Sequence[CalibrationFrame]], Sequence[StackInput]],
    rejection: Rejection,
    masters: Sequence[MasterFrame | None],
    threads: int,
) -> Stack:
    """Stack what each amplifier read by itself, since each has its own noise."""
    shape = exposures[0].readout.shape
    stacks = []
    for n, (area, share) in enumerate(exposures[0].readout.shares):
        alone = [replace(exposure, readout=exposure.readout.shares[n][1]) for exposure in exposures]
        images = [_rows_of(master, area) for master in masters if master is not None]
        first = share.area.xmin
        stacked = stack(inputs(alone), area.shape, rejection.stack_sigma, rejection.floor, images, first, threads)
        stacks.append((area, stacked))
    return stacks[0][1] if stacks[0][0].shape == shape else joined(stacks, shape)


def _rows_of(master: MasterFrame, area: Area) -> Rows:
    columns = slice(area.xmin, area.xmax)
    return lambda start, stop: master.data[area.ymin + start : area.ymin + stop][:, columns]


def _mask(stacked: Stack, *ingredients: MasterFrame | None) -> NDArray[np.uint8]:
    mask = np.zeros(stacked.mean.shape, dtype=MASK_DTYPE)
    for strip in _strips(mask):
        mask[strip][stacked.survivors[strip] == 0] = Flag.NO_DATA
    for ingredient in ingredients:
        if ingredient is not None:
            mask |= np.asarray(ingredient.mask)
    return mask


def _strips(image: NDArray[Any]) -> list[slice]:
    return [slice(start, start + STRIP) for start in range(0, len(image), STRIP)]


def _add_variance(stacked: Stack, master: MasterFrame, share: float) -> None:
    """Add the error of a master that was subtracted with a factor, in place."""
    for strip in _strips(stacked.mean):
        uncertainty = stacked.uncertainty[strip]
        np.sqrt(uncertainty**2 + master.variance[strip] * np.float32(share**2), out=uncertainty)


def _header(
    kind: str, exposures: Sequence[CalibrationFrame], refused: Sequence[RejectedFrame], stacked: Stack
) -> fits.Header:
    header = fits.Header()
    times = [exposure.mjd for exposure in exposures]
    electronics = exposures[0].readout.electronics
    cards: list[tuple[str, Any, str]] = [
        ("MASTER", kind, "kind of master"),
        *mean_time_cards(float(np.mean(times))),
        ("MJDFIRST", min(times), "middle of the first exposure"),
        ("MJDLAST", max(times), "middle of the last exposure"),
        ("NCOMBINE", len(exposures), "frames stacked"),
        ("NREJECT", len(refused), "frames left out"),
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
    set_cards(header, cards)
    list_inputs(header, [(exposure.path.name, exposure.readout.image.digest) for exposure in exposures])
    list_rejected(header, [(frame.path.name, frame.reason, frame.mjd) for frame in refused])
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


def joined(stacks: Sequence[tuple[Area, Stack]], shape: tuple[int, int]) -> Stack:
    """Put the stacks of several amplifiers together.

    Parameters
    ----------
    stacks : sequence of (Area, Stack)
        Each with its place in the image.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    Stack
        Nothing survived where there is none; the ratio is the mean square of theirs, by pixels.
    """
    mean, uncertainty = np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32)
    survivors, noisy = np.zeros(shape, np.int16), np.zeros(shape, dtype=bool)
    for area, one in stacks:
        mean[area.slices], uncertainty[area.slices] = one.mean, one.uncertainty
        survivors[area.slices], noisy[area.slices] = one.survivors, one.noisy
    pixels = [one.mean.size for _, one in stacks]
    ratio = float(np.sqrt(np.average([one.ratio**2 for _, one in stacks], weights=pixels)))
    return Stack(mean, uncertainty, survivors, noisy, ratio)
