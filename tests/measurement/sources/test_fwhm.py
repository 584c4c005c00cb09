"""The FWHM is that of the stars, whatever else is in the field; without stars it is unknown."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.flags import Flag
from nightcal.io.product import Product
from nightcal.measurement.frame import UNKNOWN, MeasuredFrame
from nightcal.measurement.options import SourceOptions
from nightcal.measurement.sources import find_sources
from nightcal.measurement.sources.seeing import find_narrowest_common_width
from nightcal.measurement.sources.step import measure_sources
from scipy.ndimage import gaussian_filter
from star_fields import field, gaussian, moffat

SIZE = 400


def true_fwhm(fwhm, profile):
    """FWHM of a star after integration over pixels."""
    distance = np.linspace(0, 1.2 * fwhm, 200)
    height = np.array([profile(step, 0.0, fwhm, 2)[2, 2] for step in distance])
    return 2 * np.interp(-height[0] / 2, -height, distance)


def stars(rng, number, fwhm):
    """Positions, and fluxes from a signal-to-noise ratio of 20 upwards."""
    least = 20 * np.sqrt(225 * np.pi) * fwhm
    return *rng.uniform(15, SIZE - 15, (2, number)), least * 10 ** rng.pareto(1.2, number).clip(0, 2)


def scene(kind, fwhm, seed):
    rng = np.random.default_rng([seed, int(10 * fwhm)])
    profile = gaussian if seed % 2 else moffat
    x, y, flux = stars(rng, {"nebula": 12, "planetary": 6, "few": 5, "flagged": 12, "galaxies": 10}[kind], fwhm)
    background = 200.0
    if kind == "nebula":
        rows, columns = np.mgrid[:SIZE, :SIZE]
        knots = gaussian_filter(rng.normal(0, 1, (SIZE, SIZE)), 12)
        background += (
            600 * np.clip(knots / knots.std(), 0, None) * np.exp(-((columns - 200) ** 2 + (rows - 180) ** 2) / 9e3)
        )
    if kind == "planetary":
        pieces = field((SIZE, SIZE), [200, 225, 190], [215, 200, 180], [3e6] * 3, 2.5 * fwhm, background=0)
        background += pieces.truth
    if kind == "galaxies":
        wide = [
            field((SIZE, SIZE), *stars(rng, 1, q * fwhm), q * fwhm, moffat, background=0) for q in rng.uniform(2, 4, 20)
        ]
        background += sum(galaxy.truth for galaxy in wide)
    frame = field((SIZE, SIZE), x, y, flux, fwhm, profile, seed, background)
    if kind in ("flagged", "planetary"):
        frame.mask[np.rint(y).astype(int), np.rint(x).astype(int) + 1] = Flag.HOT
    return frame, true_fwhm(fwhm, profile)


@pytest.mark.parametrize("kind", ["nebula", "planetary", "few", "flagged", "galaxies"])
@pytest.mark.parametrize("fwhm", [2.5, 4.0, 6.0])
def test_the_fwhm_is_that_of_the_stars(kind, fwhm):
    ratios = []
    for seed in range(3):
        frame, truth = scene(kind, fwhm, seed)
        ratios.append(find_sources(*frame.arrays).statistics.fwhm / truth)
    assert sorted(np.abs(np.array(ratios) - 1))[1] < 0.05
    assert np.all(np.abs(np.array(ratios) - 1) < 0.15)


def scene_of_galaxies():
    """Five sources, no three of which have one width."""
    background, places = 200.0, np.linspace(60, 340, 5)
    for place, width in zip(places[1:], (6.0, 8.5, 12.0, 17.0), strict=True):
        background += field((SIZE, SIZE), [place], [place], [2e6], width, background=0).truth
    return field((SIZE, SIZE), places[:1], places[:1], [2e5], 4.0, background=background)


def test_a_frame_without_stars_has_no_fwhm_and_a_warning_names_the_apertures():
    frame = scene_of_galaxies()
    found = find_sources(*frame.arrays)
    assert len(found.table)
    assert np.isnan(found.statistics.fwhm)
    product = Product(frame.data, frame.uncertainty, frame.mask, "electron", fits.Header())
    measured = MeasuredFrame(product, UNKNOWN)
    values = measure_sources(measured, SourceOptions())
    assert "FWHM" not in values
    assert "FWHM unknown: " in product.header["WARN001"]
    assert "4.5, 6.0, 9.0, 18.0 pixels" in str(product.header["WARN001"])


def test_a_lone_star_tells_the_fwhm():
    frame = field((150, 150), [70.3], [80.1], [5e4], 5.0)
    assert find_sources(*frame.arrays).statistics.fwhm == pytest.approx(true_fwhm(5.0, gaussian), rel=0.05)


def test_the_narrowest_common_width_is_chosen_and_not_the_narrowest():
    widths = np.log([1.5, 1.6, 3.0, 3.05, 2.95, 3.1, 5, 6, 7, 8, 8.1, 8.2, 8.3, 8.4, 8.5])
    assert np.exp(find_narrowest_common_width(widths, np.ones(len(widths)))) == pytest.approx(3.03, rel=0.03)
    assert np.isnan(find_narrowest_common_width(np.log([1.0, 2.0, 4.0]), np.ones(3)))
    assert np.isnan(find_narrowest_common_width(np.zeros(0), np.zeros(0)))
