"""The low-level interface at the prompt: accepted inputs, results, and errors."""

import pydoc
import subprocess
import sys
from pathlib import Path

import nightcal
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.modeling.models import Chebyshev1D, Polynomial1D
from astropy.nddata import CCDData, StdDevUncertainty
from helpers import REPOSITORY
from nightcal import Calibrator, OverscanMethods
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.simulation.night import simulate_night

NY, NX, FIRST = 256, 200, 20
OVERSCAN = {"xmin": 0, "xmax": NX, "ymin": 0, "ymax": FIRST}
IMAGE = {"xmin": 0, "xmax": NX, "ymin": FIRST, "ymax": NY}
GAIN, READ_NOISE, LEVEL, SKY = 16.0, 7.5, 1000.0, 23.0
DIGITISED = np.hypot(READ_NOISE, GAIN / np.sqrt(12))
CAMERAS = REPOSITORY / "config" / "cameras"


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def expose(rng, sky=SKY, read_noise=READ_NOISE, drift=0.0):
    """Expose a frame whose first rows are overscan; return raw pixels and true signal [e-]."""
    electrons = np.zeros((NY, NX))
    electrons[FIRST:] = sky
    signal = rng.poisson(electrons) + rng.normal(0, read_noise, (NY, NX))
    level = LEVEL + drift * np.linspace(-1, 1, NX)
    return np.rint(level + signal / GAIN).astype(np.uint16), electrons[FIRST:]


def write(path, values, **cards):
    hdu = fits.PrimaryHDU(values)
    hdu.header["EXPTIME"] = 30.0
    hdu.header.update(cards)
    hdu.writeto(path, overwrite=True)
    return path


def make_example(**more):
    """Make the calibrator of the specification's example, with a gain but no read noise."""
    return Calibrator(overscans=[OVERSCAN], overscan_method=OverscanMethods.median, image_area=IMAGE, gain=GAIN, **more)


# --- read noise that is not given ---------------------------------------------------------------------------------


@pytest.mark.parametrize("read_noise", [7.5, 40.0])
def test_uncertainties_are_honest_without_a_given_read_noise(read_noise, rng):
    raw, truth = expose(rng, read_noise=read_noise)
    ccd = make_example().calibrate(raw, overscan_method=OverscanMethods.mean)
    pull = (ccd.data - truth) / ccd.uncertainty.array
    assert pull.std() == pytest.approx(1, abs=0.02)
    assert ccd.header["RNSRC"] == "overscan"
    digitised = np.hypot(read_noise, GAIN / np.sqrt(12))
    assert ccd.header["RNUSED"] == pytest.approx(digitised, rel=0.03)


def test_a_drift_of_the_overscan_level_is_not_read_noise(rng):
    raw, _ = expose(rng, drift=40.0)
    assert make_example().calibrate(raw).header["RNUSED"] == pytest.approx(DIGITISED, rel=0.03)


def test_without_overscan_an_unknown_read_noise_is_a_warning(rng):
    raw, _ = expose(rng)
    header = Calibrator(gain=GAIN).calibrate(raw).header
    assert header["RNSRC"] == "unknown"
    assert read_warnings(header) == ["unknown read noise: 0 e- assumed: uncertainties are too small"]


def test_a_given_read_noise_is_used(rng):
    raw, _ = expose(rng)
    header = make_example(read_noise=5.0).calibrate(raw).header
    assert header["RNUSED"] == 5
    assert "RNSRC" not in header


# --- CCDData in and out ----------------------------------------------------------------------------------------------


@pytest.fixture
def raw_file(rng, tmp_path):
    cards = {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": 10.0,
        "CRVAL2": 20.0,
        "CDELT1": -3e-4,
        "CDELT2": 3e-4,
    }
    return write(tmp_path / "raw.fits", expose(rng)[0], **cards, CRPIX1=100.0, CRPIX2=120.0)


def test_calibrate_returns_the_ccddata_of_the_product(raw_file, tmp_path):
    ccd = make_example(saturation=1003.0).calibrate(raw_file)
    make_example(saturation=1003.0)(raw_file, tmp_path / "out.fits")
    stored = CCDData.read(tmp_path / "out.fits")
    np.testing.assert_array_equal(ccd.data, stored.data)
    np.testing.assert_array_equal(ccd.uncertainty.array, stored.uncertainty.array)
    np.testing.assert_array_equal(ccd.mask, stored.mask)
    assert isinstance(ccd.uncertainty, StdDevUncertainty)
    assert ccd.unit == stored.unit == u.electron
    assert ccd.header["EXPTIME"] == 30
    assert (ccd.flags[ccd.mask] == Flag.SATURATED).all()
    assert ccd.mask.any()
    places = np.array([[0, 0], [150, 30]])
    np.testing.assert_allclose(ccd.wcs.all_pix2world(places, 0), stored.wcs.all_pix2world(places, 0))
    np.testing.assert_allclose(ccd.wcs.wcs.crpix, [100, 120 - FIRST])


