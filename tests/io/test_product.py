"""Raw files are read or rejected; products are written atomically, and open in astropy without help."""

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
from nightcal.io.file_content import hash_file
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
    mask = np.zeros(SHAPE, np.int16)
    mask[3, 4] = Flag.SATURATED | Flag.BLEED
    data = rng.normal(100, 5, SHAPE).astype(np.float32)
    header = fits.Header([("OBJECT", "M 67", "target"), ("EXPTIME", 30.0, "[s]")])
    return Product(data, np.full(SHAPE, 5, np.float32), mask, "electron", header, np.full(SHAPE, 7, np.int16))


def with_unit(product, unit):
    return Product(product.data, product.uncertainty, product.mask, unit, product.header, product.survivors)


def raw_values(rng, dtype):
    if np.dtype(dtype).kind == "f":
        return rng.normal(1000, 300, SHAPE).astype(dtype)
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, SHAPE, endpoint=True, dtype=dtype)
    values[0, :2] = info.min, info.max
    return values


# --- reading ---------------------------------------------------------------------------------------------------------


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
        assert image.largest == 2 * 32767 + 10


@pytest.mark.parametrize(
    ("dtype", "largest"),
    [(np.uint8, 255), (np.int16, 32767), (np.uint16, 65535), (np.int32, 2**31 - 1), (np.float32, np.inf)],
)
def test_the_largest_value_of_a_file_is_that_of_its_integers(dtype, largest, rng, tmp_path):
    values = raw_values(rng, dtype)
    packed = fits.CompImageHDU(values, compression_type="GZIP_1", quantize_level=0)
    fits.PrimaryHDU(values).writeto(tmp_path / "raw.fits")
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "raw.fits.fz")
    for name in ("raw.fits", "raw.fits.fz"):
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


@pytest.mark.parametrize("form", ["extensions", "packed extensions", "cube", "packed cube", "cube in an extension"])
def test_each_plane_of_a_file_has_its_own_pixels_and_header(form, rng, tmp_path):
    planes = rng.integers(0, 60000, (3, 30, 40), dtype=np.uint16)
    kind = fits.CompImageHDU if form.startswith("packed") else fits.ImageHDU
    if form == "cube":
        hdus = [fits.PrimaryHDU(planes)]
    else:
        parts = [planes] if "cube" in form else planes
        hdus = [fits.PrimaryHDU(), *(kind(part, fits.Header({"GAIN": 1.5 + n})) for n, part in enumerate(parts))]
    fits.HDUList(hdus).writeto(tmp_path / "raw.fits")
    for held in (False, True):
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


@pytest.mark.parametrize(
    ("name", "kept"),
    [("raw.fits", 0.0), ("raw.fits", 0.3), ("raw.fits", 0.6), ("raw.fits.gz", 0.6), ("raw.fits.fz", 0.6)],
)
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


def test_a_text_file_is_rejected(tmp_path):
    (tmp_path / "raw.fits").write_text("this is a note, not a frame\n" * 200)
    with pytest.raises(FrameRejectedError):
        RawImage(tmp_path / "raw.fits")


def test_a_product_is_rejected_as_a_raw_frame(product, tmp_path):
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
    whole = fits.getdata(tmp_path / "raw.fits.fz", 1)
    with RawImage(tmp_path / "raw.fits.fz") as image:
        for start in (40, 3, 60, 0, 5):
            np.testing.assert_array_equal(image.rows(start, start + 4), whole[start : start + 4])


# --- products --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["electron", "electron / s", "", "adu"])
def test_ccddata_reads_a_product_without_help(unit, product, tmp_path):
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


def test_image_uncertainty_and_mask_are_the_first_three_hdus(product, tmp_path):
    write_product(tmp_path / "a.fits", product)
    with fits.open(tmp_path / "a.fits") as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "UNCERT", "MASK", "NUSED"]
        assert hdus[0].data.dtype == np.dtype(">f4")
        assert hdus[1].data.dtype == np.dtype(">f4")
        np.testing.assert_array_equal(hdus["MASK"].data, product.mask)
        np.testing.assert_array_equal(hdus["NUSED"].data, 7)
        assert hdus["UNCERT"].header["UTYPE"] == "StdDevUncertainty"


