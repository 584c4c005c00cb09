"""Make a master and complete its header; measure the gain of a night."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from nightcal.cameras.camera import Camera
from nightcal.detector.photon_transfer import GainAndReadNoise, measure_gain
from nightcal.detector.subimages import Subimages, grids_of, read_subimages
from nightcal.errors import FrameRejectedError
from nightcal.io.checksum import hash_file
from nightcal.io.keywords import warn, warnings_of
from nightcal.io.master import MasterFrame
from nightcal.io.product import Product
from nightcal.io.provenance import record_provenance
from nightcal.masters.bad_pixel_mask import USUAL, DefectLimits, make_bad_pixel_mask
from nightcal.masters.common import make_empty_master
from nightcal.masters.keywords import record_gain
from nightcal.planning.setup_keywords import copy_setup, write_setup
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.stacking.open_frames import OpenFrames, open_frames

log = logging.getLogger(__name__)


def finish_master(
    kind: str, opened: OpenFrames, make: Callable[[], Product], options: Mapping[str, Any], warnings: Sequence[str] = ()
) -> Product:
    """Make a master and complete its header; without a usable frame, make an empty master with the reason.

    Parameters
    ----------
    kind : str
        ``bias``, ``dark`` or ``flat``.
    opened : OpenFrames
        The frames of the master.
    make : function
        Makes the master, or raises `FrameRejectedError`.
    options : mapping
        Parameters that matter besides camera file, gain and read noise.
    warnings : sequence of str
        For the header.

    Returns
    -------
    Product
    """
    try:
        product = make()
    except FrameRejectedError as reason:
        log.warning("master %s: %s.", kind, reason)
        product = make_empty_master(kind, (1, 1), str(reason))
    if opened.records:
        write_setup(product.header, opened.records[0])
    record_gain(product.header, opened.noise)
    for text in warnings:
        warn(product.header, text)
    for text in warnings_of(product.header):
        log.warning("master %s: %s.", kind, text)
    noise = {"gain": opened.noise.gain, "read_noise": opened.noise.read_noise}
    record_provenance(product.header, {**options, **noise, "camera": hash_file(opened.camera.path)})
    for frame in opened.frames:
        frame.readout.image.close()
    return product


def finish_bad_pixel_mask(
    masters: Sequence[MasterFrame], user_masks: Sequence[MasterFrame] = (), limits: DefectLimits = USUAL
) -> Product:
    """Make a bad pixel mask and complete its header; without any input, make an empty mask with the reason.

    Parameters
    ----------
    masters, user_masks, limits
        As for `make_bad_pixel_mask`.

    Returns
    -------
    Product
        The image is the mask; 1 x 1, with ``EMPTY``, if it is empty.
    """
    try:
        product = make_bad_pixel_mask(masters, user_masks, limits)
    except FrameRejectedError as reason:
        return make_empty_master("bpm", (1, 1), str(reason))
    source = next((master.header for master in masters if not master.why_empty), fits.Header())
    copy_setup(source, product.header)
    digests = {"masters": [master.digest for master in masters], "given": [mask.digest for mask in user_masks]}
    record_provenance(product.header, digests | asdict(limits))
    return product


def measure_gain_from_files(paths: Sequence[Path], camera: Camera) -> GainAndReadNoise:
    """Measure gain and read noise from raw bias frames and flats; files that cannot be read are left out.

    Parameters
    ----------
    paths : sequence of Path
    camera : Camera

    Returns
    -------
    GainAndReadNoise
    """
    opened = open_frames(paths, camera, GainAndReadNoise(1.0, 0.0, "ADU"))
    pairs = sorted(zip(opened.records, opened.frames, strict=True), key=lambda pair: (pair[0].filter, pair[0].mjd))

    def read_all(kind: str, name: str | None = None) -> Iterator[list[Subimages]]:
        for record, frame in pairs:
            if record.kind == kind and name in (None, record.filter):
                try:
                    yield _read_subimages_in_adu(frame)
                except FrameRejectedError as reason:
                    log.warning("%s rejected: %s.", record.name, reason)

    filters = dict.fromkeys(record.filter for record, _ in pairs if record.kind == "flat")
    noise = measure_gain(read_all("bias"), {name: read_all("flat", name) for name in filters})
    log.info("gain %.3f e-/ADU, read noise %.2f e- (%s)", noise.gain, noise.read_noise, noise.source)
    return noise


def _read_subimages_in_adu(frame: CalibrationFrame) -> list[Subimages]:
    readout = frame.readout
    with readout.image:
        subimages = read_subimages(readout, grids_of(readout))
    return [electrons / np.float32(part.gain) for electrons, part in zip(subimages, readout.parts, strict=True)]
