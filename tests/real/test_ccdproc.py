"""ccdproc gives the same masters and science frames on the real nights.

Science frames: the nightly cross-check (`nightcal.science.crosscheck`), here on every frame of three nights. Masters of
ARCSAT: `Combiner` with the clipping that nightcal documents. What had to be bridged between the two for the masters:

* **Unsigned wrap.** The raw files are uint16, and `subtract_bias` of two such images wraps below 0. `gain_correct`
  comes first here: its product is float64.
* **MAD factor.** ``dev_func="mad_std"`` multiplies by 1.482602...; rstd is 1.4826 x MAD by definition, which takes
  another ``dev_func``.
* **Floor.** ccdproc has no noise model. The ``dev_func`` here returns the larger of rstd and what read noise and photon
  noise of the median allow, which is what nightcal documents for stacks.
* **One pass.** `Combiner.sigma_clipping` clips once by default, and cannot be asked for more: it passes ``maxiters`` on
  twice, a `TypeError`.
* **Strictly greater.** Both reject values beyond k deviations and keep those on the limit.
* **Masks.** `sigma_clipping` looks at ``data_arr.data``: masked pixels enter median and deviation. Pixels that must not
  enter are NaN as well as masked.
* **Bias levels.** ``Combiner.scaling`` multiplies; bias frames differ by a sum. The levels, found with
  `astropy.stats.sigma_clip`, are subtracted before, and their mean is added back after.
* **Dark per second.** nightcal's dark is in e-/s, but `subtract_dark` needs the unit of the image. Here it is an image
  in e- of an exposure of 1 s, and ``scale=True`` does the rest. Each frame is divided by its exposure time before the
  stack, as in nightcal.
* **Flat normalisation.** `flat_correct` divides by a plain mean of the whole flat, masked pixels included. Here each
  flat is divided by its clipped mean in the central quarter of the area, without the pixels that bias or dark flag,
  before the stack.
* **Uncertainties.** `Combiner` gives the scatter of each pixel over the square root of N, which is not what nightcal
  promises: not compared for masters.
"""

from types import SimpleNamespace

import ccdproc
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.modeling.fitting import FittingWithOutlierRemoval, LinearLSQFitter
from astropy.modeling.models import Chebyshev1D
from astropy.nddata import CCDData
from astropy.stats import sigma_clip
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.flags import Flag
from nightcal.io.sections import parse_section
from nightcal.science.crosscheck import STEPS, crosscheck

pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")

SATURATION = 60000  # ADU, config/cameras/arcsat.yaml
QUANTISATION = 1 / np.sqrt(12)  # ADU
FILTERS = ["sdss_g", "sdss_r", "sdss_i", "sdss_z"]
CAMERAS = REPOSITORY / "config/cameras"
NUMBERS_OF_32_BITS = 1e-4  # sigma: four roundings of up to 2^-24 of 86,000 e- (1300 e-), where sigma is 290 e- (7.5 e-)
ROUNDING = 4e-7  # of the raw level; float32 keeps 6e-8 of each number, and nightcal rounds at each of several steps
CLOSE_CALLS = 3e-6  # part of the pixels with a value so near its threshold that the rounding decides


@pytest.fixture(scope="module")
def chip(arcsat):
    """Gain [e-/ADU] and read noise [e-] that nightcal used."""
    header = fits.getheader(arcsat.masters("bias")[0])
    return SimpleNamespace(gain=header["GAINUSED"], read_noise=header["RNUSED"])


def electrons(path, chip):
    """Raw frame in electrons, NaN and masked where saturated."""
    raw = CCDData.read(path, unit="adu")
    saturated = raw.data >= SATURATION
    ccd = ccdproc.gain_correct(raw, chip.gain * u.electron / u.adu)
    ccd.data[saturated], ccd.mask = np.nan, saturated
    return ccd


def deviation(variance):
    """rstd, but not less than the noise; ``variance`` is a function of the median."""

    def spread(values, axis=None):
        center = np.nanmedian(values, axis=axis, keepdims=True)
        rstd = 1.4826 * np.nanmedian(np.abs(values - center), axis=axis)
        return np.fmax(rstd, np.sqrt(variance(np.squeeze(center, axis))))

    return spread


