"""Which raw pixels are saturated, and which hold no number at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nightcal.flags import MASK_DTYPE, Flag


def flag_raw(raw: NDArray[Any], saturation: float) -> NDArray[np.uint8]:
    """Flag saturated and missing pixels of a raw image, before anything is subtracted.

    Parameters
    ----------
    raw : ndarray of any real type, shape (ny, nx)
        [ADU]
    saturation : float
        Values at or above are saturated [ADU]; infinity for none.

    Returns
    -------
    ndarray of uint8, shape (ny, nx)
        ``SATURATED`` and ``NO_DATA`` bits.
    """
    mask = np.zeros(raw.shape, dtype=MASK_DTYPE)
    mask[np.asarray(raw >= saturation)] = Flag.SATURATED
    if raw.dtype.kind == "f":
        mask[~np.isfinite(raw)] = Flag.NO_DATA
    return mask
