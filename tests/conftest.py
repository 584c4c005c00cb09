"""Fixtures of all tests, and the order of the tests."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in scripts: the threads of two test processes would compete

from helpers import LOOPS, Runner, use_loops


def pytest_collection_modifyitems(items):
    """Run whole nights first, so that no process ends alone with the longest file.

    Tests of real nights stay together, so that a process can reuse the nights it has reduced.
    """
    items.sort(key=lambda item: (item.path.name != "test_workflow.py", item.path.parent.name != "real"))


@pytest.fixture(scope="session")
def snakemake():
    return Runner()


@pytest.fixture(params=LOOPS)
def loops(request, monkeypatch):
    """Run a test with numpy and with compiled loops."""
    use_loops(request.param, monkeypatch)
    return request.param
