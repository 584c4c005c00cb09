"""Fixtures of all tests, and which of them stay together when several processes share the work."""

from pathlib import Path

import pytest
from helpers import Runner

REAL = Path(__file__).parent / "real"


@pytest.fixture(scope="session")
def snakemake():
    return Runner()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave the tests of a file to one process, and all of the real nights: what they share is made once."""
    for item in items:
        together = REAL if item.path.is_relative_to(REAL) else item.path
        item.add_marker(pytest.mark.xdist_group(str(together)))
