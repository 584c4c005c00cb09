"""astropy verifies the checksums of every product, whatever its shape and however it was written."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nightcal.io.checksum import encode_checksum, fold_carries, sum_bytes
from nightcal.io.product import Product, open_product, write_product
from nightcal.numerics.kernels import swap_and_sum
from nightcal.numerics.kernels.plain import LARGEST_WORD, sum_of_words

FEW = settings(deadline=None, derandomize=True, database=None, max_examples=200)
SHAPES = [(1, 1), (1, 3), (5, 7), (33, 1441), (720, 1)]
LONG = fits.Header([(f"CARD{n:04d}", "x" * (n % 45), f"card {n}") for n in range(90)])
LONG["TITLE"] = "a proposal title of many words " * 9
HEADERS = [fits.Header(), fits.Header([("OBJECT", "M 67", "target")]), LONG]


def product_of(shape, header=HEADERS[0], survivors=False, dtype=np.float32):
    rng = np.random.default_rng(shape)
    return Product(
        rng.normal(0, 1000, shape).astype(dtype),
        rng.uniform(0, 9, shape).astype(np.float32),
        rng.integers(0, 256, shape).astype(np.uint8),
        "electron",
        header,
        rng.integers(-9, 9, shape).astype(np.int16) if survivors else None,
    )


def assert_sums_verify(path, hdus):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(path, checksum=True) as opened:
            assert len(opened) == hdus
            for hdu in opened:
                assert {"CHECKSUM", "DATASUM"} <= set(hdu.header)
                assert hdu.verify_datasum() == hdu.verify_checksum() == 1
                assert hdu.data is not None
            opened.verify("exception")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("survivors", [False, True])
@pytest.mark.parametrize("header", HEADERS, ids=len)
def test_astropy_verifies_the_sums_of_a_product(header, survivors, shape, tmp_path):
    write_product(tmp_path / "a.fits", product_of(shape, header, survivors))
    assert_sums_verify(tmp_path / "a.fits", 4 if survivors else 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_astropy_verifies_the_sums_of_an_image_of_any_numbers(shape, dtype, tmp_path):
    write_product(tmp_path / "a.fits", product_of(shape, dtype=dtype))
    assert_sums_verify(tmp_path / "a.fits", 3)


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_written_by_any_number_of_rows_are_the_same(shape, rows, loops, tmp_path):
    product = product_of(shape, survivors=True)
    write_product(tmp_path / "whole.fits", product)
    path = tmp_path / "rows.fits"
    with open_product(path, shape, "electron", product.header, survivors=True) as file:
        for start in reversed(range(0, shape[0], rows)):  # rows may come in any order
            images = product.data, product.uncertainty, product.mask, product.survivors
            file.write(start, *(image[start : start + rows] for image in images))
    assert_sums_verify(path, 4)
    assert path.read_bytes() == (tmp_path / "whole.fits").read_bytes()


def test_a_number_set_at_the_end_is_in_the_sum(tmp_path):
    product = product_of((5, 7), fits.Header([("NMASKED", 0, "pixels with a flag"), ("GOOD", False, "")]))
    with open_product(tmp_path / "a.fits", (5, 7), "adu", product.header) as file:
        file.write(0, product.data, product.uncertainty, product.mask)
        file.set("NMASKED", 123456)
        file.set("GOOD", True)
    assert_sums_verify(tmp_path / "a.fits", 3)
    header = fits.getheader(tmp_path / "a.fits")
    assert (header["NMASKED"], header["GOOD"]) == (123456, True)


def test_a_spoilt_pixel_is_found_by_the_sums(tmp_path):
    path = tmp_path / "a.fits"
    write_product(path, product_of((5, 7)))
    with fits.open(path) as hdus:
        place = hdus[1].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(AstropyUserWarning, match="verification failed"):
        assert_sums_verify(path, 3)


def words_by_hand(content, position=0):
    """Sum of big-endian 32-bit words of some bytes, each taken for itself."""
    return sum(byte << 8 * (3 - (position + i) % 4) for i, byte in enumerate(bytes(content)))


BYTES = hnp.arrays(np.uint8, st.integers(0, 40))


@FEW
@given(content=BYTES, position=st.integers(0, 11))
def test_sum_of_bytes_anywhere(content, position):
    assert fold_carries(sum_bytes(content, position)) == fold_carries(words_by_hand(content, position))


@FEW
@given(content=BYTES, cut=st.integers(0, 40))
def test_sums_of_parts_add_up(content, cut):
    parts = sum_bytes(content[:cut]) + sum_bytes(content[cut:], min(cut, content.size))
    assert fold_carries(parts) == fold_carries(sum_bytes(content))


@FEW
@given(hnp.arrays(np.uint32, st.integers(0, 21)))
def test_sum_of_words_is_that_of_the_big_endian_bytes(words):
    assert sum_of_words(words) == sum(map(int, words))
    stored = words.astype(">u4")
    assert fold_carries(sum_of_words(words)) == fold_carries(sum_bytes(stored.view(np.uint8)))


@pytest.mark.parametrize("shape", SHAPES)
def test_numbers_are_stored_as_fits_does(shape, loops):
    image = product_of(shape).data
    stored, total = swap_and_sum(image)
    assert stored.tobytes() == image.astype(">f4").tobytes()
    assert total == words_by_hand(image.astype(">f4").tobytes())


@FEW
@given(st.integers(0, 2**70))
def test_folding_keeps_the_ones_complement_sum(total):
    # Carries come back at the low end: the sum modulo 2^32 - 1, where only nothing at all is 0.
    found = fold_carries(total)
    assert 0 <= found <= LARGEST_WORD
    assert found % LARGEST_WORD == total % LARGEST_WORD
    assert (found == 0) == (total == 0)


@FEW
@given(
    st.one_of(
        st.integers(0, LARGEST_WORD), st.sampled_from([0, 1, LARGEST_WORD, LARGEST_WORD - 1, 0x3A3A3A3A, 0x80000000])
    )
)
def test_the_sixteen_characters_are_those_of_astropy(total):
    assert encode_checksum(total) == fits.PrimaryHDU()._char_encode(~np.uint32(total))


@FEW
@given(st.integers(0, LARGEST_WORD))
def test_the_sixteen_characters_bring_the_sum_to_zero(total):
    text = encode_checksum(total)
    assert text.isalnum()
    assert text.isascii()
    # In the header the text begins in the fourth byte of a word; sixteen zeros stood there before.
    zeros, ours = (words_by_hand(value.encode(), 3) for value in ("0" * 16, text))
    assert fold_carries(total + ours - zeros) in (0, LARGEST_WORD)
