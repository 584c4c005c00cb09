"""A job uses the first master that is not rejected, and says which and why."""

import numpy as np
import pytest
from astropy.io import fits
from nightcal.io.product import Product, write_product
from nightcal.io.verdict import Outcome, Verdict, locate_verdict, write_verdict
from nightcal.masters.choose import choose_master, keep_accepted


@pytest.fixture
def make_master(tmp_path):
    """Write a master of a night, and a verdict on it."""

    def make(night, outcome=None, why="rises by 41 e-"):
        path = tmp_path / night / "masters" / "bias_x.fits"
        header = fits.Header({"MASTER": "bias"})
        zeros = np.zeros((2, 3), np.float32)
        write_product(path, Product(zeros, zeros, np.zeros((2, 3), np.int16), "electron", header))
        if outcome is not None:
            write_verdict(locate_verdict(path), Verdict("bias_x", night, "bias", outcome, why))
        return path

    return make


def test_the_first_choice_is_used_if_it_is_accepted(make_master):
    choice = choose_master("bias", [make_master("2", Outcome.ACCEPTED), make_master("1", Outcome.ACCEPTED)])
    assert (choice.path.parts[-3], choice.master.verdict, choice.warnings) == ("2", "accepted", ())


def test_a_rejected_master_is_passed_over_with_the_reason(make_master):
    choice = choose_master("bias", [make_master("2", Outcome.REJECTED), make_master("1", Outcome.ACCEPTED)])
    assert choice.path.parts[-3] == "1"
    assert choice.warnings == ("master rejected: bias_x of 2: rises by 41 e-; bias_x of 1 used instead",)


def test_a_doubtful_master_is_used_with_a_warning(make_master):
    choice = choose_master("bias", [make_master("2", Outcome.DOUBTFUL), make_master("1", Outcome.ACCEPTED)])
    assert (choice.path.parts[-3], choice.master.verdict) == ("2", "doubtful")
    assert choice.warnings == ("doubtful master: bias_x of 2: rises by 41 e-",)


def test_the_step_is_skipped_if_all_are_rejected(make_master):
    choice = choose_master("bias", [make_master("2", Outcome.REJECTED), make_master("1", Outcome.REJECTED, "cloud")])
    assert choice.master is None
    assert choice.warnings == (
        "master rejected: bias_x of 2: rises by 41 e-; bias_x of 1: cloud; no other bias: step skipped",
    )


def test_a_master_of_another_program_needs_no_verdict(make_master):
    choice = choose_master("bias", [make_master("2")])
    assert (choice.master.verdict, choice.warnings) == ("", ())


def test_warnings_of_the_plan_go_with_their_master_only(make_master):
    bad, good = make_master("2", Outcome.REJECTED), make_master("1", Outcome.ACCEPTED)
    warnings = {str(bad): ["old master: 2"], str(good): ["old master: 1"]}
    told = choose_master("bias", [bad, good], warnings).warnings
    assert "old master: 1" in told
    assert "old master: 2" not in told


def test_a_rejected_master_is_not_searched_for_bad_pixels(make_master):
    bad, good, unjudged = make_master("2", Outcome.REJECTED), make_master("1", Outcome.ACCEPTED), make_master("0")
    kept, told = keep_accepted([bad, good, unjudged])
    assert kept == [good, unjudged]
    assert told == ["master rejected: bias_x of 2: rises by 41 e-; not searched"]


def test_a_damaged_verdict_is_an_error_and_not_a_pass(make_master):
    path = make_master("2", Outcome.ACCEPTED)
    locate_verdict(path).write_text('{"outcome": "accepted"}')
    with pytest.raises(ValueError, match=r"bias_x\.json is no verdict of nightcal"):
        choose_master("bias", [path])
