"""Simulate the readout that a camera file describes: from electrons to a raw file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from nightcal.cameras.camera import Camera, Patterns
from nightcal.cameras.crosstalk_cards import name_crosstalk_card
from nightcal.cameras.geometry import AmplifierRule, Sections
from nightcal.detector.crosstalk import Order, read_together
from nightcal.detector.linearity import linearise
from nightcal.detector.mosaic import Place, find_mosaic_shape, place_amplifiers
from nightcal.errors import ConfigurationError, FrameRejectedError
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area, parse_section

Floats = NDArray[np.float64]
Raw = NDArray[np.uint16]
Cards = dict[str, Any]

OVERSCAN = 32
STUCK_ADU = 65535
SATURATION = 60000.0
"""[ADU] Written to the keyword, if the camera has one; else that of the camera file, or of 16-bit integers."""

GHOST = 0.0006
"""Crosstalk between neighbouring amplifiers, if the camera has any."""

ROUNDS = 6
"""Rounds of Newton's method: more than enough for a non-linearity of a tenth."""

CORNERS = ((False, False), (True, False), (True, True), (False, True))
"""Whether amplifiers 1 to 4 are mirrored in x and y."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedCamera:
    """A camera whose raw frames match a camera file.

    Attributes
    ----------
    camera : Camera
    common : dict
        Keywords of every frame, in the primary header.
    own : tuple of dict
        Keywords of each image plane.
    plane_shape : (int, int)
        Rows and columns of a plane as read out.
    cube : bool
        Whether the planes form a cube; else each has an extension.
    sections : tuple of Sections
    places : tuple of Place
        Position of each amplifier in the mosaic.
    gains, read_noises, levels : tuple of float
        [e-/ADU], [e-], [ADU] of each amplifier.
    saturation : float
        Largest raw value [ADU].
    crosstalk : ndarray, shape (n, n)
        Fraction of the signal of amplifier ``row`` that appears on ``column``.
    """

    camera: Camera
    common: Cards
    own: tuple[Cards, ...]
    plane_shape: tuple[int, int]
    cube: bool
    sections: tuple[Sections, ...]
    places: tuple[Place, ...]
    gains: tuple[float, ...]
    read_noises: tuple[float, ...]
    levels: tuple[float, ...]
    saturation: float
    crosstalk: Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the detector, binned."""
        return find_mosaic_shape(self.places)

    def digitise(self, electrons: Floats, rng: np.random.Generator, drift: float = 0.0, stuck: Any = False) -> Raw:
        """Read out an exposure.

        Parameters
        ----------
        electrons : ndarray, shape (ny, nx)
            Charge of each pixel of the detector, with the bias structure [e-].
        rng : numpy.random.Generator
        drift : float
            Added to the bias level of every amplifier [ADU].
        stuck : ndarray of bool, shape (ny, nx)
            Pixels that read 65535.

        Returns
        -------
        ndarray of uint16, shape (planes, rows, columns)
            [ADU]
        """
        planes = np.zeros((len(self.own), *self.plane_shape))
        for n, (rule, sections, where) in enumerate(self._list_parts()):
            noise = np.sqrt(self.read_noises[n] ** 2 - self.gains[n] ** 2 / 12)
            plane = planes[rule.plane]
            region = self._find_region(n)
            plane[region.slices] = rng.normal(0, noise / self.gains[n], region.shape)
            signal = _turn(electrons[where.area.slices], where) / self.gains[n]
            plane[sections.image.slices] += _bend(signal, rule.polynomial)
        seen = np.minimum(planes, self.saturation - max(self.levels) - drift)
        for n, bad in enumerate(self._find_in_planes(stuck)):
            seen[bad] = STUCK_ADU - self.levels[n] - drift
        for i, j in permutations(range(len(self.places)), 2):
            if self.crosstalk[i, j]:
                self._add_ghost(seen, planes, i, j)
        for n in range(len(self.places)):
            planes[self.camera.amplifiers[n].plane][self._find_region(n).slices] += self.levels[n] + drift
        raw = np.clip(np.rint(planes), 0, self.saturation).astype(np.uint16)
        for bad in self._find_in_planes(stuck):
            raw[bad] = STUCK_ADU
        return raw

    def _find_in_planes(self, pixels: Any) -> Iterator[NDArray[np.bool_]]:
        """Find pixels of the detector in the planes, amplifier by amplifier."""
        for rule, sections, where in self._list_parts():
            found = np.zeros((len(self.own), *self.plane_shape), dtype=bool)
            found[rule.plane][sections.image.slices] = _turn(
                np.broadcast_to(pixels, self.shape)[where.area.slices], where
            )
            yield found

    def _list_parts(self) -> list[tuple[AmplifierRule, Sections, Place]]:
        return list(zip(self.camera.amplifiers, self.sections, self.places, strict=True))

    def _find_region(self, number: int) -> Area:
        """Find the region an amplifier reads: its whole plane, or its image and overscan if it shares the plane."""
        planes = [rule.plane for rule in self.camera.amplifiers]
        if planes.count(planes[number]) == 1:
            return Area(0, self.plane_shape[1], 0, self.plane_shape[0])
        areas = [self.sections[number].image, *self.sections[number].overscans]
        return Area(
            min(a.xmin for a in areas),
            max(a.xmax for a in areas),
            min(a.ymin for a in areas),
            max(a.ymax for a in areas),
        )

    def _find_order(self, number: int) -> Order:
        rule = self.camera.amplifiers[number]
        shared = [other.plane for other in self.camera.amplifiers].count(rule.plane) > 1
        region = self.sections[number].image if shared else self._find_region(number)
        return Order(region, rule.from_right, rule.from_top)

    def _add_ghost(self, seen: Floats, planes: Floats, source: int, target: int) -> None:
        """Add the crosstalk of one amplifier to the pixels that another reads at the same time."""
        there = self.sections[source].image
        here = read_together(there, self._find_order(source), self._find_order(target))
        ghost = seen[self.camera.amplifiers[source].plane][there.slices]
        ghost = ghost[:: -1 if here.flip_y else 1, :: -1 if here.flip_x else 1]
        inside = Area(
            max(0, here.xmin),
            min(self.plane_shape[1], here.xmax),
            max(0, here.ymin),
            min(self.plane_shape[0], here.ymax),
        )
        cut = (
            slice(inside.ymin - here.ymin, inside.ymax - here.ymin),
            slice(inside.xmin - here.xmin, inside.xmax - here.xmin),
        )
        planes[self.camera.amplifiers[target].plane][inside.slices] += self.crosstalk[source, target] * ghost[cut]

    def write(self, path: Path, raw: Raw, kind: str, exposure_time: float, start_utc: datetime, **others: Any) -> None:
        """Write a raw frame with the keywords of the camera.

        Parameters
        ----------
        path : Path
            Replaced if it exists; its folder must exist.
        raw : ndarray of uint16, shape (planes, rows, columns)
            From `digitise`.
        kind : str
            ``bias``, ``dark``, ``flat`` or ``science``.
        exposure_time : float
            [s]
        start_utc : datetime
            Without a time zone.
        **others
            Values for other roles of the camera file, such as ``filter`` and ``object``.
        """
        values = {"exposure": exposure_time, "start": start_utc.isoformat(timespec="milliseconds"), **others}
        cards = self.common | _make_role_keywords(self.camera, values) | _make_kind_keywords(self.camera, kind)
        header = fits.Header(list(cards.items()))
        if len(self.own) == 1 or self.cube:
            header.update(self.own[0] if len(self.own) == 1 else {})
            hdus = [fits.PrimaryHDU(raw if self.cube else raw[0], header)]
        else:
            extensions = zip(raw, self.own, strict=True)
            hdus = [
                fits.PrimaryHDU(header=header),
                *(fits.ImageHDU(p, fits.Header(list(c.items()))) for p, c in extensions),
            ]
        fits.HDUList(hdus).writeto(path, overwrite=True)


