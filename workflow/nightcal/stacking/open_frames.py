"""Open frames."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nightcal.cameras.amplifiers import amplifiers_of, mean_noise, noise_of
from nightcal.cameras.camera import Camera
from nightcal.detector.amplifiers import readout_of
from nightcal.detector.photon_transfer import ASSUMED, Noise
from nightcal.errors import SetAside
from nightcal.io.raw_image import RawImage
from nightcal.planning.frames import Frame, good_frame
from nightcal.stacking.calibration_frame import Exposure, Refusal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """Calibration frames ready for stacking.

    Attributes
    ----------
    camera : Camera
    exposures : list of Exposure
    refused : list of Refusal
        What could not be opened.
    frames : list of Frame
        Records of the exposures.
    noise : Noise
        Of the first exposure.
    """

    camera: Camera
    exposures: list[Exposure]
    refused: list[Refusal]
    frames: list[Frame]
    noise: Noise


def open_exposures(paths: Sequence[Path], camera: Camera, measured: Noise | None = None) -> Opened:
    """Open calibration frames for stacking.

    Parameters
    ----------
    paths : sequence of Path
    camera : Camera
    measured : Noise, optional
        Gain and read noise for frames whose headers do not tell.

    Returns
    -------
    Opened
    """
    opened = Opened(camera, [], [], [], measured or ASSUMED)
    for path in paths:
        frame = None
        try:
            image = RawImage(path)
            frame = good_frame(path, image.header, camera)
            noises = [noise_of(image.header, camera, measured, n) for n in range(len(camera.amplifiers))]
            amplifiers = amplifiers_of(image.header, camera, noises)
            readout = readout_of(image, amplifiers, camera.bins(image.header), camera.crosstalk_of(image.header))
        except SetAside as reason:
            log.warning("%s: set aside: %s.", path.name, reason)
            opened.refused.append(Refusal(path, str(reason), frame.mjd if frame else None))
            continue
        image.close()
        exposure = Exposure(readout, frame.exposure, frame.mjd or 0.0, light=frame.light, pointing=frame.pointing)
        opened.exposures.append(exposure)
        opened.frames.append(frame)
        opened = replace(opened, noise=mean_noise(noises) if len(opened.frames) == 1 else opened.noise)
    return opened
