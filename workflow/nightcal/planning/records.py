"""The planner's records: the setup of a frame, a planned master, and the match of a frame with a master."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from pathlib import Path

from nightcal.cameras.camera import BINNING
from nightcal.cameras.settings import INSTRUMENT, ROWS, Difference, Settings, find_differences
from nightcal.planning.dark_scaling import Span
from nightcal.planning.frames import Frame
from nightcal.planning.naming import hash_text, slugify

LONGEST_SETUP = 110

UNNAMED = (BINNING, INSTRUMENT, "egain")
"""Labels of settings that are not part of the readout mode."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a frame must share with the frames that calibrate it."""

    camera: str
    instrument: str
    binning: tuple[int, int]
    settings: Settings
    shape: tuple[int, int]
    has_overscan: bool = False
    area: str = ""
    amplifiers: int = 1
    plane: str = ""
    family: str = ""

    @staticmethod
    def from_frame(frame: Frame) -> Setup:
        """Take the setup from a frame."""
        return _make_setup(*_IN_FRAME(frame))

    @property
    def values(self) -> Hashable:
        """All criteria, with the values of the settings alone, whatever the keywords that give them."""
        known = (setting for setting in self.settings if not setting.is_neutral)
        settings = ((setting.name, frozenset(map(setting.normalise, setting.values))) for setting in known)
        return _WITHOUT_SETTINGS(self), frozenset(settings)

    @property
    def mode(self) -> str:
        """Readout mode: the values of the settings that are neither instrument, binning nor a gain in e-/ADU."""
        return " ".join(setting.text for setting in self.settings if setting.label not in UNNAMED and setting.text)

    @property
    def name(self) -> str:
        """The setup in a file name."""
        return _name_setup(self)

    def find_differences(self, other: Setup) -> list[Difference]:
        """Find the criteria in which two setups differ, those that only one of them lacks last."""
        return _compare_setups(self, other)


_make_setup = cache(Setup)  # thousands of frames share a few setups
_IN_FRAME = attrgetter(*(attribute.name for attribute in fields(Setup)))
_WITHOUT_SETTINGS = attrgetter(*(attribute.name for attribute in fields(Setup) if attribute.name != "settings"))


@cache
def _compare_setups(first: Setup, second: Setup) -> list[Difference]:
    pairs = {
        "the camera file": ("", "") if _are_related(first, second) else (first.camera, second.camera),
        "size": (_describe_shape(first), _describe_shape(second)),
        "overscan": (_YES_NO[first.has_overscan], _YES_NO[second.has_overscan]),
        "the light-sensitive area": (first.area, second.area),
        "the colour of the mosaic": (first.plane or WHOLE, second.plane or WHOLE),
    }
    found = [Difference(what, *pair) for what, pair in pairs.items() if pair[0] != pair[1]]
    differ = find_differences(first.settings, second.settings)
    if not found and _is_whole(first):
        turned = {setting.name for setting in first.settings if setting.label == ROWS}
        differ = [d for d in differ if d.is_lack or d.card not in turned]  # masters are turned as well
    return sorted([*found, *differ], key=lambda d: d.is_lack)


def _are_related(first: Setup, second: Setup) -> bool:
    """Check whether frames of two camera files may be of one camera."""
    return first.camera == second.camera or (first.family or first.camera) == (second.family or second.camera)


def _is_whole(setup: Setup) -> bool:
    """Check whether the frames are the light-sensitive pixels of one amplifier, and nothing else."""
    rows, columns = setup.shape
    return setup.amplifiers == 1 and not setup.has_overscan and setup.area == f"[1:{columns},1:{rows}]"


WHOLE = "none"
_YES_NO = {True: "yes", False: "no"}


def _describe_shape(setup: Setup) -> str:
    rows, columns = setup.shape
    return f"{columns} x {rows}" + (f" x {setup.amplifiers}" if setup.amplifiers > 1 else "")


@cache
def _name_setup(setup: Setup) -> str:
    rows, columns = setup.shape
    binning = f"{setup.binning[0]}x{setup.binning[1]}"
    pixels = f"{columns}x{rows}" + (f"x{setup.amplifiers}" if setup.amplifiers > 1 else "")
    parts = (setup.camera, setup.instrument, pixels, binning, setup.mode, setup.plane)
    name = "_".join(slugify(part) for part in parts if part)
    return name if len(name) <= LONGEST_SETUP else f"{name[:LONGEST_SETUP]}_{hash_text(name)}"


@dataclass(frozen=True, slots=True)
class Match:
    """The master chosen for a step, or None, and why.

    With ``rejected`` the frame must not be used, since no master is allowed for it. With ``included`` no master is
    needed: the master of another step does this one, too. ``others`` are the matches that stand in for it, in order, if
    the master is rejected once it is made. ``age`` grades the time between master and frame: ``plan``, ``usable`` or
    ``risky``; empty if nothing is said of the age.
    """

    master: PlannedMaster | None = None
    gap_hours: float | None = None
    reason: str = ""
    warning: str = ""
    rejected: bool = False
    included: bool = False
    others: tuple[Match, ...] = ()
    age: str = ""

    @property
    def candidates(self) -> tuple[PlannedMaster, ...]:
        """The masters that may serve, in order."""
        return tuple(match.master for match in (self, *self.others) if match.master)

    @property
    def explanation(self) -> str:
        """The reason, and which masters stand in for this one."""
        others = ", then ".join(f"{master.name} of {master.night}" for master in self.candidates[1:])
        return f"{self.reason}; if that is rejected, {others}" if others else self.reason


@dataclass(frozen=True, slots=True)
class PlannedMaster:
    """A master that will be made, or that exists in a library.

    Attributes
    ----------
    kind : str
        ``bias``, ``dark``, ``flat``, ``bpm`` (bad pixel mask) or ``gain`` (measured gain and read noise).
    name : str
        File name without suffix, unique within the night.
    night : str
    setup : Setup
    mjd : float
        Mean mid-exposure of its frames.
    filter, flat_source : str
        Of a flat; the source is ``twilight``, ``dome``, or empty if unknown.
    set_temperature, temperature : float or None
        Set and measured temperature of the first frame of a dark, of a bias without overscan, or of one made of darks
        [deg C].
    exposures : (float, float)
        Shortest and longest exposure time of a dark or flat [s]; 0 if unknown.
    pedestal_exposure : float
        Exposure time of the darks that a bias is made of, or that serve as bias for a dark [s]; 0 for bias frames.
    frames : tuple of Frame
        The frames to stack, in time order.
    ingredients : tuple of PlannedMaster
        Masters from which a bad pixel mask is made.
    user_masks : tuple of Path
        The observer's masks, which are added to a bad pixel mask.
    warnings : tuple of str
        What is doubtful about its frames.
    bias, dark, measured_gain : Match
        What calibrates the frames before they are stacked.
    path : Path or None
        File of a library master; None for a master that will be made.
    """

    kind: str
    name: str
    night: str
    setup: Setup
    mjd: float
    filter: str = ""
    flat_source: str = ""
    set_temperature: float | None = None
    temperature: float | None = None
    exposures: Span = (0.0, 0.0)
    pedestal_exposure: float = 0.0
    frames: tuple[Frame, ...] = ()
    ingredients: tuple[PlannedMaster, ...] = ()
    user_masks: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    bias: Match = Match()
    dark: Match = Match()
    measured_gain: Match = Match()
    path: Path | None = None

    @property
    def matches(self) -> tuple[Match, ...]:
        """What calibrates the frames, by step."""
        return self.bias, self.dark, self.measured_gain
