"""Steps that master bias, dark and flat share: checks, stacking, mask, header, product."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from astropy.io import fits

from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag, MaskBits
from nightcal.io.date_formats import SECONDS_A_DAY
from nightcal.io.keywords import list_mean_time, list_start, set_cards, warn
from nightcal.io.master import MasterFrame, convert_to_electrons
from nightcal.io.product import Product
from nightcal.io.sections import Area
from nightcal.masters.keywords import inherit_warnings, list_inputs, list_rejected, name_master, note_skipped
from nightcal.numerics.blocks import cut_strips
from nightcal.stacking.calibration_frame import Accepted, CalibrationFrame
from nightcal.stacking.stack import Rows, Stack, StackInput, stack
from nightcal.warning_names import name_warning, summarise_warnings

log = logging.getLogger(__name__)

STRIP = 64


@dataclass(frozen=True, slots=True)
class Rejection:
    """Half-widths of the clipping, in rstd: of a frame's level, and along a stack; whether noise sets a floor."""

    frame_sigma: float = 3.5
    stack_sigma: float = 3.0
    floor: bool = True


USUAL_REJECTION = Rejection()


def make_empty_master(kind: str, shape: tuple[int, int], reason: str) -> Product:
    """Make a product without data, with the reason in its header, so that the night can continue.

    Parameters
    ----------
    kind : str
        ``bias``, ``dark``, ``flat``, ``bpm`` or ``fringe``.
    shape : (int, int)
        Rows and columns.
    reason : str
        One plain sentence.

    Returns
    -------
    Product
        Image and uncertainty are 0, every pixel is ``NO_DATA``.
    """
    header = fits.Header()
    set_cards(header, {"MASTER": kind, "IMAGETYP": kind, "EMPTY": reason})
    header["MJD-AVG"] = 0.0
    unit = {"bias": "electron", "dark": "electron / s"}.get(kind, "")
    zeros = np.zeros(shape, np.float32)
    return Product(zeros, zeros, np.full(shape, Flag.NO_DATA, MASK_DTYPE), unit, header)


def check_master(
    name: str, master: MasterFrame | None, frames: Sequence[CalibrationFrame], per_second: bool = False
) -> MasterFrame | None:
    """Bring a master to electrons with the frames' gain; None if it is empty.

    Raises
    ------
    FrameRejectedError
        If it does not have the size of the frames.
    """
    if master is not None and master.why_empty:
        log.warning("%s is empty (%s): step skipped.", master.name, master.why_empty)
        return None
    if master is None or not frames:
        return master
    shape = frames[0].readout.shape
    if master.data.shape != shape:
        sizes = f"{master.data.shape[1]} x {master.data.shape[0]} pixels; expected {shape[1]} x {shape[0]}"
        raise FrameRejectedError(f"master {name} {master.name} has {sizes}, the size of the frames")
    return convert_to_electrons(name, master, frames[0].readout.gain, per_second)


def check_pedestal(bias: MasterFrame | None, frames: Sequence[CalibrationFrame]) -> None:
    """Check that the bias level of the frames can be subtracted.

    Raises
    ------
    FrameRejectedError
        If there is no bias, and a frame has no overscan.
    """
    if bias is None and not all(frame.readout.has_overscan for frame in frames):
        raise FrameRejectedError("no bias and no overscan: the bias level cannot be subtracted")


def stack_frames(
    frames: Sequence[CalibrationFrame],
    make_inputs: Callable[[Sequence[CalibrationFrame]], Sequence[StackInput]],
    rejection: Rejection,
    masters: Sequence[MasterFrame | None],
    threads: int,
) -> Stack:
    """Stack the pixels of each amplifier separately, since each has its own noise."""
    shape = frames[0].readout.shape
    stacks = []
    for n, (area, share) in enumerate(frames[0].readout.shares):
        shares = [replace(frame, readout=frame.readout.shares[n][1]) for frame in frames]
        images = [_make_row_reader(master, area) for master in masters if master is not None]
        first, k, floor = share.area.xmin, rejection.stack_sigma, rejection.floor
        stacks.append((area, stack(make_inputs(shares), area.shape, k, floor, images, first, threads)))
    return stacks[0][1] if stacks[0][0].shape == shape else join_stacks(stacks, shape)


def _make_row_reader(master: MasterFrame, area: Area) -> Rows:
    columns = slice(area.xmin, area.xmax)
    return lambda start, stop: master.data[area.ymin + start : area.ymin + stop][:, columns]


