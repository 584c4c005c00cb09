"""Fixtures of all tests, and their order."""

import pytest
from helpers import LOOPS, Runner, use_loops


def pytest_collection_modifyitems(items):
    """Let whole nights come first, so that no process is alone with the longest file in the end.

    Those of the real nights stay together, for a process that has reduced a night to use it again.
    """
    items.sort(key=lambda item: (item.path.name != "test_workflow.py", item.path.parent.name != "real"))


@pytest.fixture(scope="session")
def snakemake():
    return Runner()


@pytest.fixture(params=LOOPS)
def loops(request, monkeypatch):
    """Each version of the hot loops."""
    use_loops(request.param, monkeypatch)
    return request.param
