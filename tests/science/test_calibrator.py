"""The low-level interface follows its specification, with honest uncertainties."""

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS
from nightcal import Calibrator, OverscanMethods
from nightcal.detector.amplifier import Amplifier
from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area, parse_section
from nightcal.masters.bias import stack_biases
from nightcal.masters.dark import stack_darks
from nightcal.numerics.shot_noise import expected_signal
from nightcal.science.arithmetic import NO_DATA_SIGMA
from nightcal.science.empty_product import make_empty_product
from nightcal.simulation.night import expose, make_chip
from nightcal.stacking.calibration_frame import CalibrationFrame

NX, NY, FIRST = 64, 80, 20  # 4096 x 4116 with 20 rows of overscan, scaled down
OVERSCAN = {"xmin": 0, "xmax": NX, "ymin": 0, "ymax": FIRST}
IMAGE = {"xmin": 0, "xmax": NX, "ymin": FIRST, "ymax": NY}
AREA = (NY - FIRST, NX)
LEVEL, SKY = 1000, 500


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def raw(tmp_path, rng):
    """A frame of 64 x 80 whose first 20 rows are overscan."""
    values = rng.normal(LEVEL, 4, (NY, NX))
    values[FIRST:] += rng.poisson(SKY, AREA)
    return write_frame(tmp_path / "raw1.fits", np.rint(values).astype(np.uint16))


def write_frame(path, values, **cards):
    hdu = fits.PrimaryHDU(values)
    hdu.header["EXPTIME"] = 30.0
    hdu.header.update(cards)
    hdu.writeto(path, overwrite=True)
    return path


def write_master(path, values, error=None, mask=None, **cards):
    hdus = [fits.PrimaryHDU(np.asarray(values, np.float32))]
    hdus[0].header.update(cards)
    if error is not None:
        hdus.append(fits.ImageHDU(np.broadcast_to(np.float32(error), np.shape(values)).copy(), name="UNCERT"))
    if mask is not None:
        hdus.append(fits.ImageHDU(mask.astype(np.uint8), fits.Header({"BIT1": "BAD"}), name="MASK"))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


@pytest.fixture
def masters(tmp_path, rng):
    """Bias, dark and flat of the image area, in electrons."""
    folder = tmp_path / "masters"
    folder.mkdir()
    return {
        "bias": write_master(folder / "bias.fits", rng.normal(3, 2, AREA), 1.0, BUNIT="electron"),
        "dark": write_master(folder / "dark.fits", rng.uniform(0, 2, AREA), 0.05, BUNIT="electron/s"),
        "flat": write_master(folder / "flat.fits", rng.normal(1, 0.05, AREA), 0.002, BUNIT=""),
    }


def read_image(path):
    return fits.getdata(path).astype(float)


def subtract_median(raw):
    """Subtract the median of the overscan and trim, as in the example of the specification [ADU]."""
    values = read_image(raw)
    return values[FIRST:] - np.median(values[:FIRST])


def make_example(**more):
    return Calibrator(overscans=[OVERSCAN], overscan_method=OverscanMethods.median, image_area=IMAGE, **more)


# --- the specification, sentence by sentence -------------------------------------------------------------------------


def test_the_example_of_the_specification_runs(raw, masters, tmp_path, rng):
    raw2 = write_frame(tmp_path / "raw2.fits", fits.getdata(raw)[:, ::-1].copy())
    calibrate = Calibrator(
        overscans=[dict(xmin=0, xmax=NX, ymin=0, ymax=20)],  # noqa: C408 - as the specification writes it
        overscan_method=OverscanMethods.median,
        master_bias=str(masters["bias"]),
        gain=16.0,
        image_area=dict(xmin=0, xmax=NX, ymin=20, ymax=NY),  # noqa: C408
    )
    calibrate.set_masters(dark=str(masters["dark"]))
    calibrate(raw=str(raw), calibrated=str(tmp_path / "calib1.fits"))
    calibrate(raw=str(raw2), calibrated=str(tmp_path / "calib2.fits"), gain=8.0)
    bias, dark = read_image(masters["bias"]), read_image(masters["dark"])
    for name, frame, gain in (("calib1", raw, 16.0), ("calib2", raw2, 8.0)):
        expected = subtract_median(frame) * gain - bias - 30 * dark
        np.testing.assert_allclose(read_image(tmp_path / f"{name}.fits"), expected, rtol=1e-6, atol=1e-3)


def test_a_product_has_image_uncertainty_and_mask(raw, tmp_path):
    make_example(read_noise=5.0)(raw, tmp_path / "out.fits")
    with fits.open(tmp_path / "out.fits") as hdus:
        assert [hdu.header.get("EXTNAME", "") for hdu in hdus] == ["", "UNCERT", "MASK"]
        image, error, mask = (hdu.data for hdu in hdus)
        assert image.shape == error.shape == mask.shape == AREA
        assert image.dtype.kind == error.dtype.kind == "f"
        assert mask.dtype.kind in "iu"
        # 500 e- of sky and 5 e- of read noise: 23 e- of error.
        assert np.median(error) == pytest.approx(np.sqrt(SKY + 25), rel=0.02)
    ccd = CCDData.read(tmp_path / "out.fits")
    assert ccd.unit == u.electron
    assert isinstance(ccd.uncertainty, StdDevUncertainty)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float64])
def test_integers_and_floats_are_calibrated_to_floats(dtype, tmp_path, rng):
    values = np.rint(rng.uniform(10, 100, (NY, NX))).astype(dtype)
    path = write_frame(tmp_path / "raw.fits", values)
    product = Calibrator(gain=2.0).prepare(path).product()
    assert product.data.dtype == np.float32
    np.testing.assert_array_equal(product.data, 2.0 * values.astype(float))
    assert not product.mask.any()


def test_parameters_may_be_set_as_attributes(raw, masters):
    given = make_example(master_bias=masters["bias"], gain=16.0, read_noise=5.0).prepare(raw).product()
    calibrate = Calibrator()
    calibrate.overscans = [OVERSCAN]
    calibrate.overscan_method = OverscanMethods.median
    calibrate.image_area = IMAGE
    calibrate.master_bias = masters["bias"]
    calibrate.gain = 16
    calibrate.read_noise = 5
    np.testing.assert_array_equal(calibrate.prepare(raw).product().data, given.data)
    np.testing.assert_array_equal(calibrate.prepare(raw).product().uncertainty, given.uncertainty)


def test_attributes_replace_parameters_of_the_constructor(raw):
    calibrate = make_example(gain=16.0)
    calibrate.gain = 2.0
    np.testing.assert_allclose(calibrate.prepare(raw).product().data, 2 * subtract_median(raw))


