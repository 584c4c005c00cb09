"""ARCSAT, 3 May 2019: M13 in four filters, a camera without overscan and without gain in its headers."""

from collections import defaultdict

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from astropy.wcs import WCS
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings

SATURATION = 60000
FILTERS = ["sdss_g", "sdss_i", "sdss_r", "sdss_z"]


@pytest.fixture(scope="module")
def raw(arcsat):
    return arcsat.raw_headers()


@pytest.fixture(scope="module")
def kinds(raw):
    """Group the raw files by the type in their headers: words of MaxIm, and FLAT of the dome flat script."""
    found = defaultdict(set)
    for name, header in raw.items():
        found[header["IMAGETYP"].split()[0].lower()].add(name)
    return found


def list_stacked(master):
    header = fits.getheader(master)
    return {value for card, value in header.items() if card.startswith("IMCMB")}


def test_the_night_is_reduced_without_an_error(arcsat):
    assert arcsat.process.returncode == 0


def test_the_plan_uses_all_30_files(arcsat, raw):
    assert len(arcsat.plan) == 30
    assert set(arcsat.plan) == set(raw)
    assert {row["role"] for row in arcsat.plan.values()} == {"stacked", "reduced"}


def test_the_plan_has_the_type_of_every_file(arcsat, kinds):
    for word, kind in [("bias", "bias"), ("dark", "dark"), ("flat", "flat"), ("light", "science")]:
        assert {name for name, row in arcsat.plan.items() if row["type"] == kind} == kinds[word]


def test_the_plan_has_the_middle_of_each_exposure(arcsat, raw):
    for name, row in arcsat.plan.items():
        middle = Time(raw[name]["DATE-OBS"], scale="utc").mjd + raw[name]["EXPTIME"] / 2 / 86400
        assert float(row["mjd_mid"]) == pytest.approx(middle, abs=2e-6)


def test_morning_frames_belong_to_the_evening_before(arcsat):
    """All frames were taken between 1 and 5 in the morning of 3 May, mountain time."""
    assert {row["night"] for row in arcsat.plan.values()} == {"20190502"}


@pytest.mark.parametrize(("kind", "number"), [("bias", 1), ("dark", 1), ("flat", 4), ("bpm", 1)])
def test_number_of_masters(arcsat, kind, number):
    assert len(arcsat.masters(kind)) == number


def test_the_bias_and_the_dark_are_stacked_from_the_three_frames_of_their_kind(arcsat, kinds):
    for kind in ("bias", "dark"):
        (master,) = arcsat.masters(kind)
        assert list_stacked(master) == kinds[kind]


def test_each_flat_is_stacked_from_the_three_frames_of_its_filter(arcsat, raw, kinds):
    found = {fits.getheader(master)["FILTER"]: list_stacked(master) for master in arcsat.masters("flat")}
    assert found == {f: {name for name in kinds["flat"] if raw[name]["FILTER"] == f} for f in FILTERS}


def test_the_twelve_light_frames_are_the_science_frames(arcsat, kinds):
    assert {path.name for path in arcsat.science} == kinds["light"]
    assert len(arcsat.science) == 12


def test_each_science_frame_has_bias_dark_and_the_flat_of_its_own_filter(arcsat, raw):
    flats = {fits.getheader(master)["FILTER"]: master for master in arcsat.masters("flat")}
    (bias,), (dark,), (mask,) = (arcsat.masters(kind) for kind in ("bias", "dark", "bpm"))
    for path in arcsat.science:
        header = fits.getheader(path)
        used = [header[card] for card in ("BIASMAST", "DARKMAST", "FLATMAST", "BPMMAST")]
        assert used == [master.name for master in (bias, dark, flats[raw[path.name]["FILTER"]], mask)]
        assert "SKIPPED" not in header
        assert header["DARKMULT"] == raw[path.name]["EXPTIME"]
        assert header["DARKFACT"] == raw[path.name]["EXPTIME"] / 80


