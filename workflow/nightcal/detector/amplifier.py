"""One amplifier of a raw frame: its sections, gain, read noise and limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from nightcal.detector.overscan import OverscanMethods
from nightcal.detector.saturation import NO_BLEED, Bleed
from nightcal.io.sections import Area
from nightcal.numerics.robust import QUANTISATION

UserMethod = Callable[[NDArray[Any], Any], NDArray[Any]]
"""A user's overscan correction: takes the image and the overscan area, returns the corrected image as floats.

The area is a dictionary with ``xmin``, ``xmax``, ``ymin`` and ``ymax``; several areas are a list of dictionaries.
"""


@dataclass(frozen=True, slots=True)
class Amplifier:
    """Sections, gain, read noise and limits of one amplifier of a frame.

    Attributes
    ----------
    overscans : tuple of Area
        Empty for no overscan correction.
    overscan_method : OverscanMethods or function
    image_area : Area or None
        Light-sensitive pixels of its image plane; None for the whole plane. A flip reverses rows or columns.
    gain : float
        [e-/ADU]
    read_noise : float
        [e-], including digitisation noise.
    saturation : float or None
        [ADU]; None for the largest value the file can hold.
    polynomial : tuple of float
        Coefficients of the linearity correction; see `nightcal.detector.linearity.linearise`.
    linearity : float or None
        [ADU]; values at or above are flagged like saturated ones; None for no such limit.
    bleed : Bleed
        Directions in which saturated pixels bleed.
    detector : Area or None
        Its part of the detector, in unbinned pixels; a flip means that it reads backwards. None for a single amplifier,
        whose image area is the whole image.
    plane : int
        Its image plane in the file, counted from 0.
    from_right, from_top : bool
        Whether the column or row that is read first is stored at the right or at the top of the plane.
    step : float
        Step of the ADC [ADU].
    top : float or None
        Top of the ADC [ADU], if known from other frames; values at or above are saturated unless a frame has more.
    searches_top : bool
        Whether to search each frame for the top of the ADC, at which its brightest pixels pile up.
    saturation_card : str
        Origin of the saturation, for messages.
    """

    overscans: tuple[Area, ...] = ()
    overscan_method: OverscanMethods | UserMethod = OverscanMethods.clipped_mean
    image_area: Area | None = None
    gain: float = 1.0
    read_noise: float = 0.0
    saturation: float | None = None
    polynomial: tuple[float, ...] = ()
    linearity: float | None = None
    bleed: Bleed = NO_BLEED
    detector: Area | None = None
    plane: int = 0
    from_right: bool = False
    from_top: bool = False
    step: float = 1.0
    top: float | None = None
    searches_top: bool = False
    saturation_card: str = ""

    @property
    def read_variance(self) -> float:
        """Read noise squared [e-^2], at least that of digitisation."""
        return max(self.read_noise, QUANTISATION * self.step * self.gain) ** 2

    @property
    def method_name(self) -> str:
        """Name of the overscan method."""
        method = self.overscan_method
        return method.name if isinstance(method, OverscanMethods) else getattr(method, "__name__", "function")

    @property
    def reads_forwards(self) -> bool:
        """Whether the pixels have the same orientation in the image as in the file."""
        return not any(area is not None and (area.flip_x or area.flip_y) for area in (self.image_area, self.detector))
