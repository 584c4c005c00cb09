"""Names of code and files in the manual exist, and examples in docstrings give what they say."""

import doctest
import importlib
import re

import nightcal
import pytest
from helpers import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
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


@pages
def test_links_to_sections_name_a_heading(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*\.md)?#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / (target or page.name)).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_contents_once():
    contents = re.findall(r"(?s)```{toctree}.*?\n\n(.*?)```", (DOCS / "index.md").read_text(encoding="utf-8"))
    listed = " ".join(contents).split()
    assert sorted(listed) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


def test_the_reference_has_every_public_name():
    described = re.findall(r"auto\w+:: nightcal\.(\w+)", (DOCS / "api.md").read_text(encoding="utf-8"))
    assert sorted([*described, "__version__"]) == nightcal.__all__


def test_the_first_page_fits_a_screen_or_two():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 80
    assert (DOCS / "figures" / "demo.png").stat().st_size < 300_000


def test_examples_in_docstrings_give_what_they_say():
    package = REPOSITORY / "workflow"
    modules = [path for path in sorted(package.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    assert modules
    for path in modules:
        module = importlib.import_module(".".join(path.relative_to(package).with_suffix("").parts))
        assert doctest.testmod(module).failed == 0, path
