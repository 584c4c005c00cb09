"""Real fields are solved, and agree with what other programs found."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from helpers import REPOSITORY
from nightcal.astrometry import add_positions, solve
from nightcal.astrometry.pointing import hint_of
from nightcal.camera import recognise
from nightcal.camera_file import load_cameras
from nightcal.headers import read_header
from nightcal.star_catalog import StarCatalog, bundled
from nightcal.star_catalog.file import read_star_catalog


@pytest.mark.slow
def test_each_frame_of_ey_uma_is_solved_with_refcat2(data):
    folder = data / "catalogs"
    catalog = read_star_catalog(folder / "refcat2.ecsv")
    measured = Table.read(folder / "ey_uma_sources.fits").group_by("file")
    rms = []
    for frame in measured.groups:
        table = Table({"XWIN_IMAGE": frame["xcenter"] + 1, "YWIN_IMAGE": frame["ycenter"] + 1})
        table["FLUX_AUTO"] = frame["aperture_net_flux"]
        solution = solve(table, (2048, 3086), catalog, (135.55, 49.84), 0.557, epoch=2014.99)
        assert solution.solved, solution.status
        assert solution.status.startswith(f"solved: {solution.number} stars of refcat2.ecsv, rms 0.")
        add_positions(table, solution)
        east = (table["ALPHAWIN_J2000"] - frame["RA"]) * np.cos(np.radians(frame["Dec"]))
        apart = 3600 * np.hypot(east, table["DELTAWIN_J2000"] - frame["Dec"])
        assert np.median(apart) < 0.5  # the positions of the table are another program's, good to some tenths
        rms.append(solution.rms)
    assert len(rms) == 94
    assert np.median(rms) < 0.22
    assert max(rms) < 0.3


def stars_of(path):
    """Sources of a raw frame of the cluster, found with sep alone, and the WCS of its header."""
    sep = pytest.importorskip("sep")
    raw = path.parent
    bias = np.median([fits.getdata(p).astype(np.float32) for p in raw.glob("Bias*.fits")], axis=0)
    dark = np.median([fits.getdata(p).astype(np.float32) for p in raw.glob("Dark*.fits")], axis=0) - bias
    hot = dark > np.median(dark) + 12 * np.median(np.abs(dark - np.median(dark)))
    header = fits.getheader(path)
    image = fits.getdata(path).astype(np.float32) - bias - dark * np.float32(header["EXPTIME"] / 80)
    sky = sep.Background(image, mask=hot)
    found = sep.extract(image - sky.back(), 5, err=sky.rms(), mask=hot)
    found = found[found["a"] > 0.9]
    x, y, _ = sep.winpos(image - sky.back(), found["x"], found["y"], np.full(len(found), 1.7))
    table = Table({"XWIN_IMAGE": x + 1, "YWIN_IMAGE": y + 1, "FLUX_AUTO": found["flux"]})
    table["ERRX2WIN_IMAGE"], table["ERRY2WIN_IMAGE"] = found["errx2"], found["erry2"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return table, WCS(header)


def hint_for(path):
    header = read_header(path)
    return hint_of(header, recognise(header, load_cameras(REPOSITORY / "config" / "cameras")))


@pytest.fixture(scope="module")
def cluster(data):
    frames = sorted((data / "nights" / "arcsat-m13-20190503").glob("M13*.fits"))
    assert len(frames) == 12
    return {path: stars_of(path) for path in frames}


@pytest.mark.slow
def test_stars_of_one_frame_of_a_cluster_solve_the_others(cluster):
    (first, wcs), *_ = cluster.values()
    ra, dec = wcs.all_pix2world(first["XWIN_IMAGE"], first["YWIN_IMAGE"], 1)
    zero = np.zeros(len(first))
    catalog = StarCatalog("one frame", ra, dec, zero, zero, 2019.3, {"g": -2.5 * np.log10(first["FLUX_AUTO"])})
    for path, (table, theirs) in list(cluster.items())[1:]:
        hint = hint_for(path)
        solution = solve(table, (1024, 1024), catalog, hint.pointing, hint.scale, epoch=2019.3)
        assert solution.solved, (path.name, solution.status)
        add_positions(table, solution)
        ra, dec = theirs.all_pix2world(table["XWIN_IMAGE"], table["YWIN_IMAGE"], 1)
        east = (table["ALPHAWIN_J2000"] - ra) * np.cos(np.radians(dec))
        assert np.median(3600 * np.hypot(east, table["DELTAWIN_J2000"] - dec)) < 0.3, path.name


def test_the_bundled_stars_are_too_few_for_a_narrow_field_and_that_is_said(cluster):
    path, (table, _) = next(iter(cluster.items()))
    hint = hint_for(path)
    status = solve(table, (1024, 1024), bundled(), hint.pointing, hint.scale).status
    assert status.startswith("not solved: only 0 of the bundled bright stars (G < 10) lie in this field of 11 arcmin")
