"""Warnings about the pixels of science frames."""

from nightcal.warning_names.kind import WarningName

FRAME_WARNINGS = (
    WarningName(
        "FWHM unknown",
        "No three stars have a width in common, so apertures in units of the FWHM have the size for stars of 3 pixels.",
        "Give `sources.apertures` in pixels (`aperture_unit: pixel`), or leave the frame out if it should have stars.",
    ),
    WarningName(
        "many flagged pixels",
        "More than 4 percent of the pixels are flagged; good detectors have less than 2.",
        "Look at the master: a colour mosaic, a set of mixed settings, light in the darks, or a vignetted field? "
        "Then the limits in `defects`.",
    ),
    WarningName(
        "negative sky",
        "The sky of a frame is below zero by more than five times its error.",
        "Compare gain, offset and temperature of frame, bias and dark. Was the frame calibrated before?",
    ),
    WarningName(
        "no scatter",
        "Frames, or neighbouring pixels, are all equal.",
        "Remove copies and frames that were made by a program; check the cable and the driver of the camera.",
    ),
    WarningName(
        "pixels below zero",
        "Some pixels of a calibrated frame lie far below zero, beyond any noise. Often a camera writes 0 or another "
        "number, such as -9999, where it lost rows or columns, and no `BLANK` says so.",
        "Look at the raw numbers there. Write `BLANK` into the headers, or mask the pixels (`bad_pixels`).",
    ),
    WarningName(
        "same pixels",
        "Two science frames have exactly the same pixels. (A second calibration frame is rejected, with that reason.)",
        "Keep one of the two. Two exposures never agree in all pixels.",
    ),
    WarningName(
        "sky scatter",
        "The sky scatters more or less than its own uncertainty says, measured between neighbouring pixels in the "
        "emptier parts of the frame (`SKYRATIO`).",
        "Check what the warning lists: the gain, whether the frame was calibrated or summed before, whether the "
        "camera is a colour one, and whether bias and flat are of the same setting.",
    ),
    WarningName(
        "trail in the frame",
        "A satellite or an aeroplane crossed the frame. Its pixels have the bit `TRAIL`, and no sources are looked for "
        "there.",
        "Check that the trail missed your target: its row in the catalogue has the flag 32 if not. Longer or shorter "
        "trails are flagged with `trails.minimum_length`.",
        is_handled=True,
    ),
)
