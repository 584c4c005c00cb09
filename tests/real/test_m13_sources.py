"""Sources of the crowded field of M13, frame by frame."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.sources import find_sources
from scipy.spatial import cKDTree
from scipy.stats import spearmanr

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def frames(arcsat):
    """Sources of each science frame by name, and what the observatory's software wrote into the raw header."""
    raw, found = arcsat.raw_headers(), {}
    for path in arcsat.science:
        with fits.open(path) as hdus:
            images = [hdus[name].data for name in (0, "UNCERT", "MASK")]
            found[path.name] = find_sources(*images), raw[path.name]
    return found


def test_every_frame_has_its_stars(frames):
    assert len(frames) == 12
    for sources, _ in frames.values():
        assert sources.status == ""
        assert 800 < sources.statistics.number < 5000
        assert sources.statistics.stars > 200
        for name in sources.table.colnames:
            assert np.all(np.isfinite(sources.table[name]))


def test_the_width_of_stars_follows_that_of_other_software(frames):
    ours = [sources.statistics.fwhm for sources, _ in frames.values()]
    theirs = [header["FWHM"] for _, header in frames.values()]
    assert spearmanr(ours, theirs).statistic > 0.8


def test_the_sky_of_each_filter_is_as_steady_as_a_night(frames):
    skies = {}
    for sources, header in frames.values():
        skies.setdefault(header["FILTER"], []).append(sources.statistics.sky / header["EXPTIME"])
    for rates in skies.values():
        assert np.ptp(rates) < 0.25 * np.mean(rates)


def test_two_frames_in_one_filter_see_the_same_stars_with_the_same_light(frames):
    """The telescope moved by a few pixels between them; a linear map takes one frame's positions to the other's."""
    names = [name for name, (_, header) in sorted(frames.items()) if header["FILTER"] == "sdss_r"]
    first, second = (frames[name][0].table for name in names[:2])
    places, others = (np.column_stack([one["XWIN_IMAGE"], one["YWIN_IMAGE"]]) for one in (first, second))
    design = np.column_stack([np.ones(len(places)), places])
    expected = places + np.array([1.0, -1.0])
    for _ in range(4):
        distance, row = cKDTree(others).query(expected)
        same = (distance < 1.5) & (first["FLAGS"] == 0) & (second["FLAGS"][row] == 0) & (first["SNR_WIN"] > 50)
        expected = design @ np.linalg.lstsq(design[same], others[row[same]], rcond=None)[0]
    assert same.sum() > 60
    off = others[row[same]] - expected[same]
    assert 1.4826 * np.median(np.abs(off)) < 0.06
    light = [first["FLUX_APER"][same, 2].value, second["FLUX_APER"][row[same], 2].value]
    error = [first["FLUXERR_APER"][same, 2].value, second["FLUXERR_APER"][row[same], 2].value]
    ratio = np.log(light[1] / light[0])
    told = np.hypot(error[0] / light[0], error[1] / light[1])
    assert 1.4826 * np.median(np.abs(ratio - np.median(ratio)) / told) == pytest.approx(1, abs=0.3)
