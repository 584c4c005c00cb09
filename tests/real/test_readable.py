"""Every product opens in `CCDData` with no help: image, error, mask and unit; all of it finite, all checksums right."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import FITSFixedWarning

UNITS = {"bias": u.electron, "dark": u.electron / u.s, "flat": u.one, "bpm": u.one, "science": u.electron}
PIXELS = {"bpm": np.dtype("int16")}


@pytest.fixture(scope="module", params=["arcsat", "nickel", "afosc"])
def night(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def images(night):
    """Each product as `CCDData` reads it, by its path."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # a raw frame without MJD-OBS
        return {path: CCDData.read(path) for path in night.products}


def kind_of(path):
    return "science" if path.parent.name == "science" else path.name.partition("_")[0]


def test_ccddata_opens_every_product(images):
    for path, ccd in images.items():
        assert ccd.unit == UNITS[kind_of(path)], path.name
        assert isinstance(ccd.uncertainty, StdDevUncertainty), path.name
        assert ccd.data.shape == ccd.uncertainty.array.shape == ccd.mask.shape, path.name
        assert np.array_equal(ccd.mask, fits.getdata(path, "MASK") > 0), path.name


def test_images_and_errors_are_float32_and_the_bad_pixel_mask_holds_bits(images):
    for path, ccd in images.items():
        assert ccd.data.dtype.newbyteorder("=") == PIXELS.get(kind_of(path), np.dtype("float32")), path.name
        assert ccd.uncertainty.array.dtype.newbyteorder("=") == np.dtype("float32"), path.name


def test_every_number_is_finite(images):
    for path, ccd in images.items():
        assert np.sum(~np.isfinite(ccd.data)) == 0, path.name
        assert np.sum(~np.isfinite(ccd.uncertainty.array)) == 0, path.name


def test_every_unmasked_pixel_of_an_image_has_an_error_and_no_error_is_negative(images):
    for path, ccd in images.items():
        assert not np.any(ccd.uncertainty.array < 0), path.name
        if kind_of(path) != "bpm":
            assert np.all(ccd.uncertainty.array[~ccd.mask] > 0), path.name


def test_every_checksum_is_right(night):
    for path in night.written:
        with fits.open(path) as hdus:
            for hdu in hdus:
                assert (hdu.verify_checksum(), hdu.verify_datasum()) == (1, 1), (path.name, hdu.name)


def test_every_card_follows_the_standard(night):
    for path in [*night.masters(), *night.science[:5], *night.catalogs[:5]]:
        with warnings.catch_warnings(), fits.open(path) as hdus:
            warnings.simplefilter("error")
            hdus.verify("exception")
