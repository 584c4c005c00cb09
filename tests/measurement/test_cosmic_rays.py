"""Cosmic rays equal those of astroscrappy, pixel by pixel, and bad frames raise nothing."""

import importlib.util
import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nightcal.errors import ConfigurationError
from nightcal.flags import Flag
from nightcal.measurement.cosmic_rays import (
    CosmicRayOptions,
    apply_laplacian_test,
    find_cosmic_rays,
    find_excluded_pixels,
)
from nightcal.numerics import kernels
from nightcal.simulation.sky import paint

NUMBA = importlib.util.find_spec("numba") is not None
needs_numba = pytest.mark.skipif(not NUMBA, reason="numba is not installed")
FEW = settings(deadline=None, derandomize=True, database=None, max_examples=60)
FULL_WELL = 60000.0


@pytest.fixture
def compiled(monkeypatch):
    """Frames of any size go through the compiled loops."""
    monkeypatch.setattr(kernels, "LAPLACIAN_WORTHWHILE", 0)


def stars_and_hits(rng, shape, fwhm, sky, read_noise, gain):
    """Stars up to saturation, single pixels and short tracks in all places, borders too [e-]; rounded to whole ADU."""
    count = max(2, shape[0] * shape[1] // 400)
    y, x = (rng.uniform(0, n, count) for n in shape)
    peak = 10 ** rng.uniform(1, 6, count)
    scene = sky + paint(shape, x, y, peak * np.pi * fwhm**2 / (4 * np.log(2)), fwhm)
    electrons = rng.poisson(scene) + rng.normal(0, read_noise, shape)
    for _ in range(max(1, scene.size // 200)):
        y0, x0, length = rng.integers(shape[0]), rng.integers(shape[1]), rng.integers(1, 5)
        electrons[y0 : y0 + length, x0] += 10 ** rng.uniform(1.5, 5)
    image = gain * np.rint(np.minimum(electrons, FULL_WELL) / gain)
    return image.astype(np.float32), np.where(image >= FULL_WELL - gain, Flag.SATURATED, np.int16(0))


def reference(image, mask, options, **noise):
    from astroscrappy import detect_cosmics

    return detect_cosmics(
        image, inmask=find_excluded_pixels(image, mask), sigclip=options.sigclip, sigfrac=options.sigfrac,
        objlim=options.objlim, niter=options.iterations, satlevel=np.inf, sepmed=False, **noise,
    )  # fmt: skip


@needs_numba
@pytest.mark.parametrize(
    ("fwhm", "sky", "read_noise", "gain"),
    [(1.5, 40, 6.5, 1.9), (2.0, 3000, 10, 0.4), (2.7, 0, 3, 1), (3.5, 40, 6.5, 1.9), (6.0, 3000, 10, 0.4)],
)
def test_mask_and_cleaned_image_equal_those_of_astroscrappy(compiled, fwhm, sky, read_noise, gain):
    rng = np.random.default_rng(int(100 * fwhm + sky))
    for shape, masked, options in [
        ((97, 130), 0.0, CosmicRayOptions(clean=True, spare_stars=False)),
        ((64, 33), 0.03, CosmicRayOptions(clean=True, objlim=12, sigfrac=0.5, spare_stars=False)),
        ((41, 150), 0.2, CosmicRayOptions(clean=True, sigclip=2.5, objlim=2, iterations=7, spare_stars=False)),
    ]:
        image, mask = stars_and_hits(rng, shape, fwhm, sky, read_noise, gain)
        mask[rng.random(shape) < masked] |= Flag.BAD
        hits, cleaned = reference(image, mask, options, readnoise=read_noise)
        found = find_cosmic_rays(image, mask, read_noise=read_noise, options=options)
        assert hits.any()
        assert np.array_equal(found.hits, hits)
        assert np.array_equal(found.cleaned, cleaned)


@needs_numba
def test_with_an_uncertainty_the_mask_equals_that_of_astroscrappy(compiled):
    rng = np.random.default_rng(5)
    image, mask = stars_and_hits(rng, (120, 111), 3.0, 100, 5, 1.0)
    uncertainty = np.sqrt(np.maximum(image, 0) / 0.8 + 40).astype(np.float32)
    image[50:60, 20:24], uncertainty[50:60, 20:24], mask[50:60, 20:24] = 0, 1e9, Flag.NO_DATA
    hits, _ = reference(image, mask, CosmicRayOptions(), invar=uncertainty**2)
    found = find_cosmic_rays(image, mask, uncertainty=uncertainty, options=CosmicRayOptions(spare_stars=False))
    assert hits.any()
    assert np.array_equal(found.hits, hits)


@needs_numba
@FEW
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(5, 14), st.integers(5, 14)), elements=st.integers(-50, 500)),
    st.integers(0, 2**32 - 1),
    st.floats(1, 6),
    st.floats(0.01, 1),
    st.floats(0.5, 8),
    st.integers(1, 5),
)
def test_small_frames_give_the_result_of_astroscrappy(image, seed, sigclip, sigfrac, objlim, iterations):
    rng = np.random.default_rng(seed)
    unusable = rng.random(image.shape) < rng.choice([0, 0.1, 0.9])
    variance = rng.uniform(1, 50, image.shape).astype(np.float32)
    options = CosmicRayOptions(sigclip, sigfrac, objlim, iterations)
    compiled = kernels.load_laplacian().search(
        image, variance, _grown(unusable), (sigclip, sigfrac, objlim), iterations
    )
    by_library = apply_laplacian_test(image, variance, unusable, options)
    assert np.array_equal(compiled[0], by_library[0])
    assert np.array_equal(compiled[1], by_library[1])


