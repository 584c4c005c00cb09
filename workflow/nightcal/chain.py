"""The arithmetic of a science frame, by rows: bias, dark and flat, each with its error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.calibration import Calibration
from nightcal.detector.readout import Readout
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.shot_noise import expected_signal

STRIP = 32
"""Rows that are calibrated at a time: few enough to stay in the cache."""

NONE = np.zeros((1, 1), dtype=bool)
"""Pixels that hold no number, where all do."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Some rows of a calibrated frame: signal [e-], variance [e-^2] and mask, shape (rows, nx)."""

    data: Image
    variance: Image
    mask: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Correction:
    """What the masters do to rows of a frame of one exposure time; shape (rows, nx).

    Attributes
    ----------
    bias, dark : ndarray of float32 or None
        [e-]
    bias_variance, dark_variance : ndarray of float32 or None
        [e-^2]
    sensitivity : ndarray of float32 or None
        One over the flat; None without one.
    relative_variance : ndarray of float32 or None
        That of the flat over its square.
    mask : ndarray of uint8
    """

    bias: Image | None
    dark: Image | None
    bias_variance: Image | None
    dark_variance: Image | None
    sensitivity: Image | None
    relative_variance: Image | None
    mask: NDArray[np.uint8]

    def fill(self, other: Correction) -> None:
        """Take over the numbers of another, of equal shape."""
        for name in Correction.__slots__:
            if getattr(self, name) is not None:
                getattr(self, name)[:] = getattr(other, name)

    def rows(self, start: int, stop: int) -> Correction:
        """Cut some of the rows out."""

        def cut(image: Image | None) -> Image | None:
            return None if image is None else image[start:stop]

        return Correction(
            cut(self.bias),
            cut(self.dark),
            cut(self.bias_variance),
            cut(self.dark_variance),
            cut(self.sensitivity),
            cut(self.relative_variance),
            self.mask[start:stop],
        )


@dataclass(slots=True)
class Corrections:
    """The corrections of frames of one exposure time by the same masters.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    exposure : float
        [s]
    masters : mapping of str to Calibration or None
        ``bias``, ``dark``, ``flat`` and ``bpm``, in electrons, electrons per second, and ratios; None is skipped.
    """

    shape: tuple[int, int]
    exposure: float
    masters: Mapping[str, Calibration | None]
    _kept: Correction | None = field(default=None, init=False)

    def keep(self) -> None:
        """Read the masters into memory, for the frames that follow."""
        if self._kept is not None:
            return
        ny = self.shape[0]
        kept = _empty_like(self._correction(0, 1), self.shape)
        for start in range(0, ny, STRIP):
            stop = min(start + STRIP, ny)
            kept.rows(start, stop).fill(self._correction(start, stop))
        self._kept = kept

    def rows(self, start: int, stop: int) -> Correction:
        """Correction of some rows."""
        return self._correction(start, stop) if self._kept is None else self._kept.rows(start, stop)

    def _correction(self, start: int, stop: int) -> Correction:
        rows = slice(start, stop)
        bias, dark, flat = (self.masters[step] for step in ("bias", "dark", "flat"))
        mask = np.zeros((stop - start, self.shape[1]), MASK_DTYPE)
        for master in self.masters.values():
            if master is not None:
                mask |= master.mask[rows]
        pedestal = bias_variance = current = dark_variance = sensitivity = relative_variance = None
        if bias is not None:
            pedestal, bias_variance = bias.data[rows], bias.variance[rows]
        if dark is not None:
            current = np.float32(self.exposure) * dark.data[rows]
            dark_variance = np.float32(self.exposure**2) * dark.variance[rows]
            dark_variance -= _shared_bias(bias, dark, self.exposure, rows)
        if flat is not None:
            response = flat.data[rows]
            dead = response <= 0
            mask[dead] |= Flag.LOW_FLAT
            sensitivity = np.reciprocal(np.where(dead, np.float32(1), response))
            relative_variance = flat.variance[rows] * sensitivity**2
        return Correction(pedestal, current, bias_variance, dark_variance, sensitivity, relative_variance, mask)


