"""Calibrate a raw science frame: read it once, a few rows at a time, and write it once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from nightcal.detector.readout import Readout
from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE
from nightcal.io.keywords import copy_raw_header, set_cards
from nightcal.io.product import Product, open_product
from nightcal.io.raw_image import Buffer
from nightcal.science.arithmetic import CalibratedRows, calibrate_rows
from nightcal.science.header import record_calibration
from nightcal.science.master_rows import MasterSet


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """A raw frame with its masters and the header of its product, ready to be calibrated.

    Attributes
    ----------
    readout : Readout
        Keeps its file in memory until the frame is done.
    masters : MasterSet
    exposure_time : float
        [s]
    unit : str
        ``electron`` or ``adu``.
    header : astropy.io.fits.Header
        Header of the product; keywords may be added before it is written.
    """

    readout: Readout
    masters: MasterSet
    exposure_time: float
    unit: str
    header: fits.Header

    def product(self) -> Product:
        """Calibrate the frame in memory.

        Raises
        ------
        FrameRejectedError
            If its pixels cannot be read.
        """
        shape = self.readout.shape
        data, uncertainty = np.empty(shape, np.float32), np.empty(shape, np.float32)
        mask = np.empty(shape, MASK_DTYPE)
        for start, rows in self._calibrate_rows():
            stop = start + len(rows.mask)
            data[start:stop], uncertainty[start:stop], mask[start:stop] = rows.data, rows.uncertainty, rows.mask
        self.header["NMASKED"] = int(np.count_nonzero(mask))
        return Product(data, uncertainty, mask, self.unit, self.header)

    def write(self, path: Path) -> None:
        """Calibrate the frame and write it atomically.

        Parameters
        ----------
        path : Path
            Replaced if it exists; its folder is created.

        Raises
        ------
        FrameRejectedError
            If its pixels cannot be read.
        """
        masked = 0
        with open_product(path, self.readout.shape, self.unit, self.header) as file:
            for start, rows in self._calibrate_rows():
                file.write(start, rows.data, rows.uncertainty, rows.mask)
                masked += int(np.count_nonzero(rows.mask))
            file.set("NMASKED", masked)

    def sample_rows(self, strips: Sequence[slice]) -> Iterator[CalibratedRows]:
        """Calibrate some rows, for a look at them before the frame is written; they lack the flags of bleeding.

        Raises
        ------
        FrameRejectedError
            If its pixels cannot be read.
        """
        try:
            for _, rows in calibrate_rows(self.readout, self.masters, self.exposure_time, self._scale, strips):
                yield rows
        except FrameRejectedError:
            self.readout.image.close()
            raise

    @property
    def holds_bias_level(self) -> bool:
        """Whether neither overscan nor bias removed the bias level."""
        return self.masters.masters["bias"] is None and not self.readout.has_overscan

    @property
    def _scale(self) -> float:
        return 1.0 if self.unit == "electron" else 1.0 / self.readout.gain

    def _calibrate_rows(self) -> Iterator[tuple[int, CalibratedRows]]:
        with self.readout.image:
            yield from calibrate_rows(self.readout, self.masters, self.exposure_time, self._scale)


def prepare_frame(
    readout: Readout, masters: MasterSet, exposure_time: float, unit: str, buffer: Buffer | None = None
) -> PreparedFrame:
    """Read a raw frame into memory and write the header of its product.

    Parameters
    ----------
    readout : Readout
    masters : MasterSet
    exposure_time : float
        [s], for the dark.
    unit : str
        Unit of the product, ``electron`` or ``adu``.
    buffer : Buffer, optional
        Memory to reuse for frames that are prepared one by one.

    Returns
    -------
    PreparedFrame

    Raises
    ------
    FrameRejectedError
        If the frame is unusable.
    """
    image = readout.image
    image.hold(buffer)
    header = copy_raw_header(image.header)
    set_cards(header, {"RAWFILE": image.path.name, "RAWSHA": image.digest})
    record_calibration(header, readout, exposure_time, masters.masters, unit)
    set_cards(header, {"NMASKED": 0})
    return PreparedFrame(readout, masters, exposure_time, unit, header)
