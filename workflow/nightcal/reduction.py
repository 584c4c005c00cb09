"""A science frame on its way from raw to product, a few rows at a time: read once, written once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.chain import Corrections, calibrate_rows
from nightcal.detector.readout import Readout
from nightcal.fitsio import Product, product_file
from nightcal.flags import MASK_DTYPE, Flag

NO_DATA_SIGMA = 1e9
"""Uncertainty of a pixel that holds no data: finite, and of no weight."""

Images = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Reduction:
    """A raw frame that is ready to be calibrated.

    Attributes
    ----------
    readout : Readout
        Its file is held in memory until the frame is done.
    corrections : Corrections
    header : astropy.io.fits.Header
        Of the product; cards may be added until it is made.
    unit : str
        ``electron`` or ``adu``.
    """

    readout: Readout
    corrections: Corrections
    header: fits.Header
    unit: str

    def product(self) -> Product:
        """Calibrate the frame in memory.

        Raises
        ------
        SetAside
            If its pixels cannot be read.
        """
        shape = self.readout.shape
        data, uncertainty = np.empty(shape, np.float32), np.empty(shape, np.float32)
        mask = np.empty(shape, MASK_DTYPE)
        for start, images in self._rows():
            stop = start + len(images[0])
            data[start:stop], uncertainty[start:stop], mask[start:stop] = images
        self.header["NMASKED"] = int(np.count_nonzero(mask))
        return Product(data, uncertainty, mask, self.unit, self.header)

    def write(self, path: Path) -> None:
        """Calibrate the frame and write it, whole or not at all.

        Parameters
        ----------
        path : Path
            Replaced if it exists; its folder is made.

        Raises
        ------
        SetAside
            If its pixels cannot be read.
        """
        masked = 0
        with product_file(path, self.readout.shape, self.unit, self.header) as file:
            for start, images in self._rows():
                file.write(start, *images)
                masked += int(np.count_nonzero(images[2]))
            file.set("NMASKED", masked)

    def _rows(self) -> Iterator[tuple[int, Images]]:
        scale = np.float32(1.0 if self.unit == "electron" else 1.0 / self.readout.electronics.gain)
        with self.readout.image:
            for start, calibrated in calibrate_rows(self.readout, self.corrections):
                uncertainty = np.sqrt(calibrated.variance)
                if scale != 1:
                    uncertainty *= scale
                empty = calibrated.mask & Flag.NO_DATA
                if empty.any():
                    uncertainty[(empty > 0) & (calibrated.variance == 0)] = NO_DATA_SIGMA
                yield start, (_scaled(calibrated.data, scale), uncertainty, calibrated.mask)


def _scaled(image: NDArray[np.float32], scale: Any) -> NDArray[np.float32]:
    return image if scale == 1 else image * scale
