"""Every product opens in `CCDData` with no help: image, error, mask and unit; all of it finite, all checksums right."""

import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import FITSFixedWarning

UNITS = {"bias": u.electron, "dark": u.electron / u.s, "flat": u.one, "bpm": u.one, "science": u.electron}


@pytest.fixture(scope="module", params=["arcsat", "nickel", "afosc"])
def night(request):
    return request.getfixturevalue(request.param)


def opened(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        return CCDData.read(path)


def kind_of(path):
    return "science" if path.parent.name == "science" else path.name.partition("_")[0]


def test_ccddata_opens_every_product(night):
    for path in night.products:
        ccd = opened(path)
        assert ccd.unit == UNITS[kind_of(path)], path.name
        assert isinstance(ccd.uncertainty, StdDevUncertainty), path.name
        assert ccd.mask is not None, path.name
        assert ccd.data.shape == ccd.uncertainty.array.shape == ccd.mask.shape
        assert np.array_equal(ccd.mask, fits.getdata(path, "MASK") > 0)


def test_every_number_is_finite_and_no_error_negative(night):
    for path in night.products:
        ccd = opened(path)
        assert np.all(np.isfinite(ccd.data)), path.name
        assert np.all(np.isfinite(ccd.uncertainty.array)), path.name
        assert np.all(ccd.uncertainty.array >= 0), path.name


def test_every_unmasked_pixel_of_an_image_has_an_error(night):
    for path in night.products:
        if kind_of(path) != "bpm":
            ccd = opened(path)
            assert np.all(ccd.uncertainty.array[~ccd.mask] > 0), path.name


def test_images_and_errors_are_float32(night):
    for path in night.products:
        with fits.open(path) as hdus:
            kinds = {hdus[0].data.dtype.newbyteorder("="), hdus["UNCERT"].data.dtype.newbyteorder("=")}
            assert (
                kinds <= {np.dtype("float32"), np.dtype("uint8")} if kind_of(path) == "bpm" else {np.dtype("float32")}
            )


def test_every_checksum_is_right(night):
    for path in night.products:
        with fits.open(path, checksum=False) as hdus:
            for hdu in hdus:
                assert (hdu.verify_checksum(), hdu.verify_datasum()) == (1, 1), (path.name, hdu.name)


def test_every_card_follows_the_standard(night):
    for path in [*night.masters(), *night.science[:5]]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with fits.open(path) as hdus:
                hdus.verify("exception")
