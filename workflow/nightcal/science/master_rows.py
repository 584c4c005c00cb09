"""Read the rows of masters, or keep masters in memory for many frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import MASK_DTYPE, Flag, MaskBits
from nightcal.io.master import MasterFrame, Plane, convert_bits, convert_to_electrons, convert_to_mask, find_dark_time

STRIP = 32

PARAMETERS = {"bias": "master_bias", "dark": "master_dark", "flat": "master_flat", "bpm": "bad_pixels"}
"""Names of the masters in messages, by calibration step."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MasterRows:
    """Rows of all masters; arrays of shape (rows, nx).

    Attributes
    ----------
    bias, dark : ndarray of float32 or None
        [e-], [e-/s]; the dark current of a bias made of darks is subtracted, but its variance is that of the bias.
    bias_variance, dark_variance : ndarray of float32 or None
        [e-^2], [e-^2/s^2]
    sensitivity : ndarray of float32 or None
        Inverse of the flat; None without a flat.
    relative_variance : ndarray of float32 or None
        Variance of the flat over its square.
    mask : ndarray of int16
    """

    bias: Image | None
    dark: Image | None
    bias_variance: Image | None
    dark_variance: Image | None
    sensitivity: Image | None
    relative_variance: Image | None
    mask: MaskBits

    @property
    def images(self) -> tuple[Image | None, ...]:
        """All arrays except the mask."""
        return (
            self.bias,
            self.bias_variance,
            self.dark,
            self.dark_variance,
            self.sensitivity,
            self.relative_variance,
        )

    def fill(self, other: MasterRows) -> None:
        """Copy the values of others of the same shape."""
        for name in MasterRows.__slots__:
            if getattr(self, name) is not None:
                getattr(self, name)[:] = getattr(other, name)

    def cut_rows(self, start: int, stop: int) -> MasterRows:
        """Cut out some of the rows."""

        def cut(image: Image | None) -> Image | None:
            return None if image is None else image[start:stop]

        return MasterRows(
            cut(self.bias),
            cut(self.dark),
            cut(self.bias_variance),
            cut(self.dark_variance),
            cut(self.sensitivity),
            cut(self.relative_variance),
            self.mask[start:stop],
        )


