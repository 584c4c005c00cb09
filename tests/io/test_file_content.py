"""The hash of a raw file notices other pixels and other headers, and nothing else."""

import numpy as np
import pytest
from nightcal.io.file_content import LONGEST_HEADER, SAMPLE, SAMPLES, hash_content

LENGTH = 1_000_000


@pytest.fixture
def noise():
    return np.random.default_rng(3).integers(0, 256, LENGTH, np.uint8).tobytes()


def test_a_copy_has_the_same_hash(tmp_path, noise):
    for name in ("a.fits", "b.fits"):
        (tmp_path / name).write_bytes(noise)
    assert hash_content(tmp_path / "a.fits") == hash_content(tmp_path / "b.fits")


@pytest.mark.parametrize("place", [0, LONGEST_HEADER - 1, LENGTH // 3, LENGTH - 1])
def test_a_byte_of_the_header_or_of_a_sample_matters(place, tmp_path, noise):
    path = tmp_path / "a.fits"
    path.write_bytes(noise)
    before, changed = hash_content(path), bytearray(noise)
    changed[place] ^= 1
    path.write_bytes(changed)
    assert hash_content(path) != before


@pytest.mark.parametrize("length", [0, 1, 2880, SAMPLE, SAMPLE * SAMPLES])
def test_a_short_file_is_read_as_a_whole(length, tmp_path, noise):
    path = tmp_path / "a.fits"
    path.write_bytes(noise[:length])
    before = hash_content(path, 0)
    path.write_bytes(noise[: length // 2] + b"x" + noise[length // 2 + 1 : length])
    assert hash_content(path, 0) != before


def test_a_file_that_cannot_be_read_has_no_hash(tmp_path):
    assert hash_content(tmp_path / "nowhere.fits") == ""
