"""Make masters with complete headers from raw files, and measure the gain of a night."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from astropy.io import fits

from nightcal.cameras.amplifiers import choose_gain
from nightcal.cameras.camera import Camera
from nightcal.detector.gain import LARGEST_DEPARTURE, GainAndReadNoise
from nightcal.errors import FrameRejectedError
from nightcal.io.file_content import hash_file
from nightcal.io.keywords import read_warnings, warn
from nightcal.io.master import MasterFrame, convert_to_mask, load_if_path, load_optional_master
from nightcal.io.product import Product
from nightcal.io.provenance import record_provenance
from nightcal.masters.adapt import adapt_master
from nightcal.masters.bad_pixel_mask import USUAL as USUAL_DEFECTS
from nightcal.masters.bad_pixel_mask import DefectLimits, flag_bad_pixels
from nightcal.masters.bias import stack_biases
from nightcal.masters.common import USUAL_REJECTION, Rejection, make_empty_master
from nightcal.masters.dark import stack_darks
from nightcal.masters.flat import stack_flats
from nightcal.masters.flat_selection import USUAL as USUAL_FLATS
from nightcal.masters.flat_selection import FlatLimits
from nightcal.masters.keywords import record_gain
from nightcal.masters.noise_check import FAR_OFF
from nightcal.planning.override_keywords import record_overrides
from nightcal.planning.overrides import NO_OVERRIDES, Overrides
from nightcal.planning.setup_keywords import copy_setup, write_setup
from nightcal.stacking.open_frames import OpenFrames, open_frames
from nightcal.warning_names import summarise_warnings

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]


def make_master_bias(
    paths: Sequence[PathLike],
    camera: Camera | PathLike,
    *,
    measured: GainAndReadNoise | None = None,
    rejection: Rejection = USUAL_REJECTION,
    threads: int = 1,
    warnings: Sequence[str] = (),
    overrides: Overrides = NO_OVERRIDES,
    serves: float | None = None,
) -> Product:
    """Make a master bias from raw bias frames.

    Parameters
    ----------
    paths : sequence of path
    camera : Camera or path
        A camera file, as in ``config/cameras``.
    measured : GainAndReadNoise, optional
        For frames whose headers lack gain or read noise, or have a wrong gain; also the step and top of the ADC.
    rejection : Rejection
    threads : int
    warnings : sequence of str
        For the header.
    overrides : mapping of str to Override
        What the observer says of the frames, by path.
    serves : float, optional
        Mean time of the science frames [MJD].

    Returns
    -------
    Product
        See `nightcal.masters.bias.stack_biases`; empty, with the reason in its header, without a usable frame.
    """
    opened = open_frames(paths, camera, measured, overrides)
    return finish_master(
        "bias",
        opened,
        lambda: stack_biases(opened.frames, rejection, opened.rejected, threads, serves),
        asdict(rejection),
        warnings,
    )


def make_master_dark(
    paths: Sequence[PathLike],
    camera: Camera | PathLike,
    *,
    bias: MasterFrame | PathLike | None = None,
    measured: GainAndReadNoise | None = None,
    rejection: Rejection = USUAL_REJECTION,
    hot: float = 3.0,
    threads: int = 1,
    warnings: Sequence[str] = (),
    overrides: Overrides = NO_OVERRIDES,
) -> Product:
    """Make a master dark from raw dark frames; parameters and result as for `make_master_bias`.

    Parameters
    ----------
    bias : MasterFrame or path, optional
        Optional for frames with overscan.
    hot : float
        See `nightcal.masters.dark.stack_darks`.
    """
    bias = load_optional_master(bias)
    opened = open_frames(paths, camera, choose_gain(measured, bias), overrides)
    bias = _adapt("bias", bias, opened)
    return finish_master(
        "dark",
        opened,
        lambda: stack_darks(opened.frames, bias, rejection, opened.rejected, hot, threads),
        asdict(rejection) | {"hot": hot},
        warnings,
    )


def make_master_flat(
    paths: Sequence[PathLike],
    camera: Camera | PathLike,
    *,
    bias: MasterFrame | PathLike | None = None,
    dark: MasterFrame | PathLike | None = None,
    measured: GainAndReadNoise | None = None,
    rejection: Rejection = USUAL_REJECTION,
    limits: FlatLimits = USUAL_FLATS,
    threads: int = 1,
    warnings: Sequence[str] = (),
    overrides: Overrides = NO_OVERRIDES,
) -> Product:
    """Make a master flat from raw flats of one filter; parameters and result as for `make_master_bias`.

    Parameters
    ----------
    bias, dark : MasterFrame or path, optional
        The bias is optional for frames with overscan.
    limits : FlatLimits
        Requirements on the frames.
    """
    bias, dark = load_optional_master(bias), load_optional_master(dark)
    opened = open_frames(paths, camera, choose_gain(measured, bias), overrides)
    bias, dark = _adapt("bias", bias, opened), _adapt("dark", dark, opened)
    gain_limit = LARGEST_DEPARTURE if measured is None else FAR_OFF  # a run has measured the gain before
    return finish_master(
        "flat",
        opened,
        lambda: stack_flats(opened.frames, bias, dark, rejection, opened.rejected, threads, limits, gain_limit),
        asdict(rejection) | asdict(limits),
        warnings,
    )


def _adapt(step: str, master: MasterFrame | None, opened: OpenFrames) -> MasterFrame | None:
    """Adapt a master to the frames of a set, which are alike."""
    first = opened.records[0] if opened.records else None
    return master if first is None else adapt_master(step, master, first, first.row_order)


def make_bad_pixel_mask(
    masters: Sequence[MasterFrame | PathLike],
    user_masks: Sequence[MasterFrame | PathLike] = (),
    limits: DefectLimits = USUAL_DEFECTS,
    warnings: Sequence[str] = (),
) -> Product:
    """Make a bad pixel mask from masters and the observer's masks.

    Parameters
    ----------
    masters, user_masks : sequence of MasterFrame or path
    limits : DefectLimits
    warnings : sequence of str
        For the header.

    Returns
    -------
    Product
        See `nightcal.masters.bad_pixel_mask.flag_bad_pixels`; empty, with the reason in its header, without any input.
    """
    loaded = [load_if_path(master) for master in masters]
    own = [convert_to_mask(load_if_path(mask)) for mask in user_masks]
    try:
        product = flag_bad_pixels(loaded, own, limits)
    except FrameRejectedError as reason:
        product = make_empty_master("bpm", (1, 1), str(reason))
    for text in warnings:
        warn(product.header, text)
    source = next((master.header for master in loaded if not master.why_empty), fits.Header())
    copy_setup(source, product.header)
    digests = {"masters": [master.digest for master in loaded], "given": [mask.digest for mask in own]}
    record_provenance(product.header, digests | asdict(limits))
    return product


def finish_master(
    kind: str, opened: OpenFrames, make: Callable[[], Product], options: Mapping[str, Any], warnings: Sequence[str] = ()
) -> Product:
    """Make a master and complete its header; make an empty master, with the reason, without a usable frame."""
    try:
        product = make()
    except FrameRejectedError as reason:
        log.warning("master %s: %s.", kind, reason)
        product = make_empty_master(kind, (1, 1), str(reason))
    if opened.records:
        write_setup(product.header, opened.records[0])
    record_gain(product.header, opened.noise)
    found = [
        (*record.warnings, *frame.readout.image.warnings)
        for record, frame in zip(opened.records, opened.frames, strict=True)
    ]
    for text in (*warnings, *summarise_warnings(found)):
        warn(product.header, text)
    for text in read_warnings(product.header):
        log.warning("master %s: %s.", kind, text)
    noise = {"gain": opened.noise.gain, "read_noise": opened.noise.read_noise}
    record_provenance(product.header, {**options, **noise, "camera": hash_file(opened.camera.path)})
    record_overrides(product.header, [record.override for record in opened.records])
    for frame in opened.frames:
        frame.readout.image.close()
    return product
