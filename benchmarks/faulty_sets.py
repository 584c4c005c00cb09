"""Sets of calibration frames with planted faults, written frame by frame; nothing of nightcal makes them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from astropy.io import fits

SHAPE = (160, 192)
OVERSCAN = 24
GAIN, READ_NOISE, LEVEL = 1.5, 6.0, 1000.0  # e-/ADU, e-, ADU
TYPES = {"bias": "Bias Frame", "dark": "Dark Frame", "flat": "Flat Field", "science": "Light Frame"}

Change = Callable[[int, np.ndarray], np.ndarray]


@dataclass
class Chip:
    """A detector with a fixed pattern, warm and hot pixels, vignetting, dust, and electronics that drift a little."""

    seed: int
    overscan: bool = True
    drift: float = 0.15
    banding: float = 0.1
    rng: np.random.Generator = field(init=False)

    def __post_init__(self):
        fixed = np.random.default_rng(1000 + self.seed)
        self.rng = np.random.default_rng(self.seed)
        ny, nx = SHAPE
        y, x = np.mgrid[:ny, :nx]
        self.pattern = fixed.normal(0, 2, nx) + 3 * np.exp(-y / 20) + fixed.normal(0, 0.7, SHAPE)
        self.current = 0.02 + 0.02 * fixed.gamma(1.0, 1.0, SHAPE)
        self.current[tuple(fixed.integers(0, SHAPE, (30, 2)).T)] = fixed.uniform(0.5, 20, 30)
        radius = np.hypot((x - nx / 2) / nx, (y - ny / 2) / ny)
        self.response = (1 - 0.25 * radius**2) * fixed.normal(1, 0.01, SHAPE)
        for dust_y, dust_x in fixed.integers(20, 140, (3, 2)):
            self.response *= 1 - 0.05 * (np.abs(np.hypot(y - dust_y, x - dust_x) - 6) < 2)

    def expose(self, signal, change: Change | None = None, number: int = 0):
        """Read out a frame [ADU] of a signal [e-]; ``change(number, electrons)`` alters it before the readout."""
        electrons = self.rng.poisson(np.maximum(signal, 0)).astype(float)
        if change is not None:
            electrons = change(number, electrons)
        electrons = electrons + self.pattern
        if self.overscan:
            electrons = np.hstack([electrons, np.zeros((SHAPE[0], OVERSCAN))])
        bands = np.repeat(self.rng.normal(0, self.banding * READ_NOISE, SHAPE[0] // 4), 4)[:, np.newaxis]
        noise = self.rng.normal(0, READ_NOISE, electrons.shape) + bands
        level = LEVEL + self.rng.normal(0, self.drift * READ_NOISE) / GAIN
        return np.clip(np.rint((electrons + noise) / GAIN + level), 0, 65535).astype(np.uint16)


@dataclass
class Folder:
    """Writes frames one after the other, with the header of a small observatory."""

    path: Path
    chip: Chip
    time: datetime = datetime(2024, 3, 1, 22)

    def take(self, kind, seconds, count, signal=0.0, change=None, cards=None):
        """Take some frames; ``cards(number)`` gives more header cards, ``seconds(number)`` the times. Returns paths."""
        self.path.mkdir(parents=True, exist_ok=True)
        times = [seconds(n) if callable(seconds) else seconds for n in range(count)]
        return [self._take_one(kind, times[n], signal, change, cards, n) for n in range(count)]

    def _take_one(self, kind, seconds, signal, change, cards, number):
        data = self.chip.expose(self.chip.current * seconds + signal, change, number)
        header = fits.Header({"IMAGETYP": TYPES[kind], "EXPTIME": seconds, "INSTRUME": "faulty", "SITELONG": -70.0})
        header["DATE-OBS"] = self.time.isoformat(timespec="milliseconds")
        header.update({"GAIN": GAIN, "RDNOISE": READ_NOISE, "SET-TEMP": -10.0, "CCD-TEMP": -10.0})
        if self.chip.overscan:
            ny, nx = SHAPE
            header["BIASSEC"] = f"[{nx + 1}:{nx + OVERSCAN},1:{ny}]"
            header["TRIMSEC"] = f"[1:{nx},1:{ny}]"
        if kind in ("flat", "science"):
            header["FILTER"] = "V"
        header.update(cards(number) if cards else {})
        self.time += timedelta(seconds=seconds + 10)
        path = self.path / f"{kind}_{self.time:%d%H%M%S}.fits"
        fits.PrimaryHDU(data, header).writeto(path)
        return path
