"""Common interface of raw frames with one or several amplifiers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.saturation import Bleed
from nightcal.flags import MaskBits
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area

if TYPE_CHECKING:
    from nightcal.detector.amplifier_readout import AmplifierReadout


class Readout(ABC):
    """Signal of the light-sensitive pixels of a raw frame, in electrons, row by row.

    Attributes
    ----------
    image : RawImage
    gain, read_noise, read_variance : float
        [e-/ADU], [e-], [e-^2]; for several amplifiers mean gain and root mean square read noise.
    step : float
        Step of the ADC [ADU].
    bleeding : Bleed
        Directions in which saturated pixels bleed.
    """

    image: RawImage
    gain: float
    read_noise: float
    read_variance: float
    step: float
    bleeding: Bleed

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the light-sensitive pixels."""

    @property
    @abstractmethod
    def saturation(self) -> float:
        """Raw values at or above are flagged [ADU]; for several amplifiers the lowest limit."""

    @property
    @abstractmethod
    def saturation_source(self) -> str:
        """Origin of the limit: ``linearity``, ``saturation``, ``pixels`` (top of the ADC) or ``file`` (its largest)."""

    @property
    @abstractmethod
    def has_overscan(self) -> bool:
        """Whether an overscan level is subtracted."""

    @property
    @abstractmethod
    def mean_overscan_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""

    @property
    @abstractmethod
    def overscan_variance(self) -> NDArray[np.float64]:
        """Variance of the overscan level [e-^2], broadcastable to the light-sensitive pixels."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> tuple[NDArray[np.float32], MaskBits]:
        """Read rows of the light-sensitive pixels.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, counted from the first light-sensitive row.

        Returns
        -------
        electrons : ndarray of float32, shape (stop - start, nx)
            Signal above the overscan level [e-].
        flags : ndarray of int16, shape (stop - start, nx)
            ``SATURATED`` and ``NO_DATA`` bits.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """

    @abstractmethod
    def measure(self, start: int, stop: int) -> tuple[NDArray[np.float32], MaskBits, NDArray[np.float32]]:
        """Read rows and their variance without light.

        Parameters
        ----------
        start, stop : int
            As for `rows`.

        Returns
        -------
        electrons, flags : ndarray
            As for `rows`; pixels that no amplifier read are 0 and flagged ``NO_DATA``.
        variance : ndarray of float32, shape (stop - start, 1) or (stop - start, nx)
            Of read noise, overscan level and crosstalk [e-^2].

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """

    @abstractmethod
    def find_bleed(self) -> NDArray[np.bool_] | None:
        """Find the pixels next to saturated ones in the leak direction.

        Returns
        -------
        ndarray of bool, shape (ny, nx), or None
            None if the camera does not bleed or nothing is saturated.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """

    @abstractmethod
    def list_settings(self) -> dict[str, Any]:
        """List all settings of the readout, for the provenance."""

    @abstractmethod
    def list_keywords(self) -> dict[str, Any]:
        """List overscan and amplifiers, by keyword of a product's header."""

    @property
    @abstractmethod
    def kept_area(self) -> Area | None:
        """Area of the raw image that is kept, with its flips; None for several amplifiers, or if all is kept."""

    @property
    def warnings(self) -> list[str]:
        """Warnings about the amplifiers."""
        return []

    @property
    @abstractmethod
    def pixel_warnings(self) -> list[str]:
        """Warnings about what the pixels hold."""

    @property
    def area(self) -> Area:
        """Area of the light-sensitive pixels in the image as read out."""
        ny, nx = self.shape
        return Area(0, nx, 0, ny)

    @property
    def columns(self) -> int:
        """Columns as read out."""
        return self.shape[1]

    @property
    def stored(self) -> AmplifierReadout | None:
        """The same readout if the compiled loops can use it: see `AmplifierReadout.stored`; else None."""
        return None

    @property
    def shares(self) -> tuple[tuple[Area, Readout], ...]:
        """Area of each amplifier in the image, and a readout of its pixels alone."""
        ny, nx = self.shape
        return ((Area(0, nx, 0, ny), self),)

    def read(self) -> tuple[NDArray[np.float32], MaskBits]:
        """Read all light-sensitive pixels, as `rows` does."""
        return self.rows(0, self.shape[0])
