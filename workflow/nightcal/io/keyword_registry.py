"""Every keyword that nightcal writes into the headers of its products: unit, comment and meaning."""

from __future__ import annotations

from functools import cache

from nightcal.io.keyword import ALL, SCIENCE, STACKS, Keyword, match_any
from nightcal.io.master_keywords import SETUP, STACK
from nightcal.io.standard_keywords import EXPOSURE


def _standard(*names: str, comment: str = "", products: tuple[str, ...] = SCIENCE) -> tuple[Keyword, ...]:
    return tuple(Keyword(name, comment, products=products, standard=True) for name in names)


FILE = (
    *_standard("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXISn", "PCOUNT", "GCOUNT", "EXTEND", products=ALL),
    Keyword("EXTNAME", "extension name", products=ALL, standard=True),
    Keyword("BUNIT", "unit of the image", products=ALL, standard=True),
    Keyword("CHECKSUM", "checksum of the HDU; FITS standard 4.4.2.7", products=ALL, standard=True),
    Keyword("DATASUM", "checksum of the data", products=ALL, standard=True),
    Keyword("COMMENT", "", products=ALL, standard=True, note="a card of the raw frame that is not valid FITS"),
    Keyword("LONGSTRN", "some texts have CONTINUE cards", products=ALL, standard=True),
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
)
"""In every product: its origin."""

OVERSCAN = (
    Keyword("OVSCCOR", "overscan level subtracted"),
    Keyword("OVSCLEV", "mean overscan level", "adu", (*SCIENCE, *STACKS)),
    Keyword(
        "OVSCERR",
        "error of the overscan level",
        "electron",
        note="error of the overscan level, which all pixels that share a level have in common: those of a row with a "
        "method by row, of an amplifier otherwise (rms, if rows or amplifiers differ)",
    ),
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
        Keyword(f"{name}VERD", "verdict on it", products=inherited, note="`accepted` or `doubtful`"),
        Keyword(
            f"{name}GRAD",
            "grade of its age",
            products=inherited,
            note="`plan` (within the calibration plan), `usable` or `risky`: see `age_days`",
        ),
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
FRINGE = (
    Keyword("FRNGCOR", "fringes subtracted", note="fringes subtracted; with `fringe` in the configuration"),
    Keyword("FRNGSTAT", "", note="`subtracted`, or why not"),
    Keyword("FRNGMAST", "fringe frame"),
    Keyword("FRNGSHA", "first digits of SHA-256", note="first 16 digits of its SHA-256"),
    Keyword("FRNGVERD", "verdict on it", note="`accepted`"),
    Keyword(
        "FRNGSCAL",
        "scale of the fringe frame",
        note="factor of the fringe frame, fitted to the sky; in the unit of the image",
    ),
    Keyword("FRNGERR", "1 sigma error of FRNGSCAL"),
    Keyword("FRNGBEF", "scatter of the sky with fringes", note="scatter of the sky with its fringes [rstd]"),
    Keyword("FRNGAFT", "scatter of the sky without", note="scatter of the sky without them [rstd]"),
    Keyword(
        "FRNGRMS",
        "rms of the pattern / sky",
        products=("fringe",),
        note="rms of the pattern that odd and even frames share, as a fraction of the sky",
    ),
    Keyword(
        "FRNGSIG",
        "its significance",
        "sigma",
        ("fringe",),
        note="significance of the covariance of odd and even frames",
    ),
    Keyword("FRNGHALF", "correlation of odd and even frames", products=("fringe",)),
)
SKIPPED = (Keyword("SKIPPED", "steps not applied", products=ALL, note="steps that were not applied; see above"),)
SKY = (
    Keyword(
        "SKYRATIO",
        "scatter of the sky / its uncertainty",
        note="scatter of neighbouring pixels of the sky over their uncertainties; near 1 if all is well",
    ),
)
MASK = (Keyword("NMASKED", "pixels with a flag", note="pixels with any bit set"),)

TRAILS = (
    Keyword("TRLSTAT", "search for trails", note="`done`, or why there was no search or its result was rejected"),
    Keyword("NTRAILS", "trails of satellites and aeroplanes"),
    Keyword("TRLNPIX", "pixels in trails"),
)
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
    Keyword("ELLANGLE", "direction of long axes, x towards y [deg]"),
    Keyword(
        "APERNOIS",
        "noise of empty apertures over their error",
        note="scatter of the smallest apertures on empty sky over their errors: 1 if these are right",
    ),
    Keyword(
        "TRAILED",
        "stars are long in one direction",
        note="whether the stars are longer in one common direction, by a quarter or more",
    ),
    Keyword(
        "FWHMMAP",
        "FWHM in 3 x 3 parts, from pixel 1 [pix]",
        note="median FWHM in 3 x 3 parts of the frame, row by row from the first pixel [pix]; `-` with fewer than "
        "three stars",
    ),
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
    Keyword(
        "WCSSRC",
        "origin of the positions on the sky",
        note="origin of the positions on the sky: `reference stars`, `raw frame` (the WCS of its header) or `none`",
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
    *_standard("TFIELDS", "TTYPEn", "TFORMn", "TUNITn", "TDIMn", "TDISPn", products=("catalog",)),
    Keyword("TUCDn", "", products=("catalog",), note="what the column holds, in the words of the Virtual Observatory"),
    Keyword("TCOMMn", "", products=("catalog",), note="description of the column"),
)
"""In the source catalogue."""

KEYWORDS: dict[str, tuple[Keyword, ...]] = {
    "file": FILE,
    "provenance": PROVENANCE,
    "exposure": EXPOSURE,
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
    "fringe": FRINGE,
    "skipped": SKIPPED,
    "sky": SKY,
    "mask": MASK,
    "trails": TRAILS,
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
