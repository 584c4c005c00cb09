"""Raw frames are read as astropy reads them; products appear whole or not at all, and anyone can open them."""

import contextlib
import errno
import gzip
import os
import resource
import shutil
import time
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from nightcal.errors import FrameRejectedError, blame_machine
from nightcal.flags import MEANINGS, Flag
from nightcal.io import product as fitsio
from nightcal.io.atomic import write_text
from nightcal.io.checksum import hash_file
from nightcal.io.keywords import copy_cards, make_ascii, read_warnings, set_cards, warn
from nightcal.io.product import Product, write_product
from nightcal.io.provenance import record_provenance
from nightcal.io.raw_image import RawImage

SHAPE = (21, 34)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def product(rng):
    mask = np.zeros(SHAPE, np.uint8)
    mask[3, 4] = Flag.SATURATED | Flag.BLEED
    data = rng.normal(100, 5, SHAPE).astype(np.float32)
    header = fits.Header([("OBJECT", "M 67", "target"), ("EXPTIME", 30.0, "[s]")])
    return Product(data, np.full(SHAPE, 5, np.float32), mask, "electron", header, np.full(SHAPE, 7, np.int16))


def with_unit(product, unit):
    return Product(product.data, product.uncertainty, product.mask, unit, product.header, product.survivors)


