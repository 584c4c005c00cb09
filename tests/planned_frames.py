"""Frames as headers tell of them, for tests of the planner."""

from dataclasses import replace
from pathlib import Path

from nightcal.planning.frames import Frame

NIGHT, MIDNIGHT = "20240301", 60371.0


def frame(name, kind="science", hours=0.0, **more):
    """A good frame of one camera, ``hours`` after midnight of 1/2 March 2024."""
    plain = Frame(
        Path("raw") / name,
        name,
        camera="mine",
        kind=kind,
        exposure_time={"bias": 0.0, "dark": 300.0}.get(kind, 30.0),
        mjd=MIDNIGHT + hours / 24,
        night=NIGHT,
        shape=(10, 12),
        gain=1.5,
        read_noise=5.0,
        filter="V" if kind in ("flat", "science") else "",
    )
    return replace(plain, **more)
