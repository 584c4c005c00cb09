"""Sources are detected at the positions of stars, with correct fluxes and honest errors."""

import os

import numpy as np
import pytest
from nightcal.errors import ConfigurationError
from nightcal.flags import Flag
from nightcal.measurement.sources import SourceOptions, find_sources, make_keywords
from scipy.spatial import cKDTree
from star_fields import SKY, field, gaussian, grid_field, moffat, observed, random_field, with_cosmic_rays

SIDE = 160


def found_at(table, x, y, within=1.0):
    """Rows of the sources nearest to given positions; all must be there."""
    places = np.column_stack([table["XWIN_IMAGE"] - 1, table["YWIN_IMAGE"] - 1])
    distance, row = cKDTree(places).query(np.column_stack([x, y]))
    assert np.all(distance < within), f"farthest source at {distance.max():.2f} pix"
    return table[row]


def one_star(flux=2e4, x=80.3, y=70.8, **kinds):
    return field((SIDE, SIDE), [x], [y], [flux], **kinds)


def light_within(profile, fwhm, radius):
    """Part of a star's light in a circle about it, by the formulas of the profiles."""
    if profile is gaussian:
        return 1 - np.exp(-(radius**2) / 2 / ((fwhm / 2.3548) ** 2 + 1 / 12))
    return 1 - (1 + (radius / fwhm * 2) ** 2 * (2 ** (1 / 3) - 1)) ** -2


def width(pulls):
    return np.sqrt(np.mean(np.square(pulls)))


@pytest.mark.parametrize(
    ("fwhm", "profile", "spacing"), [(1.5, gaussian, 24), (3.0, gaussian, 32), (3.0, moffat, 44), (6.0, gaussian, 56)]
)
def test_positions_fluxes_and_their_errors_are_honest(fwhm, profile, spacing):
    stars = grid_field(960, spacing, (1500, 3e5), fwhm, profile, seed=4)
    found = find_sources(*stars.arrays)
    assert abs(len(found.table) - len(stars.x)) <= 0.01 * len(stars.x)
    bright = stars.flux > 3000 * max(1, (fwhm / 3) ** 2)
    rows = found_at(found.table, stars.x[bright], stars.y[bright])
    off = np.stack([rows["XWIN_IMAGE"] - 1 - stars.x[bright], rows["YWIN_IMAGE"] - 1 - stars.y[bright]])
    errors = np.sqrt(np.stack([rows["ERRX2WIN_IMAGE"], rows["ERRY2WIN_IMAGE"]]))
    assert width(off / errors) == pytest.approx(1, abs=0.1)
    assert width(off[:, stars.flux[bright] > 5e4]) < 0.02
    flux, error = rows["FLUX_APER"][:, -1].value, rows["FLUXERR_APER"][:, -1].value
    whole = light_within(profile, fwhm, found.table.meta["APERTURES"][-1] / 2)
    pulls = (flux - whole * stars.flux[bright]) / np.hypot(error, 0.001 * stars.flux[bright])
    assert width(pulls) == pytest.approx(1, abs=0.12)
    brightest = stars.flux[bright] > 3e4
    assert np.median(flux[brightest] / stars.flux[bright][brightest]) == pytest.approx(whole, abs=0.001)


FIELDS = [(gaussian, 3.0), (moffat, 3.0)]
if "NIGHTCAL_ALL_FIELDS" in os.environ:
    FIELDS += [(gaussian, 1.5), (moffat, 2.0), (gaussian, 4.5), (gaussian, 6.0), (moffat, 6.0)]


