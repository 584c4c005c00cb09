"""The list of steps, and what is made from it."""

import subprocess
import sys
from importlib import import_module

import pytest
import yaml
from helpers import REPOSITORY
from nightcal.science.steps import MEASUREMENTS, STEPS


def find(name):
    """Module, class or function of a dotted name."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        above, _, last = name.rpartition(".")
        return getattr(find(above), last)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_what_a_step_names_exists(step):
    assert find(step.function) is not None


def test_calibration_comes_first_and_measurements_in_the_order_in_which_they_need_each_other():
    names = [step.name for step in STEPS]
    assert names[-5:] == list(MEASUREMENTS) == ["trails", "cosmic_rays", "sources", "astrometry", "photometry"]
    assert (
        names.index("overscan") < names.index("gain") < names.index("bias") < names.index("dark") < names.index("flat")
    )


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_shipped_configuration_has_every_option_and_its_default(name):
    shipped = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())[name]
    assert shipped.pop("enabled") is True
    options = MEASUREMENTS[name].options
    if "filters" in shipped:
        assert set(shipped["filters"]) == set("UBVRIugriz")
        shipped["filters"] = {}
    assert shipped == options.defaults()
    assert options.read(shipped) == options()


def test_an_option_is_the_same_written_as_5_or_as_5_0():
    cosmic_rays = MEASUREMENTS["cosmic_rays"].options
    assert repr(cosmic_rays.read({"objlim": 5})) == repr(cosmic_rays.read({"objlim": 5.0}))


def test_the_manual_and_the_configuration_are_what_the_list_of_steps_says():
    command = [sys.executable, "docs/make_tables.py", "--check"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, f"run python docs/make_tables.py, which changes {done.stdout}{done.stderr}"


def test_planning_a_night_does_without_numpy_and_astropy():
    words = "import sys, nightcal.config; print({'numpy', 'astropy', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
