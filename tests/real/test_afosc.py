"""Asiago AFOSC, 28 March 2022: a transit of GJ 3470 b; 205 small frames and no dark."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.keywords import read_warnings

GAIN = 1.91  # the header's


@pytest.fixture(scope="module")
def raw(afosc):
    return afosc.raw_headers()


def names(raw, word):
    return {name for name, header in raw.items() if header["IMAGETYP"].strip() == word}


def cube(afosc, wanted):
    return np.array([fits.getdata(afosc.raw / name) for name in sorted(wanted)], dtype=float)


def test_the_night_is_reduced_without_an_error(afosc):
    assert afosc.process.returncode == 0


def test_the_plan_has_a_row_for_each_file_and_knows_what_they_are(afosc, raw):
    for word, kind, number in [("Bias", "bias", 30), ("Flat", "flat", 60), ("Object", "science", 205)]:
        planned = {name for name, row in afosc.plan.items() if row["type"] == kind}
        assert planned == names(raw, word)
        assert len(planned) == number
    assert len(afosc.plan) == 295
    assert {row["role"] for row in afosc.plan.values()} == {"stacked", "reduced"}


def test_masters_of_30_bias_frames_and_60_flats_and_no_dark(afosc):
    (bias,), (flat,) = afosc.masters("bias"), afosc.masters("flat")
    assert fits.getheader(bias)["NCOMBINE"] == 30
    assert fits.getheader(flat)["NCOMBINE"] == 60
    assert afosc.masters("dark") == []


def test_205_science_frames(afosc, raw):
    assert {path.name for path in afosc.science} == names(raw, "Object")


def test_each_header_and_mask_says_that_the_dark_was_skipped(afosc):
    for path in [*afosc.science, *afosc.masters("flat")]:
        with fits.open(path) as hdus:
            assert hdus[0].header["SKIPPED"] == "dark"
            assert hdus["MASK"].header["SKIPPED"] == "dark"
            assert "DARKMAST" not in hdus[0].header


def test_the_plan_says_why_there_is_no_dark(afosc):
    for row in afosc.plan.values():
        if row["role"] == "reduced":
            assert row["dark"] == ""
            assert "no dark" in row["reason"]
            assert row["bias"].startswith("bias_")
            assert row["flat"].startswith("flat_")


def test_the_sky_of_the_transit_is_that_of_a_direct_calculation(afosc, raw):
    """Median bias, median of the flats divided by their middles, gain of the header; where the chip sees light."""
    bias = np.median(cube(afosc, names(raw, "Bias")), axis=0)
    light = cube(afosc, names(raw, "Flat")) - bias
    ny, nx = bias.shape
    middle = light[:, ny // 4 : -(ny // 4), nx // 4 : -(nx // 4)]
    flat = np.median(light / np.median(middle, axis=(1, 2), keepdims=True), axis=0)
    for path in afosc.science[::20]:
        with fits.open(path) as hdus:
            good = hdus["MASK"].data == 0
            direct = (fits.getdata(afosc.raw / path.name) - bias)[good] / flat[good] * GAIN
            assert good.mean() > 0.9
            assert np.median(hdus[0].data[good]) == pytest.approx(np.median(direct), rel=0.005)


def test_the_frames_show_the_read_noise_of_the_header(afosc):
    (bias,) = afosc.masters("bias")
    header = fits.getheader(bias)
    assert header["RNUSED"] == 7.1
    assert header["RNMEAS1"] == pytest.approx(7.1, rel=0.1)


def test_no_flat_is_left_out_and_no_star_is_seen_in_a_master(afosc):
    """The lamp was steady: of each set the frames differ in shape by less than half a percent."""
    for path in afosc.masters("flat"):
        header = fits.getheader(path)
        assert header["NREJECT"] == 0
        assert header["FLATDEP"] < 0.5
        assert header["NRESID"] <= 2
        assert not [text for text in read_warnings(header) if "stars" in text or "unsteady" in text]