def by_astropy(path, hdu=0):
    """Pixels as astropy gives them, in one read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.squeeze(fits.getdata(path, hdu))


def raw_values(rng, dtype):
    if np.dtype(dtype).kind == "f":
        return rng.normal(1000, 300, SHAPE).astype(dtype)
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, SHAPE, endpoint=True, dtype=dtype)
    values[0, :2] = info.min, info.max
    return values


def assert_read_as_astropy_does(path, hdu=0):
    expected = by_astropy(path, hdu)
    with RawImage(path) as image:
        assert image.shape == expected.shape
        np.testing.assert_array_equal(image.read(), expected)
        for start, stop in [(0, 1), (5, 9), (expected.shape[0] - 1, expected.shape[0]), (2, 3)]:
            np.testing.assert_array_equal(image.rows(start, stop), expected[start:stop])
        assert image.read().dtype.isnative


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "gz", "fz", "extension", "one-plane cube"])
def test_pixels_are_those_that_astropy_reads(kind, dtype, rng, tmp_path):
    values, hdu = raw_values(rng, dtype), 0
    path = tmp_path / {"gz": "raw.fits.gz", "fz": "raw.fits.fz"}.get(kind, "raw.fits")
    if kind in ("plain", "gz"):
        fits.PrimaryHDU(values).writeto(path)
    elif kind == "fz":
        compression = "GZIP_2" if values.dtype.kind == "f" or dtype == np.uint32 else "RICE_1"
        tiles = fits.CompImageHDU(values, compression_type=compression, quantize_level=0)
        fits.HDUList([fits.PrimaryHDU(), tiles]).writeto(path)
        hdu = 1
    elif kind == "extension":
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values, name="SCI")]).writeto(path)
        hdu = 1
    else:
        fits.PrimaryHDU(values[np.newaxis]).writeto(path)
    assert_read_as_astropy_does(path, hdu)
    with RawImage(path) as image:
        np.testing.assert_array_equal(image.read(), values)


def write_int16(path, stored, **cards):
    """Write 16-bit integers as they are, with any scaling cards beside them."""
    hdu = fits.PrimaryHDU(stored)
    hdu.writeto(path)
    with fits.open(path, do_not_scale_image_data=True) as hdus:
        header, data = hdus[0].header.copy(), hdus[0].data.copy()
    for key, value in cards.items():
        header[key] = value
    block = header.tostring(padding=True).encode("ascii") + data.astype(">i2").tobytes()
    path.write_bytes(block + bytes(-len(block) % 2880))


def test_bscale_and_bzero_with_pencil_and_paper(tmp_path):
    path = tmp_path / "raw.fits"
    write_int16(path, np.array([[-2, 0], [3, 100]], np.int16), BSCALE=2.0, BZERO=10.0)
    with RawImage(path) as image:
        np.testing.assert_array_equal(image.read(), [[6, 10], [16, 210]])
        np.testing.assert_array_equal(image.read(), by_astropy(path))
        assert image.largest == 2 * 32767 + 10


def test_scaled_integers_are_read_by_rows_as_a_whole(rng, tmp_path):
    stored = rng.integers(-1000, 1000, SHAPE, dtype=np.int16)
    write_int16(tmp_path / "raw.fits", stored, BSCALE=0.5, BZERO=100.0)
    assert_read_as_astropy_does(tmp_path / "raw.fits")
    with RawImage(tmp_path / "raw.fits") as image:
        np.testing.assert_allclose(image.read(), stored * 0.5 + 100)


def test_a_blank_pixel_is_not_a_number(tmp_path):
    path = tmp_path / "raw.fits"
    write_int16(path, np.array([[-32768, 5], [6, 7]], np.int16), BLANK=-32768)
    with RawImage(path) as image:
        np.testing.assert_array_equal(image.read(), [[np.nan, 5], [6, 7]])
        np.testing.assert_array_equal(image.rows(0, 1), [[np.nan, 5]])


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [(np.uint8, 255), (np.int16, 32767), (np.uint16, 65535), (np.int32, 2**31 - 1), (np.float32, np.inf)],
)
@pytest.mark.parametrize("name", ["raw.fits", "raw.fits.fz"])
def test_the_largest_value_of_a_file_is_that_of_its_integers(dtype, largest, name, rng, tmp_path):
    values = raw_values(rng, dtype)
    if name.endswith("fz"):
        hdus = [fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type="GZIP_1", quantize_level=0)]
    else:
        hdus = [fits.PrimaryHDU(values)]
    fits.HDUList(hdus).writeto(tmp_path / name)
    with RawImage(tmp_path / name) as image:
        assert image.largest == largest


def test_the_primary_header_serves_an_image_in_an_extension(tmp_path):
    primary = fits.PrimaryHDU()
    primary.header["OBJECT"], primary.header["EXPTIME"] = "from the primary", 10.0
    image = fits.ImageHDU(np.zeros((3, 4), np.int16))
    image.header["EXPTIME"] = 20.0
    fits.HDUList([primary, image]).writeto(tmp_path / "raw.fits")
    with RawImage(tmp_path / "raw.fits") as raw:
        assert raw.header.value("OBJECT") == "from the primary"
        assert raw.header.value("EXPTIME") == 20.0


@pytest.mark.parametrize(
    ("hdus", "reason"),
    [
        ([fits.PrimaryHDU()], "no image"),
        ([fits.PrimaryHDU(np.zeros((2, 2, 3, 4), np.int16))], "4 axes"),
        ([fits.PrimaryHDU(np.zeros((3, 4))), fits.ImageHDU(np.zeros((3, 5)))], "differ in size"),
    ],
)
def test_a_file_without_image_planes_of_one_size_is_rejected(hdus, reason, tmp_path):
    fits.HDUList([hdu.copy() for hdu in hdus]).writeto(tmp_path / "raw.fits")
    with pytest.raises(FrameRejectedError, match=reason):
        RawImage(tmp_path / "raw.fits")


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("form", ["extensions", "packed extensions", "cube", "packed cube", "cube in an extension"])
def test_the_planes_of_a_file_are_read_each_by_itself(form, held, rng, tmp_path):
    planes = rng.integers(0, 60000, (3, 30, 40), dtype=np.uint16)
    kind = fits.CompImageHDU if form.startswith("packed") else fits.ImageHDU
    if form == "cube":
        hdus = [fits.PrimaryHDU(planes)]
    else:
        parts = [planes] if "cube" in form else planes
        hdus = [fits.PrimaryHDU(), *(kind(part, fits.Header({"GAIN": 1.5 + n})) for n, part in enumerate(parts))]
    fits.HDUList(hdus).writeto(tmp_path / "raw.fits")
    with RawImage(tmp_path / "raw.fits") as image:
        if held:
            image.hold()
        assert len(image.planes) == 3
        for n, plane in enumerate(image.planes):
            np.testing.assert_array_equal(plane.rows(7, 21), planes[n, 7:21])
            np.testing.assert_array_equal(plane.read(), planes[n])
            if "extensions" in form:
                assert plane.header.value("GAIN") == 1.5 + n
            assert plane.digest == image.digest


@pytest.mark.parametrize("name", ["raw.fits", "raw.fits.gz", "raw.fits.fz"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6])
def test_a_truncated_file_is_rejected(name, kept, rng, tmp_path):
    values = rng.integers(0, 60000, (300, 300), dtype=np.uint16)
    hdu = fits.CompImageHDU(values) if name.endswith("fz") else fits.PrimaryHDU(values)
    hdus = fits.HDUList([fits.PrimaryHDU(), hdu] if name.endswith("fz") else [hdu])
    path = tmp_path / name
    hdus.writeto(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(FrameRejectedError), RawImage(path) as image:
        image.read()


def test_text_is_not_fits(tmp_path):
    (tmp_path / "raw.fits").write_text("this is a note, not a frame\n" * 200)
    with pytest.raises(FrameRejectedError):
        RawImage(tmp_path / "raw.fits")


def test_a_product_is_no_raw_frame(product, tmp_path):
    record_provenance(product.header, {})
    write_product(tmp_path / "a.fits", Product(product.data, product.uncertainty, product.mask, "adu", product.header))
    with pytest.raises(FrameRejectedError):
        RawImage(tmp_path / "a.fits")


def test_a_closed_image_can_be_read_again(rng, tmp_path):
    values = raw_values(rng, np.uint16)
    fits.PrimaryHDU(values).writeto(tmp_path / "raw.fits")
    image = RawImage(tmp_path / "raw.fits")
    image.read()
    image.close()
    np.testing.assert_array_equal(image.rows(3, 5), values[3:5])
    image.close()


def test_compressed_rows_do_not_depend_on_the_order_in_which_they_are_read(rng, tmp_path):
    values = rng.normal(500, 10, (64, 48)).astype(np.float32)
    tiles = fits.CompImageHDU(values, tile_shape=(8, 48), quantize_level=16, dither_seed=7)
    fits.HDUList([fits.PrimaryHDU(), tiles]).writeto(tmp_path / "raw.fits.fz")
    whole = by_astropy(tmp_path / "raw.fits.fz", 1)
    with RawImage(tmp_path / "raw.fits.fz") as image:
        for start in (40, 3, 60, 0, 5):
            np.testing.assert_array_equal(image.rows(start, start + 4), whole[start : start + 4])


# --- products --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["electron", "electron / s", "", "adu"])
def test_ccddata_opens_a_product_with_no_help(unit, product, tmp_path):
    path = tmp_path / "folder" / "product.fits"
    write_product(path, with_unit(product, unit))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ccd = CCDData.read(path)
    np.testing.assert_array_equal(ccd.data, product.data)
    assert isinstance(ccd.uncertainty, StdDevUncertainty)
    np.testing.assert_array_equal(ccd.uncertainty.array, product.uncertainty)
    assert ccd.mask.dtype == bool
    np.testing.assert_array_equal(ccd.mask, product.mask > 0)
    assert ccd.unit.to_string() == unit
    assert ccd.uncertainty.unit in (ccd.unit, None)
    assert ccd.header["OBJECT"] == "M 67"


def test_image_error_and_mask_are_the_first_three_extensions(product, tmp_path):
    write_product(tmp_path / "a.fits", product)
    with fits.open(tmp_path / "a.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "UNCERT", "MASK", "NUSED"]
        assert hdus[0].data.dtype == np.dtype(">f4")
        assert hdus[1].data.dtype == np.dtype(">f4")
        np.testing.assert_array_equal(hdus["MASK"].data, product.mask)
        np.testing.assert_array_equal(hdus["NUSED"].data, 7)
        assert hdus["UNCERT"].header["UTYPE"] == "StdDevUncertainty"


def test_the_mask_says_what_its_bits_mean(product, tmp_path):
    write_product(tmp_path / "a.fits", product)
    header = fits.getheader(tmp_path / "a.fits", "MASK")
    told = {header[f"BIT{bit}"]: bit for bit in (1, 2, 4, 8, 16, 32, 64, 128)}
    design = ["BAD", "HOT", "SATURATED", "BLEED", "COSMIC_RAY", "LOW_FLAT", "NO_DATA", "EDGE"]
    assert told == dict(zip(design, (1, 2, 4, 8, 16, 32, 64, 128), strict=True))
    assert all(header.comments[f"BIT{bit}"] == MEANINGS[name] for name, bit in told.items())


def assert_sums_verify(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as hdus:
            for hdu in hdus:
                assert hdu.header["CHECKSUM"]
                assert hdu.header["DATASUM"]
                assert hdu.verify_checksum() == 1
                assert hdu.verify_datasum() == 1


def test_checksums_verify_and_notice_a_flipped_bit(product, tmp_path):
    path = tmp_path / "a.fits"
    write_product(path, product)
    assert_sums_verify(path)
    spoilt = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        spoilt[hdus[0].fileinfo()["datLoc"] + 17] ^= 1
    path.write_bytes(spoilt)
    with pytest.warns(UserWarning, match="Datasum verification failed"), fits.open(path, checksum=True):
        pass


def test_the_same_product_twice_gives_the_same_bytes(product, tmp_path):
    write_product(tmp_path / "a.fits", product)
    time.sleep(1.1)  # the time of day, in whole seconds, is no part of a product
    write_product(tmp_path / "other" / "b.fits", product)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "other" / "b.fits").read_bytes()


def test_a_product_leaves_nothing_else_in_its_folder(product, tmp_path):
    write_product(tmp_path / "a.fits", product)
    write_product(tmp_path / "a.fits", product)
    assert os.listdir(tmp_path) == ["a.fits"]


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_product_has_the_permissions_of_any_new_file(umask, product, tmp_path):
    before = os.umask(umask)
    try:
        write_product(tmp_path / "a.fits", product)
        (tmp_path / "b").touch()
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "a.fits").stat().st_mode == (tmp_path / "b").stat().st_mode


class DiskFullError(OSError):
    pass


def crash_while_writing(monkeypatch):
    written = []

    def half_a_file(file, content, place, pwrite=os.pwrite):
        written.append(place)
        if len(written) > 2:
            raise DiskFullError
        return pwrite(file, content, place)

    monkeypatch.setattr(fitsio.os, "pwrite", half_a_file)


def crash_before_renaming(monkeypatch):
    def refuse(*args, **kwargs):
        raise DiskFullError

    monkeypatch.setattr(fitsio.os, "replace", refuse)
    monkeypatch.setattr(fitsio.os, "rename", refuse)


@pytest.mark.parametrize("crash", [crash_while_writing, crash_before_renaming])
def test_a_crash_leaves_the_old_file_as_it_was(crash, product, tmp_path, monkeypatch):
    path = tmp_path / "a.fits"
    write_product(path, product)
    old = path.read_bytes()
    with monkeypatch.context() as broken:
        crash(broken)
        with pytest.raises(DiskFullError):
            write_product(path, with_unit(product, "adu"))
    assert path.read_bytes() == old
    write_product(path, product)
    assert os.listdir(tmp_path) == ["a.fits"]


@pytest.mark.parametrize("crash", [crash_while_writing, crash_before_renaming])
def test_a_crash_leaves_no_file_under_the_name_of_the_product(crash, product, tmp_path, monkeypatch):
    with monkeypatch.context() as broken:
        crash(broken)
        with pytest.raises(DiskFullError):
            write_product(tmp_path / "a.fits", product)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".fits")]


def test_what_a_killed_run_left_behind_is_removed(product, tmp_path):
    (tmp_path / ".a.fits.k3jd8s.partial").write_bytes(b"half")
    (tmp_path / ".b.fits.k3jd8s.partial").write_bytes(b"of another product, perhaps being written")
    write_product(tmp_path / "a.fits", product)
    assert sorted(os.listdir(tmp_path)) == [".b.fits.k3jd8s.partial", "a.fits"]


@pytest.mark.parametrize("name", ["a[1].fits", "star*.fits", "what?.fits"])
def test_brackets_and_stars_in_a_name_are_letters(name, product, tmp_path):
    mine, others = tmp_path / f".{name}.k3jd8s.partial", tmp_path / ".a1.fits.k3jd8s.partial"
    star = tmp_path / ".starlight.fits.k3jd8s.partial"
    for path in (mine, others, star):
        path.write_bytes(b"half")
    write_product(tmp_path / name, product)
    assert sorted(os.listdir(tmp_path)) == sorted([name, others.name, star.name])


def test_text_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_text(tmp_path / "plan.csv", "file,night\né,1\n")
    assert (tmp_path / "plan.csv").read_bytes() == "file,night\né,1\n".encode()
    with monkeypatch.context() as broken:
        crash_before_renaming(broken)
        with pytest.raises(DiskFullError):
            write_text(tmp_path / "plan.csv", "")
    assert (tmp_path / "plan.csv").read_text(encoding="utf-8") == "file,night\né,1\n"


# --- headers ---------------------------------------------------------------------------------------------------------


def card(text):
    return text.ljust(80).encode("latin-1")[:80]


HOSTILE = [
    card("TELESCOP= 'Simulated 1 m'      / where"),
    card("AIRMASS =  NaN / of a broken clock"),
    card("FOCUS   = 12.3.4 / two points"),
    card("WEATHER = nice and clear"),
    card("OBSERVER= 'Jos\xe9 \xfeorl\xe1ksson' / name"),
    card("lowercas= 5 / keyword in small letters"),
    card("A B C   = 5 / keyword with blanks"),
    card("HIERARCH ESO DET OUT1 GAIN = 1.25 / long keyword"),
    card("COMMENT  a remark"),
    card("HISTORY  what the camera did"),
    card("        = 'no keyword'"),
    card("TAB     = 'a\tb'     / control character"),
    card("UNCLOSED= 'no end of the string"),
    card("COMPLEX =  (1.0, 2.0)"),
    card("NOVALUE =            / undefined"),
    card("EQUALS   no equals sign"),
    card("TELESCOP= 'twice'    / the same card again"),
    card("BIASSEC = '[35:40,1:21]'"),
    card("DATASEC = '[1:34,1:21]'"),
]


@pytest.fixture
def hostile(tmp_path, rng):
    """A raw frame with the headers that observatories really write."""
    values = raw_values(rng, np.int16)
    header = fits.PrimaryHDU(values).header
    cards = [str(c).encode() for c in header.cards] + HOSTILE + [card("END")]
    block = b"".join(cards)
    block += b" " * (-len(block) % 2880)
    data = values.astype(">i2").tobytes()
    path = tmp_path / "hostile.fits"
    path.write_bytes(block + data + bytes(-len(data) % 2880))
    return path


def test_hostile_cards_survive_or_are_told_of(hostile, product, tmp_path):
    with RawImage(hostile) as image:
        header = copy_cards(image.header.cards)
    out = tmp_path / "out.fits"
    write_product(out, Product(product.data, product.uncertainty, product.mask, "electron", header))
    assert_sums_verify(out)
    text = fits.getheader(out).tostring(sep="\n")
    assert text.isascii()
    for said in ("Simulated 1 m", "12.3.4", "nice and clear", "a remark", "what the camera did", "OUT1 GAIN", "1.25"):
        assert said in text, said
    for keyword in ("AIRMASS", "FOCUS", "WEATHER", "OBSERVER", "UNCLOSED", "NOVALUE"):
        assert keyword in text, keyword
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ccd = CCDData.read(out)
    np.testing.assert_array_equal(ccd.data, product.data)


def test_hostile_cards_are_fits_in_the_product(hostile, product, tmp_path):
    with RawImage(hostile) as image:
        header = copy_cards(image.header.cards)
    out = tmp_path / "out.fits"
    write_product(out, Product(product.data, product.uncertainty, product.mask, "electron", header))
    with fits.open(out) as hdus, warnings.catch_warnings():
        warnings.simplefilter("error")
        hdus[0].verify("exception")


def test_good_cards_keep_value_and_comment():
    raw = fits.Header(
        [("OBJECT", "M 67", "target"), ("EXPTIME", 30.0, "[s]"), ("SHUTTER", True, ""), ("RUN", 17, "number")]
    )
    kept = copy_cards(raw)
    for name in ("OBJECT", "EXPTIME", "SHUTTER", "RUN"):
        assert kept[name] == raw[name]
        assert kept.comments[name] == raw.comments[name]


def test_long_text_survives(product, tmp_path):
    text = "a long proposal title " * 10
    header = copy_cards(fits.Header([("TITLE", text.strip())]))
    write_product(tmp_path / "a.fits", Product(product.data, product.uncertainty, product.mask, "adu", header))
    assert fits.getheader(tmp_path / "a.fits")["TITLE"] == text.strip()
    assert_sums_verify(tmp_path / "a.fits")


def test_cards_that_describe_the_raw_file_do_not_reach_the_product(rng, product, tmp_path):
    raw = fits.CompImageHDU(raw_values(rng, np.uint16), name="SCI")
    raw.header["BUNIT"] = "counts"
    fits.HDUList([fits.PrimaryHDU(), raw]).writeto(tmp_path / "raw.fits.fz", checksum=True)
    with RawImage(tmp_path / "raw.fits.fz") as image:
        header = copy_cards(image.header.cards)
    write_product(tmp_path / "a.fits", Product(product.data, product.uncertainty, product.mask, "adu", header))
    written = fits.getheader(tmp_path / "a.fits")
    assert (written["BITPIX"], written["BUNIT"], written["NAXIS"]) == (-32, "adu", 2)
    assert not {"BZERO", "BSCALE", "ZBITPIX", "ZCMPTYPE", "TFORM1", "EXTNAME", "XTENSION"} & set(written)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "a.fits"), product.data)
    assert_sums_verify(tmp_path / "a.fits")


def test_sections_of_the_raw_image_are_kept_under_names_that_mislead_no_one():
    image = "[1:2048,1:2048]"
    raw = fits.Header([("BIASSEC", "[2049:2080,1:2048]"), ("TRIMSEC", image), ("DATASEC", image)])
    kept = copy_cards(raw)
    assert not {"BIASSEC", "TRIMSEC", "DATASEC"} & set(kept)
    assert "[2049:2080,1:2048]" in kept.values()


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("plain", 68, "plain"),
        ("José", 68, "Jos\\xe9"),
        ("a\tb\nc", 68, "a b c"),
        ("\u2019", 68, "\\u2019"),
        ("x" * 100, 10, "x" * 10),
        ("\udce9", 68, "\\udce9"),
    ],
)
def test_text_becomes_what_a_card_can_hold(text, length, expected):
    assert make_ascii(text, length) == expected


def test_a_hostile_file_name_fits_into_a_card(product, tmp_path):
    header = fits.Header()
    set_cards(header, [("RAWFILE", "n\u00e9buleuse 'M1'\n" + "x" * 90 + ".fits", "raw frame")])
    write_product(tmp_path / "a.fits", Product(product.data, product.uncertainty, product.mask, "adu", header))
    assert fits.getheader(tmp_path / "a.fits")["RAWFILE"].startswith("n\\xe9buleuse 'M1' x")
    assert_sums_verify(tmp_path / "a.fits")


def test_a_card_that_the_raw_frame_has_twice_is_replaced_wherever_it_stands():
    header = fits.Header([("GAINUSED", "a"), ("FILTER", "V"), ("GAINUSED", 5.0), ("GAINUSED", 6.0)])
    set_cards(header, [("GAINUSED", 1.5, "[electron/adu]")])
    assert [(card.keyword, card.value) for card in header.cards] == [("GAINUSED", 1.5), ("FILTER", "V")]


def test_each_warning_is_told_once():
    header = fits.Header([("WARNTEMP", "a card of the camera")])
    for text in ("too few frames", "too hot", "too few frames"):
        warn(header, text)
    assert read_warnings(header) == ["too few frames", "too hot"]


def test_provenance_depends_on_the_options_and_not_on_their_order():
    one, same, other = fits.Header(), fits.Header(), fits.Header()
    record_provenance(one, {"k": 3, "gain": 1.5})
    record_provenance(same, {"gain": 1.5, "k": 3})
    record_provenance(other, {"gain": 1.5, "k": 4})
    assert one["CONFHASH"] == same["CONFHASH"] != other["CONFHASH"]
    assert one["NIGHTCAL"]


def test_file_hash_begins_the_sha256_of_the_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # SHA-256 of "abc": FIPS 180-4.
    assert hash_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"[:16]


def test_gzip_of_any_program_is_read(rng, tmp_path):
    values = raw_values(rng, np.int16)
    fits.PrimaryHDU(values).writeto(tmp_path / "raw.fits")
    with (tmp_path / "raw.fits").open("rb") as plain, gzip.open(tmp_path / "RAW.FIT.GZ", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    with RawImage(tmp_path / "RAW.FIT.GZ") as image:
        np.testing.assert_array_equal(image.read(), values)


def test_warnings_of_the_camera_stay_and_ours_follow():
    header = fits.Header({"WARN001": "dome was closing", "WARN002": "guider lost", "WARNING": "not one of ours"})
    warn(header, "too few frames")
    assert (header["WARN001"], header["WARN002"], header["WARNING"]) == (
        "dome was closing",
        "guider lost",
        "not one of ours",
    )
    assert header["WARN003"] == "too few frames"
    assert read_warnings(header) == ["dome was closing", "guider lost", "too few frames"]


def test_a_gap_in_the_warnings_of_the_camera_is_filled_and_none_replaced():
    header = fits.Header({"WARN002": "guider lost"})
    for text in ("one", "two"):
        warn(header, text)
    assert dict(header) == {"WARN001": "one", "WARN002": "guider lost", "WARN003": "two"}


# --- what is the machine's fault -------------------------------------------------------------------------------------


@pytest.fixture
def no_file_left():
    """A process that has opened as many files as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []

    def use_up():
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))

    yield use_up
    for handle in held:
        os.close(handle)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_too_many_open_files_are_not_the_frames_fault(name, rng, tmp_path, no_file_left):
    fits.PrimaryHDU(raw_values(rng, np.uint16)).writeto(tmp_path / name)
    with RawImage(tmp_path / name) as image:
        whole = image.read()
        image.close()
        no_file_left()
        with pytest.raises(OSError, match="Too many open files") as caught:
            image.rows(0, 5)
    assert caught.value.errno == errno.EMFILE
    with pytest.raises(OSError, match="Too many open files"):
        RawImage(tmp_path / name)
    assert whole.size


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.EIO])
def test_what_the_machine_cannot_do_is_raised_as_it_is(number):
    with pytest.raises(OSError, match="trouble") as caught:
        blame_machine(OSError(number, "trouble"))
    assert caught.value.errno == number


@pytest.mark.parametrize(
    "error", [OSError("Empty or corrupt FITS file"), OSError(errno.ENOENT, "gone"), ValueError("x")]
)
def test_what_is_wrong_with_a_file_is_not_the_machines_fault(error, rng, tmp_path, monkeypatch):
    fits.PrimaryHDU(raw_values(rng, np.float32)).writeto(tmp_path / "a.fits")
    image = RawImage(tmp_path / "a.fits")

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(fits, "open", fail)
    with pytest.raises(FrameRejectedError, match="cannot be read"):
        image.rows(0, 5)
