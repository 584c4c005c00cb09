"""Camera files, and what a raw header of a camera means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from nightcal.errors import ConfigurationError, SetAside
from nightcal.headers import RawHeader, Value
from nightcal.sections import Area, parse_section
from nightcal.validation import check, read_yaml

SCHEMA = Path(__file__).parents[1] / "schemas" / "camera.schema.yaml"

ROLES = (
    "type", "object", "exposure", "filter", "start", "start_time", "set_temperature", "instrument",
    "gain", "read_noise", "saturation", "longitude", "ra", "dec",
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
    gain, read_noise, saturation, longitude : float or None
        [e-/ADU], [e-], [ADU], [deg east]: used where the header has none.
    image : tuple of str
        Cards or sections, the first that is there is the area with light-sensitive pixels.
    overscan : tuple of str
        Cards or sections, every one that is there is used.
    overscan_method : str
        Name of a method of `nightcal.OverscanMethods`.
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
    longitude: float | None = None
    image: tuple[str, ...] = ()
    overscan: tuple[str, ...] = ()
    overscan_method: str = "clipped_mean"

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

    def noise_cards(self, header: RawHeader) -> tuple[float | None, float | None]:
        """Gain [e-/ADU] and read noise [e-] from the header, else the camera file; None where neither tells.

        A gain written as a list, by cameras that put several amplifiers on one plane, is averaged.
        """
        listed = self.value(header, "gain")
        if isinstance(listed, str) and listed.startswith("["):
            gains = _numbers(listed)
            if not gains or not all(SMALLEST_GAIN <= gain <= LARGEST_GAIN for gain in gains):
                raise SetAside(f"{self.card(header, 'gain')} is {listed!r}; expected e-/ADU above 0 and up to 100")
            gain: float | None = sum(gains) / len(gains)
        else:
            gain = self.number(header, "gain", SMALLEST_GAIN, LARGEST_GAIN, "e-/ADU above 0 and up to 100")
        read_noise = self.number(header, "read_noise", 0, 1e4, "e- of 0 or more")
        return gain or self.gain, read_noise or self.read_noise

    def saturation_level(self, header: RawHeader) -> float | None:
        """Saturation [ADU] from the header, else the camera file; 0 in a header means unknown."""
        return self.number(header, "saturation", 0, 1e9, "ADU of 0 or more") or self.saturation

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

    def image_area(self, header: RawHeader) -> Area:
        """Where the light-sensitive pixels are; the whole image where nothing tells.

        Raises
        ------
        SetAside
            If the section cannot be read or lies outside the image.
        """
        for entry in self.image:
            area = _area(entry, header)
            if area is not None:
                if area.flip_x or area.flip_y:
                    raise SetAside(f"the image section {entry} = {area} is descending, which is not handled yet")
                return area
        return Area(0, header.shape[1], 0, header.shape[0])

    def overscans(self, header: RawHeader) -> tuple[Area, ...]:
        """Areas of overscan pixels, possibly none.

        Raises
        ------
        SetAside
            If a section cannot be read or lies outside the image.
        """
        areas = (_area(entry, header) for entry in self.overscan)
        return tuple(area for area in areas if area is not None)

    def _agrees(self, header: RawHeader, patterns: Patterns) -> bool:
        return all(_like(self._look_up(header, name), wanted) for name, wanted in patterns.items())

    def _look_up(self, header: RawHeader, name: str) -> Value | None:
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
    for key in ("image", "overscan"):
        for entry in _listed(document.get(key, [])):
            _check_template(key, entry, path)
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
        longitude=document.get("longitude"),
        image=tuple(_listed(document.get("image", []))),
        overscan=tuple(document.get("overscan", [])),
        overscan_method=document.get("overscan_method", "clipped_mean"),
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


def _area(entry: str, header: RawHeader) -> Area | None:
    try:
        area = parse_section(entry if entry.startswith("[") else header.value(entry), header.value)
    except ValueError as error:
        raise SetAside(f"the section {entry}: {error}") from error
    if area is not None and not area.fits_in(header.shape):
        rows, columns = header.shape
        raise SetAside(f"the section {entry} = {area} lies outside the image of {columns} x {rows} pixels")
    return area


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
