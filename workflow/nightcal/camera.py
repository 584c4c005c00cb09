"""Camera files, and what a raw header of a camera means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

from nightcal.detector.mosaic import extent, place
from nightcal.errors import ConfigurationError, SetAside
from nightcal.headers import RawHeader, Value
from nightcal.sections import Area, parse_section
from nightcal.validation import check, read_yaml

SCHEMA = Path(__file__).parents[1] / "schemas" / "camera.schema.yaml"

ROLES = (
    "type", "object", "exposure", "filter", "start", "start_time", "set_temperature", "temperature",
    "instrument", "gain", "read_noise", "saturation", "linearity", "longitude", "ra", "dec",
)  # fmt: skip
"""What a camera file may name cards for, the first card that has a value serving."""

MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)
LONGEST_EXPOSURE = 86400.0
SMALLEST_GAIN, LARGEST_GAIN = 1e-4, 100.0

_TIME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})[T ]\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?\s*(?:Z|\+00:?00)?")
_SEXAGESIMAL = re.compile(
    r"([+-]?)\s*(\d+(?:\.\d+)?)[\s:dh]+(\d+(?:\.\d+)?)(?:[\s:m']+(\d+(?:\.\d+)?))?[\s\"s]*([EW]?)"
)

Patterns = Mapping[str, tuple[str | float | None, ...]]
"""Card or role names, each with the values one of which it must have."""


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
    ValueError, SetAside
        If the words are none of ours.
    """
    found = [(parse_section(image), parse_section(detector)) for image, detector in _PAIR.findall(area)]
    images = [image for image, _ in found if image is not None]
    detectors = [detector for _, detector in found if detector is not None]
    if len(images) == 1:
        return images[0].shape
    return extent(place(images, detectors, binning)) if images else None


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera file.

    Attributes
    ----------
    name, title : str
    path : Path
        Where it was read.
    recognise : tuple of Patterns
        A header that agrees with any of these is of this camera.
    cards : mapping of str to tuple of str
        For each role, the cards that may hold it.
    binning : tuple of tuple of str
        Pairs of cards, or single cards that hold both numbers.
    mode : tuple of str
        Cards whose values together name the readout mode; only frames of equal mode are calibrated together.
    types : tuple of (str, Patterns)
        Rules, the first that agrees decides.
    light : tuple of (str, Patterns)
        Rules for flats: `twilight` or `dome`; the first that agrees decides.
    gain, read_noise, saturation, linearity, longitude : float or None
        [e-/ADU], [e-], [ADU], [ADU], [deg east]: used where the header has none.
    amplifiers : tuple of AmplifierRule
        One or more. Sections are cards or sections: of ``image`` and ``detector`` the first that is there and fits is
        taken, of ``overscan`` all that are there.
    overscan_method : str
        Name of a method of `nightcal.OverscanMethods`.
    crosstalk_cards : str
        Name of the cards with the share of the signal of amplifier ``{from}`` that appears on ``{on}``; empty for none.
    crosstalk : tuple of tuple of float
        The same where the header has none: row ``from``, column ``on``; empty for none.
    scale_with_binning : tuple of str
        Numbers of the camera file that are multiplied by the pixels in a bin: ``gain``, ``saturation``.
    bleed_directions : tuple of str
        Where the charge of saturated pixels leaks to: ``up`` (towards higher y), ``down``, ``left``, ``right``.
    bleed_pixels : int
        How far.
    amplifier_glow : bool
        Whether the readout electronics emit light, so that darks serve frames of their own exposure only.
    """

    name: str
    title: str
    path: Path
    recognise: tuple[Patterns, ...] = ()
    cards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    binning: tuple[tuple[str, ...], ...] = ()
    mode: tuple[str, ...] = ()
    types: tuple[tuple[str, Patterns], ...] = ()
    light: tuple[tuple[str, Patterns], ...] = ()
    gain: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    linearity: float | None = None
    longitude: float | None = None
    amplifiers: tuple[AmplifierRule, ...] = (AmplifierRule(),)
    overscan_method: str = "clipped_mean"
    crosstalk_cards: str = ""
    crosstalk: tuple[tuple[float, ...], ...] = ()
    scale_with_binning: tuple[str, ...] = ()
    bleed_directions: tuple[str, ...] = ()
    bleed_pixels: int = 0
    amplifier_glow: bool = False

    def recognises(self, header: RawHeader) -> bool:
        """Whether a header is of this camera."""
        return any(self._agrees(header, patterns) for patterns in self.recognise)

    def value(self, header: RawHeader, role: str) -> Value | None:
        """Value of the first card that has one for a role.

        Parameters
        ----------
        header : RawHeader
        role : str
            One of `ROLES`.

        Returns
        -------
        str, int, float, bool or None
            As the card has it, text without blanks around; None if no card has a value.

        Raises
        ------
        SetAside
            If the card cannot be parsed.
        """
        for card in self.cards.get(role, ()):
            value = header.value(card)
            if value is not None:
                return value
        return None

    def card(self, header: RawHeader, role: str) -> str:
        """Name of the card that `value` reads, or the names of those it looked for.

        Parameters
        ----------
        header : RawHeader
        role : str
            One of `ROLES`.

        Returns
        -------
        str
            For messages; ``no card`` if the camera file names none for the role.

        Raises
        ------
        SetAside
            If the card cannot be parsed.
        """
        names = self.cards.get(role, ())
        return next((name for name in names if header.value(name) is not None), " or ".join(names) or "no card")

    def number(self, header: RawHeader, role: str, low: float, high: float, expected: str) -> float | None:
        """Value of a role as a number within bounds, None if there is none.

        Parameters
        ----------
        header : RawHeader
        role : str
            One of `ROLES`.
        low, high : float
            Smallest and largest value that is believed, in the unit of the role.
        expected : str
            What the message says was expected, as in ``seconds between 0 and 86400``.

        Returns
        -------
        float or None

        Raises
        ------
        SetAside
            If the value is no finite number from ``low`` to ``high``, or the card cannot be parsed.
        """
        value = self.value(header, role)
        if value is None:
            return None
        try:
            number = float("nan") if isinstance(value, bool) else float(value)
        except (ValueError, TypeError):
            number = float("nan")
        if not low <= number <= high:
            raise SetAside(f"{self.card(header, role)} is {value!r}; expected {expected}")
        return number

    def kind(self, header: RawHeader) -> str:
        """Type of a frame: ``bias``, ``dark``, ``flat``, ``science`` or ``other``.

        Raises
        ------
        SetAside
            If no rule of the camera file applies.
        """
        for kind, patterns in self.types:
            if self._agrees(header, patterns):
                return kind
        said = self.value(header, "type")
        if said is None:
            raise SetAside(f"no card tells the type of frame (looked for {', '.join(self.cards.get('type', ()))})")
        raise SetAside(f"the type of frame {said!r} is unknown to the camera file {self.path.name}")

    def light_of(self, header: RawHeader) -> str:
        """Tell what lit a flat: ``twilight``, ``dome``, or nothing where no rule of the camera file agrees."""
        return next((light for light, patterns in self.light if self._agrees(header, patterns)), "")

    def exposure(self, header: RawHeader) -> float:
        """Exposure time [s]."""
        seconds = self.number(header, "exposure", 0, LONGEST_EXPOSURE, "seconds between 0 and 86400")
        if seconds is None:
            raise SetAside(f"the exposure time is missing ({self.card(header, 'exposure')})")
        return seconds

    def start(self, header: RawHeader) -> float:
        """Start of the exposure [MJD, UTC], from the first card that tells it to the second."""
        bare = ""
        for card in self.cards.get("start", ()):
            value = header.value(card)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return _plausible_mjd(float(value), f"{card} is {value!r}")
            if value is not None and not isinstance(value, str):
                raise SetAside(f"{card} is {value!r}; expected a time")
            if value is None:
                continue
            whole = "T" in value or ":" in value
            time = None if whole else self.value(header, "start_time")
            if whole or time is not None:
                text = value if whole else f"{value}T{time}"
                return _plausible_mjd(_mjd(text), f"the time is {text!r}")
            bare = bare or f"{card} is {value!r}, a date without a time"
        raise SetAside(bare or f"the time of the exposure is missing ({self.card(header, 'start')})")

    def noise_cards(self, header: RawHeader, amplifier: int = 0) -> tuple[float | None, float | None]:
        """Gain [e-/ADU] and read noise [e-] of an amplifier.

        Parameters
        ----------
        header : RawHeader
            Of the frame.
        amplifier : int
            From 0.

        Returns
        -------
        (float or None, float or None)
            From the header of its plane, else the camera file; None where neither tells. A gain written as a list is
            taken by the number of the amplifier, or averaged where a plane holds several that were put together. A gain
            of 0 in the header is unknown where the camera file tells one.

        Raises
        ------
        SetAside
            If the header has a value that cannot be right.
        """
        rule, plane = self._of(amplifier, header)
        known = self._binned("gain", rule.gain or self.gain, header)
        listed = self.value(plane, "gain")
        if isinstance(listed, str) and listed.startswith("["):
            gains = _numbers(listed)
            if not gains or not all(SMALLEST_GAIN <= gain <= LARGEST_GAIN for gain in gains):
                raise SetAside(f"{self.card(plane, 'gain')} is {listed!r}; expected e-/ADU above 0 and up to 100")
            several = len(gains) == len(self.amplifiers)
            gain: float | None = gains[amplifier] if several else sum(gains) / len(gains)
        elif listed == 0 and known is not None:
            gain = None
        else:
            gain = self.number(plane, "gain", SMALLEST_GAIN, LARGEST_GAIN, "e-/ADU above 0 and up to 100")
        read_noise = self.number(plane, "read_noise", 0, 1e4, "e- of 0 or more")
        return gain or known, read_noise or rule.read_noise or self.read_noise

    def saturation_level(self, header: RawHeader, amplifier: int = 0) -> float | None:
        """Saturation [ADU] of an amplifier from the header, else the camera file; 0 in a header means unknown."""
        rule, plane = self._of(amplifier, header)
        known = self._binned("saturation", rule.saturation or self.saturation, header)
        return self.number(plane, "saturation", 0, 1e9, "ADU of 0 or more") or known

    def _of(self, amplifier: int, header: RawHeader) -> tuple[AmplifierRule, RawHeader]:
        """Rule of an amplifier, and the header of the plane that holds it."""
        rule = self.amplifiers[amplifier]
        if rule.plane >= len(header.planes) or (len(self.amplifiers) == 1 and len(header.planes) > 1):
            told = len({rule.plane for rule in self.amplifiers})
            raise SetAside(f"the file holds {len(header.planes)} image planes; {self.path.name} tells of {told}")
        return rule, header.planes[rule.plane]

    def _binned(self, what: str, number: float | None, header: RawHeader) -> float | None:
        """Bring a number of the camera file, for unbinned pixels, to those of a frame."""
        if number is None or what not in self.scale_with_binning:
            return number
        across, along = self.bins(header)
        return number * across * along

    def crosstalk_of(self, header: RawHeader) -> tuple[tuple[float, ...], ...]:
        """Share of the signal of each amplifier (row) that appears on each other (column); empty without crosstalk.

        Raises
        ------
        SetAside
            If a card has no number from -1 to 1.
        """
        numbers = range(1, len(self.amplifiers) + 1)
        pairs = permutations(numbers, 2) if self.crosstalk_cards else ()
        found = {pair: _share(header, _crosstalk_card(self.crosstalk_cards, *pair)) for pair in pairs}
        if all(share is None for share in found.values()):
            return self.crosstalk
        return tuple(tuple(found.get((i, j)) or 0.0 for j in numbers) for i in numbers)

    def linearity_limit(self, header: RawHeader, amplifier: int = 0) -> float | None:
        """Where linearity of an amplifier ends [ADU]: header, else camera file; 0 in a header means unknown."""
        _, plane = self._of(amplifier, header)
        known = self._binned("saturation", self.linearity, header)
        return self.number(plane, "linearity", 0, 1e9, "ADU of 0 or more") or known

    def east_longitude(self, header: RawHeader) -> float | None:
        """Longitude of the observatory [deg east], from the header, else the camera file."""
        for card in self.cards.get("longitude", ()):
            degrees = _degrees(header.value(card))
            if degrees is not None:
                return degrees
        return self.longitude

    def pointing(self, header: RawHeader) -> tuple[float, float] | None:
        """Right ascension and declination [deg]; None where a card is missing or cannot be understood.

        Numbers are degrees, sexagesimal right ascensions are hours.
        """
        try:
            ra, dec = self.value(header, "ra"), self.value(header, "dec")
        except SetAside:  # it serves nothing that a frame could not do without
            return None
        alpha, delta = _degrees(ra), _degrees(dec)
        if alpha is None or delta is None:
            return None
        if _SEXAGESIMAL.fullmatch(str(ra).strip()):
            alpha *= 15
        return (alpha, delta) if 0 <= alpha <= 360 and -90 <= delta <= 90 else None

    def bins(self, header: RawHeader) -> tuple[int, int]:
        """Binning in x and y; 1 x 1 where no card tells."""
        for cards in self.binning:
            values = [header.value(card) for card in cards]
            if any(value is None for value in values):
                continue
            numbers = re.findall(r"\d+", " ".join(str(v).partition(".")[0] for v in values))
            if len(numbers) == 2 and min(map(int, numbers)) > 0:
                return int(numbers[0]), int(numbers[1])
            raise SetAside(f"the binning {' '.join(map(str, values))!r} ({' '.join(cards)}) cannot be read")
        return 1, 1

    def readout_mode(self, header: RawHeader) -> str:
        """Values of the mode cards in words."""
        return " ".join(str(value) for card in self.mode if (value := header.value(card)) is not None)

    def sections(self, header: RawHeader) -> tuple[Sections, ...]:
        """Find the geometry of each amplifier.

        Parameters
        ----------
        header : RawHeader

        Returns
        -------
        tuple of Sections
            The whole plane where nothing tells of light-sensitive pixels; overscan areas are possibly none.

        Raises
        ------
        SetAside
            If a section cannot be read or lies outside the image, or the file does not hold these amplifiers.
        """
        return tuple(self._sections(n, header) for n in range(len(self.amplifiers)))

    def _sections(self, amplifier: int, header: RawHeader) -> Sections:
        rule, plane = self._of(amplifier, header)
        image = _first_area(rule.image, plane) or Area(0, plane.shape[1], 0, plane.shape[0])
        overscans = (_first_area(entries, plane) for entries in rule.overscan)
        seen = _first_detector(rule.detector, plane, image, self.bins(header))
        return Sections(image, tuple(area for area in overscans if area is not None), seen)

    def _agrees(self, header: RawHeader, patterns: Patterns) -> bool:
        return all(_like(self._look_up(header, name), wanted) for name, wanted in patterns.items())

    def _look_up(self, header: RawHeader, name: str) -> Value | None:
        if name == "planes":
            return len(header.planes)
        try:
            return self.value(header, name) if name in ROLES else header.value(name)
        except SetAside:
            return None


@cache
def _schema() -> Mapping[str, Any]:
    return read_yaml(SCHEMA)


def load_camera(path: Path) -> Camera:
    """Read a camera file.

    Parameters
    ----------
    path : Path
        YAML; ``docs/cameras.md`` explains each line.

    Returns
    -------
    Camera

    Raises
    ------
    ConfigurationError
        With key, value and what was expected.
    """
    document = read_yaml(path)
    check(document, _schema(), str(path))
    for one in (document, *document.get("amplifiers", [])):
        for key in ("image", "overscan", "detector"):
            for entry in (name for names in _listed(one.get(key, [])) for name in _listed(names)):
                _check_template(key, entry, path)
    listed = enumerate(document.get("amplifiers", [{}]), start=1)
    amplifiers = tuple(_amplifier(document | one, n) for n, one in listed)
    crosstalk = tuple(tuple(map(float, row)) for row in document.get("crosstalk", {}).get("coefficients", []))
    if crosstalk and {len(crosstalk), *map(len, crosstalk)} != {len(amplifiers)}:
        raise ConfigurationError(
            f"{path}: crosstalk.coefficients is {[list(row) for row in crosstalk]}; expected a row and a column for "
            f"each of {len(amplifiers)} amplifiers."
        )
    bleed = document.get("bleed", {})
    return Camera(
        name=document["name"],
        title=document["title"],
        path=path,
        recognise=tuple(_patterns(entry) for entry in document.get("recognise", [])),
        cards={role: tuple(_listed(names)) for role, names in document.get("cards", {}).items()},
        binning=tuple(tuple(_listed(entry)) for entry in document.get("binning", [])),
        mode=tuple(document.get("mode", [])),
        types=_rules(document["types"]),
        light=_rules(document.get("light", [])),
        gain=document.get("gain"),
        read_noise=document.get("read_noise"),
        saturation=document.get("saturation"),
        linearity=document.get("linearity"),
        longitude=document.get("longitude"),
        amplifiers=amplifiers,
        overscan_method=document.get("overscan_method", "clipped_mean"),
        crosstalk_cards=document.get("crosstalk", {}).get("cards", ""),
        crosstalk=crosstalk,
        scale_with_binning=tuple(document.get("scale_with_binning", [])),
        bleed_directions=tuple(bleed.get("directions", ())),
        bleed_pixels=bleed.get("pixels", 0),
        amplifier_glow=document.get("amplifier_glow", False),
    )


def _amplifier(entry: Mapping[str, Any], number: int) -> AmplifierRule:
    corner = entry.get("corner", "lower left")
    return AmplifierRule(
        plane=entry.get("plane", number) - 1,
        image=tuple(_listed(entry.get("image", []))),
        overscan=tuple(tuple(_listed(one)) for one in entry.get("overscan", [])),
        detector=tuple(_listed(entry.get("detector", []))),
        gain=entry.get("gain"),
        read_noise=entry.get("read_noise"),
        saturation=entry.get("saturation"),
        polynomial=tuple(map(float, entry.get("linearity_polynomial", []))),
        from_right="right" in corner,
        from_top="upper" in corner,
    )


def load_cameras(folder: Path) -> tuple[Camera, ...]:
    """Read every camera file of a folder, the ones that recognise nothing (``generic``) last.

    Raises
    ------
    ConfigurationError
        If one cannot be read or two have the same name.
    """
    cameras = [load_camera(path) for path in sorted(folder.glob("*.yaml"))]
    names = [camera.name for camera in cameras]
    for camera in cameras:
        if names.count(camera.name) > 1:
            raise ConfigurationError(f"{camera.path}: name is {camera.name!r}; expected a name no other file has.")
    return tuple(sorted(cameras, key=lambda camera: not camera.recognise))


def recognise(header: RawHeader, cameras: Sequence[Camera]) -> Camera:
    """Find the camera of a header: the first that recognises it, else the first that recognises nothing.

    Parameters
    ----------
    header : RawHeader
    cameras : sequence of Camera
        In the order in which they are asked, as `load_cameras` returns them: those that recognise nothing last.

    Returns
    -------
    Camera

    Raises
    ------
    SetAside
        If there is none.
    """
    for camera in cameras:
        if camera.recognises(header) or not camera.recognise:
            return camera
    raise SetAside("no camera file recognises the header")


def _listed(entry: str | Sequence[str]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry)


def _rules(entries: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, Patterns], ...]:
    return tuple((word, _patterns(rule)) for entry in entries for word, rule in entry.items())


def _patterns(entry: Mapping[str, Any]) -> Patterns:
    return {name: tuple(wanted) if isinstance(wanted, list) else (wanted,) for name, wanted in entry.items()}


def _like(value: Value | None, wanted: tuple[str | float | None, ...]) -> bool:
    """Whether a value is one of those wanted: text by pattern in any case, numbers by value, None is absence."""
    for pattern in wanted:
        if pattern is None or value is None:
            if pattern is None and value is None:
                return True
        elif isinstance(pattern, str):
            if fnmatchcase(str(value).lower(), pattern.lower()):
                return True
        elif isinstance(value, int | float) and float(value) == float(pattern):
            return True
    return False


def _section(entry: str, header: RawHeader) -> Area | None:
    try:
        return parse_section(entry if entry.startswith("[") else header.value(entry), header.value)
    except ValueError as error:
        raise SetAside(f"the section {entry}: {error}") from error


def _area(entry: str, header: RawHeader) -> Area | None:
    area = _section(entry, header)
    if area is not None and not area.fits_in(header.shape):
        rows, columns = header.shape
        raise SetAside(f"the section {entry} = {area} lies outside the image of {columns} x {rows} pixels")
    return area


def _first_area(entries: Sequence[str], header: RawHeader) -> Area | None:
    """Take the first section that is there; of those that a camera file writes out, the first that fits the image."""
    for n, entry in enumerate(entries, start=1):
        try:
            area = _area(entry, header)
        except SetAside:
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


def _crosstalk_card(template: str, source: int, target: int) -> str:
    return template.replace("{from}", str(source)).replace("{on}", str(target))


def _share(header: RawHeader, card: str) -> float | None:
    value = header.value(card)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 < value < 1:
        raise SetAside(f"{card} is {value!r}; expected a share of the signal between -1 and 1")
    return float(value)


def _check_template(key: str, entry: str, path: Path) -> None:
    """Refuse a section that no header could make right: every card in it is taken to be 1, and nothing subtracted."""
    if entry.startswith("["):
        try:
            parse_section(entry.replace("-", "+"), lambda name: 1)
        except ValueError as error:
            raise ConfigurationError(
                f"{path}: {key} is {entry!r}; expected a section such as [1:1024,1:1024] ({error})."
            ) from error


def _numbers(listed: str) -> list[float]:
    """Numbers of a list written in a string; empty if one of them is none."""
    try:
        return [float(text) for text in listed.strip().strip("[]").split(",")]
    except ValueError:
        return []


def _mjd(text: str) -> float:
    """MJD of a date and time; 24:00:00 and a second of 60 are the next day's and minute's first."""
    match = _TIME.fullmatch(text.strip())
    try:
        if match is None:
            raise ValueError(text)
        year, month, day, hour, minute = map(int, match.groups()[:5])
        if hour > 24 or minute > 59 or float(match[6] or 0) >= 61:
            raise ValueError(text)
        moment = datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise SetAside(f"the time {text!r} cannot be read; expected YYYY-MM-DDThh:mm:ss") from error
    moment += timedelta(hours=hour, minutes=minute, seconds=float(match[6] or 0))
    return (moment - MJD_ZERO) / timedelta(days=1)


def _plausible_mjd(mjd: float, said: str) -> float:
    if not 40000 < mjd < 100000:
        raise SetAside(f"{said}; expected a time after 1968")
    return mjd


def _degrees(value: Value | None) -> float | None:
    """Degrees east from a number or ``[-]ddd mm ss``; None for anything else."""
    try:
        degrees = float(value) if value is not None and not isinstance(value, bool) else None
    except TypeError:
        return None
    except ValueError:
        match = _SEXAGESIMAL.fullmatch(str(value).strip())
        if match is None:
            return None
        sign, whole, minutes, seconds, side = match.groups()
        degrees = float(whole) + float(minutes) / 60 + float(seconds or 0) / 3600
        degrees = -degrees if (sign == "-") != (side == "W") else degrees
    return degrees if degrees is not None and -360 <= degrees <= 360 else None
