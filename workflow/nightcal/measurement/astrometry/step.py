"""The step ``astrometry``."""

from __future__ import annotations

from dataclasses import replace

from nightcal.measurement import sources
from nightcal.measurement.astrometry import AstrometryOptions, Solution, add_positions, make_keywords, solve
from nightcal.measurement.astrometry.blind import solve_blind
from nightcal.measurement.astrometry.header import write_wcs
from nightcal.measurement.frame import MeasuredFrame, Values
from nightcal.measurement.star_catalog import StarCatalog


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
        The seeing in arcsec once more, if the pixel scale has been measured; `write_wcs` writes all else.
    """
    if frame.table is None or frame.statistics is None:
        return make_keywords(Solution("not solved: source detection is switched off"))
    frame.solution, frame.stars = _solve(frame, options)
    write_wcs(frame.header, frame.solution)
    add_positions(frame.table, frame.solution)
    if not frame.solution.solved:
        return {}
    seeing = sources.make_keywords(frame.statistics, frame.solution.scale)
    return {keyword: value for keyword, value in seeing.items() if keyword == "SEEING"}


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
