"""Small nights whose headers or numbers are unusual, and their reduction in this process.

The chip is not that of `nightcal.simulation`: a sky that rises across the field, a flat with rings without symmetry,
hot pixels, and a bias with structure. Its truth is known pixel by pixel.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import yaml
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.config import read_run_config
from nightcal.detector.gain import read_gain
from nightcal.io.master import load_master, load_optional_master
from nightcal.io.product import write_product
from nightcal.masters.gain import write_measured_gain
from nightcal.masters.make import make_bad_pixel_mask, make_master_bias, make_master_dark, make_master_flat
from nightcal.science.reduce import ScienceBatch, reduce_frames

SHAPE = (96, 80)
COSMIC_RAY = 16
SCHEDULE = (("bias", 0.0, 5), ("dark", 100.0, 5), ("flat", 4.0, 5), ("science", 50.0, 2))
TYPES = {"bias": "Bias Frame", "dark": "Dark Frame", "flat": "Flat Field", "science": "Light Frame"}


@dataclass
class OddNight:
    """A night that is written frame by frame; what a story changes, it changes on the way to the disk."""

    folder: Path
    shape: tuple[int, int] = SHAPE
    gain: float = 1.6
    read_noise: float = 7.0
    bias_level: float = 900.0
    dark_current: float = 0.06
    start: datetime = datetime(2024, 3, 1, 19)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))

    def __post_init__(self):
        ny, nx = self.shape
        y, x = np.mgrid[:ny, :nx]
        self.bias_structure = 4 * np.cos(y / 7) + 0.03 * x + self.rng.normal(0, 0.8, self.shape)
        self.dark = self.dark_current * (0.6 + self.rng.gamma(1.0, 0.4, self.shape))
        self.dark[tuple(self.rng.integers(0, self.shape, (8, 2)).T)] = 15.0
        self.sky = 9.0 + 0.01 * x + 0.02 * y  # e-/s
        self.flats = {}
        self.time = self.start

    def flat(self, name):
        """Response in a filter, of mean 1 in the central quarter."""
        if name not in self.flats:
            ny, nx = self.shape
            y, x = np.mgrid[:ny, :nx]
            ring = np.hypot(x - 0.7 * nx, y - 0.2 * ny)
            response = (1 - 0.2 * (ring / ny) ** 2) * (1 + 0.05 * np.sin(ring / (3 + sum(map(ord, name)) % 5)))
            response *= self.rng.normal(1, 0.008, self.shape)
            self.flats[name] = response / response[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4].mean()
        return self.flats[name]

    def scene(self, exposure):
        """What a calibrated frame should show [e-]."""
        return self.sky * exposure

    def expose(self, kind, exposure, filter_name="V", number=0, level=None, gain=None):
        """Take a frame [ADU]."""
        signal = self.dark * exposure
        if kind == "flat":
            signal = signal + (24000 + 1200 * number) * self.flat(filter_name)
        if kind == "science":
            signal = signal + self.scene(exposure) * self.flat(filter_name)
        electrons = self.rng.poisson(signal) + self.rng.normal(0, self.read_noise, self.shape)
        adu = electrons / (gain or self.gain) + self.bias_structure + (level or self.bias_level)
        return np.clip(np.rint(adu), 0, 65535)

    def cards(self, kind, exposure, filter_name="V"):
        """The header of the next frame."""
        start, self.time = self.time, self.time + timedelta(seconds=exposure + 15)
        cards = {
            "IMAGETYP": TYPES[kind],
            "DATE-OBS": start.isoformat(timespec="milliseconds"),
            "EXPTIME": exposure,
            "INSTRUME": "odd camera",
            "SITELONG": -70.5,
            "XBINNING": 1,
            "YBINNING": 1,
            "SET-TEMP": -10.0,
            "CCD-TEMP": -10.0,
            "EGAIN": self.gain,
            "RDNOISE": self.read_noise,
        }
        return cards | ({"FILTER": filter_name} if kind in ("flat", "science") else {})

    def write(self, name, data, cards, dtype=np.uint16):
        """Write a frame; a card of None is left out."""
        path = self.folder / f"{name}.fits"
        path.parent.mkdir(parents=True, exist_ok=True)
        header = fits.Header()
        for keyword, value in cards.items():
            if value is not None:
                header[keyword] = value
        fits.PrimaryHDU(np.asarray(data).astype(dtype), header).writeto(path)
        return path

    def take(self, kind, exposure, count, filter_name="V", prefix=None, change=None, dtype=np.uint16, **options):
        """Take some frames; ``change(data, cards, number)`` returns what is written instead."""
        for number in range(1, count + 1):
            data = self.expose(kind, exposure, filter_name, number, **options)
            cards = self.cards(kind, exposure, filter_name)
            if change:
                data, cards = change(data, cards, number)
            self.write(f"{prefix or kind}_{number:02d}", data, cards, dtype)

    def take_all(self, change=None, schedule=SCHEDULE, **options):
        """Take a usual night; ``change(kind, data, cards, number)`` as above."""
        for kind, exposure, count in schedule:
            changed = None if change is None else lambda *frame, kind=kind: change(kind, *frame)
            self.take(kind, exposure, count, change=changed, **options)


def plan_night(raw, results, **settings):
    """Plan a night as Snakemake does."""
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    return read_run_config(config | {"raw": str(raw), "results": str(results), **settings}, REPOSITORY)


def find_cameras(run, master):
    """Camera files of the frames of a master; its own first."""
    names = dict.fromkeys([master.setup.camera, *(frame.camera for frame in master.frames)])
    return [run.cameras[name] for name in names]


def reduce_night(raw, results, **settings):
    """Reduce a night in this process; return the plan, and the headers and images of all science products by name."""
    run = plan_night(raw, results, **settings)
    folder = Path(results)

    def find_camera(setup):
        return replace(run.cameras[setup.camera], plane=setup.plane)

    def locate(match):
        if match.master is None:
            return None
        return match.master.path or folder / f"{match.master.name}{'.json' if match.master.kind == 'gain' else '.fits'}"

    def measured(item):
        path = locate(item.measured_gain)
        return None if path is None else read_gain(path)

    for master in run.plan.masters:
        paths, camera = [frame.path for frame in master.frames], find_camera(master.setup)
        told = [match.warning for match in master.matches if match.warning] + list(master.warnings)
        out = folder / f"{master.name}.fits"
        if master.kind == "gain":
            write_measured_gain(out.with_suffix(".json"), paths, find_cameras(run, master))
            continue
        if master.kind == "bpm":
            write_product(out, make_bad_pixel_mask([folder / f"{one.name}.fits" for one in master.ingredients]))
            continue
        given = {"measured": measured(master), "warnings": told}
        if master.kind == "bias":
            product = make_master_bias(paths, camera, **given)
        elif master.kind == "dark":
            product = make_master_dark(paths, camera, bias=locate(master.bias), **given)
        else:
            product = make_master_flat(paths, camera, bias=locate(master.bias), dark=locate(master.dark), **given)
        write_product(out, product)
    for batch in run.plan.batches:
        first = batch.members[0]
        reduce_frames(
            [member.frame.path for member in batch.members],
            [folder / "science" / f"{member.name}.fits" for member in batch.members],
            ScienceBatch(
                camera=find_camera(first.setup),
                masters={
                    step: load_optional_master(locate(getattr(first, step))) for step in ("bias", "dark", "flat", "bpm")
                },
                measured=measured(first),
                warnings=[match.warning for match in first.matches if match.warning],
            ),
        )
    return run.plan, {path.stem: load_master(path) for path in sorted(folder.glob("science/*.fits"))}


def judge(product, truth):
    """Compare a product with the truth: ratio of medians, mean and width of the pulls, fraction of good pixels."""
    data, variance = np.asarray(product.data), np.asarray(product.variance)
    good = np.asarray(product.mask) & ~np.int16(COSMIC_RAY) == 0
    pull = (data - truth)[good] / np.sqrt(variance[good])
    return np.median(data[good]) / np.median(truth[good]), pull.mean(), pull.std(), good.mean()


def list_warnings(product):
    """List what the header of a product says against it."""
    return [str(value) for keyword, value in product.header.items() if keyword.startswith(("WARN", "EMPTY"))]
