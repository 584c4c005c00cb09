"""Calibrated frames follow the documented formula, with the same bytes from numpy and compiled loops."""

import nightcal.science.arithmetic
import nightcal.science.master_rows
import numpy as np
import pytest
from astropy.io import fits
from helpers import LOOPS, use_loops
from nightcal import Calibrator, OverscanMethods
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag
from nightcal.io.product import write_product
from scipy.ndimage import uniform_filter
from small_frames import (
    AREA,
    BESIDE,
    EXPOSURE,
    GAIN,
    MASTERS,
    METHODS,
    NX,
    NY,
    OVERSCAN,
    READ_NOISE,
    SATURATION,
    bytes_of,
    calibrator,
    reduced,
    write_masters,
    write_raw,
)

CASES = [*(("u2", method) for method in METHODS), ("i4", "row_mean"), ("f4", "user")]
"""Compiled loops run on 16-bit integers only."""


@pytest.fixture
def rng():
    return np.random.default_rng(75)


def share_the_bias(masters):
    """Record in the dark that it was made with this bias, at 100 s."""
    bias = Calibrator(master_bias=masters["master_bias"]).master_bias
    with fits.open(masters["master_dark"]) as hdus:
        hdus[0].header["BIASSHA"], hdus[0].header["DARKTEFF"] = bias.digest, 100.0
        hdus.writeto(masters["master_dark"], overwrite=True)


@pytest.fixture
def masters(tmp_path, rng):
    return write_masters(tmp_path / "masters", rng)


@pytest.fixture
def raw(tmp_path, rng):
    return write_raw(tmp_path / "raw.fits", rng)


def reduce_with_each_loop(monkeypatch, calibrate, raw, path):
    """Reduce a frame with numpy and with compiled loops; return the bytes of the products."""
    written = []
    for which in LOOPS:
        use_loops(which, monkeypatch)
        written.append(reduced(calibrate, raw, path))
    return written


# --- the numbers -----------------------------------------------------------------------------------------------------


def compute_formula(raw, masters, method, share):
    """Compute data, variance, and masks of saturated, missing and unlit pixels in double precision."""
    values, inside = fits.getdata(raw).astype(float), np.s_[3 : 3 + NY, :NX]
    overscan = values[:, NX:]
    level, level_variance = np.zeros((NY + 5, 1)), np.zeros((NY + 5, 1))
    if method == "clipped_mean":
        error = OverscanMethods.clipped_mean.find_level(values, Calibrator(overscans=[OVERSCAN]).overscans)
        level, level_variance = level + float(error.value), level_variance + float(error.variance)
    elif method == "row_mean":
        error = OverscanMethods.row_mean.find_level(values, Calibrator(overscans=[OVERSCAN]).overscans)
        level, level_variance = overscan.mean(axis=1, keepdims=True), error.variance
    elif method == "user":
        level = overscan.mean() + 0.01 * np.arange(NX + BESIDE) + level
    with np.errstate(invalid="ignore"):
        saturated = values[inside] >= SATURATION
    empty = ~np.isfinite(values[inside])
    (bias, e_bias), (dark, e_dark), (flat, e_flat) = (read_planes(masters.get(name)) for name in MASTERS)
    dead = flat <= 0 if "master_flat" in masters else np.zeros((NY, NX), bool)
    flat = np.where(dead, 1.0, flat) if "master_flat" in masters else np.ones((NY, NX))

    signal = (values - level)[inside] * GAIN - bias
    signal[empty] = 0
    floor = READ_NOISE**2 + np.broadcast_to(level_variance, values.shape)[inside] * GAIN**2 + e_bias**2
    known = uniform_filter((~empty).astype(float), 3, mode="nearest")
    smooth = np.maximum(uniform_filter(signal, 3, mode="nearest") / np.maximum(known, 1 / 9), 0)
    expected = np.where((signal - smooth) ** 2 <= 9 * (smooth + floor), smooth, np.maximum(signal, 0))
    variance = expected + floor + (EXPOSURE * e_dark) ** 2 - share * e_bias**2
    data = (signal - EXPOSURE * dark) / flat
    variance = variance / flat**2 + data**2 * e_flat**2 / flat**2
    data[empty] = 0
    return data, variance, saturated & ~empty, empty, dead


def read_planes(path):
    if path is None:
        return np.zeros((2, NY, NX))
    with fits.open(path) as hdus:
        return np.array([hdus[0].data, hdus[1].data], float)


