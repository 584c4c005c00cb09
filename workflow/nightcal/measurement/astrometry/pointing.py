"""Find the pointing and the pixel scale of a raw frame."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from nightcal.cameras.camera import Camera
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader
from nightcal.measurement.astrometry.header import UNPARSED, read_celestial_wcs
from nightcal.measurement.astrometry.icrs import find_icrs, measure_scale
from nightcal.warning_names import Warn, ignore_warning, name_warning

SMALLEST_SCALE, LARGEST_SCALE = 0.01, 200.0
"""[arcsec/pix]"""

LARGEST_RATIO = 1.1
"""Scales that differ by more contradict each other."""

LARGEST_ASPECT = 1.02
"""Of a pixel that counts as square."""

ARCSEC = 180 * 3600 / math.pi

_UNBINNED = re.compile(r"\bunbin|\b(?:before|without|excluding|no) binning|\bnot binned", re.IGNORECASE)
_BINNED = re.compile(r"\bbinn(?:ed|ing)\b", re.IGNORECASE)


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


def find_hint(header: RawHeader, camera: Camera, warn: Warn = ignore_warning) -> Hint:
    """Find the pointing and the pixel scale of a raw frame.

    Parameters
    ----------
    header : RawHeader
    camera : Camera
    warn : function
        Takes warnings about pixels that are not square, and about keywords that give different scales.

    Returns
    -------
    Hint
        The pointing comes from the keywords of the camera file, else from the WCS of the header. The scale comes from
        the keyword of ``pixel_scale``, else the camera file (times the binning), else the WCS of the header, else pixel
        size and focal length. Values that cannot be understood count as missing.
    """
    place, place_words = camera.pointing(header), "keywords"
    from_wcs = _read_wcs_hint(header)
    if place is None and from_wcs is not None:
        place, place_words = from_wcs[:2], "the WCS of the raw header"
    scale, scale_words = _choose_scale(header, camera, None if from_wcs is None else from_wcs[2], warn)
    if scale is not None and header.grid is not None:
        scale *= 2  # of every second pixel
    ra, dec = place or (None, None)
    words = [
        f"pointing from {place_words}" if place else "no pointing",
        f"scale from {scale_words}" if scale else "no scale",
    ]
    return Hint(ra, dec, scale, ", ".join(words))


def _choose_scale(header: RawHeader, camera: Camera, wcs_scale: float | None, warn: Warn) -> tuple[float | None, str]:
    """Choose the scale [arcsec/pix] among those that are known, and name its origin."""
    across, along = _read_bins(header, camera)
    _check_squareness(header, camera, warn)
    keyword = _read_scale_keyword(header, camera)
    card = "" if keyword is None else f"the keyword {camera.card(header, 'pixel_scale')}"
    from_camera = None if camera.pixel_scale is None else camera.pixel_scale * math.sqrt(across * along)
    if keyword is None and from_camera is not None:
        return from_camera, "the camera file"  # measured by the observer, against nominal values in headers
    others = {"the WCS of the raw header": wcs_scale, "pixel size and focal length": _compute_scale(header, camera)}
    known = {words: scale for words, scale in others.items() if scale is not None}
    if keyword is None:
        words = next(iter(known), "")
        scale = known.pop(words, None)
        return _warn_of_other_scales(scale, words, known, warn), words
    binned = keyword * math.sqrt(across * along)
    if known and all(not _agree(keyword, scale) and _agree(binned, scale) for scale in known.values()):
        return binned, f"{card}, times the binning"
    return _warn_of_other_scales(keyword, card, known, warn), card


def _warn_of_other_scales(scale: float | None, words: str, others: Mapping[str, float], warn: Warn) -> float | None:
    """Warn of scales that differ from the one that is used, and return the latter."""
    for other_words, other in others.items():
        if scale is not None and not _agree(scale, other):
            text = f"{scale:.4g} arcsec/pixel from {words} and {other:.4g} from {other_words}; the first is used"
            warn(name_warning("pixel scales disagree", text))
            break
    return scale


def _agree(one: float, other: float) -> bool:
    return 1 / LARGEST_RATIO <= one / other <= LARGEST_RATIO


def _read_bins(header: RawHeader, camera: Camera) -> tuple[int, int]:
    """Read the binning in x and y; 1 x 1 if it cannot be read."""
    try:
        return camera.bins(header)
    except FrameRejectedError:
        return 1, 1


def _read_scale_keyword(header: RawHeader, camera: Camera) -> float | None:
    """Read the scale from a keyword."""
    value = _read_positive(header, camera, "pixel_scale")
    return value if value is not None and SMALLEST_SCALE <= value <= LARGEST_SCALE else None


def _compute_scale(header: RawHeader, camera: Camera) -> float | None:
    """Compute the scale from the size of a pixel [um] and the focal length [mm]."""
    size, length = (_read_positive(header, camera, role) for role in ("pixel_size", "focal_length"))
    if size is None or length is None:
        return None
    if _is_unbinned(header, camera.card(header, "pixel_size")):
        size *= math.sqrt(math.prod(_read_bins(header, camera)))
    scale = ARCSEC * size / 1000 / length
    return scale if SMALLEST_SCALE <= scale <= LARGEST_SCALE else None


def _is_unbinned(header: RawHeader, card: str) -> bool:
    """Check whether a pixel size is that on the chip: by the comment, else by the name, as INDI and SBFITSEXT do."""
    comment = header.comment(card)
    if _UNBINNED.search(comment):
        return True
    return card.startswith("PIXSIZ") and not _BINNED.search(comment)


def _check_squareness(header: RawHeader, camera: Camera, warn: Warn) -> None:
    """Warn of pixels that are not square, as read out."""
    across, along = _read_bins(header, camera)
    card = _name_card(header, camera)
    width, height = _parse_positive(header, card), _parse_positive(header, _name_partner(card))
    if width is None or height is None:
        aspect = across / along
    else:
        aspect = width / height * (across / along if _is_unbinned(header, card) else 1)
    if max(aspect, 1 / aspect) > LARGEST_ASPECT:
        text = f"{aspect:.3g} times as wide as high, binned {across} x {along}; such a frame is not solved"
        warn(name_warning("pixels not square", text))


def _name_card(header: RawHeader, camera: Camera) -> str:
    try:
        return camera.card(header, "pixel_size")
    except FrameRejectedError:
        return ""


def _name_partner(card: str) -> str:
    """Name the keyword of the height of a pixel, from that of its width: XPIXSZ and YPIXSZ, PIXSIZE1 and PIXSIZE2."""
    return f"Y{card[1:]}" if card.startswith("X") else f"{card.removesuffix('1')}2"


def _read_wcs_hint(header: RawHeader) -> tuple[float, float, float] | None:
    """Read the centre of the frame [deg] and the scale [arcsec/pix] from the WCS of the header."""
    if not any(name in header for name in ("CTYPE1", "CRVAL1")):
        return None
    wcs = read_celestial_wcs(header.cards)
    if wcs is None:
        return None
    rows, columns = (length * (1 if header.grid is None else 2) for length in header.shape)
    scale = measure_scale(wcs)
    if not wcs.wcs.ctype[wcs.wcs.lng].startswith(
        "RA"
    ):  # galactic or solar coordinates: rare, and only the scale would be usable
        return None
    try:
        ra, dec = (float(angle) for angle in find_icrs(wcs, (columns + 1) / 2, (rows + 1) / 2)[:, 0])
    except UNPARSED:
        return None
    if not (math.isfinite(ra) and math.isfinite(dec) and SMALLEST_SCALE <= scale <= LARGEST_SCALE):
        return None
    return ra, dec, scale


def _read_positive(header: RawHeader, camera: Camera, role: str) -> float | None:
    """Read the value of a role if it is a positive number, possibly written as text."""
    try:
        return _parse_positive(header, camera.card(header, role))
    except FrameRejectedError:
        return None


def _parse_positive(header: RawHeader, card: str) -> float | None:
    try:
        value = header.value(card)
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (FrameRejectedError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
