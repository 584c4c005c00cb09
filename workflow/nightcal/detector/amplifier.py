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
"""A user's overscan correction: image and overscan area in, corrected image of floats out.

The area is a dictionary with ``xmin``, ``xmax``, ``ymin`` and ``ymax``; of several areas, a list of them.
"""


@dataclass(frozen=True, slots=True)
class Amplifier:
    """What is known of one amplifier of a frame.

    Attributes
    ----------
    overscans : tuple of Area
        None: no overscan correction.
    overscan_method : OverscanMethods or function
    image_area : Area or None
        Light-sensitive pixels of its image plane; None for the whole plane. A flip turns the pixels round.
    gain : float
        [e-/ADU]
    read_noise : float
        [e-], with the noise of digitisation in it.
    saturation : float or None
        [ADU]; None for the largest value that the file can hold.
    polynomial : tuple of float
        Coefficients of the correction for non-linearity, as `nightcal.detector.linearity.linearise` takes them.
    linearity : float or None
        [ADU]; values from here on are flagged like saturated ones; None for no such limit.
    bleed : Bleed
        Where the charge of saturated pixels leaks to.
    detector : Area or None
        What it saw, in unbinned pixels of the detector; a flip means that it reads backwards. None for an amplifier
        that is alone: its image area is the image.
    plane : int
        Which image plane of the file holds it, from 0.
    from_right, from_top : bool
        Whether its plane is stored with the column or row that is read first at the right or at the top.
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

    @property
    def read_variance(self) -> float:
        """Variance of a pixel in the dark [e-^2]; that of digitisation if the read noise is unknown."""
        return max(self.read_noise, QUANTISATION * self.gain) ** 2

    @property
    def method_name(self) -> str:
        """Name of the overscan method."""
        method = self.overscan_method
        return method.name if isinstance(method, OverscanMethods) else getattr(method, "__name__", "function")

    @property
    def reads_forwards(self) -> bool:
        """Whether the pixels lie in the image as they do in the file."""
        return not any(area is not None and (area.flip_x or area.flip_y) for area in (self.image_area, self.detector))
