"""Calibrate and measure science frames, and write their products."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy.io import fits

from nightcal.cameras.amplifiers import choose_gain, open_image, open_raw
from nightcal.cameras.camera import Camera
from nightcal.cameras.corrected_camera import correct_camera
from nightcal.cameras.site import find_site
from nightcal.detector.gain import GainAndReadNoise
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import mjd_to_julian_year
from nightcal.io.keywords import list_mean_time, read_warnings, set_cards, warn
from nightcal.io.master import MasterFrame
from nightcal.io.product import Product, write_product
from nightcal.io.provenance import record_provenance
from nightcal.io.raw_header import RawHeader
from nightcal.io.raw_image import Buffer, RawImage
from nightcal.masters.adapt import adapt_master, are_opposite, find_row_order
from nightcal.masters.keywords import record_gain
from nightcal.numerics import kernels
from nightcal.planning.frames import Frame, make_frame
from nightcal.planning.override_keywords import correct_cards, record_overrides
from nightcal.planning.overrides import NO_OVERRIDE, NO_OVERRIDES, Overrides, find_override
from nightcal.science.empty_product import make_empty_product
from nightcal.science.master_rows import MasterCache
from nightcal.science.prepared_frame import PreparedFrame, prepare_frame
from nightcal.science.skipped_steps import concerns_done_step, warn_of_skipped_steps
from nightcal.science.sky_check import check_sky
from nightcal.science.standard_cards import complete_header
from nightcal.stacking.same_pixels import SeenPixels
from nightcal.warning_names import name_warning

if TYPE_CHECKING:  # not imported for nights that are only calibrated
    from astropy.table import Table

    from nightcal.masters.choose import Choice
    from nightcal.measurement.frame import FrameInfo
    from nightcal.measurement.fringe import FringeFrame
    from nightcal.science.measure import Measurements

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class ScienceBatch:
    """Camera, masters and options that the science frames of a batch share.

    Attributes
    ----------
    camera : Camera
    masters : mapping of str to MasterFrame or None
        ``bias``, ``dark``, ``flat`` and ``bpm``; steps without a master are skipped.
    measured : GainAndReadNoise or None
        Measured gain and read noise, for frames whose headers lack them.
    unit : str
        Unit of the products, ``electron`` or ``adu``.
    warnings : sequence of str
        For the headers.
    measurements : Measurements or None
        Measurements of the calibrated frames; None for none.
    overrides : mapping of str to Override
        What the observer says of the frames, by path.
    fringe : Choice or None
        The fringe frame; without a master if none is accepted. None if fringes are not to be subtracted.
    """

    camera: Camera
    masters: Mapping[str, MasterFrame | None] = field(default_factory=dict)
    measured: GainAndReadNoise | None = None
    unit: str = "electron"
    warnings: Sequence[str] = ()
    measurements: Measurements | None = None
    overrides: Overrides = field(default_factory=lambda: NO_OVERRIDES)
    fringe: Choice | None = None
    _adapted: dict[tuple[int, str], Mapping[str, MasterFrame | None]] = field(
        default_factory=dict, init=False, repr=False
    )
    _cache: MasterCache = field(default_factory=MasterCache, init=False, repr=False)
    _buffer: Buffer = field(default_factory=Buffer, init=False, repr=False)
    _seen: SeenPixels = field(default_factory=SeenPixels, init=False, repr=False)

    @cached_property
    def fringe_frame(self) -> FringeFrame | None:
        """The pixels of the fringe frame; None if there is no accepted one."""
        if self.fringe is None or self.fringe.master is None or self.fringe.path is None:
            return None
        from nightcal.measurement.fringe import read_fringe_frame

        return read_fringe_frame(self.fringe.path, self.fringe.master)

    def interpret(self, path: Path, header: RawHeader) -> Frame:
        """Interpret the header of a frame, as the observer corrects it."""
        override = find_override(self.overrides, path)
        camera = correct_camera(self.camera, (override or NO_OVERRIDE).facts)
        return replace(make_frame(path, header, camera), override=override)

    def prepare(self, image: RawImage, frame: Frame) -> PreparedFrame:
        """Prepare a frame for calibration, with the complete header of its product."""
        camera = correct_camera(self.camera, (frame.override or NO_OVERRIDE).facts)
        known = choose_gain(self.measured, self.masters.get("bias"))
        row_order = find_row_order(self.masters.values(), frame.row_order)
        turned = are_opposite(frame.row_order, row_order)
        readout, gain = open_raw(image, camera, known, turned)
        masters = self._cache.fit(self._adapt_masters(frame, row_order), readout.shape, readout.gain)
        prepared = prepare_frame(readout, masters, frame.exposure_time, self.unit, self._buffer)
        header = prepared.header
        record_gain(header, gain)
        set_cards(header, {"NIGHT": frame.night})
        if frame.plane:
            set_cards(header, {"NCPLANE": frame.plane, "FILTER": (frame.filter, "filter, and colour of the mosaic")})
        if frame.mjd is not None:
            set_cards(header, list_mean_time(frame.mjd))
            dated = [step for step in ("BIAS", "DARK", "FLAT", "BPM") if f"{step}MJD" in header]
            set_cards(header, {f"{step}AGE": frame.mjd - header[f"{step}MJD"] for step in dated})
        for text in (*self.warnings, *frame.warnings, *image.warnings):
            if not concerns_done_step(text, header):
                warn(header, text)
        warn_of_skipped_steps(prepared, self.masters)
        if turned:
            order = f"ROWORDER = {frame.row_order.upper()}, {row_order.upper()} in its masters"
            warn(header, name_warning("turned upside down", order))
            header["ROWORDER"] = row_order.upper()
        record_overrides(header, [frame.override])
        if frame.override:
            correct_cards(header, image.header, self.camera, frame.override.facts)
        complete_header(header, frame, find_site(image.header, camera))
        return prepared

    def _adapt_masters(self, frame: Frame, row_order: str) -> Mapping[str, MasterFrame | None]:
        """Adapt the masters to a frame, or find those adapted to an earlier frame."""
        key = frame.n_summed, row_order
        if key not in self._adapted:
            masters = self.masters.items()
            self._adapted[key] = {step: adapt_master(step, master, frame, row_order) for step, master in masters}
        return self._adapted[key]

    def compare_pixels(self, image: RawImage, name: str, header: fits.Header) -> None:
        """Warn if an earlier frame has the same pixels."""
        other = self._seen.find(image, name)
        if other:
            warn(header, name_warning("same pixels", f"as {other}: count them once"))


def reduce_frames(
    paths: Sequence[Path],
    outs: Sequence[Path],
    batch: ScienceBatch,
    catalogs: Sequence[Path] = (),
    thumbnails: Sequence[Path] = (),
) -> None:
    """Calibrate and measure the science frames of a batch, and write them.

    Parameters
    ----------
    paths, outs, catalogs, thumbnails : sequence of Path
        Raw frames, their products, source catalogues and small pictures; the last two may be empty.
    batch : ScienceBatch
    """
    nothing: Sequence[Path | None] = [None] * len(paths)
    for path, out, catalog, picture in zip(paths, outs, catalogs or nothing, thumbnails or nothing, strict=True):
        reduce_frame(path, out, batch, catalog, len(paths), picture)


def reduce_frame(
    path: Path,
    out: Path,
    batch: ScienceBatch,
    catalog: Path | None = None,
    frames: int = 1,
    thumbnail: Path | None = None,
) -> None:
    """Calibrate and measure one science frame, and write it; write an empty product if it is unusable.

    Parameters
    ----------
    path, out : Path
        Raw frame and product; an existing product is replaced.
    batch : ScienceBatch
    catalog : Path, optional
        Source catalogue; an existing one is replaced.
    frames : int
        Number of frames in the batch, to decide on compiled loops.
    thumbnail : Path, optional
        Small picture, if frames are measured.
    """
    raw, measurements = None, batch.measurements
    try:
        image = open_image(path, batch.camera)
        raw = image.header
        kernels.prepare(kernels.SCIENCE_STEPS * frames * raw.shape[0] * raw.shape[1])
        frame = batch.interpret(path, raw)
        prepared = batch.prepare(image, frame)
        check_sky(prepared, raw)
        batch.compare_pixels(image, path.name, prepared.header)
        if measurements or batch.fringe:
            product = prepared.product()
        else:
            prepared.write(out)
    except (FrameRejectedError, ValueError) as reason:
        log.warning("%s rejected: %s.", path.name, reason)
        empty = make_empty_product(path, str(reason), batch.unit, raw)
        for text in batch.warnings:
            warn(empty.header, text)
        record_overrides(empty.header, [find_override(batch.overrides, path)])
        _write_empty(empty, out, measurements, catalog)
        _write_thumbnail(thumbnail, empty)
        return
    header = prepared.header
    if batch.fringe:
        from nightcal.measurement.fringe import subtract_fringes

        product = subtract_fringes(product, batch.fringe_frame, out.name)
    if batch.fringe and not measurements:
        write_product(out, product)
    if measurements:
        info = _make_frame_info(raw, frame, batch.camera, header, prepared.holds_bias_level)
        product = _measure_and_write(product, info, measurements, out, catalog)
        _write_thumbnail(thumbnail, product)
    skipped = header.get("SKIPPED", "")
    remarks = [f"skipped: {skipped}"] * bool(skipped) + read_warnings(header)
    remarks += [str(header[card]) for card in ("WCSSTAT", "ZPSTAT") if measurements and card in header]
    remarks += [f"fringes {header['FRNGSTAT']}"] if batch.fringe else []
    log.info("%s: calibrated%s", path.name, "".join(f"; {remark}" for remark in remarks))


def _write_empty(empty: Product, out: Path, measurements: Measurements | None, catalog: Path | None) -> None:
    """Write an empty product, and a table without sources."""
    write_product(out, empty)
    if measurements and catalog is not None:
        from nightcal.science.measure import measure_empty

        _write_table(catalog, measure_empty(empty, measurements), empty)


def _write_thumbnail(path: Path | None, product: Product) -> None:
    if path is not None:
        from nightcal.io.thumbnail import write_thumbnail

        write_thumbnail(path, product.data, product.mask != 0)


def _write_table(catalog: Path, table: Table | None, product: Product) -> None:
    if table is not None:
        from nightcal.io.source_catalog import write_catalog

        write_catalog(catalog, table, product.header)


def _measure_and_write(
    product: Product, info: FrameInfo, measurements: Measurements, out: Path, catalog: Path | None
) -> Product:
    from nightcal.science.measure import measure

    measurements = measurements.for_frame(info)
    record_provenance(product.header, {"calibration": product.header["CONFHASH"], **measurements.origin})
    product, table = measure(product, info, measurements)
    set_cards(product.header, {"NMASKED": int(np.count_nonzero(product.mask))})
    write_product(out, product)
    if catalog is not None:
        _write_table(catalog, table, product)
    return product


def _make_frame_info(
    raw: RawHeader, frame: Frame, camera: Camera, header: fits.Header, holds_bias_level: bool
) -> FrameInfo:
    from nightcal.measurement.astrometry.pointing import find_hint
    from nightcal.measurement.frame import FrameInfo

    return FrameInfo(
        exposure_time=frame.exposure_time,
        epoch=None if frame.mjd is None else mjd_to_julian_year(frame.mjd),
        filter=frame.filter,
        gain=header["GAINUSED"],
        hint=find_hint(raw, camera, partial(warn, header)),
        holds_bias_level=holds_bias_level,
    )
