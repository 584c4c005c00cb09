"""The hot loops of a stack, in two versions of the same results."""

from __future__ import annotations

import importlib.util
import logging
import os
from types import ModuleType

log = logging.getLogger(__name__)

WORTHWHILE = 100_000_000
"""Pixels times frames from which on the compiled loops make up for the half second that they take to start."""


SCIENCE_STEPS = 4
"""Work on a pixel of a science frame, in units of that on a pixel of a stack."""


def kernels(work: int) -> ModuleType:
    """Choose the loops for a stack.

    Parameters
    ----------
    work : int
        Pixels times frames.

    Returns
    -------
    module
        `nightcal.kernels.compiled` or `nightcal.kernels.plain`.
    """
    from nightcal.kernels import plain

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
        `nightcal.kernels.frame`, or None for numpy.
    """
    if SCIENCE_STEPS * work < WORTHWHILE or not importlib.util.find_spec("numba"):
        return None
    load_compiled()
    from nightcal.kernels import frame

    return frame


def load_compiled() -> ModuleType:
    """Import the compiled loops; numba keeps them in ``NUMBA_CACHE_DIR``, or beside their source.

    Returns
    -------
    module
        `nightcal.kernels.compiled`. Where nothing can be kept it is compiled in memory, with a warning.
    """
    try:
        from nightcal.kernels import compiled
    except RuntimeError as error:
        if "cache" not in str(error):
            raise
        compiled = _without_cache()
    return compiled


def _without_cache() -> ModuleType:
    import tempfile

    import numba

    log.warning(
        "Compiled loops cannot be kept in %s: this job compiles them again, which takes some seconds.",
        os.environ.get("NUMBA_CACHE_DIR", "the folder of the package"),
    )
    with tempfile.TemporaryDirectory() as folder:
        vars(numba.config)["CACHE_DIR"] = folder
        from nightcal.kernels import compiled

        return compiled


def warm() -> str:
    """Compile the loops for both kinds of raw pixels, so that they are found compiled later.

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
    frame = frame_kernels(WORTHWHILE)
    if frame is not None:
        number, images = np.float32(1), (image,) * 6
        frame.calibrate(
            np.zeros((1, 4), np.uint16), 0, 0, np.zeros((1, 2), np.float32), number, number, np.ones(1, np.float32),
            (True, True, True), images, (number,) * 4, image.copy(), image.copy(), np.zeros(image.shape, bool),
        )  # fmt: skip
        frame.stored(image)
    return f"compiled by numba {numba.__version__}\n"
