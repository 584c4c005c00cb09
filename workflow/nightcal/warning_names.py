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
        "bias made of darks",
        "There are no bias frames. Darks of another exposure time or temperature serve as bias, and no second set of "
        "darks tells how much dark current they contain.",
        "Take bias frames, or darks of the exposure time and temperature of these frames (flat-darks).",
    ),
    WarningName(
        "decimal comma",
        "A number such as `1,200` may have a decimal comma or separate thousands; it is read as 1.2.",
        "Check the exposure time in the plan.",
    ),
    WarningName(
        "exposure times disagree",
        "Keywords of the exposure time differ, or one occurs twice. The one that fits start and end is used, else the "
        "smaller of two that differ by 1000 or 1000000, else the last of a keyword that occurs twice, else the first.",
        "Check the exposure time in the plan; list only the right keyword in the camera file.",
    ),
    WarningName(
        "keyword twice",
        "A keyword occurs several times with different values; the first is used.",
        "Remove the wrong one, or list another keyword in the camera file.",
    ),
    WarningName(
        "longitude in radians",
        "A longitude is written in radians and was converted.",
        "Nothing, if the night is right.",
    ),
    WarningName(
        "not the start",
        "A keyword that should hold the start of the exposure holds its middle or end, according to another keyword; "
        "this is allowed for.",
        "List the keyword as `middle` or `end` in the camera file.",
    ),
    WarningName(
        "saved again",
        "A keyword such as SWMODIFY says that a program that also calibrates has saved the frame again, perhaps only "
        "to add a plate solution. The frame is taken as raw.",
        "Use the file that the camera wrote, or list the keyword under `ignore_marks` of the camera file.",
    ),
    WarningName(
        "section counted from 0",
        "A section of the header counts pixels from 0, not from 1 as the FITS standard does.",
        "Check sections in the plan, or write them in the camera file.",
    ),
    WarningName(
        "sign of the longitude",
        "A longitude has both a sign and a letter; the letter decides.",
        "Nothing, if the night is right; else give `longitude` in a camera file that lists no keyword for it.",
    ),
    WarningName(
        "summed at the telescope",
        "The frame is a sum of several readouts (`NSUBREAD`, `COADDS`): bias level and read noise count that often; "
        "the exposure time is taken for that of the sum.",
        "Check the exposure time, and the saturation, which is that of one readout.",
    ),
    WarningName(
        "time cards disagree",
        "Keywords that should hold the same time differ by more than a second. The one that the FITS standard defines "
        "best is used (docs/cameras.md).",
        "Check mid-exposure in the plan; list only the right keywords in the camera file.",
    ),
    WarningName(
        "turned upside down",
        "The rows of the frame are stored in the opposite order (`ROWORDER`) to those of its masters, and so turned. "
        "The product has the order of the masters.",
        "Nothing; or take all frames of a night with one program.",
    ),
    WarningName(
        "two-digit year",
        "A year has two digits and cannot be of the 20th century, which the FITS standard has in mind.",
        "Check the dates in the plan.",
    ),
    WarningName(
        "types disagree",
        "Two keywords give different types. A calibration wins over science; else the first keyword.",
        "Check the type in the plan; list only the right keyword in the camera file.",
    ),
    WarningName(
        "unknown binning",
        "The binning cannot be read, or half of it is missing.",
        "Check the binning in the plan.",
    ),
    WarningName(
        "unknown filter",
        "The headers of flats do not name a filter, although other frames of the camera do; they may be of several "
        "filters.",
        "Name the filter in `night.yaml`.",
    ),
    WarningName(
        "unknown gain",
        "The gain in the header is impossible (0, negative, text) and counts as unknown: that of the camera file, or a "
        "measured one, is used.",
        "Give the gain in the camera file, or take two bias frames and two flats.",
    ),
    WarningName(
        "unknown linearity",
        "The linearity limit in the header is impossible and counts as unknown.",
        "Give `linearity` in the camera file.",
    ),
    WarningName(
        "unknown longitude",
        "The longitude in the header cannot be read.",
        "Give `longitude` in the camera file.",
    ),
    WarningName(
        "unknown pointing",
        "Right ascension or declination in the header cannot be read; the frame has no pointing.",
        "Check the keywords; see docs/astrometry.md for other ways to give the position.",
    ),
    WarningName(
        "unknown read noise",
        "The read noise in the header is impossible (negative, text) and counts as unknown.",
        "Give the read noise in the camera file, or take two bias frames.",
    ),
    WarningName(
        "unknown saturation",
        "The saturation in the header is impossible (negative, text) and counts as unknown.",
        "Give `saturation` in the camera file.",
    ),
    WarningName(
        "unknown section",
        "A section in the header cannot be read or lies outside the image, and is not used.",
        "Write the sections in the camera file.",
    ),
    WarningName(
        "unknown temperature",
        "A temperature in the header is not a temperature (NaN, -999, text) and counts as missing.",
        "Nothing, if another keyword has the temperature; else the dark is chosen without it.",
    ),
    WarningName(
        "unknown time scale",
        "TIMESYS names a time scale that nightcal does not know; UTC is assumed.",
        "Check the times; remove TIMESYS if they are in UTC.",
    ),
    WarningName(
        "unreadable text",
        "A text in the header cannot be read and counts as missing.",
        "Correct the header.",
    ),
    WarningName(
        "unusable exposure time",
        "A keyword of the exposure time has an impossible value; another one is used, or 0 s for a bias.",
        "List only the right keyword in the camera file.",
    ),
    WarningName(
        "unusable time",
        "A keyword of the time cannot be read, or is in local time; another one is used.",
        "Check mid-exposure in the plan; list only the right keywords in the camera file.",
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
