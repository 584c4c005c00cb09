"""Measure gain, read noise, and the step and top of the ADC in the raw frames of a night."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from nightcal.cameras.camera import Camera, recognise_camera
from nightcal.detector.adc import find_step
from nightcal.detector.gain import GainAndReadNoise, write_gain
from nightcal.detector.photon_transfer import measure_gain
from nightcal.detector.readout import Readout
from nightcal.detector.subimages import Subimages, find_subimage_medians, make_grids, read_subimages
from nightcal.errors import FrameRejectedError
from nightcal.io.keywords import set_cards
from nightcal.io.raw_header import read_header
from nightcal.planning.frames import Frame
from nightcal.planning.overrides import NO_OVERRIDES, Overrides, leave_out_gain
from nightcal.planning.setup_keywords import write_setup
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.stacking.open_frames import OpenFrames, open_frames

log = logging.getLogger(__name__)

BRIGHTEST = 0.8
"""Brightest subimage of a flat to use, as a fraction of the saturation."""

FEW = 3
"""Number of bias frames, and of flats, in which the step of the ADC is searched."""

ROWS = 64
"""Rows in which it is searched."""

AS_MEASURED = GainAndReadNoise(1.0, 0.0, "ADU", errors=((0.0, 0.0),), use="measured")
"""Whatever the headers say, count in ADU."""


def measure_gain_from_files(
    paths: Sequence[Path], camera: Camera, overrides: Overrides = NO_OVERRIDES
) -> GainAndReadNoise:
    """Measure gain and read noise from raw bias frames and flats; unreadable files are ignored.

    Parameters
    ----------
    paths : sequence of Path
        Without bias frames, darks of the shortest exposure time serve.
    camera : Camera
    overrides : mapping of str to Override
        What the observer says of the frames, by path.

    Returns
    -------
    GainAndReadNoise
    """
    return _measure(open_frames(paths, camera, AS_MEASURED, leave_out_gain(overrides)))


def write_measured_gain(
    out: Path, paths: Sequence[Path], cameras: Sequence[Camera], overrides: Overrides = NO_OVERRIDES
) -> None:
    """Measure gain and read noise as `measure_gain_from_files` does, and write them with the setup of the frames.

    Parameters
    ----------
    out : Path
        Replaced if it exists.
    paths : sequence of Path
    cameras : sequence of Camera
        The camera file of the frames; several if acquisition programs share the camera.
    overrides : mapping of str to Override
        What the observer says of the frames, by path.
    """
    opened = _open_with_any(paths, cameras, leave_out_gain(overrides))
    write_gain(out, _measure(opened), _list_setup(opened.records) if opened.records else None)


def _open_with_any(paths: Sequence[Path], cameras: Sequence[Camera], overrides: Overrides) -> OpenFrames:
    """Open each frame with the camera file that recognises it; those of the first camera come first."""
    if len(cameras) == 1:
        return open_frames(paths, cameras[0], AS_MEASURED, overrides)
    found: dict[str, list[Path]] = {camera.name: [] for camera in cameras}
    ordered = sorted(cameras, key=lambda camera: not camera.recognise)  # one without rules accepts every frame
    for path in paths:
        try:
            found[recognise_camera(read_header(path), ordered).name].append(path)
        except FrameRejectedError as reason:
            log.warning("%s rejected: %s.", path.name, reason)
    first, *others = (open_frames(found[camera.name], camera, AS_MEASURED, overrides) for camera in cameras)
    for other in others:
        first.frames.extend(other.frames)
        first.records.extend(other.records)
        first.rejected.extend(other.rejected)
    return first


def _list_setup(records: Sequence[Frame]) -> dict[str, Any]:
    header = fits.Header()
    set_cards(header, {"MASTER": "gain", "MJD-AVG": sum(record.mjd or 0.0 for record in records) / len(records)})
    write_setup(header, records[0])
    return dict(header)


def _measure(opened: OpenFrames) -> GainAndReadNoise:
    ordered = sorted(
        zip(opened.records, opened.frames, strict=True), key=lambda pair: (pair[0].filter, pair[0].mjd or 0.0)
    )
    biases, flats = _choose_biases(ordered), [pair for pair in ordered if pair[0].kind == "flat"]
    step = _find_step([*biases[:FEW], *flats[:: max(1, len(flats) // FEW)][:FEW]])
    seen: list[Readout] = []

    def read_all(pairs: Sequence[tuple[Frame, CalibrationFrame]]) -> Iterator[list[Subimages]]:
        for record, frame in pairs:
            try:
                yield _read_subimages_in_adu(frame.readout)
                seen.append(frame.readout)
            except FrameRejectedError as reason:
                log.warning("%s rejected: %s.", record.name, reason)

    sets = dict.fromkeys((record.filter, record.night) for record, _ in flats)
    noise = measure_gain(
        read_all(biases),
        {
            f"{name} {night}": read_all([pair for pair in flats if (pair[0].filter, pair[0].night) == (name, night)])
            for name, night in sets
        },
        step,
    )
    noise = replace(noise, tops=_find_tops(seen))
    doubt = f"; {noise.doubt}" if noise.doubt else ""
    log.info("gain %.3f e-/ADU, read noise %.2f e- (%s%s)", noise.gain, noise.read_noise, noise.source, doubt)
    if step > 1 or any(noise.tops):
        tops = ", ".join("unknown" if top is None else f"{top:g} ADU" for top in noise.tops)
        log.info("ADC: step %g ADU, top %s", step, tops or "unknown")
    return noise


def _choose_biases(pairs: Sequence[tuple[Frame, CalibrationFrame]]) -> list[tuple[Frame, CalibrationFrame]]:
    """Choose the bias frames; without any, the darks of the shortest exposure time."""
    biases = [pair for pair in pairs if pair[0].kind == "bias"]
    darks = [pair for pair in pairs if pair[0].kind == "dark"]
    shortest = min((record.exposure_time for record, _ in darks), default=0.0)
    return biases or [pair for pair in darks if pair[0].exposure_time == shortest]


def _find_step(pairs: Sequence[tuple[Frame, CalibrationFrame]]) -> float:
    """Find the step of the ADC that is common to some frames [ADU]; 1 if they do not show it."""
    steps = []
    for _, frame in pairs:
        try:
            with frame.readout.image as image:
                middle = image.shape[0] // 2
                step = find_step(image.rows(max(0, middle - ROWS // 2), min(image.shape[0], middle + ROWS // 2)))
        except FrameRejectedError:
            continue
        if step is not None:
            steps.append(step)
    return float(math.gcd(*steps)) if steps else 1.0


def _find_tops(readouts: Sequence[Readout]) -> tuple[float | None, ...]:
    """Find the top of the ADC of each amplifier, if the frames that show one agree."""
    if not readouts:
        return ()
    shares = zip(*([share for _, share in readout.shares] for readout in readouts), strict=True)
    found = [{share.saturation for share in part if share.saturation_source == "pixels"} for part in shares]
    return tuple(tops.pop() if len(tops) == 1 else None for tops in found)


def _read_subimages_in_adu(readout: Readout) -> list[Subimages]:
    """Read the subimages of all amplifiers [ADU above the overscan level]; NaN if they are close to saturation."""
    with readout.image:
        subimages = read_subimages(readout, make_grids(readout))
        limits = [BRIGHTEST * share.saturation - (share.mean_overscan_level or 0.0) for _, share in readout.shares]
    for part, limit in zip(subimages, limits, strict=True):
        part[find_subimage_medians(part) > limit] = np.nan
    return subimages
