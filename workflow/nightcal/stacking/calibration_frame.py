"""Calibration frames on their way into a stack: opened, judged by their level, and made inputs."""

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
from nightcal.flags import Flag
from nightcal.io.master import MasterFrame
from nightcal.io.raw_image import Buffer
from nightcal.numerics import kernels
from nightcal.numerics.clipped_level import FrameLevel, level_of_histogram, level_of_values
from nightcal.stacking.stack import StackInput

log = logging.getLogger(__name__)

FEWEST_USABLE = 0.5
SAME_GAIN = 0.01
MOST_OPEN = 500


@dataclass(frozen=True, slots=True)
class RejectedFrame:
    """A raw frame that could not be used: its file, why, and the middle of its exposure [MJD] where that is known."""

    path: Path
    reason: str
    mjd: float | None = None


@dataclass(frozen=True, slots=True)
class CalibrationFrame:
    """A calibration frame ready to be stacked: its readout, exposure time [s] and middle [MJD].

    ``keep_open`` tells whether its file stays open between two readings of rows; `light` and `pointing` [deg] of a flat
    are as in `nightcal.planning.frames.Frame`.
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
        """Variance [e-^2] of a pixel without light, that of the overscan level included."""
        return self.readout.electronics.read_variance + float(np.mean(self.readout.level_variance))


@dataclass(frozen=True, slots=True)
class Accepted:
    """Exposures that can be stacked, their levels [e-], and those left out."""

    exposures: list[CalibrationFrame]
    levels: list[float]
    refused: list[RejectedFrame]


def in_order(exposures: Sequence[CalibrationFrame]) -> list[CalibrationFrame]:
    """Put exposures in the order of time, so that it does not matter in which order files were given."""
    return sorted(exposures, key=lambda exposure: (exposure.mjd, str(exposure.path)))


def judge(
    exposures: Sequence[CalibrationFrame], refused: Sequence[RejectedFrame], level: Callable[[CalibrationFrame], float]
) -> Accepted:
    """Find the level of each frame, one in memory at a time; leave out what cannot be used.

    Parameters
    ----------
    exposures : sequence of CalibrationFrame
        As `in_order` puts them; the others must be like the first.
    refused : sequence of RejectedFrame
        Frames that could not even be opened.
    level : function
        Level [e-] of an exposure; raises `FrameRejectedError` if it is not fit for the stack.

    Returns
    -------
    Accepted

    Raises
    ------
    FrameRejectedError
        If none is left.
    """
    if exposures:
        kernels.prepare(len(exposures) * int(np.prod(exposures[0].readout.shape)))
    judged = Accepted([], [], list(refused))
    buffer = Buffer()
    for opened in exposures:
        exposure = replace(opened, keep_open=len(exposures) <= MOST_OPEN)
        try:
            with exposure.readout.image.hold(buffer):
                _check_like(exposure, exposures[0])
                found = level(exposure)
                log.info("%s: level %.2f e-", exposure.path.name, found)
                exposure.readout.image.digest  # noqa: B018 - hashed while it is in memory
        except FrameRejectedError as reason:
            log.warning("%s: set aside: %s.", exposure.path.name, reason)
            judged.refused.append(RejectedFrame(exposure.path, str(reason), exposure.mjd))
            continue
        judged.exposures.append(exposure)
        judged.levels.append(found)
    if not judged.exposures:
        count, first = len(judged.refused), judged.refused[0].reason
        if count == 1:
            raise FrameRejectedError(f"the only frame cannot be used: {first}")
        raise FrameRejectedError(f"none of {count} frames can be used; the first: {first}")
    return judged


def leave_out(judged: Accepted, reasons: Mapping[int, str]) -> Accepted:
    """Leave frames out that turned out to be unfit once all were known.

    Parameters
    ----------
    judged : Accepted
    reasons : mapping of int to str
        For each of those frames, by its place.

    Returns
    -------
    Accepted
    """
    refused = list(judged.refused)
    for place, reason in sorted(reasons.items()):
        exposure = judged.exposures[place]
        log.warning("%s: set aside: %s.", exposure.path.name, reason)
        refused.append(RejectedFrame(exposure.path, reason, exposure.mjd))
    kept = [place for place in range(len(judged.exposures)) if place not in reasons]
    return Accepted([judged.exposures[n] for n in kept], [judged.levels[n] for n in kept], refused)


def _check_like(exposure: CalibrationFrame, first: CalibrationFrame) -> None:
    for part, other in zip(exposure.readout.parts, first.readout.parts, strict=False):
        if abs(part.gain - other.gain) > SAME_GAIN * other.gain:
            raise FrameRejectedError(f"its gain is {part.gain:g} e-/ADU, that of the first frame {other.gain:g}")
    area, first_area = exposure.readout.area, first.readout.area
    if (area.shape, area.xmin) != (first_area.shape, first_area.xmin):
        raise FrameRejectedError(f"its light-sensitive area is {area}, that of the first frame {first_area}")


def whole_level(exposure: CalibrationFrame, k: float) -> float:
    """Clipped mean of all pixels [e-]: the level of a bias.

    Parameters
    ----------
    exposure : CalibrationFrame
    k : float
        Half-width of what is kept, in rstd.

    Raises
    ------
    FrameRejectedError
        If fewer than half of the pixels hold a usable number.
    """
    readout = exposure.readout
    electronics, zero = readout.electronics, readout.image.zero
    floor = electronics.read_variance**0.5
    stored = readout.stored
    level = None if stored is None else stored.whole_level
    if stored is None or zero is None or (level is not None and level.value.ndim):
        return _checked(level_of_values(_usable(exposure), k, floor), readout.shape[0] * readout.shape[1])
    words = readout.image.words(readout.area.ymin, readout.area.ymax)[:, readout.area.slices[1]]
    counts = kernels.histogram(words.ravel())
    below = readout.saturation - zero + 0x8000  # what is saturated does not count
    counts[max(0, int(np.ceil(min(below, len(counts))))) :] = 0
    found = level_of_histogram(counts, zero - 0x8000, k, floor / electronics.gain)
    overscan = 0.0 if level is None else float(level.value)
    return (_checked(found, words.size) - overscan) * electronics.gain


def central_level(
    exposure: CalibrationFrame,
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    k: float,
    most_saturated: float = 1.0,
) -> float:
    """Clipped mean of the central quarter of the area [e-] after bias and dark; pixels that these flag are left out.

    Parameters
    ----------
    exposure : CalibrationFrame
    bias, dark : MasterFrame or None
        In electrons and electrons per second.
    k : float
        Half-width of what is kept, in rstd.
    most_saturated : float
        Largest part of the pixels that may be saturated.

    Raises
    ------
    FrameRejectedError
        If more are, or fewer than half of the pixels hold a usable number.
    """
    ny, nx = exposure.readout.shape
    rows, columns = slice(ny // 4, ny - ny // 4), slice(nx // 4, nx - nx // 4)
    signal, flags = signal_of(exposure, bias, dark, rows, columns)
    flags = flags[flags & Flag.BAD == 0]
    known, saturated = flags.size, int(np.count_nonzero(flags & Flag.SATURATED))
    if saturated > most_saturated * known:
        raise FrameRejectedError(
            f"saturated: {100 * saturated / known:.1f} percent of the pixels in the central quarter"
        )
    return _checked(level_of_values(signal, k, exposure.readout.electronics.read_variance**0.5), known)


def signal_of(
    exposure: CalibrationFrame,
    bias: MasterFrame | None,
    dark: MasterFrame | None,
    rows: slice,
    columns: slice = slice(None),
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Part of an exposure after bias and dark.

    Parameters
    ----------
    exposure : CalibrationFrame
    bias, dark : MasterFrame or None
        In electrons and electrons per second.
    rows, columns : slice
        Of the light-sensitive area.

    Returns
    -------
    signal : ndarray of float32
        [e-], NaN where saturated, missing or flagged by a master.
    flags : ndarray of uint8
        Of the exposure, and ``BAD`` where a master has any flag.
    """
    start, stop, _ = rows.indices(exposure.readout.shape[0])
    electrons, flags = exposure.readout.rows(start, stop)
    signal, flags = electrons[:, columns], flags[:, columns]
    for master, factor in ((bias, 1.0), (dark, exposure.exposure_time)):
        if master is not None:
            signal -= np.float32(factor) * master.data[start:stop][:, columns]
            flags[master.mask[start:stop][:, columns] != 0] |= Flag.BAD
    if flags.any():
        signal[flags > 0] = np.nan
    return signal, flags


