"""A stack of raw frames has the same bits whatever reads and stacks it, and a master the same bytes."""

import gc
import os
from dataclasses import replace

import nightcal.stacking.calibration_frame
import nightcal.stacking.stack
import numpy as np
import pytest
from helpers import LOOPS, use_loops
from nightcal.detector.overscan import OverscanMethods
from nightcal.errors import FrameRejectedError
from nightcal.io.master import load_master
from nightcal.numerics.robust import clipped_mean
from nightcal.stacking.calibration_frame import accept_frames, find_whole_level, make_stack_input, sort_frames
from nightcal.stacking.stack import StackInput, convert_to_numbers, stack
from small_night import SHAPE, Night, make_all

RESULTS = ("mean", "uncertainty", "survivors", "noisy")


@pytest.fixture
def rng():
    return np.random.default_rng(45)


# --- stacks ----------------------------------------------------------------------------------------------------------


FIRST = 4
"""Columns beside those that are stacked."""


class Frames:
    """Raw integers of some frames with saturated pixels, and what each of them is to be."""

    def __init__(self, rng, n=7):
        self.raw = np.rint(rng.normal(1000, 4, (n, SHAPE[0], SHAPE[1] + 2 * FIRST))).astype(int)
        self.raw[rng.random(self.raw.shape) < 0.03] = 30000
        self.raw[:, 3, 9] = 30000
        self.offsets = 990 + rng.uniform(0, 5, (n, SHAPE[0]))
        self.scales = rng.uniform(1, 2, n)
        self.factors = rng.uniform(0.5, 1.5, (n, 2))
        self.images = rng.normal(3, 1, (2, *SHAPE)).astype(np.float32)
        self.weights = rng.uniform(0.5, 2, n)

    def inputs(self, numbers=(), weighted=False):
        """Layers of words, but for those that are named; their limit is that of the camera."""
        weights = self.weights if weighted else np.ones(len(self.raw))
        return [self.stack_input(i, i not in numbers, weights[i]) for i in range(len(self.raw))]

    def stack_input(self, i, words, weight):
        stored = self.raw[i].astype(">i2").view(np.uint16) if words else self.raw[i].astype(np.float32)

        def read(start, stop, out):
            out[:] = stored[start:stop]

        return StackInput(
            read, words, stored.shape[1], self.offsets[i], 40.0 / weight, self.scales[i], 20000.0,
            tuple(self.factors[i]), 0.01, weight,
        )  # fmt: skip

    def rows(self):
        return [lambda start, stop, image=image: image[start:stop] for image in self.images]

    def stack(self, inputs, threads=1, floored=True):
        return stack(inputs, SHAPE, 3.0, floored, self.rows(), FIRST, threads)


def assert_same_bits(one, other):
    for name in RESULTS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.ratio == other.ratio


@pytest.fixture
def frames(rng, monkeypatch):
    monkeypatch.setattr(nightcal.stacking.stack, "BLOCK_BYTES", 4 * 7 * (SHAPE[1] + 2 * FIRST) * 5)
    return Frames(rng)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_stack_of_words_is_the_clipped_mean(frames, weighted, loops):
    stacked = frames.stack(frames.inputs(weighted=weighted), floored=False)
    stored = frames.raw[:, :, FIRST:-FIRST].astype(float)
    stored[stored >= 20000] = np.nan
    values = (stored - frames.offsets[:, :, np.newaxis]) * frames.scales[:, np.newaxis, np.newaxis]
    values -= np.einsum("nm,myx->nyx", frames.factors, frames.images)
    reference = clipped_mean(values, 3.0, 0.0, frames.weights if weighted else None)
    np.testing.assert_array_equal(stacked.survivors, reference.survivors)
    np.testing.assert_allclose(stacked.mean, reference.mean, rtol=0, atol=2e-6)
    assert np.isnan(stacked.mean[3, 5])


@pytest.mark.parametrize("weighted", [False, True])
def test_the_number_of_threads_changes_no_bit(frames, weighted, loops):
    inputs = frames.inputs(weighted=weighted)
    alone = frames.stack(inputs)
    for threads in (2, 3, 16):
        assert_same_bits(frames.stack(inputs, threads), alone)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("floored", [False, True])