def _grown(mask):
    out = mask.copy()
    for y, x in np.argwhere(mask):
        for dy, dx in np.ndindex(3, 3):
            if 0 < y + dy - 1 < mask.shape[0] - 1 and 0 < x + dx - 1 < mask.shape[1] - 1:
                out[y + dy - 1, x + dx - 1] = True
    return out


@needs_numba
@pytest.mark.skipif(platform.machine() != "x86_64", reason="compiled elsewhere, astroscrappy may add in another order")
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 3), (6, 1), (9, 17)])
def test_laplacians_equal_those_of_astroscrappy_to_the_last_bit(shape):
    from astroscrappy.utils import laplaceconvolve, rebin, subsample

    kernels.load_laplacian()
    from nightcal.numerics.kernels.candidates import laplacian_at

    rng = np.random.default_rng(7)
    image = (rng.normal(1000, 300, shape) * rng.choice([1, 0.01, 37.3], shape)).astype(np.float32)
    expected = rebin(np.maximum(laplaceconvolve(subsample(image)), 0))
    found = [[laplacian_at(image, y, x) for x in range(shape[1])] for y in range(shape[0])]
    assert np.array_equal(np.array(found, np.float32), expected)


@needs_numba
@FEW
@given(hnp.arrays(np.float32, (7, 7), elements=st.integers(-9, 9) | st.floats(-1e6, 1e6, width=32)))
def test_medians_of_9_and_25_and_49_pixels(image):
    kernels.load_laplacian()
    from nightcal.numerics.kernels.medians import median_of_9, median_of_25, middle_of

    assert median_of_9(image, 3, 3) == np.median(image[2:5, 2:5])
    assert median_of_25(image, 3, 3) == np.median(image[1:6, 1:6])
    assert middle_of(image.reshape(-1).copy(), 49) == np.median(image)


@needs_numba
def test_a_hit_without_good_neighbours_is_replaced_by_the_level_of_the_image(compiled):
    rng = np.random.default_rng(1)
    image = rng.normal(100, 3, (40, 40)).astype(np.float32)
    image[20, 20] = 5000
    options = CosmicRayOptions(clean=True)
    everything_near = np.full((40, 40), False)
    everything_near[17:24, 17:24] = True
    everything_near[19:22, 19:22] = False  # grown by a pixel, it leaves the hit alone
    mask = np.where(everything_near, Flag.BAD, np.int16(0))
    found = find_cosmic_rays(image, mask, read_noise=3, options=options)
    hits, cleaned = reference(image, mask, options, readnoise=3)
    assert found.hits.sum() == hits.sum() == 1
    assert found.cleaned[20, 20] == cleaned[20, 20]
    assert abs(found.cleaned[20, 20] - 100) < 1


@pytest.mark.parametrize(("shape", "value"), [((1, 1), 0.0), ((3, 50), 1000.0), ((50, 4), 0.0), ((5, 5), 1000.0)])
def test_tiny_and_constant_frames_have_no_hits(shape, value):
    found = find_cosmic_rays(np.full(shape, value, np.float32), np.zeros(shape, np.int16), read_noise=5)
    assert not found.hits.any()
    assert found.hits.shape == shape
    assert bool(found.reason) == (min(shape) < 5)


@pytest.mark.parametrize("size", [32, 450])
def test_pixels_that_are_not_finite_do_not_disturb_others(size):
    rng = np.random.default_rng(2)
    image = rng.normal(50, 2, (size, size)).astype(np.float32)
    image[20, 20] = 3000
    image[5:8, 5], image[9, 25] = np.nan, np.inf
    found = find_cosmic_rays(image, np.zeros(image.shape, np.int16), uncertainty=np.full_like(image, 5))
    assert np.argwhere(found.hits).tolist() == [[20, 20]]
    assert not found.reason


def test_a_fully_masked_frame_gives_the_reason():
    image = np.zeros((50, 50), np.float32)
    found = find_cosmic_rays(image, np.full(image.shape, Flag.NO_DATA), read_noise=5)
    assert found.reason == "every pixel is masked"
    assert found.make_keywords()["CRSTAT"] == found.reason


