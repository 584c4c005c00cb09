"""What the observer says of a frame reaches its product: the numbers, the keywords, and the record of it."""

import json
from datetime import datetime

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.amplifiers import open_raw
from nightcal.cameras.camera_file import load_camera
from nightcal.cameras.corrected_camera import Facts, correct_camera
from nightcal.detector.gain import GainAndReadNoise
from nightcal.io.raw_image import RawImage
from nightcal.masters.make import make_master_bias
from nightcal.planning.overrides import Override, leave_out_gain, parse_overrides
from nightcal.science.reduce import ScienceBatch, reduce_frame

CAMERA = load_camera(REPOSITORY / "config/cameras/generic.yaml")


@pytest.fixture
def take(tmp_path):
    """Take a raw frame of 1000 ADU."""

    def shoot(name, **changes):
        cards = {"IMAGETYP": "Light Frame", "EXPTIME": 10.0, "FILTER": "V", "EGAIN": 1.5, "RDNOISE": 5.0}
        cards |= {"DATE-OBS": datetime(2024, 3, 1, 23).isoformat()} | changes
        path = tmp_path / name
        pixels = np.random.default_rng(len(name)).normal(1000, 4, (16, 16)).astype(np.uint16)
        fits.PrimaryHDU(pixels, fits.Header(cards)).writeto(path)
        return path

    return shoot


def reduce(path, **overrides):
    out = path.with_suffix(".out")
    reduce_frame(path, out, ScienceBatch(camera=CAMERA, overrides=overrides))
    with fits.open(out) as hdus:
        return out.read_bytes(), hdus[0].header.copy(), hdus[0].data.copy()


def test_the_product_of_a_corrected_frame_says_what_holds(take):
    path = take("a.fits")
    before, plain, image = reduce(path)
    facts = Facts(filter="R", exposure=20.0, gain=3.0, read_noise=8.0)
    _, header, corrected = reduce(path, **{str(path): Override(facts, text="night.yaml: filter R, note: x")})
    assert header["RULE001"] == "night.yaml: filter R, note: x"
    assert (header["FILTER"], header["EXPTIME"], header["RAWEGAIN"]) == ("R", 20.0, 1.5)
    assert (header["GAINUSED"], header["RNUSED"]) == (3.0, 8.0)
    assert header["MJD-AVG"] - plain["MJD-AVG"] == pytest.approx(5 / 86400, abs=1e-9)
    assert header["CONFHASH"] != plain["CONFHASH"]
    np.testing.assert_allclose(corrected, 2 * image, rtol=1e-6)
    assert "RULE001" not in plain
    assert reduce(path, **{str(path.parent / "other.fits"): Override(facts, text="x")})[0] == before


def test_an_empty_product_tells_the_rule_too(take):
    path = take("a.fits", **{"DATE-OBS": "yesterday"})
    _, header, _ = reduce(path, **{"*": Override(Facts(filter="R"), text="night.yaml: filter R")})
    assert header["EMPTY"]
    assert header["RULE001"] == "night.yaml: filter R"


def test_a_master_tells_how_many_of_its_frames_a_rule_names(take, tmp_path):
    paths = [take(f"{'b' * n}.fits", IMAGETYP="Flat Field") for n in range(1, 5)]
    said = {str(path): {"type": "bias", "exposure": 0, "gain": 2.0, "text": "night.yaml: type bias"} for path in paths}
    said[str(paths[0])] |= {"text": "night.yaml: type bias, note: first"}
    product = make_master_bias(paths, CAMERA, overrides=parse_overrides(json.loads(json.dumps(said))))
    assert product.header["NCOMBINE"] == 4
    assert product.header["GAINUSED"] == 2.0
    assert product.header["RULE001"] == "night.yaml: type bias, note: first (1 of 4 frames)"
    assert product.header["RULE002"] == "night.yaml: type bias (3 of 4 frames)"


def test_the_observers_gain_wins_over_a_setting_and_over_a_measurement(take):
    measured = GainAndReadNoise(1.7, 7.0, "measured", errors=((0.001, 0.01),), use="measured")
    image = RawImage(take("a.fits", GAIN=100, EGAIN=2.0))
    facts = Facts(gain=3.0, read_noise=8.0)
    for said, expected in ((facts, (3.0, 8.0)), (Facts(read_noise=8.0), (1.7, 8.0)), (Facts(), (1.7, 7.0))):
        _, gain = open_raw(image, correct_camera(CAMERA, said), measured)
        assert (gain.gain, gain.read_noise) == expected
    _, gain = open_raw(image, correct_camera(CAMERA, facts), measured)
    assert (gain.source, gain.warning) == ("the observer's rules", "")


def test_a_gain_is_measured_whatever_the_observer_says_of_it():
    said = {"a.fits": Override(Facts(gain=3.0, filter="R"), text="x")}
    assert leave_out_gain(said)["a.fits"] == Override(Facts(filter="R"))
