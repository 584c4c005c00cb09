"""What a raw header of a camera means."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import permutations
from pathlib import Path

from nightcal.cameras.geometry import AmplifierRule, Sections, sections_of
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import degrees_of, is_sexagesimal, mjd_of, numbers_of, plausible_mjd
from nightcal.io.raw_header import RawHeader, Value

ROLES = (
    "type", "object", "exposure", "filter", "start", "start_time", "set_temperature", "temperature",
    "instrument", "gain", "read_noise", "saturation", "linearity", "longitude", "ra", "dec",
    "pixel_scale", "pixel_size", "focal_length",
)  # fmt: skip
"""What a camera file may name cards for, the first card that has a value serving."""

LONGEST_EXPOSURE = 86400.0
SMALLEST_GAIN, LARGEST_GAIN = 1e-4, 100.0

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
    gain, read_noise, saturation, linearity, longitude : float or None
        [e-/ADU], [e-], [ADU], [ADU], [deg east]: used where the header has none.
    pixel_scale : float or None
        [arcsec] of an unbinned pixel; used where the header has none.
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
    flat_source: tuple[tuple[str, Patterns], ...] = ()
    gain: float | None = None
    read_noise: float | None = None
    saturation: float | None = None
    linearity: float | None = None
    longitude: float | None = None
    pixel_scale: float | None = None
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
        FrameRejectedError
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
        FrameRejectedError
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
        FrameRejectedError
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
            raise FrameRejectedError(f"{self.card(header, role)} is {value!r}; expected {expected}")
        return number

    def kind(self, header: RawHeader) -> str:
        """Type of a frame: ``bias``, ``dark``, ``flat``, ``science`` or ``other``.

        Raises
        ------
        FrameRejectedError
            If no rule of the camera file applies.
        """
        for kind, patterns in self.types:
            if self._agrees(header, patterns):
                return kind
        said = self.value(header, "type")
        if said is None:
            raise FrameRejectedError(
                f"no card tells the type of frame (looked for {', '.join(self.cards.get('type', ()))})"
            )
        raise FrameRejectedError(f"the type of frame {said!r} is unknown to the camera file {self.path.name}")

    def find_flat_source(self, header: RawHeader) -> str:
        """Tell what lit a flat: ``twilight``, ``dome``, or nothing where no rule of the camera file agrees."""
        return next((light for light, patterns in self.flat_source if self._agrees(header, patterns)), "")

    def exposure_time(self, header: RawHeader) -> float:
        """Exposure time [s]."""
        seconds = self.number(header, "exposure", 0, LONGEST_EXPOSURE, "seconds between 0 and 86400")
        if seconds is None:
            raise FrameRejectedError(f"the exposure time is missing ({self.card(header, 'exposure')})")
        return seconds

    def start(self, header: RawHeader) -> float:
        """Start of the exposure [MJD, UTC], from the first card that tells it to the second."""
        bare = ""
        for card in self.cards.get("start", ()):
            value = header.value(card)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return plausible_mjd(float(value), f"{card} is {value!r}")
            if value is not None and not isinstance(value, str):
                raise FrameRejectedError(f"{card} is {value!r}; expected a time")
            if value is None:
                continue
            whole = "T" in value or ":" in value
            time = None if whole else self.value(header, "start_time")
            if whole or time is not None:
                text = value if whole else f"{value}T{time}"
                return plausible_mjd(mjd_of(text), f"the time is {text!r}")
            bare = bare or f"{card} is {value!r}, a date without a time"
        raise FrameRejectedError(bare or f"the time of the exposure is missing ({self.card(header, 'start')})")

    def read_gain_and_noise(self, header: RawHeader, amplifier: int = 0) -> tuple[float | None, float | None]:
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
        FrameRejectedError
            If the header has a value that cannot be right.
        """
        rule, plane = self._of(amplifier, header)
        known = self._binned("gain", rule.gain or self.gain, header)
        listed = self.value(plane, "gain")
        if isinstance(listed, str) and listed.startswith("["):
            gains = numbers_of(listed)
            if not gains or not all(SMALLEST_GAIN <= gain <= LARGEST_GAIN for gain in gains):
                raise FrameRejectedError(
                    f"{self.card(plane, 'gain')} is {listed!r}; expected e-/ADU above 0 and up to 100"
                )
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
        told = 1 if len(self.amplifiers) == 1 else max(rule.plane for rule in self.amplifiers) + 1
        if rule.plane >= len(header.planes) or len(header.planes) > told:
            raise FrameRejectedError(
                f"the file holds {len(header.planes)} image planes; {self.path.name} tells of {told}"
            )
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
        FrameRejectedError
            If a card has no number from -1 to 1.
        """
        numbers = range(1, len(self.amplifiers) + 1)
        pairs = permutations(numbers, 2) if self.crosstalk_cards else ()
        found = {pair: _share(header, crosstalk_card(self.crosstalk_cards, *pair)) for pair in pairs}
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
            degrees = degrees_of(header.value(card))
            if degrees is not None:
                return degrees
        return self.longitude

    def pointing(self, header: RawHeader) -> tuple[float, float] | None:
        """Right ascension and declination [deg]; None where a card is missing or cannot be understood.

        Numbers are degrees, sexagesimal right ascensions are hours.
        """
        try:
            ra, dec = self.value(header, "ra"), self.value(header, "dec")
        except FrameRejectedError:  # it serves nothing that a frame could not do without
            return None
        alpha, delta = degrees_of(ra), degrees_of(dec)
        if alpha is None or delta is None:
            return None
        if is_sexagesimal(ra):
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
            raise FrameRejectedError(f"the binning {' '.join(map(str, values))!r} ({' '.join(cards)}) cannot be read")
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
        FrameRejectedError
            If a section cannot be read or lies outside the image, or the file does not hold these amplifiers.
        """
        pairs = (self._of(n, header) for n in range(len(self.amplifiers)))
        binning = self.bins(header)
        return tuple(sections_of(rule, plane, binning) for rule, plane in pairs)

    def _agrees(self, header: RawHeader, patterns: Patterns) -> bool:
        return all(_like(self._look_up(header, name), wanted) for name, wanted in patterns.items())

    def _look_up(self, header: RawHeader, name: str) -> Value | None:
        if name == "planes":
            return len(header.planes)
        try:
            return self.value(header, name) if name in ROLES else header.value(name)
        except FrameRejectedError:
            return None


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
    FrameRejectedError
        If there is none.
    """
    for camera in cameras:
        if camera.recognises(header) or not camera.recognise:
            return camera
    raise FrameRejectedError("no camera file recognises the header")


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


def crosstalk_card(template: str, source: int, target: int) -> str:
    """Name the card with the share of the signal of one amplifier that appears on another, both counted from 1."""
    return template.replace("{from}", str(source)).replace("{on}", str(target))


def _share(header: RawHeader, card: str) -> float | None:
    value = header.value(card)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 < value < 1:
        raise FrameRejectedError(f"{card} is {value!r}; expected a share of the signal between -1 and 1")
    return float(value)
