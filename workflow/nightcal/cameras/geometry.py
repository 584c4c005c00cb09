"""Geometry of a frame's amplifiers, as a camera file and the headers of its planes tell it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightcal.detector.mosaic import extent, place
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area, parse_section


@dataclass(frozen=True, slots=True)
class AmplifierRule:
    """What a camera file says of one amplifier.

    Attributes
    ----------
    plane : int
        Which image plane of the file holds it, from 0.
    image, detector : tuple of str
        Cards or sections: the light-sensitive pixels, and what they are on the detector. The first that fits counts.
    overscan : tuple of tuple of str
        For each overscan area, cards or sections of which the first that fits counts.
    gain, read_noise, saturation : float or None
        As for a `Camera`, used where the header has none.
    polynomial : tuple of float
        Correction for non-linearity, as `nightcal.detector.linearity.linearise` takes it.
    from_right, from_top : bool
        Whether the plane is stored with what is read first at the right or at the top.
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
    """Geometry of one amplifier of a frame: areas of its image plane, and what it saw of the detector."""

    image: Area
    overscans: tuple[Area, ...]
    detector: Area | None

    def __str__(self) -> str:
        return str(self.image) if self.detector is None else f"{self.image} is {self.detector}"


def sections_of(rule: AmplifierRule, plane: RawHeader, binning: tuple[int, int]) -> Sections:
    """Find the geometry of one amplifier.

    Parameters
    ----------
    rule : AmplifierRule
    plane : RawHeader
        Of the image plane that holds it.
    binning : (int, int)
        In x and y.

    Returns
    -------
    Sections
        The whole plane where nothing tells of light-sensitive pixels; overscan areas are possibly none.

    Raises
    ------
    FrameRejectedError
        If a section cannot be read or lies outside the image.
    """
    image = _first_area(rule.image, plane) or Area(0, plane.shape[1], 0, plane.shape[0])
    overscans = (_first_area(entries, plane) for entries in rule.overscan)
    seen = _first_detector(rule.detector, plane, image, binning)
    return Sections(image, tuple(area for area in overscans if area is not None), seen)


def _section(entry: str, header: RawHeader) -> Area | None:
    try:
        return parse_section(entry if entry.startswith("[") else header.value(entry), header.value)
    except ValueError as error:
        raise FrameRejectedError(f"the section {entry}: {error}") from error


def _area(entry: str, header: RawHeader) -> Area | None:
    area = _section(entry, header)
    if area is not None and not area.fits_in(header.shape):
        rows, columns = header.shape
        raise FrameRejectedError(f"the section {entry} = {area} lies outside the image of {columns} x {rows} pixels")
    return area


def _first_area(entries: Sequence[str], header: RawHeader) -> Area | None:
    """Take the first section that is there; of those that a camera file writes out, the first that fits the image."""
    for n, entry in enumerate(entries, start=1):
        try:
            area = _area(entry, header)
        except FrameRejectedError:
            if n == len(entries) or not entry.startswith("["):
                raise
            continue
        if area is not None:
            return area
    return None


def _first_detector(entries: Sequence[str], header: RawHeader, image: Area, binning: tuple[int, int]) -> Area | None:
    """Take the first section of the detector that has the size of the image, else the last that is there."""
    found = None
    for entry in entries:
        area = _section(entry, header)
        if area is not None:
            found = area
            if all(
                abs(n * bins - m) < bins
                for n, bins, m in zip(image.shape[::-1], binning, area.shape[::-1], strict=True)
            ):
                break
    return found


_PAIR = re.compile(r"(\[[^\]]*\])(?: is (\[[^\]]*\]))?")


def size_of(area: str, binning: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of the light-sensitive image of a frame.

    Parameters
    ----------
    area : str
        Its `Sections` in words, one after the other.
    binning : (int, int)
        In x and y.

    Returns
    -------
    (int, int) or None
        None where nothing is told.

    Raises
    ------
    ValueError, FrameRejectedError
        If the words are none of ours.
    """
    found = [(parse_section(image), parse_section(detector)) for image, detector in _PAIR.findall(area)]
    images = [image for image, _ in found if image is not None]
    detectors = [detector for _, detector in found if detector is not None]
    if len(images) == 1:
        return images[0].shape
    return extent(place(images, detectors, binning)) if images else None
