"""Open frames."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nightcal.cameras.amplifiers import open_raw
from nightcal.cameras.camera import Camera
from nightcal.detector.photon_transfer import ASSUMED, GainAndReadNoise
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_image import RawImage
from nightcal.planning.frames import Frame, make_frame
from nightcal.stacking.calibration_frame import CalibrationFrame, RejectedFrame

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenFrames:
    """Calibration frames ready for stacking.

    Attributes
    ----------
    camera : Camera
    exposures : list of CalibrationFrame
    refused : list of RejectedFrame
        What could not be opened.
    frames : list of Frame
        Records of the exposures.
    noise : GainAndReadNoise
        Of the first exposure.
    """

    camera: Camera
    exposures: list[CalibrationFrame]
    refused: list[RejectedFrame]
    frames: list[Frame]
    noise: GainAndReadNoise


def open_frames(paths: Sequence[Path], camera: Camera, measured: GainAndReadNoise | None = None) -> OpenFrames:
    """Open calibration frames for stacking.

    Parameters
    ----------
    paths : sequence of Path
    camera : Camera
    measured : GainAndReadNoise, optional
        Gain and read noise for frames whose headers do not tell.

    Returns
    -------
    OpenFrames
    """
    opened = OpenFrames(camera, [], [], [], measured or ASSUMED)
    for path in paths:
        frame = None
        try:
            image = RawImage(path)
            frame = make_frame(path, image.header, camera)
            readout, gain = open_raw(image, camera, measured)
        except FrameRejectedError as reason:
            log.warning("%s: set aside: %s.", path.name, reason)
            opened.refused.append(RejectedFrame(path, str(reason), frame.mjd if frame else None))
            continue
        image.close()
        exposure = CalibrationFrame(
            readout, frame.exposure_time, frame.mjd or 0.0, flat_source=frame.flat_source, pointing=frame.pointing
        )
        opened.exposures.append(exposure)
        opened.frames.append(frame)
        opened = replace(opened, noise=gain if len(opened.frames) == 1 else opened.noise)
    return opened