@pytest.mark.slow
@pytest.mark.parametrize(("profile", "fwhm"), FIELDS)
def test_a_large_field_is_complete_pure_and_unbiased(profile, fwhm):
    """Makes the table in docs/sources.md, with NIGHTCAL_ALL_FIELDS=1 and -s."""
    stars = random_field(4096, 2000, (1000, 4e5), fwhm, profile, seed=11)
    table = find_sources(*stars.arrays).table
    truth = cKDTree(np.column_stack([stars.x, stars.y]))
    places = cKDTree(np.column_stack([table["XWIN_IMAGE"] - 1, table["YWIN_IMAGE"] - 1]))
    reach, bright = max(1.0, fwhm / 2), stars.flux > 2000
    beside = truth.query(truth.data, k=2)[0][:, 1] / fwhm
    found = places.query(truth.data)[0] < reach
    spurious = np.mean(truth.query(places.data)[0] > reach)
    inside = np.all((truth.data > 6 * fwhm) & (truth.data < 4095 - 6 * fwhm), axis=1)
    alone = inside & (beside > 8) & (stars.flux > 5000 * max(1, fwhm / 3) ** 2)
    rows, best = found_at(table, stars.x[alone], stars.y[alone], reach), stars.flux[alone] > 6e4
    off = np.stack([rows["XWIN_IMAGE"] - 1 - stars.x[alone], rows["YWIN_IMAGE"] - 1 - stars.y[alone]])
    position_pulls = off / np.sqrt(np.stack([rows["ERRX2WIN_IMAGE"], rows["ERRY2WIN_IMAGE"]]))
    whole = light_within(profile, fwhm, table.meta["APERTURES"][-1] / 2)
    ratio = rows["FLUX_APER"][:, -1].value / stars.flux[alone] / whole
    flux_pulls = (ratio - 1) * whole * stars.flux[alone] / rows["FLUXERR_APER"][:, -1].value
    figures = {
        "complete": np.mean(found[bright]), "apart": np.mean(found[bright & (beside > 2)]), "spurious": spurious,
        "position": width(off[:, best]), "pulls": (width(position_pulls), width(flux_pulls)),
        "flux": np.median(ratio[best]) - 1,
    }  # fmt: skip
    print(f"\n{profile.__name__} {fwhm}: {figures}")
    assert figures["complete"] >= (0.995 if fwhm <= 3 else 0.97)
    assert figures["apart"] >= (0.995 if fwhm <= 5 else 0.99)
    assert spurious <= 0.01
    assert figures["position"] < 0.02
    assert figures["pulls"] == pytest.approx((1, 1), abs=0.1)
    assert abs(figures["flux"]) < 0.001


@pytest.mark.parametrize(("profile", "fwhm"), [(gaussian, 5.0), (moffat, 3.0)])
def test_statistics_give_sky_noise_and_fwhm(profile, fwhm):
    stars = grid_field(512, 48, (5000, 1e5), fwhm, profile)
    result = find_sources(*stars.arrays).statistics
    assert result.sky == pytest.approx(SKY, abs=0.1)
    assert result.noise == pytest.approx(np.sqrt(SKY + 25), rel=0.01)
    pixel = np.sqrt(fwhm**2 + 2.3548**2 / 12)  # a star as the pixels see it
    assert result.fwhm == pytest.approx(pixel, rel=0.025)
    assert result.ellipticity < 0.03
    assert result.number == pytest.approx(len(stars.x), abs=2)


def test_the_sky_is_not_biased_by_poisson_noise():
    sky = np.full((640, 640), 40.0)
    data, uncertainty = observed(sky, np.random.default_rng(3), 3.0)
    star = field((640, 640), [300.0], [200.0], [5e4], background=0.0)
    result = find_sources(data + star.truth.astype(np.float32), uncertainty, star.mask)
    assert result.statistics.sky == pytest.approx(40, abs=0.05)


def test_the_sky_is_measured_beyond_3_fwhm_of_sources():
    across = np.arange(384) % 24 - 12
    halos = 10.0 * (np.hypot(across[:, None], across) < 8)
    x, y = (place.ravel() for place in np.meshgrid(*2 * [np.arange(12.0, 384, 24)]))
    stars = field((384, 384), x, y, np.full(x.size, 2500.0), background=SKY + halos)
    assert find_sources(*stars.arrays).statistics.sky == pytest.approx(SKY, abs=0.4)


def test_stars_on_a_steep_nebula_keep_their_flux():
    x, y = np.meshgrid(np.arange(80.0, 512, 96), np.arange(80.0, 512, 96))
    yy, xx = np.mgrid[:512, :512]
    nebula = SKY + 3000 * np.exp(-((xx - 250) ** 2 + (yy - 260) ** 2) / 2 / 150**2)
    stars = field((512, 512), x.ravel(), y.ravel(), np.full(x.size, 1e5), background=nebula)
    rows = found_at(find_sources(*stars.arrays).table, stars.x, stars.y)
    np.testing.assert_allclose(rows["FLUX_APER"][:, 2] / stars.flux, 1.0, atol=0.03)


def test_two_overlapping_stars_are_separated_and_flagged():
    pair = field((SIDE, SIDE), [60.0, 65.5, 120.0], [50.0, 50.0, 120.0], [2e4, 1e4, 1e4])
    table = find_sources(*pair.arrays).table
    assert len(table) == 3
    rows = found_at(table, pair.x, pair.y)
    assert list(rows["FLAGS"] & 2) == [2, 2, 0]


@pytest.mark.parametrize("distance", [10.5, 14.0])
def test_the_kron_aperture_of_a_faint_star_excludes_a_bright_neighbour(distance):
    stars = field((128, 128), [60, 60 + distance], [64, 64], [1_500_000, 1700])
    table = find_sources(*stars.arrays).table
    assert len(table) == 2
    assert table["FLUX_AUTO"][1] == pytest.approx(1700, rel=0.15)
    assert table["FLUX_AUTO"][0] == pytest.approx(1_500_000, rel=0.01)


