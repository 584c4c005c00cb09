"""A camera file as it applies to one frame whose header the observer corrects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from nightcal.cameras.camera import BINNING, Camera
from nightcal.cameras.settings import INSTRUMENT, ROWS, Setting, Settings
from nightcal.io.card_text import Value
from nightcal.io.date_formats import SECONDS_A_DAY
from nightcal.io.iso_time import parse_utc
from nightcal.io.raw_header import RawHeader
from nightcal.warning_names import Warn, ignore_warning

MODE = "mode"
KEPT = (BINNING, INSTRUMENT, ROWS)
"""Labels of settings that a mode does not replace."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the observer says of a frame, in place of its header; None where he says nothing.

    Attributes
    ----------
    type : str
        ``bias``, ``dark``, ``flat`` or ``science``.
    filter : str
    exposure : float
        [s]
    time : str
        Start of the exposure, as ``YYYY-MM-DDThh:mm:ss`` [UTC].
    time_shift : float
        Added to the time in the header [s].
    gain, read_noise : float
        [e-/ADU], [e-]
    temperature : float
        Of the detector [deg C].
    mode : str
        Replaces all settings that frames must share but `KEPT`.
    """

    type: str | None = None
    filter: str | None = None
    exposure: float | None = None
    time: str | None = None
    time_shift: float | None = None
    gain: float | None = None
    read_noise: float | None = None
    temperature: float | None = None
    mode: str | None = None

    def __bool__(self) -> bool:
        return self != NOTHING

    def list_known(self) -> dict[str, Any]:
        """List what is said, by the words of the rules."""
        known = {attribute.name: getattr(self, attribute.name) for attribute in fields(self)}
        return {name: value for name, value in known.items() if value is not None}


NOTHING = Facts()


@dataclass(frozen=True)
class CorrectedCamera(Camera):
    """A camera file that reads the header of a frame as the observer corrects it."""

    facts: Facts = NOTHING

    def kind(self, header: RawHeader, warn: Warn = ignore_warning) -> str:
        """Find the type of a frame."""
        return self.facts.type or Camera.kind(self, header, warn)

    def exposure_time(self, header: RawHeader, warn: Warn = ignore_warning, kind: str = "") -> float:
        """Read the exposure time [s]."""
        said = self.facts.exposure
        return Camera.exposure_time(self, header, warn, kind) if said is None else said

    def start(self, header: RawHeader, warn: Warn = ignore_warning, exposure_time: float | None = None) -> float:
        """Read the start of the exposure [MJD, UTC]."""
        if self.facts.time is not None:
            return parse_utc(self.facts.time)
        return Camera.start(self, header, warn, exposure_time) + (self.facts.time_shift or 0.0) / SECONDS_A_DAY

    def read_gain_and_noise(
        self, header: RawHeader, amplifier: int = 0, warn: Warn = ignore_warning
    ) -> tuple[float | None, float | None]:
        """Read gain [e-/ADU] and read noise [e-] of an amplifier."""
        said = {"unknown gain": self.facts.gain, "unknown read noise": self.facts.read_noise}
        settled = tuple(name for name, value in said.items() if value is not None)

        def warn_of_others(text: str) -> None:
            if not text.startswith(settled):
                warn(text)

        gain, read_noise = Camera.read_gain_and_noise(self, header, amplifier, warn_of_others)
        return self.facts.gain or gain, read_noise if self.facts.read_noise is None else self.facts.read_noise

    def temperature(self, header: RawHeader, role: str, warn: Warn = ignore_warning) -> float | None:
        """Read the set or measured temperature [deg C]."""
        return (
            Camera.temperature(self, header, role, warn) if self.facts.temperature is None else self.facts.temperature
        )

    def filter(self, header: RawHeader) -> str:
        """Read the filter."""
        return Camera.filter(self, header) if self.facts.filter is None else self.facts.filter

    def settings(self, header: RawHeader) -> Settings:
        """Read what frames must share with their masters; a mode replaces all settings but `KEPT`."""
        found = Camera.settings(self, header)
        if self.facts.mode is None:
            return found
        mode = Setting("", MODE, ((MODE, self.facts.mode),))
        return (*(one for one in found if one.label in KEPT), *([mode] if self.facts.mode else ()))

    def value(self, header: RawHeader, role: str) -> Value | None:
        """Look up the value of a role, which rules for types may ask for."""
        said = self.facts.exposure if role == "exposure" else None
        return Camera.value(self, header, role) if said is None else said


def correct_camera(camera: Camera, facts: Facts) -> Camera:
    """Let a camera file read a header as the observer corrects it.

    Parameters
    ----------
    camera : Camera
    facts : Facts
        Of one frame.

    Returns
    -------
    Camera
        The same camera if nothing is said.
    """
    if not facts:
        return camera
    return CorrectedCamera(**{one.name: getattr(camera, one.name) for one in fields(Camera)}, facts=facts)


def find_facts(camera: Camera) -> Facts:
    """Find what the observer says of the frame for which a camera file is corrected."""
    return camera.facts if isinstance(camera, CorrectedCamera) else NOTHING


def correct_cameras(cameras: Sequence[Camera], facts: Facts) -> list[Camera]:
    """Correct each camera file that may read a header; as `correct_camera`."""
    return [correct_camera(camera, facts) for camera in cameras]
