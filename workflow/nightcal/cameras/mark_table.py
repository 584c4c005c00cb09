"""Marks that other programs leave in frames they have calibrated, stacked or altered."""

import re
from dataclasses import dataclass

from nightcal.io.colour_mosaic import PATTERN_CARDS

NOT_DONE = (
    "", "f", "n", "no", "none", "null", "false", "off", "raw", "0", "not done", "notdone", "perform", "omit", "omitted",
    "skipped", "skip", "pending", "todo", "incomplete", "unprocessed", "uncalibrated", "uncorrected", "n/a", "na",
    "unknown", "undefined", "undef", "default", "-",
)  # fmt: skip
"""Values, in lower case, with which a keyword says that its step was not done."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Keywords that say that a frame is not raw.

    Attributes
    ----------
    names : tuple of str
        Keywords; ``*`` at the beginning or end matches anything.
    what : str
        What was done to the frame, for the message.
    values : tuple of str
        Patterns, in lower case, of the values that are a mark.
    raw : tuple of str
        Values, in lower case, that raw frames have.
    above : float or None
        If not None, only numbers above it are a mark.
    over : str
        Keyword with a number that the value exceeds by half, as a sum of exposures exceeds that of one.
    """

    names: tuple[str, ...]
    what: str = "processed"
    values: tuple[str, ...] = ("*",)
    raw: tuple[str, ...] = NOT_DONE
    above: float | None = None
    over: str = ""


PROGRAM = ("PROGRAM", "SOFTWARE", "SOFTNAME", "CREATOR", "ORIGIN")
"""Keywords that name the program that has saved a file."""

DONE = ("complete*", "done", "yes", "t", "true", "applied*", "subtracted*", "corrected*", "[12][0-9][0-9][0-9]-*")
"""Patterns of values with which a keyword says that its step was done."""

MARKS = (
    # MaxIm DL, AstroImageJ, ASTAP: letters for what was done, F for the flat
    Mark(
        ("CALSTAT",), "calibrated", raw=("", "0", "raw", "none", "no", "false", "n/a", "unknown", "u", "uncalibrated")
    ),
    # IRAF, and others in its manner
    Mark(
        (
            "CCDPROC", "ZEROCOR", "BIASCOR", "DARKCOR", "FLATCOR", "ILLUMCOR", "FRINGCOR", "SKYCOR", "GAINCOR",
            "BT-FLAG", "CCDMEANT", "MKILLUM", "MKFRINGE", "MKSKYCOR", "MKSKYFLT",
        ),
        "calibrated",
    ),
    Mark(("FIXPIX",), "corrected"),
    # raw frames may have sections of these names
    Mark(
        ("OVERSCAN",),
        "calibrated",
        ("*overscan*mean*", "*section is*", "*subtracted*", "*corrected*", "done", "complete*"),
    ),
    Mark(("TRIM",), "trimmed", ("*section is*", "*trimmed*", "done", "complete*")),
    Mark(("IMCMB*", "IMCOM*", "COMBINET"), "a stack"),
    Mark(("COMBINED", "ISMASTER"), "a stack", DONE),
    Mark(("RESAMPT*",), "resampled"),
    Mark(("NCOMBINE", "SNAPSHOT", "STACKCNT", "NSTACK", "NSTACKED"), "a stack", above=1),
    Mark(("LIVETIME",), "a stack", over="EXPTIME"),
    # programs that save no raw frames
    Mark(PROGRAM, values=("*deepskystacker*", "*astropixelprocessor*", "*astro pixel processor*", "swarp*")),
    # ASTAP
    Mark(("LIGH_CNT", "RED_CNT", "GRN_CNT", "BLU_CNT", "LUM_CNT", "RGB_CNT"), "a stack", above=1),
    Mark(("DARK_CNT", "FLAT_CNT", "BIAS_CNT"), "calibrated", above=0),
    # ccdproc of astropy names the functions it called
    Mark(("SUBBIAS", "SUBDARK", "SUBOSCAN", "TRIMIM", "BIASSUB", "DARKSUB", "FLATDIV"), "calibrated"),
    Mark(("BAKDEVBX", "BAKDFILT", "CRMEDIAN", "CRLACOSM", "WCSPROJ", "TRANIM"), "processed"),
    # ESO, NOIRLab
    Mark(("ESO PRO *",), "a product"),
    Mark(("PROCTYPE",), "a product"),
    Mark(
        ("PRODTYPE",),  # image in raw frames, too
        "a product",
        (
            "*mask*", "*map*", "*stack*", "*cal*", "*resampl*", "*sky*", "reduc*", "process*", "master*", "*mosaic*",
            "*coadd*",
        ),
    ),
    Mark(("PLVER", "PIPEVER"), "a product"),
    # Las Cumbres Observatory
    Mark(("RLEVEL",), "a product", above=0),
    Mark(("L1STAT*",), "calibrated", raw=(*NOT_DONE, "-1", "-99")),
    Mark(("L1ID*",), "calibrated"),
    # Gemini, Hubble, Webb
    Mark(
        (
            "GPREPARE", "GIREDUCE", "GBIAS", "GIFLAT", "GMOSAIC", "GSREDUCE", "BIASIM", "DARKIM", "FLATIM", "OVERSUB",
        ),
        "calibrated",
    ),
    Mark(
        (
            "BIASCORR", "BLEVCORR", "ZEROCORR", "DARKCORR", "FLATCORR", "S_DARK", "S_BIAS", "S_FLAT", "S_SUPERB",
            "REDUCED", "BIASDONE", "DARKDONE", "FLATDONE", "DEBIASED", "FLATTED",
        ),
        "calibrated",
        DONE,
    ),
    Mark(("*CORR",), "calibrated", ("complete*",)),
    Mark(("PROCSTAT", "REDSTAT", "CALSTATE"), values=("reduced*", "calibrated*", "processed*")),
)  # fmt: skip
"""Marks that reject a frame."""

