"""The hot loops of a stack, in two versions of the same results."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import logging
import os
import shutil
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

log = logging.getLogger(__name__)

WORTHWHILE = 50_000_000
"""Pixels times frames from which on the compiled loops make up for the second that they take to start."""


SCIENCE_STEPS = 4
"""Work on a pixel of a science frame, in units of that on a pixel of a stack."""

LAPLACIAN_WORTHWHILE = 200_000
"""Pixels of a frame from which on its cosmic rays are looked for by compiled loops."""


def kernels(work: int) -> ModuleType:
    """Choose the loops for a stack.

    Parameters
    ----------
    work : int
        Pixels times frames.

    Returns
    -------
    module
        `nightcal.numerics.kernels.compiled` or `nightcal.numerics.kernels.plain`.
    """
    from nightcal.numerics.kernels import plain

    return load_compiled() if work >= WORTHWHILE and importlib.util.find_spec("numba") else plain


def frame_kernels(work: int) -> ModuleType | None:
    """Choose the loops for science frames.

    Parameters
    ----------
    work : int
        Pixels times frames.

    Returns
    -------
    module or None
        `nightcal.numerics.kernels.frame`, or None for numpy.
    """
    if SCIENCE_STEPS * work < WORTHWHILE or not importlib.util.find_spec("numba"):
        return None
    load_compiled()
    from nightcal.numerics.kernels import frame

    return frame


def cosmic_ray_kernels(pixels: int) -> ModuleType | None:
    """Choose the loops that look for cosmic rays.

    Parameters
    ----------
    pixels : int
        Of one frame: how many frames there are must not change what is done to one.

    Returns
    -------
    module or None
        `nightcal.numerics.kernels.laplacian`, or None for astroscrappy.
    """
    return load_laplacian() if pixels >= LAPLACIAN_WORTHWHILE and importlib.util.find_spec("numba") else None


@cache
def load_compiled() -> ModuleType:
    """Import the compiled loops; numba keeps them in ``NUMBA_CACHE_DIR``, or beside their source.

    Returns
    -------
    module
        `nightcal.numerics.kernels.compiled`. Where nothing can be kept it is compiled in memory, with a warning.
    """
    return _load("compiled", "frame")


@cache
def load_laplacian() -> ModuleType:
    """Import the compiled loops that look for cosmic rays, kept as those of `load_compiled`.

    Returns
    -------
    module
        `nightcal.numerics.kernels.laplacian`.
    """
    return _load("laplacian")


def _load(*names: str) -> ModuleType:
    """Import modules whose loops are to be kept, and give the first: where is decided when they are imported."""
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
            "Compiled loops cannot be kept in %s: this job compiles them again, which takes some seconds.", place
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
    """Digits that change with the source of anything that is compiled: numba looks only at the file of each function.

    Returns
    -------
    str
        First digits of a SHA-256.
    """
    here = Path(__file__).parent
    sources = [*sorted(here.glob("*.py")), here.with_name("robust.py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def warm() -> str:
    """Compile the loops for both kinds of raw pixels and for cosmic rays, so that they are found compiled later.

    Returns
    -------
    str
        What was compiled, in a line; that numba is absent, if it is.
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
    loops.histogram(np.frombuffer(bytes(16), np.uint16))  # what is held of a file is read-only
    frame = frame_kernels(WORTHWHILE)
    if frame is not None:
        number, images = np.float32(1), (image,) * 6
        frame.calibrate(
            np.zeros((1, 4), np.uint16), 0, 0, np.zeros((1, 2), np.float32), number, number, np.ones(1, np.float32),
            (True, True, True), images, (number,) * 4, image.copy(), image.copy(), np.zeros(image.shape, bool),
        )  # fmt: skip
        frame.stored(image)
    _warm_laplacian()
    return f"compiled by numba {numba.__version__}\n"


def _warm_laplacian() -> None:
    """Look for cosmic rays in a frame that has one, with nothing good around it."""
    import numpy as np

    image, excluded = np.zeros((9, 9), np.float32), np.zeros((9, 9), bool)
    image[4, 4] = 1000
    search = load_laplacian()
    search.search(image, np.ones_like(image), excluded, (4.5, 0.3, 5.0), 2)
