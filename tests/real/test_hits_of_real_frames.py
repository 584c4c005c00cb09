"""Real frames: the compiled search gives the mask of astroscrappy, and clusters of stars are not taken for hits."""

import os

import numpy as np
import pytest
from astropy.io import fits
from nightcal.flags import Flag
from nightcal.measurement.cosmic_rays import CosmicRayOptions, find_cosmic_rays, find_excluded_pixels
from nightcal.numerics import kernels

EVERY = bool(os.environ.get("NIGHTCAL_EVERY_FRAME"))
"""Whole frames, and all of them: some minutes."""

pytest.importorskip("numba")


def frames(night, few, rows=200):
    """Image and uncertainty [e-], and mask without cosmic rays, of some rows of frames spread over the night."""
    paths = night.science
    for path in paths if EVERY else paths[:: len(paths) // few]:
        with fits.open(path) as hdus:
            gain = hdus[0].header["GAINUSED"] if hdus[0].header["BUNIT"] == "adu" else 1.0
            part = np.s_[:] if EVERY else np.s_[-rows:]
            image, uncertainty = (hdus[name].data[part].astype(np.float32) * gain for name in (0, "UNCERT"))
            yield path.stem, image, uncertainty, hdus["MASK"].data[part] & ~Flag.COSMIC_RAY


def check(night, few, monkeypatch):
    from astroscrappy import detect_cosmics

    monkeypatch.setattr(kernels, "LAPLACIAN_WORTHWHILE", 0)
    shares = []
    for name, image, uncertainty, mask in frames(night, few):
        for seeing in (1.8, 3.0):
            options = CosmicRayOptions(clean=True, spare_stars=False).adapt_to_seeing(seeing)
            found = find_cosmic_rays(image, mask, uncertainty=uncertainty, options=options)
            hits, cleaned = detect_cosmics(
                image, inmask=find_excluded_pixels(image, mask), invar=uncertainty**2, satlevel=np.inf,
                objlim=options.objlim, sepmed=False,
            )  # fmt: skip
            assert not found.reason, name
            assert np.array_equal(found.hits, hits), name
            assert np.array_equal(found.cleaned, cleaned), name
        shares.append(found.hits.mean())
    print(f"share of pixels hit: median {np.median(shares):.2e}, most {max(shares):.2e}")
    return np.array(shares)


@pytest.mark.slow
def test_globular_cluster(arcsat, monkeypatch):
    assert np.median(check(arcsat, 4, monkeypatch)) < 1e-3


@pytest.mark.slow
def test_open_cluster(nickel, monkeypatch):
    assert np.median(check(nickel, 3, monkeypatch)) < 1e-3


@pytest.mark.slow
def test_small_windows_of_a_transit(afosc, monkeypatch):
    assert np.median(check(afosc, 12, monkeypatch)) < 2e-3
