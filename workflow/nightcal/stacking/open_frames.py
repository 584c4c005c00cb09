"""Open raw calibration frames for stacking."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from nightcal.cameras.amplifiers import open_image, open_raw
from nightcal.cameras.camera import Camera
from nightcal.cameras.camera_file import load_camera
from nightcal.cameras.corrected_camera import correct_camera
from nightcal.detector.gain import ASSUMED, GainAndReadNoise
from nightcal.errors import FrameRejectedError
from nightcal.planning.frames import Frame, make_frame
from nightcal.planning.overrides import NO_OVERRIDE, NO_OVERRIDES, Overrides, find_override
from nightcal.stacking.calibration_frame import CalibrationFrame, RejectedFrame

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenFrames:
    """Calibration frames ready for stacking.

    Attributes
    ----------
    camera : Camera
    frames : list of CalibrationFrame
    rejected : list of RejectedFrame
        Frames that cannot be opened.
    records : list of Frame
        Records of the frames' headers.
    noise : GainAndReadNoise
        Gain and read noise of the first frame.
    """

    camera: Camera
    frames: list[CalibrationFrame]
    rejected: list[RejectedFrame]
    records: list[Frame]
    noise: GainAndReadNoise


def open_frames(
    paths: Sequence[str | PathLike[str]],
    camera: Camera | str | PathLike[str],
    measured: GainAndReadNoise | None = None,
    overrides: Overrides = NO_OVERRIDES,
) -> OpenFrames:
    """Open calibration frames for stacking.

    Parameters
    ----------
    paths : sequence of path
    camera : Camera or path
        A camera file, as in ``config/cameras``.
    measured : GainAndReadNoise, optional
        For frames whose headers lack gain or read noise.
    overrides : mapping of str to Override
        What the observer says of the frames, by path.

    Returns
    -------
    OpenFrames
    """
    camera = camera if isinstance(camera, Camera) else load_camera(Path(camera))
    opened = OpenFrames(camera, [], [], [], measured or ASSUMED)
    for path in map(Path, paths):
        record = None
        try:
            image = open_image(path, camera)
            override = find_override(overrides, path)
            corrected = correct_camera(camera, (override or NO_OVERRIDE).facts)
            record = replace(make_frame(path, image.header, corrected), override=override)
            readout, gain = open_raw(image, corrected, measured)
        except FrameRejectedError as reason:
            log.warning("%s rejected: %s.", path.name, reason)
            opened.rejected.append(RejectedFrame(path, str(reason), record.mjd if record else None))
            continue
        image.close()
        seconds = 0.0 if record.kind == "bias" else record.exposure_time  # a bias is as short as the camera allows
        frame = CalibrationFrame(
            readout, seconds, record.mjd or 0.0, flat_source=record.flat_source, pointing=record.pointing
        )
        opened.frames.append(frame)
        opened.records.append(record)
        opened = replace(opened, noise=gain if len(opened.frames) == 1 else opened.noise)
    return opened