def simulate_camera(camera: Camera, size: int, binning: tuple[int, int] = (1, 1)) -> SimulatedCamera:
    """Simulate a camera from its camera file.

    Parameters
    ----------
    camera : Camera
        Sections given as numbers are kept; keywords for sections are filled in.
    size : int
        Light-sensitive pixels of each amplifier in x and y, if read from keywords.
    binning : (int, int)

    Returns
    -------
    SimulatedCamera
        With the gain and read noise of the camera file; if it gives none, or keywords, the gains of successive
        amplifiers differ by 5 percent.

    Raises
    ------
    ConfigurationError
        If the camera file would not accept the simulated frames.
    """
    count = len(camera.amplifiers)
    planes = max(rule.plane for rule in camera.amplifiers) + 1
    cube = any(3 in patterns.get("NAXIS", ()) for patterns in camera.recognise)
    gains = tuple((camera.gain or 1.5) * (1 + 0.05 * n) for n in range(count))
    read_noises = tuple((camera.read_noise or 6.0) + (0.0 if cube else 0.3 * n) for n in range(count))
    plane_shape = _find_plane_shape(camera, size, binning)
    own = tuple(_make_plane_keywords(camera, n, size, plane_shape, binning) for n in range(planes))
    if planes > 1 and not cube:
        for n, cards in enumerate(own):
            cards.update(_make_role_keywords(camera, {"gain": gains[n], "read_noise": read_noises[n]}))
    common = _make_camera_keywords(camera) | _make_role_keywords(
        camera, {"saturation": SATURATION, "longitude": -70.0, "set_temperature": -30.0}
    )
    if planes == 1 or cube:
        listed = "[" + ",".join(f"{gain:g}" for gain in gains) + "]"
        common |= _make_role_keywords(
            camera, {"gain": gains[0] if count == 1 else listed, "read_noise": read_noises[0]}
        )
    else:
        common |= _make_role_keywords(camera, {"gain": 0.0})
    common |= _make_binning_keywords(camera, binning)
    for name in _find_names_in_sections(camera):
        common.setdefault(name, OVERSCAN if name != "ROVER" else 0)
    common |= {
        name_crosstalk_card(camera.crosstalk_cards, i + 1, j + 1): (GHOST if _are_neighbours(i, j) else 0.0)
        for i, j in permutations(range(count), 2)
        if camera.crosstalk_cards
    }
    header = _make_header(common, own, plane_shape, cube)
    try:
        sections, crosstalk = camera.sections(header), camera.read_crosstalk(header)
        known = [camera.read_gain_and_noise(header, n) for n in range(count)]
        limits = [camera.saturation_level(header, n) or STUCK_ADU for n in range(count)]
        alone = count == 1 and sections[0].detector is None
        detectors = [section.detector or section.image for section in sections]
        places = place_amplifiers([section.image for section in sections], detectors, (1, 1) if alone else binning)
    except FrameRejectedError as reason:
        raise ConfigurationError(f"{camera.path}: cannot simulate a frame: {reason}.") from reason
    table = np.array(crosstalk, float) if crosstalk else np.zeros((count, count))
    gains = tuple(gain or own_gain for (gain, _), own_gain in zip(known, gains, strict=True))
    read_noises = tuple(noise or own_noise for (_, noise), own_noise in zip(known, read_noises, strict=True))
    levels = tuple(1000.0 + 20 * n for n in range(count))
    limit = float(min(STUCK_ADU, *limits))
    made = SimulatedCamera(
        camera, common, own, plane_shape, cube, sections, places, gains, read_noises, levels, limit, table
    )
    _check_frames(made)
    return made


