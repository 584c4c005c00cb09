"""Geometry of the amplifiers of a frame, from its camera file and headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightcal.detector.mosaic import find_mosaic_shape, place_amplifiers
from nightcal.errors import FrameRejectedError
from nightcal.io.colour_mosaic import halve
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area, parse_section


@dataclass(frozen=True, slots=True)
class AmplifierRule:
    """An amplifier in a camera file.

    Attributes
    ----------
    plane : int
        The image plane of the file that holds the amplifier, from 0.
    image, detector : tuple of str
        Light-sensitive pixels in the plane and on the detector: keywords or sections, the first that fits is used.
    overscan : tuple of tuple of str
        For each overscan area, keywords or sections, the first that fits is used.
    gain, read_noise, saturation : float or None
        As for a `Camera`; used if the header has none.
    polynomial : tuple of float
        Correction for non-linearity, for `nightcal.detector.linearity.linearise`.
    from_right, from_top : bool
        Whether the pixel that is read first is at the right or at the top of the plane.
    """

    plane: int = 0
    image: tuple[str, ...] = ()
    overscan: tuple[tuple[str, ...], ...] = ()
    detector: tuple[str, ...] = ()
    gain: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    polynomial: tuple[float, ...] = ()
    from_right: bool = False
    from_top: bool = False


@dataclass(frozen=True, slots=True)
class Sections:
    """Geometry of an amplifier in a frame: areas of the image plane, and the area on the detector."""

    image: Area
    overscans: tuple[Area, ...]
    detector: Area | None

    def __str__(self) -> str:
        return str(self.image) if self.detector is None else f"{self.image} is {self.detector}"


def find_sections(rule: AmplifierRule, plane: RawHeader, binning: tuple[int, int]) -> Sections:
    """Find the geometry of an amplifier.

    Parameters
    ----------
    rule : AmplifierRule
    plane : RawHeader
        Of the amplifier's image plane.
    binning : (int, int)
        In x and y.

    Returns
    -------
    Sections
        The image is the whole plane if no section is given.

    Raises
    ------
    FrameRejectedError
        If a section cannot be read or lies outside the image.
    """
    image = _find_area(rule.image, plane) or Area(0, plane.shape[1], 0, plane.shape[0])
    overscans = (_find_area(entries, plane) for entries in rule.overscan)
    detector = _find_detector(rule.detector, plane, image, binning)
    return Sections(image, tuple(area for area in overscans if area is not None), detector)


def _read_section(entry: str, header: RawHeader) -> Area | None:
    try:
        area = parse_section(entry if entry.startswith("[") else header.value(entry), header.value)
    except ValueError as error:
        raise FrameRejectedError(f"section {entry}: {error}") from error
    return area if area is None or header.grid is None else halve(area, header.shape)


def _read_area(entry: str, header: RawHeader) -> Area | None:
    area = _read_section(entry, header)
    if area is not None and not area.fits_in(header.shape):
        rows, columns = header.shape
        raise FrameRejectedError(f"section {entry} = {area} lies outside the image of {columns} x {rows} pixels")
    return area


def _find_area(entries: Sequence[str], header: RawHeader) -> Area | None:
    """Find the first section; a section written in the camera file must also fit the image, unless it is the last."""
    for n, entry in enumerate(entries, start=1):
        try:
            area = _read_area(entry, header)
        except FrameRejectedError:
            if n == len(entries) or not entry.startswith("["):
                raise
            continue
        if area is not None:
            return area
    return None


def _find_detector(entries: Sequence[str], header: RawHeader, image: Area, binning: tuple[int, int]) -> Area | None:
    """Find the first section of the detector that has the size of the image, else the last one."""
    chosen = None
    for entry in entries:
        area = _read_section(entry, header)
        if area is not None:
            chosen = area
            if all(
                abs(n * bins - m) < bins
                for n, bins, m in zip(image.shape[::-1], binning, area.shape[::-1], strict=True)
            ):
                break
    return chosen


_PAIR = re.compile(r"(\[[^\]]*\])(?: is (\[[^\]]*\]))?")


def find_size(area: str, binning: tuple[int, int]) -> tuple[int, int] | None:
    """Find rows and columns of the light-sensitive image of a frame.

    Parameters
    ----------
    area : str
        The `Sections` of its amplifiers as text.
    binning : (int, int)
        In x and y.

    Returns
    -------
    (int, int) or None
        None if the text names no section.

    Raises
    ------
    ValueError, FrameRejectedError
        If the text cannot be parsed.
    """
    pairs = [(parse_section(image), parse_section(detector)) for image, detector in _PAIR.findall(area)]
    images = [image for image, _ in pairs if image is not None]
    detectors = [detector for _, detector in pairs if detector is not None]
    if len(images) == 1:
        return images[0].shape
    return find_mosaic_shape(place_amplifiers(images, detectors, binning)) if images else None
