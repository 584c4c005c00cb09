"""Raw frames opened the way their camera file says: the step between a list of paths and the masters or products."""

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
from nightcal.masters.common import empty_master
from nightcal.masters.keywords import record_gain
from nightcal.planning.setup_keywords import copy_setup, write_setup
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.stacking.open_frames import OpenFrames, open_frames

log = logging.getLogger(__name__)


def finish_master(
    kind: str, opened: OpenFrames, make: Callable[[], Product], options: Mapping[str, Any], warnings: Sequence[str] = ()
) -> Product:
    """Make a master and complete its header; without a usable frame, an empty master that says why.

    Parameters
    ----------
    kind : str
        ``bias``, ``dark`` or ``flat``.
    opened : OpenFrames
        The frames of the master.
    make : function
        Makes the master, or raises `FrameRejectedError`.
    options : mapping
        What mattered besides camera file, gain and read noise.
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
        product = empty_master(kind, (1, 1), str(reason))
    if opened.frames:
        write_setup(product.header, opened.frames[0])
    record_gain(product.header, opened.noise)
    for text in warnings:
        warn(product.header, text)
    for text in warnings_of(product.header):
        log.warning("master %s: %s.", kind, text)
    noise = {"gain": opened.noise.gain, "read_noise": opened.noise.read_noise}
    record_provenance(product.header, {**options, **noise, "camera": hash_file(opened.camera.path)})
    for exposure in opened.exposures:
        exposure.readout.image.close()
    return product


def bad_pixel_mask_of(
    masters: Sequence[MasterFrame], given: Sequence[MasterFrame] = (), limits: DefectLimits = USUAL
) -> Product:
    """Make a bad pixel mask and complete its header; without anything to make it from, an empty one that says why.

    Parameters
    ----------
    masters, given, limits
        As for `make_bad_pixel_mask`.

    Returns
    -------
    Product
        The image is the mask; 1 x 1, with ``EMPTY``, if it is empty.
    """
    try:
        product = make_bad_pixel_mask(masters, given, limits)
    except FrameRejectedError as reason:
        return empty_master("bpm", (1, 1), str(reason))
    source = next((master.header for master in masters if not master.refused), fits.Header())
    copy_setup(source, product.header)
    digests = {"masters": [master.digest for master in masters], "given": [mask.digest for mask in given]}
    record_provenance(product.header, digests | asdict(limits))
    return product


def measure_gain_of_frames(paths: Sequence[Path], camera: Camera) -> GainAndReadNoise:
    """Measure gain and read noise from raw bias frames and flats; what cannot be read is left out.

    Parameters
    ----------
    paths : sequence of Path
    camera : Camera

    Returns
    -------
    GainAndReadNoise
    """
    opened = open_frames(paths, camera, GainAndReadNoise(1.0, 0.0, "ADU"))
    frames = sorted(zip(opened.frames, opened.exposures, strict=True), key=lambda pair: (pair[0].filter, pair[0].mjd))

    def tiles(kind: str, name: str | None = None) -> Iterator[list[Subimages]]:
        for frame, exposure in frames:
            if frame.kind == kind and name in (None, frame.filter):
                try:
                    yield _subimages_in_adu(exposure)
                except FrameRejectedError as reason:
                    log.warning("%s: left out: %s.", frame.name, reason)

    filters = dict.fromkeys(frame.filter for frame, _ in frames if frame.kind == "flat")
    noise = measure_gain(tiles("bias"), {name: tiles("flat", name) for name in filters})
    log.info("gain %.3f e-/ADU, read noise %.2f e- (%s)", noise.gain, noise.read_noise, noise.source)
    return noise


def _subimages_in_adu(exposure: CalibrationFrame) -> list[Subimages]:
    readout = exposure.readout
    with readout.image:
        tiles = read_subimages(readout, grids_of(readout))
    return [found / np.float32(part.gain) for found, part in zip(tiles, readout.parts, strict=True)]
