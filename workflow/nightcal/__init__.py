"""One night of raw CCD frames in, calibrated science frames with honest errors out.

By hand: `Calibrator` and `OverscanMethods` calibrate single frames; `open_frames`, `make_master_bias`,
`make_master_dark`, `make_master_flat` and `make_bad_pixel_mask` make masters; `load_camera`, `load_master` and
`write_product` read and write what they need.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nightcal.version import __version__

if TYPE_CHECKING:
    from nightcal.cameras.camera_file import load_camera
    from nightcal.detector.overscan import OverscanMethods
    from nightcal.io.master import load_master
    from nightcal.io.product import write_product
    from nightcal.masters.make import make_bad_pixel_mask, make_master_bias, make_master_dark, make_master_flat
    from nightcal.science.calibrator import Calibrator
    from nightcal.stacking.open_frames import open_frames

_HOMES = {
    "Calibrator": "science.calibrator",
    "OverscanMethods": "detector.overscan",
    "load_camera": "cameras.camera_file",
    "load_master": "io.master",
    "make_bad_pixel_mask": "masters.make",
    "make_master_bias": "masters.make",
    "make_master_dark": "masters.make",
    "make_master_flat": "masters.make",
    "open_frames": "stacking.open_frames",
    "write_product": "io.product",
}

__all__ = [
    "Calibrator",
    "OverscanMethods",
    "__version__",
    "load_camera",
    "load_master",
    "make_bad_pixel_mask",
    "make_master_bias",
    "make_master_dark",
    "make_master_flat",
    "open_frames",
    "write_product",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for, so that planning a night stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nightcal' has no attribute {name!r}")
    return getattr(import_module(f"nightcal.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