def _check_frames(made: SimulatedCamera) -> None:
    """Check that the camera file recognises simulated frames and their types."""
    camera = made.camera
    for kind in ("bias", "dark", "flat", "science"):
        exposure = 0.0 if kind == "bias" else 10.0
        cards = made.common | _make_role_keywords(camera, {"exposure": exposure}) | _make_kind_keywords(camera, kind)
        header = _make_header(cards, made.own, made.plane_shape, made.cube)
        found = camera.kind(header)
        if found != kind or (camera.recognise and not camera.recognises(header)):
            raise ConfigurationError(f"{camera.path}: a simulated {kind} frame is taken for {found}; check its types.")


def _make_header(common: Cards, own: Sequence[Cards], shape: tuple[int, int], cube: bool) -> RawHeader:
    """Make the header that a reader of such a file would get."""
    axes = {"NAXIS": 3 if cube else 2, "NAXIS1": shape[1], "NAXIS2": shape[0]}
    planes = tuple(
        RawHeader(fits.Header(list((common | cards | axes).items())), 0, shape, n) for n, cards in enumerate(own)
    )
    return planes[0] if len(planes) == 1 else RawHeader(planes[0].cards, 0, shape, planes=planes)


def _find_plane_shape(camera: Camera, size: int, binning: tuple[int, int]) -> tuple[int, int]:
    """Find the rows and columns of a plane: large enough for the sections given as numbers."""
    rows = columns = 0
    for rule in camera.amplifiers:
        if not rule.image or _parse_numbers(rule.image[0]) is None:
            rows, columns = size, size + OVERSCAN * bool(rule.image)
    for rule in camera.amplifiers:
        which = _choose_section(rule, binning)
        for entries in (rule.image, *rule.overscan):
            area = _parse_numbers(entries[min(which, len(entries) - 1)]) if entries else None
            if area is not None:
                rows, columns = max(rows, area.ymax), max(columns, area.xmax)
    return rows, columns


