"""Accept or reject calibration frames by their level, and prepare them for stacking."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.readout import Readout
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag, MaskBits
from nightcal.io.master import MasterFrame, find_dark_time
from nightcal.io.raw_image import Buffer
from nightcal.numerics import kernels
from nightcal.numerics.clipped_level import FrameLevel, measure_histogram_level, measure_level
from nightcal.stacking.same_pixels import SeenPixels
from nightcal.stacking.stack import StackInput

log = logging.getLogger(__name__)

FEWEST_USABLE = 0.5
SAME_GAIN = 0.01
MOST_OPEN = 500


LIMITS = {
    "saturation": "SATURATE or the camera file",
    "linearity": "the limit of linearity",
    "pixels": "the top of the ADC",
    "file": "the largest number of the file",
}
"""What a limit is, by `Readout.saturation_source`."""


@dataclass(frozen=True, slots=True)
class RejectedFrame:
    """A raw frame that cannot be used: its file, the reason, and the middle of its exposure [MJD], if known."""

    path: Path
    reason: str
    mjd: float | None = None


@dataclass(frozen=True, slots=True)
class CalibrationFrame:
    """A calibration frame ready to be stacked: its readout, exposure time [s] and middle of exposure [MJD].

    The exposure time of a bias frame is 0. With ``keep_open`` its file stays open between two readings of rows;
    `flat_source` and `pointing` [deg] of a flat are as in `nightcal.planning.frames.Frame`.
    """

    readout: Readout
    exposure_time: float
    mjd: float
    keep_open: bool = True
    flat_source: str = ""
    pointing: tuple[float, float] | None = None

    @property
    def path(self) -> Path:
        """The raw file."""
        return self.readout.image.path

    @property
    def read_variance(self) -> float:
        """Variance [e-^2] of a pixel without signal, including that of the overscan level."""
        return self.readout.read_variance + float(np.mean(self.readout.overscan_variance))


@dataclass(frozen=True, slots=True)
class Accepted:
    """Frames that can be stacked, their levels [e-], and the rejected frames."""

    frames: list[CalibrationFrame]
    levels: list[float]
    rejected: list[RejectedFrame]


def sort_frames(frames: Sequence[CalibrationFrame]) -> list[CalibrationFrame]:
    """Sort frames by time, so that the order of the files does not matter."""
    return sorted(frames, key=lambda frame: (frame.mjd, str(frame.path)))


def accept_frames(
    frames: Sequence[CalibrationFrame],
    rejected: Sequence[RejectedFrame],
    find_level: Callable[[CalibrationFrame], float],
) -> Accepted:
    """Find the level of each frame, one in memory at a time; reject frames that cannot be used.

    Parameters
    ----------
    frames : sequence of CalibrationFrame
        Sorted by `sort_frames`; all must have the gain and the area of the first.
    rejected : sequence of RejectedFrame
        Frames that could not be opened.
    find_level : function
        Finds the level [e-] of a frame; raises `FrameRejectedError` if it is not fit for the stack.

    Returns
    -------
    Accepted

    Raises
    ------
    FrameRejectedError
        If no frame is accepted.
    """
    if frames:
        kernels.prepare(len(frames) * int(np.prod(frames[0].readout.shape)))
    accepted = Accepted([], [], list(rejected))
    buffer, seen = Buffer(), SeenPixels()
    for frame in (replace(frame, keep_open=len(frames) <= MOST_OPEN) for frame in frames):
        try:
            with frame.readout.image.hold(buffer):
                _check_like(frame, frames[0])
                if other := seen.find(frame.readout.image, frame.path.name):
                    raise FrameRejectedError(f"same pixels as {other}")
                level = find_level(frame)
                log.info("%s: level %.2f e-", frame.path.name, level)
                frame.readout.image.digest  # noqa: B018 - hashed while it is in memory
        except FrameRejectedError as reason:
            log.warning("%s rejected: %s.", frame.path.name, reason)
            accepted.rejected.append(RejectedFrame(frame.path, str(reason), frame.mjd))
            continue
        accepted.frames.append(frame)
        accepted.levels.append(level)
    if not accepted.frames:
        count, first = len(accepted.rejected), accepted.rejected[0].reason
        if count == 1:
            raise FrameRejectedError(f"the only frame cannot be used: {first}")
        raise FrameRejectedError(f"none of the {count} frames can be used; the first: {first}")
    return accepted


def reject_frames(accepted: Accepted, reasons: Mapping[int, str]) -> Accepted:
    """Reject frames that turned out to be unfit once all frames were known.

    Parameters
    ----------
    accepted : Accepted
    reasons : mapping of int to str
        Index of each frame to reject, and why.

    Returns
    -------
    Accepted
    """
    rejected = list(accepted.rejected)
    for place, reason in sorted(reasons.items()):
        frame = accepted.frames[place]
        log.warning("%s rejected: %s.", frame.path.name, reason)
        rejected.append(RejectedFrame(frame.path, reason, frame.mjd))
    kept = [place for place in range(len(accepted.frames)) if place not in reasons]
    return Accepted([accepted.frames[n] for n in kept], [accepted.levels[n] for n in kept], rejected)


def _check_like(frame: CalibrationFrame, first: CalibrationFrame) -> None:
    for (_, part), (_, other) in zip(frame.readout.shares, first.readout.shares, strict=False):
        if abs(part.gain - other.gain) > SAME_GAIN * other.gain:
            raise FrameRejectedError(f"gain is {part.gain:g} e-/ADU; expected {other.gain:g} as in the first frame")
    area, first_area = frame.readout.area, first.readout.area
    if (area.shape, area.xmin) != (first_area.shape, first_area.xmin):
        raise FrameRejectedError(f"light-sensitive area is {area}; expected {first_area} as in the first frame")


def find_whole_level(frame: CalibrationFrame, k: float) -> float:
    """Find the clipped mean of all pixels [e-]: the level of a bias.

    Parameters
    ----------
    frame : CalibrationFrame
    k : float
        Half-width of what is kept, in rstd.

    Raises
    ------
    FrameRejectedError
        If fewer than half of the pixels hold a usable number.
    """
    readout = frame.readout
    zero, floor = readout.image.zero, readout.read_variance**0.5
    stored = readout.stored
    level = None if stored is None else stored.full_overscan_level
    if stored is None or zero is None or (level is not None and level.value.ndim):
        return _check_usable(measure_level(_read_usable(frame), k, floor), readout.shape[0] * readout.shape[1])
    words = readout.image.words(readout.area.ymin, readout.area.ymax)[:, readout.area.slices[1]]
    counts = kernels.histogram(words.ravel())
    below = readout.saturation - zero + 0x8000  # what is saturated does not count
    counts[max(0, int(np.ceil(min(below, len(counts))))) :] = 0
    found = measure_histogram_level(counts, zero - 0x8000, k, floor / readout.gain)
    overscan = 0.0 if level is None else float(level.value)
    return (_check_usable(found, words.size) - overscan) * readout.gain


def find_central_level(
    frame: CalibrationFrame,
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    k: float,
    most_saturated: float = 1.0,
) -> float:
    """Find the clipped mean of the central quarter [e-] after bias and dark, without the pixels that these flag.

    Parameters
    ----------
    frame : CalibrationFrame
    bias, dark : MasterFrame or None
        In electrons and electrons per second.
    k : float
        Half-width of what is kept, in rstd.
    most_saturated : float
        Largest fraction of the pixels that may be saturated.

    Raises
    ------
    FrameRejectedError
        If more pixels are saturated, or fewer than half of them hold a usable number.
    """
    ny, nx = frame.readout.shape
    rows, columns = slice(ny // 4, ny - ny // 4), slice(nx // 4, nx - nx // 4)
    signal, flags = read_signal(frame, bias, dark, rows, columns)
    flags = flags[flags & Flag.BAD == 0]
    known, saturated = flags.size, int(np.count_nonzero(flags & Flag.SATURATED))
    if saturated > most_saturated * known:
        raise FrameRejectedError(
            f"saturated: {100 * saturated / known:.1f} percent of the pixels in the central quarter,"
            f" at {frame.readout.saturation:g} ADU or more ({LIMITS[frame.readout.saturation_source]})"
        )
    return _check_usable(measure_level(signal, k, frame.readout.read_variance**0.5), known)


def read_signal(
    frame: CalibrationFrame,
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    rows: slice,
    columns: slice = slice(None),
) -> tuple[NDArray[np.float32], MaskBits]:
    """Read part of a frame and subtract bias and dark.

    Parameters
    ----------
    frame : CalibrationFrame
    bias, dark : MasterFrame or None
        In electrons and electrons per second.
    rows, columns : slice
        Of the light-sensitive area.

    Returns
    -------
    signal : ndarray of float32
        [e-], NaN where saturated, missing or flagged by a master.
    flags : ndarray of int16
        Of the frame, and ``BAD`` where a master has any flag.
    """
    start, stop, _ = rows.indices(frame.readout.shape[0])
    electrons, flags = frame.readout.rows(start, stop)
    signal, flags = electrons[:, columns], flags[:, columns]
    for master, factor in ((bias, 1.0), (dark, find_dark_time(frame.exposure_time, bias))):
        if master is not None:
            signal -= np.float32(factor) * master.data[start:stop][:, columns]
            flags[master.mask[start:stop][:, columns] != 0] |= Flag.BAD
    if flags.any():
        signal[flags > 0] = np.nan
    return signal, flags


def release(frame: CalibrationFrame) -> None:
    """Close the file of a frame of a large set, which is opened again when it is read."""
    if not frame.keep_open:
        frame.readout.image.close()


def _check_usable(level: FrameLevel, known: int) -> float:
    """Return the level, unless too few pixels were usable."""
    if level.values <= FEWEST_USABLE * known:
        raise FrameRejectedError("fewer than half of its pixels hold a usable number")
    return level.mean


def _read_usable(frame: CalibrationFrame, rows: slice = slice(None)) -> NDArray[np.float32]:
    """Read rows in electrons, NaN where saturated or missing."""
    start, stop, _ = rows.indices(frame.readout.shape[0])
    electrons, flags = frame.readout.rows(start, stop)
    if flags.any():
        electrons[flags > 0] = np.nan
    return electrons


def make_stack_input(
    frame: CalibrationFrame,
    scale: float = 1.0,
    shift: float = 0.0,
    factors: tuple[float, ...] = (),
    weight: float = 1.0,
    per_signal: float = 0.0,
) -> StackInput:
    """Describe how a frame enters a stack: as ``(electrons - shift) * scale - sum(factor * master)``.

    Parameters
    ----------
    frame : CalibrationFrame
    scale : float
        From electrons to the units of the stack.
    shift : float
        [e-]
    factors : tuple of float
        With which the masters of the stack are subtracted.
    weight : float
        Relative inverse variance.
    per_signal : float
        Variance that a unit of signal adds, in the units of the stack.

    Returns
    -------
    StackInput
    """
    readout = frame.readout
    gain = readout.gain
    offset, limit, read = np.zeros(()), np.inf, _read_numbers(frame)
    stored = readout.stored
    if stored is not None:
        offset, limit, read = stored.offset, stored.stored_saturation_limit, _read_words(frame)
    return StackInput(
        read=read,
        words=stored is not None,
        columns=readout.columns,
        offset=offset + shift / gain,
        scale=gain * scale,
        limit=limit,
        factors=factors,
        variance=frame.read_variance * scale**2,
        variance_per_signal=per_signal,
        weight=weight,
    )


def _read_words(frame: CalibrationFrame) -> Callable[[int, int, NDArray[Any]], None]:
    readout = frame.readout

    def read(start: int, stop: int, out: NDArray[np.uint16]) -> None:
        readout.image.words(readout.area.ymin + start, readout.area.ymin + stop, out)
        if not frame.keep_open:
            readout.image.close()

    return read


def _read_numbers(frame: CalibrationFrame) -> Callable[[int, int, NDArray[Any]], None]:
    readout = frame.readout
    gain = np.float32(readout.gain)

    def read(start: int, stop: int, out: NDArray[np.float32]) -> None:
        out[:, readout.area.slices[1]] = _read_usable(frame, slice(start, stop)) / gain
        if not frame.keep_open:
            readout.image.close()

    return read
