"""Schedule the exposures of a simulated night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

Kind = Literal["Bias Frame", "Dark Frame", "Flat Field", "Light Frame"]

EVENING = datetime(2024, 3, 1)
READOUT = timedelta(seconds=12)
FLAT_ADU = 20000.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure of the schedule; `rate` is the uniform signal of sky or lamp [e-/s/pix]."""

    stem: str
    kind: Kind
    exposure_time: float
    filter_name: str | None = None
    rate: float = 0.0
    start: datetime = EVENING


def schedule_night(
    n_bias: int,
    n_dark: int,
    dark_exposure: float,
    filters: Sequence[str],
    n_flat: int,
    n_science: int,
    sky: Sequence[float],
    gain: float,
) -> list[Shot]:
    """Schedule the exposures of a night, in order of time.

    Parameters
    ----------
    n_bias, n_dark, dark_exposure, filters, n_flat, n_science, sky
        As for `nightcal.simulation.night.simulate_night`.
    gain : float
        [e-/ADU]

    Returns
    -------
    list of Shot
        Each block starts at its hour after 0 h UTC of the evening's date, or after the previous block.
    """
    bias = [Shot(f"bias_{i:03d}", "Bias Frame", 0.0) for i in range(1, n_bias + 1)]
    dark = [Shot(f"dark_{i:03d}", "Dark Frame", dark_exposure) for i in range(1, n_dark + 1)]
    flat = [
        Shot(f"flat_{name}_{i:03d}", "Flat Field", 4.0 + i, name, adu * gain / (4 + i))
        for name in filters
        for i, adu in enumerate(np.linspace(1.08, 0.92, n_flat) * FLAT_ADU, start=1)
    ]
    science = []
    for i, exposure in enumerate(np.rint(np.linspace(60, 180, n_science))):
        turn, which = divmod(i, len(filters))
        stem = f"field_{filters[which]}_{turn + 1:03d}"
        science.append(Shot(stem, "Light Frame", float(exposure), filters[which], sky[which % len(sky)]))
    half = (n_bias + 1) // 2
    blocks = {21.5: bias[:half], 21.75: dark, 23.25: flat, 25.0: science, 33.5: bias[half:]}
    shots, clock = [], EVENING
    for hour, block in blocks.items():
        clock = max(clock, EVENING + timedelta(hours=hour))
        for shot in block:
            shots.append(replace(shot, start=clock))
            clock += timedelta(seconds=shot.exposure_time) + READOUT
    return shots