THIS_CALL = {
    "gain": 3.0,
    "read_noise": 50.0,
    "saturation": 1500.0,
    "overscan_method": OverscanMethods.mean,
    "master_dark": None,
}


@pytest.mark.parametrize("name", THIS_CALL)
def test_a_parameter_of_one_call_does_not_affect_the_next(name, raw, masters):
    named = {f"master_{kind}": path for kind, path in masters.items()}
    calibrate = make_example(gain=1.5, read_noise=5.0, **named)
    before, kept = calibrate.prepare(raw).product(), getattr(calibrate, name)
    other = calibrate.prepare(raw, **{name: THIS_CALL[name]}).product()
    after = calibrate.prepare(raw).product()
    assert getattr(calibrate, name) is kept
    np.testing.assert_array_equal(after.data, before.data)
    np.testing.assert_array_equal(after.uncertainty, before.uncertainty)
    np.testing.assert_array_equal(after.mask, before.mask)
    same = all(np.array_equal(getattr(other, part), getattr(before, part)) for part in ("data", "uncertainty", "mask"))
    assert not same
    fixed = make_example(gain=1.5, read_noise=5.0, **named)
    setattr(fixed, name, THIS_CALL[name])
    np.testing.assert_array_equal(fixed.prepare(raw).product().data, other.data)


def test_an_image_area_of_one_call(raw):
    calibrate = make_example()
    corner = {"xmin": 8, "xmax": 24, "ymin": 40, "ymax": 50}
    product = calibrate.prepare(raw, image_area=corner).product()
    np.testing.assert_allclose(product.data, subtract_median(raw)[20:30, 8:24])
    assert calibrate.prepare(raw).product().data.shape == AREA


def test_steps_without_a_master_are_skipped(raw):
    product = make_example().prepare(raw).product()
    np.testing.assert_allclose(product.data, subtract_median(raw))
    assert not any(product.header[f"{step}COR"] for step in ("BIAS", "DARK", "FLAT", "BPM"))
    assert product.header["SKIPPED"] == "bias,dark,flat"


def test_a_raw_flat_is_calibrated_without_a_master_flat(raw, masters):
    calibrate = make_example(master_bias=masters["bias"], master_dark=masters["dark"], master_flat=masters["flat"])
    product = calibrate.prepare(raw, master_flat=None).product()
    expected = subtract_median(raw) - read_image(masters["bias"]) - 30 * read_image(masters["dark"])
    np.testing.assert_allclose(product.data, expected, rtol=1e-6, atol=1e-4)
    assert product.header["SKIPPED"] == "flat"


def test_set_masters_keeps_the_masters_that_are_not_given(raw, masters):
    calibrate = make_example(master_bias=masters["bias"], master_flat=masters["flat"])
    calibrate.set_masters(dark=masters["dark"], flat=None)
    product = calibrate.prepare(raw).product()
    assert product.header["BIASMAST"] == "bias.fits"
    assert product.header["DARKMAST"] == "dark.fits"
    assert not product.header["FLATCOR"]
    with pytest.raises(TypeError):
        calibrate.set_masters(biass=masters["bias"])


def test_one_calibrator_serves_many_frames(tmp_path, rng):
    calibrate = make_example(gain=1.5)
    for number in range(3):
        frame = write_frame(tmp_path / f"raw{number}.fits", rng.integers(900, 2000, (NY, NX), dtype=np.uint16))
        calibrate(frame, tmp_path / "out" / f"calibrated{number}.fits")
        expected = 1.5 * subtract_median(frame)
        np.testing.assert_allclose(read_image(tmp_path / "out" / f"calibrated{number}.fits"), expected, rtol=1e-6)


@pytest.mark.parametrize("method", [OverscanMethods.mean, OverscanMethods.median, OverscanMethods.clipped_mean])
def test_single_level_methods_accept_overscan_in_the_first_rows(method, raw):
    product = make_example().prepare(raw, overscan_method=method).product()
    assert product.data.mean() == pytest.approx(SKY, abs=2)
    assert product.header["OVSCMETH"] == method.name
    assert product.header["OVSCLEV"] == pytest.approx(LEVEL, abs=0.6)


def test_row_by_row_methods_need_overscan_beside_the_rows(raw):
    with pytest.raises(FrameRejectedError, match="no overscan pixel"):
        make_example().prepare(raw, overscan_method=OverscanMethods.row_mean).product()


# --- a user's own overscan method ------------------------------------------------------------------------------------


def mine(image, overscans):
    area = overscans
    level = image[area["ymin"] : area["ymax"], area["xmin"] : area["xmax"]].mean()
    return image - level


def test_a_users_function_gets_the_image_and_the_dictionary_of_the_overscan_area(raw):
    seen = []

    def method(image, overscans):
        seen.append((np.array(image), overscans))
        return image.astype(float) - 900.0

    product = make_example(gain=2.0).prepare(raw, overscan_method=method).product()
    np.testing.assert_array_equal(seen[0][0], fits.getdata(raw))
    assert seen[0][1] == OVERSCAN
    np.testing.assert_allclose(product.data, 2 * (read_image(raw)[FIRST:] - 900))
    assert product.header["OVSCMETH"] == "method"


def test_a_users_function_gets_several_areas_as_a_list(raw):
    areas = [OVERSCAN, {"xmin": 0, "xmax": 3, "ymin": 0, "ymax": NY}]

    def method(image, overscans):
        assert overscans == areas
        return image - 900.0

    calibrate = Calibrator(overscans=areas, overscan_method=method, image_area=IMAGE)
    np.testing.assert_allclose(calibrate.calibrate(raw).data, read_image(raw)[FIRST:] - 900)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_users_function_may_subtract_a_level_per_pixel(dtype, tmp_path, rng):
    slope = np.add.outer(np.arange(NY), 2.0 * np.arange(NX))
    path = write_frame(tmp_path / "raw.fits", (LEVEL + slope + SKY).astype(dtype))
    trimmed = {"xmin": 5, "xmax": 50, "ymin": FIRST, "ymax": NY}
    product = (
        make_example()
        .prepare(path, overscan_method=lambda image, _: image - LEVEL - slope, image_area=trimmed)
        .product()
    )
    np.testing.assert_allclose(product.data, SKY, rtol=1e-6)


def test_a_users_function_may_change_its_image_in_place(tmp_path, rng):
    def in_place(image, overscans):
        image -= image[:FIRST].mean()
        return image

    values = rng.normal(LEVEL, 4, (NY, NX)).astype(np.float32)
    values[FIRST:] += SKY
    path = write_frame(tmp_path / "raw.fits", values)
    product = make_example().prepare(path, overscan_method=in_place).product()
    assert product.data.mean() == pytest.approx(SKY, abs=1)


