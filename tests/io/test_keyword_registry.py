"""Keywords of products: every one is in the registry, with its comment."""

import pytest
from astropy.io import fits
from helpers import REPOSITORY, make_masters
from nightcal.cameras.camera_file import load_camera
from nightcal.io.keyword import match_any
from nightcal.io.keyword_registry import KEYWORDS, find_keyword
from nightcal.io.keywords import NUMBER_COMMENT, remove_keywords, set_cards
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.masters.make import make_bad_pixel_mask
from nightcal.science.measure import read_measurements
from nightcal.science.reduce import ScienceBatch, reduce_frame
from nightcal.simulation.night import simulate_night

EVERY = [keyword for group in KEYWORDS.values() for keyword in group]
EVERYTHING = {
    "cosmic_rays": {},
    "sources": {},
    "astrometry": {},
    "photometry": {"filters": {"V": {"band": "V", "colour": ["B", "V"]}}},
}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Folder with the products of a small night: masters, a mask, a measured science frame, and its sources."""
    folder = tmp_path_factory.mktemp("night")
    simulate_night(folder / "raw", folder / "truth", filters=("V",), n_bias=4, n_dark=3, n_flat=3, n_science=1)
    camera = load_camera(REPOSITORY / "config" / "cameras" / "generic.yaml")
    masters = make_masters(folder / "raw", camera)
    write_product(folder / "master_bpm.fits", make_bad_pixel_mask(list(masters.values())))
    masters["bpm"] = load_master(folder / "master_bpm.fits")
    (raw,) = (folder / "raw").glob("field_*.fits")
    measurements = read_measurements(EVERYTHING, [folder / "raw" / "stars.csv"])
    batch = ScienceBatch(camera=camera, masters=masters, warnings=["a warning"], measurements=measurements)
    reduce_frame(raw, folder / "science.fits", batch, folder / "catalog.fits")
    return folder


@pytest.mark.parametrize("name", ["master_bias", "master_dark", "master_flat", "master_bpm", "science", "catalog"])
def test_every_keyword_of_a_product_is_of_the_raw_frame_or_in_the_registry(night, name):
    (raw,) = (night / "raw").glob("field_*.fits")
    theirs = set(fits.getheader(raw)) if name in ("science", "catalog") else set()
    with fits.open(night / f"{name}.fits") as hdus:
        cards = [card for hdu in hdus for card in hdu.header.cards]
    assert {card.keyword for card in cards if find_keyword(card.keyword) is None} <= theirs


def test_a_solved_frame_is_among_those_products(night):
    header = fits.getheader(night / "science.fits")
    assert header["WCSSTAT"].startswith("solved")
    assert "ZP" in header


def test_keywords_are_unique_and_fit_a_card():
    names = [keyword.name for keyword in EVERY]
    assert len(set(names)) == len(names)
    for keyword in EVERY:
        assert len(keyword.name) <= 8
        assert len(keyword.card_comment) <= NUMBER_COMMENT, keyword.name


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("WARN012", "WARNnnn"),
        ("WARN12", None),
        ("RNMEAS12", "RNMEASn"),
        ("OVSC0001", "OVSCnnnn"),
        ("OVSCLV01", "OVSCLVnn"),
        ("CD1_2", "CDn_n"),
        ("CTYPE1R", "CTYPEna"),
        ("NIGHT", "NIGHT"),
        ("OBSERVER", None),
    ],
)
def test_numbered_keywords_are_known_by_their_pattern(name, found):
    keyword = find_keyword(name)
    assert (keyword and keyword.name) == found


def test_values_get_the_comment_of_the_registry():
    header = fits.Header()
    set_cards(header, {"GAINUS02": 1.5, "SKYLEVEL": 12.0, "APCOR1": (0.1, "mine")})
    assert header.comments["SKYLEVEL"] == "[electron] median level of the sky"
    assert header.comments["GAINUS02"] == "[electron/adu]"
    assert header.comments["APCOR1"] == "mine"
    with pytest.raises(ValueError, match="MYSKY is not a keyword of nightcal"):
        set_cards(header, {"MYSKY": 1})


def test_only_our_own_keywords_are_removed_from_a_raw_header():
    header = fits.Header({"WCSRMS": 1.0, "CTYPE1": "RA---TAN", "OBJECT": "M 13"})
    remove_keywords(header, KEYWORDS["astrometry"])
    assert set(header) == {"CTYPE1", "OBJECT"}
    assert match_any(()).fullmatch("") is None
