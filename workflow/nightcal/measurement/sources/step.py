"""The step ``sources``."""

from __future__ import annotations

import numpy as np

from nightcal.io.keywords import warn
from nightcal.measurement.frame import MeasuredFrame, Values
from nightcal.measurement.options import SourceOptions
from nightcal.measurement.sources import find_sources, make_keywords
from nightcal.warning_names import name_warning


def measure_sources(frame: MeasuredFrame, options: SourceOptions) -> Values:
    """Find and measure the sources of a frame.

    Parameters
    ----------
    frame : MeasuredFrame
        Gets its table of sources.
    options : SourceOptions

    Returns
    -------
    dict
        Values by keyword.
    """
    found = find_sources(frame.data, frame.uncertainty, frame.mask, options, frame.fwhm)
    frame.table, frame.statistics = found.table, found.statistics
    if len(found.table) and not np.isfinite(found.statistics.fwhm) and options.aperture_unit == "fwhm":
        sizes = ", ".join(f"{diameter:.1f}" for diameter in found.table.meta["APERTURES"])
        text = f"no three stars have a width in common; the diameters of the apertures are {sizes} pixels"
        warn(frame.header, name_warning("FWHM unknown", text))
    return make_keywords(found.statistics, frame.info.hint.scale)
