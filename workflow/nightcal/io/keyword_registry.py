"""Every keyword that nightcal writes into the headers of its products: unit, comment and meaning."""

from __future__ import annotations

from functools import cache

from nightcal.io.keyword import ALL, MASTERS, SCIENCE, STACKS, Keyword, match_any


def _standard(*names: str, comment: str = "", products: tuple[str, ...] = SCIENCE) -> tuple[Keyword, ...]:
    return tuple(Keyword(name, comment, products=products, standard=True) for name in names)


FILE = (
    *_standard("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXISn", "PCOUNT", "GCOUNT", "EXTEND", products=ALL),
    Keyword("EXTNAME", "extension name", products=ALL, standard=True),
    Keyword("BUNIT", "unit of the image", products=ALL, standard=True),
    Keyword("CHECKSUM", "checksum of the HDU; FITS standard 4.4.2.7", products=ALL, standard=True),
    Keyword("DATASUM", "checksum of the data", products=ALL, standard=True),
    Keyword("COMMENT", "", products=ALL, standard=True, note="a card of the raw frame that is not valid FITS"),
    Keyword("UTYPE", "one standard deviation", products=ALL, note="in `UNCERT`: `StdDevUncertainty`"),
    Keyword("BITn", "", products=ALL, note="in `MASK`: name of the bit"),
)
"""In every HDU: keywords of FITS itself, and the content of extensions."""

PROVENANCE = (
    Keyword("RAWFILE", "raw frame"),
    Keyword("RAWSHA", "first digits of SHA-256", note="first 16 digits of its SHA-256"),
    Keyword("NIGHTCAL", "version of nightcal", products=ALL),
    Keyword(
        "CONFHASH",
        "hash of the options used",
        products=ALL,
        note="hash of the options used. Science frame: geometry, overscan method, gain, read noise, saturation, unit, "
        "measurements with their options and reference stars. Master: rejection, limits, gain, read noise, camera "
        "file. Bad pixel mask: masters, user masks, limits. All: what `night.yaml` says of the raw frames",
    ),
    Keyword("NIGHT", "date of the evening", products=ALL),
    Keyword(
        "MJD-AVG",
        "middle of exposure, UTC",
        products=ALL,
        standard=True,
        note="middle of the exposure, UTC; for a master, the mean over its frames; for a bad pixel mask, over its "
        "masters. Masters are matched by this time",
    ),
    Keyword("DATE-AVG", "middle of exposure, UTC", products=ALL, standard=True, note="the same time as a date"),
    Keyword("EMPTY", "why the product is empty", products=ALL),
    Keyword("WARNnnn", "", products=ALL, note="a warning; see above"),
    Keyword("RULEnnn", "", products=ALL, note="what `night.yaml` says of the raw frame, or of frames in the stack"),
    Keyword("RAWBIAS", "", note="`BIASSEC` of the raw frame, which does not apply to the product"),
    Keyword("RAWTRIM", "", note="`TRIMSEC` of the raw frame, likewise"),
    Keyword("RAWDATA", "", note="`DATASEC` of the raw frame, likewise"),
)
"""In every product: its origin."""

