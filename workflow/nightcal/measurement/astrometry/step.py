"""The step ``astrometry``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from nightcal.io.keywords import warn
from nightcal.measurement import sources
from nightcal.measurement.astrometry import AstrometryOptions, Solution, add_positions, make_keywords, solve
from nightcal.measurement.astrometry.blind import solve_blind
from nightcal.measurement.astrometry.header import write_wcs
from nightcal.measurement.astrometry.raw_wcs import find_raw_wcs
from nightcal.measurement.frame import MeasuredFrame, Values
from nightcal.measurement.star_catalog import StarCatalog
from nightcal.warning_names import name_warning

if TYPE_CHECKING:
    from astropy.wcs import WCS

FROM_STARS, FROM_RAW_FRAME, NO_POSITIONS = "reference stars", "raw frame", "none"
"""Values of WCSSRC: what the positions on the sky come from."""


def solve_frame(frame: MeasuredFrame, options: AstrometryOptions) -> Values:
    """Match the sources of a frame with reference stars, and write its WCS.

    Parameters
    ----------
    frame : MeasuredFrame
        Its sources get positions on the sky, its header a WCS.
    options : AstrometryOptions

    Returns
    -------
    dict
        The origin of the positions, and the seeing in arcsec once more, if the pixel scale has been measured;
        `write_wcs` writes all else.
    """
    if frame.table is None or frame.statistics is None:
        return make_keywords(Solution("not solved: source detection is switched off"))
    frame.solution, frame.stars = _solve(frame, options)
    raw_wcs = None if frame.solution.solved else _find_raw_wcs(frame, options)
    write_wcs(frame.header, frame.solution)
    add_positions(frame.table, frame.solution, raw_wcs)
    if not frame.solution.solved:
        return {"WCSSRC": NO_POSITIONS if raw_wcs is None else FROM_RAW_FRAME}
    seeing = sources.make_keywords(frame.statistics, frame.solution.scale)
    return {"WCSSRC": FROM_STARS} | {keyword: value for keyword, value in seeing.items() if keyword == "SEEING"}


def _find_raw_wcs(frame: MeasuredFrame, options: AstrometryOptions) -> WCS | None:
    """Find the WCS of the raw frame, or warn of the test that it fails."""
    hint = frame.info.hint
    raw_wcs, problem = find_raw_wcs(frame.header, frame.mask.shape, hint.pointing, hint.scale, options)
    if problem:
        warn(frame.header, name_warning("raw WCS not used", problem))
    return raw_wcs


def _solve(frame: MeasuredFrame, options: AstrometryOptions) -> tuple[Solution, StarCatalog | None]:
    """Try one catalogue after the other; if none solves the frame, the status is that of the first."""
    table, shape, info, catalogs = frame.table, frame.mask.shape, frame.info, frame.catalogs
    tried = []
    for stars in catalogs:
        solution = solve(table, shape, stars, info.hint.pointing, info.hint.scale, options, info.epoch)
        if solution.solved:
            return solution, stars
        tried.append(solution)
    unsolved = tried[0]
    blind = []
    for stars in catalogs if options.blind else ():
        solution = solve_blind(table, shape, stars, options, info.epoch, info.hint.scale)
        if solution.solved:
            return solution, stars
        blind.append(solution.status.removeprefix("not solved: "))
    if blind:
        unsolved = replace(unsolved, status=f"{unsolved.status}; blind: {blind[0]}")
    return unsolved, catalogs[0]
