"""Calibration frames of a small chip, and the masters made of them."""

from datetime import datetime, timedelta

import numpy as np
from astropy.io import fits
from nightcal.detector.amplifier import Amplifier
from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.detector.overscan import OverscanMethods
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area
from nightcal.masters.bias import stack_biases
from nightcal.masters.dark import stack_darks
from nightcal.masters.flat import stack_flats
from nightcal.simulation.night import expose, make_chip, write_raw
from nightcal.stacking.calibration_frame import CalibrationFrame

SHAPE = (45, 290)
START = datetime(2024, 3, 1, 22)


class Night:
    """Calibration frames of a small chip, in files of 16-bit integers or of other numbers."""

    def __init__(self, folder, method=OverscanMethods.clipped_mean):
        self.folder, self.method = folder, method
        self.chip = make_chip(SHAPE)
        self.rng = np.random.default_rng(7)
        self.taken = 0

    def take(self, kind, exposure_time=0.0, rate=0.0, filter_name=None, dtype=None):
        self.taken += 1
        path = self.folder / f"{self.taken:03d}.fits"
        raw = expose(self.chip, self.rng, rate, exposure_time, filter_name, bias_drift=float(self.rng.normal(0, 3)))
        raw[20, 30] = 65535 if self.taken % 2 else raw[20, 30]
        if dtype is None:
            write_raw(path, raw, self.chip, kind, exposure_time, filter_name, START + timedelta(minutes=self.taken))
        else:
            fits.PrimaryHDU(raw.astype(dtype)).writeto(path)
        ny, nx = SHAPE
        amplifier = Amplifier(
            overscans=(Area(nx, nx + self.chip.overscan, 0, ny),),
            overscan_method=self.method,
            image_area=Area(0, nx, 0, ny),
            gain=self.chip.gain,
            read_noise=self.chip.read_noise,
            saturation=self.chip.saturation,
        )
        return CalibrationFrame(AmplifierReadout(RawImage(path), amplifier), exposure_time, 60370.0 + self.taken / 1000)

    def frames(self, kind, dtypes=(None,) * 5):
        if kind == "bias":
            return [self.take("Bias Frame", dtype=dtype) for dtype in dtypes]
        if kind == "dark":
            return [self.take("Dark Frame", 30.0 * 2 ** (i % 3), dtype=dtype) for i, dtype in enumerate(dtypes)]
        return [self.take("Flat Field", 5.0, 6000.0 + 200 * i, "V", dtype) for i, dtype in enumerate(dtypes)]


def make(kind, frames, bias=None, dark=None, threads=1):
    if kind == "bias":
        return stack_biases(frames, threads=threads)
    if kind == "dark":
        return stack_darks(frames, bias, threads=threads)
    return stack_flats(frames, bias, dark, threads=threads)


def written(product, path):
    write_product(path, product)
    return path.read_bytes()


def make_all(folder, threads=1, method=OverscanMethods.clipped_mean, frames=None, dtypes=(None,) * 5):
    """Make one master after the other, as a night does; return the bytes of their files."""
    night = Night(folder, method)
    taken = frames or {kind: night.frames(kind, dtypes) for kind in ("bias", "dark", "flat")}
    made, masters = {}, {}
    for kind, exposures in taken.items():
        path = folder / f"{kind}.fits"
        made[kind] = written(make(kind, exposures, masters.get("bias"), masters.get("dark"), threads), path)
        masters[kind] = load_master(path)
    return made
