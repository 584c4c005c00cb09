"""The header of a solved frame has the new WCS, and the raw one as an alternate."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from nightcal.measurement.astrometry import AstrometryOptions, Solution, solve
from nightcal.measurement.astrometry.header import read_celestial_wcs, write_wcs
from sky_fields import SHAPE, beside, simulate

SIMPLE = {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 5.0, "CRPIX2": 6.0}
RAW = {
    "CD": SIMPLE | {"CD1_1": -1e-4, "CD1_2": 2e-5, "CD2_1": 2e-5, "CD2_2": 1e-4, "RADESYS": "FK5", "EQUINOX": 2000.0},
    "CDELT and CROTA": SIMPLE | {"CDELT1": -1e-4, "CDELT2": 1e-4, "CROTA2": 30.0, "EPOCH": 2000.0},
    "CDELT, CROTA and CD": SIMPLE
    | {"CDELT1": -1e-4, "CDELT2": 1e-4, "CROTA1": 30.0, "CROTA2": 30.0}
    | {"CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4, "RADECSYS": "FK5"},
    "PC": SIMPLE | {"PC1_1": 0.8, "PC1_2": -0.6, "PC2_1": 0.6, "PC2_2": 0.8, "CDELT1": -1e-4, "CDELT2": 1e-4},
    "SIP": SIMPLE
    | {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4}
    | {"A_ORDER": 2, "A_2_0": 1e-4, "B_ORDER": 2, "B_0_2": 1e-4, "AP_ORDER": 2, "AP_2_0": -1e-4, "BP_ORDER": 2},
    "TPV": SIMPLE
    | {"CTYPE1": "RA---TPV", "CTYPE2": "DEC--TPV", "CD1_1": -1e-4, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-4}
    | {"PV1_1": 1.0, "PV1_5": 0.1, "PV2_1": 1.0},
}


def solve_field(bend):
    field = simulate(21, 40, stars=300, bend=bend)
    found = solve(field.table, SHAPE, field.catalog, beside(field, 1), field.scale, AstrometryOptions(), 2016.0)
    assert found.solved
    assert found.sip_order == (3 if bend else 1)
    return found


@pytest.fixture(scope="module", params=[0.0, 0.002], ids=["TAN", "SIP"])
def solution(request):
    return solve_field(request.param)


@pytest.fixture(scope="module")
def sip():
    return solve_field(0.002)


def read(header):
    """WCS of a header as another program reads it from the file, with no word of warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return WCS(fits.Header.fromstring(header.tostring()))


def sky(wcs, x=(1, 700.5, 2048), y=(2000, 1024, 3)):
    return np.array(wcs.all_pix2world(x, y, 1))


@pytest.mark.parametrize("raw", [None, *RAW])
def test_the_header_gives_the_new_wcs_to_the_last_digit(solution, raw):
    header = fits.Header(RAW.get(raw, {}))
    write_wcs(header, solution)
    np.testing.assert_array_equal(sky(read(header)), sky(solution.wcs))
    assert header["RADESYS"] == "ICRS"
    assert not {"EQUINOX", "EPOCH", "RADECSYS", "CDELT1", "CROTA2", "PC1_1", "PV1_5"} & set(header)
    assert ("A_ORDER" in header) == (solution.sip_order > 1)


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
@pytest.mark.parametrize("raw", RAW)
def test_the_linear_part_of_the_raw_wcs_becomes_an_alternate(sip, raw):
    header = fits.Header(RAW[raw])
    before = WCS(header)
    before.sip = None
    write_wcs(header, sip)
    after = WCS(header, key="R")
    np.testing.assert_allclose(after.wcs.crval, [10, 20])
    np.testing.assert_allclose(after.wcs.crpix, [5, 6])
    np.testing.assert_allclose(after.pixel_scale_matrix, before.pixel_scale_matrix, atol=1e-12)
    assert after.wcs.ctype[0] == "RA---TAN"
    assert header["WCSNAMER"] == "raw header"


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
@pytest.mark.parametrize("projection", ["SIN", "STG", "CAR"])
def test_a_raw_wcs_of_another_projection_keeps_its_coordinates(sip, projection):
    kinds = {"CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}", "CRVAL2": 0.0}
    matrix = {"CD1_1": -1e-2, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 1e-2}
    header = fits.Header(SIMPLE | kinds | matrix | {"LONPOLE": 170.0 if projection != "CAR" else 0.0})
    before = sky(WCS(header))
    write_wcs(header, sip)
    after = WCS(header, key="R")
    after.sip = None
    np.testing.assert_allclose(sky(after), before, atol=1e-9)