def test_the_mask_header_explains_the_bits(product, tmp_path):
    write_product(tmp_path / "a.fits", product)
    header = fits.getheader(tmp_path / "a.fits", "MASK")
    values = (1, 2, 4, 8, 16, 32, 64, 256)
    bits = {header[f"BIT{bit}"]: bit for bit in values}
    names = ["BAD", "HOT", "SATURATED", "BLEED", "COSMIC_RAY", "LOW_FLAT", "NO_DATA", "TRAIL"]
    assert bits == dict(zip(names, values, strict=True))
    assert all(header.comments[f"BIT{bit}"] == MEANINGS[name] for name, bit in bits.items())


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
    time.sleep(1.1)  # the time of writing must not enter a product
    write_product(tmp_path / "other" / "b.fits", product)
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "other" / "b.fits").read_bytes()


def test_no_temporary_file_is_left_beside_a_product(product, tmp_path):
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


def test_the_partial_file_of_a_killed_run_is_removed(product, tmp_path):
    (tmp_path / ".a.fits.k3jd8s.partial").write_bytes(b"half")
    (tmp_path / ".b.fits.k3jd8s.partial").write_bytes(b"of another product, perhaps being written")
    write_product(tmp_path / "a.fits", product)
    assert sorted(os.listdir(tmp_path)) == [".b.fits.k3jd8s.partial", "a.fits"]


@pytest.mark.parametrize("name", ["a[1].fits", "star*.fits", "what?.fits"])
def test_brackets_and_stars_in_a_file_name_are_not_wildcards(name, product, tmp_path):
    mine, others = tmp_path / f".{name}.k3jd8s.partial", tmp_path / ".a1.fits.k3jd8s.partial"
    star = tmp_path / ".starlight.fits.k3jd8s.partial"
    for path in (mine, others, star):
        path.write_bytes(b"half")
    write_product(tmp_path / name, product)
    assert sorted(os.listdir(tmp_path)) == sorted([name, others.name, star.name])


def test_text_is_written_atomically(tmp_path, monkeypatch):
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
    """A raw frame with invalid cards, as observatories write them."""
    values = raw_values(rng, np.int16)
    header = fits.PrimaryHDU(values).header
    cards = [str(c).encode() for c in header.cards] + HOSTILE + [card("END")]
    block = b"".join(cards)
    block += b" " * (-len(block) % 2880)
    data = values.astype(">i2").tobytes()
    path = tmp_path / "hostile.fits"
    path.write_bytes(block + data + bytes(-len(data) % 2880))
    return path


def test_the_text_of_invalid_cards_is_kept(hostile, product, tmp_path):
    with RawImage(hostile) as image:
        header = copy_cards(image.header.cards)
    out = tmp_path / "out.fits"
    write_product(out, Product(product.data, product.uncertainty, product.mask, "electron", header))
    assert_sums_verify(out)
    text = fits.getheader(out).tostring(sep="\n")
    assert text.isascii()
    for words in ("Simulated 1 m", "12.3.4", "nice and clear", "a remark", "what the camera did", "OUT1 GAIN", "1.25"):
        assert words in text, words
    for keyword in ("AIRMASS", "FOCUS", "WEATHER", "OBSERVER", "UNCLOSED", "NOVALUE"):
        assert keyword in text, keyword
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ccd = CCDData.read(out)
    np.testing.assert_array_equal(ccd.data, product.data)


def test_invalid_cards_of_the_raw_frame_become_valid_in_the_product(hostile, product, tmp_path):
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


def test_long_text_is_kept(product, tmp_path):
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


def test_sections_of_the_raw_image_are_kept_under_other_names():
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
def test_text_becomes_printable_ascii_of_limited_length(text, length, expected):
    assert make_ascii(text, length) == expected


