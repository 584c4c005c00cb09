"""What masters do to frames: read by rows, or kept in memory for many frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.master import MasterFrame

STRIP = 32

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
        if bias is None or dark is None or dark.header.get("BIASSHA") != bias.digest:
            return 0.0
        return 2 * exposure_time / float(dark.header["DARKTEFF"])

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
    """The corrections of the last frame, read into memory once a second frame needs the same."""

    def __init__(self) -> None:
        self._made_of: tuple[object, ...] = ()
        self._corrections: MasterSet | None = None

    def of(self, made_of: tuple[object, ...], fresh: MasterSet) -> MasterSet:
        """Corrections for a frame.

        Parameters
        ----------
        made_of : tuple
            Objects by which they are recognised: equal numbers, identical masters.
        fresh : MasterSet
            Taken if those of the last frame do not serve.

        Returns
        -------
        MasterSet
        """
        kept = self._corrections
        same = len(made_of) == len(self._made_of) and all(
            one is other or (isinstance(one, float) and one == other)
            for one, other in zip(made_of, self._made_of, strict=True)
        )
        if kept is not None and same and kept.shape == fresh.shape:
            kept.keep()
            return kept
        self._made_of, self._corrections = made_of, fresh
        return fresh
