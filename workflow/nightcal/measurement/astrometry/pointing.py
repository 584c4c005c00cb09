"""Where a frame should look and how large its pixels are, as far as its header tells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nightcal.cameras.camera import Camera
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader
from nightcal.measurement.astrometry.header import UNPARSED, celestial_wcs

SMALLEST_SCALE, LARGEST_SCALE = 0.01, 200.0
"""[arcsec/pix]"""

ARCSEC = 180 * 3600 / math.pi


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known of the sky of a frame before its stars are matched.

    Attributes
    ----------
    ra, dec : float or None
        Where its middle should be [deg].
    scale : float or None
        Of its pixels as read out, binned [arcsec/pix].
    source : str
        Where both are from, in words.
    """

    ra: float | None
    dec: float | None
    scale: float | None
    source: str

    @property
    def pointing(self) -> tuple[float, float] | None:
        """Both coordinates [deg], None if unknown."""
        return None if self.ra is None or self.dec is None else (self.ra, self.dec)


def hint_of(header: RawHeader, camera: Camera) -> Hint:
    """Find pointing and scale of a raw frame.

    Parameters
    ----------
    header : RawHeader
    camera : Camera

    Returns
    -------
    Hint
        The pointing from the camera's cards, else the header's WCS; the scale from the card of ``pixel_scale``, else
        the camera file (times the binning), else the header's WCS, else pixel size and focal length. What cannot be
        understood counts as missing.
    """
    place = camera.pointing(header)
    scale, scale_words = _told_scale(header, camera)
    place_words = "cards"
    if place is None or scale is None:
        from_wcs = _of_wcs(header)
        if place is None and from_wcs is not None:
            place, place_words = from_wcs[:2], "the WCS of the raw header"
        if scale is None and from_wcs is not None:
            scale, scale_words = from_wcs[2], "the WCS of the raw header"
    if scale is None:
        scale, scale_words = _of_optics(header, camera), "pixel size and focal length"
    ra, dec = place or (None, None)
    words = [
        f"pointing from {place_words}" if place else "no pointing",
        f"scale from {scale_words}" if scale else "no scale",
    ]
    return Hint(ra, dec, scale, ", ".join(words))


def _told_scale(header: RawHeader, camera: Camera) -> tuple[float | None, str]:
    """Scale that a card or the camera file tells."""
    told = _positive(header, camera, "pixel_scale")
    if told is not None and SMALLEST_SCALE <= told <= LARGEST_SCALE:
        return told, f"the card {camera.card(header, 'pixel_scale')}"
    if camera.pixel_scale is None:
        return None, ""
    try:
        across, along = camera.bins(header)
    except FrameRejectedError:
        return None, ""
    return camera.pixel_scale * math.sqrt(across * along), "the camera file"


def _of_optics(header: RawHeader, camera: Camera) -> float | None:
    """Scale from the size of a binned pixel [um] and the focal length [mm]."""
    size, length = (_positive(header, camera, role) for role in ("pixel_size", "focal_length"))
    if size is None or length is None:
        return None
    scale = ARCSEC * size / 1000 / length
    return scale if SMALLEST_SCALE <= scale <= LARGEST_SCALE else None


def _of_wcs(header: RawHeader) -> tuple[float, float, float] | None:
    """Middle of the frame [deg] and scale [arcsec/pix] of the header's own WCS."""
    if not any(name in header for name in ("CTYPE1", "CRVAL1")):
        return None
    wcs = celestial_wcs(header.cards)
    if wcs is None:
        return None
    rows, columns = header.shape
    scale = 3600 * math.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))
    lon, lat = wcs.wcs.lng, wcs.wcs.lat
    if not wcs.wcs.ctype[lon].startswith("RA"):  # the Galaxy, the Sun: the scale alone would be of use, and is rare
        return None
    try:
        middle = wcs.all_pix2world([[(columns + 1) / 2, (rows + 1) / 2]], 1)[0]
    except UNPARSED:
        return None
    ra, dec = float(middle[lon]), float(middle[lat])
    if not (math.isfinite(ra) and math.isfinite(dec) and SMALLEST_SCALE <= scale <= LARGEST_SCALE):
        return None
    return ra % 360, dec, scale


def _positive(header: RawHeader, camera: Camera, role: str) -> float | None:
    """Value of a role if it is a positive number, perhaps written as text."""
    try:
        value = camera.value(header, role)
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (FrameRejectedError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