def _choose_section(rule: AmplifierRule, binning: tuple[int, int]) -> int:
    """Choose the image section that, with binning, matches the detector section in size; else the first."""
    seen = [area.shape for entry in rule.detector if (area := _parse_numbers(entry)) is not None]
    for n, entry in enumerate(rule.image):
        area = _parse_numbers(entry)
        if area is not None and (area.shape[0] * binning[1], area.shape[1] * binning[0]) in seen:
            return n
    return 0


def _parse_numbers(entry: str) -> Area | None:
    """Parse a section of numbers; None for a keyword, or a section with keywords."""
    return parse_section(entry) if re.fullmatch(r"\[[\d:,]+\]", entry) else None


def _make_plane_keywords(
    camera: Camera, plane: int, size: int, shape: tuple[int, int], binning: tuple[int, int]
) -> Cards:
    """Make the keywords of a plane's sections."""
    cards: Cards = {}
    across, along = size * binning[0], size * binning[1]
    for n, rule in enumerate(camera.amplifiers):
        if rule.plane != plane:
            continue
        back_x, back_y = CORNERS[n % len(CORNERS)] if len(camera.amplifiers) > 1 else (False, False)
        x = (2 * across, across + 1) if back_x else (1, across)
        y = (2 * along, along + 1) if back_y else (1, along)
        for entries, section in (
            (rule.image, f"[1:{size},1:{size}]"),
            (rule.detector, f"[{x[0]}:{x[1]},{y[0]}:{y[1]}]"),
            *((one, f"[{size + 1}:{shape[1]},1:{size}]" if rule.image else "UNKNOWN") for one in rule.overscan),
        ):
            cards |= {name: section for name in entries[:1] if not name.startswith("[")}
    return cards


def _find_names_in_sections(camera: Camera) -> set[str]:
    """Find the keywords within sections, as in ``[1:NAXIS1-COVER,1:NAXIS2]``."""
    texts = [
        text
        for rule in camera.amplifiers
        for entries in (rule.image, rule.detector, *rule.overscan)
        for text in entries
        if text.startswith("[")
    ]
    return {name for text in texts for name in re.findall(r"[A-Z][A-Z0-9_]*", text)} - {"NAXIS1", "NAXIS2"}


def _make_role_keywords(camera: Camera, values: Mapping[str, Any]) -> Cards:
    """Make the keywords for values of the roles in the camera file."""
    return {camera.cards[role][0]: value for role, value in values.items() if camera.cards.get(role)}


def _make_camera_keywords(camera: Camera) -> Cards:
    """Make keywords by which the camera is recognised."""
    return _make_matching_keywords(camera, camera.recognise[0]) if camera.recognise else {"INSTRUME": "Simulated CCD"}


def _make_kind_keywords(camera: Camera, kind: str) -> Cards:
    """Make the keywords for a kind of frame, by the first rule for this kind."""
    rule = next((patterns for name, patterns in camera.types if name == kind), None)
    return {} if rule is None else _make_matching_keywords(camera, rule)


def _make_matching_keywords(camera: Camera, patterns: Patterns) -> Cards:
    """Make keywords that match patterns."""
    cards: Cards = {}
    for name, wanted in patterns.items():
        card = camera.cards[name][0] if name in camera.cards else name
        if name != "planes" and card != "NAXIS" and wanted[0] is not None:
            value = wanted[0]
            cards[card] = value.replace("*", "").replace("?", "0").upper() if isinstance(value, str) else value
    return cards


def _make_binning_keywords(camera: Camera, binning: tuple[int, int]) -> Cards:
    """Make the keywords of the binning."""
    if not camera.binning:
        return {}
    names = camera.binning[0]
    return {names[0]: f"{binning[0]} {binning[1]}"} if len(names) == 1 else dict(zip(names, binning, strict=True))


def _are_neighbours(one: int, other: int) -> bool:
    """Check that two amplifiers are neighbours."""
    return one // 2 == other // 2


def _bend(signal: Floats, coefficients: Sequence[float]) -> Floats:
    """Apply the non-linearity: invert `nightcal.detector.linearity.linearise` by Newton's method."""
    if not coefficients:
        return signal
    wanted = np.minimum(signal, 2 * SATURATION)
    seen = wanted.copy()
    for _ in range(ROUNDS):
        corrected, slope = linearise(seen, coefficients)
        seen -= (corrected - wanted) / slope
    return seen


def _turn(image: NDArray[Any], where: Place) -> NDArray[Any]:
    """Flip an image as its amplifier reads it."""
    return image[:: -1 if where.flip_y else 1, :: -1 if where.flip_x else 1]
