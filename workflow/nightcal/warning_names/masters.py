"""Warnings about masters, and about the frames they are made of."""

from nightcal.warning_names.kind import WarningName

MASTER_WARNINGS = (
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
        "doubtful master",
        "A master that was used is doubtful: its own frames disagree, or it departs from the last accepted one.",
        "Read the sentence, and look at the master. If it is good, accept it in `night.yaml`; if not, reject it there.",
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
        "incomplete master",
        "A master that was used here was itself made without bias, dark or flat.",
        "Take the missing frames; see the warnings of that master.",
    ),
    WarningName(
        "level drifted after bias",
        "A line through the levels of darks of several exposure times does not begin at the bias: the level changed "
        "between them. The difference is subtracted, or it would become dark current.",
        "Take bias frames and darks close in time, with a camera that has settled.",
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
        "no fringes",
        "The odd and the even frames of a fringe frame share no significant pattern: there are no fringes, or too few "
        "frames to see them. Nothing is subtracted.",
        "Nothing, if the filter has no fringes; leave it out of `fringe` to save time. Otherwise take more frames, "
        "each of another pointing.",
        is_handled=True,
    ),
    WarningName(
        "old master",
        "The closest master is older than `max_age_days` allows.",
        "Take new frames, or raise the limit if the camera is stable.",
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
        "shutter in flat",
        "The shape of the flats depends on their exposure time, as with a shutter that opens from the middle.",
        "Expose flats for so long that the shutter does not matter; the warning tells how long.",
    ),
    WarningName(
        "stars in flat",
        "The flat has compact bright spots, or a star that only some of its frames have, whose place is flagged.",
        "Move the telescope between twilight flats; take three or more.",
    ),
    WarningName(
        "unexpected scatter",
        "The frames of a master scatter otherwise than gain and read noise predict.",
        "If the set is of two kinds, name the frames of one in `night.yaml`, with the line that the warning "
        "gives. Else check gain and read noise.",
    ),
    WarningName(
        "unsteady illumination",
        "The flats differ in shape: clouds, twilight with a gradient, or flats of several filters.",
        "Leave the odd ones out in `night.yaml`; take flats under a steady light.",
    ),
)
