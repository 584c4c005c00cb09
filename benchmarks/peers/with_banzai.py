"""BANZAI, the pipeline of Las Cumbres Observatory: its image class, statistics and stacking, as its stages use them.

The stages themselves require a database and a message broker. Their operations on pixels are repeated here line by
line with BANZAI's classes: `BiasMasterLevelSubtractor`, `BiasSubtractor`, `DarkNormalizer`, `DarkSubtractor`,
`FlatNormalizer`, and `CalibrationStacker`, which calls `combine_images` on images in memory-mapped temporary files.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks.jobs import Job

NAME = "BANZAI"
VERSIONS = ("lco-banzai",)
LACKS = {"science": "its pipeline for science frames requires its database"}
NEEDED_CARDS = {"SATURATE": 65535.0, "MAXLIN": 65535.0}


def missing() -> str:
    """Explain why its stacking cannot be imported; empty if it can. It does not need torch."""
    try:
        import_module("banzai.data")
    except ImportError as error:
        return str(error)
    return ""


def bias(job: Job) -> object:
    """Subtract the level of each frame and stack, in ADU."""
    from banzai.utils import stats

    images, levels = [_open(path) for path in job.frames], []
    for image in images:
        levels.append(stats.sigma_clipped_mean(image.data, 3.5, mask=image.mask))
        image -= levels[-1]
    master = _stack(images)
    master.meta["BIASLVL"] = float(np.mean(levels))
    master.meta["ADUGAIN"] = images[0].gain
    return master


def dark(job: Job) -> object:
    """Subtract the bias, divide by the exposure time, stack."""
    images = [_open(path) for path in job.frames]
    gain = images[0].gain
    master_bias = _master(job.masters["bias"], images[0])
    for image in images:
        image -= master_bias
        image /= image.meta["EXPTIME"]
    master = _stack(images)
    master.meta["ADUGAIN"] = gain
    return master


def flat(job: Job) -> object:
    """Subtract bias and dark, divide by the clipped mean of the central quarter, stack."""
    from banzai.utils import stats

    images = [_open(path) for path in job.frames]
    master_bias, master_dark = (_master(job.masters[kind], images[0]) for kind in ("bias", "dark"))
    for image in images:
        image -= master_bias
        image -= master_dark * image.meta["EXPTIME"]
        image /= stats.sigma_clipped_mean(image.get_inner_image_section(), 3.5)
    return _stack(images)


def write(result: object, path: Path) -> None:
    """Write image, mask and error as uncompressed FITS extensions."""
    from astropy.io import fits

    context = SimpleNamespace(EXTENSION_NAMES_TO_CONDENSE=["SCI"])
    fits.HDUList([fits.PrimaryHDU(), *result.to_fits(context)]).writeto(path, overwrite=True)


def read(path: Path) -> np.ndarray:
    """Read an image [e-], for a dark [e-/s]; the level of a bias is restored."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        header = hdus[1].header
        data = (hdus[1].data + header.get("BIASLVL", 0.0)) * header.get("ADUGAIN", 1.0)
        return np.where(hdus["BPM"].data == 0, data, np.nan)


def _open(path: str) -> object:
    """Read one raw frame as float32, with BANZAI's mask and uncertainty."""
    from astropy.io import fits
    from banzai.data import CCDData

    with fits.open(path) as hdus:
        header = hdus[0].header
        whole = f"[1:{header['NAXIS1']},1:{header['NAXIS2']}]"
        meta = fits.Header({**header, **NEEDED_CARDS, "DATASEC": whole, "DETSEC": whole})
        return CCDData(hdus[0].data.astype(np.float32), meta, name="SCI")


def _master(path: str, like: object) -> object:
    """Read a master of nightcal [e-], in the ADU of the frames."""
    from astropy.io import fits
    from banzai.data import CCDData

    with fits.open(path) as hdus:
        gain = like.meta["GAIN"]
        data, uncertainty = (hdus[i].data.astype(np.float32) / gain for i in (0, "UNCERT"))
        return CCDData(data, like.meta, mask=hdus["MASK"].data, uncertainty=uncertainty)


def _stack(images: list) -> object:
    from banzai.data import combine_images, create_combination_output_hdu

    output = create_combination_output_hdu(images[0], images[0].meta, memmap=True)
    return combine_images(images, output, nsigma=3.0, method="mean")