def test_a_hostile_file_name_fits_into_a_card(product, tmp_path):
    header = fits.Header()
    set_cards(header, [("RAWFILE", "n\u00e9buleuse 'M1'\n" + "x" * 90 + ".fits", "raw frame")])
    write_product(tmp_path / "a.fits", Product(product.data, product.uncertainty, product.mask, "adu", header))
    assert fits.getheader(tmp_path / "a.fits")["RAWFILE"].startswith("n\\xe9buleuse 'M1' x")
    assert_sums_verify(tmp_path / "a.fits")


def test_a_keyword_that_the_raw_frame_has_twice_is_replaced_once():
    header = fits.Header([("GAINUSED", "a"), ("FILTER", "V"), ("GAINUSED", 5.0), ("GAINUSED", 6.0)])
    set_cards(header, [("GAINUSED", 1.5, "[electron/adu]")])
    assert [(card.keyword, card.value) for card in header.cards] == [("GAINUSED", 1.5), ("FILTER", "V")]


def test_a_repeated_warning_is_written_once():
    header = fits.Header([("WARNTEMP", "a card of the camera")])
    for text in ("too few frames", "too hot", "too few frames"):
        warn(header, text)
    assert read_warnings(header) == ["too few frames", "too hot"]


def test_the_hash_of_the_options_does_not_depend_on_their_order():
    one, same, other = fits.Header(), fits.Header(), fits.Header()
    record_provenance(one, {"k": 3, "gain": 1.5})
    record_provenance(same, {"gain": 1.5, "k": 3})
    record_provenance(other, {"gain": 1.5, "k": 4})
    assert one["CONFHASH"] == same["CONFHASH"] != other["CONFHASH"]
    assert one["NIGHTCAL"]


def test_the_hash_of_a_file_is_the_start_of_its_sha256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    # SHA-256 of "abc": FIPS 180-4.
    assert hash_file(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"[:16]


def test_gzip_files_in_capital_letters_are_read(rng, tmp_path):
    values = raw_values(rng, np.int16)
    fits.PrimaryHDU(values).writeto(tmp_path / "raw.fits")
    with (tmp_path / "raw.fits").open("rb") as plain, gzip.open(tmp_path / "RAW.FIT.GZ", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    with RawImage(tmp_path / "RAW.FIT.GZ") as image:
        np.testing.assert_array_equal(image.read(), values)


def test_new_warnings_follow_those_of_the_camera():
    header = fits.Header({"WARN001": "dome was closing", "WARN002": "guider lost", "WARNING": "not one of ours"})
    warn(header, "too few frames")
    assert (header["WARN001"], header["WARN002"], header["WARNING"]) == (
        "dome was closing",
        "guider lost",
        "not one of ours",
    )
    assert header["WARN003"] == "too few frames"
    assert read_warnings(header) == ["dome was closing", "guider lost", "too few frames"]


def test_new_warnings_fill_gaps_and_replace_nothing():
    header = fits.Header({"WARN002": "guider lost"})
    for text in ("one", "two"):
        warn(header, text)
    assert dict(header) == {"WARN001": "one", "WARN002": "guider lost", "WARN003": "two"}


# --- failures of the machine -------------------------------------------------------------------------------------


@pytest.fixture
def no_file_left():
    """Open as many files as the process may."""
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
def test_too_many_open_files_do_not_reject_the_frame(name, rng, tmp_path, no_file_left):
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
def test_errors_of_the_machine_are_raised_unchanged(number):
    with pytest.raises(OSError, match="trouble") as caught:
        blame_machine(OSError(number, "trouble"))
    assert caught.value.errno == number


@pytest.mark.parametrize(
    "error", [OSError("Empty or corrupt FITS file"), OSError(errno.ENOENT, "gone"), ValueError("x")]
)
def test_errors_in_a_file_reject_the_frame(error, rng, tmp_path, monkeypatch):
    fits.PrimaryHDU(raw_values(rng, np.float32)).writeto(tmp_path / "a.fits")
    image = RawImage(tmp_path / "a.fits")

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(fits, "open", fail)
    with pytest.raises(FrameRejectedError, match="cannot be read"):
        image.rows(0, 5)