def test_saturated_stars_are_detected_and_flagged():
    star = one_star(4e6)
    full = star.data > 60000
    star.data[full] = 60000
    star.mask[full] = Flag.SATURATED
    table = find_sources(*star.arrays).table
    assert len(table) == 1
    assert found_at(table, star.x, star.y)["FLAGS"][0] == 4


@pytest.mark.parametrize(
    ("bit", "flag", "fwhm"),
    [
        (Flag.BAD, 1, 2.0),
        (Flag.HOT, 1, 3.0),
        (Flag.NO_DATA, 1, 2.0),
        (Flag.LOW_FLAT, 1, 3.0),
        (Flag.COSMIC_RAY, 16, 3.0),
    ],
)
def test_a_bad_pixel_in_a_star_is_flagged_and_costs_little_flux(bit, flag, fwhm):
    star = one_star(5e4, fwhm=fwhm)
    star.data[71, 80] += 30000 if bit != Flag.NO_DATA else -star.data[71, 80]
    star.uncertainty[71, 80] = 1e9 if bit == Flag.NO_DATA else star.uncertainty[71, 80]
    star.mask[71, 80] = bit
    row = found_at(find_sources(*star.arrays).table, star.x, star.y, 0.05)
    assert row["FLAGS"][0] == flag
    assert row["FLUX_APER"][0, -1] == pytest.approx(5e4, rel=0.03)
    assert row["FLUXERR_APER"][0, -1] < 0.02 * 5e4


@pytest.mark.parametrize("fwhm", [1.6, 3.0])
def test_a_dead_column_does_not_cut_a_star_in_two(fwhm):
    star = one_star(5e4, fwhm=fwhm)
    star.data[:, 80], star.mask[:, 80] = 0, Flag.BAD
    table = find_sources(*star.arrays).table
    assert len(table) == 1
    row = found_at(table, star.x, star.y, 0.1)
    assert row["FLAGS"][0] == 1
    assert row["FLUX_APER"][0, -1] == pytest.approx(5e4, rel=0.05)


def test_a_bad_pixel_at_the_edge_of_an_aperture_changes_nothing():
    star = one_star(5e4)
    before = found_at(find_sources(*star.arrays).table, star.x, star.y)["FLUX_APER"][0, -1]
    star.mask[71, 86] = Flag.BAD
    after = found_at(find_sources(*star.arrays).table, star.x, star.y)["FLUX_APER"][0, -1]
    assert after == pytest.approx(before, abs=60)  # a pixel of sky has a noise of 15 e-


@pytest.mark.parametrize(("bit", "flag"), [(Flag.BAD, 1), (Flag.SATURATED, 4), (Flag.COSMIC_RAY, 16), (Flag.TRAIL, 32)])
def test_mask_bits_flag_a_source_within_1_fwhm_and_no_farther(bit, flag):
    flags = []
    for distance in (5, 7):  # of a star whose FWHM is 6.06 on the pixels
        star = one_star(2e5, x=80.0, y=70.0, fwhm=6.0)
        star.mask[70, 80 + distance] = bit
        flags.append(found_at(find_sources(*star.arrays).table, star.x, star.y)["FLAGS"][0])
    assert flags == [flag, 0]


def test_a_star_at_the_border_is_flagged():
    star = one_star(5e4, x=1.2, y=90.0)
    assert find_sources(*star.arrays).table["FLAGS"][0] & 8


def test_the_threshold_follows_noise_that_varies_over_the_frame():
    rng = np.random.default_rng(5)
    x, y = np.meshgrid(np.arange(20.0, 512, 32), np.arange(20.0, 512, 32))
    faint = field((512, 512), x.ravel(), y.ravel(), np.full(x.size, 700.0))
    loud = np.arange(512) >= 256
    faint.data[:, loud] += rng.normal(0, 60, (512, 256)).astype(np.float32)
    faint.uncertainty[:, loud] = np.hypot(faint.uncertainty[:, loud], 60)
    table = find_sources(*faint.arrays).table
    quiet = table["X_IMAGE"] < 257
    assert quiet.sum() == pytest.approx(128, abs=8)
    assert (~quiet).sum() <= 12
    assert np.sum(cKDTree(np.column_stack([faint.x, faint.y])).query(
        np.column_stack([table["X_IMAGE"] - 1, table["Y_IMAGE"] - 1]))[0] > 2) <= 1  # fmt: skip


def test_underestimated_uncertainties_do_not_turn_noise_into_sources():
    data, uncertainty = observed(np.full((256, 256), SKY), np.random.default_rng(1))
    assert len(find_sources(data, uncertainty / 10, np.zeros(data.shape, np.int16)).table) <= 2


