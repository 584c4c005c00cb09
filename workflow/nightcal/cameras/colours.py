"""Colour mosaics of a camera whose file says ``bayer: split``: each colour is a frame of its own."""

from __future__ import annotations

from dataclasses import replace

from nightcal.cameras.camera import Camera
from nightcal.errors import FrameRejectedError
from nightcal.io.colour_mosaic import PLANES, find_pattern, select_plane
from nightcal.io.raw_header import RawHeader


def split_header(header: RawHeader, camera: Camera) -> list[tuple[RawHeader, Camera]]:
    """Split the header of a colour mosaic into those of its colours, if its camera file says so.

    Parameters
    ----------
    header : RawHeader
    camera : Camera

    Returns
    -------
    list of (RawHeader, Camera)
        The header and the camera of each colour; those given for any other frame, or if neither header nor camera file
        name the colours.

    Raises
    ------
    FrameRejectedError
        If the file has several image planes, or is too small.
    """
    if camera.bayer != "split" or find_pattern(header, camera.bayer_pattern) is None:
        return [(header, camera)]
    cameras = [replace(camera, plane=plane) for plane in PLANES]
    return [(select_colour(header, one), one) for one in cameras]


def select_colour(header: RawHeader, camera: Camera) -> RawHeader:
    """Make the header of the colour that a camera reads, or return that of a whole frame.

    Raises
    ------
    FrameRejectedError
        If no colour of a mosaic was chosen, or the header names none, or as for `split_header`.
    """
    pattern = find_pattern(header, camera.bayer_pattern) if camera.bayer == "split" else None
    if bool(pattern) != bool(camera.plane):
        found = "a colour mosaic" if pattern else "no colour mosaic (BAYERPAT)"
        raise FrameRejectedError(f"the frame is {found}, and the colour to read is {camera.plane or 'not given'}")
    return select_plane(header, pattern, camera.plane) if pattern else header
