"""Names of warnings, under which docs/warnings.md says what they mean and what to do.

A warning begins with its name, as in ``gain setting: GAIN is 100 ...``, wherever it appears: in the plan, in the log,
in the header of a product and in the report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Warn = Callable[[str], None]
"""Takes a warning."""


def ignore_warning(warning: str) -> None:
    """Take no notice of a warning, which was given when the frame was planned."""


@dataclass(frozen=True, slots=True)
class WarningName:
    """A kind of warning: what it means, and what an observer can do."""

    name: str
    meaning: str
    remedy: str


WARNINGS = (
    WarningName(
        "assumed alike",
        "A keyword that changes the raw numbers (readout mode, gain, offset, filter) is missing from the frames or "
        "from those of the master, and no other master exists.",
        "If they do differ, leave one of them out in `night.yaml`, or take calibrations with the same program.",
    ),
    WarningName(
        "light in the overscan",
        "An overscan section of the header lies in the image, so there is light in it. That part is not used.",
        "Give the right sections in a camera file; without overscan, bias frames are needed.",
    ),
    WarningName(
        "overscan in the image",
        "The header gives an overscan section, but none for the image (such as TRIMSEC). The overscan is used, and its "
        "pixels stay in the products.",
        "Give `image` in a camera file, as in `[1:1024,1:1024]`.",
    ),
    WarningName(
        "saved again",
        "A keyword such as SWMODIFY says that a program that also calibrates has saved the frame again, perhaps only "
        "to add a plate solution. The frame is taken as raw.",
        "Use the file that the camera wrote, or list the keyword under `ignore_marks` of the camera file.",
    ),
    WarningName(
        "summed at the telescope",
        "The frame is a sum of several readouts (`NSUBREAD`, `COADDS`): bias level and read noise count that often; "
        "the exposure time is taken for that of the sum.",
        "Check the exposure time, and the saturation, which is that of one readout.",
    ),
    WarningName(
        "turned upside down",
        "The rows of the frame are stored in the opposite order (`ROWORDER`) to those of its masters, and so turned. "
        "The product has the order of the masters.",
        "Nothing; or take all frames of a night with one program.",
    ),
    WarningName(
        "unknown filter",
        "The headers of flats do not name a filter, although other frames of the camera do; they may be of several "
        "filters.",
        "Name the filter in `night.yaml`.",
    ),
    WarningName(
        "unknown temperature",
        "A temperature in the header is not a temperature (NaN, -999, text) and counts as missing.",
        "Nothing, if another keyword has the temperature; else the dark is chosen without it.",
    ),
    WarningName(
        "wrong checksum",
        "The CHECKSUM of a raw file does not agree with its bytes. With a DATASUM that agrees, only the header was "
        "changed, which many programs do; without one, pixels may be damaged, too.",
        "Compare the file with another copy. A frame whose DATASUM does not agree is rejected.",
    ),
)
"""All kinds, in alphabetical order."""

_NAMES = frozenset(warning.name for warning in WARNINGS)


def name_warning(name: str, text: str) -> str:
    """Begin a warning with its name.

    Parameters
    ----------
    name : str
        One of `WARNINGS`.
    text : str
        What was found, and what was done.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no such name.
    """
    if name not in _NAMES:
        raise ValueError(f"{name!r} is not the name of a warning; add it to nightcal.warning_names")
    return f"{name}: {text}"


def summarise_warnings(warnings: list[tuple[str, ...]]) -> list[str]:
    """Join the warnings of the frames of a set.

    Parameters
    ----------
    warnings : list of tuple of str
        Of each frame.

    Returns
    -------
    list of str
        Each different warning once; with the number of frames, unless all have it.
    """
    count: dict[str, int] = {}
    for text in (text for frame in warnings for text in dict.fromkeys(frame)):
        count[text] = count.get(text, 0) + 1
    total = len(warnings)
    return [text if number == total else f"{text} ({number} of {total} frames)" for text, number in count.items()]