def test_the_frame_is_unchanged_and_results_are_reproducible():
    stars = grid_field(256, 32, (2000, 1e5))
    stars.mask[::17, ::13] = Flag.COSMIC_RAY
    kept = [image.copy() for image in stars.arrays]
    first, second = find_sources(*stars.arrays), find_sources(*stars.arrays)
    for image, before in zip(stars.arrays, kept, strict=True):
        np.testing.assert_array_equal(image, before)
    assert first.statistics == second.statistics
    for name in first.table.colnames:
        assert first.table[name].tobytes() == second.table[name].tobytes()


def test_sources_are_numbered_from_the_brightest():
    table = find_sources(*grid_field(256, 32, (2000, 1e5)).arrays).table
    assert list(table["NUMBER"]) == list(range(1, len(table) + 1))
    assert np.all(np.diff(table["FLUX_AUTO"]) <= 0)


def odd_frames():
    flat = np.full((64, 64), 7.0)
    noise = np.random.default_rng(0).normal(200, 15, (64, 64))
    yield "nothing but sky", noise, 15.0, 0, "no source above the detection threshold"
    yield "the same everywhere", flat, 1.0, 0, "too small or constant"
    yield "all masked", flat, 1e9, Flag.NO_DATA, "every pixel of the frame is masked"
    yield "no error", noise, 0.0, 0, "every pixel of the frame is masked"
    yield "saturated", flat * 9000 + noise / 100, 200.0, Flag.SATURATED, "no source"
    yield "one pixel", flat[:1, :1], 1.0, 0, "too small"
    yield "five pixels", noise[:5, :5], 15.0, 0, "no source"
    yield "a row", noise[:1], 15.0, 0, "too small"
    yield "not a number", noise * np.nan, 15.0, 0, "every pixel of the frame is masked"


@pytest.mark.parametrize("frame", list(odd_frames()), ids=lambda frame: frame[0])
def test_a_frame_without_sources_gives_the_reason(frame):
    _, data, sigma, bits, words = frame
    data = data.astype(np.float32)
    told = find_sources(data, np.full_like(data, sigma), np.full(data.shape, bits, np.int16))
    assert len(told.table) == 0
    assert words in told.status
    assert told.table["FLUX_APER"].shape == (0, 4)
    assert all(np.isfinite(value) for value in make_keywords(told.statistics).values() if not isinstance(value, str))


def test_pixels_that_are_not_finite_are_ignored():
    star = one_star(5e4)
    star.data[60:64, 80:84], star.uncertainty[90:94, 80:84] = np.nan, np.inf
    row = found_at(find_sources(*star.arrays).table, star.x, star.y, 0.1)
    assert row["FLUX_APER"][0, -1] == pytest.approx(5e4, rel=0.03)


def test_a_frame_masked_except_for_a_strip_still_has_a_sky():
    stars = field((320, 320), [313.0], [150.0], [2e4])
    stars.mask[:, :305] = Flag.NO_DATA
    result = find_sources(*stars.arrays)
    assert result.statistics.sky == pytest.approx(SKY, abs=1)
    assert len(result.table) == 1


def test_a_frame_of_cosmic_rays_only_is_measured():
    data, uncertainty = observed(np.full((256, 256), SKY), np.random.default_rng(1))
    struck = with_cosmic_rays(data, 200)
    result = find_sources(struck, uncertainty, np.zeros(data.shape, np.int16))
    assert len(result.table) > 50


def test_apertures_can_be_given_in_pixels():
    star = one_star()
    table = find_sources(*star.arrays, SourceOptions(apertures=(4.0, 9.0), aperture_unit="pixel")).table
    assert table.meta["APERTURES"] == [4.0, 9.0]
    assert table["FLUX_APER"].shape == (1, 2)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold", 0), ("minimum_area", 0), ("background_box", 4), ("deblend_levels", 0), ("deblend_contrast", 2.0),
        ("apertures", ()), ("apertures", (3.0, 2.0)), ("aperture_unit", "arcsec"), ("kron_factor", -1.0),
        ("kron_minimum", 0.0),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named(key, value):
    with pytest.raises(ConfigurationError, match=f"sources.{key} is .*; expected"):
        SourceOptions(**{key: value})


def test_keywords_contain_the_seeing_if_the_scale_is_known():
    statistics = find_sources(*grid_field(256, 32, (2000, 1e5)).arrays).statistics
    told = make_keywords(statistics, 0.5)
    assert told["SEEING"] == pytest.approx(0.5 * told["FWHM"], abs=0.001)
    assert "SEEING" not in make_keywords(statistics)
    assert all(len(keyword) <= 8 for keyword in told)
