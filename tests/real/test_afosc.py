"""Asiago AFOSC, 28 March 2022: a transit of GJ 3470 b; 205 small frames and no dark."""

from itertools import pairwise

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.keywords import read_warnings

HEADER = "GAIN is 1.91 e-/ADU, read noise 7.1 e-"


@pytest.fixture(scope="module")
def raw(afosc):
    return afosc.raw_headers()


def select_names(raw, word):
    return {name for name, header in raw.items() if header["IMAGETYP"].strip() == word}


def read_cube(afosc, wanted):
    return np.array([fits.getdata(afosc.raw / name) for name in sorted(wanted)], dtype=float)


def test_the_night_is_reduced_without_an_error(afosc):
    assert afosc.process.returncode == 0


def test_the_plan_has_the_type_of_every_file(afosc, raw):
    for word, kind, number in [("Bias", "bias", 30), ("Flat", "flat", 60), ("Object", "science", 205)]:
        planned = {name for name, row in afosc.plan.items() if row["type"] == kind}
        assert planned == select_names(raw, word)
        assert len(planned) == number
    assert len(afosc.plan) == 295
    assert {row["role"] for row in afosc.plan.values()} == {"stacked", "reduced"}


def test_masters_of_30_bias_frames_and_60_flats_and_no_dark(afosc):
    (bias,), (flat,) = afosc.masters("bias"), afosc.masters("flat")
    assert fits.getheader(bias)["NCOMBINE"] == 30
    assert fits.getheader(flat)["NCOMBINE"] == 60
    assert afosc.masters("dark") == []


def test_205_science_frames(afosc, raw):
    assert {path.name for path in afosc.science} == select_names(raw, "Object")


def test_headers_and_masks_record_the_skipped_dark(afosc):
    for path in [*afosc.science, *afosc.masters("flat")]:
        with fits.open(path) as hdus:
            assert hdus[0].header["SKIPPED"] == "dark"
            assert hdus["MASK"].header["SKIPPED"] == "dark"
            assert "DARKMAST" not in hdus[0].header


def test_the_plan_gives_the_reason_for_the_missing_dark(afosc):
    for row in afosc.plan.values():
        if row["role"] == "reduced":
            assert row["dark"] == ""
            assert "no dark" in row["reason"]
            assert row["bias"].startswith("bias_")
            assert row["flat"].startswith("flat_")


def test_the_gain_is_that_of_the_frames_not_of_the_header(afosc, raw):
    """Apply Janesick's method to successive flats and biases; their gain is 11 percent below the header's."""
    bias, flats = read_cube(afosc, select_names(raw, "Bias")), read_cube(afosc, select_names(raw, "Flat"))
    read_noise = np.median([find_scatter(a - b) for a, b in pairwise(bias)]) / np.sqrt(2)
    light = flats - np.median(bias, axis=0)
    gain = np.mean([find_gain(a, b, read_noise) for a, b in zip(light[::2], light[1::2], strict=True)])
    assert gain == pytest.approx(1.696, abs=0.005)
    for path in [*afosc.science, *afosc.masters("bias"), *afosc.masters("flat")]:
        header = fits.getheader(path)
        assert header["GAINUSED"] == pytest.approx(gain, rel=0.01)
        assert header["RNUSED"] == pytest.approx(gain * read_noise, rel=0.01)


def find_gain(flat_1, flat_2, read_noise):
    """Find the gain of a pair of flats without bias level; their illumination may differ [e-/ADU]."""
    ratio = np.median(flat_1) / np.median(flat_2)
    shot_noise = find_scatter(flat_1 - ratio * flat_2) ** 2 - (1 + ratio**2) * read_noise**2
    return np.mean(flat_1 + ratio**2 * flat_2) / shot_noise


def find_scatter(difference):
    values = difference - np.median(difference)
    return np.std(values[np.abs(values) < 4 * 1.4826 * np.median(np.abs(values))])


def test_a_warning_gives_the_gain_of_the_header_and_that_of_the_frames(afosc):
    for path in [*afosc.science, *afosc.masters("bias"), *afosc.masters("flat")]:
        (warning,) = [text for text in read_warnings(fits.getheader(path)) if text.startswith("gain differs")]
        assert HEADER in warning
        assert "1.701 +- 0.004 e-/ADU and 6.88 e- used" in warning


def test_differences_of_successive_frames_are_as_wide_as_their_errors_say(afosc):
    """Compare pixels of the sky; with the gain of the header the differences are 1.05 to 1.22 wide."""
    widths = [measure_width(*afosc.science[n : n + 2]) for n in range(0, 204, 20)]
    assert min(widths) > 0.95
    assert max(widths) < 1.16
    assert np.median(widths) < 1.14


def measure_width(first, second):
    with fits.open(first) as a, fits.open(second) as b:
        light = a[0].data + b[0].data  # as a criterion, it does not favour small differences
        sky = (a["MASK"].data == 0) & (b["MASK"].data == 0) & (light < np.percentile(light, 80))
        return find_scatter(((a[0].data - b[0].data) / np.hypot(a["UNCERT"].data, b["UNCERT"].data))[sky])


def test_the_sky_agrees_with_a_direct_calculation(afosc, raw):
    """Use the median bias, the median of the flats divided by their centres, and the gain of the frames."""
    bias = np.median(read_cube(afosc, select_names(raw, "Bias")), axis=0)
    light = read_cube(afosc, select_names(raw, "Flat")) - bias
    ny, nx = bias.shape
    middle = light[:, ny // 4 : -(ny // 4), nx // 4 : -(nx // 4)]
    flat = np.median(light / np.median(middle, axis=(1, 2), keepdims=True), axis=0)
    for path in afosc.science[::20]:
        with fits.open(path) as hdus:
            good = hdus["MASK"].data == 0
            direct = (fits.getdata(afosc.raw / path.name) - bias)[good] / flat[good] * hdus[0].header["GAINUSED"]
            assert good.mean() > 0.9
            assert np.median(hdus[0].data[good]) == pytest.approx(np.median(direct), rel=0.005)


def test_the_frames_show_the_read_noise_that_is_used(afosc):
    (bias,) = afosc.masters("bias")
    header = fits.getheader(bias)
    assert header["RNMEAS1"] == pytest.approx(header["RNUSED"], rel=0.01)
    assert header["NOISERAT"] == pytest.approx(1, abs=0.02)


def test_no_flat_is_rejected_and_masters_show_no_stars(afosc):
    """The lamp was steady: the flats of a filter differ in shape by less than half a percent."""
    for path in afosc.masters("flat"):
        header = fits.getheader(path)
        assert header["NREJECT"] == 0
        assert header["FLATDEP"] < 0.5
        assert header["NRESID"] <= 2
        assert not [text for text in read_warnings(header) if "stars" in text or "unsteady" in text]
