"""The step ``photometry``."""

from __future__ import annotations

from dataclasses import replace

from nightcal.measurement.frame import MeasuredFrame, Values
from nightcal.measurement.photometry import PhotometryOptions, add_magnitudes, fit_zero_point, make_keywords


def measure_zero_point(frame: MeasuredFrame, options: PhotometryOptions) -> Values:
    """Fit the zero point of a frame, and give its sources magnitudes.

    Parameters
    ----------
    frame : MeasuredFrame
        Its sources get magnitudes.
    options : PhotometryOptions

    Returns
    -------
    dict
        Values by keyword.
    """
    if frame.table is None:
        return {"ZPSTAT": "no zero point: source detection is switched off"}
    solution, info = frame.solution, frame.info
    solved = solution is not None and solution.solved and not info.holds_bias_level
    matches = solution.matches if solution is not None and solved else None
    zero_point = fit_zero_point(
        frame.table,
        frame.stars,
        matches,
        info.exposure_time,
        options.filters.get(info.filter),
        options,
        filter_name=info.filter,
    )
    if info.holds_bias_level:
        zero_point = replace(zero_point, status="no zero point: the frame holds its bias level (no bias, no overscan)")
    frame.table = add_magnitudes(frame.table, zero_point)
    return make_keywords(zero_point)
