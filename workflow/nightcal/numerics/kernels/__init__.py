"""The hot loops of stacks, frames and cosmic rays: compiled where that pays, else in numpy, with the same results.

Callers call functions; which version runs is decided here.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import logging
import os
import shutil
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

WORTHWHILE = 50_000_000
"""Pixels times frames above which compiled loops save more than the second that they need to start."""

SCIENCE_STEPS = 4
"""Work per pixel of a science frame, relative to a pixel of a stack."""

LAPLACIAN_WORTHWHILE = 200_000
"""Pixels of a frame above which cosmic rays are searched in compiled loops."""


def prepare(work: int) -> None:
    """Load the compiled loops if there is enough work to make up for their start.

    Parameters
    ----------
    work : int
        Pixels times frames of a stack; `SCIENCE_STEPS` times as much for science frames.
    """
    if work >= WORTHWHILE and importlib.util.find_spec("numba"):
        load_compiled()


def are_loaded() -> bool:
    """Check whether the compiled loops are loaded; numpy gives the same results to the last bit."""
    return f"{__name__}.compiled" in sys.modules


def clip(*arguments: Any) -> None:
    """Stack some rows of all frames, with the parameters of `nightcal.numerics.kernels.plain.clip`."""
    _stack_loops().clip(*arguments)


def histogram(words: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Count stored 16-bit integers, as `nightcal.numerics.kernels.plain.histogram` does."""
    counts: NDArray[np.int64] = _stack_loops().histogram(words)
    return counts


def calibrate(*arguments: Any) -> None:
    """Calibrate some rows of stored integers, with the parameters of `nightcal.numerics.kernels.frame.calibrate`.

    Only where `are_loaded`: `nightcal.science.arithmetic` has the same steps in numpy.
    """
    import_module(f"{__name__}.frame").calibrate(*arguments)


def swap_and_sum(image: NDArray[np.float32]) -> tuple[NDArray[Any], int]:
    """Turn 4-byte numbers into those of a FITS file, and sum them as 32-bit words for a checksum.

    Parameters
    ----------
    image : ndarray of float32, C-contiguous

    Returns
    -------
    ndarray
        Big-endian, flat.
    int
        As `nightcal.numerics.kernels.plain.sum_of_words`.
    """
    module = import_module(f"{__name__}.{'frame' if are_loaded() else 'plain'}")
    swapped: tuple[NDArray[Any], int] = module.swap_and_sum(image)
    return swapped


def _stack_loops() -> ModuleType:
    return import_module(f"{__name__}.{'compiled' if are_loaded() else 'plain'}")


def cosmic_ray_kernels(pixels: int) -> ModuleType | None:
    """Choose the loops to search for cosmic rays.

    Parameters
    ----------
    pixels : int
        Of one frame, so that its result does not depend on the number of frames.

    Returns
    -------
    module or None
        `nightcal.numerics.kernels.laplacian`, or None for astroscrappy.
    """
    return load_laplacian() if pixels >= LAPLACIAN_WORTHWHILE and importlib.util.find_spec("numba") else None


@cache
def load_compiled() -> ModuleType:
    """Import the compiled loops, cached in ``NUMBA_CACHE_DIR`` or beside their source.

    Returns
    -------
    module
        `nightcal.numerics.kernels.compiled`; compiled in memory, with a warning, if the cache cannot be written.
    """
    return _load("compiled", "frame")


@cache
def load_laplacian() -> ModuleType:
    """Import the compiled loops to search for cosmic rays; cached like those of `load_compiled`.

    Returns
    -------
    module
        `nightcal.numerics.kernels.laplacian`.
    """
    return _load("laplacian")


def _load(*names: str) -> ModuleType:
    """Import modules and return the first; numba chooses the cache of their loops during the import."""
    import numba

    place = os.environ.get("NUMBA_CACHE_DIR") or str(Path(__file__).with_name("__pycache__"))
    usual = vars(numba.config)["CACHE_DIR"]
    try:
        _set_cache(f"{place}/{fingerprint()}")
        modules = _import(names)
    except RuntimeError as error:
        if "cache" not in str(error):
            raise
        log.warning(
            "Compiled loops cannot be written to %s: this job compiles them again, which takes some seconds.", place
        )
        folder = tempfile.mkdtemp(prefix="nightcal-kernels-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _set_cache(folder)
        modules = _import(names)
    finally:
        _set_cache(usual)
    return modules[0]


def _import(names: tuple[str, ...]) -> list[ModuleType]:
    return [import_module(f"nightcal.numerics.kernels.{name}") for name in names]


def _set_cache(folder: str) -> None:
    import numba

    vars(numba.config)["CACHE_DIR"] = folder


def fingerprint() -> str:
    """Hash the sources of all compiled code, since numba checks only the file of the function itself.

    Returns
    -------
    str
        First digits of a SHA-256.
    """
    here = Path(__file__).parent
    sources = [*sorted(here.glob("*.py")), here.with_name("robust.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def warm() -> str:
    """Compile the loops for both kinds of raw pixels and for cosmic rays, for later jobs.

    Returns
    -------
    str
        One line for the log.
    """
    if not importlib.util.find_spec("numba"):
        return "numba is not installed: stacks are made with numpy\n"
    import numba
    import numpy as np

    loops = load_compiled()
    n, image = 3, np.zeros((1, 4), np.float32)
    for raw in (np.zeros((n, 1, 4), np.uint16), np.zeros((n, 1, 4), np.float32)):
        for weights in (None, np.arange(1.0, n + 1)):
            loops.clip(
                raw, 0, np.zeros((n, 1, 2), np.float32), np.ones(n, np.float32), np.ones(n, np.float32),
                np.zeros((1, *image.shape), np.float32), np.zeros((n, 1), np.float32), weights, np.ones(n), 3.0,
                (0.0, 0.0), image.copy(), image.copy(), image.astype(np.int16), image.copy(),
            )  # fmt: skip
    loops.histogram(np.zeros(8, np.uint16))
    loops.histogram(np.frombuffer(bytes(16), np.uint16))  # files held in memory are read-only
    number, images = np.float32(1), (image,) * 6
    calibrate(
        np.zeros((1, 4), np.uint16), 0, 0, np.zeros((1, 2), np.float32), number, number, np.ones(1, np.float32),
        (True, True, True), images, (number,) * 4, image.copy(), image.copy(), np.zeros(image.shape, bool),
    )  # fmt: skip
    swap_and_sum(image)
    _warm_laplacian()
    return f"compiled by numba {numba.__version__}\n"


def _warm_laplacian() -> None:
    """Search a frame that has one cosmic ray."""
    import numpy as np

    image, excluded = np.zeros((9, 9), np.float32), np.zeros((9, 9), bool)
    image[4, 4] = 1000
    search = load_laplacian()
    search.search(image, np.ones_like(image), excluded, (4.5, 0.3, 5.0), 2)
