"""Light of the readout electronics is told from dark current by darks of different exposure."""

from types import SimpleNamespace

import numpy as np
import pytest
from nightcal.io.sections import Area
from nightcal.masters.amplifier_glow import BLOCKS, BlockMap, find_glow, map_blocks

SHAPE = (320, 640)
TIMES = [10.0, 10.0, 30.0, 60.0, 300.0]
MAP = (BLOCKS, BLOCKS)


def maps_of(rng, glow, current, times=TIMES, noise=0.1, bias_noise=0.05):
    """Maps of darks whose master bias is off by an error that they share, and whose bias level drifts."""
    bias_error = rng.normal(0, bias_noise, MAP)
    return [
        BlockMap(
            rng.normal(glow + current * t + bias_error + rng.normal(0, 30), np.sqrt(variance)),
            variance,
            np.full(MAP, bias_noise**2),
        )
        for t in times
        for variance in [noise**2 * rng.uniform(0.5, 1.5, MAP)]
    ]


def corner(light):
    glow = np.zeros(MAP)
    glow[0, 15] = light
    return glow


def test_a_glowing_corner_is_found_with_its_signal_and_place():
    glow = find_glow(maps_of(np.random.default_rng(1), corner(5.0), 0.02), TIMES, SHAPE)
    assert glow.signal == pytest.approx(5, abs=4 * glow.error)
    assert (glow.x, glow.y) == (620, 10)
    assert glow.matters(6.0)


def test_the_error_of_the_glow_is_honest():
    rng = np.random.default_rng(2)
    found = [find_glow(maps_of(rng, corner(5.0), 0.02), TIMES, SHAPE) for _ in range(400)]
    pulls = [(glow.signal - 5) / glow.error for glow in found]
    assert np.std(pulls) == pytest.approx(1, abs=0.1)
    assert np.mean(pulls) == pytest.approx(0, abs=0.15)


def test_uneven_dark_current_is_not_glow():
    rng = np.random.default_rng(3)
    current = rng.uniform(0, 0.5, MAP)
    found = [find_glow(maps_of(rng, 0.0, current), TIMES, SHAPE) for _ in range(200)]
    assert not any(glow.matters(6.0) for glow in found)
    # The largest of 256 Gaussian values lies at 3 sigma, in 5 of 6 cases between 2.5 and 3.6.
    assert np.median([abs(glow.signal) / glow.error for glow in found]) == pytest.approx(3.0, abs=0.3)


def test_a_glow_that_the_read_noise_hides_does_not_matter():
    glow = find_glow(maps_of(np.random.default_rng(4), corner(0.4), 0.02, noise=0.01, bias_noise=0.01), TIMES, SHAPE)
    assert glow.signal == pytest.approx(0.4, abs=0.1)
    assert not glow.matters(6.0)
    assert glow.matters(2.0)


def test_nearly_equal_exposure_times_show_no_glow():
    glow = find_glow(maps_of(np.random.default_rng(5), corner(5.0), 0.02, [60, 60, 61]), [60, 60, 61], SHAPE)
    assert not glow.matters(6.0)


@pytest.mark.parametrize("light", [0.0, 5.0])
def test_a_drift_of_one_amplifier_is_not_glow(light):
    rng = np.random.default_rng(7)
    maps = maps_of(rng, corner(light), 0.02)
    for one in maps:
        one.level[:8, 8:] += rng.normal(0, 30)
        one.level[8:, :8] += rng.normal(0, 30)
    seam = 327  # in the ninth of the 16 blocks, which both amplifiers have part of
    areas = [Area(x, end, y, y + 160) for x, end in ((0, seam), (seam, 640)) for y in (0, 160)]
    glow = find_glow(maps, TIMES, SHAPE, areas)
    assert glow.signal == pytest.approx(light, abs=4 * glow.error)
    assert glow.matters(6.0) == (light > 0)


def test_blocks_without_data_do_not_count():
    maps = maps_of(np.random.default_rng(6), corner(5.0), 0.02)
    maps[2].level[0, 15] = np.nan
    assert abs(find_glow(maps, TIMES, SHAPE).signal) < 1
    maps[0].level[:] = np.nan
    assert find_glow(maps, TIMES, SHAPE) is None


def exposure_of(image, flags=None, variance=25.0):
    flags = np.zeros(image.shape, np.int16) if flags is None else flags
    readout = SimpleNamespace(
        shape=image.shape,
        read_variance=variance,
        overscan_variance=np.zeros(()),
        rows=lambda start, stop: (image[start:stop].copy(), flags[start:stop]),
    )
    return SimpleNamespace(readout=readout)


def bias_of(shape, level=100.0, variance=1.0):
    image = np.full(shape, level, np.float32)
    return SimpleNamespace(data=image, variance=np.full(shape, variance, np.float32), mask=np.zeros(shape, np.int16))


@pytest.mark.parametrize("shape", [(64, 640), (320, 33), (5, 7), (512, 512)])
def test_the_level_of_each_block_is_that_of_its_pixels_above_the_bias(shape):
    rng = np.random.default_rng(7)
    ny, nx = shape
    steps = np.add.outer(np.arange(ny) * BLOCKS // ny, 100 * (np.arange(nx) * BLOCKS // nx))
    image = (100 + steps + rng.normal(0, 5, shape)).astype(np.float32)
    found = map_blocks(exposure_of(image), bias_of(shape), 3.5)
    expected = np.add.outer(range(min(BLOCKS, ny)), 100 * np.arange(min(BLOCKS, nx)))
    if min(shape) >= BLOCKS and ny % BLOCKS == nx % BLOCKS == 0:
        pulls = (found.level - expected) / np.sqrt(25 * found.variance / (25 + expected))
        assert np.std(pulls) == pytest.approx(1, abs=0.15)
    assert found.level.shape == expected.shape
    np.testing.assert_allclose(found.bias_variance * (25 + np.maximum(found.level, 0)), found.variance, rtol=1e-6)


def test_flagged_pixels_do_not_enter():
    shape = (64, 64)
    image, bias = np.full(shape, 110, np.float32), bias_of(shape)
    image[:, :8], image[:, 8:16] = 60000, 9000
    flags = np.zeros(shape, np.int16)
    flags[:, :8] = 4
    bias.mask[:, 8:16] = 1
    found = map_blocks(exposure_of(image, flags), bias, 3.5)
    assert np.isnan(found.level[:, :4]).all()
    np.testing.assert_allclose(found.level[:, 4:], 10)
