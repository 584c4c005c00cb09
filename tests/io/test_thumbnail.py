"""Small pictures show the frame the right way up, with flagged areas in red."""

import io

import numpy as np
import pytest
from nightcal.io.thumbnail import RED, SIDE, make_thumbnail, write_thumbnail
from PIL import Image


def read(picture):
    return np.asarray(Image.open(io.BytesIO(picture))).astype(int)


def make_slope(shape):
    return np.broadcast_to(np.linspace(100, 200, shape[0])[:, np.newaxis], shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(400, 1000), (1000, 400), (100, 60), (3, 5), (191, 193)])
def test_the_picture_is_small_and_keeps_its_proportions(shape):
    picture = read(make_thumbnail(make_slope(shape)))
    assert max(picture.shape) <= SIDE
    assert picture.shape[0] / picture.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.1)


def test_the_first_row_is_at_the_bottom_and_brighter_is_whiter():
    picture = read(make_thumbnail(make_slope((400, 400))))
    assert picture[-5].mean() < 40
    assert picture[5].mean() > 200


def test_areas_that_are_flagged_or_unknown_are_red_and_single_pixels_are_not():
    image, flagged = make_slope((400, 400)).copy(), np.zeros((400, 400), bool)
    flagged[:100, :100] = True
    flagged[300, 300] = True
    image[300:, 100:200] = np.nan
    picture = read(make_thumbnail(image, flagged))
    side = len(picture)
    assert np.abs(picture[-side // 8, side // 8] - RED).max() < 25
    assert np.abs(picture[side // 8, side * 3 // 8] - RED).max() < 25
    assert np.ptp(picture[side // 4, side * 3 // 4]) < 10


def test_nothing_but_unknown_pixels_is_a_picture_too():
    picture = read(make_thumbnail(np.full((20, 30), np.nan, np.float32)))
    assert np.abs(picture - RED).max() < 10


def test_the_same_frame_gives_the_same_bytes(tmp_path):
    image = make_slope((300, 200))
    write_thumbnail(tmp_path / "a.jpg", image)
    write_thumbnail(tmp_path / "b.jpg", image.copy())
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes() == make_thumbnail(image)
