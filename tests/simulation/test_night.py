"""The simulated detector has the stated properties."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.io.raw_header import read_header
from nightcal.measurement.astrometry.pointing import find_hint
from nightcal.simulation.camera import simulate_camera
from nightcal.simulation.night import add_cosmic_rays, expose, make_chip, simulate_night
from nightcal.simulation.sky import CENTRE, DISTORTION, PASSBANDS, make_camera_wcs, make_sky, paint

SMALL = {"shape": (96, 128), "n_bias": 4, "n_dark": 3, "n_flat": 2, "n_science": 2, "n_stars": 20}


@pytest.fixture(scope="module")
def chip():
    return make_chip()


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    return simulate_night(folder / "raw", folder / "truth", **SMALL)


def electrons_above_overscan(raw, chip):
    """Image area minus the mean of its overscan, in electrons."""
    nx = chip.shape[1]
    return (raw[:, :nx].astype(float) - raw[:, nx:].mean()) * chip.gain


def test_the_same_seed_gives_the_same_bytes(night, tmp_path):
    again = simulate_night(tmp_path / "raw", tmp_path / "truth", **SMALL)
    for first, second in zip(night.frames + night.truths, again.frames + again.truths, strict=True):
        assert first.name == second.name
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("gain", [0.7, 6.0])
def test_the_noise_of_a_bias_is_the_read_noise_with_rounding(gain, rng):
    chip = make_chip(gain=gain, stuck_column=False)
    first, second = (expose(chip, rng, 0.0, 0.0, None).astype(float) for _ in range(2))
    assert np.std(first - second) / np.sqrt(2) * gain == pytest.approx(chip.read_noise, rel=0.01)


def test_two_flats_give_the_gain(chip, rng):
    nx = chip.shape[1]
    good = ~chip.stuck & ~chip.dead & ~chip.hot
    first, second = (expose(chip, rng, 30000.0, 1.0, "V").astype(float)[:, :nx][good] for _ in range(2))
    signal = (first + second).mean() / 2 - chip.bias_level
    variance = np.var(first - second) / 2 - (chip.read_noise / chip.gain) ** 2
    assert signal / variance == pytest.approx(chip.gain, rel=0.02)


def test_mean_of_an_exposure_is_the_truth(chip, rng):
    raw = expose(chip, rng, 50.0, 20.0, "R", bias_drift=7.3)
    expected = (50 * chip.response["R"] + chip.dark_current) * 20 + chip.bias_structure
    difference = (electrons_above_overscan(raw, chip) - expected)[~chip.stuck]
    # One part is the sky's noise over 512 x 512 pixels, the other the overscan's.
    error = np.hypot(np.sqrt(1000 + 36) / 512, 6 / np.sqrt(512 * chip.overscan))
    assert abs(difference.mean()) < 4 * error


@pytest.mark.parametrize("name", ["V", "R"])
def test_response_is_1_in_the_central_quarter(name):
    chip = make_chip((97, 130))
    centre = slice(24, 73), slice(32, 98)
    assert chip.response[name][centre][~chip.dead[centre]].mean() == pytest.approx(1, abs=1e-12)


def test_stuck_column_reads_65535_in_every_frame(night):
    chip = night.chip
    assert np.flatnonzero(chip.stuck.any(axis=0)).size == 1
    for path in night.frames:
        raw = fits.getdata(path)
        assert raw.dtype == np.uint16
        assert (raw[:, : chip.shape[1]][chip.stuck] == 65535).all()
        assert (raw[:, chip.shape[1] :] < 1100).all()


def test_hot_and_dead_pixels_are_where_they_were_put(chip, rng):
    nx = chip.shape[1]
    dark, flat = expose(chip, rng, 0.0, 120.0, None)[:, :nx], expose(chip, rng, 30000.0, 1.0, "V")[:, :nx]
    assert set(np.flatnonzero(dark > 1100)) == set(np.flatnonzero(chip.hot | chip.stuck))
    assert set(np.flatnonzero(flat < 5000)) == set(np.flatnonzero(chip.dead))


def test_stars_keep_their_flux_and_the_brightest_saturate_in_a_minute(chip, rng):
    lone = paint((201, 201), np.array([100.3]), np.array([99.6]), np.array([1000.0]), 3.0)
    assert lone.sum() == pytest.approx(1000, rel=1e-3)
    stars = make_sky(chip.shape, 150, rng).render("V", CENTRE, 3.0)
    raw = expose(chip, rng, stars + 0.4, 60.0, "V")[:, : chip.shape[1]]
    assert 2 <= np.count_nonzero(raw == chip.saturation) < 100


def test_a_star_at_the_edge_contributes_half_its_flux():
    assert paint((50, 60), np.array([-0.5]), np.array([20.0]), np.array([1000.0]), 3.0).sum() == pytest.approx(
        500, rel=1e-3
    )


def test_the_corners_are_displaced_by_the_distortion():
    wcs, shape = make_camera_wcs((200, 300), CENTRE), (200, 300)
    plain = make_camera_wcs(shape, CENTRE)
    plain.sip = None
    corner = np.array([[-0.5, -0.5], [299.5, 199.5]])
    middle = np.array([[149.5, 99.5]] * 2)
    distance, plain_distance = (
        np.hypot(*(w.wcs_world2pix(w.all_pix2world(corner, 0), 0) - middle).T) for w in (wcs, plain)
    )
    assert distance / plain_distance == pytest.approx([1 + DISTORTION] * 2, rel=1e-5)


def test_count_rates_follow_magnitudes_and_passband(rng):
    sky = make_sky((100, 100), 5, rng)
    band = PASSBANDS["R"]
    rate = band.compute_rate(sky.magnitudes)
    colour = sky.magnitudes["g"] - sky.magnitudes["r"]
    np.testing.assert_allclose(
        sky.magnitudes["r"], band.zero_point - 2.5 * np.log10(rate) + band.colour_term * colour, rtol=1e-12
    )


def test_stars_of_the_catalogue_are_in_the_truth(night):
    stars = Table.read(night.frames[0].parent / "stars.csv")
    with fits.open(night.truths[0]) as hdus:
        image, header = hdus[0].data, hdus[0].header
        x, y = WCS(header).all_world2pix(stars["ra"], stars["dec"], 0)
    ny, nx = image.shape
    inside = (x > 3) & (x < nx - 4) & (y > 3) & (y < ny - 4)
    column, row = (np.rint(values[inside]).astype(int) for values in (x, y))
    around = np.array([image[j - 3 : j + 4, i - 3 : i + 4].max() for i, j in zip(column, row, strict=True)])
    assert inside.sum() > 10
    assert (image[row, column] > 0.5 * around).mean() > 0.8


def test_cosmic_rays_are_in_the_returned_mask_and_nowhere_else(chip, rng):
    nx = chip.shape[1]
    before = expose(chip, rng, 0.4, 60.0, "V")
    after, hit = add_cosmic_rays(before, rng, 300, chip)
    assert hit.sum() > 300
    np.testing.assert_array_equal(after[:, :nx] > before[:, :nx], hit & ~chip.stuck)
    np.testing.assert_array_equal(after[:, nx:], before[:, nx:])


def test_the_header_has_the_keywords_of_the_camera_file(night):
    header = fits.getheader(next(path for path in night.frames if path.name == "field_V_001.fits"))
    assert (header["BITPIX"], header["BZERO"]) == (16, 32768)
    assert (header["BIASSEC"], header["TRIMSEC"]) == ("[129:160,1:96]", "[1:128,1:96]")
    assert (header["IMAGETYP"], header["FILTER"], header["EXPTIME"]) == ("Light Frame", "V", 60.0)
    assert header["DATE-OBS"] == "2024-03-02T01:00:00.000"


def test_a_night_of_a_camera_file_has_pointing_and_scale(tmp_path):
    camera = load_camera(REPOSITORY / "config" / "cameras" / "lco-sinistro.yaml")
    few = SMALL | {"n_bias": 0, "n_dark": 0, "n_flat": 0, "n_science": 1}
    del few["shape"]
    made = simulate_night(tmp_path / "raw", tmp_path / "truth", camera=simulate_camera(camera, 64), **few)
    hint = find_hint(read_header(made.frames[0]), camera)
    assert hint.pointing == pytest.approx(CENTRE, abs=0.1)
    assert hint.scale == pytest.approx(1, rel=0.02)


def test_every_frame_was_taken_between_noon_and_noon_at_the_telescope(night):
    starts = [fits.getheader(path)["DATE-OBS"] for path in night.frames]
    assert starts == sorted(starts)
    assert starts[0] > "2024-03-01T16:40"
    assert starts[-1] < "2024-03-02T16:40"


def test_a_truth_among_the_raw_frames_raises(tmp_path):
    with pytest.raises(ValueError, match="inside the raw folder"):
        simulate_night(tmp_path, tmp_path / "truth", **SMALL)
