"""The comparison with ccdproc agrees with correct products, and notices wrong pixels."""

import shutil
from dataclasses import replace

import pytest
from astropy.io import fits
from helpers import REPOSITORY, make_masters
from nightcal.cameras.camera_file import load_camera
from nightcal.detector.overscan import OverscanMethods
from nightcal.flags import Flag
from nightcal.io.product import write_product
from nightcal.science.crosscheck import crosscheck
from nightcal.science.empty_product import make_empty_product
from nightcal.science.reduce import ScienceBatch, reduce_frame
from nightcal.simulation.camera import simulate_camera
from nightcal.simulation.night import simulate_night
from odd_night import OddNight, reduce_night

CAMERAS = REPOSITORY / "config/cameras"
FEW = {"n_bias": 5, "n_dark": 3, "n_flat": 3, "n_science": 1, "filters": ("V",), "sky": (8.0,), "n_stars": 10}
METHODS = [method.name for method in OverscanMethods]
ROUNDING = 1e-3  # sigma: 32-bit numbers hold 65535 ADU to 0.004 ADU, and the read noise is 4 ADU
RAW = "field_V_001.fits"


class Checked:
    """Night in a folder, calibrated with its masters and compared with ccdproc."""

    def __init__(self, folder, camera):
        self.folder, self.camera = folder, camera
        self.masters = make_masters(folder / "raw", camera)
        self.paths = {kind: folder / f"master_{kind}.fits" for kind in self.masters}

    def reduce(self, out, camera=None, **options):
        batch = ScienceBatch(camera=camera or self.camera, **{"masters": self.masters} | options)
        reduce_frame(self.folder / "raw" / RAW, out, batch)
        return out

    def compare(self, product, camera=None):
        return crosscheck(self.folder / "raw" / RAW, product, camera or self.camera, self.paths)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    simulate_night(folder / "raw", folder / "truth", shape=(96, 128), **FEW)
    return Checked(folder, load_camera(CAMERAS / "generic.yaml"))


@pytest.fixture(scope="module")
def product(night):
    return night.reduce(night.folder / "product.fits")


@pytest.mark.parametrize("method", METHODS)
def test_ccdproc_agrees_for_every_overscan_method(night, tmp_path, method):
    camera = replace(night.camera, overscan_method=method)
    found = night.compare(night.reduce(tmp_path / RAW, camera), camera)
    assert not found.reason
    assert found.pixels + found.masked == 96 * 128
    assert found.pixels > 0.9 * 96 * 128
    # a cubic through 96 rows is known to 4 / sqrt(96) of the error of a row at its ends, and that of 32 columns is 0.18
    # of the read noise; which rows are outliers matters by less
    assert found.largest < (0.07 if method == "smooth" else ROUNDING)
    assert found.median <= found.largest


def test_uncertainties_agree(night, product):
    low, median, high = night.compare(product).uncertainty_ratio
    assert median == pytest.approx(1, abs=0.02)
    assert 0.9 < low < median < high < 1.1


def test_a_product_in_adu_is_compared_in_adu(night, tmp_path):
    assert night.compare(night.reduce(tmp_path / RAW, unit="adu")).largest < ROUNDING


def test_a_wrong_pixel_is_noticed_unless_it_is_flagged(night, product, tmp_path):
    for flag in (0, Flag.HOT):
        shutil.copy(product, tmp_path / RAW)
        with fits.open(tmp_path / RAW, mode="update") as hdus:
            hdus[0].data[40, 70] += 0.5 * hdus["UNCERT"].data[40, 70]
            hdus["MASK"].data[40, 70] = flag
        found = night.compare(tmp_path / RAW)
        if flag:
            assert (found.above_limit, found.masked) == (0, night.compare(product).masked + 1)
        else:
            assert found.largest == pytest.approx(0.5, abs=ROUNDING)
            assert (found.largest_at, found.above_limit) == ((71, 41), 1)


def store_upside_down(kind, data, cards, _):
    order = "TOP-DOWN" if kind == "science" else "BOTTOM-UP"
    return data[::-1] if kind == "science" else data, cards | {"ROWORDER": order}


def sum_three(kind, data, cards, _):
    return (data, cards) if kind != "science" else (data + 2 * 900, cards | {"COADDS": 3})