def test_darks_of_80_s_scaled_up_to_160_s_are_a_warning(arcsat, raw):
    for path in arcsat.science:
        factor, header = raw[path.name]["EXPTIME"] / 80, fits.getheader(path)
        found = [text for card, text in header.items() if card.startswith("WARN") and "dark of" in text]
        assert found == ([f"dark scaled up: dark of 80 s scaled up {factor:g} times"] if factor > 1 else [])
        assert ("scaled up" in arcsat.plan[path.name]["reason"]) == (factor > 1)


def test_the_plan_names_the_same_masters_as_the_headers(arcsat):
    for path in arcsat.science:
        row, header = arcsat.plan[path.name], fits.getheader(path)
        assert row["product"] == f"science/{path.name}"
        for step in ("bias", "dark", "flat"):
            assert f"{row[step]}.fits" == header[f"{step.upper()}MAST"]
            assert float(row[f"{step}_gap_hours"]) == pytest.approx(abs(header[f"{step.upper()}AGE"]) * 24, abs=0.006)


def test_exactly_the_saturated_pixels_are_flagged(arcsat):
    """The bright cores of stars have 60000 to 60040 ADU."""
    found = 0
    for path in arcsat.science:
        saturated = fits.getdata(arcsat.raw / path.name) >= SATURATION
        flagged = fits.getdata(path, "MASK") & Flag.SATURATED > 0
        assert np.array_equal(flagged, saturated)
        found += int(saturated.sum())
    assert found > 0


@pytest.mark.filterwarnings("ignore::astropy.wcs.FITSFixedWarning")
def test_the_sky_coordinates_of_the_raw_frames_are_kept(arcsat):
    x, y = [0.0, 511.0, 1023.0], [0.0, 511.0, 1023.0]
    for path in arcsat.science:
        before, after = (WCS(fits.getheader(p)).pixel_to_world(x, y) for p in (arcsat.raw / path.name, path))
        assert np.all(before.separation(after).arcsec < 1e-6)


def test_gain_and_read_noise_agree_with_a_pair_of_flats_and_a_pair_of_biases(arcsat):
    """Apply Janesick's method to the central 512 x 512 pixels of the r flats, with pixels within 4 rstd."""
    header = fits.getheader(arcsat.science[0])
    bias_1, bias_2 = (read_centre(arcsat.raw / name) for name in sorted(p.name for p in arcsat.raw.glob("Bias*"))[1:3])
    flat_1, flat_2 = (read_centre(arcsat.raw / f"domeflat_sdss_r_00{n}.fits") for n in (1, 2))
    bias_variance = find_scatter(bias_1 - bias_2) ** 2 / 2
    light_1, light_2 = (flat - (bias_1 + bias_2) / 2 for flat in (flat_1, flat_2))
    ratio = np.median(light_1) / np.median(light_2)
    shot_noise = find_scatter(light_1 - ratio * light_2) ** 2 - (1 + ratio**2) * bias_variance
    gain = np.mean(light_1 + ratio**2 * light_2) / shot_noise
    assert header["GAINUSED"] == pytest.approx(gain, rel=0.02)
    assert header["RNUSED"] == pytest.approx(gain * np.sqrt(bias_variance), rel=0.04)


def read_centre(path):
    return fits.getdata(path)[256:768, 256:768].astype(float)


def find_scatter(difference):
    values = difference - np.median(difference)
    return np.std(values[np.abs(values) < 4 * 1.4826 * np.median(np.abs(values))])


def test_no_flat_is_rejected_and_masters_show_no_stars(arcsat):
    """The lamp was steady: the flats of a filter differ in shape by less than half a percent."""
    for path in arcsat.masters("flat"):
        header = fits.getheader(path)
        assert header["NREJECT"] == 0
        assert header["FLATDEP"] < 0.5
        assert header["NRESID"] <= 2
        assert not [text for text in read_warnings(header) if "stars" in text or "unsteady" in text]
