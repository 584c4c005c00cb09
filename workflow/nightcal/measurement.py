"""From a calibrated frame to a measured sky: cosmic rays, sources, astrometry, zero point, those asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal import astrometry, photometry, sources
from nightcal.astrometry import AstrometryOptions, Solution
from nightcal.astrometry.blind import solve_blind
from nightcal.astrometry.header import write_wcs
from nightcal.astrometry.pointing import Hint
from nightcal.cards import set_cards
from nightcal.cosmic_rays import CosmicRayOptions, find_cosmic_rays
from nightcal.errors import ConfigurationError
from nightcal.fitsio import Product
from nightcal.flags import Flag
from nightcal.photometry.comparison_stars import FilterRule, PhotometryOptions
from nightcal.provenance import file_hash
from nightcal.sources import SourceOptions
from nightcal.star_catalog import StarCatalog, bundled
from nightcal.star_catalog.file import read_star_catalog

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.table import Table

Image = NDArray[np.float32]

STEPS = {
    "cosmic_rays": CosmicRayOptions,
    "sources": SourceOptions,
    "astrometry": AstrometryOptions,
    "photometry": PhotometryOptions,
}

FRAME_CARDS = re.compile("SKYLEVEL|SKYNOISE|FWHM|SEEING|ELLIPTIC|NSOURCES|NSTARS|SRCSTAT")
ZERO_POINT_CARDS = re.compile(
    r"ZP(STAT|BAND|NSTAR|COLOR|ERR|CTERM|CTERR|CMEAN|RMS|SCAT|APER)?|MAGLIM5|AP(NSTAR|CORK|COR\d+)"
)
"""Cards of `nightcal.sources` and `nightcal.photometry`: a raw frame's must not be taken for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What is measured, and how; None is left out.

    Attributes
    ----------
    cosmic_rays : CosmicRayOptions or None
    sources : SourceOptions or None
        Astrometry needs them.
    astrometry : AstrometryOptions or None
        Photometry needs it.
    photometry : PhotometryOptions or None
    filters : mapping of str to FilterRule
        What the filters are compared with, by their names in headers.
    stars : tuple of StarCatalog
        Reference stars: of those that solve a frame, the first.
    origin : mapping
        What of all this a product's provenance should tell.
    """

    cosmic_rays: CosmicRayOptions | None = None
    sources: SourceOptions | None = None
    astrometry: AstrometryOptions | None = None
    photometry: PhotometryOptions | None = None
    filters: Mapping[str, FilterRule] = field(default_factory=dict)
    stars: tuple[StarCatalog, ...] = ()
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.cosmic_rays, self.sources))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a frame besides its pixels.

    Attributes
    ----------
    exposure : float
        [s]
    epoch : float or None
        Of its middle [Julian year]; None if unknown.
    filter : str
    gain : float
        [e-/ADU], of products in ADU.
    hint : Hint
        Where the telescope points, and the size of a pixel.
    """

    exposure: float
    epoch: float | None
    filter: str
    gain: float
    hint: Hint


def measure(product: Product, known: Circumstances, steps: Steps) -> tuple[Product, Table | None]:
    """Measure a calibrated frame.

    Parameters
    ----------
    product : Product
        Its mask and header are changed in place.
    known : Circumstances
    steps : Steps

    Returns
    -------
    product : Product
        The same, or with another image if cosmic rays were to be cleaned.
    table : astropy.table.Table or None
        The sources; None if they were not asked for.
    """
    scale = np.float32(1.0 if product.unit == "electron" else known.gain)
    data, uncertainty = (image if scale == 1 else image * scale for image in (product.data, product.uncertainty))
    fwhm = sources.seeing_of(data, uncertainty, product.mask)
    if steps.cosmic_rays is not None:
        options = steps.cosmic_rays.for_seeing(fwhm)
        found_rays = find_cosmic_rays(data, product.mask, uncertainty=uncertainty, options=options)
        np.bitwise_or(product.mask, Flag.COSMIC_RAY, out=product.mask, where=found_rays.hits)
        set_cards(product.header, found_rays.cards())
        if found_rays.cleaned is not None:
            data = found_rays.cleaned
            product = replace(product, data=data if scale == 1 else data / scale)
    if steps.sources is None:
        return product, None
    found = sources.find_sources(data, uncertainty, product.mask, steps.sources, fwhm)
    table, header = found.table, product.header
    solution, stars = Solution("not asked for"), None
    if steps.astrometry is not None:
        solution, stars = _solved(table, product.mask.shape, known, steps)
        write_wcs(header, solution)
        astrometry.add_positions(table, solution)
    pixel_scale = solution.scale if solution.solved else known.hint.scale
    _tell(header, FRAME_CARDS, sources.cards(found.statistics, pixel_scale))
    if steps.photometry is not None:
        matches = solution.matches if solution.solved else None
        rule = steps.filters.get(known.filter)
        zero_point = photometry.calibrate(
            table, stars, matches, known.exposure, rule, steps.photometry, filter_name=known.filter
        )
        table = photometry.with_magnitudes(table, zero_point)
        _tell(header, ZERO_POINT_CARDS, photometry.cards(zero_point))
    return product, table


