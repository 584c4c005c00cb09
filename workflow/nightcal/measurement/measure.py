"""From a calibrated frame to a measured sky: cosmic rays, sources, astrometry, zero point, those asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as attributes_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nightcal.errors import ConfigurationError
from nightcal.flags import Flag
from nightcal.io.checksum import hash_file
from nightcal.io.keywords import set_cards
from nightcal.io.product import Product
from nightcal.measurement import astrometry, photometry, sources
from nightcal.measurement.astrometry import AstrometryOptions, Solution
from nightcal.measurement.astrometry.blind import solve_blind
from nightcal.measurement.astrometry.header import write_wcs
from nightcal.measurement.astrometry.pointing import Hint
from nightcal.measurement.cosmic_rays import CosmicRayOptions, CosmicRays, find_cosmic_rays
from nightcal.measurement.photometry.comparison_stars import FilterRule, PhotometryOptions
from nightcal.measurement.sources import SourceOptions
from nightcal.measurement.star_catalog import StarCatalog, read_bundled_stars
from nightcal.measurement.star_catalog.cone import holds_field
from nightcal.measurement.star_catalog.file import read_star_catalog

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
"""Keywords of sources and photometry: those of a raw frame must not be taken for them."""


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
        Reference stars: of those that solve a frame, the first. The bundled bright stars come after them.
    fields : mapping of str to StarCatalog
        Reference stars of single fields, by the names of their files.
    origin : mapping
        What of all this a product's provenance should tell.
    digests : mapping of str to str
        The same of ``fields``.
    """

    cosmic_rays: CosmicRayOptions | None = None
    sources: SourceOptions | None = None
    astrometry: AstrometryOptions | None = None
    photometry: PhotometryOptions | None = None
    filters: Mapping[str, FilterRule] = field(default_factory=dict)
    stars: tuple[StarCatalog, ...] = ()
    fields: Mapping[str, StarCatalog] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any((self.cosmic_rays, self.sources, self.astrometry, self.photometry))

    def for_frame(self, known: FrameInfo) -> Steps:
        """Keep what concerns one frame: its product must not depend on what else the same job measures.

        Parameters
        ----------
        known : FrameInfo

        Returns
        -------
        Steps
            With the rule of its filter, and its own field among ``stars``.
        """
        filters = {name: rule for name, rule in self.filters.items() if name == known.filter}
        pointing = known.hint.pointing
        here = sorted(name for name in self.fields if pointing is not None and holds_field(name, *pointing))
        origin = {**self.origin, "filters": filters, "fields": [self.digests[name] for name in here]}
        stars = (*self.stars, *(self.fields[name] for name in here))
        return replace(self, filters=filters, stars=stars, fields={}, digests={}, origin=origin)


@dataclass(frozen=True, slots=True)
class FrameInfo:
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

    exposure_time: float
    epoch: float | None
    filter: str
    gain: float
    hint: Hint