def test_compiled_and_plain_loops_stack_the_same_bits(frames, weighted, floored, monkeypatch):
    pytest.importorskip("numba")
    stacked = []
    for which in LOOPS:
        use_loops(which, monkeypatch)
        stacked.append(frames.stack(frames.inputs(weighted=weighted), 2, floored))
    assert_same_bits(*stacked)


@pytest.mark.parametrize("numbers", [(0,), (3, 5), range(7)], ids=len)
def test_frames_of_words_and_of_numbers_stack_together(frames, numbers, loops):
    assert_same_bits(frames.stack(frames.inputs(numbers)), frames.stack(frames.inputs()))


def test_stored_integers_convert_to_the_same_numbers(frames):
    stack_input = frames.inputs()[0]
    out = np.empty((4, stack_input.columns), np.float32)
    convert_to_numbers(stack_input).read(10, 14, out)
    np.testing.assert_array_equal(out, frames.raw[0, 10:14])
    numbers = frames.inputs(numbers=[0])[0]
    assert convert_to_numbers(numbers) is numbers


def test_the_order_of_frames_changes_no_bit(frames, rng, loops):
    inputs = frames.inputs(numbers=[2])
    first = frames.stack(inputs)
    for _ in range(3):
        assert_same_bits(frames.stack([inputs[i] for i in rng.permutation(len(inputs))]), first)


def test_rows_are_read_once_each_and_in_blocks(frames, loops):
    seen = []
    stack_input = frames.inputs()[0]

    def read(start, stop, out):
        seen.append((start, stop))
        stack_input.read(start, stop, out)

    frames.stack([replace(stack_input, read=read), *frames.inputs()[1:]], threads=2)
    assert sorted(seen)[0][0] == 0
    assert sum(stop - start for start, stop in seen) == SHAPE[0]
    assert max(stop - start for start, stop in seen) < SHAPE[0]


def test_an_error_of_a_thread_ends_the_stack(frames):
    def read(start, stop, out):
        if start > 20:
            raise FrameRejectedError("its pixels end")
        out[:] = 0

    with pytest.raises(FrameRejectedError, match="its pixels end"):
        frames.stack([replace(frames.inputs()[0], read=read)] * 3, threads=2)


# --- masters through files -------------------------------------------------------------------------------------------


METHODS = [OverscanMethods.clipped_mean, OverscanMethods.row_mean]


def taken_again(folder, method=OverscanMethods.clipped_mean, dtypes=(None,) * 5):
    night = Night(folder, method)
    return {kind: night.frames(kind, dtypes) for kind in ("bias", "dark", "flat")}