def test_pixels_that_are_missing_stay_so_after_a_users_function(tmp_path, rng):
    values = rng.normal(LEVEL + SKY, 4, (NY, NX)).astype(np.float32)
    values[FIRST + 3, 7] = np.nan
    path = write_frame(tmp_path / "raw.fits", values)
    product = make_example().prepare(path, overscan_method=mine).product()
    assert product.mask[3, 7] & Flag.NO_DATA
    assert np.isfinite(product.data).all()


def test_pixels_that_a_users_function_makes_nan_are_flagged(raw):
    def gives_up(image, overscans):
        corrected = image - float(LEVEL)
        corrected[FIRST + 10] = np.nan
        return corrected

    product = make_example(read_noise=5.0).prepare(raw, overscan_method=gives_up).product()
    assert np.isfinite(product.data).all()
    assert np.isfinite(product.uncertainty).all()
    assert (product.mask[10] & Flag.NO_DATA > 0).all()
    assert not product.mask[11:].any()


@pytest.mark.parametrize(
    ("method", "found"),
    [
        (lambda image, overscans: (image - 900).astype(int), "int64"),
        (lambda image, overscans: image[FIRST:].astype(float), "shape (60, 64)"),
        (lambda image, overscans: None, "object"),
    ],
)
def test_a_users_function_must_return_an_image_of_floats(method, found, raw):
    with pytest.raises(TypeError) as error:
        make_example().prepare(raw, overscan_method=method).product()
    for word in ("overscan_method", found, "expected", "floats", "(80, 64)"):
        assert word in str(error.value)


@pytest.mark.parametrize("areas", [OVERSCAN, [OVERSCAN], [Area(0, NX, 0, FIRST)]])
def test_overscan_methods_can_be_called_like_a_users_function(areas, raw):
    values = fits.getdata(raw)
    np.testing.assert_allclose(OverscanMethods.median(values, areas), values - np.median(values[:FIRST]))


# --- wrong parameters ------------------------------------------------------------------------------------------------

BAD_AREAS = [
    {"xmin": 0, "xmax": 4},
    {"xmin": 0, "xmax": 4, "ymin": 0, "ymax": 4, "zmin": 0},
    {"xmin": 0.5, "xmax": 4, "ymin": 0, "ymax": 4},
    {"xmin": False, "xmax": 4, "ymin": 0, "ymax": 4},
    {"xmin": 4, "xmax": 4, "ymin": 0, "ymax": 4},
    {"xmin": -1, "xmax": 4, "ymin": 0, "ymax": 4},
    [0, 4, 0, 4],
    "[1:4,1:4]",
    7,
]
WRONG = [
    *[("gain", value, "positive number") for value in (0, float("nan"), float("inf"), "1.5", True, None)],
    *[("read_noise", value, "0 or more") for value in (-0.1, "6")],
    *[("saturation", value, "ADU above 0") for value in (0, float("nan"))],
    *[("exposure_time", value, "seconds of 0 or more") for value in (-1, "30")],
    *[("unit", value, "one of electron, adu") for value in ("ELECTRON", None)],
    *[("image_area", value, "expected") for value in BAD_AREAS],
    *[("overscans", [OVERSCAN, value], "expected") for value in BAD_AREAS[:2]],
    *[("overscans", value, "list of areas") for value in (OVERSCAN, 20)],
    *[("overscan_method", value, "function of image and overscans") for value in ("median", 3)],
    *[(name, 3, "expected") for name in ("master_bias", "master_dark", "master_flat", "bad_pixels")],
    ("master_bias", np.zeros((3, 3)), "expected"),
]


@pytest.mark.parametrize("how", ["constructor", "call"])
def test_a_wrong_value_is_an_error_in_constructor_and_call(how, raw, tmp_path):
    with pytest.raises(ValueError, match=r"gain is -1; expected a positive number"):
        Calibrator(gain=-1) if how == "constructor" else Calibrator()(raw, tmp_path / "out.fits", gain=-1)
    assert not (tmp_path / "out.fits").exists()


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_the_error_has_name_wrong_value_and_expected_value(name, value, expected):
    calibrate = Calibrator()
    kept = getattr(calibrate, name)
    with pytest.raises((ValueError, TypeError)) as error:
        setattr(calibrate, name, value)
    message = str(error.value)
    wrong = value[1] if name == "overscans" and isinstance(value, list) else value
    assert message.startswith(name)
    assert repr(wrong) in message
    assert expected in message
    assert getattr(calibrate, name) is kept


def test_the_wrong_one_of_several_overscans_is_named():
    with pytest.raises(ValueError, match=r"overscans\[1\] is"):
        Calibrator(overscans=[OVERSCAN, {"xmin": 3}])


@pytest.mark.parametrize("name", ["gains", "bias"])
def test_an_unknown_parameter_is_an_error(name, raw, tmp_path):
    calibrate = Calibrator()
    with pytest.raises(AttributeError, match=f"{name} is not a parameter.*gain"):
        setattr(calibrate, name, 1)
    with pytest.raises(TypeError, match=f"{name} is not a parameter.*gain"):
        calibrate(raw, tmp_path / "out.fits", **{name: 1})
    with pytest.raises(TypeError, match=name):
        Calibrator(**{name: 1})


@pytest.mark.parametrize("value", [np.float32(1.5), np.int16(2), 2])
def test_numbers_of_numpy_and_python_are_accepted(value):
    assert Calibrator(gain=value).gain == pytest.approx(float(value))


def test_none_switches_a_parameter_off(raw):
    product = Calibrator(overscans=None, image_area=None, saturation=None, exposure_time=None).prepare(raw).product()
    np.testing.assert_allclose(product.data, read_image(raw))
    assert product.header["OVSCCOR"] is False


def test_the_error_names_a_damaged_master(tmp_path):
    (tmp_path / "bias.fits").write_bytes(b"SIMPLE  =                    T")
    with pytest.raises(ValueError, match=r"master_bias is .*bias\.fits.*expected a FITS image"):
        Calibrator(master_bias=tmp_path / "bias.fits")


@pytest.mark.parametrize("name", ["master_bias", "master_dark", "master_flat", "bad_pixels"])
def test_masters_must_match_the_image_area(name, raw, tmp_path):
    values = np.zeros((NY, NX)) if name == "bad_pixels" else np.ones((NY, NX))
    path = write_master(tmp_path / "odd.fits", values, BUNIT="electron/s" if "dark" in name else "electron")
    with pytest.raises(ValueError, match=rf"{name} is odd\.fits of {NX} x {NY} pixels; expected {NX} x {NY - FIRST}"):
        make_example(**{name: path}).prepare(raw).product()


