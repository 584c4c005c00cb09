"""Read parameters of the low-level interface from a camera file and a header."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from astropy.io import fits

from nightcal.cameras.amplifiers import read_amplifiers
from nightcal.cameras.camera import Camera
from nightcal.cameras.camera_file import load_camera
from nightcal.detector.gain import GainAndReadNoise
from nightcal.io.raw_header import RawHeader, read_header


def read_parameters(
    camera: Camera | str | PathLike[str], header: fits.Header | str | PathLike[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Read the parameters of a `Calibrator`; errors as for `Calibrator.from_camera`.

    Parameters
    ----------
    camera, header
        As for `Calibrator.from_camera`.
    given : mapping
        Parameters given by the user; with a gain among them, header and camera file may lack it.

    Returns
    -------
    dict
    """
    camera = camera if isinstance(camera, Camera) else load_camera(Path(camera))
    raw = _read_header(header)
    known = [camera.read_gain_and_noise(raw, n) for n in range(len(camera.amplifiers))]
    if "gain" not in given and any(gain is None for gain, _ in known):
        raise ValueError(f"gain is given by neither the header nor {camera.path.name}; pass gain=, in e-/ADU")
    stand_in = GainAndReadNoise(float(given.get("gain", 1.0)), 0.0, "given")
    amplifiers, _ = read_amplifiers(raw, camera, stand_in)
    first = amplifiers[0]
    if len(amplifiers) > 1 or first.polynomial or not first.reads_forwards:
        return {"amplifiers": amplifiers, "binning": camera.bins(raw), "crosstalk": camera.read_crosstalk(raw)}
    names = ("overscans", "overscan_method", "image_area", "gain", "saturation", "linearity")
    bleed = first.bleed if first.bleed.directions else None
    return {name: getattr(first, name) for name in names} | {"read_noise": known[0][1], "bleed": bleed}


def _read_header(header: fits.Header | str | PathLike[str]) -> RawHeader:
    if isinstance(header, fits.Header):
        return RawHeader(header, 0, (int(header.get("NAXIS2", 0)), int(header.get("NAXIS1", 0))))
    if not Path(header).is_file():
        raise FileNotFoundError(f"header is {str(header)!r}; the file does not exist")
    return read_header(Path(header))
