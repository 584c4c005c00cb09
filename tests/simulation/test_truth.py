"""The comparison with the truth separates honest from wrong errors."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from nightcal.simulation.night import SimulatedNight, simulate_night
from nightcal.simulation.truth import compare_sky, compare_with_truth, main


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night")
    return simulate_night(folder / "raw", folder / "truth", n_bias=0, n_dark=0, n_flat=0, n_science=2)


def calibrate_with_the_true_chip(night: SimulatedNight, folder: Path, error_scale: float = 1.0, added: float = 0.0):
    """Write what a pipeline with noiseless masters and true variances gives, spoilt on request."""
    chip = night.chip
    folder.mkdir()
    for truth in night.truths:
        path = next(frame for frame in night.frames if frame.name == truth.name)
        raw, header = fits.getdata(path), fits.getheader(path)
        flat = chip.response[header["FILTER"]]
        dark = chip.dark_current * header["EXPTIME"]
        nx = chip.shape[1]
        signal = (raw[:, :nx].astype(float) - raw[:, nx:].mean()) * chip.gain - chip.bias_structure
        data = (signal - dark) / flat + added
        sigma = np.sqrt(fits.getdata(truth) * flat + dark + chip.read_noise**2) / flat * error_scale
        mask = chip.dead | chip.stuck | (raw[:, : chip.shape[1]] >= chip.saturation)
        hdus = [fits.PrimaryHDU(data), fits.ImageHDU(sigma, name="UNCERT"), fits.ImageHDU(mask * 1, name="MASK")]
        fits.HDUList(hdus).writeto(folder / path.name)
    return folder


def test_perfect_calibration_has_honest_errors(tmp_path, capsys):
    night = simulate_night(tmp_path / "raw", tmp_path / "truth", n_bias=0, n_dark=0, n_flat=0)
    science = calibrate_with_the_true_chip(night, tmp_path / "science")
    comparisons = compare_with_truth(science, tmp_path / "truth")
    assert [c.name for c in comparisons] == sorted(path.stem for path in night.truths)
    assert all(c.everywhere.n_pixels > c.sky.n_pixels > 100_000 for c in comparisons)
    assert main([str(science), str(tmp_path / "truth")]) == 0
    assert "as much as their errors predict" in capsys.readouterr().out


@pytest.mark.parametrize("fault", [{"error_scale": 0.9}, {"error_scale": 1.1}, {"added": -2.0}])
def test_wrong_errors_and_lost_signal_are_noticed(fault, night, tmp_path, capsys):
    science = calibrate_with_the_true_chip(night, tmp_path / "science", **fault)
    assert main([str(science), str(night.truths[0].parent)]) == 1
    assert "Do not trust" in capsys.readouterr().out


def test_missing_products_do_not_pass(night, tmp_path):
    assert main([str(tmp_path), str(night.truths[0].parent)]) == 1


def test_errors_of_wcs_and_zero_point_are_measured(night, tmp_path):
    """A WCS that is off by 0.3 and 0.4 pixels, a zero point that is 0.05 mag too faint for stars of colour 0.6."""
    truth = night.truths[0]
    header = fits.getheader(truth)
    header["CRPIX1"] += 0.3
    header["CRPIX2"] += 0.4
    said = {"WCSSTAT": "solved: 9 stars", "ZPCMEAN": 0.6, "ZPERR": 0.01}
    header.update(said | {"ZP": header["ZP"] + 0.6 * header["ZPCOLOR"] + 0.05})
    fits.PrimaryHDU(fits.getdata(truth), header).writeto(tmp_path / truth.name)
    (measured,) = compare_sky(tmp_path, truth.parent)
    assert measured.name == truth.stem
    assert measured.position == pytest.approx(0.5, abs=0.01)
    assert (measured.zero_point, measured.error) == (pytest.approx(0.05), 0.01)