def _empty_like(correction: Correction, shape: tuple[int, int]) -> Correction:
    def empty(image: Any) -> Any:
        return None if image is None else np.empty(shape, image.dtype)

    return Correction(*(empty(getattr(correction, name)) for name in Correction.__slots__))


class KeptCorrections:
    """The corrections of the last frame, read into memory once a second frame needs the same."""

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] = ()
        self._corrections: Corrections | None = None

    def of(self, made_of: tuple[object, ...], fresh: Corrections) -> Corrections:
        """Corrections for a frame.

        Parameters
        ----------
        made_of : tuple
            Objects by which they are recognised: equal numbers, identical masters.
        fresh : Corrections
            Taken if those of the last frame do not serve.

        Returns
        -------
        Corrections
        """
        kept = self._corrections
        same = len(made_of) == len(self._made_of) and all(
            one is other or (isinstance(one, float) and one == other)
            for one, other in zip(made_of, self._made_of, strict=True)
        )
        if kept is not None and same and (kept.shape, kept.exposure) == (fresh.shape, fresh.exposure):
            kept.keep()
            return kept
        self._made_of, self._corrections = made_of, fresh
        return fresh


def calibrate_rows(readout: Readout, corrections: Corrections) -> Iterator[tuple[int, Calibrated]]:
    """Subtract bias and dark, divide by the flat, and carry the errors: ``data = (S - t D) / F``.

    Parameters
    ----------
    readout : Readout
        Its overscan level is taken off; its read noise and the error of that level count.
    corrections : Corrections

    Yields
    ------
    (int, Calibrated)
        The first row, and the rows.

    Notes
    -----
    ``var = max(S, 0) + RN^2 + var_overscan + var_bias + t^2 var_dark``, then ``var / F^2 + data^2 var_F / F^2``; the
    shot noise is that of `expected_signal` after bias, and what bias and dark share is counted once.
    """
    ny, nx = readout.shape
    read_variance = np.broadcast_to(readout.electronics.read_variance + readout.level_variance, (ny, nx))
    for start in range(0, ny, STRIP):
        stop = min(start + STRIP, ny)
        first, last = max(0, start - 1), min(ny, stop + 1)  # a row more, for the neighbours of each pixel
        signal, flags = readout.rows(first, last)
        correction = corrections.rows(first, last)
        empty = flags & Flag.NO_DATA > 0 if flags.any() else NONE
        if correction.bias is not None:
            signal -= correction.bias
        if empty.any():
            signal[empty] = 0.0
        noise = _as_column(read_variance[first:last])
        if correction.bias_variance is not None:
            noise = noise + correction.bias_variance
        variance = expected_signal(signal, noise, valid=~empty)
        variance += noise
        if correction.dark is not None and correction.dark_variance is not None:
            signal -= correction.dark
            variance += correction.dark_variance
        if correction.sensitivity is not None and correction.relative_variance is not None:
            signal *= correction.sensitivity
            variance *= correction.sensitivity
            variance *= correction.sensitivity
            variance += signal * signal * correction.relative_variance
        if empty.any():
            signal[empty], variance[empty] = 0.0, 0.0
        inner = slice(start - first, stop - first)
        yield start, Calibrated(signal[inner], variance[inner], flags[inner] | correction.mask[inner])


def _as_column(variance: NDArray[np.float64]) -> Image:
    """Reduce an image whose columns agree to one of them."""
    return (variance[:, :1] if variance.strides[1] == 0 else variance).astype(np.float32)


def _shared_bias(bias: Calibration | None, dark: Calibration, exposure: float, rows: slice) -> Image | float:
    """Variance counted twice when the dark was made with the very bias that is subtracted here [e-^2].

    Then ``S - B - t (X - B) / t_d`` holds the bias with a weight of ``1 - t / t_d`` only: for an exposure as long as
    the dark's, it cancels.
    """
    if bias is None or dark.header.get("BIASSHA") != bias.digest:
        return 0.0
    holds_bias = dark.mask[rows] & Flag.NO_DATA == 0  # where nothing survived, the dark is filled and has no error
    return np.float32(2 * exposure / float(dark.header["DARKTEFF"])) * bias.variance[rows] * holds_bias