OVERSCAN = (
    Keyword("OVSCCOR", "overscan level subtracted"),
    Keyword("OVSCLEV", "mean overscan level", "adu", (*SCIENCE, *STACKS)),
    Keyword("OVSCMETH", "overscan method"),
    Keyword("OVSCnnnn", "overscan area"),
    Keyword("OVSCLVnn", "mean overscan level", "adu", note="mean overscan level of one amplifier"),
    Keyword("OVSCSEnn", "overscan areas", note="overscan areas of one amplifier"),
)
CROSSTALK = (
    Keyword(
        "XTALKCOR",
        "crosstalk between amplifiers removed",
        note="crosstalk between amplifiers removed; only with several amplifiers",
    ),
)
SATURATION = (
    Keyword(
        "SATUSED",
        "raw values at or above this are flagged",
        "adu",
        note="raw values at or above this are flagged; the smallest limit of all amplifiers; absent for "
        "floating-point raw frames without a limit",
    ),
    Keyword(
        "SATSRC",
        "source of this limit",
        note="source of this limit: `saturation` (header or camera file), `linearity`, `pixels` (top of the ADC, at "
        "which the brightest pixels pile up), or `file` (the largest integer that the file can hold)",
    ),
    Keyword(
        "ADCSTEP",
        "step of the ADC",
        "adu",
        (*SCIENCE, *STACKS),
        note="step of the ADC, if above 1: pixel values differ by multiples of it",
    ),
    Keyword("SATUSEnn", "", "adu", note="the same limit for one amplifier"),
    Keyword("BLEEDDIR", "directions in which saturated pixels bleed"),
    Keyword("BLEEDPIX", "how far saturated pixels bleed", "pix"),
)
GAIN = (
    Keyword("GAINUSED", "", "electron/adu", (*SCIENCE, *STACKS), note="gain; mean of all amplifiers"),
    Keyword("RNUSED", "", "electron", (*SCIENCE, *STACKS), note="read noise; root mean square over the amplifiers"),
    Keyword(
        "RNSRC", "source of the read noise", note="`overscan` or `unknown`, of a `Calibrator` without `read_noise`"
    ),
    Keyword(
        "GAINSRC",
        "source of gain and read noise",
        products=(*SCIENCE, *STACKS),
        note="source of gain and read noise; see below",
    ),
    Keyword("GAINUSnn", "", "electron/adu", (*SCIENCE, *STACKS), note="gain of one amplifier"),
    Keyword("RNUSEDnn", "", "electron", (*SCIENCE, *STACKS), note="read noise of one amplifier"),
)
MOSAIC = (
    Keyword("NAMPS", "number of amplifiers", note="number of amplifiers, if there are several"),
    Keyword(
        "AMPSECnn",
        "pixels of this amplifier",
        products=(*SCIENCE, *STACKS),
        note="pixels of one amplifier in the product",
    ),
)
TRIM = (
    Keyword(
        "TRIMMED",
        "area of the raw image that is kept",
        note="area of the raw image that is kept; absent if nothing is cut off",
    ),
)


def _master(step: str, *more: Keyword, inherited: tuple[str, ...] = SCIENCE) -> tuple[Keyword, ...]:
    """List the keywords of a step that applies a master."""
    name, mask = step.upper(), "bad pixel mask"
    return (
        Keyword(f"{name}COR", f"{mask if step == 'bpm' else step} applied"),
        Keyword(f"{name}MAST", mask if step == "bpm" else f"master {step}", products=inherited),
        Keyword(f"{name}SHA", "first digits of SHA-256", products=inherited, note="first 16 digits of its SHA-256"),
        Keyword(f"{name}MJD", "mean time of the master, MJD"),
        Keyword(f"{name}AGE", "time from master to frame", "d"),
        *more,
    )


BIAS = _master(
    "bias",
    Keyword(
        "PEDEXP",
        "exposure of the darks that serve as bias",
        "s",
        ("science", *STACKS),
        note="exposure time of the darks that the bias is made of; absent for a bias of bias frames",
    ),
    inherited=("science", "dark", "flat"),
)
DARK = _master(
    "dark",
    Keyword(
        "DARKMULT",
        "exposure time that multiplied the dark",
        "s",
        note="exposure time by which the dark was multiplied; without `PEDEXP`, that of the frame",
    ),
    Keyword(
        "DARKFACT",
        "exposure time / longest of the dark",
        products=("science", "flat"),
        note="exposure time divided by the longest of the dark; above 1, the noise of the dark is amplified",
    ),
    inherited=("science", "flat"),
)
FLAT = _master("flat")
BPM = _master("bpm")
SKIPPED = (Keyword("SKIPPED", "steps not applied", products=ALL, note="steps that were not applied; see above"),)
SKY = (
    Keyword(
        "SKYRATIO",
        "scatter of the sky / its uncertainty",
        note="scatter of neighbouring pixels of the sky over their uncertainties; near 1 if all is well",
    ),
)
MASK = (Keyword("NMASKED", "pixels with a flag", note="pixels with any bit set"),)

