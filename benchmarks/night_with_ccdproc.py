"""Reduce a night with ccdproc alone, as a user who follows its guide would.

python benchmarks/night_with_ccdproc.py RAW RESULTS

Overscan and trim; masters from calibrated files by `combine` with sigma clipping; science frames with uncertainty by
`ccd_process`. Images are kept in single precision.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import ccdproc
import numpy as np
from astropy import units as u
from astropy.modeling.models import Polynomial1D
from astropy.nddata import CCDData

MEMORY = 2e9  # bytes, for `combine`


def process(path: Path, **steps: object) -> CCDData:
    """Calibrate one raw frame, in electrons."""
    raw = CCDData.read(path, unit="adu")
    raw.data = raw.data.astype(np.float32)
    return ccdproc.ccd_process(
        raw,
        oscan=raw.header["BIASSEC"],
        oscan_model=Polynomial1D(0),
        trim=raw.header["TRIMSEC"],
        gain=raw.header["GAIN"] * u.electron / u.adu,
        readnoise=raw.header["RDNOISE"] * u.electron,
        exposure_key="EXPTIME",
        exposure_unit=u.s,
        dark_scale=True,
        **steps,
    )


def save(ccd: CCDData, path: Path) -> str:
    """Write in single precision."""
    ccd.data = ccd.data.astype(np.float32)
    if ccd.uncertainty is not None:
        ccd.uncertainty.array = ccd.uncertainty.array.astype(np.float32)
    ccd.write(path, overwrite=True)
    return str(path)


def master(paths: list[Path], out: Path, scale: object = None, **steps: object) -> CCDData:
    """Calibrate frames, write them to files and combine these."""
    calibrated = [save(process(path, **steps), out.parent / f"calibrated_{path.name}") for path in paths]
    combined = ccdproc.combine(
        calibrated,
        method="average",
        scale=scale,
        sigma_clip=True,
        sigma_clip_low_thresh=3,
        sigma_clip_high_thresh=3,
        sigma_clip_func="median",
        sigma_clip_dev_func="mad_std",
        mem_limit=MEMORY,
        dtype=np.float32,
    )
    save(combined, out)
    return combined


def inverse_median(image: np.ndarray) -> float:
    """Compute the scale of a flat."""
    return 1 / np.median(image)


def main() -> None:
    """Reduce the night."""
    raw, results = Path(sys.argv[1]), Path(sys.argv[2])
    results.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    night = ccdproc.ImageFileCollection(raw, keywords=["imagetyp", "filter", "exptime"])

    def paths(kind: str, **criteria: str) -> list[Path]:
        return [Path(path) for path in night.files_filtered(imagetyp=kind, include_path=True, **criteria)]

    bias = master(paths("Bias Frame"), results / "bias.fits")
    dark = master(paths("Dark Frame"), results / "dark.fits", master_bias=bias)
    for name in sorted({str(name) for name in night.values("filter") if isinstance(name, str)}):
        calibration = {"master_bias": bias, "dark_frame": dark}
        flats = paths("Flat Field", filter=name)
        flat = master(flats, results / f"flat_{name}.fits", inverse_median, **calibration)
        for path in paths("Light Frame", filter=name):
            save(process(path, error=True, master_flat=flat, **calibration), results / path.name)


if __name__ == "__main__":
    main()
