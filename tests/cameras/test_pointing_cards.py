"""Right ascension in hours or degrees, equinoxes other than 2000, and pairs of keywords that disagree."""

import pytest
from astropy.io import fits
from nightcal.cameras.pointing_cards import read_pointing
from nightcal.io.raw_header import RawHeader

M87 = (187.7059, 12.3911)
OBJECT = {"OBJCTRA": "12 30 49", "OBJCTDEC": "+12 23 28"}

WCS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 187.8, "CRVAL2": 12.4}


def point(cards, **pairs):
    """Read the pointing of a header: the place, and the names of the warnings."""
    warnings = []
    header = fits.Header()
    header.update(cards)
    found = read_pointing(
        RawHeader(header, 0, (9, 9)), pairs.get("ra", ["RA"]), pairs.get("dec", ["DEC"]), warnings.append
    )
    return found, [text.partition(":")[0] for text in warnings]


@pytest.mark.parametrize(
    "cards",
    [
        {"RA": (187.7059 / 15, "[hours] of the telescope"), "DEC": 12.3911},
        {"RA": (187.7059 / 15, "RA (h)"), "DEC": 12.3911},
        {"RA": "12.513727 h", "DEC": 12.3911},
        {"RA": 187.7059 / 15, "DEC": 12.3911} | OBJECT,
        {"RA": 187.7059 / 15, "DEC": 12.3911, "TELRA": "12:30:49", "TELDEC": "12:23:28"},
        {"RA": 187.7059 / 15, "DEC": 12.3911} | WCS,
        {"RA": (187.7059, "telescope, HH:MM:SS or hours"), "DEC": 12.3911},
        {"RA": 187.7059, "DEC": 12.3911},
    ],
)  # fmt: skip
def test_hours_and_degrees_are_told_apart(cards):
    place, warnings = point(cards)
    assert place == pytest.approx(M87, abs=0.001)
    assert warnings == []


def test_a_number_below_24_stays_in_degrees_if_its_comment_or_another_keyword_says_so():
    andromeda = {"RA": (10.6847, "[deg] right ascension"), "DEC": 41.269}
    assert point(andromeda) == ((10.6847, 41.269), [])
    object_cards = {"OBJCTRA": "00 42 44", "OBJCTDEC": "+41 16 09"}
    assert point({"RA": 10.6847, "DEC": 41.269} | object_cards) == ((10.6847, 41.269), [])


def test_a_number_that_may_be_in_hours_or_degrees_gives_a_warning():
    assert point({"RA": 10.6847, "DEC": 41.269}) == ((10.6847, 41.269), ["unit of right ascension"])
    assert point({"RA": 0.0, "DEC": 41.269}) == ((0.0, 41.269), [])


def test_pairs_of_keywords_that_disagree_give_a_warning():
    place, warnings = point({"RA": "14:00:00", "DEC": "10:00:00"} | OBJECT)
    assert place == pytest.approx((210, 10))
    assert warnings == ["pointings disagree"]
    near = {"RA": "12:32:00", "DEC": "12:40:00"}  # the telescope is not quite on the object
    assert point(near | OBJECT)[1] == []
    unset = {"OBJCTRA": "00 00 00", "OBJCTDEC": "+00 00 00"}
    assert point(near | unset)[1] == []
    assert point(near, ra=["RA", "OTHERRA"], dec=["DEC"])[1] == []


def test_a_second_pair_stands_in_for_one_that_cannot_be_read():
    place, warnings = point({"RA": "east", "DEC": 12.0} | OBJECT)
    assert place == pytest.approx(M87, abs=0.01)
    assert warnings == ["unknown pointing"]
    assert point({"RA": "east", "DEC": 12.0} | WCS) == (None, ["unknown pointing"])


@pytest.mark.parametrize(
    ("system", "cards"),
    [
        ("B1950", {"EQUINOX": 1950.0}),
        ("B1950", {"EQUINOX": "B1950"}),
        ("B1950", {"EPOCH": 1950.0}),
        ("B1950", {"RADESYS": "FK4"}),
        ("B1950", {"RADECSYS": "FK4", "EQUINOX": 1950}),
        ("J2030", {"EQUINOX": 2030.0}),
        ("J2000", {"EQUINOX": 2000.0}),
        ("J2000", {"RADESYS": "ICRS", "EQUINOX": 1950.0}),
        ("J2000", {"EPOCH": 2019.4}),
        ("J2000", {}),
    ],
)
def test_every_equinox_leads_to_the_same_place(system, cards):
    # M87 as printed for 1950 in NGC/IC catalogues; for 2030 by precession of 46.1 s + 20.0 s sin(RA) tan(Dec) a year
    seen = {
        "B1950": ("12:28:17.6", "12:40:02"),
        "J2030": ("12:32:20.5", "12:13:31"),
        "J2000": ("12:30:49.4", "12:23:28"),
    }
    ra, dec = seen[system]
    place, warnings = point({"RA": ra, "DEC": dec} | cards)
    assert place == pytest.approx(M87, abs=0.002)
    assert warnings == []


@pytest.mark.parametrize("value", ["JNOW", 0.0, "of date"])
def test_an_equinox_that_cannot_be_read_gives_a_warning(value):
    place, warnings = point({"RA": "12:30:49.4", "DEC": "12:23:28", "EQUINOX": value})
    assert place == pytest.approx(M87, abs=0.002)
    assert warnings == ["unknown equinox"]
