"""Solve the astrometry of a frame: match its sources with reference stars and fit a WCS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.astrometry.false_match import estimate_chance
from nightcal.measurement.astrometry.icrs import find_icrs
from nightcal.measurement.astrometry.patterns import Search, find_likely_plates
from nightcal.measurement.astrometry.plate import fit_linear_plate
from nightcal.measurement.astrometry.plate_fit import RefinedPlate, Sources, Stars, refine_plate
from nightcal.measurement.astrometry.sip import make_wcs
from nightcal.measurement.options import AstrometryOptions
from nightcal.measurement.sources.records import UNRELIABLE
from nightcal.measurement.sources.table import read_column
from nightcal.measurement.star_catalog.record import BUNDLED_NAME, StarCatalog

if TYPE_CHECKING:
    from astropy.table import Table
    from astropy.wcs import WCS

LARGEST_MOTION = 0.1  # [deg] from the epoch of the catalogue to that of the frame
USUAL_ERROR = 0.1  # [pix] of a position without an error


@dataclass(frozen=True, slots=True)
class Solution:
    """Result of the astrometry of a frame.

    Attributes
    ----------
    status : str
        ``solved: ...`` or ``not solved: ...`` with the reason.
    wcs : astropy.wcs.WCS or None
        TAN, or TAN-SIP with a distortion; ICRS; None if not solved.
    catalog : str
        Name of the reference stars.
    matches : (ndarray of int, ndarray of int)
        Indices of the sources in their table, and of their stars in the catalogue.
    distances : ndarray of float64
        Distance of each match [arcsec].
    number : int
        Number of matches fitted: neither flagged nor clipped.
    rms : float
        Root mean square distance of the fitted sources from their stars [arcsec].
    scale : float
        [arcsec/pix] at the centre of the frame.
    rotation : float
        Position angle of the image's y axis [deg], from north through east.
    mirrored : bool
        Whether east is to the right with north up.
    sip_order : int
        Order of the distortion polynomials; 1 for none.
    chance : float
        Probability of a match this good by chance, anywhere in the search range.
    """

    status: str
    wcs: WCS | None = None
    catalog: str = ""
    matches: tuple[NDArray[np.intp], NDArray[np.intp]] = field(
        default_factory=lambda: (np.array([], dtype=np.intp), np.array([], dtype=np.intp))
    )
    distances: NDArray[np.float64] = field(default_factory=lambda: np.array([]))
    number: int = 0
    rms: float = float("nan")
    scale: float = float("nan")
    rotation: float = float("nan")
    mirrored: bool = False
    sip_order: int = 1
    chance: float = 1.0

    @property
    def solved(self) -> bool:
        """Whether the frame has a WCS."""
        return self.wcs is not None


def solve(
    table: Table,
    shape: tuple[int, int],
    catalog: StarCatalog,
    pointing: tuple[float, float] | None,
    scale: float | None,
    options: AstrometryOptions | None = None,
    epoch: float | None = None,
) -> Solution:
    """Find the WCS of a frame.

    Parameters
    ----------
    table : astropy.table.Table
        Sources with ``XWIN_IMAGE``, ``YWIN_IMAGE`` (the first pixel is 1), ``FLUX_AUTO``; ``ERRX2WIN_IMAGE``,
        ``ERRY2WIN_IMAGE`` [pix^2] and ``FLAGS`` are used if present.
    shape : (int, int)
        Rows and columns of the frame.
    catalog : StarCatalog
    pointing : (float, float) or None
        Expected centre of the frame [deg]; None if unknown.
    scale : float or None
        Of the pixels of this frame, with binning [arcsec/pix]; None if unknown.
    options : AstrometryOptions, optional
    epoch : float, optional
        Of the exposure [Julian year]; proper motions are applied to this epoch.

    Returns
    -------
    Solution
        ``status`` says why a frame is not solved; nothing is raised.
    """
    options = options or AstrometryOptions()
    if pointing is None or not np.isfinite(pointing).all():
        return Solution("not solved: no pointing in the header", catalog=catalog.name)
    if scale is None or not (np.isfinite(scale) and scale > 0):
        return Solution(
            "not solved: no pixel scale in the header or the camera file (pixel_scale)", catalog=catalog.name
        )
    usable = _find_usable_sources(table)
    if len(usable) < options.smallest_number:
        return Solution(_describe_too_few_sources(len(usable), options), catalog=catalog.name)
    half_diagonal = np.hypot(*shape) / 2 * scale / 3600
    reach = half_diagonal * (1 + options.scale_tolerance) + options.search_radius / 60
    near, stars = _find_stars(catalog, pointing, min(float(reach), 90.0), epoch)
    in_field = len(catalog.find_within(*pointing, float(half_diagonal)))
    too_few = _describe_too_few_stars(in_field, catalog, max(shape) * scale / 60, options)
    if len(near) < options.smallest_number:
        return Solution(too_few, catalog=catalog.name)
    sources = _collect_sources(table, usable, shape)
    flux = _read_finite(table, "FLUX_AUTO", usable, 1.0)
    brightness = catalog.select(near).rank_magnitudes()
    first_problem = ""
    search = Search(
        float(pointing[0]), float(pointing[1]), options.search_radius / 60, float(scale), options.scale_tolerance
    )
    for start in find_likely_plates(sources, flux, stars, brightness, search, options.smallest_number):
        found = refine_plate(sources, stars, start, options.distortion, options.smallest_number)
        problem, chance = _judge(found, sources, stars, search, options)
        if found is not None and not problem:
            return _make_solution(found, chance, usable, near, shape, catalog)
        first_problem = first_problem or problem
    if in_field < options.smallest_number:
        return Solution(too_few, catalog=catalog.name)
    reason = f"no match between {len(usable)} sources and the {len(near)} nearby stars of {catalog.name}"
    return Solution(f"not solved: {first_problem or reason}", catalog=catalog.name)


def verify(
    table: Table,
    shape: tuple[int, int],
    catalog: StarCatalog,
    wcs: WCS,
    options: AstrometryOptions | None = None,
    epoch: float | None = None,
) -> Solution:
    """Refine a WCS from another program, and check it as `solve` does.

    Parameters
    ----------
    table, shape, catalog, options, epoch
        As for `solve`.
    wcs : astropy.wcs.WCS
        Correct to a few pixels.

    Returns
    -------
    Solution
    """
    options = options or AstrometryOptions()
    usable = _find_usable_sources(table)
    if len(usable) < options.smallest_number:
        return Solution(_describe_too_few_sources(len(usable), options), catalog=catalog.name)
    start = fit_linear_plate(lambda x, y: wcs.all_pix2world(x, y, 1), shape)
    if start is None:
        return Solution("not solved: the WCS found is degenerate", catalog=catalog.name)
    half_diagonal = np.hypot(*shape) / 2 * start.scale / 3600
    near, stars = _find_stars(catalog, (start.ra, start.dec), min(float(half_diagonal * 1.1), 90.0), epoch)
    if len(near) < options.smallest_number:
        return Solution(
            _describe_too_few_stars(len(near), catalog, max(shape) * start.scale / 60, options), catalog=catalog.name
        )
    sources = _collect_sources(table, usable, shape)
    found = refine_plate(sources, stars, start, options.distortion, options.smallest_number)
    search = Search(start.ra, start.dec, 180.0, start.scale, 1.0)
    problem, chance = _judge(found, sources, stars, search, options)
    if found is None or problem:
        return Solution(f"not solved: {problem}", catalog=catalog.name)
    return _make_solution(found, chance, usable, near, shape, catalog)


def add_positions(table: Table, solution: Solution, raw_wcs: WCS | None = None) -> None:
    """Add ``ALPHAWIN_J2000`` and ``DELTAWIN_J2000`` [deg] (ICRS) to a table of sources; NaN without a WCS.

    Parameters
    ----------
    table : astropy.table.Table
        Changed in place.
    solution : Solution
    raw_wcs : astropy.wcs.WCS, optional
        Used if the frame is not solved; from `nightcal.measurement.astrometry.raw_wcs.find_raw_wcs`.
    """
    x, y = (read_column(table, name) for name in ("XWIN_IMAGE", "YWIN_IMAGE"))
    good = np.isfinite(x) & np.isfinite(y)
    places = np.full((2, len(table)), np.nan)
    origin = "ICRS"
    if solution.wcs is not None and good.any():
        places[:, good] = solution.wcs.all_pix2world(x[good], y[good], 1)
    elif solution.wcs is None and raw_wcs is not None:
        places[:, good] = find_icrs(raw_wcs, x[good], y[good])
        origin = "ICRS; from the WCS of the raw frame"
    for name, values, words in zip(
        ("ALPHAWIN_J2000", "DELTAWIN_J2000"), places, ("Right ascension", "Declination"), strict=True
    ):
        table[name] = values
        table[name].unit = "deg"
        table[name].description = f"{words} of the windowed position ({origin})"


def make_keywords(solution: Solution) -> dict[str, Any]:
    """List the values for the header, by keyword: how a frame was solved, or why it was not."""
    found: dict[str, Any] = {"WCSSTAT": solution.status}
    if solution.catalog:
        found["WCSCAT"] = solution.catalog
    if solution.solved:
        found |= {
            "WCSNREF": solution.number,
            "WCSNMAT": len(solution.matches[0]),
            "WCSRMS": round(solution.rms, 4),
            "WCSCHNC": float(f"{solution.chance:.2g}"),
            "WCSORDER": solution.sip_order,
            "WCSSCALE": round(solution.scale, 6),
            "WCSROT": round(solution.rotation, 4),
            "WCSMIRR": solution.mirrored,
        }
    return found


def _find_usable_sources(table: Table) -> NDArray[np.intp]:
    """Find the indices of the sources with a position."""
    if not {"XWIN_IMAGE", "YWIN_IMAGE"} <= set(table.colnames):
        return np.array([], dtype=np.intp)
    everything = np.arange(len(table))
    x, y = (_read_finite(table, name, everything, np.nan) for name in ("XWIN_IMAGE", "YWIN_IMAGE"))
    return np.flatnonzero(np.isfinite(x) & np.isfinite(y))


def _read_finite(table: Table, name: str, rows: NDArray[np.intp], missing: float) -> NDArray[np.float64]:
    """Read some rows of a column; a value that is missing or not finite is replaced."""
    if name not in table.colnames:
        return np.full(len(rows), missing)
    values = read_column(table, name)[rows]
    return np.where(np.isfinite(values), values, missing)


def _collect_sources(table: Table, usable: NDArray[np.intp], shape: tuple[int, int]) -> Sources:
    along_x, along_y = (_read_finite(table, name, usable, np.nan) for name in ("ERRX2WIN_IMAGE", "ERRY2WIN_IMAGE"))
    variance = (along_x + along_y) / 2
    known = np.isfinite(variance) & (variance > 0)
    usual = float(np.median(variance[known])) if known.any() else USUAL_ERROR**2
    flags = _read_finite(table, "FLAGS", usable, 0).astype(np.int64)
    return Sources(
        x=_read_finite(table, "XWIN_IMAGE", usable, np.nan),
        y=_read_finite(table, "YWIN_IMAGE", usable, np.nan),
        sigma=np.sqrt(np.where(known, variance, usual)),
        good=(flags & UNRELIABLE) == 0,
        shape=shape,
    )


def _find_stars(
    catalog: StarCatalog, centre: tuple[float, float], reach: float, epoch: float | None
) -> tuple[NDArray[np.intp], Stars]:
    """Find the stars around a position at an epoch, and their indices in the catalogue."""
    near = catalog.find_within(*centre, reach + LARGEST_MOTION)
    moved = catalog.select(near)
    if epoch is not None and np.isfinite(epoch):
        moved = moved.move_to_epoch(epoch)
    inside = moved.find_within(*centre, reach)
    return near[inside], Stars(moved.ra[inside], moved.dec[inside])


def _judge(
    found: RefinedPlate | None, sources: Sources, stars: Stars, search: Search, options: AstrometryOptions
) -> tuple[str, float]:
    """Give the reason to reject a match, empty to accept it, and its probability by chance."""
    if found is None:
        return f"fewer than {options.smallest_number} sources match reference stars", 1.0
    number = len(found.sources)
    chance = estimate_chance(found, sources, stars, search)
    if not chance < options.largest_chance:
        return f"the best match, of {number} stars, may be a coincidence (probability {chance:.1g})", chance
    if abs(found.plate.scale / search.scale - 1) > search.tolerance:
        return (
            f"the best match has {found.plate.scale:.4g} arcsec/pixel; expected {search.scale:.4g}"
            " (pixel_scale in the camera file)",
            chance,
        )
    if found.rms > options.largest_rms:
        return (
            f"the best match, of {number} stars, has an rms of {found.rms:.2f} pixels; at most"
            f" {options.largest_rms:g} is accepted",
            chance,
        )
    return "", chance


def _make_solution(
    found: RefinedPlate,
    chance: float,
    usable: NDArray[np.intp],
    near: NDArray[np.intp],
    shape: tuple[int, int],
    catalog: StarCatalog,
) -> Solution:
    plate = found.plate
    (xi_x, xi_y), (eta_x, eta_y) = plate.matrix
    rms, number = found.rms * plate.scale, int(found.used.sum())
    return Solution(
        status=f"solved: {number} stars of {catalog.name}, rms {rms:.2f} arcsec",
        wcs=make_wcs(plate, shape),
        catalog=catalog.name,
        matches=(usable[found.sources], near[found.stars]),
        distances=found.distances * plate.scale,
        number=number,
        rms=rms,
        scale=plate.scale,
        rotation=float(np.degrees(np.arctan2(xi_y, eta_y))),
        mirrored=bool(xi_x * eta_y - xi_y * eta_x > 0),
        sip_order=plate.order,
        chance=chance,
    )


def _describe_too_few_sources(number: int, options: AstrometryOptions) -> str:
    return f"not solved: only {number} sources; at least {options.smallest_number} are needed"


def _describe_too_few_stars(number: int, catalog: StarCatalog, size: float, options: AstrometryOptions) -> str:
    needed, some = options.smallest_number, f"only {number}" if number else "none"
    if catalog.name == BUNDLED_NAME:
        return (
            f"not solved: {some} of {catalog.name} in this field of {size:.0f} arcmin; at least {needed} are"
            " needed; set catalog.file"
        )
    return f"not solved: {some} of the stars of {catalog.name} in this field; at least {needed} are needed"