COSMIC_RAYS = (
    Keyword("CRSTAT", "search for cosmic rays", note="`done`, or why there was no search or its result was rejected"),
    Keyword("CRNPIX", "pixels hit by cosmic rays"),
    Keyword("CRSIGCLP", "minimum ratio of Laplacian to noise of a hit", note="`sigclip` as used"),
    Keyword("CRSIGFRC", "fraction of CRSIGCLP required next to a hit", note="`sigfrac` as used"),
    Keyword(
        "CROBJLIM",
        "minimum Laplacian over fine structure of a hit",
        note="`objlim` as used, which shows whether the frame counted as sharp",
    ),
    Keyword("CRITER", "maximum number of iterations", note="`iterations` as used"),
    Keyword("CRCLEAN", "are hit pixels replaced?", note="whether hit pixels are replaced in the image"),
)
SOURCES = (
    Keyword("SKYLEVEL", "median level of the sky", "electron"),
    Keyword("SKYNOISE", "standard deviation of the sky", "electron"),
    Keyword(
        "FWHM",
        "typical full width at half maximum",
        "pix",
        note="full width at half maximum of the common profile of up to 200 good stars",
    ),
    Keyword("SEEING", "FWHM on the sky", "arcsec", note="FWHM on the sky, if the pixel scale is known"),
    Keyword("ELLIPTIC", "typical 1 - b/a of the stars"),
    Keyword("NSOURCES", "sources found", note="number of sources"),
    Keyword(
        "NSTARS",
        "stars used for FWHM and ELLIPTIC",
        note="number of good stars: bright, without flags, of typical width",
    ),
    Keyword(
        "SRCSTAT",
        "",
        note="why there are no sources, or what went wrong; absent if there was no problem",
    ),
)
WCS = (
    Keyword("WCSAXES", "number of axes", standard=True),
    Keyword("CTYPEn", "right ascension or declination, tangent plane", standard=True),
    Keyword("CUNITn", "", standard=True),
    Keyword(
        "CRVALn", "right ascension or declination", "deg", standard=True, note="coordinates of the reference pixel"
    ),
    Keyword("CRPIXn", "reference pixel; the first pixel is 1", standard=True),
    Keyword("CDn_n", "", "deg/pix", standard=True, note="matrix from pixels to the sky"),
    Keyword("LONPOLE", "", "deg", standard=True),
    Keyword("RADESYS", "system of the coordinates", standard=True),
    *(
        keyword
        for name in ("A", "B", "AP", "BP")
        for keyword in (
            Keyword(f"{name}_ORDER", "order of the SIP polynomial", standard=True),
            Keyword(f"{name}_n_n", "", standard=True, note="SIP coefficient"),
        )
    ),
    *_standard("WCSNAMEa", "CTYPEna", "CUNITna", "CRVALna", "CRPIXna", "CDn_na", "LONPOLEa", "RADESYSa", "EQUINOXa"),
    Keyword("RAWRADES", "", note="`RADESYS` of the raw frame"),
    Keyword("RAWEQUIN", "", note="`EQUINOX` of the raw frame"),
    Keyword("RAWEPOCH", "", note="`EPOCH` of the raw frame"),
)
ASTROMETRY = (
    Keyword(
        "WCSSTAT",
        "astrometry",
        note="`solved: 143 stars of refcat2.ecsv, rms 0.21 arcsec`, or `not solved: ` and the reason",
    ),
    Keyword("WCSCAT", "catalogue of the reference stars"),
    Keyword("WCSNREF", "stars fitted", note="number of stars fitted"),
    Keyword(
        "WCSNMAT",
        "sources matched with stars",
        note="number of sources matched with stars, including flagged and rejected sources",
    ),
    Keyword(
        "WCSRMS",
        "rms distance of the fitted sources",
        "arcsec",
        note="rms distance of the fitted sources from their stars, both axes combined",
    ),
    Keyword("WCSCHNC", "probability of a chance match"),
    Keyword("WCSORDER", "order of the fit: 1 linear; 2, 3 distortion"),
    Keyword("WCSSCALE", "pixel scale at the frame centre", "arcsec/pix"),
    Keyword("WCSROT", "position angle of the y axis, N through E", "deg"),
    Keyword("WCSMIRR", "east is on the right with north up", note="true if east is to the right when north is up"),
    *WCS,
)
PHOTOMETRY = (
    Keyword("ZPSTAT", "zero point", note="number of stars, catalogue and band, or why there is no zero point"),
    Keyword("ZPBAND", "catalogue band"),
    Keyword("ZPNSTAR", "stars used"),
    Keyword("ZPCOLOR", "colour of the colour term"),
    Keyword(
        "ZP", "magnitude of 1 electron/s, total flux", "mag", note="magnitude of 1 electron/s in the largest aperture"
    ),
    Keyword("ZPERR", "1 sigma error of ZP", "mag"),
    Keyword("ZPCTERM", "colour term, per mag of ZPCOLOR"),
    Keyword("ZPCTERR", "error of ZPCTERM, 0 if not fitted"),
    Keyword("ZPCMEAN", "colour for which ZP holds", "mag"),
    Keyword("ZPRMS", "rms residual of the stars used", "mag"),
    Keyword(
        "ZPSCAT",
        "scatter in excess of the errors",
        "mag",
        note="scatter in excess of the errors of frame and catalogue",
    ),
    Keyword("ZPAPER", "diameter of the aperture used", "pix"),
    Keyword(
        "MAGLIM5",
        "5 sigma limit for point sources",
        "mag",
        note="magnitude of a 5 sigma point source in the most sensitive aperture, from the errors of faint sources",
    ),
    Keyword("APNSTAR", "stars used for aperture corrections"),
    Keyword("APCORn", "aperture correction", "mag", note="aperture correction; the comment gives the diameter"),
    Keyword("APCORK", "aperture correction of FLUX_AUTO", "mag"),
)
CATALOG = (
    Keyword("APERn", "diameter of a circular aperture", "pix", ("catalog",)),
    *_standard("TFIELDS", "TTYPEn", "TFORMn", "TUNITn", "TDIMn", products=("catalog",)),
    Keyword("TCOMMn", "", products=("catalog",), note="description of the column"),
)
"""In the source catalogue."""

