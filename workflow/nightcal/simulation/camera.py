"""A detector read out the way a camera file describes: the steps from electrons to a raw file, in reverse."""

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

from nightcal.cameras.camera import Camera, Patterns, name_crosstalk_card
from nightcal.cameras.geometry import AmplifierRule, Sections
from nightcal.detector.crosstalk import Order, read_together
from nightcal.detector.linearity import linearise
from nightcal.detector.mosaic import Place, extent, place
from nightcal.errors import ConfigurationError, FrameRejectedError
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area, parse_section

Floats = NDArray[np.float64]
Raw = NDArray[np.uint16]
Cards = dict[str, Any]

OVERSCAN = 32
STUCK_ADU = 65535
SATURATION = 60000.0
"""[ADU] Where a card tells it; else what the camera file says, or all that the integers hold."""

GHOST = 0.0006
"""Crosstalk between neighbours where a camera has any."""

ROUNDS = 6
"""Of Newton's method: more than enough for a response that is bent by a tenth."""

CORNERS = ((False, False), (True, False), (True, True), (False, True))
"""Whether amplifiers 1 to 4 read backwards in x and y."""


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedCamera:
    """A camera whose raw frames a camera file understands.

    Attributes
    ----------
    camera : Camera
    common : dict
        Cards of every frame, in the primary header.
    own : tuple of dict
        Cards of each image plane.
    plane_shape : (int, int)
        Rows and columns of a plane as read out.
    cube : bool
        Whether planes are those of a cube; else each has an extension.
    sections : tuple of Sections
    places : tuple of Place
        Of each amplifier in the mosaic.
    gains, read_noises, levels : tuple of float
        [e-/ADU], [e-], [ADU] of each amplifier.
    saturation : float
        Raw values go no further [ADU].
    crosstalk : ndarray, shape (n, n)
        Share of the signal of amplifier ``row`` that appears on ``column``.
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
        return extent(self.places)

    def digitise(self, electrons: Floats, rng: np.random.Generator, drift: float = 0.0, stuck: Any = False) -> Raw:
        """Read an exposure out.

        Parameters
        ----------
        electrons : ndarray, shape (ny, nx)
            What the pixels of the detector hold, bias structure and all [e-].
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
        for n, (rule, sections, where) in enumerate(self._parts()):
            noise = np.sqrt(self.read_noises[n] ** 2 - self.gains[n] ** 2 / 12)
            plane = planes[rule.plane]
            region = self._region(n)
            plane[region.slices] = rng.normal(0, noise / self.gains[n], region.shape)
            light = _turned(electrons[where.area.slices], where) / self.gains[n]
            plane[sections.image.slices] += _bent(light, rule.polynomial)
        seen = np.minimum(planes, self.saturation - max(self.levels) - drift)
        for n, bad in enumerate(self._stored(stuck)):
            seen[bad] = STUCK_ADU - self.levels[n] - drift
        for i, j in permutations(range(len(self.places)), 2):
            if self.crosstalk[i, j]:
                self._add_ghost(seen, planes, i, j)
        for n in range(len(self.places)):
            planes[self.camera.amplifiers[n].plane][self._region(n).slices] += self.levels[n] + drift
        raw = np.clip(np.rint(planes), 0, self.saturation).astype(np.uint16)
        for bad in self._stored(stuck):
            raw[bad] = STUCK_ADU
        return raw

    def _stored(self, pixels: Any) -> Iterator[NDArray[np.bool_]]:
        """Find some pixels of the detector in the planes, amplifier by amplifier."""
        for rule, sections, where in self._parts():
            found = np.zeros((len(self.own), *self.plane_shape), dtype=bool)
            found[rule.plane][sections.image.slices] = _turned(
                np.broadcast_to(pixels, self.shape)[where.area.slices], where
            )
            yield found

    def _parts(self) -> list[tuple[AmplifierRule, Sections, Place]]:
        return list(zip(self.camera.amplifiers, self.sections, self.places, strict=True))

    def _region(self, number: int) -> Area:
        """Pixels that an amplifier reads: its whole plane, or its image and overscan where it shares the plane."""
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

    def _order(self, number: int) -> Order:
        rule = self.camera.amplifiers[number]
        shared = [other.plane for other in self.camera.amplifiers].count(rule.plane) > 1
        region = self.sections[number].image if shared else self._region(number)
        return Order(region, rule.from_right, rule.from_top)

    def _add_ghost(self, seen: Floats, planes: Floats, source: int, target: int) -> None:
        """Add the signal of one amplifier to the pixels that another reads at the same time."""
        there = self.sections[source].image
        here = read_together(there, self._order(source), self._order(target))
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

    def write(self, path: Path, raw: Raw, kind: str, exposure_time: float, start_utc: datetime, **said: Any) -> None:
        """Write a raw frame with the header words of the camera.

        Parameters
        ----------
        path : Path
            Replaced if it exists; its folder must exist.
        raw : ndarray of uint16, shape (planes, rows, columns)
            As `digitise` gives it.
        kind : str
            ``bias``, ``dark``, ``flat`` or ``science``.
        exposure : float
            [s]
        start_utc : datetime
            Without a time zone.
        **said
            Values for other roles of the camera file, such as ``filter`` and ``object``.
        """
        values = {"exposure": exposure_time, "start": start_utc.isoformat(timespec="milliseconds"), **said}
        cards = self.common | _roles(self.camera, values) | _kind(self.camera, kind)
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
    """Build a camera that a camera file describes.

    Parameters
    ----------
    camera : Camera
        Sections that the file writes out are kept; cards that hold sections are given some.
    size : int
        Light-sensitive pixels of each amplifier, in x and y, where cards tell them.
    binning : (int, int)

    Returns
    -------
    SimulatedCamera
        Its amplifiers have the gain and read noise of the camera file; where that tells none, or names cards, their
        gains differ by 5 percent each.

    Raises
    ------
    ConfigurationError
        If frames of such a camera would not be understood.
    """
    count = len(camera.amplifiers)
    planes = max(rule.plane for rule in camera.amplifiers) + 1
    cube = any(3 in patterns.get("NAXIS", ()) for patterns in camera.recognise)
    gains = tuple((camera.gain or 1.5) * (1 + 0.05 * n) for n in range(count))
    read_noises = tuple((camera.read_noise or 6.0) + (0.0 if cube else 0.3 * n) for n in range(count))
    plane_shape = _plane_shape(camera, size, binning)
    own = tuple(_plane_cards(camera, n, size, plane_shape, binning) for n in range(planes))
    if planes > 1 and not cube:
        for n, cards in enumerate(own):
            cards.update(_roles(camera, {"gain": gains[n], "read_noise": read_noises[n]}))
    common = _satisfying(camera) | _roles(
        camera, {"saturation": SATURATION, "longitude": -70.0, "set_temperature": -30.0}
    )
    if planes == 1 or cube:
        listed = "[" + ",".join(f"{gain:g}" for gain in gains) + "]"
        common |= _roles(camera, {"gain": gains[0] if count == 1 else listed, "read_noise": read_noises[0]})
    else:
        common |= _roles(camera, {"gain": 0.0})
    common |= _binning_cards(camera, binning)
    for name in _names_in_sections(camera):
        common.setdefault(name, OVERSCAN if name != "ROVER" else 0)
    common |= {
        name_crosstalk_card(camera.crosstalk_cards, i + 1, j + 1): (GHOST if _neighbours(i, j) else 0.0)
        for i, j in permutations(range(count), 2)
        if camera.crosstalk_cards
    }
    header = _header(common, own, plane_shape, cube)
    try:
        sections, crosstalk = camera.sections(header), camera.read_crosstalk(header)
        told = [camera.read_gain_and_noise(header, n) for n in range(count)]
        limits = [camera.saturation_level(header, n) or STUCK_ADU for n in range(count)]
        alone = count == 1 and sections[0].detector is None
        detectors = [section.detector or section.image for section in sections]
        places = place([section.image for section in sections], detectors, (1, 1) if alone else binning)
    except FrameRejectedError as reason:
        raise ConfigurationError(f"{camera.path}: no frame of it can be simulated: {reason}.") from reason
    table = np.array(crosstalk, float) if crosstalk else np.zeros((count, count))
    gains = tuple(gain or own_gain for (gain, _), own_gain in zip(told, gains, strict=True))
    read_noises = tuple(noise or own_noise for (_, noise), own_noise in zip(told, read_noises, strict=True))
    levels = tuple(1000.0 + 20 * n for n in range(count))
    limit = float(min(STUCK_ADU, *limits))
    made = SimulatedCamera(
        camera, common, own, plane_shape, cube, sections, places, gains, read_noises, levels, limit, table
    )
    _check_understood(made, header)
    return made