def measure(product: Product, known: FrameInfo, steps: Steps) -> tuple[Product, Table | None]:
    """Measure a calibrated frame.

    Parameters
    ----------
    product : Product
        Its mask and header are changed in place.
    known : FrameInfo
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
    fwhm = sources.estimate_seeing(data, uncertainty, product.mask)
    if steps.cosmic_rays is not None:
        rays = _flag_cosmic_rays(product, data, uncertainty, steps.cosmic_rays.adapt_to_seeing(fwhm))
        if rays.cleaned is not None:
            data = rays.cleaned
            product = replace(product, data=np.where(rays.hits, data / scale, product.data))
    if steps.sources is None:
        _tell_that_sources_are_off(product.header, steps)
        return product, None
    found = sources.find_sources(data, uncertainty, product.mask, steps.sources, fwhm)
    table, header = found.table, product.header
    solution, stars = Solution("not asked for"), None
    if steps.astrometry is not None:
        solution, stars = _solved(table, product.mask.shape, known, steps)
        write_wcs(header, solution)
        astrometry.add_positions(table, solution)
    pixel_scale = solution.scale if solution.solved else known.hint.scale
    _tell(header, FRAME_CARDS, sources.make_keywords(found.statistics, pixel_scale))
    if steps.photometry is not None:
        matches = solution.matches if solution.solved else None
        rule = steps.filters.get(known.filter)
        zero_point = photometry.fit_zero_point(
            table, stars, matches, known.exposure_time, rule, steps.photometry, filter_name=known.filter
        )
        table = photometry.add_magnitudes(table, zero_point)
        _tell(header, ZERO_POINT_CARDS, photometry.make_keywords(zero_point))
    return product, table


def _flag_cosmic_rays(product: Product, data: Image, uncertainty: Image, options: CosmicRayOptions) -> CosmicRays:
    """Look for hits in the image [e-] of a product, and write them into its mask and header."""
    found = find_cosmic_rays(data, product.mask, uncertainty=uncertainty, options=options)
    np.bitwise_or(product.mask, Flag.COSMIC_RAY, out=product.mask, where=found.hits)
    set_cards(product.header, found.make_keywords())
    return found


def nothing_measured(refused: Product, steps: Steps) -> Table | None:
    """Make the table of a frame that cannot be used: no sources, in the columns that other frames have.

    Parameters
    ----------
    refused : Product
    steps : Steps

    Returns
    -------
    astropy.table.Table or None
        None if no sources were asked for.
    """
    if steps.sources is None:
        return None
    table = sources.find_sources(refused.data, refused.uncertainty, refused.mask, steps.sources).table
    if steps.astrometry is not None:
        astrometry.add_positions(table, Solution("not asked for"))
    if steps.photometry is not None:
        table = photometry.add_magnitudes(
            table, photometry.fit_zero_point(table, None, None, 0, None, steps.photometry)
        )
    return table


def _tell(header: fits.Header, own: re.Pattern[str], cards: Iterable[tuple[str, Any, str]]) -> None:
    for keyword in [keyword for keyword in header if own.fullmatch(keyword)]:
        header.remove(keyword, remove_all=True, ignore_missing=True)
    set_cards(header, cards)


def _tell_that_sources_are_off(header: fits.Header, steps: Steps) -> None:
    """Say why nothing was measured that needs sources, in place of what the raw frame may say."""
    if steps.astrometry is not None:
        write_wcs(header, Solution("not solved: sources are switched off"))
    if steps.photometry is not None:
        _tell(header, ZERO_POINT_CARDS, [("ZPSTAT", "no zero point: sources are switched off", "zero point")])


def _solved(
    table: Table, shape: tuple[int, int], known: FrameInfo, steps: Steps
) -> tuple[Solution, StarCatalog | None]:
    """Try one catalogue after the other; of those that do not solve the frame, the first tells why."""
    assert steps.astrometry is not None
    tried, catalogs = [], (*steps.stars, read_bundled_stars())
    for stars in catalogs:
        solution = astrometry.solve(
            table, shape, stars, known.hint.pointing, known.hint.scale, steps.astrometry, known.epoch
        )
        if solution.solved:
            return solution, stars
        tried.append(solution)
    unsolved = tried[0]
    blind = []
    for stars in catalogs if steps.astrometry.blind else ():
        solution = solve_blind(table, shape, stars, steps.astrometry, known.epoch, known.hint.scale)
        if solution.solved:
            return solution, stars
        blind.append(solution.status.removeprefix("not solved: "))
    if blind:
        unsolved = replace(unsolved, status=f"{unsolved.status}; blind: {blind[0]}")
    return unsolved, catalogs[0]


def steps_of(
    sections: Mapping[str, Mapping[str, Any]],
    stars: Sequence[Path] = (),
    columns: Mapping[str, Any] | None = None,
    fields: Sequence[Path] = (),
) -> Steps:
    """Read steps from what an observer writes.

    Parameters
    ----------
    sections : mapping of str to mapping
        ``cosmic_rays``, ``sources``, ``astrometry`` and ``photometry``; one that is missing is not done. Keys are the
        attributes of the options; besides them ``photometry`` has ``filters``.
    stars : sequence of Path
        Catalogues of reference stars, the preferred one first.
    columns : mapping, optional
        Names of their columns, as for `nightcal.measurement.star_catalog.file.read_star_catalog`.
    fields : sequence of Path
        Catalogues of single fields, as `nightcal.measurement.star_catalog.cone.download_cone` writes and names them.

    Returns
    -------
    Steps

    Raises
    ------
    ConfigurationError
        If an option or a catalogue is wrong.
    """
    if unknown := sorted(set(sections) - set(STEPS)):
        raise ConfigurationError(f"{unknown[0]} is no step; expected {', '.join(STEPS)}.")
    made: dict[str, Any] = {name: _options_of(name, section) for name, section in sections.items()}
    origin = {name: made[name] for name in STEPS if name in made} | {"stars": [hash_file(path) for path in stars]}
    made["filters"] = _rules_of(sections.get("photometry", {}).get("filters", {}))
    if "astrometry" in made:
        read_bundled_stars()  # if it is not there, this is said before the first frame
        made["stars"] = tuple(read_star_catalog(path, columns) for path in stars)
        made["fields"] = {path.name: read_star_catalog(path) for path in fields}
        made["digests"] = {path.name: hash_file(path) for path in fields}
    return Steps(**made, origin=origin)


def _options_of(name: str, section: Mapping[str, Any]) -> Any:
    """Options of one step, its ``filters`` left out."""
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"{name} is {section!r}; expected its options by name.")
    options = {key: value for key, value in _tuples(section).items() if (name, key) != ("photometry", "filters")}
    keys = [attribute.name for attribute in attributes_of(STEPS[name])]
    if unknown := sorted(set(options) - set(keys)):
        raise ConfigurationError(f"{name}.{unknown[0]} is not a known key; expected {', '.join(keys)}.")
    try:
        return STEPS[name](**options)
    except (TypeError, ValueError) as mistake:
        raise ConfigurationError(f"{name}: {mistake}") from mistake


def _rules_of(filters: Mapping[str, Mapping[str, Any]]) -> dict[str, FilterRule]:
    try:
        return {name: FilterRule(**_tuples(rule)) for name, rule in filters.items()}
    except (TypeError, ValueError) as mistake:
        raise ConfigurationError(f"photometry.filters: {mistake}") from mistake


def _tuples(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
