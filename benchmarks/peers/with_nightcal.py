"""nightcal: its scripts as whole processes, its functions in a warm process."""

from __future__ import annotations

import sys
from functools import cache, partial
from pathlib import Path

import numpy as np

from benchmarks.jobs import Job

NAME = "nightcal"
VERSIONS = ("nightcal", "numba")
LACKS: dict[str, str] = {}
IN_CHILD = ("cosmic_rays",)
"""Tasks for which there is no script."""

WARM_UPS = 2
"""Runs on the same frames before the timed run, which load compiled loops and read masters into memory."""

REPOSITORY = Path(__file__).parents[2]
PYTHON = Path(sys.executable)
CAMERA = REPOSITORY / "config/cameras/generic.yaml"
SCRIPTS = {
    "bias": "stack_biases",
    "dark": "stack_darks",
    "flat": "stack_flats",
    "science": "reduce_science",
}


def missing() -> str:
    """Return an empty string: it can always run."""
    return ""


def command(job: Job, result: Path, repository: Path = REPOSITORY, python: Path = PYTHON) -> list[str]:
    """Make the command line that an observer would type."""
    if job.task == "night":
        config = [f"raw={job.frames[0]}", f"results={result}", *job.settings]
        return [str(python.with_name("snakemake")), "--cores", str(job.cores), "--config", *config]
    masters = [word for kind, path in job.masters.items() for word in (f"--{kind}", path)]
    script, camera = repository / f"scripts/{SCRIPTS[job.task]}.py", repository / "config/cameras/generic.yaml"
    return [str(python), str(script), *job.frames, "--camera", str(camera), *masters, "--out", str(result)]


def bias(job: Job) -> object:
    """Stack raw bias frames."""
    from nightcal.masters.bias import stack_biases

    return stack_biases(_exposures(job))


def dark(job: Job) -> object:
    """Stack raw darks."""
    from nightcal.masters.dark import stack_darks

    return stack_darks(_exposures(job), _master(job.masters["bias"]))


def flat(job: Job) -> object:
    """Stack raw flats."""
    from nightcal.masters.flat import stack_flats

    return stack_flats(_exposures(job), _master(job.masters["bias"]), _master(job.masters["dark"]))


def science(job: Job) -> object:
    """Prepare the calibration of one raw frame as part of a batch: a process reads the masters once."""
    from nightcal.science.reduce import reduce_frame

    return partial(reduce_frame, Path(job.frames[0]), batch=_batch(tuple(job.masters.items())), frames=50)


def cosmic_rays(job: Job) -> np.ndarray:
    """Find the hit pixels of a calibrated frame."""
    from nightcal.measurement.cosmic_rays import CosmicRayOptions, find_cosmic_rays

    image, uncertainty = calibrated(job.frames[0])
    options = CosmicRayOptions(spare_stars=False)  # as the peers search
    return find_cosmic_rays(image, np.zeros(image.shape, np.int16), uncertainty=uncertainty, options=options).hits


@cache
def calibrated(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Read a calibrated frame and its uncertainty, once per process."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        return hdus[0].data.astype(np.float32), hdus["UNCERT"].data.astype(np.float32)


def write_mask(mask: np.ndarray, path: Path) -> None:
    """Write the mask of hit pixels."""
    with path.open("wb") as file:
        np.save(file, mask)


def write(result: object, path: Path) -> None:
    """Write a product; a science frame is calibrated and written in one go."""
    from nightcal.io.product import write_product

    if isinstance(result, np.ndarray):
        write_mask(result, path)
    elif callable(result):
        result(out=path)
    else:
        write_product(path, result)


@cache
def _batch(masters: tuple[tuple[str, str], ...]) -> object:
    from nightcal.cameras.camera_file import load_camera
    from nightcal.science.reduce import ScienceBatch

    return ScienceBatch(camera=load_camera(CAMERA), masters={kind: _master(path) for kind, path in masters})


def reference_command(job: Job, result: Path) -> list[str]:
    """Make the command line for a master with the clipping of other programs: without the floor of the noise model."""
    clipped = {"bias", "dark", "flat"} & {job.task}
    return command(job, result) + ["--no-floor"] * len(clipped)


def read(path: Path) -> np.ndarray:
    """Read an image [e-]; NaN for masked pixels."""
    from astropy.io import fits

    with fits.open(path) as hdus:
        return np.where(hdus["MASK"].data == 0, hdus[0].data, np.nan)


@cache
def _master(path: str) -> object:
    from nightcal.io.master import load_master

    return load_master(Path(path))


def _exposures(job: Job) -> list:
    from nightcal.cameras.camera_file import load_camera
    from nightcal.stacking.open_frames import open_frames

    return open_frames([Path(path) for path in job.frames], load_camera(CAMERA)).frames
