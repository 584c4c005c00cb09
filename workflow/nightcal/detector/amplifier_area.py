"""Which pixels of an image one amplifier read out."""

from dataclasses import dataclass

from nightcal.io.sections import Area


@dataclass(frozen=True, slots=True)
class Part:
    """An amplifier's part of the light-sensitive image.

    Attributes
    ----------
    name : str
        ``1``, ``2``, ... in the order of the camera file.
    area : Area
    gain, read_noise : float
        [e-/ADU], [e-]
    """

    name: str
    area: Area
    gain: float
    read_noise: float
