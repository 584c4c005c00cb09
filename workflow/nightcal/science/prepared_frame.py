"""A science frame on its way from raw to product, a few rows at a time: read once, written once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from astropy.io import fits

from nightcal.flags import MASK_DTYPE
from nightcal.io.product import Product, product_file
from nightcal.science.arithmetic import CalibratedRows, Chain


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A raw frame that is ready to be calibrated.

    Attributes
    ----------
    chain : Chain
        The file of its readout is held in memory until the frame is done.
    header : astropy.io.fits.Header
        Of the product; cards may be added until it is made.
    unit : str
        ``electron`` or ``adu``.
    loops : module or None
        `nightcal.numerics.kernels.frame`, or None for numpy.
    """

    chain: Chain
    header: fits.Header
    unit: str
    loops: ModuleType | None = None

    def product(self) -> Product:
        """Calibrate the frame in memory.

        Raises
        ------
        FrameRejectedError
            If its pixels cannot be read.
        """
        shape = self.chain.readout.shape
        data, uncertainty = np.empty(shape, np.float32), np.empty(shape, np.float32)
        mask = np.empty(shape, MASK_DTYPE)
        for start, rows in self._rows(self.loops):
            stop = start + len(rows.mask)
            data[start:stop], uncertainty[start:stop], mask[start:stop] = rows.data, rows.uncertainty, rows.mask
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
        FrameRejectedError
            If its pixels cannot be read.
        """
        masked = 0
        with product_file(path, self.chain.readout.shape, self.unit, self.header, loops=self.loops) as file:
            for start, rows in self._rows(self.loops):
                file.write(start, rows.data, rows.uncertainty, rows.mask)
                masked += int(np.count_nonzero(rows.mask))
            file.set("NMASKED", masked)

    def _rows(self, loops: ModuleType | None) -> Iterator[tuple[int, CalibratedRows]]:
        with self.chain.readout.image:
            yield from self.chain.rows(loops)
