"""Make the empty product of a science frame that could not be calibrated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.keywords import copy_raw_header, set_cards
from nightcal.io.product import Product
from nightcal.io.provenance import record_provenance
from nightcal.io.raw_header import RawHeader
from nightcal.science.arithmetic import NO_DATA_SIGMA


def make_empty_product(path: Path, reason: str, unit: str = "electron", raw: RawHeader | None = None) -> Product:
    """Make an empty product: no data, every pixel flagged, the reason in the header.

    Parameters
    ----------
    path : Path
        The raw frame.
    reason : str
        One plain sentence.
    unit : str
    raw : RawHeader, optional
        Header of the raw frame, if it could be read.

    Returns
    -------
    Product
        With the shape of the raw frame, or 1 x 1 if unknown.
    """
    header = fits.Header() if raw is None else copy_raw_header(raw)
    shape = (1, 1) if raw is None else raw.shape
    record_provenance(header, {"unit": unit})
    set_cards(header, {"RAWFILE": path.name, "EMPTY": reason, "SKIPPED": "bias,dark,flat"})
    mask = np.full(shape, Flag.NO_DATA, dtype=MASK_DTYPE)
    return Product(np.zeros(shape, np.float32), np.full(shape, NO_DATA_SIGMA, np.float32), mask, unit, header)