def _check_understood(made: SimulatedCamera, header: RawHeader) -> None:
    camera = made.camera
    for kind in ("bias", "dark", "flat", "science"):
        exposure = 0.0 if kind == "bias" else 10.0
        cards = made.common | _roles(camera, {"exposure": exposure}) | _kind(camera, kind)
        header = _header(cards, made.own, made.plane_shape, made.cube)
        found = camera.kind(header)
        if found != kind or (camera.recognise and not camera.recognises(header)):
            raise ConfigurationError(f"{camera.path}: its rules read a simulated {kind} frame as {found}.")


def _header(common: Cards, own: Sequence[Cards], shape: tuple[int, int], cube: bool) -> RawHeader:
    """Give what a reader of such a file would find."""
    axes = {"NAXIS": 3 if cube else 2, "NAXIS1": shape[1], "NAXIS2": shape[0]}
    planes = tuple(
        RawHeader(fits.Header(list((common | cards | axes).items())), 0, shape, n) for n, cards in enumerate(own)
    )
    return planes[0] if len(planes) == 1 else RawHeader(planes[0].cards, 0, shape, planes=planes)


def _plane_shape(camera: Camera, size: int, binning: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns as read out: room for the sections that a camera file writes out in numbers."""
    rows = columns = 0
    for rule in camera.amplifiers:
        if not rule.image or _written_out(rule.image[0]) is None:
            rows, columns = size, size + OVERSCAN * bool(rule.image)
    for rule in camera.amplifiers:
        which = _alternative(rule, binning)
        for entries in (rule.image, *rule.overscan):
            area = _written_out(entries[min(which, len(entries) - 1)]) if entries else None
            if area is not None:
                rows, columns = max(rows, area.ymax), max(columns, area.xmax)
    return rows, columns


def _alternative(rule: AmplifierRule, binning: tuple[int, int]) -> int:
    """Choose the image section that, binned, is as large as what the amplifier sees of the detector; else the first."""
    seen = [area.shape for entry in rule.detector if (area := _written_out(entry)) is not None]
    for n, entry in enumerate(rule.image):
        area = _written_out(entry)
        if area is not None and (area.shape[0] * binning[1], area.shape[1] * binning[0]) in seen:
            return n
    return 0


def _written_out(entry: str) -> Area | None:
    """Area of a section in numbers; None for a card, or one with cards in it."""
    return parse_section(entry) if re.fullmatch(r"\[[\d:,]+\]", entry) else None


def _plane_cards(camera: Camera, plane: int, size: int, shape: tuple[int, int], binning: tuple[int, int]) -> Cards:
    """Sections of a plane, for the cards that the camera file names."""
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


def _names_in_sections(camera: Camera) -> set[str]:
    """Cards that stand in sections as numbers, as in ``[1:NAXIS1-COVER,1:NAXIS2]``."""
    texts = [
        text
        for rule in camera.amplifiers
        for entries in (rule.image, rule.detector, *rule.overscan)
        for text in entries
        if text.startswith("[")
    ]
    return {name for text in texts for name in re.findall(r"[A-Z][A-Z0-9_]*", text)} - {"NAXIS1", "NAXIS2"}


def _roles(camera: Camera, values: Mapping[str, Any]) -> Cards:
    """Cards that hold values, for the roles that a camera file knows."""
    return {camera.cards[role][0]: value for role, value in values.items() if camera.cards.get(role)}


def _satisfying(camera: Camera) -> Cards:
    return _agreeing(camera, camera.recognise[0]) if camera.recognise else {"INSTRUME": "Simulated CCD"}


def _kind(camera: Camera, kind: str) -> Cards:
    """Cards that make a frame one of a kind, by the first rule for that kind."""
    rule = next((patterns for name, patterns in camera.types if name == kind), None)
    return {} if rule is None else _agreeing(camera, rule)


def _agreeing(camera: Camera, patterns: Patterns) -> Cards:
    """Cards that agree with patterns."""
    cards: Cards = {}
    for name, wanted in patterns.items():
        card = camera.cards[name][0] if name in camera.cards else name
        if name != "planes" and card != "NAXIS" and wanted[0] is not None:
            value = wanted[0]
            cards[card] = value.replace("*", "").replace("?", "0").upper() if isinstance(value, str) else value
    return cards


def _binning_cards(camera: Camera, binning: tuple[int, int]) -> Cards:
    if not camera.binning:
        return {}
    names = camera.binning[0]
    return {names[0]: f"{binning[0]} {binning[1]}"} if len(names) == 1 else dict(zip(names, binning, strict=True))


def _neighbours(one: int, other: int) -> bool:
    return one // 2 == other // 2


def _bent(signal: Floats, coefficients: Sequence[float]) -> Floats:
    """Find what `nightcal.detector.linearity.linearise` turns into a signal, by Newton's method."""
    if not coefficients:
        return signal
    wanted = np.minimum(signal, 2 * SATURATION)
    seen = wanted.copy()
    for _ in range(ROUNDS):
        corrected, slope = linearise(seen, coefficients)
        seen -= (corrected - wanted) / slope
    return seen


def _turned(image: NDArray[Any], where: Place) -> NDArray[Any]:
    return image[:: -1 if where.flip_y else 1, :: -1 if where.flip_x else 1]
