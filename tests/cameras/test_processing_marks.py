"""What another program has calibrated or stacked is told by the marks it left; a raw frame is never taken for it."""

from pathlib import Path

import pytest
from astropy.io import fits
from nightcal.cameras.processing_marks import find_alteration, find_colour_mosaic, find_processing
from nightcal.io.raw_header import RawHeader

RAW = {
    "IMAGETYP": "Light Frame",
    "DATE-OBS": "2024-03-01T06:00:00",
    "EXPTIME": 60.0,
    "FILTER": "V",
    "CTYPE1": "RA---TAN",
    "PLTSOLVD": True,
    "BSCALE": 1,
}


def header(cards, history=(), plain=True):
    made = fits.Header({name: value for name, value in {**RAW, **cards}.items() if value is not None})
    for line in history:
        made.add_history(line)
    return RawHeader(made.tostring(endcard=False, padding=False) if plain else made, 0, (10, 10))


MARKS = [
    {"CALSTAT": "BDF"},
    {"CALSTAT": "B"},
    {"CALSTAT": "F"},
    {"CCDPROC": "Mar  2 10:12 CCD processing done"},
    {"ZEROCOR": "Mar  2 10:12 Zero level correction image is Zero"},
    {"DARKCOR": "Mar  2 10:12 Dark count correction image is Dark120"},
    {"FLATCOR": "Mar  2 10:12 Flat field image is FlatV with scale=138.2"},
    {"OVERSCAN": "Mar  2 10:12 Overscan section is [520:540,*] with mean=481.88"},
    {"TRIM": "Mar  2 10:12 Trim data section is [3:510,3:510]"},
    {"FIXPIX": "Mar  2 10:12 Bad pixel file is bad.pl"},
    {"BT-FLAG": "Mar  2 10:12 Overscan correction strip is [1:9,1:9]"},
    {"NCOMBINE": 20},
    {"SNAPSHOT": 20},
    {"IMCMB001": "flat001.fits"},
    {"STACKCNT": 12},
    {"LIVETIME": 720.0},
    {"DARK_CNT": 20},
    {"FLAT_CNT": 1},
    {"LIGH_CNT": 30},
    {"SUBBIAS": "subtract_bias"},
    {"PROCTYPE": "InstCal"},
    {"PROCTYPE": "MasterCal"},
    {"PRODTYPE": "dqmask"},
    {"PLVER": "V5.3"},
    {"RLEVEL": 91},
    {"L1STATBI": 1},
    {"L1IDFLAT": "flat_kb05_20150219_SKYFLAT_bin2x2_V"},
    {"FLATCORR": "COMPLETE"},
    {"DQICORR": "COMPLETE"},
    {"BIASCORR": "2024-03-02T10:00:00"},
    {"HIERARCH ESO PRO CATG": "MASTER_BIAS"},
    {"IMAGETYP": "Master Flat"},
    {"IMAGETYP": "masterLight"},
    {"IMAGETYP": "MASTER_BIAS"},
    {"IMAGETYP": "Light calibrated"},
    {"IMAGETYP": "Reduced"},
    {"COMBINED": True},
    {"DEBIASED": True},
    {"FLATTED": "T"},
    {"PROCSTAT": "reduced"},
    {"ISMASTER": True},
    {"IMCOM001": "bias001.fits"},
    {"COMBINET": "MEDIAN"},
    {"RESAMPT1": "LANCZOS3"},
    {"TRIMIM": "trim_image"},
    {"SOFTWARE": "DeepSkyStacker 4.2.6"},
    {"CREATOR": "Astro Pixel Processor 2.0"},
]


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("mark", MARKS, ids=lambda mark: " ".join(map(str, next(iter(mark.items()))))[:30])
def test_the_mark_is_named_with_its_value(mark, plain):
    ((name, value),) = mark.items()
    name = name.removeprefix("HIERARCH ")
    plain = plain and "HIERARCH" not in next(iter(mark))
    found = find_processing(header(mark, plain=plain), type_cards=("IMAGETYP",))
    assert f"not a raw frame: {name} is " in found
    assert str(value)[:40] in found


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CALSTAT": ""},
        {"CALSTAT": "   "},
        {"CALSTAT": "NONE", "PEDESTAL": -100},
        {"PEDESTAL": 0},
        {"SNAPSHOT": 1, "NCOMBINE": 1, "STACKCNT": 1, "LIVETIME": 60.0},
        {"NCOMBINE": 0, "IMCMB001": ""},
        {"CCDPROC": "F", "ZEROCOR": "0", "DARKCOR": 0, "FLATCOR": False, "ILLUMCOR": "no"},
        {"OVERSCAN": "[25:32,1:32]", "TRIM": "[1:24,1:32]"},
        {"OVERSCAN": True, "TRIM": False},
        {"BIASCORR": "PERFORM", "DARKCORR": "OMIT", "FLATCORR": "SKIPPED", "PCTECORR": "PERFORM"},
        {"PROCTYPE": "RAW", "PRODTYPE": "image"},
        {"RLEVEL": 0, "L1STATBI": 0, "L1STATFL": "N/A", "L1IDBIAS": "N/A", "L1PUBPRV": "public"},
        {"DARK_CNT": 0, "LIGH_CNT": 0},
        {"NSUBREAD": 5, "NCOADD": 4, "COADDS": 10},
        {"HIERARCH ESO DPR CATG": "SCIENCE"},
        {"IMAGETYP": "Light Frame"},
        {"REFCORR": True, "TRACKCOR": "ON"},
        {"COMBINED": False, "ISMASTER": False},
        {"DEBIASED": False, "FLATTED": 0, "PROCSTAT": "raw"},
        {"DARKSUB": "not applied", "FLATDIV": "no flat", "BIASSUB": "OFF"},
        {"L1STATBI": -999, "DARKCOR": -1},
        {"ZMAG": 21.3, "FLATTYPE": "dome"},
    ],
    ids=lambda cards: " ".join(cards)[:40] or "none",
)
def test_a_raw_frame_is_raw(cards):
    assert find_processing(header(cards, plain="HIERARCH" not in "".join(cards)), type_cards=("IMAGETYP",)) == ""