@dataclass(slots=True)
class MasterSet:
    """Masters for frames of one shape and gain.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    masters : mapping of str to MasterFrame or None
        ``bias`` [e-], ``dark`` [e-/s], ``flat`` and ``bpm``; None for a step that is skipped.
    """

    shape: tuple[int, int]
    masters: Mapping[str, MasterFrame | None]
    _in_memory: MasterRows | None = field(default=None, init=False)

    @property
    def need_exposure_time(self) -> bool:
        """Whether the exposure time of a frame matters: with a dark, or with a bias made of darks."""
        bias, dark = self.masters["bias"], self.masters["dark"]
        return dark is not None or (bias is not None and bias.pedestal_exposure > 0)

    def find_dark_time(self, exposure_time: float) -> float:
        """Find the exposure time [s] whose dark current is left in a frame after bias."""
        return find_dark_time(exposure_time, self.masters["bias"])

    def find_pedestal_variance(self, gain: float) -> float:
        """Find the variance of the dark current in a bias made of darks if no dark tells it [e-^2]."""
        bias, dark = self.masters["bias"], self.masters["dark"]
        return bias.find_pedestal_variance(gain) if bias is not None and dark is None else 0.0

    def find_shared_bias(self, dark_time: float) -> float:
        """Find the fraction of the bias variance that is counted twice if the dark was made with the same bias.

        In ``S - B - t (X - B) / t_d`` the bias has a weight of only ``1 - t / t_d``: it cancels for an exposure as long
        as the dark's.

        Parameters
        ----------
        dark_time : float
            Exposure time that multiplies the dark [s], from `find_dark_time`.

        Returns
        -------
        float
            0 if the dark was made with another bias.
        """
        bias, dark = self.masters["bias"], self.masters["dark"]
        if bias is None or dark is None or dark.bias_digest != bias.digest or dark.effective_exposure_time is None:
            return 0.0
        return 2 * dark_time / dark.effective_exposure_time * dark.n_summed / (bias.factor * bias.n_summed)

    def _find_warm_pixels(self) -> Plane | None:
        """Find the flags of a bad pixel mask for frames from which no dark current is subtracted."""
        bias, dark, bpm = (self.masters.get(step) for step in ("bias", "dark", "bpm"))
        subtracted = dark is not None or (bias is not None and bias.pedestal_exposure > 0)
        return None if subtracted or bpm is None or "NWARM" not in bpm.header else bpm.data

    def keep(self) -> None:
        """Read the masters into memory, for the next frames."""
        if self._in_memory is not None:
            return
        ny = self.shape[0]
        kept = _empty_like(self._read_rows(0, 1), self.shape)
        for start in range(0, ny, STRIP):
            stop = min(start + STRIP, ny)
            kept.cut_rows(start, stop).fill(self._read_rows(start, stop))
        self._in_memory = kept

    def read_rows(self, start: int, stop: int) -> MasterRows:
        """Read some rows of the masters, or cut them out of memory."""
        return self._read_rows(start, stop) if self._in_memory is None else self._in_memory.cut_rows(start, stop)

    def _read_rows(self, start: int, stop: int) -> MasterRows:
        rows = slice(start, stop)
        bias, dark, flat = (self.masters[step] for step in ("bias", "dark", "flat"))
        mask = np.zeros((stop - start, self.shape[1]), MASK_DTYPE)
        for master in self.masters.values():
            if master is not None:
                mask |= convert_bits(master.mask[rows])
        if (warm := self._find_warm_pixels()) is not None:
            mask |= convert_bits(warm[rows])
        pedestal = bias_variance = current = dark_variance = sensitivity = relative_variance = None
        if bias is not None:
            pedestal, bias_variance = bias.data[rows], bias.variance[rows]
        if dark is not None:
            current, dark_variance = dark.data[rows], dark.variance[rows]
            if bias is not None and bias.pedestal_exposure > 0:
                pedestal = bias.data[rows] - np.float32(bias.pedestal_exposure) * current
        if flat is not None:
            response = flat.data[rows]
            dead = response <= 0
            mask[dead] |= Flag.LOW_FLAT
            sensitivity = np.reciprocal(np.where(dead, np.float32(1), response))
            relative_variance = flat.variance[rows] * sensitivity**2
        return MasterRows(pedestal, current, bias_variance, dark_variance, sensitivity, relative_variance, mask)


def _empty_like(correction: MasterRows, shape: tuple[int, int]) -> MasterRows:
    def empty(image: Any) -> Any:
        return None if image is None else np.empty(shape, image.dtype)

    return MasterRows(*(empty(getattr(correction, name)) for name in MasterRows.__slots__))


class MasterCache:
    """Masters of the last frame, read into memory when a second frame uses the same ones."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._masters: MasterSet | None = None

    def fit(self, masters: Mapping[str, MasterFrame | None], shape: tuple[int, int], gain: float) -> MasterSet:
        """Fit masters to a frame, or reuse those of the last frame.

        Parameters
        ----------
        masters : mapping of str to MasterFrame or None
            ``bias``, ``dark``, ``flat`` and ``bpm``.
        shape : (int, int)
            Rows and columns of the frame.
        gain : float
            Gain of the frame [e-/ADU].

        Returns
        -------
        MasterSet

        Raises
        ------
        ValueError
            If a master does not fit the frame.
        """
        key = (gain, shape, *(id(masters.get(step)) for step in PARAMETERS))
        if self._masters is None or key != self._key:
            self._key, self._masters = key, fit_masters(masters, shape, gain)
        else:
            self._masters.keep()
        return self._masters


def fit_masters(masters: Mapping[str, MasterFrame | None], shape: tuple[int, int], gain: float) -> MasterSet:
    """Convert masters to electrons of a frame, and ignore empty ones.

    Parameters and errors are those of `MasterCache.fit`.
    """
    fitted: dict[str, MasterFrame | None] = {}
    for step, name in PARAMETERS.items():
        master = masters.get(step)
        if master is not None and master.why_empty:
            master = None
        if master is not None and master.data.shape != shape:
            raise ValueError(
                f"{name} is {master.name} of {master.data.shape[1]} x {master.data.shape[0]} pixels; "
                f"expected {shape[1]} x {shape[0]}, the image area of the frame"
            )
        if master is not None and step == "bpm":
            master = convert_to_mask(master)
        if master is not None and step in ("bias", "dark"):
            master = convert_to_electrons(name, master, gain, per_second=step == "dark")
        fitted[step] = master
    return MasterSet(shape, fitted)