STACK = (
    Keyword("MASTER", "kind of master", products=MASTERS, note="`bias`, `dark`, `flat` or `bpm`"),
    Keyword("MJDFIRST", "middle of first exposure", products=STACKS),
    Keyword("MJDLAST", "middle of last exposure", products=STACKS),
    Keyword(
        "NCOMBINE",
        "frames stacked",
        products=MASTERS,
        note="frames stacked; for a bad pixel mask, masters searched",
        standard=True,
    ),
    Keyword("NREJECT", "frames rejected", products=STACKS),
    Keyword("IMCMBnnn", "input", products=MASTERS, note="file name of an input", standard=True),
    Keyword("IMSHAnnn", "first digits of SHA-256", products=MASTERS, note="first 16 digits of its SHA-256"),
    Keyword("REJnnn", "rejected frame", products=STACKS, note="file name of a rejected frame"),
    Keyword("REJWnnn", "", products=STACKS, note="why it was rejected"),
    Keyword("REJMnnn", "middle of exposure, MJD", "d", STACKS),
    Keyword(
        "NOISERAT",
        "measured / modelled noise",
        products=STACKS,
        note="measured over modelled noise; 1 for a single frame",
    ),
    Keyword("NUSEDAVG", "mean number of frames averaged in a pixel", products=STACKS),
    Keyword(
        "BIASLVL", "mean level of the frames", "electron", ("bias",), note="mean level of the frames after overscan"
    ),
    Keyword("BIASDRFT", "scatter of the frame levels", "electron", ("bias",)),
    Keyword(
        "PEDVAR",
        "variance beyond the read noise",
        "electron2",
        ("bias",),
        note="variance of a frame beyond its read noise, from dark current; only in a bias made of darks",
    ),
    Keyword("NOISY", "pixels much noisier than read and photon noise", products=("bias", "dark")),
    Keyword(
        "RNMEASn",
        "measured read noise",
        "electron",
        ("bias",),
        note="measured read noise of one amplifier, with the gain in use",
    ),
    Keyword("RNERRn", "error of measured read noise", "electron", ("bias",)),
    Keyword("RNADUn", "measured read noise", "adu", ("bias",)),
    Keyword(
        "DARKCURR",
        "typical dark current",
        "electron/s",
        ("dark",),
        note="typical dark current; if negative, the image is raised to 0",
    ),
    Keyword(
        "DARKTEFF",
        "effective exposure time for the bias error",
        "s",
        ("dark",),
        note="effective exposure time for the error of the bias",
    ),
    Keyword(
        "EXPTIME",
        "effective exposure; the image is per second",
        "s",
        ("dark",),
        note="the same value, for other programs; the image is per second regardless",
        standard=True,
    ),
    Keyword("EXPMIN", "shortest exposure time", "s", ("dark",)),
    Keyword("EXPMAX", "longest exposure time, used for matching", "s", ("dark",)),
    Keyword("NHOT", "hot pixels", products=("dark", "bpm")),
    Keyword("HOTLIMIT", "threshold for hot pixels", "electron/s", ("dark",)),
    Keyword(
        "RNDARK",
        "read noise from scatter of frames",
        "electron",
        ("dark",),
        note="read noise from the scatter of two frames or more, all amplifiers together",
    ),
    Keyword(
        "DARKGLOW",
        "largest signal that does not scale",
        "electron",
        ("dark",),
        note="largest signal that does not scale with exposure time; only if exposure times differ",
    ),
    Keyword("DARKGERR", "error of DARKGLOW", "electron", ("dark",)),
    Keyword("FLATLVL", "mean signal in the central quarter", "electron", ("flat",)),
    Keyword("FLATLOW", "pixels below 0.2, set to 1", products=("flat",)),
    Keyword(
        "FLATDEP",
        "largest departure from typical shape",
        "percent",
        ("flat",),
        note="largest departure of a frame from the shape of the set; absent for fewer than 3 frames",
    ),
    Keyword("NRESID", "compact bright spots, possibly stars", products=("flat",)),
    Keyword("FLATSRC", "light source of the flat", products=("flat",), note="`twilight` or `dome`; absent if unknown"),
    Keyword("GNMEASn", "measured gain", "electron/adu", ("flat",), note="measured gain of one amplifier"),
    Keyword("GNERRn", "error of measured gain", "electron/adu", ("flat",)),
    Keyword("NBAD", "bad pixels", products=("bpm",)),
    Keyword("NNODATA", "pixels without data in a master", products=("bpm",)),
    Keyword("NNOISY", "pixels noisier than read and photon noise", products=("bpm",)),
    Keyword("NLEVEL", "pixels off the level of column and row", products=("bpm",)),
    Keyword("NDARKHOT", "pixels hot in a dark", products=("bpm",)),
    Keyword("NWARM", "pixels warmer than their surroundings", products=("bpm",)),
    Keyword("NUNRESP", "pixels unlike their surroundings in all flats", products=("bpm",)),
    Keyword("NRATIO", "pixels with an odd ratio of two flats", products=("bpm",)),
    Keyword("NCOLUMN", "pixels between bad pixels of a column", products=("bpm",)),
    Keyword("RATIOn", "flat of the ratio", products=("bpm",), note="one of the two flats whose ratio was searched"),
    Keyword("NUSERMSK", "pixels flagged in user masks only", products=("bpm",)),
    Keyword("USRMKnnn", "user mask", products=("bpm",), note="file name of a user mask"),
    Keyword("USSHAnnn", "first digits of SHA-256", products=("bpm",), note="first 16 digits of its SHA-256"),
)
"""In masters: their inputs and their quality."""

