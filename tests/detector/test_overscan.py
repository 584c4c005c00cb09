"""The overscan level is measured correctly, with an honest error."""

import warnings

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData
from nightcal.detector.overscan import OverscanMethods
from nightcal.io.sections import Area

METHODS = ["median", "mean", "clipped_mean", "row_median", "row_mean", "smooth"]
ONE_LEVEL, BY_ROW = METHODS[:3], METHODS[3:]
NX, NY, WIDE = 40, 64, 32
BESIDE = (Area(NX, NX + WIDE, 0, NY),)


@pytest.fixture
def rng():
    return np.random.default_rng(42)


def readout(rng, level, sigma=4.0, signal=20000.0, whole=True):
    """Image of sky with an overscan of 32 columns at its right; `level` [ADU] may differ from row to row."""
    image = rng.normal(0, sigma, (NY, NX + WIDE)) + np.broadcast_to(np.reshape(level, (-1, 1)), (NY, 1))
    image[:, :NX] += signal
    return np.rint(image).astype(np.uint16) if whole else image


def subtract(name, image, areas):
    return OverscanMethods[name](image, areas)


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_level_is_found_and_subtracted(name, rng):
    image = readout(rng, 1000.0)
    level = OverscanMethods[name].find_level(image, BESIDE)
    assert np.mean(level.value) == pytest.approx(1000, abs=0.6 if "median" in name else 0.4)
    corrected = subtract(name, image, BESIDE)
    assert corrected.shape == image.shape
    assert corrected.dtype == np.float64
    assert corrected[:, :NX].mean() == pytest.approx(20000, abs=1)


@pytest.mark.parametrize("name", METHODS)
def test_a_noiseless_level_is_found_exactly(name):
    image = np.full((10, 20), 1234, dtype=np.uint16)
    image[:, :12] = 40000
    corrected = subtract(name, image, [Area(12, 20, 0, 10)])
    np.testing.assert_allclose(corrected[:, 12:], 0, atol=1e-9)
    np.testing.assert_allclose(corrected[:, :12], 40000 - 1234, atol=1e-9)


@pytest.mark.parametrize("name", ["clipped_mean", "row_mean"])
def test_a_pixel_below_the_level_becomes_negative(name):
    image = np.full((10, 20), 1000, dtype=np.uint16)
    image[3, 3] = 990
    assert subtract(name, image, [Area(12, 20, 0, 10)])[3, 3] == pytest.approx(-10)


@pytest.mark.parametrize("name", ["median", "row_median", "smooth"])
def test_the_raw_image_is_not_changed(name, rng):
    image = readout(rng, 1000.0, whole=False)
    before = image.copy()
    subtract(name, image, BESIDE)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", BY_ROW)
def test_a_drift_along_the_rows_is_followed(name, rng):
    drift = 1000 + 30 * np.linspace(-1, 1, NY) + 10 * np.linspace(-1, 1, NY) ** 3
    level = OverscanMethods[name].find_level(readout(rng, drift, whole=False), BESIDE)
    assert level.value.shape == (NY, 1)
    # Five standard errors of the mean of 32 pixels of 4 ADU, and what a median adds.
    assert np.abs(level.value[:, 0] - drift).max() < 5 * 4 / np.sqrt(WIDE) * np.sqrt(np.pi / 2)


@pytest.mark.parametrize("name", ["row_median", "row_mean"])
def test_row_by_row_methods_follow_a_jump_of_one_row(name, rng):
    jump = np.full(NY, 1000.0)
    jump[17] = 1100
    level = OverscanMethods[name].find_level(readout(rng, jump), BESIDE)
    assert level.value[17, 0] == pytest.approx(1100, abs=4)
    assert level.value[18, 0] == pytest.approx(1000, abs=4)


def test_the_smooth_level_ignores_a_jump_of_one_row(rng):
    jump = np.full(NY, 1000.0)
    jump[17] = 1500
    level = OverscanMethods.smooth.find_level(readout(rng, jump), BESIDE)
    assert np.abs(level.value - 1000).max() < 2


def test_the_smooth_level_has_less_noise_than_row_means(rng):
    drift = 1000 + 20 * np.linspace(-1, 1, NY)
    image = readout(rng, drift, whole=False)
    errors = {name: np.std(OverscanMethods[name].find_level(image, BESIDE).value[:, 0] - drift) for name in BY_ROW}
    assert errors["smooth"] < 0.5 * errors["row_mean"]


