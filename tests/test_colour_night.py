"""A night of a one-shot colour camera through Snakemake: each colour is calibrated by itself, with honest errors."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY

SHAPE = (160, 160)
GAIN, READ_NOISE, BIAS, DARK = 1.5, 6.0, 1000.0, 0.05
SKY = {"R": 400.0, "G1": 500.0, "G2": 500.0, "B": 300.0}
LAMP = {"R": 0.45, "G1": 1.0, "G2": 1.0, "B": 0.3}
PLACES = {"G1": (0, 0), "R": (0, 1), "B": (1, 0), "G2": (1, 1)}  # GRBG
PLAN = [("Bias", 0, 9), ("Dark", 60, 9), ("Flat", 5, 9), ("Light", 60, 3)]


def paint(values):
    image = np.zeros(SHAPE)
    for colour, (top, left) in PLACES.items():
        image[top::2, left::2] = values[colour]
    return image


@pytest.fixture(scope="module")
def results(tmp_path_factory, snakemake):
    folder, rng, time = tmp_path_factory.mktemp("colour"), np.random.default_rng(5), datetime(2024, 3, 1, 18)
    (folder / "raw").mkdir()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    structure = 5 * np.sin(x / 7) + rng.normal(0, 1, SHAPE)
    response = 1 - 0.2 * ((x / SHAPE[1] - 0.7) ** 2 + (y / SHAPE[0] - 0.6) ** 2)
    response /= np.mean(response[40:120, 40:120])
    for kind, seconds, count in PLAN:
        for n in range(count):
            light = {"Flat": 30000 * paint(LAMP), "Light": paint(SKY)}.get(kind, 0)
            electrons = rng.poisson(light * response + DARK * seconds) + rng.normal(0, READ_NOISE, SHAPE)
            cards = {"IMAGETYP": kind, "EXPTIME": float(seconds), "DATE-OBS": time.isoformat(), "BAYERPAT": "GRBG"}
            cards |= {"EGAIN": GAIN, "RDNOISE": READ_NOISE, "SITELONG": 0.0}
            time += timedelta(seconds=seconds + 20)
            adu = np.round(electrons / GAIN + BIAS + structure).astype(np.uint16)
            fits.PrimaryHDU(adu, fits.Header(cards)).writeto(folder / "raw" / f"{kind}_{n}.fits")
    generic = (REPOSITORY / "config/cameras/generic.yaml").read_text().replace("name: generic", "name: colour")
    (folder / "colour.yaml").write_text(f"{generic}\nbayer: split\n")
    return snakemake.reduced(folder / "raw", folder / "results", camera=folder / "colour.yaml", crosscheck=True)


@pytest.mark.parametrize("colour", SKY)
def test_each_colour_of_the_sky_is_right_with_honest_error_bars(results, colour):
    products = sorted((results / "20240301/science").glob(f"Light_?_{colour}.fits"))
    assert len(products) == 3
    for path in products:
        with fits.open(path) as hdus:
            data, sigma, good = hdus[0].data, hdus["UNCERT"].data, hdus["MASK"].data == 0
            assert (hdus[0].header["FILTER"], hdus[0].header["NCPLANE"]) == (colour, colour)
            assert not any(key.startswith(("WARN", "SKIP")) for key in hdus[0].header)
        assert good.mean() > 0.99
        assert np.median(data[good]) == pytest.approx(SKY[colour], rel=0.01)
        pull = (data[good] - SKY[colour]) / sigma[good]
        assert pull.std() == pytest.approx(1, abs=0.05)
        assert pull.mean() == pytest.approx(0, abs=0.1)


def test_another_program_finds_the_same_pixels(results):
    checks = sorted((results / "20240301").glob("crosscheck_*.json"))
    assert len(checks) == 4
    assert all('"above_limit": 0' in path.read_text() for path in checks)