def level(values, chip):
    """Mean within 3.5 rstd [e-]."""
    least = chip.read_noise**2 + (QUANTISATION * chip.gain) ** 2
    spread = deviation(lambda center: least)
    return sigma_clip(values, sigma=3.5, maxiters=1, cenfunc=np.nanmedian, stdfunc=spread, axis=0).mean()


def combined(ccds, variance):
    """Mean within 3 rstd along the stack, and how many frames it is of."""
    combiner = ccdproc.Combiner(ccds)
    combiner.sigma_clipping(low_thresh=3, high_thresh=3, func=np.nanmedian, dev_func=deviation(variance))
    return SimpleNamespace(ccd=combiner.average_combine(), survivors=len(ccds) - combiner.data_arr.mask.sum(axis=0))


@pytest.fixture(scope="module")
def bias(arcsat, chip):
    frames = [electrons(path, chip) for path in sorted(arcsat.raw.glob("Bias*"))]
    levels = [level(frame.data.ravel(), chip) * u.electron for frame in frames]
    shifted = [frame.subtract(own) for frame, own in zip(frames, levels, strict=True)]
    made = combined(shifted, lambda center: chip.read_noise**2)
    made.ccd = made.ccd.add(sum(levels) / len(levels))
    return made


@pytest.fixture(scope="module")
def dark(arcsat, chip, bias):
    """In electrons of an exposure of 1 s."""
    frames, time = [], 80.0
    for path in sorted(arcsat.raw.glob("Dark*")):
        assert fits.getheader(path)["EXPTIME"] == time
        frames.append(ccdproc.subtract_bias(electrons(path, chip), bias.ccd).divide(time))
    return combined(frames, lambda rate: chip.read_noise**2 / time**2 + np.maximum(rate, 0) / time)


def without_dark(ccd, dark, exposure):
    return ccdproc.subtract_dark(ccd, dark.ccd, dark_exposure=1 * u.s, data_exposure=exposure * u.s, scale=True)


def our(arcsat, kind, filter_name=""):
    (path,) = [p for p in arcsat.masters(kind) if not filter_name or fits.getheader(p)["FILTER"] == filter_name]
    with fits.open(path) as hdus:
        return SimpleNamespace(
            data=hdus[0].data.astype(float),
            mask=hdus["MASK"].data,
            survivors=hdus["NUSED"].data if "NUSED" in hdus else None,
            filled=hdus["MASK"].data & (Flag.NO_DATA | Flag.LOW_FLAT) > 0,
        )


@pytest.fixture(scope="module")
def flats(arcsat, chip, bias, dark):
    """By filter; with the mean light [e-]."""
    unusable = (our(arcsat, "bias").mask > 0) | (our(arcsat, "dark").mask > 0)
    made = {}
    for filter_name in FILTERS:
        frames, lights = [], []
        for path in sorted(arcsat.raw.glob(f"domeflat_{filter_name}_*")):
            exposure = fits.getheader(path)["EXPTIME"]
            signal = without_dark(ccdproc.subtract_bias(electrons(path, chip), bias.ccd), dark, exposure)
            middle = np.s_[256:768, 256:768]
            light = level(signal.data[middle][~unusable[middle]], chip)
            frames.append(signal.divide(light))
            lights.append(light)
        constant, slope = np.mean(chip.read_noise**2 / np.square(lights)), np.mean(1 / np.array(lights))
        made[filter_name] = combined(frames, lambda ratio, c=constant, s=slope: c + s * np.maximum(ratio, 0))
        made[filter_name].light = np.mean(lights)
    return made


def assert_same(ours, theirs, raw_level):
    """Equal survivors but for close calls, equal values outside filled pixels to the rounding of the raw level."""
    compared = ~ours.filled
    if ours.survivors is not None:
        close_calls = ours.survivors != theirs.survivors
        assert close_calls.mean() <= CLOSE_CALLS
        compared &= ~close_calls
    assert compared.mean() > 0.99
    difference = np.abs(ours.data - theirs.ccd.data) / raw_level
    assert difference[compared].max() <= ROUNDING


def test_master_bias(arcsat, bias):
    assert_same(our(arcsat, "bias"), bias, bias.ccd.data)


def test_master_dark(arcsat, bias, dark):
    assert_same(our(arcsat, "dark"), dark, bias.ccd.data / 80 + np.abs(dark.ccd.data))


