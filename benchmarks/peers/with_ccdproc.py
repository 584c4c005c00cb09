"""ccdproc as in its guide: `combine` for files or calibrated frames, `ccd_process` for a science frame."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.jobs import Job

NAME = "ccdproc"
VERSIONS = ("ccdproc", "astropy", "bottleneck")
LACKS: dict[str, str] = {}
MASTER_ARGUMENTS = {"bias": "master_bias", "dark": "dark_frame", "flat": "master_flat"}
CLIPPING = {
    "method": "average",
    "sigma_clip": True,
    "sigma_clip_low_thresh": 3,
    "sigma_clip_high_thresh": 3,
    "sigma_clip_func": "median",
    "sigma_clip_dev_func": "mad_std",
}


def missing() -> str:
    """Explain why it cannot run; empty if it can."""
    return "" if find_spec("ccdproc") else "ccdproc is not installed"


def bias(job: Job) -> object:
    """Combine raw files with the default `mem_limit`."""
    import ccdproc

    return ccdproc.combine(job.frames, unit="adu", **CLIPPING)


def dark(job: Job) -> object:
    """Combine bias-subtracted frames of one exposure time, in electrons per second."""
    import ccdproc
    from astropy import units as u

    def per_second(ccd: object) -> object:
        return ccd.divide(ccd.header["EXPTIME"] * u.s)

    return ccdproc.combine([per_second(_processed(path, job)) for path in job.frames], **CLIPPING)


def flat(job: Job) -> object:
    """Combine bias- and dark-subtracted frames, each scaled by its median, as in the guide."""
    import ccdproc

    frames = [_processed(path, job) for path in job.frames]
    return ccdproc.combine(frames, scale=lambda image: 1 / np.median(image), **CLIPPING)


def science(job: Job) -> object:
    """Calibrate one raw frame with its uncertainty."""
    from astropy.modeling.models import Polynomial1D
    from ccdproc import CCDData

    header = CCDData.read(job.frames[0], unit="adu").header
    oscan = {"oscan": header["BIASSEC"], "trim": header["TRIMSEC"], "oscan_model": Polynomial1D(0)}
    return _processed(job.frames[0], job, error=True, **oscan)


def write(result: object, path: Path) -> None:
    """Write as `CCDData` does, in single precision."""
    result.data = result.data.astype(np.float32)
    if result.uncertainty is not None:
        result.uncertainty.array = result.uncertainty.array.astype(np.float32)
    result.write(path, overwrite=True)


def read(path: Path) -> np.ndarray:
    """Read an image [e-]."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        header = hdus[0].header
        gain = header["GAIN"] if header.get("BUNIT", "").strip() == "adu" else 1.0
        return np.where(hdus["MASK"].data == 0, hdus[0].data * gain, np.nan)


def _processed(path: str, job: Job, **steps: object) -> object:
    """Take one raw frame through `ccd_process` with the masters of the job, in electrons."""
    import ccdproc
    from astropy import units as u
    from ccdproc import CCDData

    ccd = CCDData.read(path, unit="adu")
    masters = {MASTER_ARGUMENTS[kind]: _master(master) for kind, master in job.masters.items()}
    times = {"dark_exposure": 1 * u.s, "data_exposure": ccd.header["EXPTIME"] * u.s, "dark_scale": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ccdproc.ccd_process(
            ccd,
            gain=ccd.header["GAIN"] * u.electron / u.adu,
            readnoise=ccd.header["RDNOISE"] * u.electron,
            **masters,
            **(times if "dark" in job.masters else {}),
            **steps,
        )


@cache
def _master(path: str) -> object:
    """Read a master; a dark per second becomes the electrons of one second."""
    from astropy import units as u
    from astropy.nddata import CCDData

    ccd = CCDData.read(path)
    return ccd.multiply(1 * u.s) if ccd.unit == u.electron / u.s else ccd
