"""The WCS of a raw frame gives positions if it passes its tests; if not, a reason is given."""

import numpy as np
import pytest
from astropy.coordinates import FK4, Galactic, SkyCoord
from astropy.io import fits
from nightcal.measurement.astrometry import Solution, add_positions
from nightcal.measurement.astrometry.raw_wcs import find_raw_wcs
from sky_fields import simulate

SHAPE = (100, 200)
M87 = (187.7059, 12.3911)
CARDS = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": M87[0], "CRVAL2": M87[1], "CRPIX1": 100.5,
         "CRPIX2": 50.5, "CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4}  # fmt: skip


def find(pointing=M87, scale=0.36, **changes):
    cards = {name: value for name, value in (CARDS | changes).items() if value is not None}
    return find_raw_wcs(fits.Header(cards), SHAPE, pointing, scale)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"pointing": None, "scale": None},
        {"pointing": (188.1, 12.4)},
        {"scale": 0.38},
        {"CD1_1": 1e-4},
        {"CDELT1": -1e-4, "CDELT2": 1e-4, "CROTA2": 30.0, "CD1_1": None, "CD1_2": None, "CD2_1": None, "CD2_2": None},
    ],
)
def test_a_sound_wcs_is_used(more):
    wcs, problem = find(**more)
    assert problem == ""
    assert wcs.wcs.crval == pytest.approx(M87)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"CD1_2": 1e-4, "CD2_1": -1e-4}, "it cannot be read, or its matrix is degenerate"),
        ({"CRVAL1": "east"}, "it cannot be read, or its matrix is degenerate"),
        ({"CTYPE2": "RA---TAN"}, "it cannot be read, or its matrix is degenerate"),
        ({"scale": 0.5}, "its scale is 0.36 arcsec/pixel; expected 0.5"),
        ({"scale": None, "CD1_1": 1.0, "CD2_2": 1.0}, "its scale is 3.6e+03 arcsec/pixel"),
        ({"scale": None, "CD1_1": 1e-3}, "its pixels are 10 times as long as wide"),
        ({"pointing": (189.7, 12.39)}, "its centre is 1.95 degrees from the pointing"),
        ({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRPIX1": 2e6}, "the centre of the frame is not on its sky"),
        ({"NAMPS": 4}, "it counts raw pixels, and the frame is a mosaic of amplifiers"),
        ({"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"}, "it has no right ascension and declination"),
        ({"CTYPE1": "LINEAR", "CTYPE2": "LINEAR"}, ""),
        ({"CTYPE1": None, "CTYPE2": None}, ""),
    ],
)
def test_any_other_wcs_is_not_used(more, problem):
    assert find(**more) == (None, problem)


@pytest.mark.parametrize(
    ("frame", "cards"),
    [
        (FK4(equinox="B1950"), {"RADESYS": "FK4", "EQUINOX": 1950.0}),
        (FK4(equinox="B1950"), {"EQUINOX": 1950.0}),
        (Galactic(), {"CTYPE1": "GLON-TAN", "CTYPE2": "GLAT-TAN"}),
    ],
)
def test_positions_are_icrs_whatever_the_coordinates_of_the_raw_wcs(frame, cards):
    there = SkyCoord(*M87, unit="deg").transform_to(frame).spherical
    wcs, problem = find(CRVAL1=there.lon.deg, CRVAL2=there.lat.deg, **cards)
    assert problem == ""
    table = simulate(3, 20, stars=5).table[:1]
    table["XWIN_IMAGE"], table["YWIN_IMAGE"] = 100.5, 50.5
    add_positions(table, Solution("not solved"), wcs)
    assert (table["ALPHAWIN_J2000"][0], table["DELTAWIN_J2000"][0]) == pytest.approx(M87, abs=1e-5)
    assert "from the WCS of the raw frame" in table["ALPHAWIN_J2000"].description


def test_sources_without_a_position_in_the_image_get_none_on_the_sky():
    table = simulate(3, 20, stars=50).table
    table["XWIN_IMAGE"][0] = np.nan
    add_positions(table, Solution("not solved"), find()[0])
    assert np.flatnonzero(np.isnan(table["ALPHAWIN_J2000"])).tolist() == [0]
