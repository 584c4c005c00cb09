"""Fixtures of all tests, and their order."""

from pathlib import Path

import pytest
from helpers import Runner

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Let whole nights come first, so that no process is alone with the longest file in the end.

    Those of the real nights stay together, for a process that has reduced a night to use it again.
    """
    items.sort(key=lambda item: (item.path.name != "test_workflow.py", item.path.parent == HERE))


@pytest.fixture(scope="session")
def snakemake():
    return Runner()
