"""Every warning of the package begins with a name that the manual explains."""

import ast

import pytest
from helpers import REPOSITORY
from nightcal.warning_names import WARNINGS, name_warning

PACKAGE = REPOSITORY / "workflow" / "nightcal"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
NAMES = [warning.name for warning in WARNINGS]


def calls(name):
    """Find the calls of a function in the package."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == name:
                yield path, node


def texts():
    """Find what is given as a warning in so many words: to ``warn``, or as ``warning=``."""
    for _, node in calls("warn"):
        yield from node.args[-1:]
    for tree in TREES.values():
        yield from (node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "warning")


def test_names_are_in_order_and_each_has_a_meaning_and_a_remedy():
    assert sorted(NAMES) == NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert all(len(one.meaning) > 20 and len(one.remedy) > 20 for one in WARNINGS)


def test_every_name_is_used_in_the_package():
    used = [node.value for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    steps = {f"{step} skipped" for step in ("bias", "dark", "flat")}  # put together where they are used
    steps |= {f"unknown {role}" for role in ("gain", "read noise", "saturation", "linearity")}
    assert [name for name in NAMES if used.count(name) < 2 and name not in steps] == []


def test_no_warning_is_written_without_a_name():
    plain = [node for node in texts() if isinstance(node, ast.JoinedStr | ast.Constant) and getattr(node, "value", 1)]
    assert [ast.unparse(node) for node in plain] == []


def test_a_name_that_the_manual_does_not_explain_is_an_error():
    assert name_warning(NAMES[0], "because") == f"{NAMES[0]}: because"
    with pytest.raises(ValueError, match="not the name of a warning"):
        name_warning("something", "because")
