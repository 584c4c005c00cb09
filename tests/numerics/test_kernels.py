"""The compiled loops and those of numpy give the clipped mean of the reference, and both the same bits."""

import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import nightcal
import nightcal.numerics.kernels
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nightcal.numerics.kernels import WORTHWHILE, are_loaded, load_compiled, plain, prepare, warm
from nightcal.numerics.kernels.arguments import not_below, whole_and_part
from nightcal.numerics.kernels.order import merge_order
from nightcal.numerics.robust import clipped_mean, deviation_noise

NUMBA = importlib.util.find_spec("numba") is not None
LOOPS = [plain, *([load_compiled()] if NUMBA else [])]
needs_numba = pytest.mark.skipif(not NUMBA, reason="numba is not installed")

NUMBERS_OF_FRAMES = [*range(1, 10), 15, 16, 17, 18, 31, 32, 33, 48, 49, 64, 65, 200]
"""Blocks of the sorting network have 16 rows."""

NO_FLOOR = (0.0, 0.0)
FLOORS = [NO_FLOOR, (1 / 12, 0.0), (0.25, 0.5)]
FEW = settings(deadline=None, derandomize=True, database=None, max_examples=150)
HALF_BIT = 6e-8
"""Relative error of rounding to 32 bits."""


class Found(NamedTuple):
    """What the loops fill."""

    mean: np.ndarray
    scatter: np.ndarray
    survivors: np.ndarray
    weight: np.ndarray


def clip(
    raw, first=0, width=None, offset=0.0, scale=1.0, limit=np.inf, images=(), factors=(), weights=None, k=3.0,
    floor=NO_FLOOR,
):  # fmt: skip
    """Clip with all loops, which must give the same bits."""
    n, rows, columns = raw.shape
    shape = rows, columns - first if width is None else width
    offsets = whole_and_part(np.broadcast_to(offset, (n, rows)))
    scales = np.broadcast_to(np.float32(scale), n).copy()
    limits = np.array([not_below(one) for one in np.broadcast_to(limit, n)], np.float32)
    masters = np.asarray(images, np.float32).reshape(-1, *shape)
    by = np.asarray(factors, np.float32).reshape(n, len(masters))
    noises = np.ones(n) if weights is None else deviation_noise(weights)
    found = []
    for loops in LOOPS:
        weight = np.full(shape if weights is not None else (rows, 0), -7, np.float32)
        results = Found(
            np.full(shape, -7, np.float32), np.full(shape, -7, np.float32), np.full(shape, -7, "i2"), weight
        )
        loops.clip(raw, first, offsets, scales, limits, masters, by, weights, noises, k, floor, *results)
        found.append(results)
    for other in found[1:]:
        assert_same_bits(found[0], other)
    return found[0]


def assert_same_bits(one, other):
    for name, a, b in zip(Found._fields, one, other, strict=True):
        for part, of_other in zip(bits(a), bits(b), strict=True):
            np.testing.assert_array_equal(part, of_other, err_msg=name)


def bits(values):
    """Numbers as they are stored, all NaN alike, and which are NaN."""
    return np.where(np.isnan(values), values.dtype.type(0x7F), values).view(f"u{values.itemsize}"), np.isnan(values)


def assert_is_clipped_mean(found, values, k, floor, weights=None):
    """Compare with the reference in 64 bits; the counts must agree exactly."""
    values = np.asarray(values, np.float64)
    reference = clipped_mean(values, k, lambda middle: np.sqrt(floor[0] + floor[1] * np.maximum(middle, 0)), weights)
    largest = np.max(np.abs(values), where=np.isfinite(values), initial=0)
    np.testing.assert_array_equal(found.survivors, reference.survivors)
    np.testing.assert_allclose(found.mean, reference.mean, rtol=HALF_BIT, atol=1e-14 * largest)
    with np.errstate(invalid="ignore"):
        scatter = np.sqrt(found.scatter.astype(np.float64))
    np.testing.assert_allclose(scatter, reference.scatter, rtol=1e-6, atol=1e-7 * largest)
    if weights is not None:
        np.testing.assert_allclose(found.weight, reference.weight, rtol=HALF_BIT, atol=1e-7)