@pytest.mark.parametrize("dtypes", [(None,) * 5, (None, "f4", None, "i4", None)], ids=["words", "mixed"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_compiled_and_plain_loops_make_the_same_masters(method, dtypes, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    frames = taken_again(tmp_path, method, dtypes)
    made = []
    for which in LOOPS:
        use_loops(which, monkeypatch)
        made.append(make_all(tmp_path, frames=frames))
    assert made[0] == made[1]


def test_the_number_of_threads_changes_no_byte_of_a_master(tmp_path, monkeypatch, loops):
    monkeypatch.setattr(nightcal.stacking.stack, "BLOCK_BYTES", 1)
    frames = taken_again(tmp_path)
    alone = make_all(tmp_path, frames=frames)
    for threads in (2, 3):
        assert make_all(tmp_path, threads, frames=frames) == alone


def test_the_order_of_frames_changes_no_byte_of_a_master(tmp_path, rng, loops):
    frames = taken_again(tmp_path, dtypes=(None, None, "f4", None, None))
    first = make_all(tmp_path, frames=frames)
    for _ in range(2):
        shuffled = {kind: [those[i] for i in rng.permutation(len(those))] for kind, those in frames.items()}
        assert make_all(tmp_path, frames=shuffled) == first


def test_files_that_are_closed_in_between_give_the_same_masters(tmp_path, monkeypatch):
    frames = taken_again(tmp_path)
    kept_open = make_all(tmp_path, frames=frames)
    for those in frames.values():
        for frame in those:
            frame.readout.image.close()
    monkeypatch.setattr(nightcal.stacking.calibration_frame, "MOST_OPEN", 4)
    gc.collect()  # files that other tests have left open do not count
    before = len(os.listdir("/proc/self/fd"))
    assert make_all(tmp_path, frames=frames) == kept_open
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("dtype", ["i4", "f4", "f8"])
def test_integers_of_any_kind_make_the_same_masters(dtype, tmp_path):
    made = []
    for dtypes in ((None,) * 5, (dtype,) * 5):
        folder = tmp_path / str(dtypes[0])
        folder.mkdir()
        make_all(folder, dtypes=dtypes)
        made.append({kind: load_master(folder / f"{kind}.fits") for kind in ("bias", "dark", "flat")})
    for kind, scale in (("bias", 1e-5), ("dark", 1e-6), ("flat", 1e-6)):
        one, other = made[0][kind], made[1][kind]
        np.testing.assert_allclose(one.data[:], other.data[:], rtol=2e-7, atol=scale)
        np.testing.assert_allclose(one.variance[:], other.variance[:], rtol=1e-4)
        np.testing.assert_array_equal(one.mask[:], other.mask[:])


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("dtype", [None, "f4"])
def test_the_level_of_a_bias_is_the_clipped_mean_of_its_pixels(dtype, method, tmp_path, loops):
    night = Night(tmp_path, method)
    frame = night.take("Bias Frame", dtype=dtype)
    electrons, flags = frame.readout.read()
    good = electrons[flags == 0].astype(float)
    assert (flags > 0).any()
    expected = clipped_mean(good, 3.5, 6.0)
    found = find_whole_level(frame, 3.5)
    assert found == pytest.approx(float(expected.mean), abs=1e-6 * night.chip.gain * night.chip.bias_level)


def test_a_stack_input_of_stored_integers_gives_the_electrons(tmp_path):
    frame = Night(tmp_path, OverscanMethods.row_mean).take("Bias Frame")
    electrons, flags = frame.readout.read()
    stack_input = make_stack_input(frame, scale=0.5, shift=3.0)
    words = np.empty((SHAPE[0], stack_input.columns), np.uint16)
    stack_input.read(0, SHAPE[0], words)
    stored = words.view(">i2")[:, : SHAPE[1]].astype(float)
    found = (stored - stack_input.offset[:, np.newaxis]) * stack_input.scale
    np.testing.assert_allclose(found, (electrons - 3.0) * 0.5, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(stored >= stack_input.limit, flags > 0)
    assert stack_input.variance == pytest.approx(frame.read_variance / 4)


def test_a_stack_input_of_numbers_gives_the_electrons(tmp_path):
    frame = Night(tmp_path).take("Bias Frame", dtype="f4")
    electrons, flags = frame.readout.read()
    stack_input = make_stack_input(frame, scale=0.5, shift=3.0)
    numbers = np.zeros((SHAPE[0], stack_input.columns), np.float32)
    stack_input.read(0, SHAPE[0], numbers)
    found = (numbers[:, : SHAPE[1]] - stack_input.offset) * stack_input.scale
    np.testing.assert_array_equal(np.isnan(found), flags > 0)
    np.testing.assert_allclose(found[flags == 0], (electrons[flags == 0] - 3.0) * 0.5, rtol=1e-5, atol=1e-5)


def test_frames_are_accepted_in_the_order_of_time(tmp_path):
    frames = Night(tmp_path).frames("bias")

    def find_level(frame):
        if frame.path == frames[2].path:
            raise FrameRejectedError("too bright")
        return 5.0

    accepted = accept_frames(sort_frames(frames[::-1]), [], find_level)
    assert [frame.path for frame in accepted.frames] == [frames[i].path for i in (0, 1, 3, 4)]
    assert [(r.path, r.reason, r.mjd) for r in accepted.rejected] == [(frames[2].path, "too bright", frames[2].mjd)]