SETUP = (
    Keyword("NCCAMERA", "camera file", products=MASTERS),
    Keyword("NCFAMILY", "family of camera files", products=MASTERS, note="family of the camera file, if it has one"),
    Keyword("NCINSTR", "instrument", products=MASTERS),
    Keyword("NCXBIN", "binning in x", products=MASTERS),
    Keyword("NCYBIN", "binning in y", products=MASTERS),
    Keyword("NCMODE", "readout mode", products=MASTERS),
    Keyword("NCSETnnn", "", products=MASTERS, note="a setting that the frames share: label, setting, keyword, value"),
    Keyword("NCROWS", "order of the rows", products=MASTERS),
    Keyword(
        "NSUMMED", "readouts summed per frame", products=STACKS, note="readouts summed at the telescope, if several"
    ),
    Keyword("NCAREA", "light-sensitive pixels of the raw frames", products=MASTERS),
    Keyword("NCAREAnn", "continued", products=MASTERS, note="the same for further amplifiers"),
    Keyword("NCOVSC", "raw frames have overscan", products=MASTERS),
    Keyword("NCNX", "columns of the raw frames", products=MASTERS),
    Keyword("NCNY", "rows of the raw frames", products=MASTERS),
    Keyword("NCAMPS", "amplifiers of the raw frames", products=MASTERS),
    Keyword(
        "NCPLANE",
        "colour of the mosaic",
        products=ALL,
        note="colour of the mosaic (`R`, `G1`, `G2`, `B`), if the camera file splits it",
    ),
    Keyword("FILTER", "filter", products=STACKS, note="filter; empty except for flats", standard=True),
    Keyword("SET-TEMP", "", "deg C", STACKS, note="set temperature of the first frame", standard=True),
    Keyword("CCD-TEMP", "measured", "deg C", STACKS, note="measured temperature of the first frame", standard=True),
)
"""In masters: the setup of the frames that they calibrate. A library of masters is searched by these."""

