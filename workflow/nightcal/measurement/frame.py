"""A frame on its way through the measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import MaskBits
from nightcal.io.product import Product
from nightcal.measurement.astrometry.pointing import Hint
from nightcal.measurement.astrometry.solution import Solution
from nightcal.measurement.sources import Statistics, estimate_seeing
from nightcal.measurement.star_catalog import StarCatalog

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.table import Table

Image = NDArray[np.float32]

Values = Mapping[str, Any]
"""What a step writes into the header: values by keyword, or pairs of value and comment."""


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What is known of a frame besides its pixels.

    Attributes
    ----------
    exposure_time : float
        [s]
    epoch : float or None
        Middle of the exposure [Julian year]; None if unknown.
    filter : str
    gain : float
        [e-/ADU], for products in ADU.
    hint : Hint
        Pointing of the telescope and size of a pixel.
    holds_bias_level : bool
        Whether the bias level was not subtracted: fluxes above the sky are right, their errors and magnitudes are not.
    """

    exposure_time: float
    epoch: float | None
    filter: str
    gain: float
    hint: Hint
    holds_bias_level: bool = False


UNKNOWN = FrameInfo(0.0, None, "", 1.0, Hint(None, None, None, ""))
"""Of a frame that could not be read."""


@dataclass
class MeasuredFrame:
    """A calibrated frame and what has been measured in it; each step changes it in place.

    Attributes
    ----------
    product : Product
        The calibrated frame.
    info : FrameInfo
    catalogs : tuple of StarCatalog
        Reference stars to try, the preferred ones first.
    table : astropy.table.Table or None
        Sources; None until the step ``sources`` has run.
    statistics : Statistics or None
        Sky and seeing, likewise.
    solution : Solution or None
        WCS and matches; None until the step ``astrometry`` has run.
    stars : StarCatalog or None
        The reference stars that were matched.
    """

    product: Product
    info: FrameInfo
    catalogs: tuple[StarCatalog, ...] = ()
    table: Table | None = None
    statistics: Statistics | None = None
    solution: Solution | None = None
    stars: StarCatalog | None = None

    def __post_init__(self) -> None:
        product = self.product  # image and one sigma are measured in electrons
        self.electrons_per_unit = np.float32(1.0 if product.unit == "electron" else self.info.gain)
        self.data, self.uncertainty = (
            image if self.electrons_per_unit == 1 else image * self.electrons_per_unit
            for image in (product.data, product.uncertainty)
        )

    def replace_pixels(self, where: NDArray[np.bool_], image: Image) -> None:
        """Replace some pixels of image and product.

        Parameters
        ----------
        where : ndarray of bool, shape (ny, nx)
        image : ndarray of float32, shape (ny, nx)
            [e-]; equal to `data` elsewhere.
        """
        self.data = image
        pixels = np.where(where, image / self.electrons_per_unit, self.product.data)
        self.product = replace(self.product, data=pixels)

    @property
    def mask(self) -> MaskBits:
        """Bits of `nightcal.flags.Flag`, which steps may add to."""
        return self.product.mask

    @property
    def header(self) -> fits.Header:
        """Header of the product."""
        return self.product.header

    @cached_property
    def fwhm(self) -> float:
        """Typical full width at half maximum of a star [pix], as first measured; NaN if unknown."""
        return estimate_seeing(self.data, self.uncertainty, self.mask)
