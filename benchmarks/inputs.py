"""Simulate the frames to be reduced; each set is written once.

python -m benchmarks.inputs WORK bias_4096
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits
from nightcal.simulation.night import Chip, add_cosmic_rays, expose, make_chip, write_raw
from nightcal.simulation.schedule import Kind
from nightcal.simulation.sky import paint

from benchmarks.cosmic_ray_hits import simulate_hits

SEED = 20240301
EVENING = datetime(2024, 3, 1, 22)
READOUT = timedelta(seconds=3)
FLAT_ADU, FLAT_TIME = 20000.0, 5.0
SKY = 4.0  # e-/s
COSMIC_RAYS_PER_MEGAPIXEL = 25
HITS_PER_PIXEL = 3000 / 4096**2  # of a calibrated frame
CALIBRATED_SKY, CALIBRATED_TIME, CALIBRATED_NOISE = 240.0, 60.0, 6.0  # e-, s, e-
SMALLER = 8  # sides, with --small
FEWER = 10  # science frames, with --small


@dataclass(frozen=True, slots=True)
class FrameSet:
    """Frames of one chip: number of each kind, and size [pixels] without the overscan columns."""

    size: int
    overscan: int = 0
    bias: int = 0
    dark: int = 0
    flat: int = 0
    science: int = 0
    cosmic_rays: int = 0
    filters: tuple[str, ...] = ("V",)
    exposure_time: float = 60.0  # of a science frame [s]

    def small(self) -> FrameSet:
        """Shrink the set for a quick try."""
        science = max(1, self.science // FEWER) if self.science else 0
        size = max(128, self.size // SMALLER)
        return replace(self, size=size, science=science)


SETS = {
    "warm_up": FrameSet(128, bias=200),
    "bias_1024": FrameSet(1024, bias=200),
    "bias_2048": FrameSet(2048, bias=64),
    "bias_4096": FrameSet(4096, bias=64),
    "calibration_2048": FrameSet(2048, bias=16, dark=16, flat=16),
    "science_4096": FrameSet(4096, overscan=64, bias=5, dark=3, flat=3, science=1),
    "cosmic_rays_4096": FrameSet(4096, cosmic_rays=1),
    "night_256": FrameSet(256, overscan=32, bias=16, dark=9, flat=9, science=2000, exposure_time=5.0),
    "night_small": FrameSet(2048, overscan=32, bias=20, dark=10, flat=10, science=40, filters=("B", "V", "R")),
    "night_2048": FrameSet(2048, overscan=32, bias=60, dark=20, flat=15, science=150, filters=("B", "V", "R")),
}


@dataclass(frozen=True, slots=True)
class Shot:
    """One exposure to be simulated."""

    stem: str
    kind: Kind
    exposure_time: float
    filter_name: str | None = None


def find_set(name: str, small: bool) -> FrameSet:
    """Look up a frame set, shrunk for a quick try if ``small``."""
    return SETS[name].small() if small else SETS[name]


def find_folder(work: Path, name: str, small: bool) -> Path:
    """Name the folder of a frame set."""
    return work / "inputs" / (f"{name}_small" if small else name)


def simulate(folder: Path, frames: FrameSet) -> None:
    """Write the frames of a set as ``bias_0001.fits``, ``dark_...``, ``flat_V_...``, ``science_V_...``.

    Parameters
    ----------
    folder : Path
        Must not exist; created when all frames are written.
    frames : FrameSet

    Notes
    -----
    Read noise 6 e-, gain 1.5 e-/ADU, bias 1000 ADU without drift, a stuck column, 20 hot and 10 dead pixels, and cosmic
    rays in every frame. Frames for the cosmic ray search are written calibrated.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    chip = make_chip((frames.size, frames.size), frames.filters, SEED, overscan=frames.overscan)
    stars = _stars(frames.size, frames.size**2 // 2000, rng) if frames.science else 0.0
    n_cosmic = max(1, COSMIC_RAYS_PER_MEGAPIXEL * frames.size**2 // 2**20)
    start = EVENING
    for shot in _shots(frames):
        raw = expose(chip, rng, _find_rate(shot, chip, stars), shot.exposure_time, shot.filter_name)
        raw, _ = add_cosmic_rays(raw, rng, n_cosmic, chip)
        write_raw(partial / f"{shot.stem}.fits", raw, chip, shot.kind, shot.exposure_time, shot.filter_name, start)
        start += timedelta(seconds=shot.exposure_time) + READOUT
    for i in range(1, frames.cosmic_rays + 1):
        _write_calibrated(partial / f"cosmic_rays_{i:04d}.fits", frames.size, rng)
    partial.rename(folder)


def _stars(size: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate stars of 20 to 6000 e-/s, distributed as flux^-1.7, with a FWHM of 3 pixels [e-/s]."""
    rate = rng.uniform(6000**-0.7, 20**-0.7, n) ** (-1 / 0.7)
    return paint((size, size), rng.uniform(0, size, n), rng.uniform(0, size, n), rate, 3.0)


def _write_calibrated(path: Path, size: int, rng: np.random.Generator) -> None:
    """Write a calibrated frame with realistic hits [e-], and its uncertainty."""
    light = CALIBRATED_SKY + CALIBRATED_TIME * _stars(size, size**2 // 8000, rng)
    hits = simulate_hits((size, size), rng, round(HITS_PER_PIXEL * size**2))
    image = rng.poisson(light + hits.charge) + rng.normal(0, CALIBRATED_NOISE, light.shape)
    uncertainty = np.sqrt(np.maximum(image, 0) + CALIBRATED_NOISE**2)
    hdus = [fits.PrimaryHDU(image.astype(np.float32)), fits.ImageHDU(uncertainty.astype(np.float32), name="UNCERT")]
    fits.HDUList(hdus).writeto(path)


def _find_rate(shot: Shot, chip: Chip, stars: np.ndarray | float) -> np.ndarray | float:
    """Find the rate of photoelectrons from lamp or sky [e-/s]."""
    if shot.kind == "Flat Field":
        return FLAT_ADU * chip.gain / FLAT_TIME
    return SKY + stars if shot.kind == "Light Frame" else 0.0


def _shots(frames: FrameSet) -> Iterator[Shot]:
    for i in range(1, frames.bias + 1):
        yield Shot(f"bias_{i:04d}", "Bias Frame", 0.0)
    for i in range(1, frames.dark + 1):
        yield Shot(f"dark_{i:04d}", "Dark Frame", 60.0)
    for name in frames.filters:
        for i in range(1, frames.flat + 1):
            yield Shot(f"flat_{name}_{i:04d}", "Flat Field", FLAT_TIME, name)
    for i in range(frames.science):
        name = frames.filters[i % len(frames.filters)]
        yield Shot(f"science_{name}_{i + 1:04d}", "Light Frame", frames.exposure_time, name)


def main() -> None:
    """Write one frame set, unless it exists."""
    work, name, small = Path(sys.argv[1]), sys.argv[2], "--small" in sys.argv
    folder = find_folder(work, name, small)
    if not folder.exists():
        simulate(folder, find_set(name, small))


if __name__ == "__main__":
    main()
