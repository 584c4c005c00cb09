"""Masters as they are read, whoever wrote them and when."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.master import load_master
from nightcal.io.product import Product, write_product


@pytest.fixture
def path(tmp_path):
    """A master whose pixels have every bit that fits into a byte."""
    image, error = np.random.default_rng(1).normal(100, 5, (2, 6, 16)).astype(np.float32)
    mask = (np.arange(96).reshape(6, 16) % 128).astype(MASK_DTYPE)
    write_product(tmp_path / "bias.fits", Product(image, error, mask, "electron", fits.Header({"NIGHTCAL": "0.1"})))
    return tmp_path / "bias.fits"


def test_masks_of_early_versions_keep_their_bits(path):
    now = load_master(path)
    with fits.open(path) as hdus:
        old_mask = fits.ImageHDU(hdus["MASK"].data.astype(np.uint8), hdus["MASK"].header, name="MASK")
        fits.HDUList([hdus[0].copy(), hdus["UNCERT"].copy(), old_mask]).writeto(path.with_name("old.fits"))
    old = load_master(path.with_name("old.fits"))
    for rows in (slice(None), slice(2, 5)):
        for plane in ("data", "variance", "mask"):
            np.testing.assert_array_equal(getattr(old, plane)[rows], getattr(now, plane)[rows])


def test_a_truncated_mask_is_an_error(path):
    stored = path.read_bytes()
    with fits.open(path) as hdus:
        end = hdus["MASK"].fileinfo()["datLoc"] + 2 * 96
    path.write_bytes(stored[: end - 1])
    with pytest.raises(ValueError, match="truncated"):
        load_master(path)


@pytest.mark.parametrize("names_its_bits", [True, False])
def test_bits_count_only_in_masks_that_name_them(names_its_bits, tmp_path):
    bits = np.array([[0, 4], [256, 8]], np.int16)
    header = fits.Header({"BIT1": "BAD"} if names_its_bits else {})
    image = fits.PrimaryHDU(np.ones((2, 2), np.float32))
    fits.HDUList([image, fits.ImageHDU(bits, header, name="MASK")]).writeto(tmp_path / "m.fits")
    expected = bits if names_its_bits else np.where(bits, Flag.BAD, 0)
    np.testing.assert_array_equal(load_master(tmp_path / "m.fits").mask, expected)
