"""Warnings about what the header of a raw frame says."""

from nightcal.warning_names.kind import WarningName

HEADER_WARNINGS = (
    WarningName(
        "amplifier off the grid",
        "The binned pixels of an amplifier lie between those of the others.",
        "Nothing; positions there are off by up to half a pixel. Read out with a binning that divides the "
        "sections to avoid it.",
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
        is_handled=True,
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
        "gain setting",
        "A keyword such as GAIN holds a setting of the camera, not e-/ADU. The measured gain was used, or, if there is "
        "none, the one that the warning names.",
        "Take at least two bias frames and three flats a filter, or give `gain` [e-/ADU] in a camera file.",
    ),
    WarningName(
        "keyword twice",
        "A keyword occurs several times with different values; the first is used.",
        "Remove the wrong one, or list another keyword in the camera file.",
        is_handled=True,
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
        is_handled=True,
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
        "pixels not square",
        "The pixels, as binned, are not square on the sky. Such frames are not solved.",
        "Bin alike in both directions; or trust the WCS of the raw frame, if there is one.",
        is_handled=True,
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
        is_handled=True,
    ),
    WarningName(
        "raw WCS removed",
        "The WCS of the raw header cannot be read.",
        "Nothing, if the frame was solved: it has a new one.",
        is_handled=True,
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
        is_handled=True,
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
        "sign of the longitude",
        "A longitude has both a sign and a letter; the letter decides.",
        "Nothing, if the night is right; else give `longitude` in a camera file that lists no keyword for it.",
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
        "turned upside down",
        "The rows of the frame are stored in the opposite order (`ROWORDER`) to those of its masters, and so "
        "turned. The product has the order of the masters.",
        "Nothing; or take all frames of a night with one program.",
        is_handled=True,
    ),
    WarningName(
        "two-digit year",
        "A year has two digits and cannot be of the 20th century, which the FITS standard has in mind.",
        "Check the dates in the plan.",
        is_handled=True,
    ),
    WarningName(
        "types disagree",
        "Two keywords give different types, or a light frame is named like a calibration. Of two keywords a "
        "calibration wins over science, and any type over a bias that was exposed; else the first. The name changes "
        "nothing.",
        "Check the type in the plan; list only the right keyword in the camera file, or give the type in `night.yaml`.",
    ),
    WarningName(
        "unit of right ascension",
        "A right ascension below 24 may be in hours or in degrees. Neither its comment nor another keyword gives the "
        "unit, so it is read as degrees.",
        "If the frame is not solved, write the unit into the comment, as in `[hours]`, or list another keyword in"
        " a camera file.",
        is_handled=True,
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
        is_handled=True,
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
