"""A raw frame as electrons, by rows, whatever read it out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.saturation import Bleed
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area

if TYPE_CHECKING:
    from nightcal.detector.amplifier_readout import AmplifierReadout


class Readout(ABC):
    """Electrons of the light-sensitive pixels of a raw frame, by rows, whether one amplifier read it or several.

    Attributes
    ----------
    image : RawImage
    gain, read_noise, read_variance : float
        [e-/ADU], [e-], [e-^2]; of several amplifiers the mean, the mean square, and its square.
    saturation : float
        Raw values from here on are flagged [ADU]; the smallest of several amplifiers.
    bleeding : Bleed
        Where the charge of saturated pixels leaks to.
    """

    image: RawImage
    gain: float
    read_noise: float
    read_variance: float
    saturation: float
    bleeding: Bleed

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the light-sensitive pixels."""

    @property
    @abstractmethod
    def limit_source(self) -> str:
        """What sets the limit of saturation: ``linearity``, ``saturation``, or ``file`` (the largest integer)."""

    @property
    @abstractmethod
    def has_overscan(self) -> bool:
        """Whether an overscan level is subtracted."""

    @property
    @abstractmethod
    def mean_level(self) -> float | None:
        """Mean overscan level [ADU]; None without overscan."""

    @property
    @abstractmethod
    def level_variance(self) -> NDArray[np.float64]:
        """Variance of the overscan level [e-^2], broadcastable to the light-sensitive pixels."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read rows of the light-sensitive pixels.

        Parameters
        ----------
        start, stop : int
            0-based, half-open, counted from the first light-sensitive row.

        Returns
        -------
        electrons : ndarray of float32, shape (stop - start, nx)
            Signal above the overscan level [e-].
        flags : ndarray of uint8, shape (stop - start, nx)
            ``SATURATED`` and ``NO_DATA`` bits.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """

    @abstractmethod
    def measure(self, start: int, stop: int) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
        """Read rows with the noise that they would have in the dark.

        Parameters
        ----------
        start, stop : int
            As for `rows`.

        Returns
        -------
        electrons, flags : ndarray
            As `rows` gives them; pixels that no amplifier read are 0 and flagged ``NO_DATA``.
        variance : ndarray of float32, shape (stop - start, 1) or (stop - start, nx)
            Of read noise, overscan level and crosstalk [e-^2].

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """

    @abstractmethod
    def bleed(self) -> NDArray[np.bool_] | None:
        """Find the pixels that charge of saturated ones may have leaked into.

        Returns
        -------
        ndarray of bool, of the shape of the light-sensitive pixels, or None
            None if the camera does not bleed, or nothing is saturated.

        Raises
        ------
        FrameRejectedError
            If the pixels cannot be read.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """List what must be known to repeat the calibration, for a hash."""

    @abstractmethod
    def keywords(self) -> dict[str, Any]:
        """Describe overscan and amplifiers: values for the header of a product, by keyword."""

    @property
    @abstractmethod
    def kept_area(self) -> Area | None:
        """Area of the raw image that is kept, with its flips; None if all of it, or of several amplifiers."""

    @property
    def warnings(self) -> list[str]:
        """What is odd about the amplifiers, in sentences."""
        return []

    @property
    def area(self) -> Area:
        """Where the light-sensitive pixels are in the rows that are read."""
        ny, nx = self.shape
        return Area(0, nx, 0, ny)

    @property
    def columns(self) -> int:
        """Columns of the rows that are read."""
        return self.shape[1]

    @property
    def stored(self) -> AmplifierReadout | None:
        """The same readout if its pixels are 16-bit integers less one number a row, as compiled loops want."""
        return None

    @property
    def shares(self) -> tuple[tuple[Area, Readout], ...]:
        """Area of each amplifier in the image, and a readout of its pixels alone."""
        ny, nx = self.shape
        return ((Area(0, nx, 0, ny), self),)

    def read(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Read all light-sensitive pixels, as `rows` does."""
        return self.rows(0, self.shape[0])
