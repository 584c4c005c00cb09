"""Settings of a camera that change its raw numbers, and how those of two frames compare."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nightcal.cameras.gain_cards import is_no_gain
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import RawHeader, Value

ROWS = "rows"
"""Label of the order in which rows are stored."""

INSTRUMENT = "instrument"
"""Label of the name of the instrument."""

_NO_NAMES = frozenset(("ccd", "cmos", "camera", "cam"))
"""Words that some drivers add to the name of a camera."""

_NOT_FLIPPED = frozenset(("0", "false", "f", "no", "none", "normal", "off"))
NEUTRAL = {
    "binning": frozenset(("1x1",)),
    "origin": frozenset("0"),
    "pedestal": frozenset("0"),
    "flip": _NOT_FLIPPED,
    "hflip": _NOT_FLIPPED,
    "vflip": _NOT_FLIPPED,
}
"""Values that mean the same as a missing keyword, by label."""


@dataclass(frozen=True, slots=True)
class SettingRule:
    """A setting in a camera file.

    Attributes
    ----------
    label : str
        Short name for file names and messages, such as ``gain``; may be empty.
    cards : tuple of str
        Keywords that say the same thing.
    """

    label: str
    cards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a frame.

    Attributes
    ----------
    label : str
        As in `SettingRule`.
    name : str
        First keyword of the rule, which identifies the setting.
    cards : tuple of (str, str)
        Keywords and values in the header of the frame; at least one.
    """

    label: str
    name: str
    cards: tuple[tuple[str, str], ...]

    @property
    def values(self) -> tuple[str, ...]:
        """Different values, in the order of the keywords."""
        return tuple({self.normalise(value): value for _, value in reversed(self.cards)}.values())[::-1]

    def normalise(self, text: str) -> str:
        """Make texts that mean the same in this setting equal."""
        return normalise_name(text) if self.label == INSTRUMENT else normalise(text)

    @property
    def is_neutral(self) -> bool:
        """Whether the setting is the same as none."""
        return set(map(self.normalise, self.values)) <= NEUTRAL.get(self.label, frozenset())

    @property
    def text(self) -> str:
        """The values for a file name, with the label before a number; empty for no setting, or a gain in e-/ADU."""
        if self.is_neutral:
            return ""
        values = (value for value in self.values if self.label != "gain" or not _FRACTION.fullmatch(value))
        return " ".join(f"{self.label if _NEEDS_LABEL.match(value) else ''}{value}" for value in values)


_NEEDS_LABEL = re.compile(r"\d|(True|False)\Z")
_FRACTION = re.compile(r"\d*\.\d*")

Settings = tuple[Setting, ...]


def read_settings(header: RawHeader, rules: Sequence[SettingRule]) -> Settings:
    """Read the settings of a frame.

    Parameters
    ----------
    header : RawHeader
    rules : sequence of SettingRule

    Returns
    -------
    tuple of Setting
        Without settings of which the header has no keyword. A value that cannot be parsed counts as missing,
        like an ``EGAIN`` of 0.
    """
    found = ((rule, tuple(_read_cards(header, rule))) for rule in rules)
    return tuple(Setting(rule.label, rule.cards[0], cards) for rule, cards in found if cards)


def _read_cards(header: RawHeader, rule: SettingRule) -> Iterator[tuple[str, str]]:
    for card in rule.cards:
        try:
            value = header.value(card)
        except FrameRejectedError:
            continue
        if value is not None and not is_no_gain(card, value):
            yield card, format_value(value)


def read_row_order(settings: Settings) -> str:
    """Read the order in which rows are stored (``ROWORDER``), in lower case; empty if unknown."""
    return next((setting.values[0].lower() for setting in settings if setting.label == ROWS), "")


def format_value(value: Value) -> str:
    """Write a header value as text; a whole number without decimals, whatever its type."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return " ".join(str(value).split())


def normalise(text: str) -> str:
    """Make texts that mean the same equal: upper and lower case, ``30`` and ``30.0``."""
    try:
        return format_value(float(text))
    except ValueError:
        return text.casefold()


def normalise_name(text: str) -> str:
    """Make the names that different programs have for a camera equal: ``ZWO CCD ASI120MM`` and ``ZWO ASI120MM``."""
    words = re.findall(r"\w+", text.casefold())
    return " ".join(word for word in words if word not in _NO_NAMES) or text.casefold()


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting in which two frames differ: keywords, and the value of each; empty if a frame lacks the setting."""

    card: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.card} ({self.first!r} and {self.second!r})"

    @property
    def is_lack(self) -> bool:
        """Whether one of the frames lacks the setting."""
        return not (self.first and self.second)


def find_differences(first: Settings, second: Settings) -> list[Difference]:
    """Compare the settings of two frames.

    Parameters
    ----------
    first, second : tuple of Setting

    Returns
    -------
    list of Difference
        Keywords that both have are compared one by one. If they share no keyword of a setting, a value in common is
        enough: one program writes ``READOUTM``, another ``READMODE``. Else one of them counts as missing.
    """
    ours, theirs = ({setting.name: setting for setting in settings} for settings in (first, second))
    return [
        difference
        for name in dict.fromkeys([*ours, *theirs])
        for difference in _compare(ours.get(name), theirs.get(name))
    ]


def _compare(first: Setting | None, second: Setting | None) -> Iterator[Difference]:
    ours, theirs = dict(first.cards if first else ()), dict(second.cards if second else ())
    either = first or second
    same = either.normalise if either else normalise
    shared = [card for card in ours if card in theirs]
    for card in shared:
        if same(ours[card]) != same(theirs[card]):
            yield Difference(card, ours[card], theirs[card])
    lone_setting = second if first is None else first if second is None else None
    if lone_setting is not None and lone_setting.is_neutral:
        return
    if not shared and not {*map(same, ours.values())} & {*map(same, theirs.values())}:
        lone = next(iter(ours or theirs))
        yield Difference(lone, ours.get(lone, ""), theirs.get(lone, ""))
