"""Records."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from pathlib import Path

from nightcal.planning.dark_scaling import Span
from nightcal.planning.frames import Frame
from nightcal.planning.naming import digest, slug

LONGEST_SETUP = 110


@dataclass(frozen=True, slots=True)
class Setup:
    """What frames must share before one may calibrate another."""

    camera: str
    instrument: str
    binning: tuple[int, int]
    mode: str
    shape: tuple[int, int]
    has_overscan: bool = False
    area: str = ""
    amplifiers: int = 1

    @staticmethod
    def of(frame: Frame) -> Setup:
        """Take the setup from a frame."""
        return _shared(*_IN_FRAME(frame))

    @property
    def name(self) -> str:
        """The setup in a file name."""
        return _name_of(self)


_shared = cache(Setup)  # thousands of frames have few setups


_IN_FRAME = attrgetter(*(attribute.name for attribute in fields(Setup)))


@cache
def _name_of(setup: Setup) -> str:
    rows, columns = setup.shape
    binning = f"{setup.binning[0]}x{setup.binning[1]}"
    pixels = f"{columns}x{rows}" + (f"x{setup.amplifiers}" if setup.amplifiers > 1 else "")
    parts = (setup.camera, setup.instrument, pixels, binning, setup.mode)
    name = "_".join(slug(part) for part in parts if part)
    return name if len(name) <= LONGEST_SETUP else f"{name[:LONGEST_SETUP]}_{digest(name)}"


@dataclass(frozen=True, slots=True)
class Match:
    """The master chosen for a step, or none, and why."""

    master: PlannedMaster | None = None
    gap_hours: float | None = None
    reason: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class PlannedMaster:
    """One master that exists in the library or will be made.

    Attributes
    ----------
    kind : str
        ``bias``, ``dark``, ``flat``, ``bpm`` (bad pixel mask) or ``gain`` (gain and read noise, measured).
    name : str
        Stem of the file name, unique within its night.
    night : str
    setup : Setup
    mjd : float
        Mean of the middles of the exposures.
    filter : str
        Of a flat.
    light : str
        Of a flat: ``twilight``, ``dome``, or nothing where that is unknown.
    set_temperature, temperature : float or None
        Of a dark, as set and as measured, of its first frame [deg C].
    exposures : (float, float)
        Shortest and longest of a dark or flat [s]; 0 where that is unknown.
    frames : tuple of Frame
        What is stacked, in time order.
    ingredients : tuple of PlannedMaster
        Masters that a bad pixel mask is made from.
    user_masks : tuple of Path
        Masks of the observer that are added to it.
    bias, dark, measured_gain : Match
        What calibrates the frames before they are stacked.
    path : Path or None
        Where a master of the library is; None for one of these nights.
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
    frames: tuple[Frame, ...] = ()
    ingredients: tuple[PlannedMaster, ...] = ()
    user_masks: tuple[Path, ...] = ()
    bias: Match = Match()
    dark: Match = Match()
    measured_gain: Match = Match()
    path: Path | None = None

    @property
    def matches(self) -> tuple[Match, ...]:
        """What calibrates the frames, step by step."""
        return self.bias, self.dark, self.measured_gain
