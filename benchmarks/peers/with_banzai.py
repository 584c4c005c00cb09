"""BANZAI, the pipeline of Las Cumbres Observatory: its own images, statistics and stacking, as its stages call them.

The stages themselves want a database and a broker. What they do to pixels is repeated here line by line with BANZAI's
own classes: `BiasMasterLevelSubtractor`, `BiasSubtractor`, `DarkNormalizer`, `DarkSubtractor`, `FlatNormalizer`, and
`CalibrationStacker`, which calls `combine_images` on images that lie in memory-mapped temporary files.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from benchmarks.jobs import Job

NAME = "BANZAI"
VERSIONS = ("lco-banzai",)
LACKS = {"science": "its chain for science frames runs with its database only"}
NEEDED_CARDS = {"SATURATE": 65535.0, "MAXLIN": 65535.0}


def missing() -> str:
    """Tell why its stacking cannot be imported, if so; torch is not needed for it."""
    try:
        import_module("banzai.data")
    except ImportError as error:
        return str(error)
    return ""


def bias(job: Job) -> object:
    """Take each frame's level off and stack, in ADU."""
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
    """Take the bias off, divide by the exposure time, stack."""
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
    """Take bias and dark off, divide by the clipped mean of the central quarter, stack."""
    from banzai.utils import stats

    images = [_open(path) for path in job.frames]
    master_bias, master_dark = (_master(job.masters[kind], images[0]) for kind in ("bias", "dark"))
    for image in images:
        image -= master_bias
        image -= master_dark * image.meta["EXPTIME"]
        image /= stats.sigma_clipped_mean(image.get_inner_image_section(), 3.5)
    return _stack(images)


def write(result: object, path: Path) -> None:
    """Write image, mask and error as FITS extensions, not packed."""
    from astropy.io import fits

    context = SimpleNamespace(EXTENSION_NAMES_TO_CONDENSE=["SCI"])
    fits.HDUList([fits.PrimaryHDU(), *result.to_fits(context)]).writeto(path, overwrite=True)


def read(path: Path) -> np.ndarray:
    """Read an image [e-], a dark's [e-/s]; the level of a bias is put back."""
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
    """Read a master of nightcal [e-], brought to the ADU of the frames."""
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