@pytest.mark.parametrize(("dtype", "method"), CASES)
def test_a_calibrated_frame_follows_the_formula(loops, dtype, method, masters, tmp_path, rng):
    raw = write_raw(tmp_path / "raw.fits", rng, dtype)
    product = calibrator(method, **masters).prepare(raw).product()
    data, variance, saturated, empty, dead = compute_formula(raw, masters, method, share=0.0)
    level = 1000 * GAIN if method == "none" else 0
    np.testing.assert_allclose(product.data, data, rtol=1e-6, atol=1e-4 + 1e-6 * level)
    np.testing.assert_allclose(product.uncertainty[~empty], np.sqrt(variance[~empty]), rtol=1e-5)
    assert (product.uncertainty[empty] == 1e9).all()
    np.testing.assert_array_equal(product.mask & Flag.SATURATED > 0, saturated)
    np.testing.assert_array_equal(product.mask & Flag.NO_DATA > 0, empty)
    np.testing.assert_array_equal(product.mask & Flag.LOW_FLAT > 0, dead)
    assert saturated.sum() == 5
    assert empty.sum() == (3 if dtype == "f4" else 0)
    assert dead.sum() == 1


@pytest.mark.parametrize("names", [(), MASTERS[:1], MASTERS[1:2], MASTERS[2:], MASTERS[:2], MASTERS[1:]], ids=str)
def test_steps_without_a_master_change_nothing(loops, names, masters, raw):
    given = {name: masters[name] for name in names}
    product = calibrator(**given).prepare(raw).product()
    data, variance, _, empty, _ = compute_formula(raw, given, "row_mean", share=0.0)
    np.testing.assert_allclose(product.data, data, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(product.uncertainty[~empty], np.sqrt(variance[~empty]), rtol=1e-5)


def test_the_error_of_a_bias_shared_with_the_dark_is_counted_once(loops, masters, raw):
    share_the_bias(masters)
    product = calibrator(**masters).prepare(raw).product()
    # in S - B - t (X - B) / t_d the bias has the weight 1 - t / t_d, its variance is less by 2 t / t_d
    data, variance, *_ = compute_formula(raw, masters, "row_mean", share=2 * EXPOSURE / 100)
    np.testing.assert_allclose(product.data, data, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(product.uncertainty, np.sqrt(variance), rtol=1e-5)


def test_products_in_adu_are_divided_by_the_gain(loops, masters, raw):
    electrons, adu = (calibrator(unit=unit, **masters).prepare(raw).product() for unit in ("electron", "adu"))
    np.testing.assert_allclose(adu.data * GAIN, electrons.data, rtol=2e-7)
    np.testing.assert_allclose(adu.uncertainty * GAIN, electrons.uncertainty, rtol=2e-7)


# --- the same bytes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shared", "unit"), [(False, "electron"), (True, "adu")])
@pytest.mark.parametrize("method", ["none", "clipped_mean", "row_mean"])
def test_compiled_loops_and_numpy_write_the_same_bytes(shared, method, unit, masters, raw, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    if shared:
        share_the_bias(masters)
    written = reduce_with_each_loop(monkeypatch, calibrator(method, unit=unit, **masters), raw, tmp_path / "out.fits")
    assert written[0] == written[1]


@pytest.mark.parametrize("left_out", MASTERS)
def test_compiled_loops_and_numpy_write_the_same_bytes_without_a_master(left_out, masters, raw, tmp_path, monkeypatch):
    pytest.importorskip("numba")
    del masters[left_out]
    written = reduce_with_each_loop(monkeypatch, calibrator(**masters), raw, tmp_path / "out.fits")
    assert written[0] == written[1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 257), (33, 2), (65, 513)])
def test_compiled_loops_and_numpy_agree_on_frames_of_any_shape(shape, tmp_path, rng, monkeypatch):
    pytest.importorskip("numba")
    values = rng.integers(0, 3000, (shape[0] + 2, shape[1] + 3)).astype(np.uint16)
    fits.PrimaryHDU(values).writeto(tmp_path / "raw.fits")
    area = {"xmin": 2, "xmax": 2 + shape[1], "ymin": 1, "ymax": 1 + shape[0]}
    calibrate = Calibrator(image_area=area, saturation=2000, gain=0.7, read_noise=3)
    written = reduce_with_each_loop(monkeypatch, calibrate, tmp_path / "raw.fits", tmp_path / "out.fits")
    assert written[0] == written[1]
    np.testing.assert_allclose(fits.getdata(tmp_path / "out.fits"), values[1:-1, 2:-1] * 0.7, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_a_frame_written_by_rows_is_the_product_in_memory(loops, dtype, masters, tmp_path, rng):
    raw = write_raw(tmp_path / "raw.fits", rng, dtype)
    calibrate = calibrator(**masters)
    by_rows = reduced(calibrate, raw, tmp_path / "rows.fits")
    write_product(tmp_path / "whole.fits", calibrate.prepare(raw).product())
    assert by_rows == (tmp_path / "whole.fits").read_bytes()


@pytest.mark.parametrize(("rows", "dtype"), [(1, "u2"), (7, "f4"), (1000, "u2")])
def test_the_number_of_rows_at_a_time_changes_no_byte(loops, rows, dtype, masters, tmp_path, rng, monkeypatch):
    raw = write_raw(tmp_path / "raw.fits", rng, dtype)
    first = reduced(calibrator(**masters), raw, tmp_path / "a.fits")
    monkeypatch.setattr(nightcal.science.arithmetic, "STRIP", rows)
    monkeypatch.setattr(nightcal.science.master_rows, "STRIP", rows)
    calibrate = calibrator(**masters)
    for _ in range(3):
        assert reduced(calibrate, raw, tmp_path / "b.fits") == first


# --- masters kept in memory ---------------------------------------------------------------------------------------


def test_masters_kept_in_memory_change_no_byte(loops, masters, tmp_path, rng):
    frames = [write_raw(tmp_path / f"{n}.fits", rng) for n in range(3)]
    alone = [reduced(calibrator(**masters), raw, tmp_path / "out.fits") for raw in frames]
    calibrate = calibrator(**masters)
    assert [reduced(calibrate, raw, tmp_path / "out.fits") for raw in frames] == alone
    assert [reduced(calibrate, raw, tmp_path / "out.fits") for raw in frames[::-1]] == alone[::-1]


@pytest.fixture
def others(tmp_path):
    return write_masters(tmp_path / "others", np.random.default_rng(99))


CHANGES = ["gain", "exposure_time", "unit", "saturation", "read_noise", *MASTERS, "bad_pixels", "image_area"]


def make_change(name, others):
    given = {"gain": 2.9, "exposure_time": 7.0, "unit": "adu", "saturation": 900.0, "read_noise": 11.0}
    shifted = {"image_area": {**AREA, "ymin": 5, "ymax": 5 + NY}, "bad_pixels": others["master_flat"]}
    return (given | shifted | others)[name]


@pytest.mark.parametrize("name", CHANGES)
def test_a_parameter_changed_between_frames_takes_effect(name, masters, others, raw, tmp_path):
    new = make_change(name, others)
    before = reduced(calibrator(**masters), raw, tmp_path / "a.fits")
    after = reduced(calibrator(), raw, tmp_path / "b.fits", **{**masters, name: new})
    assert before != after
    calibrate = calibrator(**masters)
    for _ in range(2):
        assert reduced(calibrate, raw, tmp_path / "c.fits") == before
    old = getattr(calibrate, name)
    for _ in range(2):
        assert reduced(calibrate, raw, tmp_path / "c.fits", **{name: new}) == after
        assert reduced(calibrate, raw, tmp_path / "c.fits") == before
        setattr(calibrate, name, new)
        assert reduced(calibrate, raw, tmp_path / "c.fits") == after
        setattr(calibrate, name, old)
        assert reduced(calibrate, raw, tmp_path / "c.fits") == before


@pytest.mark.parametrize("name", MASTERS)
def test_a_master_can_be_left_out_of_one_call(name, masters, raw, tmp_path):
    with_all = reduced(calibrator(**masters), raw, tmp_path / "a.fits")
    without = reduced(calibrator(**{**masters, name: None}), raw, tmp_path / "a.fits")
    calibrate = calibrator(**masters)
    for _ in range(2):
        assert reduced(calibrate, raw, tmp_path / "a.fits") == with_all
        assert reduced(calibrate, raw, tmp_path / "a.fits", **{name: None}) == without


def test_frames_prepared_together_are_those_prepared_one_by_one(masters, tmp_path, rng):
    frames = [write_raw(tmp_path / f"{n}.fits", rng) for n in range(3)]
    calibrate = calibrator(**masters)
    alone = [reduced(calibrator(**masters), raw, tmp_path / "out.fits") for raw in frames]
    together = [calibrate.prepare(raw) for raw in frames]
    assert [bytes_of(prepared, tmp_path / "out.fits") for prepared in together] == alone


def test_masters_are_not_changed_by_the_frames(masters, raw, tmp_path):
    before = {name: path.read_bytes() for name, path in masters.items()}
    calibrate = calibrator(**masters)
    for _ in range(3):
        reduced(calibrate, raw, tmp_path / "out.fits")
    assert {name: path.read_bytes() for name, path in masters.items()} == before


def test_a_frame_truncated_on_the_way_leaves_no_file_and_the_next_is_reduced(loops, masters, raw, tmp_path, rng):
    good = reduced(calibrator(**masters), raw, tmp_path / "good.fits")
    torn = write_raw(tmp_path / "torn.fits", rng)
    calibrate = calibrator(**masters)
    prepared = calibrate.prepare(torn)
    prepared.readout.image.close()
    torn.write_bytes(torn.read_bytes()[:20000])
    with pytest.raises(FrameRejectedError):
        prepared.write(tmp_path / "out.fits")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]
    assert reduced(calibrate, raw, tmp_path / "good.fits") == good
