"""Geometry of the amplifiers of a frame, from its camera file and headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nightcal.detector.mosaic import find_mosaic_shape, place_amplifiers
from nightcal.errors import FrameRejectedError
from nightcal.io.colour_mosaic import halve
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area, parse_section, parse_zero_based
from nightcal.warning_names import Warn, ignore_warning, name_warning


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


def find_sections(
    rule: AmplifierRule, plane: RawHeader, binning: tuple[int, int], warn: Warn = ignore_warning
) -> Sections:
    """Find the geometry of an amplifier.

    Parameters
    ----------
    rule : AmplifierRule
    plane : RawHeader
        Of the amplifier's image plane.
    binning : (int, int)
        In x and y.
    warn : function
        Takes warnings about sections of the header that cannot be used.

    Returns
    -------
    Sections
        The image is the whole plane if no section is given.

    Raises
    ------
    FrameRejectedError
        If a section cannot be read or lies outside the image, and it matters: part of the plane is not image.
    """
    whole = Area(0, plane.shape[1], 0, plane.shape[0])
    image, *overscans = (_try_area(entries, plane, warn) for entries in (rule.image, *rule.overscan))
    problems = [found for found in (image, *overscans) if isinstance(found, FrameRejectedError)]
    if problems:
        trimmed = isinstance(image, Area) and image.shape != whole.shape
        entries = [entry for entries in (rule.image, *rule.overscan) for entry in entries]
        is_fixed = bool(rule.detector) or any(entry.startswith("[") for entry in entries)
        is_mosaic = plane.grid is not None
        if trimmed or is_fixed or is_mosaic or any(isinstance(found, Area) for found in overscans):
            raise problems[0]
        for problem in problems:
            warn(name_warning("unknown section", f"{problem}; the whole plane is taken as the image"))
    chosen = image if isinstance(image, Area) else whole
    detector = _find_detector(rule.detector, plane, chosen, binning)
    return Sections(chosen, tuple(area for area in overscans if isinstance(area, Area)), detector)


def _try_area(entries: Sequence[str], plane: RawHeader, warn: Warn) -> Area | FrameRejectedError | None:
    """Find the first section that can be used; if there is none, the reason."""
    try:
        return _find_area(entries, plane, warn)
    except FrameRejectedError as reason:
        return reason


def _read_section(entry: str, header: RawHeader) -> Area | None:
    try:
        area = parse_section(entry if entry.startswith("[") else header.value(entry), header.value)
    except ValueError as error:
        raise FrameRejectedError(f"section {entry}: {error}") from error
    return area if area is None or header.grid is None else halve(area, header.shape)


def _read_area(entry: str, header: RawHeader, warn: Warn) -> Area | None:
    try:
        area = _read_section(entry, header)
    except FrameRejectedError:
        area = None if entry.startswith("[") else parse_zero_based(header.value(entry), header.shape)
        if area is None:
            raise
        text = f"{entry} is {header.value(entry)!r}, counted from 0; {area} is used"
        warn(name_warning("section counted from 0", text))
    if area is not None and not area.fits_in(header.shape):
        rows, columns = header.shape
        raise FrameRejectedError(f"section {entry} = {area} lies outside the image of {columns} x {rows} pixels")
    return area


def _find_area(entries: Sequence[str], header: RawHeader, warn: Warn) -> Area | None:
    """Find the first section that can be read and fits the image; if there is none but bad ones, raise."""
    problem: FrameRejectedError | None = None
    for entry in entries:
        try:
            area = _read_area(entry, header, warn)
        except FrameRejectedError as reason:
            problem = reason if entry.startswith("[") else problem or reason
            continue
        if area is not None:
            if problem is not None and not entry.startswith("["):
                warn(name_warning("unknown section", f"{problem}; {entry} is used"))
            return area
    if problem is not None:
        raise problem
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
