"""Fringes are subtracted from a frame if they are there, and the frame is left alone if they are not."""

import numpy as np
import pytest
from astropy.io import fits
from fringes import make_pattern, measure_amplitude, write_calibrated
from nightcal.io.master import load_master
from nightcal.io.product import Product, write_product
from nightcal.masters.fringe import make_fringe
from nightcal.measurement.fringe import fit_scale, read_fringe_frame, subtract_fringes


def read(path):
    with fits.open(path) as hdus:
        image, uncertainty, mask = (np.array(hdus[n].data, dtype) for n, dtype in enumerate(("f4", "f4", "u1")))
        return Product(image, uncertainty, mask, "electron", hdus[0].header.copy())


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Eleven frames with fringes of 2 percent, their truths and levels, and the fringe frame of the first ten."""
    folder = tmp_path_factory.mktemp("night")
    paths, pointings, truths, levels = write_calibrated(folder, 0.02, frames=11)
    write_product(folder / "fringe.fits", make_fringe(paths[:10], pointings[:10]))
    path = folder / "fringe.fits"
    return paths, truths, levels, read_fringe_frame(path, load_master(path))


def test_fringes_of_two_percent_are_removed_to_a_seventh_and_less(night):
    paths, truths, levels, fringe = night
    pattern = make_pattern((256, 256))
    for path, truth, level in zip(paths, truths, levels, strict=True):
        product = subtract_fringes(read(path), fringe, path.name)
        good = (product.mask == 0) & fringe.known
        left = measure_amplitude(product.data - truth, pattern, good) / level
        assert abs(left) < 0.003
        header = product.header
        assert header["FRNGCOR"]
        assert header["FRNGSTAT"] == "subtracted"
        assert header["FRNGSCAL"] == pytest.approx(level, rel=0.05)
        assert 0 < header["FRNGERR"] < 0.01 * level
        assert header["FRNGAFT"] < 0.9 * header["FRNGBEF"]


def test_pulls_of_the_sky_are_near_one_afterwards(night):
    paths, truths, levels, fringe = night
    for path, truth, level in zip(paths, truths, levels, strict=True):
        before, after = read(path), subtract_fringes(read(path), fringe, path.name)
        sky = (after.mask == 0) & fringe.known & (truth < 1.03 * level)
        assert np.std(((before.data - truth) / before.uncertainty)[sky]) > 1.2
        assert np.std(((after.data - truth) / after.uncertainty)[sky]) == pytest.approx(1, abs=0.03)
        assert (after.uncertainty > before.uncertainty).all()


def test_a_frame_without_fringes_is_left_alone(night, tmp_path):
    (path, *_), *_ = write_calibrated(tmp_path, 0.0, frames=1)
    before = read(path)
    after = subtract_fringes(read(path), night[3])
    assert (after.data == before.data).all()
    assert (after.uncertainty == before.uncertainty).all()
    assert not after.header["FRNGCOR"]
    assert "is not significant" in after.header["FRNGSTAT"]


def test_faint_stars_lose_no_flux(night):
    paths, truths, levels, fringe = night
    changes = []
    for path, truth, level in zip(paths, truths, levels, strict=True):
        product = subtract_fringes(read(path), fringe, path.name)
        sky = np.median(truth[truth < 1.03 * level])
        faint = (product.mask == 0) & fringe.known & (truth > sky + 50) & (truth < sky + 250)
        changes.append(float(np.mean((product.data - truth)[faint])) / float(np.mean(truth[faint] - sky)))
    assert abs(np.mean(changes)) < 0.03


def test_without_an_accepted_fringe_frame_nothing_is_subtracted(night):
    before = read(night[0][0])
    after = subtract_fringes(before, None)
    assert after is before
    assert after.header["FRNGSTAT"] == "not subtracted: no accepted fringe frame"


def test_a_frame_of_another_size_is_left_alone(night):
    small = read(night[0][0])
    small = Product(small.data[:100], small.uncertainty[:100], small.mask[:100], "electron", small.header)
    assert subtract_fringes(small, night[3]) is small
    assert "has 256 x 256 pixels" in small.header["FRNGSTAT"]


def test_a_frame_of_flagged_pixels_is_left_alone(night):
    paths, *_, fringe = night
    product = read(paths[0])
    product.mask[:] = 1
    assert subtract_fringes(product, fringe, paths[0].name) is product
    assert product.header["FRNGSTAT"].startswith("not subtracted: too few pixels of sky")


def test_the_scale_has_an_honest_error_and_ignores_outliers():
    rng = np.random.default_rng(2)
    pattern, pulls = rng.normal(0, 1, 2000), []
    for _ in range(200):
        sigma = rng.uniform(1, 3, 2000)
        values = 7 + 5 * pattern + rng.normal(0, sigma)
        values[:20] += 100
        scale, error = fit_scale(values, sigma, pattern)
        pulls.append((scale - 5) / error)
    assert np.std(pulls) == pytest.approx(1, abs=0.15)
    assert abs(np.mean(pulls)) < 0.25