def _tell(header: fits.Header, own: re.Pattern[str], cards: Iterable[tuple[str, Any, str]]) -> None:
    for keyword in [keyword for keyword in header if own.fullmatch(keyword)]:
        header.remove(keyword, remove_all=True, ignore_missing=True)
    set_cards(header, cards)


def _solved(
    table: Table, shape: tuple[int, int], known: Circumstances, steps: Steps
) -> tuple[Solution, StarCatalog | None]:
    """Try one catalogue after the other; of those that do not solve the frame, the first tells why."""
    assert steps.astrometry is not None
    tried = []
    for stars in steps.stars:
        solution = astrometry.solve(
            table, shape, stars, known.hint.pointing, known.hint.scale, steps.astrometry, known.epoch
        )
        if solution.solved:
            return solution, stars
        tried.append(solution)
    unsolved = tried[0] if tried else Solution("not solved: no catalogue of reference stars")
    blind = []
    for stars in steps.stars if steps.astrometry.blind else ():
        solution = solve_blind(table, shape, stars, steps.astrometry, known.epoch, known.hint.scale)
        if solution.solved:
            return solution, stars
        blind.append(solution.status.removeprefix("not solved: "))
    if blind:
        unsolved = replace(unsolved, status=f"{unsolved.status}; blind: {blind[0]}")
    return unsolved, steps.stars[0] if steps.stars else None


def steps_of(
    sections: Mapping[str, Mapping[str, Any]], stars: Sequence[Path] = (), columns: Mapping[str, Any] | None = None
) -> Steps:
    """Read steps from what an observer writes.

    Parameters
    ----------
    sections : mapping of str to mapping
        ``cosmic_rays``, ``sources``, ``astrometry`` and ``photometry``; one that is missing is not done. Keys are the
        attributes of the options; besides them ``photometry`` has ``filters``.
    stars : sequence of Path
        Catalogues of reference stars, the preferred one first; the bundled bright stars come last.
    columns : mapping, optional
        Names of their columns, as for `nightcal.star_catalog.file.read_star_catalog`.

    Returns
    -------
    Steps

    Raises
    ------
    ConfigurationError
        If an option or a catalogue is wrong.
    """
    known = set(STEPS)
    if unknown := sorted(set(sections) - known):
        raise ConfigurationError(f"{unknown[0]} is no step; expected {', '.join(STEPS)}.")
    made = {}
    for name, section in sections.items():
        options = _tuples(section)
        filters = options.pop("filters", {}) if name == "photometry" else {}
        keys = [option.name for option in fields(STEPS[name])]
        if unknown := sorted(set(options) - set(keys)):
            raise ConfigurationError(f"{name}.{unknown[0]} is not a known key; expected {', '.join(keys)}.")
        try:
            made[name] = STEPS[name](**options)
            if name == "photometry":
                made["filters"] = {name: FilterRule(**_tuples(rule)) for name, rule in filters.items()}
        except (TypeError, ValueError) as mistake:
            raise ConfigurationError(f"{name}: {mistake}") from mistake
    catalogs = tuple(read_star_catalog(path, columns) for path in stars) if "astrometry" in made else ()
    origin = {"steps": json.dumps(sections, sort_keys=True), "stars": [file_hash(path) for path in stars]}
    return Steps(**made, stars=(*catalogs, bundled()) if "astrometry" in made else (), origin=origin)


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
