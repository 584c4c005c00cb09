"""Layout of the repository: pinned versions, short scripts, a package without Snakemake or cameras."""

import ast
import re
import tomllib

import pytest
import yaml
from helpers import REPOSITORY

SCRIPTS = sorted((REPOSITORY / "scripts").glob("*.py"))


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


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_explains_itself(path):
    assert len(path.read_text().splitlines()) < 60
    assert f"python scripts/{path.name}" in ast.get_docstring(ast.parse(path.read_text()))


def test_the_snakefile_is_thin():
    assert len((REPOSITORY / "Snakefile").read_text().splitlines()) < 60


def test_no_module_of_the_package_mentions_snakemake_or_a_camera():
    cameras = {file.stem for file in (REPOSITORY / "config" / "cameras").glob("*.yaml")} - {"generic", "lco"}
    for path in (REPOSITORY / "workflow" / "nightcal").rglob("*.py"):
        text = path.read_text()
        assert not re.search(r"^\s*(import|from) snakemake", text, re.MULTILINE), path
        assert not set(re.findall(r"[a-z]+", text.lower())) & cameras, path
