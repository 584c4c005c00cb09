"""Masters for frames that were summed at the telescope, or whose rows are stored upside down."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.master import MasterFrame
from nightcal.masters.adapt import adapt_master, find_row_order
from nightcal.planning.frames import Frame
from nightcal.science.master_rows import fit_masters

FRAME = Frame(Path("s.fits"), "s.fits")


def master(**cards):
    image = np.arange(12, dtype=np.float32).reshape(4, 3)
    header = fits.Header({"MASTER": "bias", **cards})
    return MasterFrame(image, image + 1, (image > 10).astype(np.int16), header, "b.fits", "abc", "electron")


def test_the_bias_of_a_sum_counts_as_often_as_it_was_read():
    bias = adapt_master("bias", master(), replace(FRAME, n_summed=5), "")
    assert bias.data == pytest.approx(5 * master().data)
    assert bias.variance == pytest.approx(25 * master().variance)
    assert adapt_master("bias", master(NSUMMED=5), replace(FRAME, n_summed=5), "").data is not None
    assert adapt_master("bias", master(NSUMMED=5), FRAME, "").data == pytest.approx(master().data / 5)
    assert (adapt_master("flat", master(), replace(FRAME, n_summed=5), "").data == master().data).all()


@pytest.mark.parametrize("step", ["bias", "dark", "flat", "bpm"])
def test_a_master_is_turned_if_its_rows_are_stored_in_the_opposite_order(step):
    turned = adapt_master(step, master(NCROWS="bottom-up"), FRAME, "top-down")
    for plane in ("data", "variance", "mask"):
        assert (getattr(turned, plane) == getattr(master(), plane)[::-1]).all()
    for order, of_frame in (("bottom-up", "bottom-up"), ("bottom-up", ""), ("", "top-down")):
        same = master(NCROWS=order)
        assert adapt_master(step, same, FRAME, of_frame) is same


def test_the_error_of_a_bias_that_a_dark_shares_with_a_sum_cancels_in_part_only():
    """In ``S - n B - t (X - B) / t_d`` the variance of B counts (n - t / t_d)^2 times."""
    n, exposure, longest = 5, 30.0, 120.0
    bias = adapt_master("bias", master(), replace(FRAME, n_summed=n), "")
    header = fits.Header({"MASTER": "dark", "BIASSHA": "abc", "DARKTEFF": longest})
    dark = MasterFrame(bias.data, master().variance / longest**2, bias.mask, header, "d.fits", "def", "electron/s")
    fitted = fit_masters({"bias": bias, "dark": dark}, (4, 3), 1.0)
    variance = master().variance
    counted = bias.variance * (1 - fitted.find_shared_bias(exposure)) + exposure**2 * dark.variance
    assert counted == pytest.approx((n - exposure / longest) ** 2 * variance, rel=1e-5)


def test_a_frame_is_turned_only_if_all_its_masters_are_stored_the_other_way():
    up, down = master(NCROWS="bottom-up"), master(NCROWS="top-down")
    assert find_row_order([up, up, None], "top-down") == "bottom-up"
    assert find_row_order([up, down, None], "top-down") == "top-down"
    assert find_row_order([up, master(), None], "bottom-up") == "bottom-up"
    assert find_row_order([master()], "top-down") == "top-down"
