"""Names of code and files in the manual exist."""

import importlib
import re

import pytest
from helpers import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
NAME = re.compile(r"\bnightcal(?:\.(?!yaml\b)\w+)+")
IMPORT = re.compile(r"^ *from (nightcal[\w.]*) import (\([^)]*\)|[^\n]*)", re.MULTILINE)
RUN = re.compile(r"python -m (nightcal[\w.]*)")
FILE = re.compile(r"(?<![\w/.])(?:scripts|tests|workflow|config|profiles|envs|docs|benchmarks)/[\w./-]*[\w/]")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def find(name):
    """Import a module, or a module and its attributes, by its full name."""
    module, _, attribute = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        if not module:
            raise
        return getattr(find(module), attribute)


@pages
def test_modules_and_functions_in_the_manual_exist(page):
    text = page.read_text(encoding="utf-8")
    names = set(NAME.findall(text)) | set(RUN.findall(text))
    for module, imported in IMPORT.findall(text):
        words = (name.partition(" as ")[0].strip() for name in imported.strip("()").split(","))
        names |= {f"{module}.{word}" for word in words if word}
    for name in sorted(names):
        try:
            find(name)
        except (ModuleNotFoundError, AttributeError) as error:
            pytest.fail(f"{page.name} names {name}: {error}")


@pages
def test_files_of_the_repository_in_the_manual_exist(page):
    files = sorted(set(FILE.findall(page.read_text(encoding="utf-8"))))
    assert [name for name in files if not (REPOSITORY / name).exists()] == []


@pages
def test_links_between_the_pages_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
