"""Fixtures of all tests, and the order of the tests."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in scripts: the threads of two test processes would compete

from helpers import LOOPS, Runner, use_loops


def pytest_collection_modifyitems(items):
    """Run whole nights first, so that no process ends alone with the longest file."""
    items.sort(key=lambda item: (item.path.name != "test_workflow.py", item.path.parent.name != "real"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Run the tests of real nights in one process, so that each night is reduced once; others file by file.

    Marks of groups do not help: pytest-xdist 3.8 takes no notice of them with pytest 9.2.
    """
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return "tests/real" if file.startswith("tests/real/") else file

    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def snakemake():
    return Runner()


@pytest.fixture(params=LOOPS)
def loops(request, monkeypatch):
    """Run a test with numpy and with compiled loops."""
    use_loops(request.param, monkeypatch)
    return request.param
