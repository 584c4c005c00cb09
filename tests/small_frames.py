"""Make a small science frame and its masters, with known values in every pixel."""

import numpy as np
from astropy.io import fits
from nightcal import Calibrator, OverscanMethods
from nightcal.flags import Flag
from nightcal.io.product import Product, write_product
from nightcal.io.provenance import record_provenance

NY, NX, BESIDE = 75, 300, 20
AREA = {"xmin": 0, "xmax": NX, "ymin": 3, "ymax": 3 + NY}
OVERSCAN = {"xmin": NX, "xmax": NX + BESIDE, "ymin": 0, "ymax": NY + 5}
GAIN, READ_NOISE, EXPOSURE, SATURATION = 1.7, 6.0, 40.0, 50000.0
MASTERS = ("master_bias", "master_dark", "master_flat")


def by_columns(image, overscans):
    """Correct the overscan as a user might, with a level per column."""
    area = overscans
    level = image[area["ymin"] : area["ymax"], area["xmin"] : area["xmax"]].mean()
    return image.astype(float) - level - 0.01 * np.arange(image.shape[1])


METHODS = {
    "none": None,
    "clipped_mean": OverscanMethods.clipped_mean,
    "row_mean": OverscanMethods.row_mean,
    "user": by_columns,
}


def write_raw(path, rng, dtype="u2", holes=True):
    """Write sky, stars, saturated pixels and a sloping overscan; float images have three pixels that are not finite."""
    raw = rng.normal(1000, READ_NOISE / GAIN, (NY + 5, NX + BESIDE)) + np.linspace(0, 8, NY + 5)[:, np.newaxis]
    sky = rng.poisson(rng.choice([0, 30, 800], (NY + 5, 1)) + np.zeros((NY + 5, NX)))
    sky[rng.random(sky.shape) < 0.01] += 9000
    raw[:, :NX] += sky / GAIN
    raw[10, 20:24], raw[12, 0], raw[70, NX - 1] = 65535, SATURATION, SATURATION - 1
    raw = np.rint(raw).astype(dtype)
    if holes and raw.dtype.kind == "f":
        raw[30, 40], raw[31, 255], raw[32, 0] = np.nan, np.inf, np.nan
    hdu = fits.PrimaryHDU(raw)
    hdu.header["EXPTIME"] = EXPOSURE
    hdu.writeto(path, overwrite=True)
    return path


def write_masters(folder, rng):
    """Write a master bias, dark and flat; one pixel of the flat is 0."""
    folder.mkdir(exist_ok=True)
    shape = NY, NX
    flat = rng.normal(1, 0.05, shape)
    flat[5, 6] = 0.0
    images = {
        "master_bias": (rng.normal(3, 2, shape), rng.uniform(0.5, 1.5, shape), "electron", {}),
        "master_dark": (rng.uniform(0, 2, shape), rng.uniform(0.01, 0.1, shape), "electron / s", {}),
        "master_flat": (flat, rng.uniform(0.001, 0.01, shape), "", {}),
    }
    paths = {}
    for name, (data, error, unit, cards) in images.items():
        header, mask = fits.Header(cards), (rng.random(shape) < 0.01).astype(np.int16) * Flag.HOT
        record_provenance(header, {})
        paths[name] = folder / f"{name}.fits"
        product = Product(data.astype(np.float32), error.astype(np.float32), mask.astype(np.int16), unit, header)
        write_product(paths[name], product)
    return paths


def calibrator(method="row_mean", **more):
    return Calibrator(
        overscans=[] if method == "none" else [OVERSCAN],
        overscan_method=METHODS[method] or OverscanMethods.median,
        gain=GAIN,
        read_noise=READ_NOISE,
        image_area=AREA,
        saturation=SATURATION,
        **more,
    )


def bytes_of(reduction, path):
    reduction.write(path)
    return path.read_bytes()


def reduced(calibrate, raw, path, **this_call):
    return bytes_of(calibrate.prepare(raw, **this_call), path)
