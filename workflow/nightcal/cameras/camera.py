"""Interpret the raw headers of a camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from nightcal.cameras.binning import read_binning
from nightcal.cameras.crosstalk_cards import read_crosstalk
from nightcal.cameras.exposure_time import read_exposure_time
from nightcal.cameras.filters import join_wheels, read_wheels
from nightcal.cameras.frame_types import settle_type
from nightcal.cameras.gain_cards import is_gain_setting, read_gain_card
from nightcal.cameras.geometry import AmplifierRule, Sections, find_sections
from nightcal.cameras.longitude import read_longitude
from nightcal.cameras.path_patterns import PATH_NAMES, fits_path
from nightcal.cameras.pointing_cards import read_pointing
from nightcal.cameras.quantities import count_summed, read_quantity, read_temperature
from nightcal.cameras.section_checks import check_overscans
from nightcal.cameras.settings import INSTRUMENT, Setting, SettingRule, Settings, read_settings
from nightcal.cameras.start_time import find_start
from nightcal.errors import FrameRejectedError
from nightcal.io.header_values import parse_numbers
from nightcal.io.raw_header import RawHeader, Value
from nightcal.warning_names import Warn, ignore_warning, name_warning

ROLES = (
    "type", "object", "exposure", "filter", "start", "start_time", "middle", "end", "set_temperature", "temperature",
    "instrument", "gain", "read_noise", "saturation", "linearity", "longitude", "latitude", "height", "ra", "dec",
    "pixel_scale", "pixel_size", "focal_length", "summed",
)  # fmt: skip
"""Quantities for which a camera file may list keywords; the first keyword with a value is used."""

BINNING = "binning"
"""Label of the binning; like the instrument it is listed elsewhere than in ``mode``."""

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
    family : str
        Name that is common to the camera files whose frames may share masters; empty for that of the camera.
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
    gain, read_noise, saturation, linearity, longitude, latitude, height : float or None
        [e-/ADU], [e-], [ADU], [ADU], [deg east], [deg], [m]; used if the header has none.
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
    family: str = ""
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
    latitude: float | None = None
    height: float | None = None
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

    def describe(self, header: RawHeader, role: str, warn: Warn = ignore_warning) -> str:
        """Read a role as text; empty if it is missing, or with a warning if it cannot be read."""
        try:
            value = self.value(header, role)
        except FrameRejectedError as reason:
            warn(name_warning("unreadable text", f"{reason}"))
            return ""
        return "" if value is None else str(value)

    def temperature(self, header: RawHeader, role: str, warn: Warn = ignore_warning) -> float | None:
        """Read ``set_temperature`` or ``temperature`` [deg C]; an impossible one is unknown, with a warning."""
        return read_temperature(header, self.cards.get(role, ()), warn)

    def kind(self, header: RawHeader, warn: Warn = ignore_warning) -> str:
        """Find the type of a frame: ``bias``, ``dark``, ``flat``, ``science`` or ``other``.

        If several keywords give a type, and they differ, `settle_type` chooses.

        Raises
        ------
        FrameRejectedError
            If no rule of the camera file matches.
        """
        words = {card: word for card in self.cards.get("type", ()) if (word := self._look_up(header, card)) is not None}
        kinds = {card: kind for card in words if (kind := self._find_kind(header, card))}
        first = next((card for card in words if card in kinds or isinstance(words[card], str)), "")
        if first not in kinds:
            kind = "" if first else self._find_kind(header)
            return kind or self._explain_type(header)
        exposure_time = self._try_exposure_time(header) if len(set(kinds.values())) > 1 else None
        return settle_type(
            header.path, {card: (words[card], kind) for card, kind in kinds.items()}, exposure_time, warn
        )

    def _find_kind(self, header: RawHeader, type_card: str = "") -> str:
        """Find the type by the first rule that matches, with the role ``type`` read from one card; empty for none."""
        return next((kind for kind, patterns in self.types if self._agrees(header, patterns, type_card)), "")

    def _explain_type(self, header: RawHeader) -> str:
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

    def exposure_time(self, header: RawHeader, warn: Warn = ignore_warning, kind: str = "") -> float:
        """Read the exposure time [s], of a frame of this kind; errors as for `read_exposure_time`."""
        return read_exposure_time(header, self.cards, warn, is_bias=kind == "bias", units=self.exposure_units)

    def start(self, header: RawHeader, warn: Warn = ignore_warning, exposure_time: float | None = None) -> float:
        """Read the start of the exposure [MJD, UTC]; parameters and errors as for `find_start`."""
        if exposure_time is None:
            exposure_time = self._try_exposure_time(header) or 0.0
        return find_start(header, self.cards, exposure_time, warn)

    def _try_exposure_time(self, header: RawHeader) -> float | None:
        try:
            return self.exposure_time(header)
        except FrameRejectedError:
            return None

    def read_gain_and_noise(
        self, header: RawHeader, amplifier: int = 0, warn: Warn = ignore_warning
    ) -> tuple[float | None, float | None]:
        """Read the gain [e-/ADU] and read noise [e-] of an amplifier.

        Parameters
        ----------
        header : RawHeader
            Of the frame.
        amplifier : int
            From 0.
        warn : function
            Takes warnings about impossible values, which count as unknown.

        Returns
        -------
        (float or None, float or None)
            From the header of the amplifier's plane, else the camera file, else None. From a gain written as a list the
            element of the amplifier is taken, or the mean if the plane combines several amplifiers. A setting of
            the camera, such as ``GAIN = 100``, is not a gain.

        Raises
        ------
        FrameRejectedError
            If the file has other planes than expected.
        """
        rule, plane = self.find_plane(amplifier, header)
        known = self._scale_by_binning("gain", rule.gain or self.gain, header)
        read_noise = self._read(plane, "read_noise", (0, 1e4), "e- of 0 or more", warn)
        read_noise = read_noise or rule.read_noise or self.read_noise
        expected = "e-/ADU above 0 and up to 100"
        card, listed = read_gain_card(plane, self.cards.get("gain", ()))
        if isinstance(listed, str) and listed.startswith("["):
            gains = parse_numbers(listed)
            if not gains or not all(SMALLEST_GAIN <= gain <= LARGEST_GAIN for gain in gains):
                warn(name_warning("unknown gain", f"{card} is {listed!r}; expected {expected}"))
                return known, read_noise
            several = len(gains) == len(self.amplifiers)
            gain: float | None = gains[amplifier] if several else sum(gains) / len(gains)
        elif (self.value(plane, "gain") == 0 and known is not None) or is_gain_setting(card, listed):
            gain = None
        else:
            gain = self._read(plane, "gain", (SMALLEST_GAIN, LARGEST_GAIN), expected, warn)
        return gain or known, read_noise

    def _read(
        self, plane: RawHeader, role: str, bounds: tuple[float, float], expected: str, warn: Warn
    ) -> float | None:
        """Read a number that a frame can do without."""
        name = f"unknown {role.replace('_', ' ')}"
        return read_quantity(plane, self.cards.get(role, ()), bounds, name, expected, warn)

    def saturation_level(self, header: RawHeader, amplifier: int = 0, warn: Warn = ignore_warning) -> float | None:
        """Read the saturation [ADU] of an amplifier: header, else camera file; 0 in a header means unknown."""
        rule, plane = self.find_plane(amplifier, header)
        known = self._scale_by_binning("saturation", rule.saturation or self.saturation, header)
        return self._read(plane, "saturation", (0, 1e9), "ADU of 0 or more", warn) or known

    def find_plane(self, amplifier: int, header: RawHeader) -> tuple[AmplifierRule, RawHeader]:
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
        """Read the crosstalk; result and errors as for `read_crosstalk`."""
        return read_crosstalk(header, self.crosstalk_cards, self.crosstalk, len(self.amplifiers))

    def linearity_limit(self, header: RawHeader, amplifier: int = 0, warn: Warn = ignore_warning) -> float | None:
        """Read the linearity limit [ADU] of an amplifier: header, else camera file; 0 in a header means unknown."""
        _, plane = self.find_plane(amplifier, header)
        known = self._scale_by_binning("saturation", self.linearity, header)
        return self._read(plane, "linearity", (0, 1e9), "ADU of 0 or more", warn) or known

    def east_longitude(self, header: RawHeader, warn: Warn = ignore_warning) -> float | None:
        """Read the longitude of the observatory [deg east]: header, else camera file."""
        degrees = read_longitude(header, self.cards.get("longitude", ()), warn)
        return self.longitude if degrees is None else degrees

    def pointing(self, header: RawHeader, warn: Warn = ignore_warning) -> tuple[float, float] | None:
        """Read right ascension and declination, ICRS [deg]; parameters and result as for `read_pointing`."""
        return read_pointing(header, self.cards.get("ra", ()), self.cards.get("dec", ()), warn)

    def bins(self, header: RawHeader, warn: Warn = ignore_warning) -> tuple[int, int]:
        """Read the binning in x and y; 1 x 1 if no keyword has it."""
        return read_binning(header, self.binning, warn)

    def count_summed(self, header: RawHeader, warn: Warn = ignore_warning) -> int:
        """Count the readouts that were summed at the telescope; 1 if no keyword tells."""
        return count_summed(header, self.cards.get("summed", ()), warn)

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
        pairs = (self.find_plane(n, header) for n in range(len(self.amplifiers)))
        binning = self.bins(header)
        found = [find_sections(rule, plane, binning, warn) for rule, plane in pairs]
        return check_overscans(self.amplifiers, found, header, warn)

    def _agrees(self, header: RawHeader, patterns: Patterns, type_card: str = "") -> bool:
        return all(self._fits(header, name, wanted, type_card) for name, wanted in patterns.items())

    def _fits(self, header: RawHeader, name: str, wanted: tuple[str | float | None, ...], type_card: str) -> bool:
        if name in PATH_NAMES:
            return fits_path(header.path, name, wanted)
        return _matches(self._look_up(header, type_card if name == "type" and type_card else name), wanted)

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
