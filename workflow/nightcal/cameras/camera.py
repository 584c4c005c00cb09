"""Interpret the raw headers of a camera."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import permutations
from pathlib import Path

from nightcal.cameras.filters import join_wheels, read_wheels
from nightcal.cameras.geometry import AmplifierRule, Sections, find_sections
from nightcal.cameras.path_patterns import PATH_NAMES, fits_path
from nightcal.cameras.section_checks import check_overscans
from nightcal.cameras.settings import Setting, SettingRule, Settings, read_settings
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import check_mjd, is_sexagesimal, parse_degrees, parse_numbers, parse_time
from nightcal.io.raw_header import RawHeader, Value
from nightcal.warning_names import Warn, ignore_warning, name_warning

ROLES = (
    "type", "object", "exposure", "filter", "start", "start_time", "set_temperature", "temperature",
    "instrument", "gain", "read_noise", "saturation", "linearity", "longitude", "ra", "dec",
    "pixel_scale", "pixel_size", "focal_length", "summed",
)  # fmt: skip
"""Quantities for which a camera file may list keywords; the first keyword with a value is used."""

INSTRUMENT, BINNING = "instrument", "binning"
"""Labels of the settings that a camera file lists elsewhere than in ``mode``."""

LONGEST_EXPOSURE = 86400.0
SMALLEST_GAIN, LARGEST_GAIN = 1e-4, 100.0

Patterns = Mapping[str, tuple[str | float | None, ...]]
"""Keywords or roles, or names of `nightcal.cameras.path_patterns`, each with its allowed values."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera file.

    Attributes
    ----------
    name, title : str
    path : Path
        Of the camera file.
    recognise : tuple of Patterns
        A header that matches any of these patterns is from this camera.
    cards : mapping of str to tuple of str
        For each role, the keywords that may hold it.
    exposure_units : mapping of str to float
        Seconds in the unit of a keyword of the role ``exposure``, where that is not the second.
    binning : tuple of tuple of str
        Pairs of keywords, or single keywords that hold both numbers.
    mode : tuple of SettingRule
        Settings that change the raw numbers, such as the readout mode: frames that differ in one of them never share
        masters.
    more_filters : tuple of tuple of str
        For each further filter wheel, the keywords that may name its filter.
    types : tuple of (str, Patterns)
        Rules for the frame type; the first that matches decides.
    flat_source : tuple of (str, Patterns)
        Rules for the light source of a flat, `twilight` or `dome`; the first that matches decides.
    gain, read_noise, saturation, linearity, longitude : float or None
        [e-/ADU], [e-], [ADU], [ADU], [deg east]; used if the header has none.
    pixel_scale : float or None
        [arcsec] of an unbinned pixel; used if the header has none.
    amplifiers : tuple of AmplifierRule
        One or more.
    overscan_method : str
        Name of a method of `nightcal.OverscanMethods`.
    crosstalk_cards : str
        Template of the keywords with the fraction of the signal of amplifier ``{from}`` that appears on ``{on}``; empty
        for none.
    crosstalk : tuple of tuple of float
        The same as a matrix (row ``from``, column ``on``), used if the header has none; empty for none.
    scale_with_binning : tuple of str
        Numbers of the camera file that grow with the pixels in a bin: ``gain``, ``saturation``.
    bleed_directions : tuple of str
        Directions in which saturated pixels bleed: ``up`` (towards higher y), ``down``, ``left``, ``right``.
    bleed_pixels : int
        Length of the trails.
    bayer : str
        ``split`` if colour mosaics are reduced colour by colour; empty to reject them.
    bayer_pattern : str
        Colours of the mosaic, such as ``RGGB``; empty if the header gives them.
    plane : str
        The colour of a split mosaic that is read, of `nightcal.io.colour_mosaic.PLANES`; empty for whole frames.
    amplifier_glow : bool
        Whether the readout electronics emit light; darks are then used for the same exposure time only.
    ignored_marks : tuple of str
        Keywords that elsewhere are marks of processed frames or colour mosaics, but not in these headers.
    """

    name: str
    title: str
    path: Path
    recognise: tuple[Patterns, ...] = ()
    cards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exposure_units: Mapping[str, float] = field(default_factory=dict)
    binning: tuple[tuple[str, ...], ...] = ()
    mode: tuple[SettingRule, ...] = ()
    more_filters: tuple[tuple[str, ...], ...] = ()
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
    ignored_marks: tuple[str, ...] = ()
    bayer: str = ""
    bayer_pattern: str = ""
    plane: str = ""

    def recognises(self, header: RawHeader) -> bool:
        """Check whether a header is from this camera."""
        return any(self._agrees(header, patterns) for patterns in self.recognise)

    def value(self, header: RawHeader, role: str) -> Value | None:
        """Look up the value of a role: that of its first keyword with a value.

        Parameters
        ----------
        header : RawHeader
        role : str
            One of `ROLES`.

        Returns
        -------
        str, int, float, bool or None
            Text is stripped of blanks; None if no keyword has a value.

        Raises
        ------
        FrameRejectedError
            If the value cannot be parsed.
        """
        for card in self.cards.get(role, ()):
            value = header.value(card)
            if value is not None:
                return value
        return None

    def card(self, header: RawHeader, role: str) -> str:
        """Name the keyword that `value` reads, or those it searched.

        Parameters
        ----------
        header : RawHeader
        role : str
            One of `ROLES`.

        Returns
        -------
        str
            For messages; ``no keyword`` if the camera file lists none for the role.

        Raises
        ------
        FrameRejectedError
            If the value cannot be parsed.
        """
        names = self.cards.get(role, ())
        return next((name for name in names if header.value(name) is not None), " or ".join(names) or "no keyword")

    def number(self, header: RawHeader, role: str, low: float, high: float, expected: str) -> float | None:
        """Look up a role as a number within bounds.

        Parameters
        ----------
        header : RawHeader
        role : str
            One of `ROLES`.
        low, high : float
            Smallest and largest plausible value, in the unit of the role.
        expected : str
            What was expected, for the message, as in ``seconds between 0 and 86400``.

        Returns
        -------
        float or None

        Raises
        ------
        FrameRejectedError
            If the value is not a finite number from ``low`` to ``high``, or cannot be parsed.
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
        """Find the type of a frame: ``bias``, ``dark``, ``flat``, ``science`` or ``other``.

        Raises
        ------
        FrameRejectedError
            If no rule of the camera file matches.
        """
        for kind, patterns in self.types:
            if self._agrees(header, patterns):
                return kind
        word = self.value(header, "type")
        if word is None:
            names = ", ".join(self.cards.get("type", ()))
            raise FrameRejectedError(f"the frame type is missing (keywords searched: {names})")
        raise FrameRejectedError(
            f"the frame type {word!r} matches no rule of {self.path.name}: add it to types in a camera file"
        )

    def filter(self, header: RawHeader) -> str:
        """Read the filter; of several filter wheels those that hold one, as in ``B+ND``; empty if unknown."""
        return join_wheels(read_wheels(header, (self.cards.get("filter", ()), *self.more_filters)))

    def find_flat_source(self, header: RawHeader) -> str:
        """Find the light source of a flat: ``twilight``, ``dome``, or empty if no rule matches."""
        return next((source for source, patterns in self.flat_source if self._agrees(header, patterns)), "")

    def exposure_time(self, header: RawHeader) -> float:
        """Read the exposure time [s]."""
        unit = self.exposure_units.get(self.card(header, "exposure"), 1.0)
        time = self.number(header, "exposure", 0, LONGEST_EXPOSURE / unit, "seconds between 0 and 86400")
        if time is None:
            raise FrameRejectedError(f"the exposure time is missing ({self.card(header, 'exposure')})")
        return time * unit

    def start(self, header: RawHeader) -> float:
        """Read the start of the exposure [MJD, UTC], from the first keyword with more than a date."""
        bare = ""
        for card in self.cards.get("start", ()):
            value = header.value(card)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return check_mjd(float(value), f"{card} is {value!r}")
            if value is not None and not isinstance(value, str):
                raise FrameRejectedError(f"{card} is {value!r}; expected a time")
            if value is None:
                continue
            whole = "T" in value or ":" in value
            time = None if whole else self.value(header, "start_time")
            if whole or time is not None:
                text = value if whole else f"{value}T{time}"
                return check_mjd(parse_time(text), f"the time is {text!r}")
            bare = bare or f"{card} is {value!r}, a date without a time"
        raise FrameRejectedError(bare or f"the start time is missing ({self.card(header, 'start')})")

    def read_gain_and_noise(self, header: RawHeader, amplifier: int = 0) -> tuple[float | None, float | None]:
        """Read the gain [e-/ADU] and read noise [e-] of an amplifier.

        Parameters
        ----------
        header : RawHeader
            Of the frame.
        amplifier : int
            From 0.

        Returns
        -------
        (float or None, float or None)
            From the header of the amplifier's plane, else the camera file, else None. From a gain written as a list the
            element of the amplifier is taken, or the mean if the plane combines several amplifiers. A gain of 0 in the
            header counts as unknown if the camera file gives one.

        Raises
        ------
        FrameRejectedError
            If the header has an impossible value.
        """
        rule, plane = self._find_plane(amplifier, header)
        known = self._scale_by_binning("gain", rule.gain or self.gain, header)
        listed = self.value(plane, "gain")
        if isinstance(listed, str) and listed.startswith("["):
            gains = parse_numbers(listed)
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
        """Read the saturation [ADU] of an amplifier: header, else camera file; 0 in a header means unknown."""
        rule, plane = self._find_plane(amplifier, header)
        known = self._scale_by_binning("saturation", rule.saturation or self.saturation, header)
        return self.number(plane, "saturation", 0, 1e9, "ADU of 0 or more") or known

    def _find_plane(self, amplifier: int, header: RawHeader) -> tuple[AmplifierRule, RawHeader]:
        """Find the rule of an amplifier, and the header of its plane."""
        rule = self.amplifiers[amplifier]
        expected = 1 if len(self.amplifiers) == 1 else max(rule.plane for rule in self.amplifiers) + 1
        if rule.plane >= len(header.planes) or len(header.planes) > expected:
            hint = "; amplifiers in one plane all need plane: 1" if len(header.planes) == 1 else ""
            raise FrameRejectedError(
                f"the file has {len(header.planes)} image planes; {self.path.name} expects {expected}{hint}"
            )
        return rule, header.planes[rule.plane]

    def _scale_by_binning(self, what: str, number: float | None, header: RawHeader) -> float | None:
        """Scale a number of the camera file, for unbinned pixels, to the binning of a frame."""
        if number is None or what not in self.scale_with_binning:
            return number
        across, along = self.bins(header)
        return number * across * along

    def read_crosstalk(self, header: RawHeader) -> tuple[tuple[float, ...], ...]:
        """Read the fraction of the signal of each amplifier (row) that appears on each other one (column).

        Raises
        ------
        FrameRejectedError
            If a value is not a number between -1 and 1.
        """
        numbers = range(1, len(self.amplifiers) + 1)
        pairs = permutations(numbers, 2) if self.crosstalk_cards else ()
        found = {pair: _read_share(header, name_crosstalk_card(self.crosstalk_cards, *pair)) for pair in pairs}
        if all(share is None for share in found.values()):
            return self.crosstalk
        return tuple(tuple(found.get((i, j)) or 0.0 for j in numbers) for i in numbers)

    def linearity_limit(self, header: RawHeader, amplifier: int = 0) -> float | None:
        """Read the linearity limit [ADU] of an amplifier: header, else camera file; 0 in a header means unknown."""
        _, plane = self._find_plane(amplifier, header)
        known = self._scale_by_binning("saturation", self.linearity, header)
        return self.number(plane, "linearity", 0, 1e9, "ADU of 0 or more") or known

    def east_longitude(self, header: RawHeader) -> float | None:
        """Read the longitude of the observatory [deg east]: header, else camera file."""
        for card in self.cards.get("longitude", ()):
            degrees = parse_degrees(header.value(card))
            if degrees is not None:
                return degrees
        return self.longitude

    def pointing(self, header: RawHeader) -> tuple[float, float] | None:
        """Read right ascension and declination [deg]; None if either is missing or cannot be read.

        Numbers are degrees, sexagesimal right ascensions are hours.
        """
        try:
            ra, dec = self.value(header, "ra"), self.value(header, "dec")
        except FrameRejectedError:  # a frame is usable without a pointing
            return None
        alpha, delta = parse_degrees(ra), parse_degrees(dec)
        if alpha is None or delta is None:
            return None
        if is_sexagesimal(ra):
            alpha *= 15
        return (alpha, delta) if 0 <= alpha <= 360 and -90 <= delta <= 90 else None

    def bins(self, header: RawHeader) -> tuple[int, int]:
        """Read the binning in x and y; 1 x 1 if no keyword has it."""
        for cards in self.binning:
            values = [header.value(card) for card in cards]
            if any(value is None for value in values):
                continue
            numbers = re.findall(r"\d+", " ".join(str(v).partition(".")[0] for v in values))
            if len(numbers) == 2 and min(map(int, numbers)) > 0:
                return int(numbers[0]), int(numbers[1])
            raise FrameRejectedError(f"the binning {' '.join(map(str, values))!r} ({' '.join(cards)}) cannot be read")
        return 1, 1

    def count_summed(self, header: RawHeader, warn: Warn = ignore_warning) -> int:
        """Count the readouts that were summed at the telescope; 1 if no keyword tells."""
        try:
            count = self.number(header, "summed", 0, 1e6, "a number of readouts")
        except FrameRejectedError:
            return 1
        if count is None or count <= 1 or count != int(count):
            return 1
        card = f"{self.card(header, 'summed')} = {count:g}"
        warn(name_warning("summed at the telescope", f"{card}: bias level and read noise count {count:g} times"))
        return int(count)

    def settings(self, header: RawHeader) -> Settings:
        """Read what frames must share with their masters: instrument, binning, gain, and the settings of ``mode``."""
        binning = tuple(cards for cards in self.binning if all(header.value(card) is not None for card in cards))
        bins = "x".join(map(str, self.bins(header)))
        known = [Setting(BINNING, BINNING, tuple((" ".join(cards), bins) for cards in binning))] if binning else []
        instrument = read_settings(header, [SettingRule(INSTRUMENT, self.cards.get("instrument", ()))])
        named = (replace(setting, name=INSTRUMENT) for setting in instrument)
        return (*known, *named, *read_settings(header, self.mode))

    def sections(self, header: RawHeader, warn: Warn = ignore_warning) -> tuple[Sections, ...]:
        """Find the geometry of each amplifier.

        Parameters
        ----------
        header : RawHeader
        warn : function
            Takes warnings about sections that cannot be used.

        Returns
        -------
        tuple of Sections
            The image is the whole plane if no section is given.

        Raises
        ------
        FrameRejectedError
            If a section cannot be read or lies outside the image, or the file has other planes than expected.
        """
        pairs = (self._find_plane(n, header) for n in range(len(self.amplifiers)))
        binning = self.bins(header)
        found = [find_sections(rule, plane, binning) for rule, plane in pairs]
        return check_overscans(self.amplifiers, found, header, warn)

    def _agrees(self, header: RawHeader, patterns: Patterns) -> bool:
        return all(self._fits(header, name, wanted) for name, wanted in patterns.items())

    def _fits(self, header: RawHeader, name: str, wanted: tuple[str | float | None, ...]) -> bool:
        if name in PATH_NAMES:
            return fits_path(header.path, name, wanted)
        return _matches(self._look_up(header, name), wanted)

    def _look_up(self, header: RawHeader, name: str) -> Value | None:
        if name == "planes":
            return len(header.planes)
        try:
            return self.value(header, name) if name in ROLES else header.value(name)
        except FrameRejectedError:
            return None


def recognise_camera(header: RawHeader, cameras: Sequence[Camera]) -> Camera:
    """Find the camera of a header: the first that recognises it or has no rules to recognise.

    Parameters
    ----------
    header : RawHeader
    cameras : sequence of Camera
        Tried in this order; from `load_cameras`, those without rules come last.

    Returns
    -------
    Camera

    Raises
    ------
    FrameRejectedError
        If there is no such camera.
    """
    for camera in cameras:
        if camera.recognises(header) or not camera.recognise:
            return camera
    raise FrameRejectedError("no camera file matches the header")


def _matches(value: Value | None, wanted: tuple[str | float | None, ...]) -> bool:
    """Check a value against patterns: text ignoring case, numbers by value, None for a missing value."""
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


def name_crosstalk_card(template: str, source: int, target: int) -> str:
    """Name the crosstalk keyword of two amplifiers, both counted from 1."""
    return template.replace("{from}", str(source)).replace("{on}", str(target))


def _read_share(header: RawHeader, card: str) -> float | None:
    value = header.value(card)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1 < value < 1:
        raise FrameRejectedError(f"{card} is {value!r}; expected a fraction of the signal between -1 and 1")
    return float(value)