def zoo(rng, n, columns=270):
    """A row of each kind of data, a few ADU high: 270 columns are a tile and a bit."""
    noise = rng.normal(5, 1, (n, columns))
    missing = noise.copy()
    for value, chance in ((np.nan, 0.1), (-np.inf, 0.05), (np.inf, 0.05)):
        missing[rng.random(missing.shape) < chance] = value
    missing[:, 7] = np.nan
    missing[: n - 1, 8] = np.inf
    two = np.where(rng.random(noise.shape) < 0.5, 3.0, 5.0)
    quantised, spoilt = np.rint(2 * noise), np.rint(noise)
    spoilt[rng.random(noise.shape) < 0.3] = np.nan
    hit = noise + 1000 * (rng.random(noise.shape) < 0.1)
    kinds = noise, missing, np.full(noise.shape, 7.0), two, quantised, spoilt, hit, -noise
    return np.stack(kinds, axis=1).astype(np.float32)


def as_words(integers):
    return np.ascontiguousarray(np.asarray(integers).astype(">i2")).view(np.uint16)


@pytest.fixture
def rng():
    return np.random.default_rng(256)


# --- against the reference -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", NUMBERS_OF_FRAMES)
def test_loops_give_the_clipped_mean_of_any_number_of_frames(n):
    cube = zoo(np.random.default_rng(n), n)
    for k, floor in [*((3.0, floor) for floor in FLOORS), (1.0, FLOORS[1]), (3.5, NO_FLOOR)]:
        assert_is_clipped_mean(clip(cube, k=k, floor=floor), cube, k, floor)


@pytest.mark.parametrize("n", NUMBERS_OF_FRAMES)
def test_loops_give_the_weighted_clipped_mean_of_any_number_of_frames(n):
    rng = np.random.default_rng(1000 + n)
    cube, weights = zoo(rng, n), rng.uniform(0.3, 3, n)
    for k, floor in [(3.0, NO_FLOOR), (2.5, FLOORS[2])]:
        assert_is_clipped_mean(clip(cube, weights=weights, k=k, floor=floor), cube, k, floor, weights)


def test_the_mean_is_good_to_a_millionth_of_an_adu():
    for n in NUMBERS_OF_FRAMES:
        cube = np.random.default_rng(n).normal(5, 1, (n, 1, 300)).astype(np.float32)
        reference = clipped_mean(cube, 3.0)
        np.testing.assert_allclose(clip(cube).mean, reference.mean, rtol=0, atol=1e-6)


def test_nothing_survives_where_no_frame_saw_anything():
    for n in (1, 2, 3, 16, 17, 40):
        found = clip(np.full((n, 1, 3), np.nan, np.float32), weights=np.ones(n))
        assert not found.survivors.any()
        assert not found.weight.any()
        assert np.isnan(found.mean).all()
        assert np.isnan(found.scatter).all()


def test_pencil_and_paper():
    # Median 100, deviations 2 1 0 1 2 0 900: MAD 1, so that 1000 goes; the others scatter by 10 / 5 about 100.
    column = np.array([98, 99, 100, 101, 102, 100, 1000], np.float32).reshape(-1, 1, 1)
    found = clip(column)
    assert (found.mean[0, 0], found.scatter[0, 0], found.survivors[0, 0]) == (100, 2, 6)
    # With a floor of 16 + 0.2 x 100 = 36 e-^2 the half-width is 18, with 90,000 e-^2 it is 900: the limit is kept.
    assert clip(column, floor=(16.0, 0.2)).survivors[0, 0] == 6
    assert clip(column, floor=(90000.0, 0.0)).survivors[0, 0] == 7


def test_equal_weights_change_nothing(rng):
    for n in (1, 4, 17, 33):
        cube = zoo(rng, n)
        found, weighted = clip(cube), clip(cube, weights=np.ones(n))
        np.testing.assert_array_equal(found.survivors, weighted.survivors)
        np.testing.assert_array_equal(weighted.weight, weighted.survivors)
        np.testing.assert_allclose(found.mean, weighted.mean, rtol=2 * HALF_BIT)