@pytest.mark.parametrize("filter_name", FILTERS)
def test_master_flat(arcsat, bias, flats, filter_name):
    made = flats[filter_name]
    assert_same(our(arcsat, "flat", filter_name), made, bias.ccd.data / made.light + made.ccd.data)


def test_some_pixels_of_each_stack_were_rejected(bias, dark, flats):
    """Else equal survivors would show nothing."""
    for made in (bias, dark, *flats.values()):
        assert 0 < np.sum(made.survivors < 3) < 0.05 * made.survivors.size


def checks_of(night, camera):
    """Compare every science frame of a night with ccdproc, as the rule crosscheck does with one."""
    raw, camera = {path.name: path for path in night.raw.rglob("*.fits")}, load_camera(CAMERAS / f"{camera}.yaml")
    for path in night.science:
        header = fits.getheader(path)
        names = {step: header.get(f"{step.upper()}MAST") for step in STEPS}
        masters = {step: night.folder / "masters" / name for step, name in names.items() if name}
        yield path, crosscheck(raw[header["RAWFILE"]], path, camera, masters)


def assert_rounding_only(checks):
    for _, check in checks:
        assert check.pixels > 0.98 * (check.pixels + check.masked)
        assert check.largest < NUMBERS_OF_32_BITS
        assert check.uncertainty_ratio[1] == pytest.approx(1, abs=0.1)


def test_science_frames_of_arcsat_differ_by_rounding(arcsat):
    checks = list(checks_of(arcsat, "arcsat"))
    assert_rounding_only(checks)
    assert all(set(check.masters) == {"bias", "dark", "flat"} for _, check in checks)


def test_science_frames_of_afosc_differ_by_rounding(afosc):
    assert_rounding_only(checks_of(afosc, "afosc"))


def test_science_frames_of_nickel_differ_by_the_outlying_rows_of_the_overscan(nickel):
    """nightcal leaves outlying rows out of the cubic through the overscan; ccdproc fits them all."""
    (area,) = {str(section) for path in nickel.science for section in [fits.getval(path, "OVSC0001")]}
    area = parse_section(area)
    clipped = FittingWithOutlierRemoval(LinearLSQFitter(), sigma_clip, niter=3, sigma=3.5, stdfunc="mad_std")
    for path, check in checks_of(nickel, "nickel"):
        with fits.open(path) as hdus:
            header, mask = hdus[0].header, hdus["MASK"].data
            gain_over_sigma = np.where(mask == 0, header["GAINUSED"] / hdus["UNCERT"].data, 0)
        flat = fits.getdata(nickel.folder / "masters" / header["FLATMAST"])
        rows = fits.getdata(next(nickel.raw.rglob(header["RAWFILE"])))[area.slices].mean(axis=1)
        y = np.arange(len(rows))
        without_outliers, outliers = clipped(Chebyshev1D(3), y, rows)
        shift = np.abs(LinearLSQFitter()(Chebyshev1D(3), y, rows)(y) - without_outliers(y))[: len(mask), np.newaxis]
        expected = np.max(shift * gain_over_sigma / flat)
        assert 0 < outliers.sum() < 0.05 * len(rows)
        assert check.largest == pytest.approx(expected, abs=NUMBERS_OF_32_BITS)
        assert check.largest < 0.1


def test_uncertainties_of_nickel_differ_by_the_bias_that_frame_and_dark_share(nickel):
    """nightcal counts it once: an exposure as long as the dark's does not depend on the bias at all."""
    with_dark = [(path, check) for path, check in checks_of(nickel, "nickel") if "dark" in check.masters]
    assert with_dark
    for path, check in with_dark:
        bias, dark, flat = (nickel.folder / "masters" / check.masters[step] for step in STEPS)
        with fits.open(path) as hdus:
            header, sigma, good = hdus[0].header, hdus["UNCERT"].data, hdus["MASK"].data == 0
        times = header["DARKMULT"] / fits.getval(dark, "DARKTEFF")
        shared = 2 * times * fits.getdata(bias, "UNCERT") ** 2 / fits.getdata(flat) ** 2
        expected = np.median(np.sqrt(sigma**2 + shared)[good] / sigma[good])
        assert check.uncertainty_ratio[1] == pytest.approx(expected, abs=0.005)
