"""Simulated frames, calibrated and measured, agree with the truth."""

from datetime import datetime

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY, make_masters
from nightcal.cameras.camera_file import load_camera
from nightcal.io.source_catalog import read_catalog
from nightcal.numerics import kernels
from nightcal.science.measure import read_measurements
from nightcal.science.reduce import ScienceBatch, reduce_frame
from nightcal.simulation.night import add_cosmic_rays, expose, simulate_night, write_raw
from nightcal.simulation.sky import CENTRE, PASSBANDS, make_sky

EXPOSURE = 120.0
SEEDS = 20
TRUE = PASSBANDS["R"]
STEPS = {
    "cosmic_rays": {},
    "sources": {},
    "astrometry": {},
    "photometry": {"filters": {"R": {"band": "r", "colour": ["g", "r"]}}},
}


@pytest.fixture(scope="module")
def compiled_search():
    """Search cosmic rays in compiled loops: the same results to the last bit, in less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "LAPLACIAN_WORTHWHILE", 0)
        yield


@pytest.fixture(scope="module")
def measured(tmp_path_factory, compiled_search):
    """Calibrate and measure 20 skies with their own catalogues and one set of masters; return headers and tables."""
    folder = tmp_path_factory.mktemp("measured")
    camera = load_camera(REPOSITORY / "config" / "cameras" / "generic.yaml")
    chip = simulate_night(folder / "raw", folder / "truth", filters=("R",), n_science=0).chip
    masters = make_masters(folder / "raw", camera)
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        sky = make_sky(chip.shape, 150, rng)
        sky.write_catalog(folder / "stars.csv", rng)
        raw = expose(chip, rng, sky.render("R", CENTRE, 3.0) + 4.0, EXPOSURE, "R")
        raw, _ = add_cosmic_rays(raw, rng, 25, chip)
        paths = [folder / f"{name}_{seed}.fits" for name in ("raw", "science", "catalog")]
        believed = CENTRE[0] + 0.02, CENTRE[1] - 0.01
        write_raw(paths[0], raw, chip, "Light Frame", EXPOSURE, "R", datetime(2024, 3, 2, 1), "Field", believed)
        measurements = read_measurements(STEPS, [folder / "stars.csv"])
        batch = ScienceBatch(camera=camera, masters=masters, measurements=measurements)
        reduce_frame(*paths[:2], batch, paths[2])
        found.append((fits.getheader(paths[1]), read_catalog(paths[2]), sky))
    return found


def find_departure(header):
    """Subtract the true zero point, for stars of the colour of the measurement."""
    return header["ZP"] - TRUE.zero_point - TRUE.colour_term * header["ZPCMEAN"]


@pytest.mark.slow
def test_zero_points_agree_with_the_truth_and_their_errors_are_honest(measured):
    headers = [header for header, _, _ in measured]
    assert all(header["WCSSTAT"].startswith("solved") for header in headers)
    assert abs(np.mean([find_departure(header) for header in headers])) < 0.001
    assert max(abs(find_departure(header)) for header in headers) < 0.006
    pulls = [find_departure(header) / header["ZPERR"] for header in headers]
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=3 * (2 * SEEDS) ** -0.5)


@pytest.mark.slow
def test_colour_terms_agree_with_the_truth(measured):
    pulls = [(header["ZPCTERM"] - TRUE.colour_term) / header["ZPCTERR"] for header, _, _ in measured]
    assert np.mean(np.abs(pulls) < 2) > 0.8
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1, abs=3 * (2 * SEEDS) ** -0.5)
