"""Show what the raw pixels of a frame say about its camera: the ADC, and borders of amplifiers and overscan.

Part of `nightcal.check_camera`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.adc import find_step, find_top
from nightcal.detector.profile_steps import Step, find_steps
from nightcal.io.raw_image import RawImage

MOST_STEPS = 12
WITH_LIGHT = ("flat", "science")


def describe_pixels(image: RawImage, kind: str) -> Iterator[tuple[str, str]]:
    """Describe the raw pixels of each plane of a frame.

    Parameters
    ----------
    image : RawImage
    kind : str
        Type of the frame; steps are searched in frames without light.

    Yields
    ------
    (str, str)
        Name and text.

    Raises
    ------
    FrameRejectedError
        If the pixels cannot be read.
    """
    several = len(image.planes) > 1
    for number, plane in enumerate(image.planes, start=1):
        raw = plane.read()
        which = f" {number}" if several else ""
        yield "ADC" + which, describe_adc(raw, plane.largest)
        if kind not in WITH_LIGHT:
            columns, rows = find_steps(raw, 1), find_steps(raw, 0)
            yield "column steps" + which, describe_steps(columns, "column")
            yield "row steps" + which, describe_steps(rows, "row")
            if columns or rows:
                yield (
                    "",
                    "Steps are borders of overscan (image, overscan) or of amplifiers. "
                    "Amplifiers in one plane all need plane: 1, each with image and detector.",
                )


def describe_adc(raw: NDArray[np.generic], largest: float) -> str:
    """Describe step and top of the ADC.

    Parameters
    ----------
    raw : ndarray of any real type, shape (ny, nx)
        [ADU]
    largest : float
        Largest value that the file can hold [ADU]; infinity for floats.

    Returns
    -------
    str
        If no pixel is saturated, the top that follows from the step, or that it does not show.
    """
    finite = raw[np.isfinite(raw)]
    if not finite.size:
        return "no values"
    step = find_step(raw)
    size = "step unknown: too few values, or not whole numbers" if step is None else f"step {step} ADU"
    highest = float(finite.max())
    top = find_top(raw, step or 1)
    if top is not None:
        count = int(np.count_nonzero(raw == top))
        return f"{size}; top {top:g} ADU, at which {count} pixels pile up"
    seen = f"no pixel is saturated, the largest value is {highest:g} ADU"
    if step is None or step == 1 or not np.isfinite(largest):
        return f"{size}; top unknown: {seen}"
    return f"{size}; top {largest - (largest - highest) % step:g} ADU, if the ADC fills the file: {seen}"


def describe_steps(steps: Sequence[Step], what: str) -> str:
    """Describe steps in order of their place; only the largest if there are many."""
    if not steps:
        return f"none: the level of the {what}s does not step"
    largest = sorted(steps, key=lambda step: -abs(step.height))[:MOST_STEPS]
    in_order = sorted(largest, key=lambda step: step.first)
    listed = ", ".join(f"{step.first} ({step.height:+.1f} ADU)" for step in in_order)
    more = f", and {len(steps) - MOST_STEPS} smaller ones" if len(steps) > MOST_STEPS else ""
    return f"at {what} {listed}{more}"