def test_underestimated_uncertainties_do_not_turn_noise_into_hits():
    image = np.random.default_rng(3).normal(0, 100, (80, 80)).astype(np.float32)
    found = find_cosmic_rays(image, np.zeros(image.shape, np.int16), uncertainty=np.full_like(image, 1))
    assert not found.hits.any()
    assert "percent of the pixels look like cosmic rays" in found.reason


def test_science_pixels_are_unchanged_unless_cleaned():
    rng = np.random.default_rng(4)
    image = rng.normal(200, 10, (60, 60)).astype(np.float32)
    image[30, 30:33] += 2000
    before, mask = image.copy(), np.zeros(image.shape, np.int16)
    assert find_cosmic_rays(image, mask, read_noise=5).cleaned is None
    found = find_cosmic_rays(image, mask, read_noise=5, options=CosmicRayOptions(clean=True))
    assert np.array_equal(image, before)
    assert np.array_equal(found.cleaned != before, found.hits)
    assert np.all(np.abs(found.cleaned[30, 30:33] - 200) < 15)


def test_a_flagged_pixel_and_its_neighbours_are_never_hits():
    image = np.full((40, 40), 100, np.float32)
    image[10, 10] = image[11, 11] = image[30, 30] = 5000
    for flag in (Flag.BAD, Flag.HOT, Flag.SATURATED, Flag.BLEED, Flag.LOW_FLAT, Flag.NO_DATA, Flag.TRAIL):
        mask = np.zeros(image.shape, np.int16)
        mask[10, 10] = flag
        found = find_cosmic_rays(image, mask, read_noise=5)
        assert np.argwhere(found.hits).tolist() == [[30, 30]]
    mask[10, 10] = Flag.COSMIC_RAY  # of an earlier search
    assert find_cosmic_rays(image, mask, read_noise=5).hits[10, 10]


def test_a_saturated_star_is_excluded_with_its_surroundings_but_a_saturated_hit_is_not():
    y, x = np.mgrid[:60, :60]
    image = np.minimum(100 + 1e6 * np.exp(-((y - 30) ** 2 + (x - 20) ** 2) / 8), FULL_WELL).astype(np.float32)
    image[30, 50] = FULL_WELL
    alone = find_excluded_pixels(image, np.where(image == FULL_WELL, Flag.SATURATED, np.int16(0)))
    edge = 20 + np.flatnonzero(image[30, 20:40] == FULL_WELL).max()
    assert alone[30, edge : edge + 5].all()
    assert not alone[30, edge + 5]
    assert np.argwhere(alone[:, 45:]).tolist() == [[30, 5]]


@pytest.mark.parametrize(
    ("key", "value"),
    [("sigclip", 0), ("objlim", -1.0), ("sigfrac", float("nan")), ("iterations", 0), ("iterations", 2.5), ("clean", 1)],
)
def test_a_wrong_option_is_named(key, value):
    with pytest.raises(ConfigurationError, match=rf"cosmic_rays\.{key} is {value!r}; expected"):
        CosmicRayOptions(**{key: value})


def test_uncertainty_and_read_noise_exclude_each_other():
    with pytest.raises(ValueError, match="either an uncertainty or a read noise"):
        find_cosmic_rays(np.zeros((9, 9), np.float32), np.zeros((9, 9), np.int16))


def test_sharp_frames_get_the_stricter_objlim():
    options = CosmicRayOptions()
    assert options.adapt_to_seeing(2.2) is options
    for fwhm in (2.19, float("nan"), 0.0):
        sharp = options.adapt_to_seeing(fwhm)
        assert sharp.objlim == options.sharp_objlim > options.objlim
        assert sharp.adapt_to_seeing(fwhm) == sharp
    assert CosmicRayOptions(objlim=20).adapt_to_seeing(1.0) == CosmicRayOptions(objlim=20)


@needs_numba
def test_nothing_is_compiled_after_warming():
    code = (
        "import numpy as np; from nightcal.numerics import kernels;"
        "from nightcal.measurement.cosmic_rays import find_cosmic_rays;"
        "kernels.LAPLACIAN_WORTHWHILE = 0; kernels._warm_laplacian();"
        "from nightcal.numerics.kernels import laplacian, medians;"
        "every = [f for m in (laplacian, medians) for f in vars(m).values() if hasattr(f, 'signatures')];"
        "before = [len(f.signatures) for f in every]; assert sum(before) > 3;"
        "image = np.zeros((200, 200), np.float32); image[50, 50] = 900; mask = np.zeros(image.shape, np.int16);"
        "assert find_cosmic_rays(image, mask, uncertainty=image + 1).hits.sum() == 1;"
        "assert find_cosmic_rays(image, mask, read_noise=2).hits.sum() == 1;"
        "assert [len(f.signatures) for f in every] == before, 'something had to be compiled'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_small_frames_do_not_import_numba():
    code = (
        "import sys, numpy as np, nightcal.measurement.cosmic_rays as c; assert 'astroscrappy' not in sys.modules;"
        "c.find_cosmic_rays(np.zeros((64, 64), 'f4'), np.zeros((64, 64), 'u1'), read_noise=5);"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
