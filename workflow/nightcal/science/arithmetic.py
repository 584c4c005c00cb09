"""The arithmetic of a science frame, by rows: bias, dark and flat, each with its error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.amplifiers import Mosaic
from nightcal.detector.readout import Readout
from nightcal.flags import Flag
from nightcal.numerics.kernels.arguments import not_below, whole_and_part
from nightcal.numerics.shot_noise import expected_signal
from nightcal.science.master_rows import MasterRows, MasterSet

STRIP = 32
"""Rows that are calibrated at a time: few enough to stay in the cache."""

NO_DATA_SIGMA = 1e9
"""Uncertainty of a pixel that holds no data: finite, and of no weight."""

NONE = np.zeros((1, 1), dtype=bool)
"""Pixels that hold no number, where all do."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CalibratedRows:
    """Some rows of a calibrated frame: image, one standard error, mask; shape (rows, nx)."""

    data: Image
    uncertainty: Image
    mask: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Chain:
    """The steps of one frame: ``data = (S - t D) / F``, with the errors carried along.

    Attributes
    ----------
    readout : Readout or Mosaic
        Its overscan level is taken off; its read noise and the error of that level count.
    corrections : MasterSet
    exposure : float
        [s]
    scale : float
        From electrons to the unit of the result.

    Notes
    -----
    ``var = max(S, 0) + RN^2 + var_overscan + var_bias + t^2 var_dark``, then ``var / F^2 + data^2 var_F / F^2``; the
    shot noise is that of `nightcal.numerics.shot_noise.expected_signal` after bias, and what bias and dark share is
    counted once.
    """

    readout: Readout | Mosaic
    corrections: MasterSet
    exposure_time: float
    scale: float = 1.0

    def rows(self, loops: ModuleType | None = None) -> Iterator[tuple[int, CalibratedRows]]:
        """Calibrate, a few rows at a time.

        Parameters
        ----------
        loops : module, optional
            `nightcal.numerics.kernels.frame`, for frames of 16-bit integers; None for numpy, with the same results.

        Yields
        ------
        (int, CalibratedRows)
            The first row, and the rows.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """
        ny = self.readout.shape[0]
        bleed = self.readout.bleed()
        for start in range(0, ny, STRIP):
            stop = min(start + STRIP, ny)
            first, last = max(0, start - 1), min(ny, stop + 1)  # a row more, for the neighbours of each pixel
            correction = self.corrections.rows(first, last)
            inner = slice(start - first, stop - first)
            if loops is not None and isinstance(self.readout, Readout) and self.readout.in_words:
                calibrated = self._compiled(loops, self.readout, first, last, inner, correction)
            else:
                calibrated = self._plain(first, last, inner, correction)
            if bleed is not None:
                np.bitwise_or(calibrated.mask, Flag.BLEED, out=calibrated.mask, where=bleed[start:stop])
            yield start, _without_weight(calibrated)

    def _plain(self, first: int, last: int, inner: slice, correction: MasterRows) -> CalibratedRows:
        signal, flags, noise = self.readout.measure(first, last)
        empty = flags & Flag.NO_DATA > 0 if flags.any() else NONE
        if correction.bias is not None and correction.bias_variance is not None:
            signal -= correction.bias
            noise = noise + correction.bias_variance
        if empty.any():
            signal[empty] = 0.0
        variance = expected_signal(signal, noise, valid=~empty)
        variance += noise
        if correction.dark is not None and correction.dark_variance is not None:
            signal -= np.float32(self.exposure_time) * correction.dark
            variance += np.float32(self.exposure_time**2) * correction.dark_variance
            share = np.float32(self.corrections.shared_bias(self.exposure_time))
            if share > 0 and correction.bias_variance is not None:
                variance -= np.where(correction.dark_variance > 0, share * correction.bias_variance, np.float32(0))
        if correction.sensitivity is not None and correction.relative_variance is not None:
            signal *= correction.sensitivity
            variance *= correction.sensitivity
            variance *= correction.sensitivity
            variance += signal * signal * correction.relative_variance
        if empty.any():
            signal[empty], variance[empty] = 0.0, 0.0
        uncertainty = np.sqrt(variance[inner])
        data = signal[inner]
        if self.scale != 1:
            data, uncertainty = data * np.float32(self.scale), uncertainty * np.float32(self.scale)
        return CalibratedRows(data, uncertainty, flags[inner] | correction.mask[inner])

    def _compiled(
        self, loops: ModuleType, readout: Readout, first: int, last: int, inner: slice, correction: MasterRows
    ) -> CalibratedRows:
        area = readout.area
        shape = inner.stop - inner.start, readout.shape[1]
        data, uncertainty = np.empty(shape, np.float32), np.empty(shape, np.float32)
        mask = np.empty(shape, dtype=bool)
        steps = correction.bias, correction.dark, correction.sensitivity
        share = self.corrections.shared_bias(self.exposure_time)
        numbers = np.array([self.exposure_time, self.exposure_time**2, share, self.scale], np.float32)
        loops.calibrate(
            np.array(readout.image.words(area.ymin + first, area.ymin + last)),  # a type of its own if read-only
            area.xmin,
            inner.start,
            whole_and_part(np.broadcast_to(readout.offset, readout.shape[0])[first:last]),
            np.float32(readout.electronics.gain),
            not_below(readout.limit),
            readout.noise(first, last)[:, 0].copy(),
            tuple(step is not None for step in steps),
            tuple(map(_image, correction.images)),
            tuple(numbers),
            data,
            uncertainty,
            mask,
        )
        return CalibratedRows(data, uncertainty, mask * np.uint8(Flag.SATURATED) | correction.mask[inner])


def _image(image: Image | None) -> Image:
    return np.zeros((1, 1), np.float32) if image is None else image


def _without_weight(rows: CalibratedRows) -> CalibratedRows:
    """Give pixels that hold no data, and so no error, an error that leaves them no weight."""
    empty: Any = rows.mask & Flag.NO_DATA
    if empty.any():
        rows.uncertainty[(empty > 0) & (rows.uncertainty == 0)] = NO_DATA_SIGMA
    return rows