PROGRAMS = (
    Mark(("SWMODIFY",)),
    Mark(PROGRAM, values=("*pixinsight*", "*siril*")),
)
"""Marks of programs that may have altered a frame, or only its header."""

TYPES = Mark(
    (),
    "processed",
    (
        "master*", "*[_ -]master", "*calibrated*", "*reduced*", "*processed*", "*stack*", "super*", "coadd*", "co-add*",
        "*combined*", "*integration*", "drizzle*",
    ),
    raw=("uncalibrated", "unreduced", "unprocessed"),
)  # fmt: skip
"""Words for the type of a frame that no raw frame has."""

NAMED = re.compile(r"(?:master|super)[ _-]?(?:bias|dark|flat|zero|offset|light)", re.I)
"""Beginning of the name of a file that holds a master."""

_STEP = r"(?:bias|zero(?:[- ]level)?|darks?|flats?|flat[- ]?fields?|overscan|dark current|fringes?)"
_DONE = r"(?:subtract\w*|correct(?:ed|ion)|calibrat\w*|applied|removed|divided|normali[sz]ed)"
_FILE = r"(?:[ :,_-]+\S+\.(?:fits?|fts|xisf|tiff?)\b)?"
_LINKS = r"(?:(?:the|a|an|by|with|for|of|using|mean|median|average|master|combined|normali[sz]ed) )*"
_FRAMES = r"(?:(?:bias|zero|dark|flat|light|raw|science)[- ]?)?(?:images|frames|exposures|biases|darks|flats|lights)"
HISTORY = (
    rf"\b{_STEP}(?:[ _-](?:frame|image|level|field|pattern))?s?{_FILE}[ :,_-]+"
    rf"(?:(?:was|were|is|been|has|have) )*{_DONE}\b",
    rf"\b(?:subtract(?:ed|ing)?|divided by|correct(?:ed|ing) (?:for|with|by|using)|calibrated (?:with|by|using|for))"
    rf" {_LINKS}{_STEP}(?![a-z])",
    r"\b(?:bias|dark|flat|overscan),? (?:(?:bias|dark|flat|and|overscan),? )+(?:corrected|subtracted|calibrated)\b",
    r"\bflat[- ]?fielded\b|\bdebiased\b",
    r"^(?:image |frame )?(?:calibrated|reduced) (?:by|with|using|in(?! size))\b",
    r"\bcalibrated (?:with|by|using) an? (?:master|synthetic|optimi[sz]ed)\b",
    r"\bmaster[ _-]?(?:bias|dark|flat|zero|offset|light)(?:[ _-]frame)?[ :,_-]+(?:was )?"
    r"(?:created|made|built|generated|computed|from|of)\b",
    r"\bcosmetic(?:ally)? correct|\bbackground extraction\b|^(?:crop|rotation) \(",
    r"\b(?:mean|median|average|sum|sigma|weighted)[- ](?:stack\w*|combin\w*|coadd\w*)",
    rf"\bstack(?:ed|ing) (?:of |from |with )?\d* ?(?:{_FRAMES}|winsorized|sigma)",
    rf"\b(?:average|median|mean|sum|combination|combined?|stack) (?:of |from )?\d+ {_FRAMES}\b",
    rf"\b\d+ {_FRAMES} (?:were )?(?:stacked|combined|averaged|co-?added)\b",
    r"\b(?:image|frame) (?:was )?(?:registered|aligned|resampled)\b",
    r"\bregistered (?:to|with|on) (?:the |a )?reference\b",
    r"\b(?:debayered|demosaiced)\b",
)
"""What programs and people write in HISTORY when they calibrate or stack, in lower case, unless a word denies it."""

ELSEWHERE = r"\b(?:auto)?guid(?:e|er|ing)\b|\bautoguid|\b(?:auto)?focus|\bpreview\b|\bthumbnail\b|\bpointing\b"
"""Words in a line that tells of other images than this one."""

PROCESSES = (
    "imagecalibration", "imageintegration", "drizzleintegration", "fastintegration", "cosmeticcorrection",
    "staralignment", "localnormalization", "zerocombine", "darkcombine", "flatcombine", "imcombine", "ccdproc",
    "lacosmic", "l.a.cosmic", "la_cosmic", "astroscrappy", "subtract_bias", "subtract_dark", "flat_correct",
    "deepskystacker",
)  # fmt: skip
"""Names of processes in HISTORY: PixInsight, IRAF, ccdproc, DeepSkyStacker."""

COLOURS = (*PATTERN_CARDS, "COLORCCD")
"""Keywords that tell of a colour mosaic."""
