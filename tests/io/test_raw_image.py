"""A raw frame has the pixels that astropy reads, by rows or in words, from the disk or held in memory."""

import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest
from astropy.io import fits
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_image import Buffer, RawImage

SHAPE = (23, 35)
ROWS = [(0, 23), (0, 1), (22, 23), (5, 12)]


class Kind(NamedTuple):
    """A way to store a frame: data type of the pixels, name of the file, its HDU, and what is special."""

    dtype: str
    name: str = "raw.fits"
    hdu: int = 0
    special: str = ""


WRAPPED = [
    Kind("u2"),
    Kind("f4"),
    Kind("u2", "raw.fits.gz"),
    Kind("u2", "raw.fits.fz", 1),
    Kind("u2", hdu=1, special="extension"),
    Kind("u2", special="cube"),
]
KINDS = [
    *WRAPPED,
    *(Kind(dtype) for dtype in ("i2", "u1", "i4", "f8")),
    *(Kind(dtype, "raw.fits.fz", 1) for dtype in ("i4", "f4")),
    *(Kind("i2", special=special) for special in ("BSCALE", "BSCALE of unsigned", "BZERO", "BLANK")),
    Kind("i2", "raw.fits.gz", special="BSCALE"),
]
any_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind)))
any_wrapping = pytest.mark.parametrize("kind", WRAPPED, ids=lambda kind: "-".join(map(str, kind)))


def pixels(dtype):
    rng = np.random.default_rng(23)
    if np.dtype(dtype).kind == "f":
        values = rng.normal(1000, 300, SHAPE).astype(dtype)
        values[3, 4] = np.nan
        return values
    info = np.iinfo(dtype)
    lowest = info.min + (np.dtype(dtype) == np.int32)  # the very lowest stands for no data
    values = rng.integers(lowest, info.max, SHAPE, endpoint=True, dtype=dtype)
    values[0, :2] = lowest, info.max
    return values


