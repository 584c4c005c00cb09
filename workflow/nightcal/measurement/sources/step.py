"""The step ``sources``."""

from __future__ import annotations

from nightcal.measurement.frame import MeasuredFrame, Values
from nightcal.measurement.options import SourceOptions
from nightcal.measurement.sources import find_sources, make_keywords


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
    return make_keywords(found.statistics, frame.info.hint.scale)