def _checked(level: FrameLevel, known: int) -> float:
    if level.values <= FEWEST_USABLE * known:
        raise FrameRejectedError("fewer than half of its pixels hold a usable number")
    return level.mean


def _usable(exposure: CalibrationFrame, rows: slice = slice(None)) -> NDArray[np.float32]:
    """Rows in electrons, NaN where saturated or missing."""
    start, stop, _ = rows.indices(exposure.readout.shape[0])
    electrons, flags = exposure.readout.rows(start, stop)
    if flags.any():
        electrons[flags > 0] = np.nan
    return electrons


def make_stack_input(
    exposure: CalibrationFrame,
    scale: float = 1.0,
    shift: float = 0.0,
    factors: tuple[float, ...] = (),
    weight: float = 1.0,
    per_signal: float = 0.0,
) -> StackInput:
    """Make a stack_input of an exposure: ``(electrons - shift) * scale - sum(factor * master)``.

    Parameters
    ----------
    exposure : CalibrationFrame
        Judged already.
    scale : float
        From electrons to the units of the stack.
    shift : float
        [e-]
    factors : tuple of float
        By which the masters of the stack are subtracted.
    weight : float
        Relative inverse variance.
    per_signal : float
        Variance that a unit of signal adds, in the units of the stack.

    Returns
    -------
    StackInput
    """
    readout = exposure.readout
    gain = readout.electronics.gain
    offset, limit, read = np.zeros(()), np.inf, _numbers_of(exposure)
    stored = readout.stored
    if stored is not None:
        offset, limit, read = stored.offset, stored.limit, _words_of(exposure)
    return StackInput(
        read=read,
        words=stored is not None,
        columns=readout.columns,
        offset=offset + shift / gain,
        scale=gain * scale,
        limit=limit,
        factors=factors,
        variance=exposure.read_variance * scale**2,
        variance_per_signal=per_signal,
        weight=weight,
    )


def _words_of(exposure: CalibrationFrame) -> Callable[[int, int, NDArray[Any]], None]:
    readout = exposure.readout

    def read(start: int, stop: int, out: NDArray[np.uint16]) -> None:
        readout.image.words(readout.area.ymin + start, readout.area.ymin + stop, out)
        if not exposure.keep_open:
            readout.image.close()

    return read


def _numbers_of(exposure: CalibrationFrame) -> Callable[[int, int, NDArray[Any]], None]:
    readout = exposure.readout
    gain = np.float32(readout.electronics.gain)

    def read(start: int, stop: int, out: NDArray[np.float32]) -> None:
        out[:, readout.area.slices[1]] = _usable(exposure, slice(start, stop)) / gain
        if not exposure.keep_open:
            readout.image.close()

    return read
