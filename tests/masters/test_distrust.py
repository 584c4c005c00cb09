"""Rejected and doubtful masters are told of, with what the science frames used instead."""

from nightcal.io.verdict import Outcome, Verdict
from nightcal.masters.distrust import describe_distrusted, warn_of_rejected

LEAK = Verdict("bias_x", "20240302", "bias", Outcome.REJECTED, "rises by 30 e-")
DUST = Verdict("flat_V", "20240302", "flat", Outcome.DOUBTFUL, "dust moved")
GOOD = Verdict("dark_60", "20240302", "dark", Outcome.ACCEPTED, "agrees")


def test_what_served_instead_of_a_rejected_master_is_counted():
    replaced = warn_of_rejected("bias", [LEAK], "bias_x of 20240301")
    skipped = warn_of_rejected("bias", [LEAK])
    told = describe_distrusted([DUST, GOOD, LEAK], [replaced, [*replaced, "old master: 3 days"], skipped, []])
    assert told == (
        "bias_x is rejected: rises by 30 e- (2 science frames: bias_x of 20240301 used instead; "
        "1 science frame: no other bias: step skipped).",
        "flat_V is doubtful: dust moved.",
    )


def test_a_rejected_master_that_no_science_frame_needs_is_told_of_as_well():
    assert describe_distrusted([LEAK], [[]]) == (
        "bias_x is rejected: rises by 30 e- (no science frame was to use it).",
    )


def test_nothing_is_told_of_accepted_masters():
    assert describe_distrusted([GOOD], [["doubtful master: other"]]) == ()
    assert warn_of_rejected("bias", [], "bias_x of 20240301") == []