@pytest.mark.parametrize("given", ["str", "Path", "CCDData", "array"])
def test_paths_ccddata_and_arrays_give_the_same_pixels(given, raw_file):
    values, header = fits.getdata(raw_file), fits.getheader(raw_file)
    raw = {
        "str": str(raw_file),
        "Path": raw_file,
        "CCDData": CCDData(values, unit="adu", header=header),
        "array": values,
    }[given]
    more = {"header": header} if given == "array" else {}
    first, found = make_example().calibrate(raw_file), make_example().calibrate(raw, **more)
    np.testing.assert_array_equal(found.data, first.data)
    np.testing.assert_array_equal(found.uncertainty.array, first.uncertainty.array)
    assert found.header["EXPTIME"] == 30


def test_the_wcs_of_a_ccddata_that_was_read_is_kept(raw_file):
    from_path = make_example().calibrate(raw_file)
    from_ccd = make_example().calibrate(CCDData.read(raw_file, unit="adu"))
    np.testing.assert_allclose(from_ccd.wcs.all_pix2world([[3, 5]], 0), from_path.wcs.all_pix2world([[3, 5]], 0))


def test_a_calibrator_prints_its_masters_by_name(tmp_path):
    path = write(tmp_path / "m.fits", np.full((NY - FIRST, NX), 3.0, np.float32), BUNIT="electron")
    text = repr(make_example(master_bias=path))
    assert "m.fits" in text
    assert len(text) < 800


def test_masked_pixels_of_a_ccddata_are_missing(raw_file):
    values = fits.getdata(raw_file)
    mask = np.zeros(values.shape, dtype=bool)
    mask[FIRST + 5, 7] = True
    ccd = make_example().calibrate(CCDData(values, unit="adu", mask=mask))
    assert np.argwhere(ccd.flags & Flag.NO_DATA).tolist() == [[5, 7]]
    assert np.isfinite(ccd.data).all()


def test_a_frame_in_memory_is_written_like_a_file(raw_file, tmp_path):
    values = fits.getdata(raw_file)
    make_example()(values, tmp_path / "out.fits", header={"EXPTIME": 5.0})
    with fits.open(tmp_path / "out.fits", checksum=True) as hdus:
        assert hdus[0].header["EXPTIME"] == 5
        assert hdus[0].header["RAWFILE"] == "in_memory.fits"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (CCDData(np.ones((9, 9)), unit="electron"), "raw is a CCDData in electron; expected a raw frame in adu"),
        (np.ones(9), "expected a path, a CCDData, or a two-dimensional array"),
        (7, "expected a path, a CCDData, or a two-dimensional array"),
    ],
)
def test_anything_but_a_raw_frame_is_an_error(raw, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Calibrator().calibrate(raw)


# --- overscan models -------------------------------------------------------------------------------------------------


def test_an_astropy_model_is_fitted_to_the_overscan(rng):
    raw, truth = expose(rng, drift=30.0)
    flat = make_example().calibrate(raw, overscan_method=Polynomial1D(1))
    assert flat.data.mean() == pytest.approx(truth.mean(), abs=1.5)
    left, right = flat.data[:, :20].mean(), flat.data[:, -20:].mean()
    assert left - right == pytest.approx(0, abs=6)
    assert make_example().calibrate(raw).data[:, -20:].mean() - right > 300  # one level leaves the slope
    assert flat.header["OVSCMETH"] == "Polynomial1D"


def test_a_model_beside_the_rows_follows_the_rows(rng):
    raw = np.rint(rng.normal(1000 + np.linspace(0, 60, NY)[:, np.newaxis], 2, (NY, NX))).astype(np.uint16)
    area = {"xmin": NX - 30, "xmax": NX, "ymin": 0, "ymax": NY}
    ccd = Calibrator(overscans=[area], overscan_method=Chebyshev1D(1)).calibrate(raw)
    assert abs(ccd.data[:20].mean()) < 0.5
    assert abs(ccd.data[-20:].mean()) < 0.5


def test_a_model_needs_an_area_along_the_whole_image(rng):
    raw, _ = expose(rng)
    area = {"xmin": 0, "xmax": 10, "ymin": 0, "ymax": 10}
    with pytest.raises(ValueError, match="expected one area that spans all rows or all columns"):
        Calibrator(overscans=[area], overscan_method=Polynomial1D(1)).calibrate(raw)


# --- masters of another kind ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cards", "words"),
    [
        ("master_bias", {"MASTER": "flat"}, "master_bias is m.fits, whose header says flat; expected a master bias"),
        ("master_flat", {"IMAGETYP": "Bias Frame"}, "whose header says bias; expected a master flat"),
        ("master_dark", {"OBSTYPE": "SKYFLAT"}, "whose header says flat; expected a master dark"),
        ("master_flat", {"FRAME": "Light"}, "whose header says science; expected a master flat"),
        ("bad_pixels", {"IMAGETYP": "zero"}, "whose header says bias; expected a bad pixel mask"),
        ("bad_pixels", {}, "bad_pixels is m.fits, which flags more than half of its pixels; expected a mask"),
    ],
)
def test_a_master_of_another_kind_is_an_error(name, cards, words, tmp_path):
    path = write(tmp_path / "m.fits", np.full((NY - FIRST, NX), 1000, np.uint16), **cards)
    with pytest.raises(ValueError, match=words):
        make_example(**{name: path})