@pytest.mark.parametrize("n", [5, 16, 40])
def test_the_order_of_frames_changes_no_bit(n, rng):
    cube = zoo(rng, n)
    first = clip(cube, floor=FLOORS[1])
    for _ in range(3):
        assert_same_bits(clip(np.ascontiguousarray(rng.permutation(cube)), floor=FLOORS[1]), first)


@pytest.mark.parametrize("n", [7, 16, 33])
def test_sums_are_taken_in_the_same_order(n, rng):
    # Beside 2^56, 64 bits hold multiples of 16 only: another order of the same terms gives another sum.
    cube = rng.integers(-40, 40, (n, 1, 500)).astype(np.float32)
    cube[0], cube[1] = -(2.0**56), 2.0**56
    means = clip(cube, k=1e30, floor=(1.0, 0.0)), clip(cube, k=1e30, floor=(1.0, 0.0), weights=np.ones(n))
    assert (means[0].mean != means[1].mean).any()  # a weighted sum is not in sorted order
    assert all((found.survivors == n).all() for found in means)


TINY = float(np.finfo(np.float32).smallest_subnormal)
COLUMN = st.integers(1, 40).flatmap(
    lambda n: hnp.arrays(
        np.float32,
        (n, 1, 3),
        elements=st.one_of(
            st.floats(-(2.0**50), 2.0**50, width=32),
            st.integers(-5, 5).map(float),
            st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, TINY, -TINY, 65535.0]),
        ),
    )
)


@FEW
@given(cube=COLUMN, k=st.floats(0.5, 20), floor=st.sampled_from(FLOORS))
def test_any_numbers(cube, k, floor):
    assert_is_clipped_mean(clip(cube, k=k, floor=floor), cube, k, floor)


@FEW
@given(cube=COLUMN, data=st.data())
def test_any_numbers_and_weights_give_the_same_bits(cube, data):
    weights = data.draw(hnp.arrays(np.float64, len(cube), elements=st.floats(0.01, 100)))
    found = clip(cube, weights=weights, floor=FLOORS[1])
    finite = np.isfinite(cube)
    assert (found.survivors <= finite.sum(axis=0)).all()
    some = found.survivors > 0
    mean = found.mean[some]
    low, high = (
        cube.min(axis=0, where=finite, initial=np.inf)[some],
        cube.max(axis=0, where=finite, initial=-np.inf)[some],
    )
    slack = 1e-6 * np.maximum(np.abs(low), np.abs(high))
    assert (mean >= low - slack).all()
    assert (mean <= high + slack).all()


@pytest.mark.filterwarnings("ignore:overflow encountered")
@FEW
@given(cube=hnp.arrays(np.float32, (7, 1, 4), elements=st.floats(width=32)))
def test_numbers_up_to_the_largest(cube):
    found, reference = clip(cube), clipped_mean(cube)
    np.testing.assert_array_equal(found.survivors, reference.survivors)


# --- how pixels come in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3, 16, 21])
def test_words_are_the_numbers_that_they_stand_for(n, rng):
    integers = rng.integers(-0x8000, 0x8000, (n, 3, 260))
    integers[:, 0, :4] = -0x8000, 0x7FFF, 0, -1
    how = {"offset": rng.uniform(900, 1100, (n, 3)), "scale": 1.5, "limit": 30000.0, "floor": (30.0, 0.0)}
    assert_same_bits(clip(as_words(integers), **how), clip(integers.astype(np.float32), **how))


