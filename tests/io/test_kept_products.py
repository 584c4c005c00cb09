"""Products are restored if nothing has changed of which they were made, and only then; damaged ones are not."""

import os

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.kept_products import KEY, KeptProducts, hash_inputs
from nightcal.io.product import Product, write_product


@pytest.fixture
def products(tmp_path):
    paths = [tmp_path / "science" / f"{n}.fits" for n in range(2)]
    for n, path in enumerate(paths):
        image = np.full((20, 30), n, np.float32)
        write_product(path, Product(image, image, np.zeros((20, 30), np.int16), "electron", fits.Header()))
    return paths


def test_products_come_back_as_they_were_with_the_time_of_now(products, tmp_path):
    KeptProducts(tmp_path / "kept", products, "a").save()
    before, written = [path.read_bytes() for path in products], products[0].stat().st_mtime_ns
    for path in products:
        path.unlink()
    assert KeptProducts(tmp_path / "kept", products, "a").restore()
    assert [path.read_bytes() for path in products] == before
    assert all(path.stat().st_mtime_ns > written for path in products)


def test_they_take_no_space_while_the_products_are_there(products, tmp_path):
    KeptProducts(tmp_path / "kept", products, "a").save()
    assert [path.stat().st_nlink for path in products] == [2, 2]


def test_products_of_something_else_are_not_restored(products, tmp_path):
    KeptProducts(tmp_path / "kept", products, "a").save()
    assert not KeptProducts(tmp_path / "kept", products, "b").restore()
    assert not KeptProducts(tmp_path / "kept", products[:1], "a").restore()
    assert not KeptProducts(tmp_path / "elsewhere", products, "a").restore()


@pytest.mark.parametrize("damage", ["0", "1", KEY])
def test_damaged_or_missing_files_are_not_restored(damage, products, tmp_path):
    KeptProducts(tmp_path / "kept", products, "a").save()
    path = tmp_path / "kept" / damage
    path.write_bytes(path.read_bytes()[:-1])
    assert not KeptProducts(tmp_path / "kept", products, "a").restore()
    path.unlink()
    assert not KeptProducts(tmp_path / "kept", products, "a").restore()


def test_a_flipped_bit_under_the_old_time_is_found_by_the_checksum(products, tmp_path):
    KeptProducts(tmp_path / "kept", products, "a").save()
    path = tmp_path / "kept" / "1"
    time, content = path.stat().st_mtime_ns, bytearray(path.read_bytes())
    with fits.open(products[1]) as hdus:
        content[hdus[0].fileinfo()["datLoc"] + 10] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(time, time))
    assert not KeptProducts(tmp_path / "kept", products, "a").restore()


def test_products_can_be_restored_twice(products, tmp_path):
    KeptProducts(tmp_path / "kept", products, "a").save()
    for _ in range(2):
        products[0].unlink()
        assert KeptProducts(tmp_path / "kept", products, "a").restore()


def test_a_stop_while_keeping_leaves_nothing_to_restore(products, tmp_path, monkeypatch):
    KeptProducts(tmp_path / "kept", products, "a").save()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "link", stop)
    with pytest.raises(KeyboardInterrupt):
        KeptProducts(tmp_path / "kept", products, "b").save()
    assert not KeptProducts(tmp_path / "kept", products, "a").restore()
    assert not KeptProducts(tmp_path / "kept", products, "b").restore()


def test_a_disk_without_links_keeps_nothing_and_says_so(products, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")

    def refuse(*_):
        raise OSError(1, "no links")

    monkeypatch.setattr(os, "link", refuse)
    KeptProducts(tmp_path / "kept", products, "a").save()
    assert "not kept" in caplog.text
    assert not KeptProducts(tmp_path / "kept", products, "a").restore()


def test_the_hash_knows_raw_frames_by_their_times_and_other_files_by_their_content(tmp_path):
    raw, camera = tmp_path / "raw.fits", tmp_path / "camera.yaml"
    raw.write_bytes(b"1234")
    camera.write_text("gain: 1")
    one = hash_inputs([raw], {"camera": camera, "unit": "adu", "limit": 3.5})
    os.utime(camera, (5, 5))
    assert hash_inputs([raw], {"limit": 3.5, "unit": "adu", "camera": camera}) == one
    assert hash_inputs([raw], {"camera": camera, "unit": "electron", "limit": 3.5}) != one
    os.utime(raw, (5, 5))
    two = hash_inputs([raw], {"camera": camera, "unit": "adu", "limit": 3.5})
    assert two != one
    camera.write_text("gain: 2")
    assert hash_inputs([raw], {"camera": camera, "unit": "adu", "limit": 3.5}) != two
