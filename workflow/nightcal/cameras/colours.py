"""Colour mosaics of a camera whose file says ``bayer: split``: each colour is a frame of its own."""

from __future__ import annotations

from dataclasses import replace

from nightcal.cameras.camera import Camera
from nightcal.errors import FrameRejectedError
from nightcal.io.colour_mosaic import PLANES, find_pattern, select_plane
from nightcal.io.raw_header import RawHeader


def split_header(header: RawHeader, camera: Camera) -> list[tuple[RawHeader, Camera]]:
    """Split the header of a frame into those of its colours, if its camera file says so.

    Parameters
    ----------
    header : RawHeader
    camera : Camera

    Returns
    -------
    list of (RawHeader, Camera)
        The header and the camera of each colour; those given for any other frame.

    Raises
    ------
    FrameRejectedError
        If neither the header nor the camera file names the colours.
    """
    if camera.bayer != "split":
        return [(header, camera)]
    cameras = [replace(camera, plane=plane) for plane in PLANES]
    return [(select_colour(header, one), one) for one in cameras]


def select_colour(header: RawHeader, camera: Camera) -> RawHeader:
    """Make the header of the colour that a camera reads; parameters and errors as for `split_header`."""
    if camera.bayer != "split":
        return header
    if not camera.plane:
        raise FrameRejectedError(
            f"{camera.path.name} splits colour mosaics, and no colour was chosen (--plane {', '.join(PLANES)})"
        )
    pattern = find_pattern(header, camera.bayer_pattern)
    if pattern is None:
        raise FrameRejectedError(
            f"the colours of the mosaic are unknown: no BAYERPAT; write bayer_pattern in {camera.path.name}"
        )
    return select_plane(header, pattern, camera.plane)