@pytest.mark.parametrize(
    "line",
    [
        "Bias Subtraction (Bias 1, 4096 x 4096, Bin1 x 1, Temp -20C)",
        "Dark Subtraction(Dark 3, 1392 x 1040, Bin1 x 1, Temp -20C, Exp Time 60s",
        "Flat Field correction with master_flat.fits",
        "Calibrated with a master dark",
        "Calibrated with a master flat, normalization of 0.480",
        "Calibrated with an optimized master dark (factor: 0.873)",
        "mean stacking with winsorized sigma clipping rejection (low=3.000 high=3",
        "Integration with ImageIntegration process",
        "ImageCalibration.masterDark.fileName: /data/md.xisf",
        "Bias corrected with mbias.fit",
        "Dark corrected with mdark.fit",
        "Bias, Dark, Flat Corrected",
        "Overscan of 481.2 subtracted; bias subtracted using zero.fits",
        "Median combine of 12 images",
        "Average of 11 images",
        "ZEROCOMBINE: 10 images",
        "Flat-fielded",
        "Divided by the master flat",
        "divided by flat_V.fits",
        "zero subtracted",
        "Dark frame: dark60.fit subtracted",
        "Debiased, not flat-fielded",
        "mean of 11 dark frames",
        "Combine 12 images, Median",
        "Master dark created from 20 frames",
        "Demosaiced (VNG)",
        "Registered to the reference image",
    ],
)
def test_the_history_tells_of_a_calibration(line):
    assert find_processing(header({}, ["Exposure by the camera server 4.1", line])).startswith("processed")
    assert line[:20] in find_processing(header({}, [line], plain=False))


