"""Where each pixel of a frame looks: matching its sources with reference stars."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.measurement.astrometry.false_match import chance_of
from nightcal.measurement.astrometry.patterns import Search, likely_plates
from nightcal.measurement.astrometry.plate import plate_of
from nightcal.measurement.astrometry.plate_fit import Refined, Sources, Stars, refine
from nightcal.measurement.astrometry.sip import wcs_of
from nightcal.measurement.star_catalog.record import BUNDLED_NAME, StarCatalog

if TYPE_CHECKING:
    from astropy.table import Table
    from astropy.wcs import WCS

UNSAFE = 1 | 4 | 8 | 16
"""Flags of sources whose positions are not fitted: bad pixel, saturated, edge, cosmic ray."""

LARGEST_MOTION = 0.1  # [deg] that a star may have moved since the epoch of its catalogue
USUAL_ERROR = 0.1  # [pix] of a source without one


@dataclass(frozen=True, slots=True)
class AstrometryOptions:
    """What an observer may want to change.

    Attributes
    ----------
    search_radius : float
        How far the telescope may point beside the place that the header tells [arcmin].
    scale_tolerance : float
        How wrong the scale may be, as a fraction.
    distortion : int
        Highest order of the distortion polynomials: 3, 2, or 1 for none. Order 3 takes 50 matches, order 2 takes 30,
        and either has to lower the residuals by more than chance would.
    smallest_number : int
        Fewest matches that are believed.
    largest_rms : float
        Largest root mean square distance between stars and sources [pix].
    largest_chance : float
        Largest probability that stars and sources lie on each other by chance.
    blind : bool
        Whether ``solve-field`` of astrometry.net, where it is installed, is asked about frames that are not solved.
    """

    search_radius: float = 30.0
    scale_tolerance: float = 0.1
    distortion: int = 3
    smallest_number: int = 6
    largest_rms: float = 1.0
    largest_chance: float = 1e-6
    blind: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        limits = {
            "search_radius": (0.1, 600, "arcmin from 0.1 to 600"),
            "scale_tolerance": (0.001, 0.5, "a fraction from 0.001 to 0.5"),
            "distortion": (1, 3, "1, 2 or 3"),
            "smallest_number": (4, 1000, "a number of stars from 4 to 1000"),
            "largest_rms": (0.01, 10, "pixels from 0.01 to 10"),
            "largest_chance": (0, 0.01, "a probability from 0 to 0.01"),
        }
        for name, (low, high, expected) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"astrometry.{name} is {value!r}; expected {expected}.")


@dataclass(frozen=True, slots=True)
class Solution:
    """What became of the astrometry of a frame.

    Attributes
    ----------
    status : str
        ``solved: ...`` or ``not solved: ...`` with the reason, in words.
    wcs : astropy.wcs.WCS or None
        TAN, or TAN-SIP where the distortion was fitted; ICRS; None if not solved.
    catalog : str
        Name of the reference stars.
    matches : (ndarray of int, ndarray of int)
        Indices into the table of sources, and of their stars into the catalogue.
    distances : ndarray of float64
        Of each match [arcsec].
    number : int
        Matches that were fitted: neither flagged nor clipped.
    rms : float
        Root mean square distance of those from their stars [arcsec].
    scale : float
        [arcsec/pix] in the middle.
    rotation : float
        Position angle of the image's y axis [deg], from north through east.
    mirrored : bool
        Whether east is to the right where north is up.
    sip_order : int
        Order of the distortion polynomials; 1 for none.
    chance : float
        Probability that so many sources lie so near to stars by chance, wherever the search might have looked.
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
        """Whether there is a WCS."""
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
        ``ERRY2WIN_IMAGE`` [pix^2] and ``FLAGS`` where there are any.
    shape : (int, int)
        Rows and columns of the frame.
    catalog : StarCatalog
    pointing : (float, float) or None
        Where the middle of the frame should be [deg]; None if nothing tells.
    scale : float or None
        [arcsec/pix], of the pixels of this frame.
    options : AstrometryOptions, optional
    epoch : float, optional
        Julian year of the exposure, to which the stars are moved.

    Returns
    -------
    Solution
        Never raises for a frame or its hints: ``status`` says why it is not solved.
    """
    options = options or AstrometryOptions()
    if pointing is None or not np.isfinite(pointing).all():
        return Solution("not solved: no pointing in the header", catalog=catalog.name)
    if scale is None or not (np.isfinite(scale) and scale > 0):
        return Solution(
            "not solved: no scale in the header or the camera file (camera: pixel_scale)", catalog=catalog.name
        )
    usable = _usable(table)
    if len(usable) < options.smallest_number:
        return Solution(_too_few_sources(len(usable), options), catalog=catalog.name)
    half_diagonal = np.hypot(*shape) / 2 * scale / 3600
    reach = half_diagonal * (1 + options.scale_tolerance) + options.search_radius / 60
    near, stars = _stars(catalog, pointing, min(float(reach), 90.0), epoch)
    in_field = len(catalog.near(*pointing, float(half_diagonal)))
    too_few = _too_few_stars(in_field, catalog, max(shape) * scale / 60, options)
    if len(near) < options.smallest_number:
        return Solution(too_few, catalog=catalog.name)
    sources = _sources(table, usable, shape)
    flux = _column(table, "FLUX_AUTO", usable, 1.0)
    brightness = catalog.subset(near).brightness()
    refusal = ""
    search = Search(
        float(pointing[0]), float(pointing[1]), options.search_radius / 60, float(scale), options.scale_tolerance
    )
    for start in likely_plates(sources, flux, stars, brightness, search, options.smallest_number):
        found = refine(sources, stars, start, options.distortion, options.smallest_number)
        refused, chance = _judge(found, sources, stars, search, options)
        if found is not None and not refused:
            return _solution(found, chance, usable, near, shape, catalog)
        refusal = refusal or refused
    if in_field < options.smallest_number:
        return Solution(too_few, catalog=catalog.name)
    words = f"no match of its {len(usable)} sources with the {len(near)} stars of {catalog.name} around"
    return Solution(f"not solved: {refusal or words}", catalog=catalog.name)


def verify(
    table: Table,
    shape: tuple[int, int],
    catalog: StarCatalog,
    wcs: WCS,
    options: AstrometryOptions | None = None,
    epoch: float | None = None,
) -> Solution:
    """Refine a WCS that another program found, and accept or refuse it as `solve` does.

    Parameters
    ----------
    table, shape, catalog, options, epoch
        As for `solve`.
    wcs : astropy.wcs.WCS
        Right to a few pixels.

    Returns
    -------
    Solution
    """
    options = options or AstrometryOptions()
    usable = _usable(table)
    if len(usable) < options.smallest_number:
        return Solution(_too_few_sources(len(usable), options), catalog=catalog.name)
    start = plate_of(lambda x, y: wcs.all_pix2world(x, y, 1), shape)
    if start is None:
        return Solution("not solved: the WCS that was found is no piece of the sky", catalog=catalog.name)
    half_diagonal = np.hypot(*shape) / 2 * start.scale / 3600
    near, stars = _stars(catalog, (start.ra, start.dec), min(float(half_diagonal * 1.1), 90.0), epoch)
    if len(near) < options.smallest_number:
        return Solution(
            _too_few_stars(len(near), catalog, max(shape) * start.scale / 60, options), catalog=catalog.name
        )
    sources = _sources(table, usable, shape)
    found = refine(sources, stars, start, options.distortion, options.smallest_number)
    search = Search(start.ra, start.dec, 180.0, start.scale, 1.0)
    refused, chance = _judge(found, sources, stars, search, options)
    if found is None or refused:
        return Solution(f"not solved: {refused}", catalog=catalog.name)
    return _solution(found, chance, usable, near, shape, catalog)


def add_positions(table: Table, solution: Solution) -> None:
    """Add ``ALPHAWIN_J2000`` and ``DELTAWIN_J2000`` [deg] (ICRS) to a table of sources; NaN if not solved.

    Parameters
    ----------
    table : astropy.table.Table
        Changed in place.
    solution : Solution
    """
    x, y = (np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan) for name in ("XWIN_IMAGE", "YWIN_IMAGE"))
    good = np.isfinite(x) & np.isfinite(y) & solution.solved
    places = np.full((2, len(table)), np.nan)
    if solution.wcs is not None and good.any():
        places[:, good] = solution.wcs.all_pix2world(x[good], y[good], 1)
    for name, values, words in zip(
        ("ALPHAWIN_J2000", "DELTAWIN_J2000"), places, ("Right ascension", "Declination"), strict=True
    ):
        table[name] = values
        table[name].unit = "deg"
        table[name].description = f"{words} of the windowed position (ICRS)"


def cards(solution: Solution) -> list[tuple[str, Any, str]]:
    """Cards that say how a frame was solved, or why it was not."""
    told: list[tuple[str, Any, str]] = [("WCSSTAT", solution.status, "astrometry")]
    if solution.catalog:
        told.append(("WCSCAT", solution.catalog, "reference stars"))
    if solution.solved:
        told += [
            ("WCSNREF", solution.number, "stars fitted"),
            ("WCSNMAT", len(solution.matches[0]), "sources matched with stars"),
            ("WCSRMS", round(solution.rms, 4), "[arcsec] rms distance of those fitted"),
            ("WCSCHNC", float(f"{solution.chance:.2g}"), "probability of a match by chance"),
            ("WCSORDER", solution.sip_order, "order of the fit: 1 linear, 2, 3 distortion"),
            ("WCSSCALE", round(solution.scale, 6), "[arcsec/pix] in the middle of the frame"),
            ("WCSROT", round(solution.rotation, 4), "[deg] position angle of the y axis, N to E"),
            ("WCSMIRR", solution.mirrored, "east is to the right with north up"),
        ]
    return told


def _usable(table: Table) -> NDArray[np.intp]:
    """Find the sources with a position: their indices."""
    if not {"XWIN_IMAGE", "YWIN_IMAGE"} <= set(table.colnames):
        return np.array([], dtype=np.intp)
    everything = np.arange(len(table))
    x, y = (_column(table, name, everything, np.nan) for name in ("XWIN_IMAGE", "YWIN_IMAGE"))
    return np.flatnonzero(np.isfinite(x) & np.isfinite(y))


def _column(table: Table, name: str, rows: NDArray[np.intp], missing: float) -> NDArray[np.float64]:
    if name not in table.colnames:
        return np.full(len(rows), missing)
    values = np.ma.filled(np.ma.asarray(table[name]).astype(np.float64), np.nan)[rows]
    return np.where(np.isfinite(values), values, missing)


def _sources(table: Table, usable: NDArray[np.intp], shape: tuple[int, int]) -> Sources:
    along_x, along_y = (_column(table, name, usable, np.nan) for name in ("ERRX2WIN_IMAGE", "ERRY2WIN_IMAGE"))
    variance = (along_x + along_y) / 2
    known = np.isfinite(variance) & (variance > 0)
    usual = float(np.median(variance[known])) if known.any() else USUAL_ERROR**2
    flags = _column(table, "FLAGS", usable, 0).astype(np.int64)
    return Sources(
        x=_column(table, "XWIN_IMAGE", usable, np.nan),
        y=_column(table, "YWIN_IMAGE", usable, np.nan),
        sigma=np.sqrt(np.where(known, variance, usual)),
        good=(flags & UNSAFE) == 0,
        shape=shape,
    )


def _stars(
    catalog: StarCatalog, centre: tuple[float, float], reach: float, epoch: float | None
) -> tuple[NDArray[np.intp], Stars]:
    """Stars around a place, moved to the epoch, and their indices in the catalogue."""
    near = catalog.near(*centre, reach + LARGEST_MOTION)
    moved = catalog.subset(near)
    if epoch is not None and np.isfinite(epoch):
        moved = moved.at(epoch)
    inside = moved.near(*centre, reach)
    return near[inside], Stars(moved.ra[inside], moved.dec[inside])


def _judge(
    found: Refined | None, sources: Sources, stars: Stars, search: Search, options: AstrometryOptions
) -> tuple[str, float]:
    """Say why a match is refused, nothing if it is accepted, and the probability that it is chance."""
    if found is None:
        return f"fewer than {options.smallest_number} sources lie on stars", 1.0
    number = len(found.sources)
    chance = chance_of(found, sources, stars, search)
    if not chance < options.largest_chance:
        return f"the best match of {number} stars could be chance (probability {chance:.1g})", chance
    if abs(found.plate.scale / search.scale - 1) > search.tolerance:
        return (
            f"the best match has {found.plate.scale:.4g} arcsec/pixel, too far from the {search.scale:.4g} expected"
            " (camera: pixel_scale)",
            chance,
        )
    if found.rms > options.largest_rms:
        return (
            f"the {number} stars of the best match lie {found.rms:.2f} pixels off (rms), more than"
            f" {options.largest_rms:g}",
            chance,
        )
    return "", chance


def _solution(
    found: Refined,
    chance: float,
    usable: NDArray[np.intp],
    near: NDArray[np.intp],
    shape: tuple[int, int],
    catalog: StarCatalog,
) -> Solution:
    plate = found.plate
    (xi_x, xi_y), (eta_x, eta_y) = plate.matrix()
    rms, number = found.rms * plate.scale, int(found.used.sum())
    return Solution(
        status=f"solved: {number} stars of {catalog.name}, rms {rms:.2f} arcsec",
        wcs=wcs_of(plate, shape),
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


def _too_few_sources(number: int, options: AstrometryOptions) -> str:
    return f"not solved: only {number} sources, {options.smallest_number} are needed"


def _too_few_stars(number: int, catalog: StarCatalog, size: float, options: AstrometryOptions) -> str:
    needed, some = options.smallest_number, f"only {number}" if number else "none"
    if catalog.name == BUNDLED_NAME:
        return (
            f"not solved: {some} of {catalog.name} lie in this field of"
            f" {size:.0f} arcmin, {needed} are needed; give a catalogue (catalog.file)"
        )
    return f"not solved: {some} of the stars of {catalog.name} lie in this field, {needed} are needed"