@pytest.mark.parametrize("name", ["clipped_mean", "median", "row_median"])
def test_a_cosmic_ray_in_the_overscan_does_not_move_the_level(name, rng):
    image = readout(rng, 1000.0)
    hit = image.copy()
    hit[20:23, NX + 5] = 30000
    before, after = (OverscanMethods[name].find_level(frame, BESIDE).value for frame in (image, hit))
    assert np.abs(after - before).max() < 1.1  # a median of whole ADU moves by one at most


def test_several_areas_give_the_level_of_their_union(rng):
    image = readout(rng, 1000.0)
    halves = [Area(NX, NX + 20, 0, NY), Area(NX + 20, NX + WIDE, 0, NY)]
    for name in ONE_LEVEL:
        method = OverscanMethods[name]
        assert method.find_level(image, halves).value == pytest.approx(method.find_level(image, BESIDE).value, abs=1e-9)


def test_areas_are_weighted_by_their_number_of_pixels():
    image = np.zeros((10, 10))
    image[:, 8:] = 4.0  # 20 pixels of 4
    image[:1, :5] = 8.0  # 5 pixels of 8
    areas = [Area(8, 10, 0, 10), Area(0, 5, 0, 1)]
    assert OverscanMethods.mean.find_level(image, areas).value == pytest.approx((20 * 4 + 5 * 8) / 25)
    assert OverscanMethods.median.find_level(image, areas).value == 4


@pytest.mark.parametrize("name", ["row_median", "row_mean"])
def test_areas_at_both_sides_are_averaged_row_by_row(name):
    image = np.zeros((6, 10))
    image[:, :2], image[:, 8:] = 10.0, 20.0
    level = OverscanMethods[name].find_level(image, [Area(0, 2, 0, 6), Area(8, 10, 0, 6)])
    np.testing.assert_allclose(level.value, 15)


@pytest.mark.parametrize("name", BY_ROW)
def test_areas_may_cover_the_rows_together(name, rng):
    image = readout(rng, 1000.0)
    areas = [Area(NX, NX + WIDE, 0, 30), Area(NX, NX + WIDE, 30, NY)]
    np.testing.assert_allclose(
        OverscanMethods[name].find_level(image, areas).value,
        OverscanMethods[name].find_level(image, BESIDE).value,
        rtol=1e-12,
    )


@pytest.mark.parametrize(("area", "row"), [(Area(NX, NX + WIDE, 0, 50), 50), (Area(0, NX, 0, 20), 20)])
def test_row_by_row_methods_need_overscan_beside_every_row(area, row, rng):
    with pytest.raises(ValueError, match=f"row {row} has no overscan pixel"):
        OverscanMethods.row_mean.find_level(readout(rng, 1000.0), [area])


@pytest.mark.parametrize("name", ONE_LEVEL)
def test_overscan_in_the_first_rows_gives_the_level(name, rng):
    image = rng.normal(1000, 4, (80, 60))
    image[20:] += 5000
    corrected = subtract(name, np.rint(image).astype(np.uint16), [Area(0, 60, 0, 20)])
    assert corrected[20:].mean() == pytest.approx(5000, abs=0.8)
    assert corrected[:20].mean() == pytest.approx(0, abs=0.8)


@pytest.mark.parametrize("name", METHODS)
def test_pixels_that_are_not_finite_are_ignored(name, rng):
    image = readout(rng, 1000.0, whole=False)
    image[::3, NX + 4] = np.nan
    image[5, NX + 7] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        level = OverscanMethods[name].find_level(image, BESIDE)
    assert np.abs(level.value - 1000).max() < 5
    assert np.isfinite(level.variance).all()


@pytest.mark.parametrize("name", ["mean", "row_mean"])
def test_an_overscan_without_finite_pixels_is_an_error(name):
    image = np.full((10, 20), np.nan)
    with pytest.raises(ValueError, match="overscan"):
        OverscanMethods[name].find_level(image, [Area(12, 20, 0, 10)])


def measure_errors(name, rng, sigma, whole):
    """Measure many levels that are not whole ADU; return their errors, their stated variances and their number."""
    n = 1000 if name in ONE_LEVEL else 250 if name == "smooth" else 100
    method = OverscanMethods[name]
    errors, variances = [], []
    for true in rng.uniform(999.5, 1000.5, n):
        level = method.find_level(readout(rng, true, sigma, 0.0, whole), BESIDE)
        errors.append(np.ravel(level.value - true))
        variances.append(np.ravel(level.variance))
    return np.concatenate(errors), np.concatenate(variances), n


@pytest.mark.parametrize("name", METHODS)
def test_the_error_of_the_level_is_honest(name, rng):
    errors, variances, n = measure_errors(name, rng, 4.0, whole=False)
    # the variance of 1000 independent errors is known to 4.5 percent; rows of a smooth level are correlated
    assert np.mean(errors**2) == pytest.approx(variances.mean(), rel=0.2 if name == "smooth" else 0.15)
    assert errors.mean() == pytest.approx(0, abs=5 * np.sqrt(variances.mean() / n))