def write(folder, kind):
    """Write a frame; return its path and the pixels that astropy reads."""
    path, values = folder / kind.name, pixels(kind.dtype)
    if kind.name.endswith("fz"):
        how = {"quantize_level": 0, "compression_type": "GZIP_2"} if values.dtype.kind == "f" else {}
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, **how)]).writeto(path)
    elif kind.special == "extension":
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values, name="SCI")]).writeto(path)
    else:
        fits.PrimaryHDU(values[np.newaxis] if kind.special == "cube" else values).writeto(path)
    cards = {
        "BSCALE": {"BSCALE": 0.5, "BZERO": 0.0},
        "BSCALE of unsigned": {"BSCALE": 2.0, "BZERO": 32768.0},
        "BZERO": {"BZERO": 100.0},
        "BLANK": {"BLANK": int(values[2, 2])},
    }.get(kind.special, {})
    if cards:
        with fits.open(path, do_not_scale_image_data=True) as hdus:
            hdus[0].header.update(cards)
            hdus.writeto(path, overwrite=True)
        with fits.open(path, do_not_scale_image_data=True) as hdus:
            assert set(cards) <= set(hdus[0].header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return path, np.squeeze(fits.getdata(path, kind.hdu))


@pytest.fixture
def frame(kind, tmp_path):
    return write(tmp_path, kind)


@pytest.fixture(params=[False, True], ids=["from disk", "held"])
def opened(request, frame):
    with RawImage(frame[0]) as image:
        if request.param:
            image.hold()
        yield image


@any_kind
def test_rows_are_those_that_astropy_reads(opened, frame):
    _, expected = frame
    assert opened.shape == SHAPE
    for start, stop in [*ROWS, ROWS[0], ROWS[3]]:
        rows = opened.rows(start, stop)
        assert rows.dtype == expected.dtype.newbyteorder("=")
        np.testing.assert_array_equal(rows, expected[start:stop])
    np.testing.assert_array_equal(opened.read(), expected)


@any_kind
def test_words_and_zero_are_the_pixels(opened, frame, kind):
    _, expected = frame
    integers = kind.dtype in ("u2", "i2", "u1") and not kind.special.startswith("B")
    assert opened.zero == ({"u2": 32768}.get(kind.dtype, 0) if integers else None)
    if opened.zero is None:
        return
    for start, stop in ROWS:
        words = opened.words(start, stop)
        assert words.dtype == np.uint16
        np.testing.assert_array_equal(words.view(">i2").astype(int) + opened.zero, expected[start:stop])
        out = np.full((stop - start, SHAPE[1]), 7, np.uint16)
        assert np.shares_memory(opened.words(start, stop, out), out)
        np.testing.assert_array_equal(out, words)


@any_wrapping
def test_words_can_fill_rows_of_a_larger_array(opened, frame):
    if opened.zero is None:
        return
    cube = np.full((3, 9, SHAPE[1]), 7, np.uint16)
    opened.words(4, 9, cube[1, 2:7])
    np.testing.assert_array_equal(cube[1, 2:7], opened.words(4, 9))
    cube[1, 2:7] = 7
    assert (cube == 7).all()


@any_wrapping
def test_the_digest_is_the_sha256_of_the_file(opened, frame):
    path, _ = frame
    assert opened.digest == hashlib.sha256(path.read_bytes()).hexdigest()[: len(opened.digest)]
    assert len(opened.digest) == 16


@any_wrapping
def test_a_frame_can_be_held_again_after_it_was_closed(frame):
    path, expected = frame
    image, buffer = RawImage(path), Buffer()
    for _ in range(2):
        with image.hold(buffer) as held:
            np.testing.assert_array_equal(held.rows(3, 9), expected[3:9])
        np.testing.assert_array_equal(image.rows(3, 9), expected[3:9])
    image.close()


@any_wrapping
def test_the_file_is_read_once_while_it_is_held(frame):
    path, expected = frame
    with RawImage(path) as image, image.hold():
        path.unlink()
        np.testing.assert_array_equal(image.rows(2, 20), expected[2:20])
        np.testing.assert_array_equal(image.read(), expected)
        assert len(image.digest) == 16


def changed(array):
    """Try to change an array; one that cannot be changed is as good."""
    if array.flags.writeable:
        array[:] = 77


@any_wrapping
def test_changing_rows_does_not_change_what_comes_next(opened, frame, kind):
    _, expected = frame
    changed(opened.rows(3, 9))
    changed(opened.read())
    np.testing.assert_array_equal(opened.rows(3, 9), expected[3:9])


@any_wrapping
def test_changing_words_does_not_change_what_comes_next(opened, frame, kind):
    if opened.zero is None:
        return
    _, expected = frame
    changed(opened.words(3, 9))
    np.testing.assert_array_equal(opened.words(3, 9).view(">i2").astype(int) + opened.zero, expected[3:9])


def test_no_rows_can_be_read(tmp_path):
    with RawImage(write(tmp_path, WRAPPED[0])[0]) as image:
        assert image.rows(4, 4).shape == (0, SHAPE[1])


def read(path, held, buffer=None):
    with RawImage(path) as image:
        return rows_of(image, held, buffer)


def rows_of(image, held, buffer=None):
    if held:
        image.hold(buffer)
    return image.rows(0, SHAPE[0])


@pytest.mark.parametrize("held", [False, True])
@any_wrapping
def test_a_file_that_is_cut_after_it_was_opened_is_rejected(kind, held, tmp_path):
    path, _ = write(tmp_path, kind)
    with RawImage(path) as image:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(FrameRejectedError):
            rows_of(image, held)


@pytest.mark.parametrize("held", [False, True])
def test_rows_beyond_the_end_of_a_truncated_file_cannot_be_read(held, tmp_path):
    path, expected = write(tmp_path, Kind("u2"))
    with fits.open(path) as hdus:
        start = hdus[0].fileinfo()["datLoc"]
    with RawImage(path) as image:  # it is whole when it is opened
        path.write_bytes(path.read_bytes()[: start + 10 * SHAPE[1] * 2 + 1])
        if held:
            image.hold()
        np.testing.assert_array_equal(image.rows(0, 10), expected[:10])
        for rows in [(0, 11), (9, 11), (10, 11), (22, 23)]:
            with pytest.raises(FrameRejectedError, match="ends before row"):
                image.rows(*rows)
            with pytest.raises(FrameRejectedError, match="ends before row"):
                image.words(*rows, np.empty((rows[1] - rows[0], SHAPE[1]), np.uint16))


@pytest.mark.parametrize("name", ["raw.fits", "raw.fits.fz"])
def test_a_file_that_vanished_is_rejected(name, tmp_path):
    path, _ = write(tmp_path, Kind("u2", name, int(name.endswith("fz"))))
    image = RawImage(path)
    path.unlink()
    with pytest.raises(FrameRejectedError, match="cannot be read"):
        image.hold()
    with pytest.raises(FrameRejectedError, match="cannot be read"):
        image.rows(0, 1)


# --- reused memory ---------------------------------------------------------------------------------------


def is_lent_again(buffer):
    """Whether the memory of a buffer is at hand for the next borrower."""
    first = buffer.lend(8)
    buffer.take_back(first)
    second = buffer.lend(8)
    buffer.take_back(second)
    return np.shares_memory(first, second)


def test_memory_is_lent_to_one_borrower_at_a_time():
    buffer = Buffer()
    one, other = buffer.lend(100), buffer.lend(100)
    assert not np.shares_memory(one, other)
    buffer.take_back(other)
    assert not np.shares_memory(one, buffer.lend(50))
    buffer.take_back(one)
    assert np.shares_memory(one, buffer.lend(50))


def test_memory_grows_with_the_frames():
    buffer = Buffer()
    for size in (10, 1000, 100, 2000):
        lent = buffer.lend(size)
        assert lent.size == size
        buffer.take_back(lent)
    assert is_lent_again(buffer)


def test_two_frames_held_at_the_same_time_do_not_share_memory(tmp_path):
    paths = [tmp_path / f"{n}.fits" for n in range(2)]
    values = [np.full(SHAPE, n, np.uint16) for n in range(2)]
    for path, image in zip(paths, values, strict=True):
        fits.PrimaryHDU(image).writeto(path)
    buffer = Buffer()
    with RawImage(paths[0]).hold(buffer) as one, RawImage(paths[1]).hold(buffer) as other:
        np.testing.assert_array_equal(one.read(), values[0])
        np.testing.assert_array_equal(other.read(), values[1])
    assert is_lent_again(buffer)


def test_a_short_frame_after_a_long_one_does_not_read_its_rest(tmp_path):
    long, _ = write(tmp_path, Kind("u2"))
    short = tmp_path / "short.fits"
    short.write_bytes(long.read_bytes()[: -2880 - 100])
    buffer = Buffer()
    with RawImage(long).hold(buffer):
        pass
    with pytest.raises(FrameRejectedError):
        read(short, held=True, buffer=buffer)


def test_a_frame_that_cannot_be_decoded_returns_its_memory(tmp_path):
    path, _ = write(tmp_path, Kind("u2", "raw.fits.fz", 1))
    with fits.open(path, disable_image_compression=True) as hdus:
        tiles = hdus[1].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[tiles : tiles + 500] = b"\xff" * 500
    path.write_bytes(content)
    buffer, image = Buffer(), RawImage(path)
    with pytest.raises(FrameRejectedError), image.hold(buffer):
        pass
    assert is_lent_again(buffer)


@pytest.mark.parametrize(
    "kind", [Kind("u2", "raw.fits.fz", 1), Kind("f4"), Kind("u2")], ids=lambda k: "-".join(map(str, k))
)
def test_threads_that_read_the_same_file_get_the_right_rows(kind, tmp_path):
    values = np.random.default_rng(5).integers(0, 5000, (600, 200)).astype(kind.dtype)
    path = tmp_path / kind.name
    hdu = fits.CompImageHDU(values) if kind.hdu else fits.ImageHDU(values)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    image = RawImage(path)

    def are_right(start):
        right = np.array_equal(image.rows(start, start + 4), values[start : start + 4])
        if start % 32 == 0:
            image.close()  # as stacks of very many frames do
        return right

    with image, ThreadPoolExecutor(4) as pool:
        assert all(pool.map(are_right, [start for _ in range(3) for start in range(0, 600, 4)]))


UNSIGNED = {"BSCALE": 1, "BZERO": 32768}


@pytest.mark.parametrize("name", ["raw.fits", "raw.fits.fz"])
@pytest.mark.parametrize(("cards", "zero"), [({}, 0), (UNSIGNED, 32768)], ids=["signed", "unsigned"])
def test_blank_is_no_data_in_signed_and_unsigned_integers(tmp_path, name, cards, zero):
    stored = np.random.default_rng(1).integers(-30000, 30000, SHAPE, dtype=np.int16)
    stored[5, 7] = -32768
    make = fits.CompImageHDU if name.endswith("fz") else fits.PrimaryHDU
    hdu = make(stored)
    hdu.header.update(cards | {"BLANK": -32768})
    if name.endswith("fz"):
        hdu.writeto(tmp_path / name)
    else:  # astropy would scale the pixels
        content = hdu.header.tostring().encode() + stored.astype(">i2").tobytes()
        (tmp_path / name).write_bytes(content + b"\0" * (-len(content) % 2880))
    with RawImage(tmp_path / name) as image:
        rows = image.read()
        assert image.zero is None
    assert np.isnan(rows[5, 7])
    rows[5, 7] = -32768 + zero
    np.testing.assert_array_equal(rows, stored + np.float32(zero))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_that_no_detector_gives_are_no_data(tmp_path, dtype):
    pixels = np.full((4, 5), 1000.5, dtype)
    pixels[1] = -1e30, 1e38, np.inf, np.nan, -(2.0**31)
    pixels[2, 0] = 2.0**32
    fits.PrimaryHDU(pixels).writeto(tmp_path / "raw.fits")
    with RawImage(tmp_path / "raw.fits") as image:
        rows = image.read()
    assert np.isnan(rows[1]).all()
    np.testing.assert_array_equal(np.delete(rows, 1, axis=0), np.delete(pixels, 1, axis=0))


def test_lowest_integer_of_32_bits_is_no_data(tmp_path):
    pixels = np.arange(20, dtype=np.int32).reshape(4, 5) + 2**24
    pixels[2, 3] = -(2**31)
    fits.PrimaryHDU(pixels).writeto(tmp_path / "raw.fits")
    with RawImage(tmp_path / "raw.fits") as image:
        rows = image.read()
    assert np.isnan(rows[2, 3])
    assert rows[3, 4] == 2**24 + 19
