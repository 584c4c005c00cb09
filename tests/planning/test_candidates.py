"""Masters that stand in for a rejected one, and those with which a master is compared."""

from pathlib import Path

import pytest
from nightcal.planning.matching import Options
from nightcal.planning.plan import make_plan
from nightcal.planning.stand_ins import describe_stand_ins
from planned_frames import frame


def take_night(day, **more):
    """Bias, dark, flat and two science frames of a night, named after its day of March 2024."""
    given = {"night": f"202403{day:02d}"} | more
    return [
        frame(f"{day}/{kind}_{n}.fits", kind, (day - 1) * 24 + hours + n / 60, **given)
        for kind, hours in (("bias", -4), ("dark", -3), ("flat", -2), ("science", 1))
        for n in range(3 if kind != "science" else 2)
    ]


def nights(match):
    return [master.night[-2:] for master in match.candidates]


def test_neighbouring_nights_stand_in_nearest_first():
    plan = make_plan([*take_night(1), *take_night(2), *take_night(4), *take_night(9)])
    for science in plan.find_science("20240302"):
        for step in (science.bias, science.dark, science.flat):
            assert nights(step) == ["02", "01", "04"]
    (dark,) = [master for master in plan.find_masters("20240302") if master.kind == "dark"]
    assert nights(dark.bias) == ["02", "01", "04"]


def test_the_plan_names_those_that_stand_in():
    plan = make_plan([*take_night(1), *take_night(2)])
    (row, *_) = [entry for entry in plan.find_entries("20240302") if entry.role == "reduced"]
    bias = next(master for master in plan.find_masters("20240301") if master.kind == "bias")
    assert f"if that is rejected, {bias.name} of 20240301" in row.reason


def test_a_master_past_its_age_does_not_stand_in():
    options = Options(max_age_days={"bias": 1.5})
    plan = make_plan([*take_night(1), *take_night(2), *take_night(4)], options)
    assert nights(plan.find_science("20240302")[0].bias) == ["02", "01"]


def test_masters_of_nights_that_are_not_reduced_do_not_stand_in():
    plan = make_plan([*take_night(1), *take_night(2)], nights={"20240302"})
    assert nights(plan.find_science("20240302")[0].bias) == ["02"]
    assert plan.earlier["20240302", "bias_mine_12x10_1x1"] == ()


def test_frames_with_one_master_stay_in_one_batch_whichever_neighbour_is_nearer():
    early, late = (frame(f"s{n}.fits", "science", 24 + hours, night="20240302") for n, hours in ((1, -8), (2, 4)))
    plan = make_plan([*take_night(1), *take_night(2), *take_night(3), early, late])
    assert len(plan.find_batches("20240302")) == 1


def test_a_master_of_a_library_is_judged_already_so_nothing_stands_in_for_it():
    from dataclasses import replace

    made = make_plan(take_night(1)).masters
    library = [replace(master, path=Path("library") / f"{master.name}.fits", frames=()) for master in made]
    only_science = [item for item in take_night(2) if item.kind == "science"]
    plan = make_plan([*only_science, *take_night(4)], library=library)
    assert nights(plan.find_science("20240302")[0].bias) == ["01"]
    assert nights(plan.find_science("20240304")[0].bias) == ["04", "01"]


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
def test_a_master_is_compared_with_the_three_before_it_the_latest_first(kind):
    plan = make_plan([item for day in range(1, 7) for item in take_night(day)])
    (master,) = [m for m in plan.find_masters("20240305") if m.kind == kind]
    assert [m.night[-2:] for m in plan.earlier["20240305", master.name]] == ["04", "03", "02"]
    (first,) = [m for m in plan.find_masters("20240301") if m.kind == kind]
    assert plan.earlier["20240301", first.name] == ()


def test_a_flat_is_compared_with_flats_of_its_filter_only():
    other = [frame(f"r{n}.fits", "flat", 20 + n / 60, night="20240302", filter="R") for n in range(3)]
    plan = make_plan([*take_night(1), *other])
    (red,) = [m for m in plan.find_masters("20240302") if m.kind == "flat"]
    assert plan.earlier["20240302", red.name] == ()


def test_the_dry_run_shows_what_stands_in():
    plan = make_plan([*take_night(1), *take_night(2), *take_night(4)])
    lines = describe_stand_ins(plan, "20240302")
    assert len(lines) == 3
    assert all(line.endswith("is rejected: that of 20240301, then that of 20240304.") for line in lines)
    assert describe_stand_ins(make_plan(take_night(1)), "20240301") == []


def test_a_master_knows_the_frames_that_it_serves():
    plan = make_plan([*take_night(1), *take_night(2)])
    for master in plan.find_masters("20240302"):
        if master.kind in ("bias", "dark", "flat"):
            assert {science.frame.name for science in plan.find_served(master)} == {
                f"2/science_{n}.fits" for n in range(2)
            }
