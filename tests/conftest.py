"""Fixtures of all tests."""

import pytest
from helpers import Runner


@pytest.fixture(scope="session")
def snakemake():
    return Runner()