@pytest.mark.parametrize("change", [store_upside_down, sum_three])
def test_ccdproc_agrees_if_masters_are_turned_or_multiplied(tmp_path, change):
    night = OddNight(tmp_path / "raw")
    night.take_all(change)
    reduce_night(night.folder, tmp_path)
    masters = {step: next(tmp_path.glob(f"{step}_*.fits")) for step in ("bias", "dark", "flat")}
    raw, product = (tmp_path / folder / "science_01.fits" for folder in ("raw", "science"))
    found = crosscheck(raw, product, load_camera(CAMERAS / "generic.yaml"), masters)
    assert found.pixels > 0.9 * night.shape[0] * night.shape[1]
    assert found.largest < ROUNDING


def test_only_masters_used_by_the_product_are_applied(night, tmp_path):
    found = night.compare(night.reduce(tmp_path / RAW, masters={"bias": night.masters["bias"]}))
    assert found.largest < ROUNDING
    assert found.masters == {"bias": "master_bias.fits"}


def test_an_empty_product_is_not_compared(night, tmp_path):
    write_product(tmp_path / RAW, make_empty_product(night.folder / "raw" / RAW, "the shutter was closed"))
    found = night.compare(tmp_path / RAW)
    assert found.pixels == 0
    assert "the shutter was closed" in str(found)


def bend(text):
    return text.replace("DETSEC}", "DETSEC, linearity_polynomial: [4.0e-6, 1.0e-11]}")


def mirror(text):
    """Two amplifiers on one image that read away from each other."""
    common = text[: text.index("# Each extension")].replace("planes: 4", "planes: 1")
    return f"""{common}
amplifiers:
  - {{plane: 1, image: "[1:64,1:96]", overscan: ["[65:80,1:96]"], detector: "[1:64,1:96]", gain: 1.5}}
  - plane: 1
    image: "[97:160,1:96]"
    overscan: ["[81:96,1:96]"]
    detector: "[65:128,1:96]"
    corner: lower right
crosstalk: {{coefficients: [[0, 0.01], [0.02, 0]]}}
"""


@pytest.mark.parametrize("change", [str, bend, mirror])
def test_ccdproc_agrees_for_several_amplifiers_with_crosstalk(tmp_path, change):
    path = tmp_path / "several.yaml"
    path.write_text(change((CAMERAS / "lco-sinistro.yaml").read_text()))
    camera = load_camera(path)
    simulate_night(tmp_path / "raw", tmp_path / "truth", camera=simulate_camera(camera, 64), **FEW)
    several = Checked(tmp_path, camera)
    found = several.compare(several.reduce(tmp_path / RAW))
    assert found.amplifiers == (2 if change is mirror else 4)
    assert found.crosstalk
    assert found.pixels > 10000
    assert found.largest < ROUNDING


def test_crosstalk_between_shifted_amplifiers_is_not_compared(tmp_path):
    path = tmp_path / "shifted.yaml"
    text = mirror((CAMERAS / "lco-sinistro.yaml").read_text())
    text = text.replace("planes: 1", "planes: 2").replace("- plane: 1", "- plane: 2").replace("[97:160", "[98:161")
    path.write_text(text.replace("corner: lower right", ""))
    camera = load_camera(path)
    simulate_night(tmp_path / "raw", tmp_path / "truth", camera=simulate_camera(camera, 64), **FEW)
    shifted = Checked(tmp_path, camera)
    found = shifted.compare(shifted.reduce(tmp_path / RAW))
    assert found.pixels == 0
    assert "crosstalk" in found.reason


@pytest.mark.parametrize("section", ["[64:1,48:1]"])
def test_ccdproc_agrees_for_a_flipped_image(night, tmp_path, section):
    raw = tmp_path / RAW
    with fits.open(night.folder / "raw" / RAW) as hdus:
        hdus[0].header["TRIMSEC"] = section
        hdus.writeto(raw)
    reduce_frame(raw, tmp_path / "product.fits", ScienceBatch(camera=night.camera))
    found = crosscheck(raw, tmp_path / "product.fits", night.camera, {})
    assert found.pixels > 3000
    assert found.largest < ROUNDING
