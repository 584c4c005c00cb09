"""Fit the overscan level with any one-dimensional astropy model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.io.sections import Area, as_area

if TYPE_CHECKING:
    from astropy.modeling import Model


def fit_overscan(model: Model) -> Any:
    """Make an overscan method that fits a model.

    Parameters
    ----------
    model : astropy.modeling.Model
        A model of one input, such as ``Chebyshev1D(3)``.

    Returns
    -------
    function
        ``(image, overscan) -> corrected image``: the model is fitted by ``ccdproc.subtract_overscan`` along the rows,
        or along the columns if the overscan lies above or below the image.
    """

    def subtract_model(image: NDArray[Any], overscan: Mapping[str, int]) -> NDArray[np.float64]:
        from astropy.nddata import CCDData
        from ccdproc import subtract_overscan

        area = _check_area(overscan, image.shape)
        ccd = CCDData(np.asarray(image, dtype=np.float64), unit="adu")
        beside = area.shape[0] == image.shape[0]
        corrected = subtract_overscan(ccd, overscan=ccd[area.slices], overscan_axis=1 if beside else 0, model=model)
        return np.asarray(corrected.data)

    subtract_model.__name__ = model.__class__.__name__
    return subtract_model


def _check_area(overscan: Any, shape: tuple[int, ...]) -> Area:
    area = as_area(overscan) if isinstance(overscan, Mapping | Area) else None
    if area is None or (area.shape[0] != shape[0] and area.shape[1] != shape[1]):
        raise ValueError(
            f"overscans is {overscan!r}; expected one area that spans all rows or all columns of the image, to which "
            "an overscan model can be fitted"
        )
    return area