@pytest.mark.parametrize("n", [1, 5, 30])
def test_an_offset_of_each_row_is_taken_off_to_a_millionth(n, rng):
    integers = np.rint(rng.normal(1000, 3, (n, 5, 100))).astype(int)
    integers[3:][rng.random(integers[3:].shape) < 0.05] += 20000
    offset = 1000 + rng.uniform(-5, 5, (n, 5))
    values = integers - offset[:, :, np.newaxis]
    found = clip(as_words(integers), offset=offset, floor=(1.0, 0.0))
    reference = clipped_mean(values, 3.0, 1.0)
    np.testing.assert_array_equal(found.survivors, reference.survivors)
    np.testing.assert_allclose(found.mean, reference.mean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("words", [True, False])
@pytest.mark.parametrize(("first", "width"), [(0, 520), (3, 256), (1, 257), (519, 1)])
def test_offsets_scales_masters_and_columns_with_exact_numbers(first, width, words, rng):
    # Quarters and powers of 2 are exact in 32 bits, so that the reference sees the very same numbers.
    n, rows = 6, 3
    integers = rng.integers(-20, 21, (n, rows, 520))
    offset, scale = rng.integers(-400, 400, (n, rows)) / 4, 2.0 ** rng.integers(-2, 3, n)
    images, factors = rng.integers(-9, 10, (2, rows, width)), 2.0 ** rng.integers(-1, 3, (n, 2))
    limit = np.array([15.0, 20.5, 21.0, -3.0, 0.0, np.inf])
    stored = integers[:, :, first : first + width].astype(float)
    stored[stored >= limit[:, np.newaxis, np.newaxis]] = np.nan
    values = (stored - offset[:, :, np.newaxis]) * scale[:, np.newaxis, np.newaxis]
    values -= np.einsum("nm,myx->nyx", factors, images)
    raw = as_words(integers) if words else integers.astype(np.float32)
    for weights in (None, rng.uniform(0.5, 2, n)):
        how = {"k": 3.0, "floor": FLOORS[2], "weights": weights}
        found = clip(raw, first, width, offset, scale, limit, images, factors, **how)
        assert_is_clipped_mean(found, values, **how)


@pytest.mark.parametrize("shape", [(1, 1), (4, 256), (2, 257), (300, 2)])
def test_images_of_any_shape(shape, rng):
    cube = rng.normal(5, 1, (9, *shape)).astype(np.float32)
    assert_is_clipped_mean(clip(cube, floor=FLOORS[1]), cube, 3.0, FLOORS[1])


def test_values_at_the_limit_or_above_do_not_enter():
    integers = np.array([99, 100, 101, 100]).reshape(4, 1, 1)
    for raw in (as_words(integers), integers.astype(np.float32)):
        for limit, entered in [(99.0, 0), (99.5, 1), (100.0, 1), (100.5, 3), (101.0, 3), (102.0, 4), (np.inf, 4)]:
            assert clip(raw, limit=limit, floor=(9.0, 0.0)).survivors[0, 0] == entered


@FEW
@given(st.floats(-1e9, 1e9))
def test_not_below_is_the_smallest_number_that_is_not(limit):
    found = not_below(limit)
    assert found.dtype == np.float32
    assert float(found) >= limit > float(np.nextafter(found, np.float32(-np.inf)))


@FEW
@given(st.floats(-70000, 70000))
def test_whole_and_part_make_up_the_offset(offset):
    whole, part = whole_and_part(offset).astype(np.float64)
    assert whole == np.rint(whole)
    assert abs(part) <= 0.5
    assert whole + part == pytest.approx(offset, abs=2e-8)


# --- sorting and counting --------------------------------------------------------------------------------------------


def sorted_by_network(values):
    rows = list(values)
    for low, high in merge_order(len(rows)):
        assert low < high
        rows[low], rows[high] = np.minimum(rows[low], rows[high]), np.maximum(rows[low], rows[high])
    return np.array(rows)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 11, 16])
def test_the_network_sorts_all_sequences(n):
    # Knuth's 0-1 principle: what sorts all sequences of 0 and 1 sorts all sequences.
    zeros_and_ones = (np.arange(2**n) >> np.arange(n)[:, np.newaxis] & 1).astype(np.uint8)
    np.testing.assert_array_equal(sorted_by_network(zeros_and_ones), np.sort(zeros_and_ones, axis=0))


@pytest.mark.parametrize("n", [17, 31, 32, 33, 64, 65, 100, 257])
def test_the_network_sorts_many_values(n, rng):
    permutations = rng.permuted(np.tile(np.arange(n), (99, 1)), axis=1).T
    values = np.concatenate([rng.random((n, 300)) < rng.random(300), permutations], axis=1)
    np.testing.assert_array_equal(sorted_by_network(values), np.sort(values, axis=0))


