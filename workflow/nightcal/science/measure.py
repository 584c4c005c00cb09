"""Measure calibrated frames, in the order of the list of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nightcal.io.file_content import hash_file
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
    """Options of the measurements, and reference stars.

    Attributes
    ----------
    options : mapping of str to Options
        By step; without steps that are switched off.
    stars : tuple of StarCatalog
        Reference stars, the preferred ones first; the bundled bright stars come last.
    fields : mapping of str to StarCatalog
        Reference stars of single fields, by file name.
    digests : mapping of str to str
        SHA-256 of the files of ``fields``.
    origin : mapping
        Values for the provenance of a product.
    """

    options: Mapping[str, Options]
    stars: tuple[StarCatalog, ...] = ()
    fields: Mapping[str, StarCatalog] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.options)

    def for_frame(self, info: FrameInfo) -> Measurements:
        """Select the options and stars of one frame, so that its product does not depend on the rest of the batch.

        Parameters
        ----------
        info : FrameInfo

        Returns
        -------
        Measurements
            With the options for its filter, and the stars of its field in ``stars``.
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
        The same product, with a new image if cosmic rays were replaced.
    table : astropy.table.Table or None
        Sources; None if that step is switched off.
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
    """Make the table of a rejected frame: without sources, with the columns of other frames.

    Parameters
    ----------
    product : Product
        From `nightcal.science.empty_product.make_empty_product`; not changed.
    measurements : Measurements

    Returns
    -------
    astropy.table.Table or None
        None if the step ``sources`` is switched off.
    """
    copy = replace(product, mask=product.mask.copy(), header=product.header.copy())
    return measure(copy, UNKNOWN, measurements)[1]


def read_measurements(
    sections: Mapping[str, Mapping[str, Any]],
    stars: Sequence[Path] = (),
    columns: Mapping[str, Any] | None = None,
    fields: Sequence[Path] = (),
) -> Measurements:
    """Read the measurements from sections of the configuration.

    Parameters
    ----------
    sections : mapping of str to mapping
        Options by step; missing steps are switched off.
    stars : sequence of Path
        Catalogues of reference stars, the preferred ones first.
    columns : mapping, optional
        Names of the columns, as for `nightcal.measurement.star_catalog.file.read_star_catalog`.
    fields : sequence of Path
        Catalogues of single fields, from `nightcal.measurement.star_catalog.cone.download_cone`.

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
    read_bundled_stars()  # fail before the first frame if the package is missing
    return Measurements(
        options=options,
        stars=tuple(read_star_catalog(path, columns) for path in stars),
        fields={path.name: read_star_catalog(path) for path in fields},
        digests={path.name: hash_file(path) for path in fields},
        origin=origin,
    )
