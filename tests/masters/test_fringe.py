"""A fringe frame holds the fringes of the sky, and no stars; it is accepted only if there are fringes."""

import numpy as np
import pytest
from astropy.io import fits
from fringes import make_pattern, measure_amplitude, write_calibrated
from nightcal.errors import FrameRejectedError
from nightcal.io.keyword_registry import find_keyword
from nightcal.io.product import write_product
from nightcal.io.verdict import Outcome
from nightcal.masters.archive import archive_night
from nightcal.masters.fringe import choose_dithered, make_fringe
from nightcal.masters.fringe_agreement import compare_halves
from nightcal.masters.judge import judge
from nightcal.masters.map_master import map_master

FIVE = [(187.5 + n / 100, 12.4) for n in range(5)]


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Frames with fringes of 2 percent, and their fringe frame."""
    paths, pointings, *_ = write_calibrated(tmp_path_factory.mktemp("night"), 0.02)
    return paths, pointings, make_fringe(paths, pointings)


def test_a_fringe_frame_holds_the_planted_fringes(frames):
    product, pattern = frames[2], make_pattern((256, 256))
    good = product.mask == 0
    assert good.mean() > 0.95
    assert measure_amplitude(product.data, pattern, good) == pytest.approx(0.02, rel=0.05)
    assert product.header["FRNGRMS"] == pytest.approx(0.02 / np.sqrt(2), rel=0.05)
    assert product.header["NCOMBINE"] == 10
    assert product.header["IMCMB010"] == "frame_9.fits"


def test_its_error_bars_are_honest_and_stars_leave_no_trace(frames):
    product, pattern = frames[2], make_pattern((256, 256))
    good = product.mask == 0
    left = product.data - measure_amplitude(product.data, pattern, good) * pattern
    pulls = (left / product.uncertainty)[good]
    assert np.std(pulls) == pytest.approx(1, abs=0.06)
    assert np.mean(np.abs(pulls) > 6) < 1e-4


def test_pixels_that_no_frame_has_are_flagged_and_uncorrected(frames):
    product = frames[2]
    line = product.mask[100, 20:200]
    assert (line == 64).all()
    assert (product.data[100, 20:200] == 0).all()
    assert product.uncertainty[100, 50] == pytest.approx(0.014, rel=0.2)


def test_the_same_frames_give_the_same_bytes(frames, tmp_path):
    paths, pointings, product = frames
    write_product(tmp_path / "a.fits", product)
    write_product(tmp_path / "b.fits", make_fringe(paths, pointings, threads=2))
    assert (tmp_path / "a.fits").read_bytes() == (tmp_path / "b.fits").read_bytes()


def test_it_is_not_archived_and_its_keywords_are_known(frames, tmp_path):
    write_product(tmp_path / "20240301/masters/fringe_z.fits", frames[2])
    header = fits.getheader(tmp_path / "20240301/masters/fringe_z.fits")
    assert {card for card in header if find_keyword(card) is None} == set()
    assert archive_night(tmp_path / "20240301", tmp_path / "library") == []


def test_fringes_are_accepted(frames):
    verdict = judge(map_master(frames[2], "fringe_z"))
    assert verdict.outcome is Outcome.ACCEPTED
    assert "share a pattern of 1." in verdict.why


def test_a_sky_without_fringes_is_rejected(tmp_path):
    paths, pointings, *_ = write_calibrated(tmp_path, 0.0)
    verdict = judge(map_master(make_fringe(paths, pointings), "fringe_z"))
    assert verdict.outcome is Outcome.REJECTED
    assert "not significant" in verdict.why


def test_too_few_pointings_make_an_empty_fringe_frame_which_is_rejected(frames):
    paths, pointings, _ = frames
    product = make_fringe(paths, [pointings[0]] * 8 + pointings[8:])
    assert product.header["EMPTY"].startswith("10 frames of 3 pointings; 5 that differ by 10 arcsec are needed")
    assert judge(map_master(product, "fringe_z")).outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("pointings", "chosen"),
    [
        (FIVE, [0, 1, 2, 3, 4]),
        ([*FIVE, FIVE[0], FIVE[0]], [0, 1, 2, 3, 4]),  # no pointing prevails
        (FIVE * 2, list(range(10))),
        ([None, *FIVE], [1, 2, 3, 4, 5]),
    ],
)
def test_frames_are_chosen_so_that_no_pointing_prevails(pointings, chosen):
    assert choose_dithered(pointings) == chosen


@pytest.mark.parametrize("pointings", [FIVE[:4] * 9, [(187.5, 12.4 + n / 3600) for n in range(9)], [None] * 9])
def test_frames_that_are_not_dithered_make_no_fringe_frame(pointings):
    with pytest.raises(FrameRejectedError, match="are needed, or stars would remain"):
        choose_dithered(pointings)


def test_a_frame_of_a_few_blocks_is_too_small_to_tell():
    pattern = 0.02 * make_pattern((40, 40))
    assert compare_halves(pattern, pattern, np.ones((40, 40), bool)).why_not


def test_the_noise_of_a_flat_that_both_halves_share_is_not_taken_for_fringes():
    rng = np.random.default_rng(1)
    flat = rng.normal(0, 0.01, (256, 256))
    odd, even = (flat + rng.normal(0, 0.01, flat.shape) for _ in range(2))
    agreement = compare_halves(odd, even, np.ones(flat.shape, bool))
    assert agreement.correlation == pytest.approx(0.5, abs=0.02)
    assert agreement.why_not