def sorted_by_tiles(values):
    """Sort rows of up to 64 values with the compiled network, 256 pixels at a time."""
    from nightcal.numerics.kernels.network import STRIDE, TILE, sort_tile

    n, blocks = len(values), -(-len(values) // 16)
    merges = np.array(merge_order(blocks), np.int64).reshape(-1, 2)
    result = np.empty_like(values)
    for start in range(0, values.shape[1], TILE):
        part = values[:, start : start + TILE]
        tile = np.full((blocks * 16, STRIDE), np.inf, np.float32)
        tile[:n, : part.shape[1]] = part
        flat = tile.ravel()
        sort_tile(flat, blocks, merges)
        result[:, start : start + TILE] = flat.reshape(tile.shape)[:n, : part.shape[1]]
    return result


@needs_numba
def test_the_compiled_network_sorts_all_sequences_in_a_block():
    zeros_and_ones = (np.arange(2**16) >> np.arange(16)[:, np.newaxis] & 1).astype(np.float32)
    np.testing.assert_array_equal(sorted_by_tiles(zeros_and_ones), np.sort(zeros_and_ones, axis=0))


@needs_numba
@pytest.mark.parametrize("blocks", [2, 3, 4])
def test_the_compiled_network_merges_all_sorted_blocks(blocks):
    ones = np.array(list(itertools.product(range(17), repeat=blocks)))
    sorted_blocks = np.arange(16) >= 16 - ones[:, :, np.newaxis]
    values = sorted_blocks.reshape(len(ones), -1).T.astype(np.float32)
    np.testing.assert_array_equal(sorted_by_tiles(values), np.sort(values, axis=0))


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 65535, 65536, 65537, 200_003])
@pytest.mark.parametrize("spread", [1, 0x8000])
@pytest.mark.parametrize("loops", LOOPS, ids=lambda loops: loops.__name__)
def test_a_histogram_counts_each_integer(loops, spread, length, rng):
    integers = rng.integers(-spread, spread, length)
    integers[: min(2, length)] = [-0x8000, 0x7FFF][:length]
    counts = loops.histogram(as_words(integers))
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, np.bincount(integers + 0x8000, minlength=65536))


@pytest.mark.parametrize("loops", LOOPS, ids=lambda loops: loops.__name__)
def test_a_histogram_of_words_that_are_not_aligned(loops, rng):
    integers = rng.integers(-0x8000, 0x8000, 1001)
    for shift in (1, 2, 6):
        memory = np.empty(2 * len(integers) + shift, np.uint8)
        words = memory[shift:].view(np.uint16)
        words[:] = as_words(integers)
        np.testing.assert_array_equal(loops.histogram(words), np.bincount(integers + 0x8000, minlength=65536))


# --- which loops -----------------------------------------------------------------------------------------------------


@pytest.fixture
def without_numba(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "numba" else find_spec(name))


LOADED = """
import sys
from nightcal.numerics import kernels
import nightcal.stacking.stack, nightcal.masters.common, nightcal.science.calibrator
kernels.prepare({work})
sys.exit(2 * kernels.are_loaded() + ("numba" in sys.modules))
"""


@pytest.mark.parametrize(
    ("work", "expected"), [(WORTHWHILE - 1, 0), pytest.param(WORTHWHILE, 3, marks=needs_numba)], ids=["small", "large"]
)
def test_compiled_loops_are_loaded_where_work_is_large_enough(work, expected):
    done = subprocess.run([sys.executable, "-c", LOADED.format(work=work)], timeout=120)
    assert done.returncode == expected


def test_all_work_is_done_by_numpy_where_numba_is_absent(without_numba, monkeypatch):
    monkeypatch.delitem(sys.modules, "nightcal.numerics.kernels.compiled", raising=False)
    prepare(100 * WORTHWHILE)
    assert not are_loaded()
    assert "numba is not installed" in warm()


@needs_numba
def test_errors_other_than_those_of_the_cache_are_raised(monkeypatch):
    def fail(*args, **options):
        raise RuntimeError("out of luck")

    load_compiled.cache_clear()
    monkeypatch.setattr("tempfile.mkdtemp", lambda **options: pytest.fail("compiled again"))
    monkeypatch.delitem(sys.modules, "nightcal.numerics.kernels.compiled")
    monkeypatch.delattr(nightcal.numerics.kernels, "compiled")
    monkeypatch.setattr("numba.njit", fail)
    with pytest.raises(RuntimeError, match="out of luck"):
        load_compiled()