def test_an_alternate_wcs_of_the_raw_header_is_kept(sip):
    header = fits.Header(RAW["CD"] | {"WCSNAMER": "theirs", "CRVAL1R": 1.0})
    write_wcs(header, sip)
    assert (header["WCSNAMER"], header["WCSNAMEZ"]) == ("theirs", "raw header")


@pytest.mark.parametrize(
    "cards",
    [
        SIMPLE | {"CD1_1": 0.0, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": 0.0},
        SIMPLE | {"CTYPE2": "RA---TAN"},
        SIMPLE | {"CRVAL1": "10 00 00"},
        SIMPLE | {"CTYPE1": 3},
        {"CTYPE1": "LINEAR", "CTYPE2": "LINEAR", "CRVAL1": 1.0},
        {"CRVAL1": 1.0, "CRVAL2": 2.0},
    ],
)
def test_an_invalid_raw_wcs_is_removed_with_a_warning(sip, cards):
    header = fits.Header(cards)
    write_wcs(header, sip)
    assert header["WARN001"] == "raw WCS removed: the WCS of the raw header cannot be read"
    np.testing.assert_array_equal(sky(read(header)), sky(sip.wcs))


@pytest.mark.parametrize("raw", RAW)
def test_the_raw_wcs_of_an_unsolved_frame_is_unchanged(raw):
    header = fits.Header(RAW[raw] | {"WCSNREF": 27})
    write_wcs(header, Solution("not solved: no pointing in the header"))
    assert header["WCSSTAT"] == "not solved: no pointing in the header"
    assert dict(header) == RAW[raw] | {"WCSSTAT": header["WCSSTAT"]}


def test_the_inverse_of_the_wcs_holds_all_over_the_frame(solution):
    header = fits.Header()
    write_wcs(header, solution)
    wcs = read(header)
    x, y = (a.ravel() for a in np.meshgrid(np.linspace(1, 2048, 15), np.linspace(1, 2048, 15)))
    ra, dec = wcs.all_pix2world(x, y, 1)
    np.testing.assert_allclose(wcs.all_world2pix(ra, dec, 1), [x, y], atol=1e-3)
    if wcs.sip is not None:  # the inverse polynomials of the header, for programs that do not iterate
        u, v = wcs.wcs_world2pix(ra, dec, 1) - wcs.wcs.crpix[:, None]
        added = [np.polynomial.polynomial.polyval2d(u, v, square) for square in (wcs.sip.ap, wcs.sip.bp)]
        np.testing.assert_allclose(u + added[0] + wcs.wcs.crpix[0], x, atol=0.01)
        np.testing.assert_allclose(v + added[1] + wcs.wcs.crpix[1], y, atol=0.01)


def test_keywords_describe_the_fit(solution):
    header = fits.Header({"WCSERR": 0})
    write_wcs(header, solution)
    assert header["WCSSTAT"] == f"solved: {solution.number} stars of simulated, rms {solution.rms:.2f} arcsec"
    assert header["WCSNREF"] <= header["WCSNMAT"] == len(solution.matches[0])
    assert header["WCSRMS"] == pytest.approx(solution.rms, abs=1e-4)
    assert header["WCSCAT"] == "simulated"


def test_a_wcs_with_swapped_axes_is_read():
    swapped = {"CTYPE1": "DEC--TAN", "CTYPE2": "RA---TAN", "CRVAL1": 20.0, "CRVAL2": 10.0, "CDELT1": 1e-4}
    assert read_celestial_wcs(fits.Header(swapped | {"CDELT2": -1e-4})) is not None
