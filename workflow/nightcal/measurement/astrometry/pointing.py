"""Find the pointing and the pixel scale of a raw frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nightcal.cameras.camera import Camera
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader
from nightcal.measurement.astrometry.header import UNPARSED, read_celestial_wcs

SMALLEST_SCALE, LARGEST_SCALE = 0.01, 200.0
"""[arcsec/pix]"""

ARCSEC = 180 * 3600 / math.pi


@dataclass(frozen=True, slots=True)
class Hint:
    """Pointing and scale of a frame, before its stars are matched.

    Attributes
    ----------
    ra, dec : float or None
        Expected centre of the frame [deg].
    scale : float or None
        Of pixels as read out, with binning [arcsec/pix].
    source : str
        Origin of both, for people.
    """

    ra: float | None
    dec: float | None
    scale: float | None
    source: str

    @property
    def pointing(self) -> tuple[float, float] | None:
        """Both coordinates [deg], None if unknown."""
        return None if self.ra is None or self.dec is None else (self.ra, self.dec)


def find_hint(header: RawHeader, camera: Camera) -> Hint:
    """Find the pointing and the pixel scale of a raw frame.

    Parameters
    ----------
    header : RawHeader
    camera : Camera

    Returns
    -------
    Hint
        The pointing comes from the keywords of the camera file, else from the WCS of the header. The scale comes from
        the keyword of ``pixel_scale``, else the camera file (times the binning), else the WCS of the header, else pixel
        size and focal length. Values that cannot be understood count as missing.
    """
    place = camera.pointing(header)
    scale, scale_words = _read_scale(header, camera)
    place_words = "keywords"
    if place is None or scale is None:
        from_wcs = _read_wcs_hint(header)
        if place is None and from_wcs is not None:
            place, place_words = from_wcs[:2], "the WCS of the raw header"
        if scale is None and from_wcs is not None:
            scale, scale_words = from_wcs[2], "the WCS of the raw header"
    if scale is None:
        scale, scale_words = _compute_scale(header, camera), "pixel size and focal length"
    if scale is not None and header.grid is not None:
        scale *= 2  # of every second pixel
    ra, dec = place or (None, None)
    words = [
        f"pointing from {place_words}" if place else "no pointing",
        f"scale from {scale_words}" if scale else "no scale",
    ]
    return Hint(ra, dec, scale, ", ".join(words))


def _read_scale(header: RawHeader, camera: Camera) -> tuple[float | None, str]:
    """Read the scale from a keyword or the camera file."""
    value = _read_positive(header, camera, "pixel_scale")
    if value is not None and SMALLEST_SCALE <= value <= LARGEST_SCALE:
        return value, f"the keyword {camera.card(header, 'pixel_scale')}"
    if camera.pixel_scale is None:
        return None, ""
    try:
        across, along = camera.bins(header)
    except FrameRejectedError:
        return None, ""
    return camera.pixel_scale * math.sqrt(across * along), "the camera file"


def _compute_scale(header: RawHeader, camera: Camera) -> float | None:
    """Compute the scale from the size of a binned pixel [um] and the focal length [mm]."""
    size, length = (_read_positive(header, camera, role) for role in ("pixel_size", "focal_length"))
    if size is None or length is None:
        return None
    scale = ARCSEC * size / 1000 / length
    return scale if SMALLEST_SCALE <= scale <= LARGEST_SCALE else None


def _read_wcs_hint(header: RawHeader) -> tuple[float, float, float] | None:
    """Read the centre of the frame [deg] and the scale [arcsec/pix] from the WCS of the header."""
    if not any(name in header for name in ("CTYPE1", "CRVAL1")):
        return None
    wcs = read_celestial_wcs(header.cards)
    if wcs is None:
        return None
    rows, columns = (length * (1 if header.grid is None else 2) for length in header.shape)
    scale = 3600 * math.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))
    lon, lat = wcs.wcs.lng, wcs.wcs.lat
    if not wcs.wcs.ctype[lon].startswith(
        "RA"
    ):  # galactic or solar coordinates: rare, and only the scale would be usable
        return None
    try:
        middle = wcs.all_pix2world([[(columns + 1) / 2, (rows + 1) / 2]], 1)[0]
    except UNPARSED:
        return None
    ra, dec = float(middle[lon]), float(middle[lat])
    if not (math.isfinite(ra) and math.isfinite(dec) and SMALLEST_SCALE <= scale <= LARGEST_SCALE):
        return None
    return ra % 360, dec, scale


def _read_positive(header: RawHeader, camera: Camera, role: str) -> float | None:
    """Read the value of a role if it is a positive number, possibly written as text."""
    try:
        value = camera.value(header, role)
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (FrameRejectedError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
