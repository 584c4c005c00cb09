"""Sources of the crowded field of M13, frame by frame."""

from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from nightcal.io.source_catalog import read_catalog
from scipy.spatial import cKDTree
from scipy.stats import spearmanr

pytestmark = pytest.mark.slow

UNSOLVED = {"ALPHAWIN_J2000", "DELTAWIN_J2000", "MAG_AUTO", "MAGERR_AUTO", "MAG_APER", "MAGERR_APER"}
"""Columns without a value in frames that no catalogue solves."""


@dataclass
class Measured:
    """Sources of a science frame, the header of its product, and that of the raw frame, with other software's words."""

    table: Table
    header: fits.Header
    raw: fits.Header


@pytest.fixture(scope="module")
def frames(arcsat):
    """What was measured, by the name of the frame."""
    raw = arcsat.raw_headers()
    pairs = zip(arcsat.catalogs, arcsat.science, strict=True)
    return {path.name: Measured(read_catalog(path), fits.getheader(image), raw[path.name]) for path, image in pairs}


def test_every_frame_has_its_stars(frames):
    assert len(frames) == 12
    for frame in frames.values():
        assert "SRCSTAT" not in frame.header
        assert 800 < frame.header["NSOURCES"] == len(frame.table) < 5000
        assert frame.header["NSTARS"] > 200
        for name in set(frame.table.colnames) - UNSOLVED:
            assert np.all(np.isfinite(frame.table[name]))


def test_the_width_of_stars_follows_that_of_other_software(frames):
    ours = [frame.header["FWHM"] for frame in frames.values()]
    theirs = [frame.raw["FWHM"] for frame in frames.values()]
    assert spearmanr(ours, theirs).statistic > 0.8


def test_the_sky_of_each_filter_is_as_steady_as_a_night(frames):
    skies = {}
    for frame in frames.values():
        skies.setdefault(frame.raw["FILTER"], []).append(frame.header["SKYLEVEL"] / frame.raw["EXPTIME"])
    for rates in skies.values():
        assert np.ptp(rates) < 0.25 * np.mean(rates)


def test_two_frames_in_one_filter_see_the_same_stars_with_the_same_light(frames):
    """The telescope moved by a few pixels between them; a linear map takes one frame's positions to the other's."""
    names = [name for name, frame in sorted(frames.items()) if frame.raw["FILTER"] == "sdss_r"]
    first, second = (frames[name].table for name in names[:2])
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


def test_more_stars_are_seen_in_longer_exposures_of_a_filter(frames):
    """In r, i and z the first frame is the shortest; clouds took half the light of a later one in z."""
    for name in ("sdss_r", "sdss_i", "sdss_z"):
        first, second = sorted(
            (frame for frame in frames.values() if frame.raw["FILTER"] == name), key=lambda frame: frame.raw["DATE-OBS"]
        )[:2]
        assert second.raw["EXPTIME"] > first.raw["EXPTIME"]
        assert second.header["NSOURCES"] > 1.1 * first.header["NSOURCES"]
