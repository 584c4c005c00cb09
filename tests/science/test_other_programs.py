"""Other programs read products and catalogues with the settings that they ship with, and find what nightcal found."""

import shutil
import subprocess
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from helpers import REPOSITORY, make_masters
from nightcal.cameras.camera_file import load_camera
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.masters.make import make_bad_pixel_mask
from nightcal.science.measure import read_measurements
from nightcal.science.reduce import ScienceBatch, reduce_frame
from nightcal.simulation.night import simulate_night
from scipy.spatial import KDTree

MEASURED = {"cosmic_rays": {}, "sources": {}, "astrometry": {}, "photometry": {"filters": {"V": {"band": "V"}}}}
EXTRACTOR = next(filter(None, map(shutil.which, ("source-extractor", "sex", "sextractor"))), None)
IMAGES = ("master_bias", "master_dark", "master_flat", "master_bpm", "science", "empty")
TABLES = ("catalog", "empty_catalog")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Folder with the products of a small night, and those of a frame that is rejected."""
    folder = tmp_path_factory.mktemp("night")
    simulate_night(folder / "raw", folder / "truth", filters=("V",), n_bias=8, n_dark=5, n_flat=5, n_science=1)
    camera = load_camera(REPOSITORY / "config" / "cameras" / "generic.yaml")
    masters = make_masters(folder / "raw", camera)
    write_product(folder / "master_bpm.fits", make_bad_pixel_mask(list(masters.values())))
    masters["bpm"] = load_master(folder / "master_bpm.fits")
    (raw,) = (folder / "raw").glob("field_*.fits")
    fits.setval(raw, "REMARK", value="long " * 30)
    for name, value in {"CTYPE1S": "LINEAR", "CRPIX1S": 1.0, "CRVAL1S": 1.0}.items():
        fits.setval(raw, name, value=value)
    measurements = read_measurements(MEASURED, [folder / "raw" / "stars.csv"])
    batch = ScienceBatch(camera=camera, masters=masters, measurements=measurements)
    reduce_frame(raw, folder / "science.fits", batch, folder / "catalog.fits")
    damaged = folder / "damaged.fits"
    shutil.copy(raw, damaged)
    fits.setval(damaged, "EXPTIME", value="long")
    reduce_frame(damaged, folder / "empty.fits", batch, folder / "empty_catalog.fits")
    assert "EMPTY" in fits.getheader(folder / "empty.fits")
    return folder


@pytest.mark.skipif(EXTRACTOR is None, reason="SExtractor is not installed")
def test_sextractor_finds_the_same_errors(night, tmp_path):
    header, ours = fits.getheader(night / "catalog.fits", 1), Table.read(night / "catalog.fits")
    settings = subprocess.run([EXTRACTOR, "-d"], capture_output=True, text=True, check=True).stdout
    (tmp_path / "default.sex").write_text(settings)
    (tmp_path / "default.param").write_text("X_IMAGE\nY_IMAGE\nFLUX_APER(1)\nFLUXERR_APER(1)\nFLAGS\n")
    (tmp_path / "default.conv").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")
    options = ["-CATALOG_TYPE", "FITS_1.0", "-CATALOG_NAME", "their.fits", "-PHOT_APERTURES", str(header["APER2"])]
    image = f"{night / 'science.fits'}[0]"
    subprocess.run([EXTRACTOR, image, "-c", "default.sex", *options], cwd=tmp_path, check=True, capture_output=True)
    their = fits.getdata(tmp_path / "their.fits", 1)
    distance, nearest = KDTree(np.c_[their["X_IMAGE"], their["Y_IMAGE"]]).query(np.c_[ours["X_IMAGE"], ours["Y_IMAGE"]])
    good = (distance < 0.7) & (ours["FLAGS"] == 0) & (their["FLAGS"][nearest] == 0)
    assert np.count_nonzero(good) > 80
    ratio = np.ravel(their["FLUXERR_APER"])[nearest][good] / ours["FLUXERR_APER"][good, 1]
    assert np.median(ratio) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("name", [*IMAGES, *TABLES])
def test_products_are_valid_fits(night, name):
    path = night / f"{name}.fits"
    if shutil.which("fitsverify"):
        found = subprocess.run(["fitsverify", "-q", path], capture_output=True, text=True, check=False).stdout
        assert "verification OK" in found
    with warnings.catch_warnings(), fits.open(path, checksum=True) as hdus:
        warnings.simplefilter("error")
        hdus.verify("exception")


@pytest.mark.parametrize("name", [*IMAGES, *TABLES])
def test_astropy_reads_products_without_a_warning(night, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = Table.read if name in TABLES else CCDData.read
        assert len(read(night / f"{name}.fits").meta) > 5


def test_all_columns_are_described(night):
    header = fits.getheader(night / "catalog.fits", 1)
    for n in range(1, header["TFIELDS"] + 1):
        assert {f"TCOMM{n}", f"TUCD{n}", f"TDISP{n}"} <= set(header), header[f"TTYPE{n}"]
