"""Ages of masters are graded: within the calibration plan, usable, or risky."""

from dataclasses import replace

import pytest
from nightcal.planning.ages import grade_age
from nightcal.planning.matching import Options
from nightcal.planning.plan import make_plan
from planned_frames import MIDNIGHT, frame

AGES = {"bias": (1.0, 7.0)}


@pytest.mark.parametrize(("days", "grade"), [(0, "plan"), (1, "plan"), (1.1, "usable"), (7, "usable"), (7.1, "risky")])
def test_an_age_is_within_the_plan_or_usable_or_risky(days, grade):
    assert grade_age("bias", days, AGES) == grade
    assert grade_age("flat", days, AGES) == ""


def plan_with_bias(days, **options):
    """Plan a science frame whose bias is so many days older."""
    night = f"202402{20 - days:02d}" if days else "20240301"
    biases = [replace(frame(f"b{n}.fits", "bias"), mjd=MIDNIGHT - days, night=night) for n in range(3)]
    (science,) = make_plan([*biases, frame("s.fits")], Options(**options)).science
    return science.bias


@pytest.mark.parametrize(("days", "grade", "said"), [(0, "plan", "0.0 h away"), (3, "usable", "72.0 h away (usable)")])
def test_the_grade_stands_in_the_plan(days, grade, said):
    match = plan_with_bias(days, age_days=AGES)
    assert (match.age, match.warning) == (grade, "")
    assert match.reason.endswith(said)


def test_a_risky_age_is_a_warning():
    match = plan_with_bias(10, age_days=AGES)
    assert match.age == "risky"
    assert match.warning == "risky age: bias is 10.0 days away; usable up to 7"
    assert "(risky)" in match.reason
    assert plan_with_bias(10, age_days={}).warning == ""


def test_beyond_the_hard_end_the_policy_decides():
    match = plan_with_bias(10, age_days=AGES, max_age_days={"bias": 8.0}, too_old={"bias": "skip"})
    assert match.master is None
