"""The house is in order: names, sizes, pins, and who may know whom."""

import ast
import re
import tomllib

import pytest
import yaml
from helpers import REPOSITORY

PACKAGE = REPOSITORY / "workflow" / "nightcal"
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.py"))


def imported(path):
    """Names of the modules that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_the_conda_environment_has_the_pins_of_the_package():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((REPOSITORY / "envs" / "nightcal.yaml").read_text())
    *pins, (_, from_pip) = (pin if isinstance(pin, str) else ("pip", pin["pip"]) for pin in environment["dependencies"])
    conda = {re.match(r"[a-z-]+", pin)[0]: pin for pin in (*pins, *from_pip) if pin != "pip"}
    assert conda.pop("python") == f"python{project['requires-python']}"
    package = {re.match(r"[a-z-]+", pin)[0]: pin.partition(";")[0] for pin in project["dependencies"]}
    package.pop("snakemake")  # runs the rules, but is not run by them
    assert conda == package
    assert environment["channels"][0] == "conda-forge"


def test_every_rule_runs_the_script_of_its_name_in_that_environment():
    text = "".join(path.read_text() for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")))
    named = set(re.findall(r"script=script\(\"(\w+)\"\)", text))
    assert named == {path.stem for path in SCRIPTS}
    rules = set(re.findall(r"^rule (\w+):", text, re.MULTILINE)) | {"reduce_science"}
    assert named == rules
    assert text.count("../../envs/nightcal.yaml") == len(named)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_explains_itself(path):
    assert len(path.read_text().splitlines()) < 60
    assert f"python scripts/{path.name}" in ast.get_docstring(ast.parse(path.read_text()))


def test_the_snakefile_is_thin():
    assert len((REPOSITORY / "Snakefile").read_text().splitlines()) < 60


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_package_knows_no_snakemake_and_no_camera(path):
    assert "snakemake" not in {name.partition(".")[0] for name in imported(path)}
    cameras = {file.stem for file in (REPOSITORY / "config" / "cameras").glob("*.yaml")} - {"generic"}
    words = set(re.findall(r"[a-z]+", path.read_text().lower()))
    assert not words & (cameras - {"lco"})


def test_no_room_imports_a_room_that_imports_it():
    rooms = {path: ".".join(("nightcal", *path.relative_to(PACKAGE).with_suffix("").parts)) for path in MODULES}
    known = {room: {name for name in imported(path) if name in rooms.values()} for path, room in rooms.items()}
    known.pop("nightcal.__init__")
    while known:
        free = {room for room, needs in known.items() if not needs & set(known)}
        assert free, f"a circle among {sorted(known)}"
        known = {room: needs for room, needs in known.items() if room not in free}
