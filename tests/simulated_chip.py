"""A simulated chip that takes calibration frames."""

from datetime import datetime, timedelta

import numpy as np
from astropy.io import fits
from nightcal.detector.amplifier import Amplifier
from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area
from nightcal.simulation.night import expose, write_raw
from nightcal.stacking.calibration_frame import CalibrationFrame

SHAPE = (256, 256)
START = datetime(2024, 3, 1, 22)


class Camera:
    """A simulated chip that takes calibration frames into a folder and opens them."""

    def __init__(self, folder, chip, seed=1):
        self.folder, self.chip, self.rng = folder, chip, np.random.default_rng(seed)
        self.taken = 0

    def take(self, kind="Bias Frame", exposure_time=0.0, scene=0.0, filter_name=None, drift=0.0, spoil=None):
        raw = expose(self.chip, self.rng, scene, exposure_time, filter_name, bias_drift=drift)
        if spoil is not None:
            raw = raw.copy()
            spoil(raw)
        self.taken += 1
        path = self.folder / f"frame_{self.taken:03d}.fits"
        start = START + timedelta(minutes=self.taken)
        if raw.dtype == np.uint16:
            write_raw(path, raw, self.chip, kind, exposure_time, filter_name, start)
        else:
            fits.PrimaryHDU(raw).writeto(path)
        return self.open(path, exposure_time)

    def open(self, path, exposure, read_noise=None, overscan=True):
        ny, nx = self.chip.shape
        beside = (Area(nx, nx + self.chip.overscan, 0, ny),) if self.chip.overscan and overscan else ()
        amplifier = Amplifier(
            overscans=beside,
            image_area=Area(0, nx, 0, ny),
            gain=self.chip.gain,
            read_noise=self.chip.read_noise if read_noise is None else read_noise,
            saturation=self.chip.saturation,
        )
        return CalibrationFrame(AmplifierReadout(RawImage(path), amplifier), exposure, 60370.0 + self.taken / 1000)

    def biases(self, n, **how):
        return [self.take(**how) for _ in range(n)]

    def darks(self, exposures):
        return [self.take("Dark Frame", t) for t in exposures]

    def flats(self, adu, seconds=5.0, filter_name="V"):
        rates = np.atleast_1d(adu) * self.chip.gain / seconds
        return [self.take("Flat Field", seconds, rate, filter_name) for rate in rates]


def loaded(product, path):
    write_product(path, product)
    return load_master(path)