WARMED = """
import pathlib, tempfile
import numpy as np
from nightcal.numerics.kernels import compiled, frame, warm
print(warm())
every = [f for module in (compiled, frame) for f in vars(module).values() if hasattr(f, "signatures")]
before = [len(f.signatures) for f in every]
assert sum(before) > 5
import small_frames, small_night
with tempfile.TemporaryDirectory() as folder:
    folder, rng = pathlib.Path(folder), np.random.default_rng(1)
    small_night.make_all(folder, threads=2)
    masters = small_frames.write_masters(folder / "masters", rng)
    raw = small_frames.write_raw(folder / "raw.fits", rng)
    for given in ({}, masters):
        calibrate = small_frames.calibrator(**given)
        for _ in range(3):
            calibrate(raw, folder / "out.fits", overwrite=True)
assert [len(f.signatures) for f in every] == before, "something had to be compiled"
"""


@needs_numba
@pytest.mark.slow
def test_after_warming_nothing_has_to_be_compiled():
    done = run_apart(WARMED)
    assert done.returncode == 0, done.stderr
    assert "compiled by numba" in done.stdout


UNCACHED = """
import numpy as np
import nightcal
from nightcal.numerics.kernels import WORTHWHILE, are_loaded, histogram, plain, prepare
print(nightcal.__file__)
prepare(WORTHWHILE)
assert are_loaded()
words = np.arange(1001, dtype=">i2").view(np.uint16)
assert (histogram(words) == plain.histogram(words)).all()
"""


@pytest.fixture(scope="module")
def without_cache(tmp_path_factory):
    """A process whose compiled loops cannot be kept anywhere, its package and its folder for temporary files."""
    folder = tmp_path_factory.mktemp("uncached")
    package, temporary = folder / "package", folder / "tmp"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(nightcal.__file__).parent, package / "nightcal", ignore=ignored)
    temporary.mkdir()
    # Root may write anywhere, but nobody may make a folder below a file.
    file = package / "nightcal" / "numerics" / "kernels" / "__pycache__"
    file.touch()
    places = dict.fromkeys(("NUMBA_CACHE_DIR", "HOME", "XDG_CACHE_HOME"), str(file / "cache"))
    done = run_apart(UNCACHED, PYTHONPATH=str(package), TMPDIR=str(temporary), PYTHONDONTWRITEBYTECODE="1", **places)
    return done, package, temporary


@needs_numba
@pytest.mark.slow
def test_where_nothing_can_be_kept_the_loops_are_compiled_in_memory(without_cache):
    done, package, _ = without_cache
    assert done.returncode == 0, done.stderr
    assert str(package) in done.stdout
    assert f"Compiled loops cannot be written to {package}" in done.stderr


@needs_numba
@pytest.mark.slow
def test_loops_compiled_in_memory_leave_nothing_behind(without_cache):
    assert list(without_cache[2].iterdir()) == []


def run_apart(code, **environment):
    """Run in another process, with numba's cache and everything else as here unless told otherwise."""
    path = os.pathsep.join([str(Path(nightcal.__file__).parents[1]), str(Path(__file__).parents[1])])
    everything = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run([sys.executable, "-c", code], env=everything, capture_output=True, text=True, timeout=300)


@needs_numba
def test_loops_compiled_from_another_source_are_not_taken(tmp_path, monkeypatch):
    package = tmp_path / "nightcal"
    shutil.copytree(Path(nightcal.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = run_apart(
        "from nightcal.numerics.kernels import fingerprint; print(fingerprint())", PYTHONPATH=str(tmp_path)
    ).stdout
    source = package / "numerics" / "robust.py"
    source.write_text(source.read_text().replace("RSTD = 1.4826", "RSTD = 1.5"))
    after = run_apart(
        "from nightcal.numerics.kernels import fingerprint; print(fingerprint())", PYTHONPATH=str(tmp_path)
    ).stdout
    assert before.strip()
    assert before != after