@pytest.mark.parametrize(
    "line",
    [
        "File was processed by PinPoint 6.1.1 at 2019-05-03T09:05:17",
        "WCS added by PinPoint 6.1.1 at 2019-05-03T09:05:26",
        "Image was compressed by CFITSIO using scaled integer quantiz",
        "WCS created by AIJ link to Astrometry.net website",
        "Dark subtraction: off",
        "Dark subtraction = F",
        "No bias correction applied",
        "Bias not subtracted, no dark subtraction",
        "Focus: offset corrected by 12 steps for filter V",
        "Pointing corrected by 3 arcsec, guider stack reset",
        "Dark slide removed; flat field screen moved out",
        "Refraction correction applied",
        "Bias frame taken before dark frame",
        "Flat lamp off",
        "Calibration flat started",
        "Telescope aligned on M 31",
        "Autoguider: dark subtraction on",
        "guide star position: median of 5 frames",
        "Autofocus: 12 exposures averaged",
        "To be calibrated with master dark D60.fits",
        "dark subtraction will be done offline",
        "Image reduced in size for the preview",
        "zero point 21.3, corrected for extinction",
        "Flat lamp level removed from the queue",
    ],
)
def test_the_history_of_a_raw_frame_is_raw(line):
    assert find_processing(header({}, [line])) == ""


@pytest.mark.parametrize(
    "name", ["MasterDark_60s.fits", "master_flat_V.fit", "Master Bias 1.fits.gz", "superdark.fits"]
)
def test_a_master_is_told_by_the_name_of_its_file(name):
    named = header({})
    named.path = Path("raw") / name
    assert find_processing(named) == f"a stack, not a raw frame: the name of the file is {name}"
    assert find_processing(named, ["file"]) == ""


@pytest.mark.parametrize(
    "name", ["dark_001.fits", "M31_master.fits", "MASTER-OAFA_001.fits", "masterfield.fits", "supernova_dark.fits"]
)
def test_a_raw_frame_may_have_an_odd_name(name):
    named = header({})
    named.path = Path("MasterDark") / name
    assert find_processing(named) == ""


@pytest.mark.parametrize("name", ["CALSTAT", "HISTORY"])
def test_a_camera_file_can_switch_a_mark_off(name):
    processed = header({"CALSTAT": "BDF"}) if name == "CALSTAT" else header({}, ["Dark subtracted"])
    assert find_processing(processed)
    assert find_processing(processed, [name]) == ""


def test_a_frame_saved_again_by_another_program_is_doubtful():
    assert find_alteration(header({"SWMODIFY": "MaxIm DL Version 6.13"})) == "SWMODIFY is 'MaxIm DL Version 6.13'"
    assert find_alteration(header({"PROGRAM": "Siril v1.2.0"}))
    assert find_alteration(header({"SWMODIFY": "MaxIm DL"}), ["SWMODIFY"]) == ""
    assert find_alteration(header({"PROGRAM": "GO-1234", "SWCREATE": "MaxIm DL Version 6.13"})) == ""


@pytest.mark.parametrize(
    "cards",
    [
        {"BAYERPAT": "RGGB"},
        {"COLORTYP": "GBRG"},
        {"BAYERPAT": " gr/bg "},
        {"COLORCCD": 1},
        {"CFA": "RGGB"},
        {"SENSTYPE": "GRBG"},
    ],
)
def test_a_colour_mosaic_is_told_by_its_keyword(cards):
    ((name, _),) = cards.items()
    assert find_colour_mosaic(header(cards)).startswith(f"{name} is ")
    assert find_colour_mosaic(header(cards), [name]) == ""


@pytest.mark.parametrize(
    "cards",
    [
        {"BAYERPAT": "None"},
        {"BAYERPAT": "", "COLORTYP": "NONE"},
        {"COLORTYP": "MONO"},
        {"COLORTYP": "RAW16"},
        {"COLORTYP": "MONO16", "COLORCCD": 0, "XBAYROFF": 0, "YBAYROFF": 0},
        {"CFA": False},
        {"OBJECT": "RGGB", "SENSTYPE": "RGGB 2"},
    ],
)
def test_a_mono_frame_is_no_colour_mosaic(cards):
    assert find_colour_mosaic(header(cards)) == ""
