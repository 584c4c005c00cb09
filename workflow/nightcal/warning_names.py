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
        "FWHM unknown",
        "No three stars have a width in common, so apertures in units of the FWHM have the size for stars of 3 pixels.",
        "Give `sources.apertures` in pixels (`aperture_unit: pixel`), or leave the frame out if it should have stars.",
    ),
    WarningName(
        "amplifier off the grid",
        "The binned pixels of an amplifier lie between those of the others.",
        "Nothing; positions there are off by up to half a pixel. Read out with a binning that divides the "
        "sections to avoid it.",
    ),
    WarningName(
        "assumed alike",
        "A keyword that changes the raw numbers (readout mode, gain, offset, filter) is missing from the frames "
        "or from those of the master, and no other master exists.",
        "If they do differ, leave one of them out in `night.yaml`, or take calibrations with the same program.",
    ),
    WarningName(
        "bad pixel mask not used",
        "A mask of the observer has another size than the frames.",
        "Make a mask of the size of the light-sensitive area, as binned.",
    ),
    WarningName(
        "bias level moved",
        "The level of the bias frames changed within the set by what matters to a science frame, and there is no "
        "overscan to follow it.",
        "Keep one setting for each set: name the frames of the other in `night.yaml`, with the line that the "
        "warning gives. If the level drifts steadily, let the camera warm up, and take bias frames close to the "
        "science frames.",
    ),
    WarningName(
        "bias made of darks",
        "There are no bias frames. Darks of another exposure time or temperature serve as bias, and no second set of "
        "darks tells how much dark current they contain.",
        "Take bias frames, or darks of the exposure time and temperature of these frames (flat-darks).",
    ),
    WarningName(
        "bias not subtracted",
        "There is no bias and no overscan: the bias level is still in the image, and counts as signal in its "
        "uncertainties. Magnitudes are not given.",
        "Take bias frames, or short darks, with the same settings; or give a library of masters (`library`).",
    ),
    WarningName(
        "bias of another temperature",
        "The level of a bias depends on the temperature of the camera, and no overscan follows it.",
        "Take bias frames at the temperature of the science frames, or point `library` at results that have some.",
    ),
    WarningName(
        "bias skipped",
        "No master bias could be used; the warning says why.",
        "Look at what the warning names: settings that differ, age, or missing frames; `plan.csv` has the candidates.",
    ),
    WarningName(
        "dark does not scale",
        "Some signal in the darks does not grow with exposure time: amplifier glow, or an excess in the bias.",
        "Take darks of the exposure times of the science frames.",
    ),
    WarningName(
        "dark left out",
        "The only darks are much shorter than the flats: scaled up they would add more noise than they remove signal.",
        "Take darks as long as the flats, if the flagged hot pixels matter.",
    ),
    WarningName(
        "dark of unknown temperature",
        "The temperature of the dark or of the frames is not in their headers.",
        "Name the keyword in the camera file (`set_temperature`, `temperature`), or take the darks at the "
        "temperature of the frames.",
    ),
    WarningName(
        "dark scaled up",
        "The dark is shorter than the frame, so its noise is multiplied.",
        "Take darks as long as the longest exposures.",
    ),
    WarningName(
        "dark skipped",
        "No master dark could be used; the warning says why.",
        "Take darks at this temperature and as long as the frame, or allow more in the section `dark` of the "
        "configuration.",
    ),
    WarningName(
        "day or month",
        "A date such as 03/01/2024 may be written day first or month first.",
        "If the month comes first, give the `time` in `night.yaml`, or let the program write 2024-03-01.",
    ),
    WarningName(
        "decimal comma",
        "A number such as `1,200` may have a decimal comma or separate thousands; it is read as 1.2.",
        "Check the exposure time in the plan.",
    ),
    WarningName(
        "doubtful master",
        "A master that was used is doubtful: its own frames disagree, or it departs from the last accepted one.",
        "Read the sentence, and look at the master. If it is good, accept it in `night.yaml`; if not, reject it there.",
    ),
    WarningName(
        "exposure times disagree",
        "Keywords of the exposure time differ, or one occurs twice. The one that fits start and end is used, else the "
        "smaller of two that differ by 1000 or 1000000, else the last of a keyword that occurs twice, else the first.",
        "Check the exposure time in the plan; list only the right keyword in the camera file.",
    ),
    WarningName(
        "exposures overlap",
        "The exposure times of a night add up to more than a hundred times the time from its first frame to its last.",
        "If the keyword counts milliseconds, write `{EXPTIME: ms}` in the camera file, as `docs/cameras.md` says.",
    ),
    WarningName(
        "few frames",
        "A master of one or two frames: cosmic rays and other outliers stay in it.",
        "Take three frames or more; five to ten are better.",
    ),
    WarningName(
        "flat skipped",
        "No master flat could be used; the warning says why.",
        "Take flats in this filter with the same settings; or give a library of masters (`library`).",
    ),
    WarningName(
        "frames disagree",
        "The frames of a set differ so much among each other that nobody can tell which of them are right.",
        "Look at the frames, and name those to leave out in `night.yaml`; take the set again if you can.",
    ),
    WarningName(
        "gain differs",
        "The gain measured from the flats is not the one used.",
        "Compare with the manual of the camera. Correct the camera file or `night.yaml`.",
    ),
    WarningName(
        "gain setting",
        "A keyword such as GAIN holds a setting of the camera, not e-/ADU. The measured gain was used, or, if there is "
        "none, the one that the warning names.",
        "Take at least two bias frames and three flats a filter, or give `gain` [e-/ADU] in a camera file.",
    ),
    WarningName(
        "incomplete master",
        "A master that was used here was itself made without bias, dark or flat.",
        "Take the missing frames; see the warnings of that master.",
    ),
    WarningName(
        "keyword twice",
        "A keyword occurs several times with different values; the first is used.",
        "Remove the wrong one, or list another keyword in the camera file.",
    ),
    WarningName(
        "level drifted after bias",
        "A line through the levels of darks of several exposure times does not begin at the bias: the level changed "
        "between them. The difference is subtracted, or it would become dark current.",
        "Take bias frames and darks close in time, with a camera that has settled.",
    ),
    WarningName(
        "light in the overscan",
        "An overscan section of the header lies in the image, so there is light in it. That part is not used. Or the "
        "sections do not tell, but the level of the overscan follows the light: too much is subtracted.",
        "Give the right sections in a camera file; without overscan, bias frames are needed.",
    ),
    WarningName(
        "longitude in radians",
        "A longitude is written in radians and was converted.",
        "Nothing, if the night is right.",
    ),
    WarningName(
        "many flagged pixels",
        "More than 4 percent of the pixels are flagged; good detectors have less than 2.",
        "Look at the master: a colour mosaic, a set of mixed settings, light in the darks, or a vignetted field? "
        "Then the limits in `defects`.",
    ),
    WarningName(
        "master rejected",
        "A master that would have served is rejected; the next best one is used, or the step is skipped.",
        "Look at the master, which is kept, and at its frames: if it is good, accept it in `night.yaml`.",
    ),
    WarningName(
        "negative dark current",
        "The darks are fainter than the bias: its level drifted. The dark is raised to 0.",
        "Take bias frames and darks close in time, with a camera that has settled.",
    ),
    WarningName(
        "negative sky",
        "The sky of a frame is below zero by more than five times its error.",
        "Compare gain, offset and temperature of frame, bias and dark. Was the frame calibrated before?",
    ),
    WarningName(
        "no fringes",
        "The odd and the even frames of a fringe frame share no significant pattern: there are no fringes, or too few "
        "frames to see them. Nothing is subtracted.",
        "Nothing, if the filter has no fringes; leave it out of `fringe` to save time. Otherwise take more frames, "
        "each of another pointing.",
    ),
    WarningName(
        "no scatter",
        "Frames, or neighbouring pixels, are all equal.",
        "Remove copies and frames that were made by a program; check the cable and the driver of the camera.",
    ),
    WarningName(
        "not the start",
        "A keyword that should hold the start of the exposure holds its middle or end, according to another keyword; "
        "this is allowed for.",
        "List the keyword as `middle` or `end` in the camera file.",
    ),
    WarningName(
        "off set temperature",
        "The detector was not at its set temperature.",
        "Wait until the camera has cooled; darks of the measured temperature are used.",
    ),
    WarningName(
        "old master",
        "The closest master is older than `max_age_days` allows.",
        "Take new frames, or raise the limit if the camera is stable.",
    ),
    WarningName(
        "overscan in the image",
        "The header gives an overscan section, but none for the image (such as TRIMSEC). The overscan is used, and its "
        "pixels stay in the products.",
        "Give `image` in a camera file, as in `[1:1024,1:1024]`.",
    ),
    WarningName(
        "pixel scales disagree",
        "Keywords give pixel scales that differ by more than 10 percent; the one that the warning names is used.",
        "Give `pixel_scale` in a camera file, in arcsec per unbinned pixel.",
    ),
    WarningName(
        "pixels below zero",
        "Some pixels of a calibrated frame lie far below zero, beyond any noise. Often a camera writes 0 or another "
        "number, such as -9999, where it lost rows or columns, and no `BLANK` says so.",
        "Look at the raw numbers there. Write `BLANK` into the headers, or mask the pixels (`bad_pixels`).",
    ),
    WarningName(
        "pixels not square",
        "The pixels, as binned, are not square on the sky. Such frames are not solved.",
        "Bin alike in both directions; or trust the WCS of the raw frame, if there is one.",
    ),
    WarningName(
        "pointings disagree",
        "Two pairs of keywords with right ascension and declination are more than a degree apart.",
        "List only the right pair in the camera file (`ra`, `dec`), or correct the header.",
    ),
    WarningName(
        "raw WCS not used",
        "The frame was not solved, and the WCS of its raw header fails a test: the warning names it. The sources "
        "have no positions on the sky.",
        "Correct the pixel scale or the pointing if they are wrong; else the raw WCS is. Reference stars give a "
        "new one: docs/astrometry.md.",
    ),
    WarningName(
        "raw WCS removed",
        "The WCS of the raw header cannot be read.",
        "Nothing, if the frame was solved: it has a new one.",
    ),
    WarningName(
        "read noise differs",
        "The read noise measured from the bias frames is not the one used.",
        "Correct the camera file or the header; the gain may be wrong, too.",
    ),
    WarningName(
        "risky age",
        "The master is older than is usable (`age_days`): dust has moved, the electronics may have changed.",
        "Take new calibration frames; or raise `age_days` if you know that nothing changes.",
    ),
    WarningName(
        "same pixels",
        "Two science frames have exactly the same pixels. (A second calibration frame is rejected, with that reason.)",
        "Keep one of the two. Two exposures never agree in all pixels.",
    ),
    WarningName(
        "saturation above the ADC",
        "The saturation in header or camera file is above the value at which the brightest pixels pile up: the largest "
        "that the analogue-to-digital converter gives.",
        "Correct the saturation in the camera file; pixels at the largest value are flagged all the same.",
    ),
    WarningName(
        "saved again",
        "A keyword such as SWMODIFY says that a program that also calibrates has saved the frame again, perhaps "
        "only to add a plate solution. The frame is taken as raw.",
        "Use the file that the camera wrote, or list the keyword under `ignore_marks` of the camera file.",
    ),
    WarningName(
        "scaled pixels",
        "A program wrote the integers of the camera as floats from 0 to 1; they were multiplied to get ADU again.",
        "Export raw frames as 16-bit integers; check that gain and saturation count in the same ADU.",
    ),
    WarningName(
        "section counted from 0",
        "A section of the header counts pixels from 0, not from 1 as the FITS standard does.",
        "Check sections in the plan, or write them in the camera file.",
    ),
    WarningName(
        "shutter in flat",
        "The shape of the flats depends on their exposure time, as with a shutter that opens from the middle.",
        "Expose flats for so long that the shutter does not matter; the warning tells how long.",
    ),
    WarningName(
        "sign of the longitude",
        "A longitude has both a sign and a letter; the letter decides.",
        "Nothing, if the night is right; else give `longitude` in a camera file that lists no keyword for it.",
    ),
    WarningName(
        "sky scatter",
        "The sky scatters more or less than its own uncertainty says, measured between neighbouring pixels in the "
        "emptier parts of the frame (`SKYRATIO`).",
        "Check what the warning lists: the gain, whether the frame was calibrated or summed before, whether the "
        "camera is a colour one, and whether bias and flat are of the same setting.",
    ),
    WarningName(
        "stars in flat",
        "The flat has compact bright spots, or a star that only some of its frames have, whose place is flagged.",
        "Move the telescope between twilight flats; take three or more.",
    ),
    WarningName(
        "summed at the telescope",
        "The frame is a sum of several readouts (`NSUBREAD`, `COADDS`): bias level and read noise count that "
        "often; the exposure time is taken for that of the sum.",
        "Check the exposure time, and the saturation, which is that of one readout.",
    ),
    WarningName(
        "time cards disagree",
        "Keywords that should hold the same time differ by more than a second. The one that the FITS standard defines "
        "best is used (docs/cameras.md).",
        "Check mid-exposure in the plan; list only the right keywords in the camera file.",
    ),
    WarningName(
        "trail in the frame",
        "A satellite or an aeroplane crossed the frame. Its pixels have the bit `TRAIL`, and no sources are looked for "
        "there.",
        "Check that the trail missed your target: its row in the catalogue has the flag 32 if not. Longer or shorter "
        "trails are flagged with `trails.minimum_length`.",
    ),
    WarningName(
        "turned upside down",
        "The rows of the frame are stored in the opposite order (`ROWORDER`) to those of its masters, and so "
        "turned. The product has the order of the masters.",
        "Nothing; or take all frames of a night with one program.",
    ),
    WarningName(
        "two-digit year",
        "A year has two digits and cannot be of the 20th century, which the FITS standard has in mind.",
        "Check the dates in the plan.",
    ),
    WarningName(
        "types disagree",
        "Two keywords give different types, or a light frame is named like a calibration. Of two keywords a "
        "calibration wins over science, and any type over a bias that was exposed; else the first. The name changes "
        "nothing.",
        "Check the type in the plan; list only the right keyword in the camera file, or give the type in `night.yaml`.",
    ),
    WarningName(
        "unexpected scatter",
        "The frames of a master scatter otherwise than gain and read noise predict.",
        "If the set is of two kinds, name the frames of one in `night.yaml`, with the line that the warning "
        "gives. Else check gain and read noise.",
    ),
    WarningName(
        "unit of right ascension",
        "A right ascension below 24 may be in hours or in degrees. Neither its comment nor another keyword gives the "
        "unit, so it is read as degrees.",
        "If the frame is not solved, write the unit into the comment, as in `[hours]`, or list another keyword in"
        " a camera file.",
    ),
    WarningName(
        "unknown binning",
        "The binning cannot be read, or half of it is missing.",
        "Check the binning in the plan.",
    ),
    WarningName(
        "unknown equinox",
        "The equinox of the pointing cannot be read; 2000 is assumed.",
        "Nothing, if the frame is solved; else correct EQUINOX.",
    ),
    WarningName(
        "unknown filter",
        "The headers of flats do not name a filter, although other frames of the camera do; they may be of "
        "several filters.",
        "Name the filter in `night.yaml`.",
    ),
    WarningName(
        "unknown gain",
        "The gain in the header is impossible (0, negative, text) and counts as unknown: that of the camera file, or a "
        "measured one, is used. Or there is none, and the measured one is uncertain by 0.3 percent or more.",
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
        "Right ascension or declination in the header cannot be read. OBJCTRA and OBJCTDEC, or TELRA and TELDEC, are "
        "used if they are there; else the frame has no pointing.",
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
        "unlisted setting",
        "A keyword that looks like a gain, an offset, a readout mode, a window or an orientation differs between the "
        "science frames and a master; no camera file lists it, so it is not compared.",
        "If it changes the raw numbers, list it under `mode` in a camera file; else ignore the warning.",
    ),
    WarningName(
        "unreadable text",
        "A text in the header cannot be read and counts as missing.",
        "Correct the header, or say what is true in `night.yaml`.",
    ),
    WarningName(
        "unsteady illumination",
        "The flats differ in shape: clouds, twilight with a gradient, or flats of several filters.",
        "Leave the odd ones out in `night.yaml`; take flats under a steady light.",
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
        "The CHECKSUM of a raw file does not agree with its bytes. With a DATASUM that agrees, only the header "
        "was changed, which many programs do; without one, pixels may be damaged, too.",
        "Compare the file with another copy. A frame whose DATASUM does not agree is rejected.",
    ),
)
"""All kinds, in alphabetical order."""

HANDLED = frozenset(
    (
        "decimal comma", "keyword twice", "longitude in radians", "no fringes", "pixels not square", "raw WCS not used",
        "raw WCS removed", "saved again", "trail in the frame", "turned upside down", "two-digit year",
        "unit of right ascension", "unreadable text",
    )
)  # fmt: skip
"""Warnings after which nothing is wrong with the products: nightcal has done what was needed."""

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