KEYWORDS: dict[str, tuple[Keyword, ...]] = {
    "file": FILE,
    "provenance": PROVENANCE,
    "overscan": OVERSCAN,
    "crosstalk": CROSSTALK,
    "saturation": SATURATION,
    "gain": GAIN,
    "mosaic": MOSAIC,
    "trim": TRIM,
    "bias": BIAS,
    "dark": DARK,
    "flat": FLAT,
    "bpm": BPM,
    "skipped": SKIPPED,
    "sky": SKY,
    "mask": MASK,
    "cosmic_rays": COSMIC_RAYS,
    "sources": SOURCES,
    "astrometry": ASTROMETRY,
    "photometry": PHOTOMETRY,
    "catalog": CATALOG,
    "stack": STACK,
    "setup": SETUP,
}
"""Keywords by the step that writes them, or else by what they describe."""

_ALL = tuple(keyword for group in KEYWORDS.values() for keyword in group)
_BY_NAME = {keyword.name: keyword for keyword in _ALL}


@cache
def find_keyword(name: str) -> Keyword | None:
    """Find a keyword of a header in the registry.

    Parameters
    ----------
    name : str

    Returns
    -------
    Keyword or None
        None if nightcal does not write it.
    """
    return _BY_NAME.get(name) or next((keyword for keyword in _ALL if match_any((keyword,)).fullmatch(name)), None)
