"""A night of a CMOS camera through Snakemake: darks, flats, flat-darks, and no bias frames."""

import json

import numpy as np
import pytest
from astropy.io import fits
from cmos_night import CmosNight


def test_sky_and_errors_are_right_without_bias_frames(tmp_path, snakemake):
    night = CmosNight(tmp_path / "raw")
    night.darks(3.0)
    night.darks(120.0)
    night.flats(3.0)
    night.science(120.0, 2)
    night.science(60.0)
    results = snakemake.reduced(night.folder, tmp_path / "results", crosscheck=True) / "20250210"
    products = sorted(results.glob("science/*.fits"))
    assert len(products) == 3
    for path in products:
        with fits.open(path) as hdus:
            header, data, sigma, mask = hdus[0].header, hdus[0].data, hdus["UNCERT"].data, hdus["MASK"].data
        pulls = night.pulls(data, sigma, mask, header["EXPTIME"])
        assert len(pulls) > 0.99 * mask.size
        assert np.std(pulls) == pytest.approx(1, abs=0.02)
        assert np.mean(pulls) == pytest.approx(0, abs=0.03)
        assert header["DARKMULT"] == header["EXPTIME"] - 3
        assert header["BIASMAST"].endswith("_from_darks_3s.fits")
        assert "SKIPPED" not in header
        assert not header["WARN*"]
    (checked,) = results.glob("crosscheck_*.json")
    assert json.loads(checked.read_text())["above_limit"] == 0
