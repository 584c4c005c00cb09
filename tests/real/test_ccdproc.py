"""The same options through ccdproc's own functions give the same masters and science frames.

ccdproc takes the whole of ARCSAT's night from the raw files, with the gain and the read noise that nightcal measured.
What had to be bridged between its conventions and ours:

* **Unsigned wrap.** The raw files are uint16, and ``subtract_bias`` of two such images wraps below 0. `gain_correct`
  comes first here: its product is float64.
* **MAD factor.** ``dev_func="mad_std"`` multiplies by 1.482602...; rstd is 1.4826 x MAD by definition: a ``dev_func``
  of our own.
* **Floor.** ccdproc knows no noise model. The ``dev_func`` here returns the larger of rstd and what read noise and
  photon noise of the median allow, which is what nightcal documents for stacks.
* **One pass.** `Combiner.sigma_clipping` does one unless told otherwise, and it cannot be told: it passes ``maxiters``
  on twice, a `TypeError`.
* **Strictly greater.** Both reject what lies *beyond* k deviations and keep what lies on the limit.
* **Masks.** `sigma_clipping` looks at ``data_arr.data``: masked pixels enter median and deviation. Pixels that must not
  enter are NaN as well as masked.
* **Bias levels.** ``Combiner.scaling`` multiplies; bias frames differ by a sum. The levels, found with
  `astropy.stats.sigma_clip`, are taken off before, and their mean is put back after.
* **Dark per second.** nightcal's dark is in e-/s, but `subtract_dark` wants the unit of the image. Here it is an image
  in e- of an exposure of 1 s, and ``scale=True`` does the rest. Each frame is divided by its exposure before the stack,
  as in nightcal.
* **Flat normalisation.** `flat_correct` divides by a plain mean of the whole flat, masked pixels included. Here each
  flat is divided by its clipped mean in the central quarter of the area, without the pixels that bias or dark flag,
  before the stack; and ``norm_value=1`` afterwards.
* **Masked flat.** `flat_correct` sets masked pixels of the flat to 1; no flat of this night has any.
* **Uncertainties.** `Combiner` gives the scatter of each pixel over the square root of N, `create_deviation` takes the
  error of a pixel from its own value, and neither is what nightcal promises: not compared.
"""

from types import SimpleNamespace

import ccdproc
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import sigma_clip
from nightcal.flags import Flag

pytestmark = pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")

SATURATION = 60000  # ADU, config/cameras/arcsat.yaml
QUANTISATION = 1 / np.sqrt(12)  # ADU
FILTERS = ["sdss_g", "sdss_r", "sdss_i", "sdss_z"]
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


def test_science_frames(arcsat, chip, bias, dark, flats):
    for path in arcsat.science:
        raw = ccdproc.gain_correct(CCDData.read(arcsat.raw / path.name, unit="adu"), chip.gain * u.electron / u.adu)
        made = flats[raw.header["FILTER"]]
        flat, close_calls = made.ccd, our(arcsat, "flat", raw.header["FILTER"]).survivors != made.survivors
        ccd = without_dark(ccdproc.subtract_bias(raw, bias.ccd), dark, raw.header["EXPTIME"])
        ccd = ccdproc.flat_correct(ccd, flat, norm_value=1)
        with fits.open(path) as hdus:
            filled = hdus["MASK"].data & (Flag.NO_DATA | Flag.LOW_FLAT) > 0
            ours = SimpleNamespace(data=hdus[0].data.astype(float), survivors=None, filled=filled | close_calls)
        assert_same(ours, SimpleNamespace(ccd=ccd), raw.data / flat.data)
