"""The measurements of a calibrated frame, in the order of the list of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcal.io.checksum import hash_file
from nightcal.io.keywords import remove_keywords, set_cards
from nightcal.io.options import Options
from nightcal.io.product import Product
from nightcal.measurement.frame import UNKNOWN, FrameInfo, MeasuredFrame
from nightcal.measurement.star_catalog import StarCatalog, read_bundled_stars
from nightcal.measurement.star_catalog.cone import holds_field
from nightcal.measurement.star_catalog.file import read_star_catalog
from nightcal.science.steps import MEASUREMENTS, read_options

if TYPE_CHECKING:
    from astropy.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What to measure, and how.

    Attributes
    ----------
    options : mapping of str to Options
        By name of the step; steps that are switched off are missing.
    stars : tuple of StarCatalog
        Reference stars: the first that solve a frame are used. The bundled bright stars come after them.
    fields : mapping of str to StarCatalog
        Reference stars of single fields, by file name.
    digests : mapping of str to str
        SHA-256 of the files of ``fields``.
    origin : mapping
        What of all this belongs into the provenance of a product.
    """

    options: Mapping[str, Options]
    stars: tuple[StarCatalog, ...] = ()
    fields: Mapping[str, StarCatalog] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.options)

    def for_frame(self, info: FrameInfo) -> Measurements:
        """Keep what concerns one frame: its product must not depend on what else the same job measures.

        Parameters
        ----------
        info : FrameInfo

        Returns
        -------
        Measurements
            With the options for its filter, and the stars of its own field among ``stars``.
        """
        options = {name: chosen.for_filter(info.filter) for name, chosen in self.options.items()}
        pointing = info.hint.pointing
        here = sorted(name for name in self.fields if pointing is not None and holds_field(name, *pointing))
        origin = {**self.origin, **options, "fields": [self.digests[name] for name in here]}
        stars = (*self.stars, *(self.fields[name] for name in here))
        return Measurements(options=options, stars=stars, origin=origin)


def measure(product: Product, info: FrameInfo, measurements: Measurements) -> tuple[Product, Table | None]:
    """Measure a calibrated frame.

    Parameters
    ----------
    product : Product
        Its mask and header are changed in place.
    info : FrameInfo
    measurements : Measurements

    Returns
    -------
    product : Product
        The same, with another image if cosmic rays were replaced.
    table : astropy.table.Table or None
        The sources; None if they were not asked for.
    """
    catalogs = (*measurements.stars, read_bundled_stars()) if "astrometry" in measurements.options else ()
    frame = MeasuredFrame(product, info, catalogs)
    for name, step in MEASUREMENTS.items():
        if name not in measurements.options:
            continue
        remove_keywords(frame.header, step.keywords)
        set_cards(frame.header, step.run(frame, measurements.options[name]), step.keywords)
    return frame.product, frame.table


def measure_empty(product: Product, measurements: Measurements) -> Table | None:
    """Make the table of a frame that was rejected: no sources, in the columns that other frames have.

    Parameters
    ----------
    product : Product
        As `nightcal.science.calibrator.empty_product` makes it; it stays as it is.
    measurements : Measurements

    Returns
    -------
    astropy.table.Table or None
        None if no sources were asked for.
    """
    copy = replace(product, mask=product.mask.copy(), header=product.header.copy())
    return measure(copy, UNKNOWN, measurements)[1]


def read_measurements(
    sections: Mapping[str, Mapping[str, Any]],
    stars: Sequence[Path] = (),
    columns: Mapping[str, Any] | None = None,
    fields: Sequence[Path] = (),
) -> Measurements:
    """Read what to measure from sections of the configuration.

    Parameters
    ----------
    sections : mapping of str to mapping
        Options by step; a step that is missing is switched off.
    stars : sequence of Path
        Catalogues of reference stars, the preferred ones first.
    columns : mapping, optional
        Names of their columns, as for `nightcal.measurement.star_catalog.file.read_star_catalog`.
    fields : sequence of Path
        Catalogues of single fields, as `nightcal.measurement.star_catalog.cone.download_cone` writes and names them.

    Returns
    -------
    Measurements

    Raises
    ------
    ConfigurationError
        If an option or a catalogue is wrong.
    """
    options = read_options(sections)
    origin = {"stars": [hash_file(path) for path in stars]}
    if "astrometry" not in options:
        return Measurements(options=options, origin=origin)
    read_bundled_stars()  # if the package is not installed, this fails before the first frame
    return Measurements(
        options=options,
        stars=tuple(read_star_catalog(path, columns) for path in stars),
        fields={path.name: read_star_catalog(path) for path in fields},
        digests={path.name: hash_file(path) for path in fields},
        origin=origin,
    )
