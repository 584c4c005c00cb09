"""The errors of sharp stars contain what their place on the pixels does to them."""

import numpy as np
import pytest
from nightcal.measurement.sources import find_sources
from nightcal.measurement.sources.undersampling import measure_sampling_errors
from star_fields import field, gaussian, moffat


def measure_pulls(fwhm, profile, flux=3e5, side=12, step=30):
    """Pulls of positions, and of the fluxes within 2 FWHM about their median, of bright stars alone."""
    rng = np.random.default_rng(int(10 * fwhm))
    places = (np.arange(side) + 0.5) * step
    x, y = (grid.ravel() + rng.uniform(-0.5, 0.5, side**2) for grid in np.meshgrid(places, places))
    frame = field((side * step, side * step), x, y, np.full(side**2, flux), fwhm, profile)
    table = find_sources(*frame.arrays).table
    apart = np.hypot(table["XWIN_IMAGE"][:, None] - 1 - x, table["YWIN_IMAGE"][:, None] - 1 - y)
    nearest = apart.argmin(axis=0)
    table = table[nearest]
    positions = np.concatenate(
        [
            (table["XWIN_IMAGE"] - 1 - x) / np.sqrt(table["ERRX2WIN_IMAGE"]),
            (table["YWIN_IMAGE"] - 1 - y) / np.sqrt(table["ERRY2WIN_IMAGE"]),
        ]
    )
    fluxes = (table["FLUX_APER"][:, 1] - np.median(table["FLUX_APER"][:, 1])) / table["FLUXERR_APER"][:, 1]
    return np.std(positions), np.std(fluxes)


@pytest.mark.parametrize("profile", [gaussian, moffat])
@pytest.mark.parametrize("fwhm", [1.5, 2.0, 3.0])
def test_errors_of_bright_sharp_stars_are_honest(fwhm, profile):
    position, flux = measure_pulls(fwhm, profile)
    assert position < 1.5  # 1.0 for Gaussians; the wings of real stars differ
    assert 0.5 < flux < 1.4


def test_well_sampled_stars_have_no_such_error():
    errors = measure_sampling_errors(4.0, 1.7, np.array([6.0, 24.0]), 6.0)
    assert (errors.position, errors.auto, *errors.aperture) == (0, 0, 0, 0)


def test_sharper_stars_have_larger_errors():
    sizes = np.array([1.5, 2.0, 6.0])
    errors = [measure_sampling_errors(fwhm, 1.2, fwhm * sizes, 1.5 * fwhm) for fwhm in (1.4, 2.0, 3.0)]
    assert errors[0].position > errors[1].position > errors[2].position
    assert errors[0].aperture[-1] < 1e-3
