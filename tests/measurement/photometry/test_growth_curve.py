"""Growth curves of Gaussian and Moffat stars."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nightcal.measurement.photometry.growth_curve import interpolate_growth_curve
from sky_fields import FWHM, share

RADII = np.array([0.75, 1, 1.5, 3]) * FWHM


def moffat(beta):
    """Part of the light of a star with wings within a radius."""
    scale = FWHM / 2 / np.sqrt(2 ** (1 / beta) - 1)
    return lambda radius: 1 - (1 + (radius / scale) ** 2) ** (1 - beta)


def in_aperture(within, radius, distance, reach):
    """Fraction of the flux in an aperture at a distance, summed on a fine grid out to the reach."""
    step = radius / 100
    axis = np.arange(-radius + step / 2, radius, step)
    x, y = np.meshgrid(axis, axis)
    away = np.hypot(x + distance, y)[np.hypot(x, y) < radius]
    narrow = 1e-3
    brightness = (within(away + narrow) - within(away - narrow)) / (4 * np.pi * narrow * away)
    return np.sum(brightness[away < reach]) * step**2 / within(reach)


@pytest.mark.parametrize("radius", RADII[[0, 3]])
def test_a_gaussian_star_follows_its_closed_form(radius):
    curve = interpolate_growth_curve(RADII, share(RADII, 0.0))
    distance = np.array([0, 1, 2, 3, 5, 7, 9, 11])
    np.testing.assert_allclose(
        curve.integrate_aperture(radius, distance), share(radius, distance), rtol=0.03, atol=3e-5
    )


@pytest.mark.parametrize("beta", [2.5, 3.0, 4.7])
def test_moffat_stars_are_right_to_seven_percent_within_two_and_a_half_fwhm(beta):
    within = moffat(beta)
    curve = interpolate_growth_curve(RADII, within(RADII) / within(RADII[-1]))
    for radius in RADII:
        for distance, far in [(1.5, 0.07), (2.0, 0.07), (2.5, 0.15), (3.5, 0.7)]:
            truth = in_aperture(within, radius, distance * FWHM, RADII[-1])
            assert curve.integrate_aperture(radius, distance * FWHM) == pytest.approx(truth, rel=far)


def test_a_growth_curve_with_pencil_and_paper():
    # 0.25 of the light within 1, all within 2: below 1 as in a Gaussian, 1 - 0.75^(r^2)
    curve = interpolate_growth_curve(np.array([1.0, 2.0]), np.array([0.25, 1.0]))
    assert curve.integrate_within(0.5) == pytest.approx(1 - 0.75**0.25, abs=1e-4)
    assert curve.integrate_within(1.0) == pytest.approx(0.25, abs=1e-4)
    # to 2 the same, scaled such that nothing is left: 0.75 (0.75^3.. - 0.75^4) / (0.75 - 0.75^4)
    assert curve.integrate_within(1.5) == pytest.approx(1 - 0.75 * (0.75**2.25 - 0.75**4) / (0.75 - 0.75**4), abs=1e-4)
    assert curve.integrate_within(3.0) == pytest.approx(1)
    assert curve.find_radius(0.25) == pytest.approx(1, abs=1e-3)
    assert curve.integrate_aperture(1.0, 0.0) == pytest.approx(0.25, abs=1e-4)
    assert curve.integrate_aperture(1.0, 3.0) == 0
    assert curve.integrate_aperture(5.0, 3.0) == pytest.approx(1, abs=0.002)


# spread evenly over the sky, stars of one light give each aperture its area of it
@given(
    radii=st.lists(st.floats(0.5, 30), min_size=2, max_size=6, unique_by=lambda r: round(r, 1)).map(sorted),
    parts=st.lists(st.floats(-0.5, 1.5) | st.just(np.nan), min_size=6, max_size=6),
    size=st.floats(0.3, 1),
)
def test_flux_is_conserved_whatever_the_measurements(radii, parts, size):
    curve = interpolate_growth_curve(np.array(radii), np.array(parts[: len(radii)]))
    radius = size * curve.reach
    assert curve.flux.sum() == pytest.approx(1)
    assert (curve.flux >= -1e-12).all()
    distance = np.linspace(0, radius + curve.reach, 4001)
    share = curve.integrate_aperture(radius, distance)
    assert ((share >= 0) & (share <= 1 + 1e-9)).all()
    total = np.trapezoid(2 * np.pi * distance * share, distance)
    assert total == pytest.approx(np.pi * radius**2, rel=0.05)