@pytest.mark.parametrize("cards", [{}, {"MASTER": "bias"}, {"IMAGETYP": "Master Bias"}, {"OBSTYPE": "ZERO"}])
def test_a_master_of_the_right_or_of_unknown_kind_is_accepted(cards, tmp_path, rng):
    path = write(tmp_path / "m.fits", np.full((NY - FIRST, NX), 3.0, np.float32), BUNIT="electron", **cards)
    raw, truth = expose(rng)
    assert make_example(master_bias=path).calibrate(raw).data.mean() == pytest.approx(truth.mean() - 3, abs=0.5)


@pytest.mark.parametrize("name", ["master_bias", "master_dark", "master_flat", "bad_pixels"])
def test_the_error_names_a_missing_master(name):
    with pytest.raises(FileNotFoundError, match=f"{name} is 'elsewhere/m.fits'; the file does not exist"):
        make_example(**{name: "elsewhere/m.fits"})


# --- from a camera file ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    simulate_night(folder / "raw", folder / "truth", shape=(64, 96), filters=("V",), n_science=1, n_flat=3)
    return folder / "raw"


@pytest.mark.parametrize("given", [str, Path, fits.getheader])
def test_a_camera_file_and_a_header_give_all_parameters(given, night):
    raw = night / "field_V_001.fits"
    calibrate = Calibrator.from_camera(CAMERAS / "generic.yaml", given(raw))
    header = fits.getheader(raw)
    assert (calibrate.gain, calibrate.read_noise) == (header["GAIN"], header["RDNOISE"])
    assert [str(area) for area in calibrate.overscans] == [header["BIASSEC"]]
    ccd = calibrate.calibrate(raw)
    assert ccd.shape == (64, 96)
    assert ccd.header["OVSCMETH"] == "clipped_mean"


def test_given_parameters_override_header_and_camera_file(night):
    raw = night / "field_V_001.fits"
    assert Calibrator.from_camera(CAMERAS / "generic.yaml", raw, gain=3.0).gain == 3


def test_an_unknown_gain_must_be_given(night, tmp_path):
    raw = write(tmp_path / "a.fits", fits.getdata(night / "field_V_001.fits"))
    with pytest.raises(ValueError, match=r"gain is given by neither the header nor generic\.yaml; pass gain="):
        Calibrator.from_camera(CAMERAS / "generic.yaml", raw)
    assert Calibrator.from_camera(CAMERAS / "generic.yaml", raw, gain=1.5).read_noise is None


# --- the interface ---------------------------------------------------------------------------------------------------


def test_dir_and_help_list_the_interface():
    assert {"Calibrator", "OverscanMethods", "open_frames", "make_master_bias", "write_product"} <= set(dir(nightcal))
    assert all(hasattr(nightcal, name) for name in dir(nightcal))
    assert "make_master_bias" in pydoc.render_doc(nightcal)


def test_overscan_methods_can_be_listed():
    names = ["median", "mean", "clipped_mean", "row_median", "row_mean", "row_running", "smooth"]
    assert [str(method) for method in OverscanMethods] == names


def test_importing_the_package_does_not_import_numpy():
    code = "import nightcal, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("as_path", [str, Path])
def test_masters_are_made_from_paths(as_path, night, tmp_path):
    camera = as_path(CAMERAS / "generic.yaml")
    bias, dark = (as_path(tmp_path / f"{kind}.fits") for kind in ("bias", "dark"))

    def find(kind):
        return [as_path(path) for path in sorted(night.glob(f"{kind}_*.fits"))]

    nightcal.write_product(bias, nightcal.make_master_bias(find("bias"), camera))
    nightcal.write_product(dark, nightcal.make_master_dark(find("dark"), camera, bias=bias))
    flat = nightcal.make_master_flat(find("flat"), camera, bias=bias, dark=dark)
    assert (flat.header["MASTER"], flat.header["NCOMBINE"], flat.header["BIASMAST"]) == ("flat", 3, "bias.fits")
    assert len(nightcal.open_frames(find("bias"), camera).frames) == len(find("bias"))
    mask = nightcal.make_bad_pixel_mask([bias, dark])
    assert mask.header["MASTER"] == "bpm"