@pytest.mark.parametrize("name", METHODS)
def test_the_error_includes_the_rounding_of_medians_to_half_an_adu(name, rng):
    errors, variances, _ = measure_errors(name, rng, 1.0, whole=True)
    assert np.mean(errors**2) < 1.2 * variances.mean()


@pytest.mark.parametrize("method", ["mean", "median"])
def test_levels_per_row_agree_with_ccdproc(method, rng):
    import ccdproc

    image = readout(rng, 1000 + 5 * np.sin(np.arange(NY)))
    theirs = ccdproc.subtract_overscan(
        CCDData(image.astype(float), unit="adu"),
        overscan=CCDData(image[:, NX:].astype(float), unit="adu"),
        median=method == "median",
        overscan_axis=1,
    )
    np.testing.assert_allclose(subtract(f"row_{method}", image, BESIDE), theirs.data, atol=1e-9)
    assert theirs.unit == u.adu


@pytest.mark.parametrize("method", ["mean", "median"])
def test_a_single_level_agrees_with_ccdproc(method, rng):
    import ccdproc

    image = rng.normal(1000, 4, (50, 30))
    image[20:] += 3000
    flat_area = image[:20].reshape(1, -1)  # one row of overscan pixels: one level
    level = np.mean(flat_area) if method == "mean" else np.median(flat_area)
    theirs = ccdproc.subtract_overscan(
        CCDData(image.reshape(1, -1), unit="adu"),
        overscan=CCDData(flat_area, unit="adu"),
        median=method == "median",
        overscan_axis=1,
    )
    ours = subtract(method, image, [Area(0, 30, 0, 20)])
    np.testing.assert_allclose(ours, theirs.data.reshape(image.shape), atol=1e-9)
    np.testing.assert_allclose(ours, image - level, atol=1e-9)


def test_smooth_agrees_with_a_cubic_fitted_by_numpy(rng):
    drift = 1000 + 12 * np.linspace(-1, 1, NY) ** 2
    image = readout(rng, drift, whole=False)
    y = np.arange(NY)
    cubic = np.polynomial.Polynomial.fit(y, image[:, NX:].mean(axis=1), 3)(y)
    np.testing.assert_allclose(OverscanMethods.smooth.find_level(image, BESIDE).value[:, 0], cubic, atol=0.05)


def test_the_level_of_some_rows_is_cut_out_of_that_of_all(rng):
    by_row = OverscanMethods.row_mean.find_level(readout(rng, 1000 + np.arange(NY)), BESIDE)
    np.testing.assert_array_equal(by_row.cut_rows(10, 13).value, by_row.value[10:13])
    np.testing.assert_array_equal(by_row.cut_rows(10, 13).variance, by_row.variance[10:13])
    single = OverscanMethods.mean.find_level(readout(rng, 1000.0), BESIDE)
    assert single.cut_rows(10, 13).value == single.value


# 40 rows, of which the first 32 are light-sensitive and have overscan beside them
PART = (Area(NX, NX + WIDE, 0, 32),)
IMAGE_ROWS = slice(0, 32)


@pytest.mark.parametrize("name", BY_ROW)
def test_overscan_beside_the_rows_of_the_image_area_suffices(name, rng):
    drift = 1000 + 30 * np.linspace(-1, 1, NY)[:40]
    image = readout(rng, np.append(drift, np.zeros(NY - 40)), whole=False)[:40]
    image[32:] = 50000.0
    method = OverscanMethods[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        level = method.find_level(image, PART, IMAGE_ROWS)
    assert np.abs(level.value[:32, 0] - drift[:32]).max() < 5 * 4 / np.sqrt(WIDE) * np.sqrt(np.pi / 2)
    assert np.isfinite(level.variance[:32]).all()
    # rows above the image area have no effect
    alone = method.find_level(image[:32], PART)
    np.testing.assert_allclose(level.value[:32], alone.value, rtol=1e-9)
    np.testing.assert_allclose(level.variance[:32], alone.variance, rtol=1e-6)


@pytest.mark.parametrize(("area", "row"), [((0, 31), 31), ((1, 32), 0)])
def test_a_row_of_the_image_area_without_overscan_is_an_error(area, row, rng):
    image = readout(rng, 1000.0)[:40]
    with pytest.raises(ValueError, match=f"row {row} has no overscan pixel"):
        OverscanMethods.smooth.find_level(image, [Area(NX, NX + WIDE, *area)], IMAGE_ROWS)
