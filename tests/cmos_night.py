"""A small CMOS camera without overscan whose night has no bias frames, written apart from `nightcal.simulation`."""

from datetime import datetime, timedelta

import numpy as np
from astropy.io import fits

SHAPE = (160, 200)
GAIN, READ_NOISE, OFFSET = 0.8, 4.0, 500.0
"""[e-/ADU], [e-], [ADU]"""


class CmosNight:
    """Expose the camera and write its files.

    Parameters
    ----------
    folder : Path
        For the raw frames.
    dark : float
        Dark current of a typical pixel [e-/s]; every pixel has its own, and a few are hot.
    """

    def __init__(self, folder, dark=0.2, seed=3):
        self.folder, self.rng = folder, np.random.default_rng(seed)
        folder.mkdir(parents=True, exist_ok=True)
        rows, columns = np.indices(SHAPE)
        self.offset = OFFSET + 3 * np.sin(columns / 7) + self.rng.normal(0, 2, SHAPE)
        self.dark = dark * self.rng.gamma(4, 0.25, SHAPE)
        self.dark[self.rng.random(SHAPE) < 0.002] = 15.0
        self.response = 1.1 - 0.35 * np.hypot(rows / SHAPE[0] - 0.5, columns / SHAPE[1] - 0.4)
        self.response *= self.rng.normal(1, 0.01, SHAPE)
        quarter = tuple(slice(n // 4, n - n // 4) for n in SHAPE)
        self.response /= self.response[quarter].mean()
        self.sky = 1.5 + 0.5 * rows / SHAPE[0]
        self.clock = datetime(2025, 2, 10, 22)

    def expose(self, kind, seconds, count=1, *, light=None, **cards):
        """Take frames; the light [e-] is that at a response of 1. Return their files."""
        paths = []
        for _ in range(count):
            number = len(list(self.folder.iterdir())) + 1
            electrons = self.rng.poisson((0.0 if light is None else light) * self.response + self.dark * seconds)
            adu = (electrons + self.rng.normal(0, READ_NOISE, SHAPE)) / GAIN + self.offset
            header = fits.Header(
                {
                    "IMAGETYP": kind,
                    "EXPTIME": seconds,
                    "DATE-OBS": self.clock.isoformat(),
                    "INSTRUME": "CMOS",
                    "EGAIN": GAIN,
                    "RDNOISE": READ_NOISE,
                    "XBINNING": 1,
                    "YBINNING": 1,
                    "SET-TEMP": -10.0,
                    "CCD-TEMP": -10.0,
                    "SITELONG": 15.0,
                }
                | ({} if light is None else {"FILTER": "L"})
                | cards
            )
            path = self.folder / f"{kind.split()[0].lower()}_{number:03d}.fits"
            fits.PrimaryHDU(np.rint(adu).astype(np.uint16), header).writeto(path)
            self.clock += timedelta(seconds=seconds + 5)
            paths.append(path)
        return paths

    def darks(self, seconds, count=10, **cards):
        return self.expose("Dark Frame", seconds, count, **cards)

    def flats(self, seconds, count=10, **cards):
        return self.expose("Flat Field", seconds, count, light=20000.0, **cards)

    def science(self, seconds, count=1, **cards):
        return self.expose("Light Frame", seconds, count, light=self.sky * seconds, **cards)

    def pulls(self, image, sigma, mask, seconds):
        """Compare a calibrated frame with the sky: deviations of its good pixels in sigma."""
        good = mask == 0
        return ((image - self.sky * seconds) / sigma)[good]
