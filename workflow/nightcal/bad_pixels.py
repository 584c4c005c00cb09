"""The bad pixel mask of a night, from what its masters say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.io import fits

from nightcal.calibration import Calibration, inherit_warnings
from nightcal.cards import set_cards
from nightcal.errors import SetAside
from nightcal.fitsio import Product
from nightcal.flags import MASK_DTYPE, Flag


def make_bad_pixel_mask(masters: Sequence[Calibration]) -> Product:
    """Gather what the night's masters say about pixels.

    Parameters
    ----------
    masters : sequence of Calibration
        Bias, darks and flats of one setup, any number of each.

    Returns
    -------
    Product
        The image is the mask: ``BAD`` where a pixel is noisy or never gave data, ``HOT`` where it is hot in a dark.
        What a flat says of its own filter (``LOW_FLAT``) stays with that flat.

    Raises
    ------
    SetAside
        If none of the masters holds data.
    """
    masters = [master for master in masters if not master.refused]
    if not masters:
        raise SetAside("none of the masters holds data")
    bits = np.zeros(masters[0].mask.shape, dtype=MASK_DTYPE)
    for master in masters:
        mask = np.asarray(master.mask)
        bits |= mask & (Flag.BAD | Flag.HOT)
        bits[mask & Flag.NO_DATA > 0] |= Flag.BAD
    header = fits.Header()
    times = [master.header["MJDMEAN"] for master in masters]
    cards: list[tuple[str, Any, str]] = [
        ("MASTER", "bpm", "kind of master"),
        ("MJDMEAN", float(np.mean(times)), "mean of the middles of the exposures"),
        ("NBAD", int(np.sum(bits & Flag.BAD > 0)), "bad pixels"),
        ("NHOT", int(np.sum(bits & Flag.HOT > 0)), "hot pixels"),
        ("NFRAMES", len(masters), "masters it is made from"),
    ]
    for n, master in enumerate(masters, start=1):
        cards += [(f"FRAM{n:04d}", master.name, "made from"), (f"FSHA{n:04d}", master.digest, "its SHA-256 begins")]
    set_cards(header, cards)
    inherit_warnings(header, *(master for master in masters if master.header["MASTER"] != "flat"))
    return Product(bits, np.zeros(bits.shape, np.float32), bits, "", header)
