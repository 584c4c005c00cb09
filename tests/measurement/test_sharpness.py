"""Starlight is no cosmic ray, whatever the shape of the stars; hits on it are still found."""

import numpy as np
import pytest
from nightcal.measurement.cosmic_rays import CosmicRayOptions, find_cosmic_rays
from nightcal.measurement.sharpness import find_soft_hits

from benchmarks.defocused_stars import READ_NOISE, count_stars_hit, make_star_frame


def count(fwhm, ring, frames, **options):
    found = [count_stars_hit(np.random.default_rng([n, int(fwhm)]), fwhm, ring, **options) for n in range(frames)]
    return sum(frame[1] for frame in found), sum(frame[2] for frame in found)


@pytest.mark.parametrize(("fwhm", "ring"), [(11.6, True), (14.0, True), (9.0, True), (6.0, False), (14.0, False)])
def test_stars_out_of_focus_are_spared(fwhm, ring):
    stars, flagged = count(fwhm, ring, 5)
    assert stars > 100
    assert flagged <= 0.01 * stars + 1


def test_without_the_comparison_rings_would_be_flagged():
    stars, flagged = count(11.6, True, 2, spare_stars=False)
    assert flagged > 0.1 * stars


@pytest.mark.parametrize("ring", [True, False])
def test_a_hit_on_a_star_out_of_focus_is_found(ring):
    rng = np.random.default_rng(8)
    field = make_star_frame(rng, 11.6, ring)
    brightest = np.argsort(-field.signal[np.rint(field.y).astype(int), np.rint(field.x).astype(int)])[:3]
    places = np.rint(field.y[brightest]).astype(int) + 3, np.rint(field.x[brightest]).astype(int) + 2
    charge = np.zeros_like(field.signal)
    charge[places] = 3 * field.signal[places]
    image = (rng.poisson(field.signal + charge) + rng.normal(0, READ_NOISE, charge.shape)).astype(np.float32)
    uncertainty = np.sqrt(np.maximum(image, 0) + np.float32(READ_NOISE**2))
    found = find_cosmic_rays(image, np.zeros(image.shape, np.int16), uncertainty=uncertainty)
    assert found.hits[places].all()


def test_pixels_taken_back_keep_their_value_in_the_cleaned_image():
    rng = np.random.default_rng(4)
    field = make_star_frame(rng, 11.6, True)
    image = (rng.poisson(field.signal) + rng.normal(0, READ_NOISE, field.signal.shape)).astype(np.float32)
    uncertainty = np.sqrt(np.maximum(image, 0) + np.float32(READ_NOISE**2))
    mask = np.zeros(image.shape, np.int16)
    harsh = find_cosmic_rays(image, mask, uncertainty=uncertainty, options=CosmicRayOptions(spare_stars=False))
    found = find_cosmic_rays(image, mask, uncertainty=uncertainty, options=CosmicRayOptions(clean=True))
    assert (harsh.hits & ~found.hits).any()
    assert np.array_equal(found.cleaned[~found.hits], image[~found.hits])


def test_a_hit_on_dark_sky_is_never_taken_back():
    rng = np.random.default_rng(5)
    image = rng.normal(100, 10, (60, 60)).astype(np.float32)
    hits = np.zeros(image.shape, bool)
    hits[30, 20:26], image[30, 20:26] = True, 105.0  # on the sky, even a soft hit stays: the Laplacian test decides
    rows, _ = find_soft_hits(image, np.full_like(image, 10), np.zeros_like(hits), hits, 4.5)
    assert not len(rows)