def join_stacks(stacks: Sequence[tuple[Area, Stack]], shape: tuple[int, int]) -> Stack:
    """Join the stacks of several amplifiers.

    Parameters
    ----------
    stacks : sequence of (Area, Stack)
        Each with its place in the image.
    shape : (int, int)
        Rows and columns of the image.

    Returns
    -------
    Stack
        Without survivors outside of the areas; the ratio is the root mean square of their ratios, weighted by pixels.
    """
    mean, uncertainty = np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32)
    survivors, noisy = np.zeros(shape, np.int16), np.zeros(shape, dtype=bool)
    for area, part in stacks:
        mean[area.slices], uncertainty[area.slices] = part.mean, part.uncertainty
        survivors[area.slices], noisy[area.slices] = part.survivors, part.noisy
    pixels = [part.mean.size for _, part in stacks]
    ratio = float(np.sqrt(np.average([part.ratio**2 for _, part in stacks], weights=pixels)))
    return Stack(mean, uncertainty, survivors, noisy, ratio)


def make_mask(stacked: Stack, *masters: MasterFrame | None) -> MaskBits:
    """Flag pixels without survivors, and those that the subtracted masters flag."""
    mask = np.zeros(stacked.mean.shape, dtype=MASK_DTYPE)
    for strip in cut_strips(len(mask), STRIP):
        mask[strip][stacked.survivors[strip] == 0] = Flag.NO_DATA
    for master in masters:
        if master is not None:
            mask |= np.asarray(master.mask)
    return mask


def add_variance(stacked: Stack, master: MasterFrame | None, factor: float) -> None:
    """Add the error of a master that was subtracted with a factor, in place."""
    if master is not None:
        for strip in cut_strips(len(stacked.mean), STRIP):
            uncertainty = stacked.uncertainty[strip]
            np.sqrt(uncertainty**2 + master.variance[strip] * np.float32(factor**2), out=uncertainty)


def make_header(kind: str, accepted: Accepted, stacked: Stack) -> fits.Header:
    """Describe the frames of a master and how they were stacked; warn if noise is not as expected."""
    frames = accepted.frames
    times = [frame.mjd for frame in frames]
    readout = frames[0].readout
    header = fits.Header()
    set_cards(header, {"MASTER": kind, "IMAGETYP": kind})
    start = min(frame.mjd - 0.5 * frame.exposure_time / SECONDS_A_DAY for frame in frames)
    set_cards(header, list_start(start) | {"EXPTIME": float(np.mean([frame.exposure_time for frame in frames]))})
    set_cards(header, list_mean_time(float(np.mean(times))))
    cards: dict[str, Any] = {
        "MJDFIRST": min(times),
        "MJDLAST": max(times),
        "NCOMBINE": len(frames),
        "NREJECT": len(accepted.rejected),
        "GAINUSED": readout.gain,
        "RNUSED": readout.read_noise,
        "NOISERAT": stacked.ratio,
        "NUSEDAVG": float(stacked.survivors.mean()),
    }
    shares = readout.shares
    for n, (area, share) in enumerate(shares if len(shares) > 1 else (), start=1):
        cards[f"AMPSEC{n:02d}"] = str(area), f"pixels of amplifier {n}"
        cards |= {f"GAINUS{n:02d}": share.gain, f"RNUSED{n:02d}": share.read_noise}
    if readout.step != 1:
        cards["ADCSTEP"] = readout.step
    levels = [level for frame in frames if (level := frame.readout.mean_overscan_level) is not None]
    if levels:
        cards["OVSCLEV"] = float(np.mean(levels))
    set_cards(header, cards)
    list_inputs(header, [(frame.path.name, frame.readout.image.digest) for frame in frames])
    list_rejected(header, [(frame.path.name, frame.reason, frame.mjd) for frame in accepted.rejected])
    for text in summarise_warnings([tuple(frame.readout.pixel_warnings) for frame in frames]):
        warn(header, text)
    if len(frames) < 3:
        text = f"{kind} of {len(frames)} frame{'s' * (len(frames) > 1)}: too few to reject outliers"
        warn(header, name_warning("few frames", text))
    return header


def note_masters(header: fits.Header, masters: Mapping[str, MasterFrame | None], done: Sequence[str] = ()) -> None:
    """Name the masters of the frames, pass on their warnings, and list the steps without one, except those done."""
    for step, master in masters.items():
        set_cards(header, name_master(step, master))
    inherit_warnings(header, *masters.values())
    note_skipped(header, masters, done)


def make_product(
    stacked: Stack, mask: MaskBits, unit: str, header: fits.Header, fill: float, pedestal: float = 0.0
) -> Product:
    """Turn a stack into a product, in place; pixels without survivors get the fill value and no error."""
    for strip in cut_strips(len(mask), STRIP):
        mean, uncertainty, empty = stacked.mean[strip], stacked.uncertainty[strip], stacked.survivors[strip] == 0
        mean -= np.float32(pedestal)
        mean[empty], uncertainty[empty] = fill, 0.0
    return Product(stacked.mean, stacked.uncertainty, mask, unit, header, stacked.survivors)
