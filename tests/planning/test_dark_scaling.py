"""A dark is used only for permitted exposure times, which limits the amplification of its noise."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nightcal.planning.dark_scaling import DarkPolicy, amplification, describe_span, describe_use, same_exposure

MANY = settings(deadline=None, derandomize=True, database=None)
EXPOSURE = st.floats(0.01, 3600)
SPAN = st.tuples(EXPOSURE, EXPOSURE).map(lambda pair: (min(pair), max(pair)))


def of(seconds):
    return seconds, seconds


def allowed(scaling, dark, frame, **more):
    return DarkPolicy(scaling, **more).allows("mine", of(dark), of(frame))


@pytest.mark.parametrize(
    ("scaling", "served"),
    [
        ("bias_only", set()),
        ("exact", {60}),
        ("down", {1, 30, 60}),
        ("up", {1, 30, 60, 61, 100, 120}),
    ],
)
def test_the_exposure_times_for_which_a_dark_may_be_used(scaling, served):
    assert {t for t in (1, 30, 60, 61, 100, 120, 125, 600) if allowed(scaling, 60, t)} == served


@pytest.mark.parametrize(("frame", "equal"), [(59.5, True), (60.5, True), (59.0, False), (61.0, False)])
def test_exposure_times_are_equal_to_one_percent(frame, equal):
    assert same_exposure(60, frame) == same_exposure(frame, 60) == equal
    assert allowed("exact", 60, frame) == equal


def test_the_largest_factor_limits_scaling_up():
    assert not allowed("up", 10, 41, largest_factor=4)
    assert allowed("up", 10, 40, largest_factor=4)
    assert allowed("up", 10, 10000, largest_factor=None)
    assert not allowed("down", 10, 11, largest_factor=None)


def test_a_dark_of_unknown_exposure_time_is_never_scaled():
    assert not allowed("up", 0, 30)


@MANY
@given(SPAN, SPAN, EXPOSURE)
def test_adding_darks_never_excludes_frames(darks, frames, another):
    """Short darks do not make long ones useless."""
    more = min(darks[0], another), max(darks[1], another)
    assert amplification(more, frames) <= amplification(darks, frames)
    for scaling in ("down", "up"):
        policy = DarkPolicy(scaling)
        assert policy.allows("mine", more, frames) or not policy.allows("mine", darks, frames)


@MANY
@given(SPAN, SPAN)
def test_each_policy_allows_what_the_stricter_ones_do(darks, frames):
    served = [DarkPolicy(scaling).allows("mine", darks, frames) for scaling in ("bias_only", "exact", "down", "up")]
    assert served == sorted(served)


@MANY
@given(SPAN, SPAN)
def test_the_amplification_is_the_ratio_of_the_longest_exposure_times(darks, frames):
    assume(not same_exposure(darks[1], frames[1]))
    assert amplification(darks, frames) == pytest.approx(max(1, frames[1] / darks[1]))


@pytest.mark.parametrize("scaling", ["exact", "down", "up"])
def test_darks_with_glow_are_never_scaled(scaling):
    policy = DarkPolicy(scaling, unscalable=frozenset({"glowing"}))
    assert [policy.allows("glowing", of(60), of(t)) for t in (30, 60, 90)] == [False, True, False]
    assert policy.allows("mine", of(60), of(30)) == (scaling != "exact")


def test_bias_only_applies_to_glowing_cameras_too():
    assert not DarkPolicy("bias_only", unscalable=frozenset({"glowing"})).allows("glowing", of(60), of(60))


def test_darks_of_mixed_exposure_times_are_never_exact():
    assert not DarkPolicy("exact").allows("mine", (30, 60), of(60))
    assert DarkPolicy("down").allows("mine", (30, 60), of(60))


def test_a_rejection_lists_the_available_darks():
    def explain(scaling, *darks, **more):
        return DarkPolicy(scaling, **more).explain_rejection("mine", [of(t) for t in darks], of(120.0))

    assert explain("exact", 30, 60, 60) == "no dark of 120 s (available: 30 s, 60 s)"
    assert explain("down", 30, 60) == "no dark of 120 s or longer (longest: 60 s)"
    assert explain("up", 10, 30) == ("no dark for 120 s: the longest (30 s) would be scaled up 4 times (limit 2)")
    assert "glow does not scale" in explain("up", 30, unscalable=frozenset({"mine"}))


def test_descriptions_of_exposure_times():
    assert describe_span((10, 30)) == "10 to 30 s"
    assert describe_span((80.0, 80.4)) == "80 s"
    assert describe_use(of(80), of(160)) == "80 s scaled up 2 times"
    assert describe_use((10, 30), of(10)) == "10 to 30 s scaled down"
    assert describe_use(of(80), of(80)) == "same exposure time"