@pytest.mark.parametrize("name", ["image_area", "overscans"])
def test_the_error_for_an_area_outside_the_frame_has_both_sizes(name, raw):
    outside = {"xmin": 0, "xmax": NX + 1, "ymin": 0, "ymax": 10}
    value = outside if name == "image_area" else [OVERSCAN, outside]
    with pytest.raises((FrameRejectedError, ValueError)) as error:
        Calibrator(**{name: value}).prepare(raw).product()
    assert f"{name.split('_')[0].rstrip('s')}" in str(error.value)
    assert "[1:65,1:10]" in str(error.value)
    assert "64 x 80" in str(error.value)


# --- masters in any unit ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("unit", "scale"), [("adu", 2.0), ("ADU", 2.0), (None, 2.0), ("electron", 1.0)])
def test_a_bias_in_adu_is_multiplied_by_the_gain(unit, scale, raw, tmp_path, rng):
    values = rng.normal(10, 1, AREA)
    path = write_master(tmp_path / "b.fits", values, 3.0, **({"BUNIT": unit} if unit else {}))
    product = make_example(gain=2.0, master_bias=path).prepare(raw).product()
    without = make_example(gain=2.0).prepare(raw).product()
    np.testing.assert_allclose(product.data, without.data - scale * values, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(
    ("cards", "rate"),
    [
        ({"BUNIT": "electron/s"}, 1.0),
        ({"BUNIT": "electron / s"}, 1.0),
        ({"BUNIT": "electron s-1"}, 1.0),
        ({"BUNIT": "adu/s"}, 2.0),
        ({"BUNIT": "electron", "EXPTIME": 120.0}, 1 / 120),
        ({"BUNIT": "adu", "EXPTIME": 120}, 2 / 120),
        ({"EXPTIME": 120.0}, 2 / 120),
    ],
)
def test_a_dark_is_scaled_to_the_exposure_of_the_frame(cards, rate, raw, tmp_path, rng):
    values = rng.uniform(1, 9, AREA)
    path = write_master(tmp_path / "dark.fits", values, 0.3, **cards)
    product = make_example(gain=2.0, master_dark=path).prepare(raw).product()
    without = make_example(gain=2.0).prepare(raw).product()
    np.testing.assert_allclose(product.data, without.data - 30 * rate * values, rtol=1e-5, atol=1e-3)
    added = product.uncertainty.astype(float) ** 2 - without.uncertainty.astype(float) ** 2
    np.testing.assert_allclose(added, (30 * rate * 0.3) ** 2, rtol=0.02, atol=2e-3)
    assert product.header["DARKMULT"] == 30


@pytest.mark.parametrize(
    ("cards", "factor", "warned"),
    [
        ({"BUNIT": "electron", "EXPTIME": 10.0}, 3, "dark of 10 s scaled up 3 times"),
        ({"BUNIT": "electron", "EXPTIME": 120.0}, 0.25, None),
        ({"BUNIT": "electron", "EXPTIME": 29.8}, 30 / 29.8, None),
        ({"BUNIT": "electron/s", "EXPMAX": 12.0, "DARKTEFF": 10.0}, 2.5, "dark of 12 s scaled up 2.5 times"),
        ({"BUNIT": "electron/s", "DARKTEFF": 10.0}, 3, "dark of 10 s scaled up 3 times"),
        ({"BUNIT": "electron/s", "EXPTIME": 1.0}, None, None),  # of another program, per second
    ],
)
def test_scaling_a_dark_up_is_recorded_with_a_warning(cards, factor, warned, raw, tmp_path):
    path = write_master(tmp_path / "dark.fits", np.ones(AREA), **cards)
    header = make_example(master_dark=path).prepare(raw).product().header
    assert header.get("DARKFACT") == (None if factor is None else pytest.approx(factor))
    assert [text for text in read_warnings(header) if "scaled" in text] == (
        [f"dark scaled up: {warned}"] if warned else []
    )


@pytest.mark.parametrize("cards", [{"BUNIT": "electron"}, {"BUNIT": "adu", "EXPTIME": 0.0}, {"EXPTIME": "long"}])
def test_a_dark_of_unknown_exposure_time_is_an_error(cards, raw, tmp_path):
    path = write_master(tmp_path / "dark.fits", np.ones(AREA), **cards)
    with pytest.raises(ValueError, match=r"master_dark is dark\.fits .*EXPTIME.*; expected a dark per second"):
        make_example(master_dark=path).prepare(raw).product()


def test_a_dark_needs_an_exposure_time_from_header_or_parameter(tmp_path, masters, rng):
    values = rng.integers(900, 1100, (NY, NX), dtype=np.uint16)
    path = tmp_path / "raw.fits"
    fits.PrimaryHDU(values).writeto(path)
    calibrate = make_example(master_dark=masters["dark"])
    with pytest.raises(ValueError, match=r"exposure_time is None .*EXPTIME or EXPOSURE is None; expected seconds"):
        calibrate.prepare(path).product()
    dark = read_image(masters["dark"])
    given = calibrate.prepare(path, exposure_time=12).product()
    np.testing.assert_allclose(given.data, subtract_median(path) - 12 * dark, atol=1e-3)
    with_card = write_frame(tmp_path / "card.fits", values, EXPOSURE=7.0)
    with fits.open(with_card, mode="update") as hdus:
        del hdus[0].header["EXPTIME"]
    np.testing.assert_allclose(calibrate.prepare(with_card).product().data, subtract_median(path) - 7 * dark, atol=1e-3)
    assert make_example().prepare(path).product().data.shape == AREA  # not needed without a dark


@pytest.mark.parametrize(("name", "spoilt"), [("bias", np.nan), ("dark", np.inf), ("flat", -np.inf)])
def test_an_undefined_pixel_of_a_master_is_flagged_and_finite(name, spoilt, raw, masters):
    with fits.open(masters[name], mode="update") as hdus:
        hdus[0].data[4, 5] = spoilt
    product = make_example(read_noise=5.0, **{f"master_{name}": masters[name]}).prepare(raw).product()
    assert product.mask[4, 5] & Flag.NO_DATA
    assert np.count_nonzero(product.mask) == 1
    assert np.isfinite(product.data).all()
    assert np.isfinite(product.uncertainty).all()


@pytest.mark.parametrize("name", ["bias", "dark", "flat"])
def test_an_undefined_uncertainty_of_a_master_is_flagged_and_finite(name, raw, masters):
    with fits.open(masters[name], mode="update") as hdus:
        hdus["UNCERT"].data[4, 5] = np.nan
    product = make_example(read_noise=5.0, **{f"master_{name}": masters[name]}).prepare(raw).product()
    assert np.isfinite(product.uncertainty).all()
    assert product.mask[4, 5] != 0


@pytest.mark.parametrize("value", [0.0, -0.5])
def test_a_flat_pixel_of_zero_or_less_is_flagged(value, raw, masters):
    with fits.open(masters["flat"], mode="update") as hdus:
        hdus[0].data[4, 5] = value
    product = make_example(read_noise=5.0, master_flat=masters["flat"]).prepare(raw).product()
    assert product.mask[4, 5] & Flag.LOW_FLAT
    assert np.isfinite(product.data).all()


def test_the_error_of_an_aperture_follows_from_that_of_the_overscan_level(tmp_path, rng):
    """Few overscan columns, so that the pixels of a row share an error nearly as large as their own."""
    gain, read_noise, columns = 2.0, 8.0, 4
    area = {"xmin": columns, "xmax": 44, "ymin": 0, "ymax": 40}
    calibrate = Calibrator(
        overscans=[{"xmin": 0, "xmax": columns, "ymin": 0, "ymax": 40}],
        overscan_method=OverscanMethods.row_mean,
        image_area=area,
        gain=gain,
        read_noise=read_noise,
    )
    y, x = np.mgrid[:40, :40] - 19.5
    aperture = np.hypot(x, y) < 10
    in_row = aperture.sum(axis=1)
    sums, independent, shared = [], [], []
    for _ in range(150):
        values = np.rint(rng.normal(LEVEL, read_noise / gain, (40, 40 + columns))).astype(np.uint16)
        product = calibrate.prepare(write_frame(tmp_path / "raw.fits", values)).product()
        sums.append(product.data[aperture].sum(dtype=float))
        independent.append((product.uncertainty[aperture] ** 2.0).sum())
        shared.append(product.header["OVSCERR"] ** 2 * (in_row * (in_row - 1)).sum())
    pulls = np.array(sums) / np.sqrt(np.add(independent, shared))
    assert abs(np.mean(pulls)) < 0.3
    assert abs(np.std(pulls) - 1) < 0.17  # three times the error of the width of 150 values
    assert np.std(sums / np.sqrt(independent)) > 1.8
    assert (in_row * (in_row - 1)).sum() == pytest.approx(16 * 10**3 / 3 - np.pi * 10**2, rel=0.05)


def test_the_error_of_a_single_overscan_level_is_that_of_its_mean(raw):
    header = make_example(gain=2.0, read_noise=8.0).prepare(raw).product().header
    assert header["OVSCERR"] == pytest.approx(2 * np.sqrt(np.pi / 2 * 4**2 / (FIRST * NX) + 1 / 12), rel=0.1)


def test_flags_of_all_masters_are_in_the_product(raw, tmp_path):
    masks = np.zeros((4, *AREA), np.int16)
    for n, bit in enumerate((Flag.NO_DATA, Flag.HOT, Flag.LOW_FLAT, Flag.BAD)):
        masks[n, n, n] = bit
    named = {
        name: write_master(tmp_path / f"{name}.fits", np.ones(AREA), 0.1, masks[n], BUNIT="electron/s")
        for n, name in enumerate(("master_bias", "master_dark", "master_flat", "bad_pixels"))
    }
    product = make_example(**named).prepare(raw).product()
    np.testing.assert_array_equal(product.mask, np.bitwise_or.reduce(masks))
    assert product.header["NMASKED"] == 4


def test_bad_pixels_change_the_mask_only(raw, tmp_path):
    mask = np.zeros(AREA, np.uint8)
    mask[7, 8] = Flag.BAD
    path = write_master(tmp_path / "bpm.fits", mask, mask=mask)
    product, without = make_example(bad_pixels=path).prepare(raw).product(), make_example().prepare(raw).product()
    np.testing.assert_array_equal(product.data, without.data)
    np.testing.assert_array_equal(product.mask, mask)


def test_a_loaded_master_gives_the_same_result_as_its_file(raw, masters):
    by_name = make_example(master_bias=masters["bias"]).prepare(raw).product()
    loaded = make_example(master_bias=load_master(masters["bias"])).prepare(raw).product()
    np.testing.assert_array_equal(by_name.data, loaded.data)


# --- files -----------------------------------------------------------------------------------------------------------


def test_an_existing_file_is_replaced_only_on_request(raw, tmp_path):
    out = tmp_path / "out.fits"
    out.write_bytes(b"precious")
    with pytest.raises(FileExistsError, match=r"out\.fits exists; pass overwrite=True"):
        make_example()(raw, out)
    assert out.read_bytes() == b"precious"
    make_example()(raw, out, overwrite=True)
    assert read_image(out).shape == AREA


@pytest.mark.parametrize("how", ["same name", "other spelling", "symbolic link", "hard link"])
def test_the_raw_frame_is_never_overwritten(how, raw, tmp_path):
    target = raw
    if how == "other spelling":
        target = tmp_path / "." / "masters" / ".." / "raw1.fits"
        (tmp_path / "masters").mkdir()
    elif how == "symbolic link":
        target = tmp_path / "link.fits"
        target.symlink_to(raw)
    elif how == "hard link":
        target = tmp_path / "link.fits"
        target.hardlink_to(raw)
    before = raw.read_bytes()
    with pytest.raises(FileExistsError, match="raw frame itself"):
        make_example()(raw, target, overwrite=True)
    assert raw.read_bytes() == before


def test_the_raw_file_is_not_changed(raw, masters, tmp_path):
    before, times = raw.read_bytes(), raw.stat().st_mtime_ns
    raw.chmod(0o444)
    make_example(master_bias=masters["bias"])(raw, tmp_path / "out.fits")
    assert raw.read_bytes() == before
    assert raw.stat().st_mtime_ns == times


def test_a_broken_raw_frame_leaves_no_product(tmp_path, raw):
    broken = tmp_path / "broken.fits"
    broken.write_bytes(raw.read_bytes()[:4000])
    with pytest.raises(FrameRejectedError):
        make_example()(broken, tmp_path / "out.fits")
    with pytest.raises(FileNotFoundError, match=r"raw is '.*missing\.fits'; the file does not exist"):
        make_example()(tmp_path / "missing.fits", tmp_path / "out.fits")
    assert not (tmp_path / "out.fits").exists()


def test_the_same_frame_twice_gives_the_same_bytes(raw, masters, tmp_path):
    named = {f"master_{kind}": path for kind, path in masters.items()}
    for name in ("one", "two"):
        make_example(read_noise=5.0, **named)(raw, tmp_path / name / "out.fits")
    assert (tmp_path / "one" / "out.fits").read_bytes() == (tmp_path / "two" / "out.fits").read_bytes()


def test_the_header_records_masters_gain_and_areas(raw, masters):
    named = {f"master_{kind}": path for kind, path in masters.items()}
    header = make_example(gain=1.5, read_noise=5.0, **named).prepare(raw).product().header
    assert header["RAWFILE"] == "raw1.fits"
    assert header["RAWSHA"] == hashlib.sha256(raw.read_bytes()).hexdigest()[:16]
    for kind, path in masters.items():
        assert header[f"{kind.upper()}MAST"] == path.name
        assert header[f"{kind.upper()}SHA"] == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert (header["GAINUSED"], header["RNUSED"]) == (1.5, 5.0)
    assert header["OVSC0001"] == "[1:64,1:20]"
    assert header["TRIMMED"] == "[1:64,21:80]"
    assert "SKIPPED" not in header


def test_keywords_of_the_raw_frame_are_kept(tmp_path, rng):
    cards = {"OBJECT": "M 67", "FILTER": "V", "AIRMASS": 1.2, "DARKTIME": 31.7, "EXPTIME": 30.0}
    path = write_frame(tmp_path / "raw.fits", rng.integers(900, 1100, (NY, NX), dtype=np.uint16), **cards)
    dark = write_master(tmp_path / "dark.fits", np.ones(AREA), BUNIT="electron/s")
    header = make_example(master_dark=dark).prepare(path).product().header
    for name, value in cards.items():
        assert header[name] == value, name


def test_trimming_keeps_sky_coordinates(tmp_path, rng):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [132.8, 11.8], [30.5, 41.0]
    wcs.wcs.cdelt = [-1e-4, 1e-4]
    cards = dict(wcs.to_header())
    cards |= {"CRPIX1A": 10.0, "CRPIX2A": 20.0, "CTYPE1A": "LINEAR", "CTYPE2A": "LINEAR"}
    path = write_frame(tmp_path / "raw.fits", rng.integers(900, 1100, (NY, NX), dtype=np.uint16), **cards)
    area = {"xmin": 6, "xmax": 60, "ymin": FIRST, "ymax": NY}
    make_example()(path, tmp_path / "out.fits", image_area=area)
    before, after = WCS(fits.getheader(path)), WCS(fits.getheader(tmp_path / "out.fits"))
    for x, y in [(6, FIRST), (30, 50), (59, NY - 1)]:
        there = after.pixel_to_world(x - 6, y - FIRST)
        assert before.pixel_to_world(x, y).separation(there).arcsec < 1e-6
    header = fits.getheader(tmp_path / "out.fits")
    assert (header["CRPIX1A"], header["CRPIX2A"]) == (4.0, 0.0)
    corner = CCDData.read(tmp_path / "out.fits").wcs.pixel_to_world(0, 0)
    assert corner.separation(before.pixel_to_world(6, FIRST)).arcsec < 1e-6


MATRICES = {
    "CD": {"CD1_1": -1e-4, "CD1_2": 2e-5, "CD2_1": 3e-5, "CD2_2": 1e-4},
    "PC": {"PC1_2": 0.2, "PC2_1": 0.1, "CDELT1": -1e-4, "CDELT2": 1e-4},
    "CROTA": {"CROTA2": 20.0, "CDELT1": -1e-4, "CDELT2": 1e-4},
    "SIP": {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0,
            "CD2_2": 1e-4, "A_ORDER": 2, "A_2_0": 3e-4, "A_1_1": 2e-4, "A_0_2": -1e-4,
            "B_ORDER": 2, "B_2_0": 2e-4, "B_1_1": 4e-4, "B_0_2": 3e-4},
}  # fmt: skip


@pytest.mark.parametrize(
    ("section", "matrix"),
    [("[60:7,21:80]", "CD"), ("[7:60,80:21]", "PC"), ("[60:7,80:21]", "CROTA"), ("[64:1,1:80]", "PC"),
     ("[60:7,21:80]", "SIP"), ("[7:60,80:21]", "SIP"), ("[60:7,80:21]", "SIP")],
)  # fmt: skip
def test_flipping_the_image_keeps_sky_coordinates(section, matrix, tmp_path, rng):
    cards = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 132.8,
        "CRVAL2": 11.8,
        "CRPIX1": 30.5,
        "CRPIX2": 41.0,
    } | MATRICES[matrix]
    values = rng.integers(900, 1100, (NY, NX), dtype=np.uint16)
    path = write_frame(tmp_path / "raw.fits", values, **cards)
    area = parse_section(section)
    product = Calibrator(amplifiers=[Amplifier(image_area=area)]).prepare(path).product()
    before, after = WCS(fits.getheader(path)), WCS(product.header)
    assert product.header["TRIMMED"] == section
    for x, y in [(area.xmin, area.ymin), (30, 50), (area.xmax - 1, area.ymax - 1)]:
        column = area.xmax - 1 - x if area.flip_x else x - area.xmin
        row = area.ymax - 1 - y if area.flip_y else y - area.ymin
        assert product.data[row, column] == values[y, x]
        assert before.pixel_to_world(x, y).separation(after.pixel_to_world(column, row)).arcsec < 1e-6


