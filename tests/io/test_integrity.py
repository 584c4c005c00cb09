"""A raw file whose pixels changed after it was written is rejected; a changed header is a warning."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_image import RawImage
from nightcal.masters.make import make_master_bias

PIXELS = np.random.default_rng(2).integers(900, 1100, (60, 50)).astype(np.uint16)
CARDS = {
    "IMAGETYP": "Bias Frame",
    "DATE-OBS": "2024-03-01T06:00:00",
    "EXPTIME": 0.0,
    "EGAIN": 1.5,
    "RDNOISE": 100.0,
}


def plain(path):
    fits.PrimaryHDU(PIXELS, fits.Header(CARDS)).writeto(path, checksum=True)


def in_an_extension(path):
    hdus = [fits.PrimaryHDU(header=fits.Header(CARDS)), fits.ImageHDU(PIXELS)]
    fits.HDUList(hdus).writeto(path, checksum=True)


def compressed(path):
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(PIXELS, fits.Header(CARDS))]).writeto(path, checksum=True)


KINDS = pytest.mark.parametrize(
    ("name", "write"), [("a.fits", plain), ("b.fits", in_an_extension), ("c.fits.fz", compressed)]
)


def damage(path, *places):
    content = bytearray(path.read_bytes())
    for place in places:
        content[place] ^= 0x20
    path.write_bytes(content)


def set_card(path, name, text):
    content = path.read_bytes()
    at = content.rindex(name.ljust(8).encode() + b"=")
    path.write_bytes(content[: at + 10] + text.ljust(70).encode() + content[at + 80 :])


def warnings_of(path):
    with RawImage(path).hold() as image:
        return image.warnings


@KINDS
def test_a_good_file_passes_and_damaged_pixels_reject_it(tmp_path, name, write):
    write(tmp_path / name)
    assert warnings_of(tmp_path / name) == ()
    with fits.open(tmp_path / name, disable_image_compression=True) as hdus:
        start = hdus[-1].fileinfo()["datLoc"]
    damage(tmp_path / name, start + 40)
    with pytest.raises(FrameRejectedError, match=r"its DATASUM .* does not agree with its pixels"):
        RawImage(tmp_path / name).hold()


@KINDS
def test_a_changed_header_is_a_warning(tmp_path, name, write):
    write(tmp_path / name)
    set_card(tmp_path / name, "IMAGETYP", "'Dark Frame'")
    (warning,) = warnings_of(tmp_path / name)
    assert warning.startswith("wrong checksum: CHECKSUM does not agree: the header was changed")


def test_without_a_datasum_a_checksum_alone_is_a_warning(tmp_path):
    plain(tmp_path / "a.fits")
    content = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "a.fits").write_bytes(content.replace(b"DATASUM =", b"OTHERSUM="))
    (warning,) = warnings_of(tmp_path / "a.fits")
    assert "header or pixels were changed" in warning


@pytest.mark.parametrize(
    "text", ["'0       '", "'        '", "'none    '", "T", "'-5'", "'99999999999999999999999'", "1,2"]
)
def test_a_datasum_that_is_none_is_ignored(tmp_path, text):
    plain(tmp_path / "a.fits")
    set_card(tmp_path / "a.fits", "DATASUM", text)
    damage(tmp_path / "a.fits", -2000)
    assert len(warnings_of(tmp_path / "a.fits")) == 1


def test_damaged_gzip_files_are_rejected(tmp_path):
    plain(tmp_path / "a.fits")
    content = bytearray((tmp_path / "a.fits").read_bytes())
    packed = bytearray(gzip.compress(content))
    packed[-6] ^= 1  # of the checksum, which nobody reads who stops at the last pixel
    (tmp_path / "a.fits.gz").write_bytes(packed)
    with pytest.raises(FrameRejectedError, match="damaged after it was packed"):
        RawImage(tmp_path / "a.fits.gz").hold()
    content[-2000] ^= 8
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(content))
    with pytest.raises(FrameRejectedError, match=r"its DATASUM .* does not agree with its pixels"):
        RawImage(tmp_path / "b.fits.gz").hold()


def test_files_without_sums_and_good_gzip_files_have_no_warning(tmp_path):
    fits.PrimaryHDU(PIXELS, fits.Header(CARDS)).writeto(tmp_path / "a.fits")
    assert warnings_of(tmp_path / "a.fits") == ()
    plain(tmp_path / "b.fits")
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress((tmp_path / "b.fits").read_bytes()))
    assert warnings_of(tmp_path / "b.fits.gz") == ()


def test_a_damaged_frame_is_not_stacked_and_a_warning_reaches_the_master(tmp_path):
    for n in range(4):
        fits.PrimaryHDU(PIXELS + np.uint16(n), fits.Header(CARDS)).writeto(tmp_path / f"{n}.fits", checksum=True)
    damage(tmp_path / "0.fits", -2000)
    set_card(tmp_path / "1.fits", "IMAGETYP", "'Bias'")
    master = make_master_bias(sorted(tmp_path.iterdir()), REPOSITORY / "config/cameras/generic.yaml")
    assert (master.header["NCOMBINE"], master.header["NREJECT"]) == (3, 1)
    assert any("DATASUM" in str(value) for value in master.header.values())
    assert any("wrong checksum" in str(value) for value in master.header.values())
