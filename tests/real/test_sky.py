"""Real fields are solved, and agree with what other programs found."""

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from nightcal.io.source_catalog import read_catalog
from nightcal.measurement.astrometry import add_positions, solve
from nightcal.measurement.star_catalog import StarCatalog
from nightcal.measurement.star_catalog.file import read_star_catalog


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


@pytest.fixture(scope="module")
def cluster(arcsat):
    """For each frame of M13: table of sources, header of the product, whose WCS is still other software's."""
    pairs = zip(arcsat.catalogs, arcsat.science, strict=True)
    return {path.name: (read_catalog(path), fits.getheader(image)) for path, image in pairs}


def places(table, header):
    """Right ascension and declination [deg] of sources by a header's WCS."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(header).all_pix2world(table["XWIN_IMAGE"].value, table["YWIN_IMAGE"].value, 1)


def test_the_bundled_stars_are_too_few_for_a_narrow_field_and_everything_else_is_delivered(cluster):
    words = "not solved: none of the bundled bright stars (G < 10) in this field of 11 arcmin"
    assert len(cluster) == 12
    for table, header in cluster.values():
        assert header["WCSSTAT"].startswith(words)
        assert header["ZPSTAT"] == "no zero point: the frame has no astrometric solution"
        assert len(table) > 800
        assert header["CTYPE1"].startswith("RA---")  # the raw frame's own


@pytest.mark.slow
def test_stars_of_one_frame_of_a_cluster_solve_the_others(cluster):
    (first, header), *others = cluster.values()
    good = (first["FLAGS"] & ~2 == 0) & (first["SNR_WIN"] > 20)  # many stars of a cluster have a neighbour
    ra, dec = (values[good] for values in places(first, header))
    zero, magnitude = np.zeros(good.sum()), -2.5 * np.log10(first["FLUX_AUTO"][good].value)
    catalog = StarCatalog("one frame", ra, dec, zero, zero, 2019.3, {"g": magnitude})
    for table, header in others:
        solution = solve(table, (1024, 1024), catalog, (250.42, 36.46), 0.6676, epoch=2019.3)
        assert solution.solved, (header["RAWFILE"], solution.status)
        ra, dec = places(table, header)
        add_positions(table, solution)
        east = (table["ALPHAWIN_J2000"].value - ra) * np.cos(np.radians(dec))
        assert np.median(3600 * np.hypot(east, table["DELTAWIN_J2000"].value - dec)) < 0.3, header["RAWFILE"]
