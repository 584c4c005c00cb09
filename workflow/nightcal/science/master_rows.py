"""What masters do to frames: read by rows, or kept in memory for many frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.master import MasterFrame, as_mask, in_electrons

STRIP = 32

PARAMETERS = {"bias": "master_bias", "dark": "master_dark", "flat": "master_flat", "bpm": "bad_pixels"}
"""Steps that need a master, and what it is called in messages."""

Image = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MasterRows:
    """What the masters do to some rows of a frame; arrays of shape (rows, nx).

    Attributes
    ----------
    bias, dark : ndarray of float32 or None
        [e-], [e-/s]
    bias_variance, dark_variance : ndarray of float32 or None
        [e-^2], [e-^2/s^2]
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

    @property
    def images(self) -> tuple[Image | None, ...]:
        """All of them but the mask."""
        return (
            self.bias,
            self.bias_variance,
            self.dark,
            self.dark_variance,
            self.sensitivity,
            self.relative_variance,
        )

    def fill(self, other: MasterRows) -> None:
        """Take over the numbers of another, of equal shape."""
        for name in MasterRows.__slots__:
            if getattr(self, name) is not None:
                getattr(self, name)[:] = getattr(other, name)

    def rows(self, start: int, stop: int) -> MasterRows:
        """Cut some of the rows out."""

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
    """The corrections of frames by the same masters.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    masters : mapping of str to MasterFrame or None
        ``bias``, ``dark``, ``flat`` and ``bpm``, in electrons, electrons per second, and ratios; None is skipped.
    """

    shape: tuple[int, int]
    masters: Mapping[str, MasterFrame | None]
    _kept: MasterRows | None = field(default=None, init=False)

    def shared_bias(self, exposure_time: float) -> float:
        """How much of the variance of the bias is counted twice, where the dark was made with that very bias.

        Then ``S - B - t (X - B) / t_d`` holds the bias with a weight of ``1 - t / t_d`` only: for an exposure as long
        as the dark's, it cancels.

        Parameters
        ----------
        exposure : float
            [s]

        Returns
        -------
        float
            0 if they share nothing.
        """
        bias, dark = self.masters["bias"], self.masters["dark"]
        if bias is None or dark is None or dark.bias_digest != bias.digest or dark.effective_exposure_time is None:
            return 0.0
        return 2 * exposure_time / dark.effective_exposure_time

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

    def rows(self, start: int, stop: int) -> MasterRows:
        """Correction of some rows."""
        return self._correction(start, stop) if self._kept is None else self._kept.rows(start, stop)

    def _correction(self, start: int, stop: int) -> MasterRows:
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
            current, dark_variance = dark.data[rows], dark.variance[rows]
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
    """The masters of the last frame, read into memory once a second frame needs the same."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._masters: MasterSet | None = None

    def fit(self, masters: Mapping[str, MasterFrame | None], shape: tuple[int, int], gain: float) -> MasterSet:
        """Fit masters to a frame, or take those of the last frame if they are the same.

        Parameters
        ----------
        masters : mapping of str to MasterFrame or None
            ``bias``, ``dark``, ``flat`` and ``bpm``.
        shape : (int, int)
            Rows and columns of the frame.
        gain : float
            Of the frame [e-/ADU].

        Returns
        -------
        MasterSet

        Raises
        ------
        ValueError
            If a master does not fit.
        """
        key = (gain, shape, *(id(masters.get(step)) for step in PARAMETERS))
        if self._masters is None or key != self._key:
            self._key, self._masters = key, fit_masters(masters, shape, gain)
        else:
            self._masters.keep()
        return self._masters


def fit_masters(masters: Mapping[str, MasterFrame | None], shape: tuple[int, int], gain: float) -> MasterSet:
    """Bring masters to the electrons of a frame; a master without data counts as none.

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
            master = as_mask(master)
        if master is not None and step in ("bias", "dark"):
            master = in_electrons(name, master, gain, per_second=step == "dark")
        fitted[step] = master
    return MasterSet(shape, fitted)
