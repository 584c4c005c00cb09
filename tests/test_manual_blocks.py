"""Code blocks of README and manual run as printed, on the night of ``make demo``.

A block is Python if it parses, or begins with a statement, and its page imports something. Shell blocks run if their
section says so: ``This runs after `make demo```. Blocks of a page run in order and share their names, as the text
implies.
"""

import ast
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest
from helpers import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
LINKS = ("Snakefile", "config", "docs", "envs", "profiles", "scripts", "workflow")
INDENT = " " * 4
COMMAND = re.compile(r" *(nightcal|snakemake|python|pip|for) ")
OBSERVERS_OWN = re.compile(r"/path/to|/data/")
NOT_IN_TESTS = ("cluster.md", "performance.md")  # need SLURM, hours
STATEMENT = re.compile(r"(import|from|with|for|if|def|class) (?!.*; do$)|[\w.]+ = |[\w.]+\(")
IMPORT = re.compile(rf"^{INDENT}(import|from) ", re.MULTILINE)
AFTER_DEMO = "This runs after `make demo`"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Block:
    """Lines of code below a heading, and the number of the first one in the page."""

    section: int
    line: int
    lines: list[str]

    @property
    def is_python(self):
        return STATEMENT.match(self.lines[0]) is not None or self._parses()

    def _parses(self):
        try:
            return bool(ast.parse(self.text).body)
        except SyntaxError:
            return False

    @property
    def text(self):
        return "\n".join(self.lines) + "\n"


def read_blocks(page):
    """Read the indented blocks of a page; those of a list or a section end with it. What is fenced is output."""
    blocks, section, current, fenced = [], 0, [], False
    for number, line in enumerate([*page.read_text(encoding="utf-8").splitlines(), "end"], start=1):
        fenced ^= line.startswith("```")
        if not fenced and (line.startswith(INDENT) or (current and not line)):
            current.append(line.removeprefix(INDENT))
            continue
        if current:
            blocks.append(Block(section, number - len(current), current))
            current = []
        section += line.startswith("## ")
    return blocks


def list_sections(page):
    """List the texts of a page's sections; the first is what stands before them."""
    return re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)


def list_runnable(page):
    """List the blocks to run in order, the shell blocks of a section as one script."""
    imports, sections = IMPORT.search(page.read_text(encoding="utf-8")), list_sections(page)
    runnable = []
    for block in read_blocks(page):
        if block.is_python:
            runnable += [block] if imports else []
        elif AFTER_DEMO in sections[block.section]:
            if runnable and runnable[-1].section == block.section and not runnable[-1].is_python:
                last = runnable.pop()
                block = Block(block.section, last.line, last.lines + block.lines)
            runnable.append(block)
    return runnable


RUNNABLE = {page.name: blocks for page in PAGES if (blocks := list_runnable(page))}


@pytest.fixture(scope="module")
def demo(tmp_path_factory, snakemake):
    """The folder of the repository after ``make demo``."""
    folder = tmp_path_factory.mktemp("repository")
    for name in LINKS:
        (folder / name).symlink_to(REPOSITORY / name)
    simulate = [sys.executable, "-m", "nightcal.simulation.night", "demo/raw", "demo/truth"]
    subprocess.run(simulate, cwd=folder, check=True, capture_output=True)
    options = {"raw": "demo/raw", "results": "demo/results", "crosscheck": "true"}
    done = snakemake("--cores", "2", cwd=folder, measured=True, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_pages_with_examples_are_known():
    examples = {"ccdproc.md", "my_camera.md", "products.md", "python.md"}
    assert examples | {"simulated_nights.md", "ten_nights.md", "tutorial.md"} <= set(RUNNABLE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_of_the_manual_is_run_or_needs_frames_of_the_observer(page):
    run = {line for block in RUNNABLE.get(page.name, ()) for line in block.lines}
    blocks = [block for block in read_blocks(page) if page.name not in NOT_IN_TESTS]
    forgotten = [
        line
        for block in blocks
        for line in block.lines
        if COMMAND.match(line) and line not in run and not OBSERVERS_OWN.search(block.text)
    ]
    assert forgotten == []


@pytest.mark.parametrize("name", RUNNABLE)
def test_blocks_of_a_page_run_as_printed(name, demo, monkeypatch):
    monkeypatch.chdir(demo)
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ['PATH']}")
    names = {}
    for block in RUNNABLE[name]:
        if block.is_python:
            exec(compile("\n" * (block.line - 1) + block.text, name, "exec"), names)
        else:
            done = subprocess.run(["bash", "-euc", block.text], capture_output=True, text=True)
            assert done.returncode == 0, f"{name}, line {block.line}:\n{done.stderr}"
