"""Options of the measurements."""

import pytest
import yaml
from helpers import REPOSITORY
from nightcal.measurement.options import FilterRule, PhotometryOptions, find_rule

RULES = {"R": {"band": "r", "names": ["Rc", 7]}, "r": {"band": "r", "colour": ["g", "r"], "names": ["rp", "r'"]}}


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("R", RULES["R"]),
        ("r", RULES["r"]),
        ("r'", RULES["r"]),
        ("RP", RULES["r"]),
        ("7", RULES["R"]),
        ("H-alpha", None),
    ],
)
def test_a_filter_is_known_by_any_of_its_names(name, rule):
    expected = rule and {key: value for key, value in rule.items() if key != "names"}
    assert find_rule(RULES, name) == expected


@pytest.mark.parametrize(("name", "band"), [("rprime", "r"), ("gprime", "g"), ("zprime", "z"), ("SDSS_i", "i")])
def test_the_filters_of_the_configuration_know_the_names_of_observatories(name, band):
    filters = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())["photometry"]["filters"]
    assert find_rule(filters, name)["band"] == band


def test_a_name_that_two_filters_have_in_another_case_is_no_ones():
    assert find_rule({"Sky": {"band": "V"}, "SKY": {"band": "B"}}, "sky") is None


def test_rules_are_read_from_the_configuration_without_their_other_names():
    options = PhotometryOptions.read({"filters": RULES})
    assert dict(options.filters) == {"R": FilterRule("r"), "r": FilterRule("r", ("g", "r"))}
