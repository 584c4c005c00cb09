"""Gain and read noise of a detector, and the step and top of its ADC: the record, and its file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from nightcal.warning_names import name_warning

LARGEST_DEPARTURE = 0.03
"""Departure of a gain from a measured one, as a fraction, up to which it is believed."""

SIGNIFICANT = 5.0  # in standard errors of the measurement
SETUP = "setup"
"""Key of the setup in the file."""


@dataclass(frozen=True, slots=True)
class GainAndReadNoise:
    """Gain and read noise of a detector, and their origin.

    Attributes
    ----------
    gain, read_noise : float
        [e-/ADU], [e-], mean and root mean square of the amplifiers; the read noise includes digitisation noise.
    source : str
        For the header.
    warning : str
        Empty if both are measured or known.
    amplifiers : tuple of (float, float)
        Gain and read noise per amplifier, if measured.
    errors : tuple of (float, float)
        Their standard errors.
    doubt : str
        Why a measurement is not good enough to replace a gain in a header; empty if it is.
    step : float
        Step of the ADC [ADU].
    tops : tuple of (float or None)
        Top of the ADC [ADU] per amplifier, if seen.
    use : str
        When a measured gain replaces one of header or camera file: ``auto``, if that differs significantly from a good
        measurement; ``header``, never; ``measured``, always.
    """

    gain: float
    read_noise: float
    source: str
    warning: str = ""
    amplifiers: tuple[tuple[float, float], ...] = ()
    errors: tuple[tuple[float, float], ...] = ()
    doubt: str = ""
    step: float = 1.0
    tops: tuple[float | None, ...] = ()
    use: str = "auto"

    def select_amplifier(self, amplifier: int) -> GainAndReadNoise:
        """Select the values of one amplifier, counted from 0; the mean values if unknown."""
        if amplifier >= len(self.amplifiers):
            return self
        gain, read_noise = self.amplifiers[amplifier]
        errors = self.errors[amplifier : amplifier + 1]
        return replace(self, gain=gain, read_noise=read_noise, amplifiers=(), errors=errors)

    def find_top(self, amplifier: int) -> float | None:
        """Find the top of the ADC [ADU] of an amplifier; None if unknown."""
        return self.tops[amplifier] if amplifier < len(self.tops) else None

    @property
    def is_good(self) -> bool:
        """Whether the gain of an amplifier is measured so well that it can correct a header."""
        return bool(self.errors) and not self.warning and not self.doubt

    def replaces(self, gain: float) -> bool:
        """Check whether this measurement of an amplifier is used instead of a gain in header or camera file."""
        if self.use == "measured":
            return bool(self.errors) and not self.warning
        if self.use == "header" or not self.is_good:
            return False
        departure = abs(self.gain - gain)
        return departure > LARGEST_DEPARTURE * gain and departure > SIGNIFICANT * self.errors[0][0]


ASSUMED = GainAndReadNoise(
    1.0, 0.0, "assumed", name_warning("unknown gain", "1 e-/ADU assumed: do not trust the uncertainties")
)


def write_gain(path: Path, noise: GainAndReadNoise, setup: Mapping[str, Any] | None = None) -> None:
    """Write gain and read noise as JSON.

    Parameters
    ----------
    path : Path
        Replaced if it exists; its folder is made.
    noise : GainAndReadNoise
    setup : mapping of str to str or number, optional
        Keywords of the setup, so that the file can serve other nights as part of a library.
    """
    from nightcal.io.atomic import write_text

    known = {SETUP: dict(setup)} if setup else {}
    write_text(path, json.dumps(asdict(noise) | known, indent=2) + "\n")


def read_gain(path: Path) -> GainAndReadNoise:
    """Read a file that `write_gain` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    GainAndReadNoise
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    values = {item.name: values[item.name] for item in fields(GainAndReadNoise) if item.name in values}
    pairs = {name: tuple((gain, noise) for gain, noise in values.pop(name, [])) for name in ("amplifiers", "errors")}
    return GainAndReadNoise(**values | pairs | {"tops": tuple(values.pop("tops", []))})
