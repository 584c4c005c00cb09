"""Las Cumbres frames: a raw Sinistro of four amplifiers, frames put together on site, and one that is cut short."""

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_cameras
from nightcal.flags import Flag
from nightcal.planning.frames import scan
from nightcal.science.reduce import ScienceBatch, reduce_frame


@pytest.fixture(scope="module")
def cameras():
    return {camera.name: camera for camera in load_cameras(REPOSITORY / "config/cameras")}


@pytest.fixture(scope="module")
def sinistro(data, cameras, tmp_path_factory):
    """The raw frame of four amplifiers, with overscan, crosstalk, gain and mosaic done."""
    out = tmp_path_factory.mktemp("sinistro") / "out.fits"
    raw = data / "frames/lco/mef_raw_test_frame.fits"
    reduce_frame(raw, out, ScienceBatch(camera=cameras["lco-sinistro"]))
    with fits.open(out) as hdus, fits.open(raw) as planes:
        yield [hdu.copy() for hdu in hdus], [plane.copy() for plane in planes]


def test_the_mosaic_of_the_raw_frame_is_whole(sinistro):
    (image, _, mask), _ = sinistro
    assert image.data.shape == (1024, 1024)
    assert image.header["NAMPS"] == 4
    assert image.header["XTALKCOR"]
    assert not (mask.data & Flag.NO_DATA).any()


def test_overscan_levels_are_those_of_the_pixels(sinistro):
    (image, *_), planes = sinistro
    for n, plane in enumerate(planes[1:], start=1):
        level = np.mean(plane.data[:512, 519:540])
        assert 2522 < level < 2582
        assert image.header[f"OVSCLV{n:02d}"] == pytest.approx(level, abs=0.5)
        assert image.header[f"GAINUS{n:02d}"] == plane.header["GAIN"]


def test_the_sky_goes_on_across_the_seams(sinistro):
    """Medians of 16 rows or columns on either side, over halves of each seam.

    There is no bias frame and no flat of that camera. The steps are 8 to 50 e- of a sky of 1880, with 44 e- of noise in
    a pixel; in ADU the sky goes on to 1 percent, so the header's gain of amplifier 1, 3 percent above the others', is
    in doubt.
    """
    (image, uncertainty, mask), _ = sinistro
    values = np.where(mask.data == 0, image.data, np.nan)
    sigma = np.nanmedian(uncertainty.data)
    for pixels in (values, values.T):
        for start in range(0, 1024, 512):
            low, high = pixels[496:512, start : start + 512], pixels[512:528, start : start + 512]
            step = np.nanmedian(high) - np.nanmedian(low)
            assert abs(step) < 1.5 * sigma, f"step of {step:.1f} e- at {start}; noise of a pixel {sigma:.1f} e-"


def test_frames_put_together_on_site_form_masters_of_the_right_shapes(data, cameras):
    frames = {frame.name: frame for frame in scan(data / "frames/lco", list(cameras.values()))}
    kinds = {
        name.rpartition("-")[2][:1] if "mef" not in name else "mef": (f.kind, f.camera, f.amplifiers)
        for name, f in frames.items()
        if "kb05" not in name
    }
    assert kinds["b"] == ("bias", "lco", 1)
    assert kinds["d"] == ("dark", "lco", 1)
    assert kinds["f"] == ("flat", "lco", 1)
    assert kinds["mef"] == ("science", "lco-sinistro", 4)


def test_a_reduced_frame_is_rejected_with_its_mark(data, cameras):
    frames = scan(data / "frames/lco", list(cameras.values()))
    (reduced,) = [frame for frame in frames if frame.problem]
    assert "kb05" in reduced.name
    assert reduced.problem == "a product, not a raw frame: PIPEVER is 'LCOPIPE-V0.7.8-r8649'"
