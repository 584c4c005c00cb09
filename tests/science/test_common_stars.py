"""Frames are compared by the stars that they have in common."""

import numpy as np
import pytest
from astropy.io import fits
from common_sky import make_sky, observe
from nightcal.io.source_catalog import write_catalog
from nightcal.measurement.sources.search import find_sources
from nightcal.science.common_stars import compare_stars, measure_fading, read_catalog_stars, read_stars
from star_fields import random_field


@pytest.fixture
def rng():
    return np.random.default_rng(21)


@pytest.fixture
def sky(rng):
    return make_sky(rng)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (2.0, 2.0), (-310.4, 155.7)])
def test_the_loss_of_light_is_right_within_its_error(sky, rng, shift, turned):
    pulls = []
    for loss in np.linspace(0, 2, 20):
        found = compare_stars(observe(sky, rng, shift=shift, loss=loss, turned=turned), observe(sky, rng))
        pulls.append((found[0] - loss) / found[1])
        assert found[1] < 0.02
    assert abs(np.mean(pulls)) < 0.8
    assert 0.5 < np.std(pulls) < 1.5


def test_a_variable_star_changes_nothing(sky, rng):
    brightest = int(np.argmin(sky[1]))
    loss, error = compare_stars(observe(sky, rng, variable=brightest), observe(sky, rng))
    assert abs(loss) < 4 * error


def test_frames_of_different_fields_are_never_compared(rng):
    for _ in range(100):
        assert compare_stars(observe(make_sky(rng, 400), rng), observe(make_sky(rng, 400), rng)) is None


def test_four_stars_are_too_few(rng):
    sky = rng.uniform(100, 900, (4, 2)), np.full(4, -11.0)
    assert compare_stars(observe(sky, rng), observe(sky, rng)) is None


def test_each_field_has_its_own_reference(rng):
    skies = [make_sky(rng) for _ in range(3)]
    losses = {"a1": (0, 0.0), "b1": (1, 0.3), "a2": (0, 0.7), "b2": (1, 0.0), "a3": (0, 0.2), "alone": (2, 0.0)}
    frames = {name: observe(skies[sky], rng, loss=loss) for name, (sky, loss) in losses.items()}
    found = measure_fading(frames | {"missing": None})
    assert set(found) == {"a1", "a2", "a3", "b1", "b2"}
    assert (
        len({found[name].field for name in ("a1", "a2", "a3")})
        == len({found[name].field for name in ("b1", "b2")})
        == 1
    )
    assert found["a2"].magnitudes - found["a1"].magnitudes == pytest.approx(0.7, abs=0.02)
    assert found["b1"].magnitudes - found["b2"].magnitudes == pytest.approx(0.3, abs=0.02)


def test_the_stars_of_a_catalogue_are_read_with_their_magnitudes(tmp_path):
    field = random_field(300, 30, (5_000, 200_000))
    table = find_sources(field.data, field.uncertainty, field.mask).table
    write_catalog(tmp_path / "catalogs/one.fits", table)
    stars = read_catalog_stars(tmp_path, "science/one.fits", 10.0)
    assert 5 <= len(stars.places) <= len(table)
    assert (np.diff(stars.magnitudes) >= 0).all()
    assert stars.magnitudes[0] == pytest.approx(-2.5 * np.log10(field.flux.max() / 10), abs=0.1)


def test_a_catalogue_that_is_missing_or_damaged_has_no_stars(tmp_path):
    (tmp_path / "damaged.fits").write_bytes(b"SIMPLE  = nonsense")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    assert [read_stars(tmp_path / f"{name}.fits", 1.0) for name in ("missing", "damaged", "empty")] == [None] * 3
