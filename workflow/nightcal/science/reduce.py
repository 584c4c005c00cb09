"""Science frames: calibrated, measured, and written."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nightcal.cameras.amplifiers import amplifiers_of, average_gain, choose_gain, find_gain
from nightcal.cameras.camera import Camera
from nightcal.detector.photon_transfer import GainAndReadNoise
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import julian_year
from nightcal.io.keywords import mean_time_cards, set_cards, warn, warnings_of
from nightcal.io.product import Product, write_product
from nightcal.io.provenance import provenance
from nightcal.io.raw_header import RawHeader, read_header
from nightcal.masters.keywords import record_gain
from nightcal.planning.frames import Frame, good_frame
from nightcal.science.calibrator import Calibrator, empty_product
from nightcal.science.prepared_frame import PreparedFrame

if TYPE_CHECKING:  # nights that are only calibrated do without
    from astropy.table import Table

    from nightcal.measurement.measure import FrameInfo, Steps

log = logging.getLogger(__name__)


def reduce_frames(
    paths: Sequence[Path],
    outs: Sequence[Path],
    camera: Camera,
    measured: GainAndReadNoise | None,
    calibrator: Calibrator,
    warnings: Sequence[str] = (),
    steps: Steps | None = None,
    catalogs: Sequence[Path] = (),
) -> None:
    """Calibrate and measure science frames that have the same masters, and write them.

    Parameters
    ----------
    paths, outs, catalogs : sequence of Path
        As ``path``, ``out`` and ``catalog`` of `reduce_frame`, one of each a frame; ``catalogs`` may be empty.
    camera, measured, calibrator, warnings, steps
        As for `reduce_frame`.
    """
    calibrator.expect(len(paths), _first_shape(paths))
    for n, (path, out) in enumerate(zip(paths, outs, strict=True)):
        catalog = catalogs[n] if catalogs else None
        reduce_frame(path, out, camera, measured, calibrator, warnings, steps, catalog)


def _first_shape(paths: Sequence[Path]) -> tuple[int, int]:
    """Rows and columns of the first frame that can be read."""
    for path in paths:
        try:
            return read_header(path).shape
        except FrameRejectedError:
            continue
    return 0, 0


def reduce_frame(
    path: Path,
    out: Path,
    camera: Camera,
    measured: GainAndReadNoise | None,
    calibrator: Calibrator,
    warnings: Sequence[str] = (),
    steps: Steps | None = None,
    catalog: Path | None = None,
) -> None:
    """Calibrate and measure one science frame, and write it; of a frame that cannot be used, an empty, flagged product.

    Parameters
    ----------
    path, out : Path
        The raw frame and its product, which is replaced if it exists.
    camera : Camera
    measured : GainAndReadNoise or None
        As for `nightcal.stacking.open_frames.open_frames`.
    calibrator : Calibrator
        With the masters of this frame.
    warnings : sequence of str
        For the header.
    steps : Steps, optional
        What is measured in the calibrated frame; None for nothing.
    catalog : Path, optional
        Where the table of sources goes, which is replaced if it exists.
    """
    raw: RawHeader | None = None
    try:
        raw = read_header(path)
        frame = good_frame(path, raw, camera)
        reduction = _reduction(path, raw, frame, camera, measured, calibrator)
        for text in warnings:
            warn(reduction.header, text)
        if steps:
            product = reduction.product()
        else:
            reduction.write(out)
    except (FrameRejectedError, ValueError) as reason:
        log.warning("%s: set aside: %s.", path.name, reason)
        refused = empty_product(path, str(reason), calibrator.unit, raw)
        for text in warnings:
            warn(refused.header, text)
        _write_empty(refused, out, steps, catalog)
        return
    if steps:
        _measure_and_write(product, _circumstances(raw, frame, camera, reduction), steps, out, catalog)
    header = reduction.header
    skipped = header.get("SKIPPED", "")
    remarks = [f"skipped: {skipped}"] * bool(skipped) + warnings_of(header)
    remarks += [str(header[card]) for card in ("WCSSTAT", "ZPSTAT") if steps and card in header]
    log.info("%s: calibrated%s", path.name, "".join(f"; {remark}" for remark in remarks))


def _write_empty(refused: Product, out: Path, steps: Steps | None, catalog: Path | None) -> None:
    """Write a product without data, and a table without sources."""
    write_product(out, refused)
    if steps and catalog is not None:
        from nightcal.measurement.measure import nothing_measured

        _write_table(catalog, nothing_measured(refused, steps), refused)


def _write_table(catalog: Path, table: Table | None, product: Product) -> None:
    if table is not None:
        from nightcal.io.source_catalog import write_catalog

        write_catalog(catalog, table, product.header)


def _measure_and_write(product: Product, known: FrameInfo, steps: Steps, out: Path, catalog: Path | None) -> None:
    from nightcal.measurement.measure import measure

    steps = steps.for_frame(known)
    provenance(product.header, {"calibration": product.header["CONFHASH"], **steps.origin})
    product, table = measure(product, known, steps)
    set_cards(product.header, [("NMASKED", int(np.count_nonzero(product.mask)), "pixels with a flag")])
    write_product(out, product)
    if catalog is not None:
        _write_table(catalog, table, product)


def _circumstances(raw: RawHeader, frame: Frame, camera: Camera, reduction: PreparedFrame) -> FrameInfo:
    from nightcal.measurement.astrometry.pointing import hint_of
    from nightcal.measurement.measure import FrameInfo

    return FrameInfo(
        exposure_time=frame.exposure_time,
        epoch=None if frame.mjd is None else julian_year(frame.mjd),
        filter=frame.filter,
        gain=reduction.header["GAINUSED"],
        hint=hint_of(raw, camera),
    )


def _reduction(
    path: Path, raw: RawHeader, frame: Frame, camera: Camera, measured: GainAndReadNoise | None, calibrator: Calibrator
) -> PreparedFrame:
    """Get a science frame ready, with everything that its header should tell."""
    known = choose_gain(measured, calibrator.master_bias)
    noises = [find_gain(raw, camera, known, n) for n in range(len(camera.amplifiers))]
    reduction = calibrator.prepare(
        path,
        amplifiers=amplifiers_of(raw, camera, noises),
        binning=camera.bins(raw),
        crosstalk=camera.crosstalk_of(raw),
        exposure_time=frame.exposure_time,
    )
    header = reduction.header
    record_gain(header, average_gain(noises))
    cards: list[tuple[str, Any, str]] = [] if frame.mjd is None else mean_time_cards(frame.mjd)
    for step in ("BIAS", "DARK", "FLAT", "BPM"):
        if f"{step}MJD" in header:
            cards.append((f"{step}AGE", frame.mjd - header[f"{step}MJD"], "[d] from master to frame"))
    set_cards(header, [("NIGHT", frame.night, "date of the evening"), *cards])
    return reduction
