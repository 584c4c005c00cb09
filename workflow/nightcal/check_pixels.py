"""Show what the raw pixels of a frame say about its camera: the ADC, and borders of amplifiers and overscan.

Part of `nightcal.check_camera`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from nightcal.detector.profile_steps import Step, find_steps
from nightcal.io.raw_image import RawImage

MOST_STEPS = 12
RARE = 1e-4
"""Values of a smaller part of the pixels do not count for the step of the ADC."""

PILE = 5
"""Pixels at the largest value, at least, if the ADC ends there."""

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
        yield "ADC" + which, describe_adc(raw)
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


def describe_adc(raw: NDArray[np.generic]) -> str:
    """Describe step and top of the ADC."""
    step = find_adc_step(raw)
    size = "values are not whole numbers" if step is None else f"step {step} ADU"
    finite = raw[np.isfinite(raw)] if raw.dtype.kind == "f" else raw
    if not finite.size:
        return "no values"
    largest = finite.max()
    count = int(np.count_nonzero(finite == largest))
    top = f"{count} pixels at the largest value, {largest:g} ADU"
    return f"{size}; {top}{': the top of the ADC?' if count >= PILE else ''}"


def find_adc_step(raw: NDArray[np.generic]) -> int | None:
    """Find the greatest common divisor of the differences of values [ADU]; None if they are not whole numbers.

    A step of 16 is that of a 12-bit ADC in 16-bit integers. Rare values, such as a lone 65535, do not count.
    """
    values, counts = np.unique(raw[np.isfinite(raw)] if raw.dtype.kind == "f" else raw, return_counts=True)
    common = values[counts > RARE * raw.size]
    common = values if common.size < 2 else common
    if common.dtype.kind == "f" and not (common == np.rint(common)).all():
        return None
    return int(np.gcd.reduce(np.diff(common.astype(np.int64)))) if common.size > 1 else None


def describe_steps(steps: Sequence[Step], what: str) -> str:
    """Describe steps in order of their place; only the largest if there are many."""
    if not steps:
        return f"none: the level of the {what}s does not step"
    largest = sorted(steps, key=lambda step: -abs(step.height))[:MOST_STEPS]
    in_order = sorted(largest, key=lambda step: step.first)
    listed = ", ".join(f"{step.first} ({step.height:+.1f} ADU)" for step in in_order)
    more = f", and {len(steps) - MOST_STEPS} smaller ones" if len(steps) > MOST_STEPS else ""
    return f"at {what} {listed}{more}"