@pytest.mark.parametrize("value", ["12.5", None])
def test_an_invalid_reference_pixel_is_ignored(value, tmp_path, rng):
    values = rng.integers(900, 1100, (NY, NX), dtype=np.uint16)
    path = write_frame(tmp_path / "raw.fits", values, CRPIX2=value)
    assert make_example().prepare(path).product().data.shape == AREA


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_products_in_adu_are_electrons_divided_by_the_gain(raw, masters, tmp_path):
    named = {f"master_{kind}": path for kind, path in masters.items()}
    electrons = make_example(gain=4.0, read_noise=5.0, **named).prepare(raw).product()
    adu = make_example(gain=4.0, read_noise=5.0, unit="adu", **named).prepare(raw).product()
    assert (electrons.unit, adu.unit) == ("electron", "adu")
    np.testing.assert_allclose(4 * adu.data, electrons.data, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(4 * adu.uncertainty, electrons.uncertainty, rtol=1e-6)
    write_product(tmp_path / "adu.fits", adu)
    assert CCDData.read(tmp_path / "adu.fits").unit == u.adu


@pytest.mark.parametrize("spoilt", [np.nan, -np.inf])
def test_a_raw_pixel_that_is_not_finite_is_flagged_and_filled(spoilt, tmp_path, masters, rng):
    values = rng.normal(LEVEL + SKY, 20, (NY, NX)).astype(np.float32)
    values[:FIRST] -= SKY
    values[FIRST + 3, 7] = spoilt
    path = write_frame(tmp_path / "raw.fits", values)
    named = {f"master_{kind}": path for kind, path in masters.items()}
    product = make_example(read_noise=5.0, **named).prepare(path).product()
    assert product.mask[3, 7] & Flag.NO_DATA
    assert np.count_nonzero(product.mask) == 1
    assert np.isfinite(product.data).all()
    assert np.isfinite(product.uncertainty).all()
    assert product.data[3, 7] == 0
    assert product.uncertainty[3, 7] == np.float32(NO_DATA_SIGMA)


def test_a_blank_integer_pixel_is_flagged(tmp_path, rng):
    values = rng.integers(900, 1100, (NY, NX)).astype(np.int16)
    values[FIRST + 3, 7] = -32768
    path = write_frame(tmp_path / "raw.fits", values, BLANK=-32768)
    product = make_example().prepare(path).product()
    assert product.mask[3, 7] & Flag.NO_DATA
    assert np.count_nonzero(product.mask) == 1


@pytest.mark.parametrize(
    ("dtype", "saturation", "full"), [(np.uint16, None, 65535), (np.int16, None, 32767), (np.uint16, 50000.0, 50000)]
)
def test_saturated_pixels_are_flagged(dtype, saturation, full, tmp_path, rng):
    values = rng.integers(900, 1100, (NY, NX)).astype(dtype)
    values[FIRST + 3, 7], values[FIRST + 4, 7] = full, full - 1
    path = write_frame(tmp_path / "raw.fits", values)
    mask = make_example(saturation=saturation).prepare(path).product().mask
    assert mask[3, 7] == Flag.SATURATED
    assert np.count_nonzero(mask) == 1


def test_the_uncertainty_follows_the_formula(tmp_path):
    # 400 ADU above a noiseless overscan at 2 e-/ADU: 800 e-; read noise 6; bias 20 +- 3 e-; 30 s of 2 +- 0.1 e-/s;
    # flat 0.8 +- 0.01.
    values = np.full((NY, NX), 1000, np.uint16)
    values[FIRST:] += 400
    path = write_frame(tmp_path / "raw.fits", values)
    calibrate = make_example(
        gain=2.0,
        read_noise=6.0,
        master_bias=write_master(tmp_path / "b.fits", np.full(AREA, 20.0), 3.0, BUNIT="electron"),
        master_dark=write_master(tmp_path / "d.fits", np.full(AREA, 2.0), 0.1, BUNIT="electron/s"),
        master_flat=write_master(tmp_path / "f.fits", np.full(AREA, 0.8), 0.01, BUNIT=""),
    )
    product = calibrate.prepare(path, overscan_method=OverscanMethods.mean).product()
    data = (800 - 20 - 60) / 0.8
    variance = (780 + 36 + 9 + 30**2 * 0.1**2) / 0.64 + data**2 * 0.01**2 / 0.64
    np.testing.assert_allclose(product.data, data, rtol=1e-6)
    np.testing.assert_allclose(product.uncertainty, np.sqrt(variance), rtol=1e-5)


def test_data_agree_with_ccdproc(raw, masters):
    import ccdproc

    named = {f"master_{kind}": path for kind, path in masters.items()}
    ours = make_example(gain=1.5, read_noise=5.0, **named).prepare(raw, overscan_method=OverscanMethods.mean).product()
    values = read_image(raw)
    ccd = CCDData((values - values[:FIRST].mean())[FIRST:] * 1.5, unit="electron", header={"EXPTIME": 30.0})
    bias, dark, flat = (CCDData(read_image(masters[kind]), unit="electron") for kind in ("bias", "dark", "flat"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ccd = ccdproc.subtract_bias(ccd, bias)
        ccd = ccdproc.subtract_dark(
            ccd, dark, dark_exposure=1 * u.s, data_exposure=30 * u.s, exposure_unit=u.s, scale=True
        )
        theirs = ccdproc.flat_correct(ccd, flat, norm_value=1.0)
    np.testing.assert_allclose(ours.data, theirs.data.astype(np.float32), rtol=3e-7, atol=1e-5)


# --- honest errors ---------------------------------------------------------------------------------------------------


def expose_frames(chip, rng, folder, exposure, n, name):
    """Expose frames with a closed shutter, ready to be stacked."""
    ny, nx = chip.shape
    beside = (Area(nx, nx + chip.overscan, 0, ny),)
    amplifier = Amplifier(beside, OverscanMethods.clipped_mean, Area(0, nx, 0, ny), chip.gain, chip.read_noise)
    made = []
    for number in range(n):
        path = folder / f"{name}{number}.fits"
        fits.PrimaryHDU(expose(chip, rng, 0.0, exposure, None)).writeto(path)
        made.append(CalibrationFrame(AmplifierReadout(RawImage(path), amplifier), exposure, 60000.0))
    return made


def make_on_chip(chip, **more):
    ny, nx = chip.shape
    return Calibrator(
        overscans=[{"xmin": nx, "xmax": nx + chip.overscan, "ymin": 0, "ymax": ny}],
        overscan_method=OverscanMethods.clipped_mean,
        image_area={"xmin": 0, "xmax": nx, "ymin": 0, "ymax": ny},
        gain=chip.gain,
        read_noise=chip.read_noise,
        **more,
    )


@pytest.fixture(scope="module")
def chip():
    return make_chip((256, 256), stuck_column=False)


@pytest.fixture(scope="module")
def few(chip, tmp_path_factory):
    """Make a bias of five frames, and with it a dark of five frames of 120 s."""
    folder, rng = tmp_path_factory.mktemp("few"), np.random.default_rng(17)
    write_product(folder / "bias.fits", stack_biases(expose_frames(chip, rng, folder, 0.0, 5, "b")))
    bias = load_master(folder / "bias.fits")
    write_product(folder / "dark.fits", stack_darks(expose_frames(chip, rng, folder, 120.0, 5, "d"), bias))
    flat = np.where(chip.dead, 1.0, chip.response["V"])
    write_master(folder / "flat.fits", flat, mask=chip.dead * Flag.LOW_FLAT, BUNIT="")
    return folder


@pytest.mark.parametrize("sky", [0.1, 8.0, 150.0])
def test_error_bars_of_a_frame_are_honest(sky, chip, few, tmp_path):
    rng = np.random.default_rng(23)
    path = write_frame(tmp_path / "raw.fits", expose(chip, rng, sky, 120.0, "V"), EXPTIME=120.0)
    named = {f"master_{kind}": few / f"{kind}.fits" for kind in ("bias", "dark", "flat")}
    product = make_on_chip(chip, **named).prepare(path).product()
    good = product.mask == 0
    residual = (product.data - sky * 120.0)[good]
    pull = residual / product.uncertainty[good]
    assert good.mean() > 0.99
    assert pull.std() == pytest.approx(1, abs=0.02)
    assert residual.mean() / product.uncertainty[good].mean() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("exposure", [10.0, 120.0, 240.0])
def test_a_bias_error_shared_with_the_dark_is_counted_once(exposure, chip, few, tmp_path):
    # Nothing but a dark frame, five frames in each master: with an exposure as long as the darks' the bias cancels.
    rng = np.random.default_rng(29)
    path = write_frame(tmp_path / "raw.fits", expose(chip, rng, 0.0, exposure, None), EXPTIME=exposure)
    named = {f"master_{kind}": few / f"{kind}.fits" for kind in ("bias", "dark")}
    product = make_on_chip(chip, **named).prepare(path).product()
    good = product.mask == 0
    pull = product.data[good] / product.uncertainty[good]
    assert pull.std() == pytest.approx(1, abs=0.02)


def test_the_bias_cancels_for_a_frame_as_long_as_the_darks(chip, few, tmp_path):
    rng = np.random.default_rng(31)
    path = write_frame(tmp_path / "raw.fits", expose(chip, rng, 0.0, 120.0, None), EXPTIME=120.0)
    named = {f"master_{kind}": few / f"{kind}.fits" for kind in ("bias", "dark")}
    product = make_on_chip(chip, **named).prepare(path).product()
    # Read noise and 2.4 e- of dark current, of one frame and of the mean of five, which clipping makes noisier by 1.5
    # percent.
    expected = np.sqrt((36 + 2.4) * (1 + 1.03 / 5))
    good = product.mask == 0
    assert np.median(product.uncertainty[good]) == pytest.approx(expected, rel=0.02)
    assert product.data[good].std() == pytest.approx(expected, rel=0.02)


def test_the_bias_of_another_night_does_not_cancel(chip, few, tmp_path):
    rng = np.random.default_rng(37)
    write_product(tmp_path / "bias.fits", stack_biases(expose_frames(chip, rng, tmp_path, 0.0, 5, "b")))
    path = write_frame(tmp_path / "raw.fits", expose(chip, rng, 0.0, 120.0, None), EXPTIME=120.0)
    product = (
        make_on_chip(chip, master_bias=tmp_path / "bias.fits", master_dark=few / "dark.fits").prepare(path).product()
    )
    good = product.mask == 0
    assert (product.data[good] / product.uncertainty[good]).std() == pytest.approx(1, abs=0.02)
    # The noise of two independent biases of five frames is added to that of the frame and the darks.
    expected = np.sqrt((36 + 2.4) * (1 + 1.03 / 5) + 2 * 36 * 1.03 / 5)
    assert np.median(product.uncertainty[good]) == pytest.approx(expected, rel=0.02)


def test_a_frame_equal_to_its_bias_has_an_uncertainty(tmp_path):
    # without a read noise, digitisation alone leaves 1 / sqrt(12) ADU
    path = write_frame(tmp_path / "raw.fits", np.full((NY, NX), 1000, np.uint16))
    bias = write_master(tmp_path / "bias.fits", np.full((NY, NX), 1000.0), BUNIT="adu")
    product = Calibrator(master_bias=bias).prepare(path).product()
    assert not product.mask.any()
    assert (product.uncertainty > 0).all()


def test_the_uncertainty_includes_that_of_a_row_by_row_overscan(tmp_path):
    rng = np.random.default_rng(41)
    chip = make_chip((256, 256), stuck_column=False, overscan=4)
    path = write_frame(tmp_path / "raw.fits", expose(chip, rng, 0.0, 0.0, None))
    bias = write_master(tmp_path / "bias.fits", chip.bias_structure, BUNIT="electron")
    product = make_on_chip(chip, master_bias=bias).prepare(path, overscan_method=OverscanMethods.row_mean).product()
    # Four columns of overscan: a quarter of the read noise's variance again.
    assert np.median(product.uncertainty) == pytest.approx(6 * np.sqrt(1.25), rel=0.02)
    assert (product.data / product.uncertainty).std() == pytest.approx(1, abs=0.03)


def test_the_expected_signal_averages_sky_and_keeps_stars():
    rng = np.random.default_rng(43)
    sky = rng.normal(100, 10, (100, 100))
    assert np.std(expected_signal(sky, 0.0)) < 5  # nine pixels together, a few on their own
    assert expected_signal(sky, 0.0).mean() == pytest.approx(100, abs=1)
    sky[50, 50] = 40000
    assert expected_signal(sky, 0.0)[50, 50] == 40000
    assert (expected_signal(rng.normal(0, 6, (50, 50)), 36.0) >= 0).all()


@pytest.mark.parametrize("marked", [True, False])
def test_missing_neighbours_do_not_bias_the_expected_signal(marked):
    sky = np.random.default_rng(47).normal(80, np.sqrt(80 + 36), (200, 60))
    sky[:, 10::20] = 0.0 if marked else np.nan
    valid = np.ones(sky.shape, dtype=bool)
    valid[:, 10::20] = False
    found = expected_signal(sky, 36.0, valid=valid if marked else None)
    beside = np.zeros(60, dtype=bool)
    beside[9::20] = beside[11::20] = True
    # With zeros in place of the empty column it would be 53 e-; 1200 pixels of 80 know their mean to 0.3.
    assert found[:, beside].mean() == pytest.approx(80, abs=1)
    assert found[:, ~beside & valid[0]].mean() == pytest.approx(80, abs=1)
    assert np.isfinite(found[valid]).all()


def test_a_pixel_without_any_neighbour_keeps_its_own_value():
    sky = np.full((5, 5), np.nan)
    sky[2, 2] = 50.0
    assert expected_signal(sky, 4.0)[2, 2] == pytest.approx(50)


def test_the_expected_signal_does_not_depend_on_its_unit():
    rng = np.random.default_rng(48)
    electrons = rng.poisson(400, (60, 60)) + rng.normal(0, 6, (60, 60))
    electrons[30, 30] += 5000
    # As a rate over 50 s, and as a flat of 400 e-: a unit of signal adds 1/50, 1/400 to the variance.
    for unit in (50.0, 400.0):
        scaled = expected_signal(electrons / unit, 36 / unit**2, 1 / unit)
        np.testing.assert_allclose(scaled * unit, expected_signal(electrons, 36.0), rtol=1e-9)


# --- empty products --------------------------------------------------------------------------------------


def test_an_empty_product_is_flagged_everywhere_with_a_reason(tmp_path):
    product = make_empty_product(Path("torn.fits"), "the file is truncated", "adu")
    write_product(tmp_path / "out.fits", product)
    ccd = CCDData.read(tmp_path / "out.fits")
    assert ccd.mask.all()
    assert ccd.header["RAWFILE"] == "torn.fits"
    assert ccd.unit == u.adu
    assert ccd.header["EMPTY"] == "the file is truncated"
    assert (product.mask == Flag.NO_DATA).all()
    assert np.isfinite(product.uncertainty).all()


def test_an_empty_product_keeps_shape_and_header_of_the_raw_frame(raw):
    with RawImage(Path(raw)) as image:
        product = make_empty_product(Path(raw), "no reason", raw=image.header)
    assert product.data.shape == image.shape
    assert product.header["EXPTIME"] == 30.0
